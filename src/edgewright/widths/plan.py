"""A plan of widths: what changes, as data that can be printed, compared and turned into edits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgewright.graph.channels import ChannelGroup
from edgewright.graph.width_edits import SetWidth
from edgewright.widths.places import Places, Widths


@dataclass(frozen=True)
class WidthChange:
    """A group that takes another width: the channels that stay, and the number of new ones."""

    group: ChannelGroup
    kept: tuple[int, ...]
    added: int

    @property
    def before(self) -> int:
        return self.group.width

    @property
    def after(self) -> int:
        return len(self.kept) + self.added


@dataclass(frozen=True)
class WidthPlan:
    """The changes of a plan; `weights_growth` is the items of all weights after it over those before."""

    changes: tuple[WidthChange, ...]
    weights_growth: float

    @property
    def edits(self) -> tuple[SetWidth, ...]:
        return tuple(SetWidth(change.group, change.kept, change.added) for change in self.changes)

    @property
    def kept(self) -> dict[str, Sequence[int]]:
        """The channels that stay of each group that changes, by its name."""
        return {change.group.name: change.kept for change in self.changes}


def plan_of(places: Places, widths: Widths, dead: Mapping[str, Sequence[int]]) -> WidthPlan:
    """The plan that gives each group its width: wider ones get new channels, narrower ones lose dead ones."""
    changes = []
    for group, width in zip(places.groups, widths, strict=True):
        if width != group.width:
            gone = set(sorted(dead.get(group.name, ()), reverse=True)[: max(group.width - width, 0)])
            kept = tuple(channel for channel in range(group.width) if channel not in gone)
            changes.append(WidthChange(group, kept, width - len(kept)))
    return WidthPlan(tuple(changes), places.weights(widths) / max(places.weights(places.widths), 1))
