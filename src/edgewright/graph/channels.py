"""Channel groups: which axes of which tensors must change width together.

A group is a set of places, each an axis of a tensor, that hold the same channels. Removing a channel of the group, or
adding one, does so at all of its places at once, and the network stays whole.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """Where the channels of a group lie on one axis of one tensor (axes of the tensor as it is stored).

    Channel `c` is at the positions `offset + r * period + c * block + k` for all `r < repeats` and `k < block`:
    `block` items in a row for one channel (a flattened map, a channel multiplier, a head of attention), the whole
    group `repeats` times (the gates of a recurrent layer, the groups of a convolution, a map flattened with channels
    last), from `offset` on (behind other groups of a concatenation).

    `fill` is what a constant holds at the places of a new channel, as a real number: 0, or what keeps the channel zero
    or finite (1 for the variance of a normalization, a divisor, a scale). In a quantized tensor 0 stands for its zero
    point.
    """

    tensor: str
    axis: int
    offset: int = 0
    block: int = 1
    repeats: int = 1
    period: int = 0
    fill: float = 0.0

    def positions(self, channels: Iterable[int]) -> tuple[int, ...]:
        """Positions on the axis of these channels, in the order of the axis where the channels are in order."""
        wanted = tuple(channels)
        return tuple(
            self.offset + repeat * self.period + channel * self.block + item
            for repeat in range(self.repeats)
            for channel in wanted
            for item in range(self.block)
        )


@dataclass(frozen=True, slots=True)
class ChannelGroup:
    """Channels that change together: their number, and every place where they lie.

    `name` is that of the first activation that they lie in, with the range `[start:stop]` behind it where they are not
    all of its channels. Channels can always be removed. Only where `growable` do new ones, made of every member's
    `fill`, leave each output as it was: not where a mean or a maximum is taken over them, for example.
    """

    name: str
    width: int
    members: tuple[Member, ...]
    growable: bool = True
