"""Offsets as metadata of the file."""

from pathlib import Path

import pytest
from tests.formats.tflite.build import packed, unpacked
from tests.micro_networks import vision

from edgewright.errors import UnsupportedModelError
from edgewright.formats.tflite import read
from edgewright.formats.tflite.micro import micro_graph
from edgewright.formats.tflite.offline import read_offsets, tensor_names, write_offsets


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "net.tflite"
    found.write_bytes(vision())
    return found


def test_offsets_come_back_and_nothing_else_changes(path: Path, tmp_path: Path) -> None:
    offsets = {"image": 64, tensor_names(path)[3]: 0}
    assert read_offsets(path) == {}
    write_offsets(path, tmp_path / "out.tflite", offsets)
    assert read_offsets(tmp_path / "out.tflite") == offsets
    assert read(tmp_path / "out.tflite") == read(path)


def test_a_plan_takes_the_place_of_the_one_before(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tflite"
    write_offsets(path, out, {"image": 64})
    size = out.stat().st_size
    write_offsets(out, out, {"image": 128})
    assert read_offsets(out) == {"image": 128}
    assert out.stat().st_size == size
    assert len(unpacked(out.read_bytes()).metadata) == 1


def test_the_layout_that_the_runtime_reads(path: Path) -> None:
    write_offsets(path, path, {"image": 64})
    model = unpacked(path.read_bytes())
    data = bytes(model.buffers[model.metadata[0].buffer].data)
    numbers = [int.from_bytes(data[i : i + 4], "little", signed=True) for i in range(0, len(data), 4)]
    count = len(tensor_names(path))
    assert model.metadata[0].name == b"OfflineMemoryAllocation"
    assert numbers == [1, 0, count, 64, *[-1] * (count - 1)]


def test_several_subgraphs_are_refused(path: Path) -> None:
    model = unpacked(path.read_bytes())
    model.subgraphs.append(model.subgraphs[0])
    path.write_bytes(packed(model))
    with pytest.raises(UnsupportedModelError, match="2 subgraphs"):
        write_offsets(path, path, {})


def test_the_graph_of_microcontrollers_is_in_the_order_of_the_file(path: Path) -> None:
    graph = micro_graph(path)
    names = [name for name in tensor_names(path) if name in graph.tensors]
    assert list(graph.tensors) == names
    assert {op.attributes["stored_as"] for op in graph.ops} == {
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "MEAN",
        "FULLY_CONNECTED",
    }
    assert [op.attributes["per_channel"] for op in graph.ops if "per_channel" in op.attributes] == [False]
