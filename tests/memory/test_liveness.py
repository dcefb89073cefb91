"""Lifetimes, arenas, and the verifier that does not believe them."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx import ModelProto
from tests.networks import networks

from edgewright.formats.onnx import read
from edgewright.graph.types import Graph, Op, Tensor
from edgewright.memory.liveness import Arena, buffers, lower_bound, place, timeline
from edgewright.memory.verify import violations


def graph_of(*ops: tuple[str, str, str], sizes: dict[str, int], inputs: str = "x", outputs: str = "z") -> Graph:
    """Ops as (kind, inputs, outputs) with tensors of one letter, of so many bytes."""
    made = tuple(Op(f"op{i}", kind, tuple(given), tuple(made)) for i, (kind, given, made) in enumerate(ops))
    tensors = {name: Tensor(name, (size,), "int8") for name, size in sizes.items()}
    return Graph(made, tensors, tuple(inputs), tuple(outputs))


CHAIN = graph_of(("conv", "x", "a"), ("unary", "a", "b"), ("conv", "b", "z"), sizes={"x": 10, "a": 40, "b": 40, "z": 5})


def test_elementwise_ops_write_over_their_input() -> None:
    assert timeline(CHAIN).live_bytes == (50, 50, 55)
    assert [one.tensors for one in buffers(CHAIN)] == [("x",), ("a", "b"), ("z",)]


def test_without_that_both_live() -> None:
    assert timeline(CHAIN, in_place=False).live_bytes == (50, 90, 55)


def test_inputs_can_be_given_up() -> None:
    assert timeline(CHAIN, inputs_held=False).live_bytes == (50, 40, 45)


def test_an_input_of_the_network_is_not_written_over() -> None:
    graph = graph_of(("unary", "x", "z"), sizes={"x": 8, "z": 8})
    assert timeline(graph).live_bytes == (16,)


def test_a_tensor_that_is_read_again_is_not_written_over() -> None:
    graph = graph_of(("conv", "x", "a"), ("unary", "a", "b"), ("binary", "ab", "z"), sizes=dict.fromkeys("xabz", 8))
    assert timeline(graph).live_bytes == (16, 24, 24)


def test_a_reshape_is_no_copy() -> None:
    graph = graph_of(("conv", "x", "a"), ("reshape", "a", "b"), ("conv", "b", "z"), sizes=dict.fromkeys("xabz", 8))
    assert timeline(graph).peak_bytes == 24
    assert place(graph).offsets_bytes["a"] == place(graph).offsets_bytes["b"]


def test_what_nothing_reads_lives_for_its_op() -> None:
    graph = graph_of(("split", "x", "az"), ("conv", "x", "y"), sizes=dict.fromkeys("xazy", 8), outputs="zy")
    assert timeline(graph).live_bytes == (24, 24)


def test_constants_do_not_count() -> None:
    graph = graph_of(("conv", "xw", "z"), sizes={"x": 8, "w": 999, "z": 8})
    constant = {**graph.tensors, "w": replace(graph.tensors["w"], is_constant=True)}
    assert lower_bound(replace(graph, tensors=constant)) == 16


def test_the_holders_at_the_peak() -> None:
    found = timeline(CHAIN, in_place=False)
    assert found.peak_index == 1
    assert [one.tensors for one in found.live_at(1)] == [("a",), ("b",), ("x",)]
    assert place(CHAIN, in_place=False).peak_op == "op1"


@given(networks(most_ops=12), st.booleans(), st.booleans())
def test_arenas_hold_what_lives_and_no_two_overlap(model: ModelProto, in_place: bool, held: bool) -> None:
    graph = read(model)
    arena = place(graph, in_place, held)
    assert arena.peak_bytes >= lower_bound(graph, in_place, held)
    assert violations(graph, arena, held) == ()


@given(networks(most_ops=12), st.data())
def test_an_offset_that_is_moved_onto_another_tensor_is_found(model: ModelProto, data: st.DataObject) -> None:
    """The mutation test: any two tensors that live at once must not share a byte."""
    graph = read(model)
    arena = place(graph, in_place=False)
    alive = buffers(graph, in_place=False)
    together = [
        (one.tensors[0], other.tensors[0])
        for one in alive
        for other in alive
        if one is not other
        and (one.first <= other.first < one.last or other.first <= one.first < other.last)
        and min(one.size_bytes, other.size_bytes) > 0
    ]
    assume(together)
    moved, onto = data.draw(st.sampled_from(together))
    group = next(one.tensors for one in alive if moved in one.tensors)
    start = arena.offsets_bytes[onto]
    broken = Arena(arena.offsets_bytes | dict.fromkeys(group, start), arena.peak_bytes + 10**6, arena.peak_op)
    assert violations(graph, broken)


@pytest.mark.parametrize(
    ("offsets", "message"),
    (
        ({"x": 0, "a": 10, "b": 10, "z": 0}, "the end reads 'x'"),
        ({"x": 0, "a": 5, "b": 5, "z": 50}, "writes 'a' over its own input 'x'"),
        ({"x": 0, "a": 10, "b": 12, "z": 52}, "writes 'b' over its own input 'a'"),
        ({"x": 0, "a": 10, "b": 10, "z": 52}, "outside of the arena"),
        ({"x": 0, "a": 10, "b": 10}, "outside of the arena"),
    ),
)
def test_what_the_verifier_says(offsets: dict[str, int], message: str) -> None:
    assert violations(CHAIN, Arena({"x": 0, "a": 10, "b": 10, "z": 50}, 55, "op0")) == ()
    assert any(message in line for line in violations(CHAIN, Arena(offsets, 55, "op0")))
