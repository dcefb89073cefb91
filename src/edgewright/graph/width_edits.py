"""Width edits: the channels of a group that stay, and new ones that change no output."""

from dataclasses import dataclass

from edgewright.graph.channels import ChannelGroup


@dataclass(frozen=True, slots=True)
class SetWidth:
    """Keep these channels of a group, in this order, and put `added` new ones behind them, at every place of the group.

    The groups of a script speak of the network before it, so that several may lie on one axis.
    """

    group: ChannelGroup
    kept: tuple[int, ...]
    added: int = 0

    @property
    def width(self) -> int:
        """The number of channels after the edit."""
        return len(self.kept) + self.added
