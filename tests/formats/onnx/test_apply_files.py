"""Files that `apply` writes: whole or not at all, with their weight data beside them."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto
from tests.formats.onnx.build import model, node

from edgewright.errors import ModelError
from edgewright.formats.onnx import apply, edited, read
from edgewright.graph import edits
from edgewright.graph.edits import CloneOp, Concat, RemoveOp, Slice

SCRIPT = [RemoveOp("relu"), CloneOp("tanh", "relu", ("a",), ("y",))]


def _model() -> ModelProto:
    weight = np.random.default_rng(0).standard_normal((5, 4, 3, 3)).astype(np.float32)
    nodes = [node("Conv", "x w", "a", name="conv"), node("Relu", "a", "y", name="relu")]
    return model(nodes, {"x": (1, 4, 9, 8)}, "y", {"w": weight})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A model with its weight in a file beside it."""
    folder = tmp_path / "source"
    folder.mkdir()
    onnx.save_model(_model(), folder / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    return folder / "m.onnx"


def _outputs(path: Path) -> Any:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.ones((1, 4, 9, 8), np.float32)})[0]


def _files(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_beside_the_source_the_weight_data_is_shared(path: Path) -> None:
    before = (path.parent / "m.data").stat()
    out = path.with_name("out.onnx")
    apply(path, SCRIPT, out)
    assert _files(path.parent) == ["m.data", "m.onnx", "out.onnx"]
    assert (path.parent / "m.data").stat() == before
    assert read(out) == edits.apply(read(path), SCRIPT)
    assert out.stat().st_size < 720
    np.testing.assert_array_equal(_outputs(out), _outputs(path))


def test_elsewhere_it_is_copied(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    apply(path, SCRIPT, folder / "out.onnx")
    assert _files(folder) == ["m.data", "out.onnx"]
    np.testing.assert_array_equal(_outputs(folder / "out.onnx"), _outputs(path))


def test_another_file_is_not_overwritten_by_weight_data(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "m.data").write_text("something else")
    with pytest.raises(ModelError, match=r"m\.data"):
        apply(path, SCRIPT, folder / "out.onnx")
    assert _files(folder) == ["m.data"]
    assert (folder / "m.data").read_text() == "something else"


def test_weight_data_that_is_there_already_may_stay(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    apply(path, SCRIPT, folder / "out.onnx")
    apply(path, SCRIPT, folder / "again.onnx")
    assert _files(folder) == ["again.onnx", "m.data", "out.onnx"]


def test_a_model_in_memory_is_written_too(tmp_path: Path) -> None:
    apply(_model(), SCRIPT, tmp_path / "out.onnx")
    assert read(tmp_path / "out.onnx") == read(edited(_model(), SCRIPT))


def test_the_source_is_never_overwritten(path: Path) -> None:
    before = path.read_bytes()
    link = path.with_name("link.onnx")
    link.symlink_to(path)
    for out in (path, path.parent / "." / "m.onnx", link):
        with pytest.raises(ModelError, match="overwrite"):
            apply(path, SCRIPT, out)
    assert path.read_bytes() == before


def test_an_output_that_exists_is_replaced(path: Path) -> None:
    out = path.with_name("out.onnx")
    out.write_text("old")
    apply(path, SCRIPT, out)
    assert read(out).ops[1].name == "tanh"


def test_a_folder_that_is_not_there(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no folder"):
        apply(path, SCRIPT, tmp_path / "none" / "out.onnx")
    assert not (tmp_path / "none").exists()


def test_an_output_that_is_a_folder(path: Path, tmp_path: Path) -> None:
    (tmp_path / "out.onnx").mkdir()
    with pytest.raises(ModelError, match=r"out\.onnx"):
        apply(path, SCRIPT, tmp_path / "out.onnx")
    assert _files(tmp_path) == ["out.onnx", "source"]


@pytest.mark.parametrize("fails", ["write_bytes", "replace"])
def test_a_disk_that_is_full_leaves_nothing_behind(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, fails, full)
    with pytest.raises(ModelError, match=r"out\.onnx: No space left on device"):
        apply(path, SCRIPT, folder / "out.onnx")
    assert _files(folder) == []


def test_a_script_that_does_not_fit_writes_nothing(path: Path) -> None:
    with pytest.raises(ModelError):
        apply(path, [RemoveOp("none")], path.with_name("out.onnx"))
    assert _files(path.parent) == ["m.data", "m.onnx"]


def test_the_file_has_the_rights_that_a_new_file_gets(path: Path) -> None:
    out, other = path.with_name("out.onnx"), path.with_name("other")
    apply(path, SCRIPT, out)
    other.write_text("")
    assert out.stat().st_mode == other.stat().st_mode


def test_weight_data_stays_outside_where_the_operator_set_rises(tmp_path: Path) -> None:
    old = _model()
    old.opset_import[0].version = 9
    onnx.save_model(old, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    script = [
        RemoveOp("relu"),
        Slice("cut0", "a", "a0", (2,), (0,), (3,)), CloneOp("relu0", "relu", ("a0",), ("y0",)),
        Slice("cut1", "a", "a1", (2,), (3,), (7,), after="y0"), CloneOp("relu1", "relu", ("a1",), ("y1",)),
        Concat("join", ("y0", "y1"), "y", 2),
    ]  # fmt: skip
    apply(tmp_path / "m.onnx", script, tmp_path / "out.onnx")
    assert read(tmp_path / "out.onnx") == edits.apply(read(tmp_path / "m.onnx"), script)
    weight = next(t for t in onnx.load(tmp_path / "out.onnx", load_external_data=False).graph.initializer)
    assert weight.data_location == onnx.TensorProto.EXTERNAL
    np.testing.assert_array_equal(_outputs(tmp_path / "out.onnx"), _outputs(tmp_path / "m.onnx"))
