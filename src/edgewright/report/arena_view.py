"""The arena of TensorFlow Lite Micro, and what tiling did to it, as data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewright.graph.types import Graph
from edgewright.memory.tflm import ArenaPrediction
from edgewright.report.memory_view import Holder
from edgewright.report.tiling_view import GroupView

if TYPE_CHECKING:
    from edgewright.tiling.plan import TilingPlan


@dataclass(frozen=True)
class BuildView:
    """The arena in one build of the runtime: what `kTensorArenaSize` must hold, and what it is made of.

    `arena_bytes` is head and tail, or what planning needs where that is more; `tail` has the bytes of each category.
    """

    build: str
    arena_bytes: int
    head_bytes: int
    tail_bytes: int
    planning_bytes: int
    tail: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ArenaView:
    """The predicted arena of a network, on a host and on a microcontroller, and who holds its head at the peak.

    `lower_bound_bytes` is the most that lives at once in the order of the file: no planner needs less, unless tensors
    share bytes. `planned_tensors` is how many have a place that was planned offline.
    """

    model: str
    builds: tuple[BuildView, ...]
    peak_op: str
    lower_bound_bytes: int
    weights_bytes: int
    planned_tensors: int
    holders: tuple[Holder, ...]
    timeline_bytes: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class EndView:
    """An input or output that is integers now: the real number is `scale * (stored - zero_point)`."""

    name: str
    is_input: bool
    dtype: str
    scale: float
    zero_point: int


@dataclass(frozen=True)
class ArenaProofView:
    """The interpreter on the file that was written, beside the original: its arena, and outputs on random inputs."""

    used_bytes: int
    head_bytes: int
    tail_bytes: int
    runs: int
    differing: int
    largest_difference: float


@dataclass(frozen=True)
class ArenaTilingView:
    """What `tile` found for an arena. `shared_tensors` lie in another one, or over one that has ended.

    Ratios are those of operations and of predicted time to the network as it was; `files` is the C++ that was written.
    """

    model: str
    out: str
    budget_bytes: int | None
    before: tuple[BuildView, ...]
    after: tuple[BuildView, ...]
    ops_before: int
    ops_after: int
    bytes_before: int
    bytes_after: int
    groups: tuple[GroupView, ...]
    macs_ratio: float
    time_ratio: float
    planned_tensors: int
    shared_tensors: int
    ends: tuple[EndView, ...] = ()
    proof: ArenaProofView | None = None
    files: tuple[str, ...] = ()


def build_view(found: ArenaPrediction) -> BuildView:
    """One build's part of a prediction."""
    return BuildView(
        found.build, found.arena_bytes, found.head_bytes, found.tail_bytes, found.planning_bytes,
        tuple((name, size) for name, size in found.tail if size),
    )  # fmt: skip


def arena_view(model: str, graph: Graph, found: Sequence[ArenaPrediction], planned_tensors: int) -> ArenaView:
    """The view of predictions of one network for several builds."""
    first = found[0]
    total = max(sum(size for _, _, size in first.holders), 1)
    holders = []
    for name, kind, size in first.holders:
        tensor = graph.tensors.get(name) if kind != "scratch" else None
        shape, dtype = (tensor.shape, tensor.dtype) if tensor else ((), "")
        holders.append(Holder(name, kind, shape, dtype, size, size / total))
    return ArenaView(
        model, tuple(map(build_view, found)), first.peak_op, first.lower_bound_bytes, first.weights_bytes,
        planned_tensors, tuple(holders), first.timeline_bytes,
    )  # fmt: skip


def group_views(graph: Graph, plan: "TilingPlan") -> tuple[GroupView, ...]:
    """The groups of a plan, with the shape of what the last op of each makes."""
    makers = {op.name: op for op in graph.ops}
    found = []
    for group in plan.groups:
        last = makers[group.op_names[-1]]
        shape = graph.tensors[last.outputs[0]].shape
        found.append(GroupView(group.op_names[0], last.name, len(group.op_names), group.grid, group.halo, shape))
    return tuple(found)
