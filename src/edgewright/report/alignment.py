"""The view of what `align` found, from its task, its plans and its measurements."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgewright.graph.types import ITEM_BITS
from edgewright.report.align_view import AlignProofView, AlignView, ChangeView, RivalView, TrialView
from edgewright.report.side_by_side import side_by_side
from edgewright.widths.places import Widths
from edgewright.widths.prove import Proven, Trial
from edgewright.widths.task import Task

if TYPE_CHECKING:
    from edgewright.profiling.bench import BenchReport


@dataclass(frozen=True)
class Outcome:
    """All that is known when `align` is done; without `proven` nothing could change, without `report` nothing did."""

    model: str
    out: str | None
    device: str
    task: Task
    plans: Mapping[str, Widths] = field(default_factory=dict)
    proven: Proven | None = None
    report: "BenchReport | None" = None


def align_view(outcome: Outcome) -> AlignView:
    """The outcome as data."""
    task = outcome.task
    before = task.original
    after = outcome.proven.widths if outcome.proven is not None and outcome.out is not None else before
    trials = outcome.proven.trials if outcome.proven is not None else ()
    return AlignView(
        outcome.model, outcome.out, outcome.device, task.max_growth, len(task.places.groups),
        tuple(_trial(task, trial) for trial in trials), _changes(task, after, trials), _rivals(outcome, trials),
        task.plan(after).weights_growth, _weights_bytes(task, before), _weights_bytes(task, after),
        task.predicted_s(before), task.predicted_s(after),
        _proof(outcome.report) if outcome.report is not None else None,
    )  # fmt: skip


def _trial(task: Task, trial: Trial) -> TrialView:
    changed = sum(a != b for a, b in zip(trial.widths, trial.against, strict=True))
    predicted = task.predicted_s(trial.widths) / task.predicted_s(trial.against)
    return TrialView(changed, predicted, trial.ratio.value, trial.ratio.low, trial.ratio.high)


def _rivals(outcome: Outcome, trials: tuple[Trial, ...]) -> tuple[RivalView, ...]:
    """The plans that raced the network as it is."""
    task = outcome.task
    first = {trial.widths: trial.ratio for trial in trials if trial.against == task.original}
    views = []
    for name, widths in outcome.plans.items():
        if widths == task.original:
            continue
        ratio, predicted = first.get(widths), task.predicted_s(widths) / task.predicted_s(task.original)
        measured = (ratio.value, ratio.low, ratio.high) if ratio is not None else (None, None, None)
        views.append(RivalView(name, task.plan(widths).weights_growth, predicted, *measured))
    return tuple(views)


def _changes(task: Task, after: Widths, trials: tuple[Trial, ...]) -> tuple[ChangeView, ...]:
    """Each group that changed, those that are predicted to save most first."""
    whole_s = task.predicted_s(after)
    found = []
    for change in task.plan(after).changes:
        place = task.places.groups.index(change.group)
        without = (*after[:place], change.group.width, *after[place + 1 :])
        gone = change.group.width - len(change.kept)
        found.append(
            ChangeView(
                change.group.name, change.group.width, change.after, gone, change.added,
                1 - whole_s / task.predicted_s(without), _measured_saving(trials, place, change.after, change.before),
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda view: -view.predicted_saving))


def _measured_saving(trials: tuple[Trial, ...], place: int, width: int, before: int) -> float | None:
    """What the latest plan with this width lost when the group alone had its old one."""
    for trial in reversed(trials):
        changed = [g for g, (a, b) in enumerate(zip(trial.widths, trial.against, strict=True)) if a != b]
        if changed == [place] and trial.widths[place] == before and trial.against[place] == width:
            return 1 - 1 / trial.ratio.value
    return None


def _weights_bytes(task: Task, widths: Widths) -> int:
    places = task.places
    constants = ((name, tensor) for name, tensor in places.graph.tensors.items() if tensor.is_constant)
    return sum(places.items(name, widths) * ITEM_BITS.get(tensor.dtype, 0) // 8 for name, tensor in constants)


def _proof(report: "BenchReport") -> AlignProofView:
    difference = report.results[1].difference
    assert difference is not None
    return AlignProofView(
        **vars(side_by_side(report)), outputs_equal=difference.same, max_relative=difference.max_relative
    )
