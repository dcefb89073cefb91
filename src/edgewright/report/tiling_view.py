"""A tiling plan, what is predicted of it and what was measured, as data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewright.graph.types import Graph
from edgewright.tiling.fit_to_memory import Fitted
from edgewright.tiling.plan import FusedGroup, TilingPlan
from edgewright.tiling.prove import Proven

if TYPE_CHECKING:
    from edgewright.profiling.bench import BenchReport, BenchResult


@dataclass(frozen=True)
class GroupView:
    """Fused ops and how they are cut: `grid` is rows and columns of tiles, `shape` that of what the last op makes."""

    first_op: str
    last_op: str
    ops: int
    grid: tuple[int, int]
    halo: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class MeasuredView:
    """A file as it was measured under some memory settings; `ratio` is its time over that of the untiled one under
    the default settings."""

    which: str
    settings: str
    median_s: float
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    peak_bytes: int | None


@dataclass(frozen=True)
class ProofView:
    """Outputs on the same random inputs, and measured figures; `max_relative` is to an output's largest value."""

    outputs_equal: bool
    max_relative: float
    rows: tuple[MeasuredView, ...]
    inside_budget: bool | None
    runtime_version: str
    processor: str


@dataclass(frozen=True)
class RacedView:
    """How a slowdown was measured: so many plans raced the untiled network, both under the settings of the result.

    `ratio` is the time of the one that was taken, with its interval; None where none was fast enough.
    """

    plans: int
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None


@dataclass(frozen=True)
class TilingView:
    """What `tile` found. `device` names the one whose execution-time model told the times; without it they come from
    operations and bytes moved, and only the ratio means anything. `session` is how to get the settings in Python.
    `written_out` names the PRelu ops that became convolutions and relus.
    """

    model: str
    out: str
    settings: str
    device: str | None
    budget_bytes: int | None
    slowdown: float | None
    already_fits: bool
    groups: tuple[GroupView, ...]
    peak_before_bytes: int
    peak_after_bytes: int
    inputs_bytes: int
    weights_bytes: int
    peak_op: str
    time_before_s: float
    time_after_s: float
    time_ratio: float
    macs: int
    extra_macs: int
    extra_percent: float
    session: str
    arena_bytes: int
    proof: ProofView | None = None
    raced: RacedView | None = None
    written_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class FrontierPoint:
    """A plan that none beats in both memory and time; ratios are to the untiled network."""

    peak_bytes: int
    memory_ratio: float
    time_s: float
    time_ratio: float
    extra_percent: float
    groups: tuple[GroupView, ...]


@dataclass(frozen=True)
class FrontierView:
    """The frontier of a network, from the fastest plan to the smallest."""

    model: str
    settings: str
    device: str | None
    points: tuple[FrontierPoint, ...]


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    model: str
    out: str
    settings: str
    device: str | None
    budget_bytes: int | None = None
    slowdown: float | None = None


def tiling_view(
    asked: Request, graph: Graph, found: Fitted, proof: ProofView | None, raced: RacedView | None = None
) -> TilingView:
    """The view of a fitted network."""
    inside = asked.budget_bytes is not None and found.before.peak_bytes <= asked.budget_bytes
    return TilingView(
        asked.model, asked.out, asked.settings, asked.device, asked.budget_bytes, asked.slowdown, inside,
        group_views(graph, found.plan.groups), found.before.peak_bytes, found.after.peak_bytes,
        found.before.inputs_bytes, found.before.weights_bytes, found.after.peak_op,
        found.before_s, found.after_s, found.after_s / found.before_s if found.before_s else 1.0,
        found.macs, found.plan.extra_macs, _percent(found.plan.extra_macs, found.macs),
        _session(asked, found), found.after.arena_bytes, proof, raced, found.plan.written_out,
    )  # fmt: skip


def group_views(graph: Graph, groups: Sequence[FusedGroup]) -> tuple[GroupView, ...]:
    """The groups of a plan."""
    makes = {op.name: op.outputs for op in graph.ops}
    return tuple(
        GroupView(
            group.op_names[0], group.op_names[-1], len(group.op_names), group.grid, group.halo,
            graph.tensors[next(filter(None, makes[group.op_names[-1]]))].shape,
        )
        for group in groups
    )  # fmt: skip


def frontier_view(asked: Request, graph: Graph, plans: Sequence[TilingPlan], macs: int) -> FrontierView:
    """The view of plans that none beats; the largest peak and the least time among them are the untiled network's."""
    peak, time_s = max(plan.peak_bytes for plan in plans), min(plan.predicted_s for plan in plans)
    untiled = next((plan for plan in plans if not plan.groups), None)
    if untiled is not None:
        peak, time_s = untiled.peak_bytes, untiled.predicted_s
    points = tuple(
        FrontierPoint(
            plan.peak_bytes, plan.peak_bytes / max(peak, 1), plan.predicted_s,
            plan.predicted_s / time_s if time_s else 1.0, _percent(plan.extra_macs, macs),
            group_views(graph, plan.groups),
        )
        for plan in plans
    )  # fmt: skip
    return FrontierView(asked.model, asked.settings, asked.device, points)


def proof_view(report: "BenchReport", budget_bytes: int | None) -> ProofView:
    """The view of a comparison whose first half of results are of the untiled file, the others of the tiled one.

    The last result is the one that the promise is about.
    """
    half = len(report.results) // 2
    rows = [_measured("untiled" if i < half else "tiled", result) for i, result in enumerate(report.results)]
    difference = report.results[-1].difference
    peak = report.results[-1].peak_bytes
    return ProofView(
        not report.differences, difference.max_relative if difference else 0.0, tuple(rows),
        None if budget_bytes is None or peak is None else peak <= budget_bytes,
        report.runtime_version, report.processor,
    )  # fmt: skip


def raced_view(proven: Proven[Fitted]) -> RacedView:
    """The view of a race of plans."""
    ratio = proven.ratio
    figures = (ratio.value, ratio.low, ratio.high) if ratio else (None, None, None)
    return RacedView(proven.measured, *figures)


def _measured(which: str, result: "BenchResult") -> MeasuredView:
    ratio = result.ratio
    value, low, high = (ratio.value, ratio.low, ratio.high) if ratio else (None, None, None)
    return MeasuredView(which, result.settings, result.median_s, value, low, high, result.peak_bytes)


def _session(asked: Request, found: Fitted) -> str:
    """How to get the settings; a file that was rewritten says by itself which ones it needs."""
    if asked.settings == "default":
        return ""
    if found.edits:
        return f"edgewright.lean_session({asked.out!r})"
    arena = f", arena_bytes={found.after.arena_bytes}" if asked.settings == "arena" else ""
    return f"edgewright.lean_session({asked.out!r}, {asked.settings!r}{arena})"


def _percent(extra: int, whole: int) -> float:
    return 100 * extra / whole if whole else 0.0
