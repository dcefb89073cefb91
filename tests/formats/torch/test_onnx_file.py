"""ONNX files of modules: ONNX Runtime gives what torch gives."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from tests.formats.torch.laws import cut_all, groups_of, outputs, randomized  # noqa: E402
from tests.formats.torch.networks import NETWORKS, image  # noqa: E402
from torch import nn  # noqa: E402

from edgewright.errors import ModelError  # noqa: E402
from edgewright.formats.onnx import read  # noqa: E402
from edgewright.formats.torch import apply_widths, export_onnx, read_module  # noqa: E402
from edgewright.graph.layers import layers_of  # noqa: E402


def agrees(module: nn.Module, example: torch.Tensor, path: Path) -> None:
    """ONNX Runtime computes what torch does."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: example.numpy()})
    for one, other in zip(found, outputs(module, example), strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=0, atol=1e-4 * float(other.abs().max()))


@pytest.mark.parametrize("name", ["mobilenet", "speech zeros"])
def test_a_batch_of_any_size(name: str, tmp_path: Path) -> None:
    make, inputs, _ = NETWORKS[name]
    module, example = randomized(make()), inputs()
    path = tmp_path / "network.onnx"
    export_onnx(module, example, path, dynamic_batch=True)
    agrees(module, example, path)
    agrees(module, torch.cat([example, example[:1]]), path)


@pytest.mark.parametrize("name", ["resnet", "decoder", "deepsense last", "speech", "transformer"])
def test_a_cut_module_and_its_file_are_alike(name: str, tmp_path: Path) -> None:
    """In what they compute and in their layers, as far as the exporter does not take ops apart."""
    make, inputs, _ = NETWORKS[name]
    module, example = randomized(make()), inputs()
    cut = apply_widths(module, cut_all(groups_of(module, example), 0.7), example)
    path = tmp_path / "network.onnx"
    export_onnx(cut, example, path)
    agrees(cut, example, path)
    graph = read(path)
    if name != "transformer":
        assert [layer for _, layer in layers_of(graph)] == [layer for _, layer in layers_of(read_module(cut, example))]
    assert sum(op.kind in {"gru", "lstm"} for op in graph.ops) == (2 if name in {"speech", "deepsense last"} else 0)
    parameters = {key for key, value in cut.named_parameters() if key.endswith("weight") and value.dim() == 4}
    assert parameters <= set(graph.tensors)


def test_an_adaptive_pool_of_uneven_windows(tmp_path: Path) -> None:
    module, example = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d((3, 5))), image()
    path = tmp_path / "network.onnx"
    export_onnx(module, example, path)
    agrees(module, example, path)


def test_nothing_is_written_where_it_can_not(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none/x\.onnx"):
        export_onnx(nn.Linear(2, 3), torch.ones(1, 2), tmp_path / "none" / "x.onnx")
    with pytest.raises(ModelError, match="does not run on these inputs"):
        export_onnx(nn.Linear(2, 3), torch.ones(1, 5), tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []
