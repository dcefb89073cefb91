"""What channels of a group hold as the network runs: whether they stay out of every output.

From what they hold in constants on this follows them op by op: they are zero, or some finite number. Ops that read them
multiply them by zeros of their weights, which takes a finite number out. Where an op looks across the channels (a mean,
a softmax), or could make infinity or NaN of them, they do not stay out.

New channels hold the members' `fill` in constants; where these stay out, the group can grow.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType

from edgewright.graph.channel_weighted import channel_axis, weight_axes
from edgewright.graph.channels import Member
from edgewright.graph.types import Graph, Op


class Value(IntEnum):
    """What channels hold: zero, some finite number, or what can't be said."""

    ZERO = 0
    FINITE = 1
    UNSAFE = 2


_ZERO, _FINITE, _UNSAFE = Value.ZERO, Value.FINITE, Value.UNSAFE

_KEEPS_ZERO = frozenset(
    {"relu", "leaky_relu", "prelu", "hard_swish", "tanh", "elu", "selu", "celu", "softsign", "mish", "gelu", "swish",
     "thresholded_relu", "abs", "neg", "floor", "ceil", "round", "sign", "sin", "tan", "sinh", "asinh", "atan", "erf",
     "fast_gelu", "quick_gelu", "bias_gelu", "relu6", "square", "sqrt", "asin", "atanh"}
)  # fmt: skip
_FINITE_OF_ANY = frozenset(
    {"sigmoid", "hard_sigmoid", "softplus", "clip", "exp", "cos", "cosh", "not", "is_nan", "is_inf", "shrink",
     "bitwise_not", "logistic", "sign_bit"}
)  # fmt: skip
_FINITE_OF_ZERO = frozenset({"acos"})
_ONLY_OF_ZERO = frozenset({"sqrt", "asin", "atanh"})
_DIVISIONS = frozenset({"div", "mod", "floor_div"})
_SUMS = frozenset({"add", "sub", "min", "max", "minimum", "maximum", "mean", "where", "prelu", "squared_difference"})
_TRUTHS = frozenset(
    {"and", "or", "xor", "equal", "not_equal", "greater", "less", "greater_or_equal", "less_or_equal", "greater_equal",
     "less_equal"}
)  # fmt: skip
_ADDS_UP = frozenset({"sum", "l1", "l2", "sum_square"})
_REDUCES_ZERO = _ADDS_UP | {"mean", "max", "min", "prod"}


Start = Mapping[tuple[str, int], Value]
"""What channels hold in constants, by tensor and axis."""


class Tracer:
    """Some channels of one group: where they lie in each tensor, and what they hold there."""

    def __init__(self, graph: Graph, members: tuple[Member, ...], start: Start) -> None:
        self.graph = graph
        self.axes: defaultdict[str, set[int]] = defaultdict(set)
        self.start = start
        self.values: dict[str, Value] = {}
        for member in members:
            self.axes[member.tensor].add(member.axis)

    def holds(self, name: str, *axes: int) -> bool:
        """Whether they lie in a tensor; with axes, on one of these, which may be counted from the back."""
        if not name or name not in self.axes:
            return False
        rank = len(self.graph.tensors[name].shape)
        return not axes or any(axis % rank in self.axes[name] for axis in axes)

    def value(self, name: str, *axes: int) -> Value:
        """What they hold in a tensor, on these axes or on any; finite where they do not lie there, as for all alike."""
        if not self.holds(name, *axes):
            return _FINITE
        if not self.graph.tensors[name].is_constant:
            return self.values.get(name, _UNSAFE)
        rank = len(self.graph.tensors[name].shape)
        held = self.axes[name] & {axis % rank for axis in axes} if axes else self.axes[name]
        return max(self.start.get((name, axis), _FINITE) for axis in held)

    def is_safe(self, ops: Sequence[Op]) -> bool:
        """Whether they stay out of every output of these ops, which are all that touch the group, in order.

        They are then of no account: without them all outputs are the same.
        """
        for op in ops:
            rule = _RULES.get(op.kind)
            found = _UNSAFE if rule is None else _activated(rule(op, self), op)
            if found is _UNSAFE:
                return False
            self.values |= {name: found for name in op.outputs if self.holds(name)}
        return True


def readers_and_makers(graph: Graph) -> dict[str, list[int]]:
    """Positions of the ops that read or make each tensor."""
    found: dict[str, list[int]] = {}
    for place, op in enumerate(graph.ops):
        for name in (*op.inputs, *op.outputs):
            found.setdefault(name, []).append(place)
    return found


def touched_ops(graph: Graph, members: Sequence[Member], touching: Mapping[str, Sequence[int]]) -> list[Op]:
    """The ops that read or make a tensor of these members, in order of execution."""
    places = {place for member in members for place in touching.get(member.tensor, ())}
    return [graph.ops[place] for place in sorted(places)]


def _activated(value: Value, op: Op) -> Value:
    for name in op.attributes.get("fused", ()):
        if name != "add":
            value = _of_function(name, value, op)
    return value


def _of_function(name: str, value: Value, op: Op) -> Value:
    if value is _UNSAFE:
        return _UNSAFE
    if name == "clip":
        low, high = op.attributes.get("min", 0.0), op.attributes.get("max", 0.0)
        keeps = (low is None or low <= 0) and (high is None or high >= 0)
        return value if keeps else _FINITE
    if name in _KEEPS_ZERO and (value is _ZERO or name not in _ONLY_OF_ZERO):
        return value
    return _FINITE if name in _FINITE_OF_ANY or (name in _FINITE_OF_ZERO and value is _ZERO) else _UNSAFE


def _unary(op: Op, new: Tracer) -> Value:
    values = [new.value(name) for name in op.operands if new.holds(name)]
    return _of_function(op.variant, max(values, default=_FINITE), op)


def _binary(op: Op, new: Tracer) -> Value:
    values = [new.value(name) for name in op.operands if name]
    if op.variant == "mul":
        return min(values)
    if op.variant in _DIVISIONS:
        divisor = op.operands[1]
        safe = not new.holds(divisor) or (new.graph.tensors[divisor].is_constant and new.value(divisor) is _FINITE)
        return values[0] if safe else _UNSAFE
    if op.variant == "pow" and not new.holds(op.operands[1]):
        return _of_power(op.attributes.get("exponent"), values[0])
    if op.variant == "where":
        return max(values[1:])
    if op.variant in _SUMS:
        return max(values)
    return _FINITE if op.variant in _TRUTHS else _UNSAFE


def _of_power(exponent: float | None, value: Value) -> Value:
    if exponent is None or exponent <= 0:
        return _UNSAFE
    return value if value is _ZERO or exponent.is_integer() else _UNSAFE


def _passed(op: Op, new: Tracer) -> Value:
    return max((new.value(name) for name in op.operands if new.holds(name)), default=_FINITE)


def _convolution(op: Op, new: Tracer) -> Value:
    """A zero on either side of the sum over channels takes the other, finite side out."""
    given, weight = op.operands[:2]
    axes = weight_axes(op, new.graph)
    if axes is None:
        return _UNSAFE
    rows, columns = axes
    channel = channel_axis(given, new.graph)
    if not new.holds(weight, columns):  # depthwise, or the output's channels alone
        if _moves_scale(op, new):
            return _UNSAFE
        through = new.value(given) if new.holds(given, channel) else _FINITE
        return max(min(through, new.value(weight, rows)), _bias(op, new))
    if min(new.value(given, channel), new.value(weight, columns)) is not _ZERO or _moves_scale(op, new):
        return _UNSAFE
    return max(new.value(weight, rows), _bias(op, new))


def _moves_scale(op: Op, new: Tracer) -> bool:
    """Whether the operand is quantized as it comes, and new channels could move the range that steers its scale."""
    return op.variant == "dynamic" and new.holds(op.operands[0]) and new.value(op.operands[0]) is not _ZERO


def _matmul(op: Op, new: Tracer) -> Value:
    """As a convolution; what lies on other axes than the one summed over is as large as what it comes from."""
    ranks = [len(new.graph.tensors[name].shape) for name in op.operands[:2]]
    inner = (
        ranks[0] - (2 if op.attributes.get("transpose_a") and ranks[0] > 1 else 1),
        ranks[1] - (1 if op.attributes.get("transpose_b") or ranks[1] == 1 else 2),
    )
    sides = list(zip(op.operands[:2], inner, strict=True))
    is_summed = any(new.holds(name, axis) for name, axis in sides)
    if is_summed and min(new.value(name, axis) for name, axis in sides) is not _ZERO:
        return _UNSAFE
    if _moves_scale(op, new):
        return _UNSAFE
    others = [(name, new.axes[name] - {axis}) for name, axis in sides if new.holds(name)]
    values = [new.value(name, *axes) for name, axes in others if axes]
    combined = max if len(new.axes.get(op.outputs[0], ())) > 1 else min
    return max(combined(values, default=_FINITE), _bias(op, new))


