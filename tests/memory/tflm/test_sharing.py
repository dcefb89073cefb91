"""Tensors that share bytes: what an independent replay finds of the plans, and of plans that are wrong."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.micro_networks import vision
from tests.tflite_networks import networks

from edgewright.errors import EdgewrightError
from edgewright.formats.tflite import read
from edgewright.graph.edits import apply
from edgewright.graph.padding import same_or_valid
from edgewright.graph.types import Graph, Op, Tensor
from edgewright.memory.tflm.offline import plan_offsets
from edgewright.memory.tflm.predict import predict_arena
from edgewright.memory.tflm.sharing import blocks
from edgewright.memory.tflm.verify import overwritten
from edgewright.tiling.lower import lower
from edgewright.tiling.plan import FusedGroup, TilingPlan


def tiled(model: bytes, start: int, end: int, count: int) -> Graph:
    graph = read(model)
    group = FusedGroup(tuple(op.name for op in graph.ops[start:end]), (count, 1), "carry")
    return apply(graph, lower(graph, TilingPlan((group,)), ordered=False, expresses=same_or_valid))


def cut(name: str, given: str, made: str, start: int, end: int) -> Op:
    found = {"axes": (1,), "starts": (start,), "ends": (end,), "steps": (1,)}
    return Op(name, "slice", (given,), (made,), attributes=found)


def rows(**sizes: int) -> dict[str, Tensor]:
    return {name: Tensor(name, (1, size, 8, 4), "int8", "NHWC") for name, size in sizes.items()}


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(networks("int8"), st.integers(0, 3), st.integers(1, 6), st.integers(2, 4))
def test_plans_of_random_tiled_networks_lose_no_byte(model: bytes, start: int, length: int, count: int) -> None:
    try:
        first = start % len(read(model).ops)
        graph = tiled(model, first, first + length, count)
    except EdgewrightError:
        graph = read(model)
    try:
        predict_arena(graph)
    except EdgewrightError:
        return
    for share in (False, True):
        plan = plan_offsets(graph, share=share, climb_steps=20)
        if plan.offsets:
            assert overwritten(graph, plan.offsets, plan.head_bytes) == ()
        assert plan.bound_bytes <= plan.head_bytes


def test_strips_share_and_need_less() -> None:
    graph = tiled(vision(), 1, 3, 4)
    apart, together = plan_offsets(graph), plan_offsets(graph, share=True)
    assert together.shared
    assert together.head_bytes < apart.head_bytes


def test_a_cut_lies_in_what_it_is_cut_from_and_joined_rows_where_they_are_joined() -> None:
    ops = (
        cut("c0", "x", "a", 0, 4),
        Op("s0", "softmax", ("a",), ("p",)),
        cut("c1", "x", "b", 4, 8),
        Op("s1", "softmax", ("b",), ("q",)),
        Op("j", "concat", ("p", "q"), ("y",), attributes={"axis": 1}),
    )
    graph = Graph(ops, rows(x=8, a=4, b=4, p=4, q=4, y=8), ("x",), ("y",))
    plan = plan_offsets(graph, share=True)
    assert overwritten(graph, plan.offsets, plan.head_bytes) == ()
    assert plan.offsets["b"] - plan.offsets["x"] == plan.offsets["q"] - plan.offsets["y"] == 4 * 32
    assert plan.head_bytes == 12 * 32


def test_what_is_read_again_is_not_written_over() -> None:
    ops = (Op("r", "unary", ("x",), ("y",), variant="relu"), Op("s", "binary", ("x", "y"), ("z",), variant="add"))
    graph = Graph(ops, rows(x=4, y=4, z=4), ("x",), ("z",))
    (pair, alone) = sorted(blocks(graph), key=lambda one: -len(one.starts))
    assert set(pair.starts) in ({"x", "z"}, {"y", "z"})
    assert len(alone.starts) == 1


@pytest.mark.parametrize(
    "offsets", [{"x": 0, "y": 64, "z": 256}, {"x": 0, "y": 128, "z": 16}, {"x": 0, "y": 128, "z": 900}]
)
def test_the_replay_finds_what_is_wrong(offsets: dict[str, int]) -> None:
    ops = (Op("r", "softmax", ("x",), ("y",)), Op("s", "binary", ("x", "y"), ("z",), variant="add"))
    graph = Graph(ops, rows(x=4, y=4, z=4), ("x",), ("z",))
    assert overwritten(graph, {"x": 0, "y": 128, "z": 256}, 512) == ()
    assert overwritten(graph, {"x": 0, "y": 128, "z": 0}, 512) == ()
    assert overwritten(graph, offsets, 512)
