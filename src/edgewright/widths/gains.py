"""What each channel group would save by itself at another width: all layers that share it counted."""

from dataclasses import dataclass

from edgewright.graph.types import Graph
from edgewright.timing.model import ExecutionTimeModel
from edgewright.widths.executed import Target
from edgewright.widths.task import Task

WORTHWHILE = 0.005
"""A gain is told where it is this share of the network's time."""


@dataclass(frozen=True)
class GroupGain:
    """A group that is predicted to be faster at another width while all others stay.

    `ops` are the ops of the file that make or read its channels; they take `time_s` as they are, and `saves_s` is what
    the whole network saves.
    """

    group: str
    ops: tuple[str, ...]
    width: int
    faster_width: int
    time_s: float
    saves_s: float


def group_gains(graph: Graph, model: ExecutionTimeModel, target: Target) -> tuple[GroupGain, ...]:
    """The groups of a network for which a nearby width is faster, those that save most first."""
    from edgewright.graph.channel_groups import find_groups

    task = Task.of(graph, find_groups(graph), model, target, float("inf"), float("inf"), {})
    return tuple(sorted((gain for gain in _gains(task) if gain is not None), key=lambda gain: -gain.saves_s))


def _gains(task: Task) -> list[GroupGain | None]:
    whole_s = task.predicted_s(task.original)
    shares = task.frontiers.shares(task.original)
    return [_gain(task, group, whole_s, shares) for group in range(len(task.original))]


def _gain(task: Task, group: int, whole_s: float, shares: tuple[float, ...]) -> GroupGain | None:
    around = tuple(task.options[place] if place == group else (width,) for place, width in enumerate(task.original))
    found = task.frontiers.best(around)
    saves_s = whole_s - found.seconds
    if saves_s < WORTHWHILE * whole_s:
        return None
    layouts = task.frontiers.layouts
    touched = [index for index in range(len(layouts.nodes)) if group in layouts.groups_of(index)]
    return GroupGain(
        task.places.groups[group].name, tuple(layouts.nodes[index].name for index in touched), task.original[group],
        found.widths[group], sum(shares[index] for index in touched), saves_s,
    )  # fmt: skip