def _bias(op: Op, new: Tracer) -> Value:
    """What is added to new channels of the output."""
    names = [op.inputs[place] for place in _bias_places(op) if place < len(op.inputs)]
    return max((new.value(name) for name in names if name), default=_ZERO)


def _bias_places(op: Op) -> tuple[int, ...]:
    """Positions of a bias and of a sum that was folded in among the inputs."""
    if "conv" in op.kind:
        added = (3,) if "add" in op.attributes.get("fused", ()) else ()
        return {"": (2, *added), "qlinear": (8,)}.get(op.variant, ())
    is_biased = len(op.inputs) != 8  # QLinearMatMul has no bias, QGemm has one
    return {"": (2,), "dynamic": (4,), "integer": (6,), "qlinear": (6,) if is_biased else ()}.get(op.variant, (2,))


def _normalization(op: Op, new: Tracer) -> Value:
    given, *vectors = (name for name in op.inputs if name)
    axes = op.attributes["axes"]
    if "group" not in op.variant and axes and new.holds(given, *axes):
        return _UNSAFE
    if op.variant == "lp_normalization" or op.attributes["epsilon"] <= 0:
        return _UNSAFE
    if op.variant in {"batch_normalization", "instance_normalization"} or "group" in op.variant:
        return max((new.value(name) for name in vectors[:2]), default=_FINITE)
    return _FINITE


def _softmax(op: Op, new: Tracer) -> Value:
    return _UNSAFE if new.holds(op.operands[0], *op.attributes["axes"]) else _FINITE


def _reduction(op: Op, new: Tracer) -> Value:
    given, axes = op.operands[0], op.attributes["axes"]
    value = new.value(given)
    if axes and new.holds(given, *axes) and (value is not _ZERO or op.variant not in _ADDS_UP):
        return _UNSAFE
    if op.variant in _REDUCES_ZERO:
        return value
    return _FINITE if op.variant in {"arg_max", "arg_min", "log_sum_exp"} else _UNSAFE


def _pad(op: Op, new: Tracer) -> Value:
    tensor = new.graph.tensors[op.operands[0]]
    zero = op.attributes.get("input_zero_point") if "int" in tensor.dtype else 0
    is_zero = op.variant != "constant" or op.attributes["value"] == zero
    return max(new.value(tensor.name) if new.holds(tensor.name) else _ZERO, _ZERO if is_zero else _FINITE)


def _gather(op: Op, new: Tracer) -> Value:
    return _UNSAFE if new.holds(op.operands[1]) else new.value(op.operands[0])


def _expand(op: Op, new: Tracer) -> Value:
    return new.value(op.operands[0])


def _quantize(op: Op, new: Tracer) -> Value:
    value = new.value(op.operands[0])
    return _UNSAFE if op.variant == "dynamic_quantize_linear" and value is not _ZERO else value


def _recurrent(op: Op, new: Tracer) -> Value:
    """Units and inputs are multiplied by columns of the weights; whether a unit is zero depends on its functions."""
    given, weight, again = op.inputs[:3]
    if new.holds(weight, 2) and min(new.value(given), new.value(weight, 2)) is not _ZERO:
        return _UNSAFE
    return _UNSAFE if new.holds(again, 2) and new.value(again, 2) is not _ZERO else _FINITE


_RULES: Mapping[str, Callable[[Op, Tracer], Value]] = MappingProxyType(
    {
        **dict.fromkeys(("conv", "depthwise_conv", "transposed_conv"), _convolution),
        **dict.fromkeys(("fully_connected", "matmul"), _matmul),
        **dict.fromkeys(("max_pool", "average_pool", "global_pool", "resize", "concat", "split", "slice"), _passed),
        **dict.fromkeys(("transpose", "reorder", "reshape", "copy", "cast"), _passed),
        **dict.fromkeys(("quantize", "dequantize"), _quantize),
        **dict.fromkeys(("gru", "lstm", "rnn"), _recurrent),
        "unary": _unary,
        "binary": _binary,
        "normalization": _normalization,
        "softmax": _softmax,
        "reduction": _reduction,
        "pad": _pad,
        "gather": _gather,
        "expand": _expand,
    }
)
