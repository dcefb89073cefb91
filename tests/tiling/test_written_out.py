"""PRelus written out: the same bits, from ops that need no branch, in tiles and outside of them."""

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from tests.tiling.test_lower import outputs

from edgewright.errors import UnsupportedModelError
from edgewright.formats.onnx import read
from edgewright.formats.onnx.apply import edited
from edgewright.graph.edits import RemoveOp, apply
from edgewright.graph.types import Graph
from edgewright.graph.written_out import WriteOut
from edgewright.memory.liveness import place
from edgewright.memory.onnxruntime import predict_peak
from edgewright.memory.verify import violations
from edgewright.tiling.fit_to_memory import Fitting, Target
from edgewright.tiling.lower import lower
from edgewright.tiling.plan import FusedGroup, TilingPlan, dump_plan, load_plan

SLOPES = np.linspace(-0.7, 1.4, 16, dtype=np.float32).reshape(1, 16, 1, 1)


def network(slopes: np.ndarray = SLOPES, size: int = 32, is_computed: bool = False) -> ModelProto:
    """conv, prelu, pool, last (a convolution) on 16 channels."""
    random = np.random.default_rng(0)
    shapes = {"w": (16, 3, 3, 3), "v": (16, 16, 3, 3)}
    weights = [numpy_helper.from_array(random.standard_normal(s, dtype=np.float32) / 5, n) for n, s in shapes.items()]
    weights.append(numpy_helper.from_array(slopes.astype(np.float16) if is_computed else slopes, "s"))
    cast = [helper.make_node("Cast", ["s"], ["s32"], "cast", to=TensorProto.FLOAT)] if is_computed else []
    nodes = [
        *cast,
        helper.make_node("Conv", ["x", "w"], ["a"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("PRelu", ["a", "s32" if is_computed else "s"], ["b"], "prelu"),
        helper.make_node("MaxPool", ["b"], ["c"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["c", "v"], ["y"], "last"),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, size, size])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "prelu", [given], [made], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def check(model: ModelProto, plan: TilingPlan) -> Graph:
    """The law of the edit script, the verifier, and outputs equal to the bit where nothing else is rounded anew."""
    graph = read(model)
    script = lower(graph, plan)
    rewritten, tiled = apply(graph, script), edited(model, script)
    assert read(tiled) == rewritten
    assert not violations(rewritten, place(rewritten))
    assert "prelu" not in {op.variant for op in rewritten.ops}
    given = {"x": np.random.default_rng(1).standard_normal((1, 3, 32, 32), dtype=np.float32)}
    for before, after in zip(outputs(model, given), outputs(tiled, given), strict=True):
        np.testing.assert_array_equal(after, before)
    return rewritten


@pytest.mark.parametrize("slopes", (SLOPES, SLOPES[0], np.float32([0.3]), np.float32([[[1.7]]])), ids=lambda s: s.shape)
def test_outside_of_groups(slopes: np.ndarray) -> None:
    rewritten = check(network(slopes), TilingPlan((), written_out=("prelu",)))
    names = [op.name for op in rewritten.ops]
    assert names == [
        "conv", *(f"prelu.out.{part}" for part in ("turned", "negative", "positive", "scaled")), "prelu.out", "pool",
        "last",
    ]  # fmt: skip


def test_slopes_that_a_node_makes() -> None:
    many = np.random.default_rng(0).standard_normal((1, 16, 1, 1)).astype(np.float16)
    check(network(many.astype(np.float32), is_computed=True), TilingPlan((), written_out=("prelu",)))


@pytest.mark.parametrize(("grid", "halo"), (((3, 1), "recompute"), ((2, 2), "recompute"), ((4, 1), "carry")))
def test_in_tiles_which_share_the_weights(grid: tuple[int, int], halo: str) -> None:
    plan = TilingPlan((FusedGroup(("conv", "prelu", "pool"), grid, halo),), written_out=("prelu",))
    rewritten = check(network(), plan)
    read_by = [op for op in rewritten.ops if "prelu.slopes" in op.inputs]
    assert len(read_by) == grid[0] * grid[1]
    assert load_plan(dump_plan(plan)) == plan


def test_it_takes_one_buffer_for_each_sign() -> None:
    """Sums and relus work in place in blocks: two maps live, as where the PRelu is brought out of them."""
    graph = read(network())
    rewritten = apply(graph, lower(graph, TilingPlan((), written_out=("prelu",))))
    before, after = (predict_peak(one, "arena").activations_bytes for one in (graph, rewritten))
    assert after <= before


def test_it_pays_where_there_is_a_blocked_layout() -> None:
    assert set(Target("arena", 16).pricing(read(network(size=64))).written_out) == {"prelu"}
    assert not Target("arena", 1).pricing(read(network(size=64))).written_out


def test_plans_of_the_search_write_it_out() -> None:
    fitting = Fitting(read(network(size=64)), Target("arena", 16))
    plans = [plan for plan in map(fitting.plans.plan, range(len(fitting.plans.found))) if plan.groups]
    assert plans and all(plan.written_out == ("prelu",) for plan in plans)
    assert not fitting.plans.untiled.written_out


@pytest.mark.parametrize("slopes", (np.ones((16, 32, 32), np.float32), np.ones((1, 32), np.float32)))
def test_slopes_of_single_places_are_refused(slopes: np.ndarray) -> None:
    graph = read(network(slopes))
    with pytest.raises(UnsupportedModelError, match="no PRelu that can be written out"):
        apply(graph, [RemoveOp("prelu"), WriteOut("new", "prelu", "a", "b")])
