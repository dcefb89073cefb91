"""What every format must do: read its files, apply edits by the law, and refuse what is broken in one clear line."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgewright import formats
from edgewright.errors import ModelError, ShapeError
from edgewright.formats import Format
from edgewright.graph import edits
from edgewright.graph.edits import CloneOp, Concat, Edit, Pad, RemoveOp, Slice
from edgewright.graph.layers import layer_of, layers_of
from edgewright.graph.naming import named_after_outputs
from edgewright.graph.types import KINDS, Graph

Write = Callable[[Path, int | str], None]


@dataclass(frozen=True)
class Subject:
    """A format with a writer of its files: a 3x3 convolution and a relu on `height` x 8 pixels of 4 channels.

    `channels_last` is how it stores them, and `names_ops` whether it does so with the names of ops.
    """

    suffix: str
    write: Write
    channels_last: bool = False
    names_ops: bool = True

    def expected(self, graph: Graph) -> Graph:
        """The network as it should be read from a file of this format."""
        return graph if self.names_ops else named_after_outputs(graph)


def _write_onnx(path: Path, height: int | str) -> None:
    from tests.formats.onnx.build import model, node

    weight = np.random.default_rng(0).standard_normal((5, 4, 3, 3)).astype(np.float32)
    nodes = [node("Conv", "x w", "a", name="conv", pads=[1, 1, 1, 1]), node("Relu", "a", "y", name="relu")]
    path.write_bytes(model(nodes, {"x": (1, 4, height, 8)}, "y", {"w": weight}).SerializeToString())


def _write_tflite(path: Path, height: int | str) -> None:
    from tests.formats.tflite.build import conv_relu

    path.write_bytes(conv_relu(is_open=True) if isinstance(height, str) else conv_relu(height))


@pytest.fixture(
    params=[Subject(".onnx", _write_onnx), Subject(".tflite", _write_tflite, channels_last=True, names_ops=False)],
    ids=lambda subject: subject.suffix,
)
def subject(request: pytest.FixtureRequest) -> Subject:
    found: Subject = request.param
    return found


@pytest.fixture
def path(subject: Subject, tmp_path: Path) -> Path:
    path = tmp_path / f"model{subject.suffix}"
    subject.write(path, 9)
    return path


@pytest.fixture
def model_format(path: Path) -> Format:
    return formats.open(path)


def _strips(graph: Graph, model_format: Format) -> list[Edit]:
    """The convolution in two strips, padded by ops of their own where the format can't pad one side."""
    conv = next(op for op in graph.ops if op.kind == "conv")
    source, rest = conv.inputs[0], conv.inputs[1:]
    axes = graph.tensors[source].axes
    axis, made = axes.index("H"), []
    for number, (rows, padding) in enumerate((((0, 6), (1, 0)), ((4, 9), (0, 1)))):
        made.append(Slice(f"cut{number}", source, f"x{number}", (axis,), rows[:1], rows[1:]))
        given, window = f"x{number}", (padding, (1, 1))
        if not model_format.expresses(conv, (rows[1] - rows[0], 8), window):
            pairs = {"H": padding, "W": (1, 1)}
            made.append(Pad(f"pad{number}", given, f"p{number}", tuple(pairs.get(letter, (0, 0)) for letter in axes)))
            given, window = f"p{number}", ((0, 0), (0, 0))
        made.append(CloneOp(f"conv{number}", conv.name, (given, *rest), (f"a{number}",), window))
    return [RemoveOp(conv.name), *made, Concat("join", ("a0", "a1"), conv.outputs[0], axis)]


def test_it_is_found_by_suffix_and_by_content(path: Path, model_format: Format) -> None:
    plain = path.with_suffix("")
    path.rename(plain)
    assert formats.open(plain).name == model_format.name
    assert model_format.name == path.suffix[1:]


def test_it_reads_a_network(path: Path, model_format: Format) -> None:
    graph = model_format.read(path)
    (given,), (made,) = graph.inputs, graph.outputs
    assert {op.kind for op in graph.ops} <= set(KINDS)
    assert (graph.tensors[given].items, graph.tensors[made].items) == (4 * 9 * 8, 5 * 9 * 8)
    assert "H" in graph.tensors[given].axes
    assert layers_of(graph)
    assert [layer_of(op, graph).input for op in graph.ops if op.kind == "conv"] == [(1, 4, 9, 8)]


def test_reading_twice_gives_the_same(path: Path, model_format: Format) -> None:
    assert model_format.read(path) == model_format.read(path)


def test_every_tensor_of_an_op_is_there_and_made_before_it_is_read(path: Path, model_format: Format) -> None:
    graph = model_format.read(path)
    there = {*graph.inputs, "", *(name for name, tensor in graph.tensors.items() if tensor.is_constant)}
    for op in graph.ops:
        assert set(op.inputs) <= there
        there |= set(op.outputs)
    assert set(graph.outputs) <= there


def test_reading_after_applying_is_editing_after_reading(subject: Subject, path: Path, model_format: Format) -> None:
    graph, out = model_format.read(path), path.with_stem("out")
    script = _strips(graph, model_format)
    model_format.apply(path, script, out)
    assert model_format.read(out) == subject.expected(edits.apply(graph, script))


def test_an_open_shape_has_to_be_given_and_is_then_fixed(subject: Subject, path: Path, model_format: Format) -> None:
    subject.write(path, "height")
    with pytest.raises(ShapeError, match="--input"):
        model_format.read(path)
    shapes = {"x": (1, 9, 8, 4) if subject.channels_last else (1, 4, 9, 8)}
    graph, out = model_format.read(path, shapes), path.with_stem("out")
    script = _strips(graph, model_format)
    model_format.apply(path, script, out, shapes)
    assert model_format.read(out) == subject.expected(edits.apply(graph, script))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.95])
def test_a_file_that_is_cut_off_is_named_in_one_line(path: Path, model_format: Format, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ModelError) as caught:
        model_format.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path, model_format: Format) -> None:
    with pytest.raises(ModelError, match="none"):
        model_format.read(tmp_path / "none")


def test_a_script_that_does_not_fit_writes_nothing(path: Path, model_format: Format) -> None:
    out = path.with_stem("out")
    with pytest.raises(ModelError):
        model_format.apply(path, [RemoveOp("none")], out)
    assert list(path.parent.iterdir()) == [path]


def test_the_source_is_not_overwritten(path: Path, model_format: Format) -> None:
    before = path.read_bytes()
    with pytest.raises(ModelError):
        model_format.apply(path, [], path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("data", [b"", b"nothing that is known", b"\x00\x01\x02\x03", b"PK\x03\x04"])
def test_what_is_in_no_format_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"model\.bin: not a model"):
        formats.open(path)


def test_what_is_not_there_has_no_format(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx: No such file"):
        formats.open(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="directory"):
        formats.open(tmp_path)
