"""Ops that work item by item."""

from collections.abc import Callable, Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any

from torch import fx

from edgewright.formats.torch.calls import Call, Made
from edgewright.formats.torch.export import name_of
from edgewright.formats.torch.storage import Piece

_SELF = ("self", "input")


def _operand(call: Call) -> str:
    return call.name_of(next(call[name] for name in _SELF if name in call.args))


_UNARY: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        "relu": ("relu", {}), "sigmoid": ("sigmoid", {}), "tanh": ("tanh", {}), "elu": ("elu", {"alpha": "alpha"}),
        "leaky_relu": ("leaky_relu", {"negative_slope": "alpha"}), "selu": ("selu", {}),
        "celu": ("celu", {"alpha": "alpha"}), "softplus": ("softplus", {}), "mish": ("mish", {}),
        "gelu": ("gelu", {"approximate": "approximate"}), "hardswish": ("hard_swish", {}), "abs": ("abs", {}),
        "neg": ("neg", {}), "exp": ("exp", {}), "log": ("log", {}), "sqrt": ("sqrt", {}),
        "reciprocal": ("reciprocal", {}), "floor": ("floor", {}), "ceil": ("ceil", {}), "round": ("round", {}),
        "sign": ("sign", {}), "sin": ("sin", {}), "cos": ("cos", {}), "tan": ("tan", {}), "asin": ("asin", {}),
        "acos": ("acos", {}), "atan": ("atan", {}), "sinh": ("sinh", {}), "cosh": ("cosh", {}),
        "asinh": ("asinh", {}), "acosh": ("acosh", {}), "atanh": ("atanh", {}), "erf": ("erf", {}),
        "logical_not": ("not", {}), "bitwise_not": ("bitwise_not", {}), "isnan": ("is_nan", {}),
        "isinf": ("is_inf", {}), "log_sigmoid": ("log_sigmoid", {}), "expm1": ("expm1", {}), "log1p": ("log1p", {}),
        "log2": ("log2", {}), "log10": ("log10", {}), "trunc": ("trunc", {}), "hardshrink": ("shrink", {}),
        "softshrink": ("softshrink", {}), "square": ("square", {}),
    }
)  # fmt: skip


def _unary(call: Call) -> Made:
    variant, words = _UNARY[name_of(call.node)]
    attributes = {to: call[given] for given, to in words.items()}
    return call.op("unary", [_operand(call)], variant, **attributes)


def _hard_sigmoid(call: Call) -> Made:
    return call.op("unary", [_operand(call)], "hard_sigmoid", alpha=1 / 6, beta=0.5)


def _swish(call: Call) -> Made:
    """As runtimes run it: x * sigmoid(x)."""
    given = _operand(call)
    gate = call.op("unary", [given], "sigmoid", part="gate")
    return call.op("binary", [given, gate], "mul")


def _rsqrt(call: Call) -> Made:
    root = call.op("unary", [_operand(call)], "sqrt", part="root")
    return call.op("unary", [root], "reciprocal")


def _clip(call: Call) -> Made:
    low = call.get("min", call.get("min_val"))
    high = call.get("max", call.get("max_val"))
    if name_of(call.node).startswith("relu6"):
        low, high = 0.0, 6.0
    if any(isinstance(bound, fx.Node) for bound in (low, high)):
        raise ValueError("a bound that is computed")
    return call.op("unary", [_operand(call)], "clip", min=_bound(low), max=_bound(high))


def _bound(value: Any) -> float | None:
    return None if value is None or not isfinite(value) else float(value)


def _prelu(call: Call) -> Made:
    """The slopes are constants of (channels, 1, ...), so that they go with the map's axes."""
    given, slopes, rank = _operand(call), call.name_of(call["weight"]), len(call.made)
    items = call.builder.tensors[slopes].items
    if not call.builder.tensors[slopes].is_constant or slopes not in call.builder.storage:
        raise ValueError("slopes that are computed")
    if rank > 2:
        shape = (items, *(1,) * (rank - 2))
        (piece,) = call.builder.storage[slopes]
        view = Piece(piece.parameter, (0, *(None,) * (rank - 2)), (0,) * (rank - 1), shape)
        known = call.builder.tensors.get(f"{slopes}.by_channel")
        is_known = known is not None and known.shape == shape
        slopes = (
            f"{slopes}.by_channel"
            if is_known
            else call.builder.constant(f"{slopes}.by_channel", shape, call.dtype, (view,))
        )
    return call.op("unary", [given, slopes], "prelu")


_BINARY: Mapping[str, str] = MappingProxyType(
    {
        "add": "add", "sub": "sub", "mul": "mul", "div": "div", "pow": "pow", "maximum": "max", "minimum": "min",
        "eq": "equal", "ne": "not_equal", "gt": "greater", "lt": "less", "ge": "greater_or_equal",
        "le": "less_or_equal", "logical_and": "and", "logical_or": "or", "logical_xor": "xor", "bitwise_and": "and",
        "bitwise_or": "or", "bitwise_xor": "xor", "remainder": "mod", "fmod": "mod", "floor_divide": "floor_div",
        "true_divide": "div", "atan2": "atan2",
    }
)  # fmt: skip


def _binary(call: Call) -> Made:
    variant = _BINARY[name_of(call.node)]
    left, right = (call["self"], call["other"] if "other" in call.args else call["exponent"])
    inputs = [call.name_of(left), call.name_of(right)]
    if call.get("rounding_mode") is not None:
        variant = "floor_div"
    alpha = call.get("alpha", 1)
    if alpha != 1:
        number = call.builder.constant(f"{call.name}.number", (), call.dtype)
        shape = call.builder.tensors[inputs[1]].shape
        inputs[1] = call.op("binary", [inputs[1], number], "mul", shape=shape, part="scaled")
    attributes: dict[str, Any] = (
        {"exponent": float(right)} if variant == "pow" and not isinstance(right, fx.Node) else {}
    )
    return call.op("binary", inputs, variant, **attributes)


def _reversed(call: Call) -> Made:
    if call.get("alpha", 1) != 1:
        raise ValueError("a factor of its own")
    return call.op("binary", [call.name_of(call["other"]), call.name_of(call["self"])], "sub")


def _where(call: Call) -> Made:
    return call.op("binary", [call.name_of(call[name]) for name in ("condition", "self", "other")], "where")


def _masked_fill(call: Call) -> Made:
    return call.op("binary", [call.name_of(call[name]) for name in ("mask", "value", "self")], "where")


def _copy(call: Call) -> Made:
    given = call.tensor(next(name for name in _SELF if name in call.args))
    return call.op("copy" if given.dtype == call.dtype else "cast", [given.name])


RULES: Mapping[str, Callable[[Call], Made]] = MappingProxyType(
    {
        **dict.fromkeys(_UNARY, _unary),
        **dict.fromkeys(_BINARY, _binary),
        "hardsigmoid": _hard_sigmoid,
        "silu": _swish,
        "rsqrt": _rsqrt,
        **dict.fromkeys(("clamp", "clamp_min", "clamp_max", "hardtanh", "relu6", "clip"), _clip),
        **dict.fromkeys(("prelu", "_prelu_kernel"), _prelu),
        **dict.fromkeys(("rsub",), _reversed),
        "where": _where,
        "masked_fill": _masked_fill,
        **dict.fromkeys(("clone", "contiguous", "dropout", "native_dropout", "alpha_dropout"), _copy),
        **dict.fromkeys(("feature_dropout", "detach", "detach_", "alias", "lift_fresh_copy"), _copy),
        **dict.fromkeys(("to", "_to_copy", "type_as"), _copy),
    }
)  # fmt: skip
