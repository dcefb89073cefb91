"""What new channels of a group hold as the network runs: whether they stay out of every output.

The places of new channels in constants hold the members' `fill`. From there on this follows them op by op: they are
zero, or some finite number. Ops that read them multiply them by zeros of their weights, which takes a finite number
out. Where an op looks across the channels (a mean, a softmax), or could make infinity or NaN of them, the group must
not grow.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from enum import IntEnum
from types import MappingProxyType

from edgewright.graph.channels import Member
from edgewright.graph.types import Graph, Op


class Value(IntEnum):
    """What the places of new channels hold: zero, some finite number, or what can't be said."""

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


class Tracer:
    """The new channels of one group: where they lie in each tensor, and what they hold there."""

    def __init__(self, graph: Graph, members: tuple[Member, ...]) -> None:
        self.graph = graph
        self.axes: defaultdict[str, set[int]] = defaultdict(set)
        self.values: dict[str, Value] = {}
        for member in members:
            self.axes[member.tensor].add(member.axis)
            if graph.tensors[member.tensor].is_constant:
                self.values[member.tensor] = _ZERO if member.fill == 0 else _FINITE

    def holds(self, name: str, *axes: int) -> bool:
        """Whether they lie in a tensor; with axes, on one of these, which may be counted from the back."""
        if not name or name not in self.axes:
            return False
        rank = len(self.graph.tensors[name].shape)
        return not axes or any(axis % rank in self.axes[name] for axis in axes)

    def value(self, name: str) -> Value:
        """What they hold in a tensor; finite where they do not lie in it, as it then serves all channels alike."""
        return self.values.get(name, _FINITE) if self.holds(name) else _FINITE

    def is_safe(self, ops: tuple[Op, ...]) -> bool:
        """Whether they stay out of every output of these ops, which are all that touch the group, in order."""
        for op in ops:
            rule = _RULES.get(op.kind)
            found = _UNSAFE if rule is None else _activated(rule(op, self), op)
            if found is _UNSAFE:
                return False
            self.values |= {name: found for name in op.outputs if self.holds(name)}
        return True


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
        safe = not new.holds(divisor) or new.graph.tensors[divisor].is_constant
        return values[0] if safe else _UNSAFE
    if op.variant == "where":
        return max(values[1:])
    if op.variant in _SUMS:
        return max(values)
    return _FINITE if op.variant in _TRUTHS else _UNSAFE


def _passed(op: Op, new: Tracer) -> Value:
    return max((new.value(name) for name in op.operands if new.holds(name)), default=_FINITE)


def _product(op: Op, new: Tracer) -> Value:
    """Convolutions and products: a zero on either side of the sum takes the other, finite side out."""
    left, right = op.operands[:2]
    values = [new.value(name) for name in (left, right)]
    summed = new.holds(left) and new.holds(right) and op.kind != "depthwise_conv"
    if summed and min(values) is not _ZERO and _is_summed(op, new):
        return _UNSAFE
    if op.variant == "dynamic" and new.holds(left) and new.value(left) is not _ZERO:
        return _UNSAFE
    return max(min(values), _bias(op, new))


def _is_summed(op: Op, new: Tracer) -> bool:
    """Whether new channels lie on an axis that the product sums over."""
    if op.kind not in {"matmul", "fully_connected"}:
        return True
    rank = len(new.graph.tensors[op.operands[0]].shape)
    inner = -2 if op.attributes.get("transpose_a") and rank > 1 else -1
    return new.holds(op.operands[0], inner)


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
    if "group" not in op.variant and new.holds(given, *op.attributes["axes"]) and op.attributes["axes"]:
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
    is_zero = op.variant != "constant" or (op.attributes["value"] == 0 and "int" not in tensor.dtype)
    return max(new.value(tensor.name) if new.holds(tensor.name) else _ZERO, _ZERO if is_zero else _FINITE)


def _gather(op: Op, new: Tracer) -> Value:
    return _UNSAFE if new.holds(op.operands[1]) else new.value(op.operands[0])


def _expand(op: Op, new: Tracer) -> Value:
    return new.value(op.operands[0])


def _quantize(op: Op, new: Tracer) -> Value:
    value = new.value(op.operands[0])
    return _UNSAFE if op.variant == "dynamic_quantize_linear" and value is not _ZERO else value


def _recurrent(op: Op, new: Tracer) -> Value:
    return _FINITE


_RULES: Mapping[str, Callable[[Op, Tracer], Value]] = MappingProxyType(
    {
        **dict.fromkeys(("conv", "depthwise_conv", "transposed_conv", "fully_connected", "matmul"), _product),
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
