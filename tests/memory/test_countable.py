"""What can't be counted is refused by name."""

from dataclasses import replace

import pytest
from tests.tiling.models import chain

from edgewright.errors import UnsupportedModelError
from edgewright.formats.onnx import read
from edgewright.memory.countable import check_countable


def test_a_network_of_known_sizes_is_counted() -> None:
    check_countable(read(chain((3, 1))))


def test_what_nothing_is_known_of_is_named() -> None:
    graph = read(chain((3, 1)))
    name = graph.ops[-1].outputs[0]
    unknown = replace(graph, tensors={**graph.tensors, name: replace(graph.tensors[name], shape=(), dtype="")})
    with pytest.raises(UnsupportedModelError, match=f"'{graph.ops[-1].name}'.* not known"):
        check_countable(unknown)


def test_control_flow_is_named() -> None:
    graph = read(chain((3, 1)))
    ops = (*graph.ops[:-1], replace(graph.ops[-1], kind="other", variant="if"))
    with pytest.raises(UnsupportedModelError, match="control flow"):
        check_countable(replace(graph, ops=ops), "model.onnx")
