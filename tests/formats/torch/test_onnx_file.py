"""ONNX files of modules: ONNX Runtime gives what torch gives."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from tests.formats.torch.laws import outputs, randomized  # noqa: E402
from tests.formats.torch.networks import NETWORKS  # noqa: E402

from edgewright.formats.torch import export_onnx  # noqa: E402


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dynamic", [False, True])
def test_the_file_computes_what_the_module_does(name: str, dynamic: bool, tmp_path: Path) -> None:
    import onnxruntime

    make, inputs, _ = NETWORKS[name]
    module, example = randomized(make()), inputs()
    path = tmp_path / "network.onnx"
    export_onnx(module, example, path, dynamic_batch=dynamic)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for given in [example, torch.cat([example, example])] if dynamic else [example]:
        found = session.run(None, {session.get_inputs()[0].name: given.numpy()})
        for one, other in zip(found, outputs(module, given), strict=True):
            np.testing.assert_allclose(one, other.numpy(), rtol=0, atol=1e-4 * float(other.abs().max()))
