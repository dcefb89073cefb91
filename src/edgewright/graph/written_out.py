"""A PRelu written out as ops that need no branch for every item: the same numbers, from convolutions and relus.

relu(x) + (-s) relu(-x) is x where x is positive, and s x where it is not; the other summand is zero, so nothing is
rounded. The products are depthwise convolutions of 1x1. Runtimes compute those and relus, with the sum and one of the
relus as parts of a convolution, in the layout of the convolutions around them; a PRelu they mostly do not.
"""

from dataclasses import dataclass

from edgewright.graph.types import Op, Tensor, Window

_WINDOW = Window((1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)))


@dataclass(frozen=True, slots=True)
class WriteOut:
    """Insert ops that make `output` of `input` as the PRelu `source` would, which has one slope for each channel.

    `NAME.turned` is -x (depthwise_conv), `NAME.negative` relu of that, `NAME.positive` relu of x, `NAME.scaled` what
    is negative times -s (depthwise_conv), and `NAME` the sum (binary add) of both; the outputs of all but the last are
    called like them. The weights are `SOURCE.minus` and `SOURCE.slopes`, which all that is written out of a PRelu
    share.
    """

    name: str
    source: str
    input: str
    output: str

    @property
    def weights(self) -> tuple[str, str]:
        """The names of the weights: -1 and -s for each channel."""
        return f"{self.source}.minus", f"{self.source}.slopes"

    def ops(self, channels: int) -> tuple[Op, ...]:
        """The ops that are inserted, in order."""
        turned, negative, positive, scaled = (f"{self.name}.{part}" for part in _PARTS)
        minus, slopes = self.weights
        return (
            _depthwise(turned, self.input, minus, channels),
            Op(negative, "unary", (turned,), (negative,), None, "relu"),
            Op(positive, "unary", (self.input,), (positive,), None, "relu"),
            _depthwise(scaled, negative, slopes, channels),
            Op(self.name, "binary", (scaled, positive), (self.output,), None, "add"),
        )


_PARTS = ("turned", "negative", "positive", "scaled")


def can_be_written_out(op: Op, slopes: Tensor | None, given: Tensor) -> bool:
    """Whether an op is a PRelu of floats in channels second that has one slope for each channel, or one for all."""
    if (op.kind, op.variant) != ("unary", "prelu") or slopes is None or not slopes.is_constant:
        return False
    if given.dtype != "float32" or given.axes != "NCHW":
        return False
    return slopes.items == 1 or (slopes.items == given.shape[1] and slopes.shape[-3:] == (given.shape[1], 1, 1))


def _depthwise(name: str, given: str, weights: str, channels: int) -> Op:
    return Op(name, "depthwise_conv", (given, weights), (name,), _WINDOW, "", {"groups": channels, "fused": ()})
