"""What a network's memory looks like while it runs, as data."""

from dataclasses import dataclass

from edgewright.graph.types import Graph
from edgewright.memory.litert import LitertPeak
from edgewright.memory.liveness import timeline
from edgewright.memory.onnxruntime import PeakPrediction


@dataclass(frozen=True)
class Holder:
    """A tensor that lives at the peak. `kind` is input, tensor, output or scratch, `share` its part of the peak."""

    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    size_bytes: int
    share: float


@dataclass(frozen=True)
class MemoryView:
    """The predicted peak of a network under some settings of the runtime, and who holds it.

    `lower_bound_bytes` is the most that lives at once in the order of the file: without rewriting the network no
    allocator needs less, unless the runtime itself fuses ops. The weights are in none of the figures but their own.
    `timeline_bytes` has what lives while each executed op runs, inputs included; `arena_bytes` is the first region that
    the settings `arena` need.
    """

    model: str
    settings: str
    peak_bytes: int
    peak_op: str
    activations_bytes: int
    outputs_bytes: int
    scratch_bytes: int
    inputs_bytes: int
    overhead_bytes: int
    weights_bytes: int
    lower_bound_bytes: int
    lower_bound_op: str
    holders: tuple[Holder, ...]
    timeline_bytes: tuple[tuple[str, int], ...]
    arena_bytes: int = 0
    runtime: str = "onnxruntime"


def memory_view(model: str, graph: Graph, peak: PeakPrediction) -> MemoryView:
    """The view of a prediction for a network."""
    lives = timeline(graph)
    inputs = [(name, "input", graph.tensors[name].size_bytes) for name in dict.fromkeys(graph.inputs)]
    holders = sorted((*inputs, *peak.holders), key=lambda one: -one[2])
    return MemoryView(
        model, peak.settings, peak.peak_bytes, peak.peak_op, peak.activations_bytes, peak.outputs_bytes,
        peak.scratch_bytes, peak.inputs_bytes, peak.overhead_bytes, peak.weights_bytes,
        lives.peak_bytes, graph.ops[lives.peak_index].name if graph.ops else "",
        tuple(_holder(graph, *one, peak.peak_bytes) for one in holders if one[2]), peak.timeline_bytes,
        peak.arena_bytes,
    )  # fmt: skip


def litert_view(model: str, graph: Graph, peak: LitertPeak) -> MemoryView:
    """The view of a prediction for LiteRT, which holds its arena and XNNPACK's workspace all the time."""
    lives = timeline(graph)
    peak_op = graph.ops[lives.peak_index].name if graph.ops else ""
    inputs = sum(graph.tensors[name].size_bytes for name in dict.fromkeys(graph.inputs))
    outputs = sum(graph.tensors[name].size_bytes for name in dict.fromkeys(graph.outputs))
    kinds = dict.fromkeys(graph.outputs, "output") | dict.fromkeys(graph.inputs, "input")
    holders = sorted(peak.holders, key=lambda one: -one[1])
    return MemoryView(
        model, "default", peak.peak_bytes, peak.workspace.peak_op or peak.arena.peak_op,
        max(peak.peak_bytes - inputs - outputs - peak.overhead_bytes, 0), outputs, 0, inputs, peak.overhead_bytes,
        peak.weights_bytes, lives.peak_bytes, peak_op,
        tuple(_holder(graph, name, kinds.get(name, "tensor"), size, peak.peak_bytes) for name, size in holders),
        tuple((op.name, size) for op, size in zip(graph.ops, lives.live_bytes, strict=True)),
        peak.arena_bytes, "litert",
    )  # fmt: skip


def _holder(graph: Graph, name: str, kind: str, size_bytes: int, peak_bytes: int) -> Holder:
    """Tensors that the runtime makes by itself, and scratch, have no shape in the file."""
    tensor = graph.tensors.get(name.removesuffix(":blocked"))
    shape, dtype = (tensor.shape, tensor.dtype) if tensor is not None else ((), "")
    return Holder(name, kind, shape, dtype, size_bytes, size_bytes / peak_bytes)
