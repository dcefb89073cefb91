"""Random plans on random networks: the rewritten network is the same function, in less memory or more."""

import json
import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from benchmarks.networks import Network, unet
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from tests.networks import feed, networks
from tests.tiling.draws import plans
from tests.tiling.models import chain, quantized, residual

from edgewright.errors import UnsupportedModelError
from edgewright.formats.onnx import read
from edgewright.formats.onnx.apply import edited
from edgewright.graph.edits import Concat, RemoveOp, Slice, apply
from edgewright.graph.types import Graph, Op
from edgewright.memory.liveness import place
from edgewright.memory.onnxruntime import predict_peak
from edgewright.memory.verify import violations
from edgewright.tiling.lower import lower
from edgewright.tiling.plan import HALOS, FusedGroup, TilingPlan
from edgewright.tiling.rates import network_macs

SLOW = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def outputs(model: ModelProto, inputs: dict[str, Any]) -> list[np.ndarray]:
    """The outputs on ONNX Runtime in its default settings, one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))


def check(model: ModelProto, graph: Graph, plan: TilingPlan, tolerance: float, cuts_late: bool = False) -> Graph:
    """The law of the edit script, the verifier, and equal outputs; the rewritten graph."""
    script = lower(graph, plan, cuts_late=cuts_late)
    rewritten, tiled = apply(graph, script), edited(model, script)
    assert read(tiled) == rewritten
    assert not violations(rewritten, place(rewritten))
    inputs = feed(model)
    for before, after in zip(outputs(model, inputs), outputs(tiled, inputs), strict=True):
        if tolerance:
            scale = float(np.abs(before).max(initial=1.0))
            np.testing.assert_allclose(after, before, rtol=tolerance, atol=tolerance * scale)
        else:
            np.testing.assert_array_equal(after, before)
    return rewritten


@SLOW
@given(networks(most_ops=10), st.data())
def test_float_networks(model: ModelProto, data: st.DataObject) -> None:
    graph = read(model)
    plan = data.draw(plans(graph, writes_out=True))
    assume(plan.groups or plan.written_out)
    check(model, graph, plan, 1e-5)


@SLOW
@given(networks(style="qdq"), st.data())
def test_qdq_networks_to_the_bit(model: ModelProto, data: st.DataObject) -> None:
    graph = read(model)
    plan = data.draw(plans(graph, at_cuts=True, integers_only=True))
    assume(plan.groups)
    check(model, graph, plan, 0)


@SLOW
@given(networks(style="qlinear"), st.data())
def test_qlinear_networks_to_the_bit(model: ModelProto, data: st.DataObject) -> None:
    graph = read(model)
    plan = data.draw(plans(graph))
    assume(plan.groups)
    check(model, graph, plan, 0)


@pytest.mark.parametrize("dtype", (np.int8, np.uint8))
@pytest.mark.parametrize(
    ("grid", "halo"), (((2, 2), "recompute"), ((3, 1), "recompute"), ((4, 1), "carry"), ((4, 1), "mixed"))
)
def test_integers_stay_integers(dtype: type[np.generic], grid: tuple[int, int], halo: str) -> None:
    """Every convolution still stands between a dequantize and a quantize op, or the runtime would compute floats.

    Signed tensors that two ops read are floats to ONNX Runtime on x86 all the same: some steps of rounding are allowed.
    """
    model = quantized(dtype)
    graph = read(model)
    inside = tuple(op.name for op in graph.ops if op.name not in {"q0", "y"})
    plan = TilingPlan((FusedGroup(inside, grid, halo),))
    tiled = check(model, graph, plan, 0 if dtype is np.uint8 else 0.2)
    makers, readers = tiled.producers(), tiled.consumers()
    for op in (op for op in tiled.ops if op.kind == "conv"):
        assert makers[op.inputs[0]].kind == "dequantize"
        assert [reader.kind for reader in readers[op.outputs[0]]] == ["quantize"]
    if dtype is np.int8:
        assert {op.kind for op in tiled.ops if op.kind in {"slice", "concat"}} <= {
            reader.kind for op in tiled.ops if op.kind == "dequantize" for reader in readers[op.outputs[0]]
        }


@pytest.mark.parametrize("rank", (1, 3))
@pytest.mark.parametrize(("grid", "halo"), (((3, 1), "recompute"), ((4, 1), "carry"), ((4, 1), "mixed")))
def test_other_ranks(rank: int, grid: tuple[int, int], halo: str) -> None:
    model = chain((3, 1), (3, 2), (1, 1), size=14, rank=rank)
    graph = read(model)
    check(model, graph, TilingPlan((FusedGroup(names(graph), grid, halo),)), 1e-5)


def names(graph: Graph) -> tuple[str, ...]:
    return tuple(op.name for op in graph.ops)


@pytest.mark.parametrize("count", (2, 3, 7))
def test_carried_strips_compute_nothing_twice(count: int) -> None:
    graph = read(residual())
    tiled = apply(graph, lower(graph, TilingPlan((FusedGroup(names(graph), (count, 1), "carry"),))))
    assert network_macs(tiled) <= network_macs(graph)


def test_tiles_of_their_own_compute_their_borders_twice() -> None:
    graph = read(chain((3, 1), (3, 1)))
    tiled = apply(graph, lower(graph, TilingPlan((FusedGroup(names(graph), (4, 1)),))))
    assert network_macs(tiled) > network_macs(graph)


def test_weights_are_shared() -> None:
    model = residual()
    graph = read(model)
    tiled = edited(model, lower(graph, TilingPlan((FusedGroup(names(graph), (3, 2)),))))
    before = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    assert sum(len(tensor.raw_data) for tensor in tiled.graph.initializer if tensor.dims[0:1] != [1]) <= before + 4096


@pytest.mark.parametrize("halo", HALOS)
def test_runs_in_the_order_of_the_file(halo: str) -> None:
    """ONNX Runtime runs in depth-first order from the outputs; waiting slices leave it one order only."""
    model = chain((3, 1), "pool", (3, 1))
    graph = read(model)
    script = lower(graph, TilingPlan((FusedGroup(names(graph), (4, 1), halo),)))
    expected = [op.name for op in apply(graph, script).ops]
    for order in (onnxruntime.ExecutionOrder.DEFAULT, onnxruntime.ExecutionOrder.PRIORITY_BASED):
        assert executed(edited(model, script), order) == expected


@pytest.mark.parametrize("halo", HALOS)
def test_tiles_do_not_mix_where_branches_do(halo: str) -> None:
    model = residual()
    graph = read(model)
    script = lower(graph, TilingPlan((FusedGroup(names(graph), (4, 1), halo),)))
    order = executed(edited(model, script), onnxruntime.ExecutionOrder.DEFAULT)
    strips = [name.split(".")[1] for name in order if name.startswith(tuple(names(graph)))]
    assert len(set(strips)) == 4
    assert sum(a != b for a, b in pairwise(strips)) == 3


def executed(model: ModelProto, order: Any) -> list[str]:
    """The ops in the order that the runtime runs them in, from its profile."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.execution_order = order
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "profile")
        options.log_severity_level, options.intra_op_num_threads = 4, 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        session.run(None, feed(model))
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes = [event for event in events if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")]
    return [event["name"].removesuffix("_kernel_time") for event in sorted(nodes, key=lambda event: event["ts"])]


@pytest.mark.parametrize("halo", HALOS)
def test_the_next_tile_waits_for_all_that_a_tile_ends_in(halo: str) -> None:
    """Else a runtime may finish the tiles of one output first, and keep what the others are made of."""
    net = Network("heads", 3, 64, 0)
    body = net.conv("input", 16)
    heads = [net.conv(body, channels, 1, act="") for channels in (2, 4, 8)]
    model = net.model(heads[0], [1, 2, 64, 64])
    for head, channels in zip(heads[1:], (4, 8), strict=True):
        made = onnx.helper.make_tensor_value_info(head, onnx.TensorProto.FLOAT, [1, channels, 64, 64])
        model.graph.output.append(made)
    graph = read(model)
    rewritten = check(model, graph, TilingPlan((FusedGroup(tuple(op.name for op in graph.ops), (4, 1), halo),)), 1e-5)
    needed: set[str] = set()
    waiting = [next(op for op in rewritten.ops if op.kind == "slice" and op.inputs[0] == "input" and needed_by(op))]
    while waiting:
        op = waiting.pop()
        waiting += [one for one in rewritten.ops if set(one.outputs) & set(op.inputs) and one.name not in needed]
        needed.add(op.name)
    assert all(any(name.startswith(f"{head}.") for name in needed) for head in heads)


def needed_by(op: Op) -> bool:
    """Whether a slice waits for another tile."""
    return any(name.endswith(".starts") for name in op.inputs)


def test_without_order_nothing_waits() -> None:
    graph = read(residual())
    plan = TilingPlan((FusedGroup(names(graph), (4, 1), "carry"),))
    assert any(isinstance(edit, Slice) and edit.after for edit in lower(graph, plan))
    assert not any(isinstance(edit, Slice) and edit.after for edit in lower(graph, plan, ordered=False))


def test_a_group_of_one_tile_changes_nothing() -> None:
    graph = read(chain((3, 1)))
    assert lower(graph, TilingPlan((FusedGroup(names(graph), (1, 1)),))) == ()


def test_whatever_leaves_the_group_keeps_its_name() -> None:
    graph = read(residual())
    script = lower(graph, TilingPlan((FusedGroup(names(graph)[:2], (2, 2)),)))
    assert [edit for edit in script if isinstance(edit, RemoveOp)] == [RemoveOp(name) for name in names(graph)[:2]]
    made = {edit.output for edit in script if isinstance(edit, Concat)}
    assert graph.ops[1].outputs[0] in made


@pytest.mark.parametrize(
    ("group", "message"),
    (
        (FusedGroup(("c0", "nothing"), (2, 1)), "'nothing'"),
        (FusedGroup(("c2", "pooled"), (2, 1)), "'pooled'"),
        (FusedGroup(("c0", "sum"), (2, 1)), "'sum'"),
        (FusedGroup(("c0",), (99, 1)), "99"),
        (FusedGroup(("c0",), (2, 2), "carry"), "strips"),
    ),
)
def test_a_plan_that_does_not_fit_is_refused(group: FusedGroup, message: str) -> None:
    graph = read(residual(pooled=True))
    with pytest.raises(UnsupportedModelError, match=message):
        lower(graph, TilingPlan((group,)))


def test_an_op_is_in_one_group_only() -> None:
    graph = read(residual())
    with pytest.raises(UnsupportedModelError, match="two groups"):
        lower(graph, TilingPlan((FusedGroup(("c0",), (2, 1)), FusedGroup(("c0", "r0"), (3, 1)))))


def test_names_that_are_taken_are_left_alone() -> None:
    graph = read(chain((3, 1)))
    taken = {**graph.tensors, "x.0.0": replace(graph.tensors["x"], name="x.0.0", is_constant=True)}
    script = lower(replace(graph, tensors=taken), TilingPlan((FusedGroup(names(graph), (2, 1)),)))
    assert "x.0.0" not in {edit.output for edit in script if isinstance(edit, Slice)}


def test_skip_connections_hold_the_same_whatever_order_the_runtime_takes() -> None:
    """What is cut late for them waits, so that no order that the runtime may choose makes it early."""
    graph = read(unet(size=128, width=16))
    plan = TilingPlan((FusedGroup(tuple(op.name for op in graph.ops), (4, 1), "carry"),))
    rewritten = apply(graph, lower(graph, plan))
    few, many = (predict_peak(rewritten, "lean", orders=orders).peak_bytes for orders in (1, 8))
    assert few == many
