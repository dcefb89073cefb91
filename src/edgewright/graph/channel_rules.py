"""How ops pass channels on: the ops that move items, or work item by item."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from edgewright.graph.channel_reshape import reshape
from edgewright.graph.channel_ties import Ties
from edgewright.graph.channel_weighted import (
    broadcast,
    channel_axis,
    convolution,
    matmul,
    normalization,
    recurrent,
    transposed_convolution,
)
from edgewright.graph.types import Op


def tie_op(op: Op, ties: Ties) -> None:
    """Tie the items that an op pairs, and fix every axis of which nothing is known."""
    understood = understood_axes(op, ties)
    for name in dict.fromkeys(filter(None, (*op.inputs, *op.outputs))):
        for axis in range(ties.rank(name)):
            if (name, axis) not in understood:
                ties.fix(ties.items(name, axis), f"{op.variant or op.kind} op {op.name!r} takes it as it is")


def understood_axes(op: Op, ties: Ties) -> frozenset[tuple[str, int]]:
    """The axes of which it is known how the op passes them on; none where its operands do not fit each other."""
    rule = _RULES.get(op.kind)
    names = filter(None, (*op.inputs, *op.outputs))
    if rule is None or not all(ties.graph.tensors[name].dtype for name in names):
        return frozenset()
    ties.touched.clear()
    try:
        rule(op, ties)
    except (ValueError, KeyError, IndexError):  # operands that do not fit each other
        return frozenset()
    found = frozenset(ties.touched)
    # An output that the rule does not know of (the indices of a pool) changes in a way that is not known either.
    known = {name for name, _ in found}
    return (
        found
        if all(name in known or ties.graph.tensors[name].items < 2 for name in op.outputs if name)
        else frozenset()
    )


def _elementwise(op: Op, ties: Ties) -> None:
    broadcast(tuple(filter(None, op.operands)), op.outputs[0], ties, op)
    if op.variant in {"div", "mod", "floor_div"}:
        ties.fill(op.operands[1], 1.0)


def _same(op: Op, ties: Ties) -> None:
    ties.same((op.operands[0], op.outputs[0]))


def _pool(op: Op, ties: Ties) -> None:
    axis = channel_axis(op.operands[0], ties.graph)
    ties.same((op.operands[0], op.outputs[0]), (0, axis))


def _reduction(op: Op, ties: Ties) -> None:
    given, made = op.operands[0], op.outputs[0]
    axes, keepdims = op.attributes["axes"], op.attributes["keepdims"]
    place = 0
    for axis in range(ties.rank(given)):
        if axis not in axes:
            ties.tie(ties.items(given, axis), ties.items(made, place))
        elif not op.variant.startswith("arg"):
            ties.items(given, axis)
        place += keepdims or axis not in axes


def _concat(op: Op, ties: Ties) -> None:
    _joined(op.outputs[0], op.operands, op.attributes["axis"], ties)


def _split(op: Op, ties: Ties) -> None:
    sizes = op.attributes["sizes"]
    if all(op.outputs) and sum(sizes) == ties.shape(op.operands[0])[op.attributes["axis"]]:
        _joined(op.operands[0], op.outputs, op.attributes["axis"], ties)


def _joined(whole: str, parts: tuple[str, ...], axis: int, ties: Ties) -> None:
    items, start = ties.items(whole, axis), 0
    for part in parts:
        piece = ties.items(part, axis)
        ties.tie(piece, items[start : start + len(piece)])
        ties.cut(items[start : start + 1])
        start += len(piece)
        ties.same((whole, part), [other for other in range(ties.rank(whole)) if other != axis])


def _slice(op: Op, ties: Ties) -> None:
    given, made = op.operands[0], op.outputs[0]
    parts = (op.attributes[key] for key in ("axes", "starts", "ends", "steps"))
    cut = {axis: (start, end, step) for axis, start, end, step in zip(*parts, strict=True)}
    for axis in range(ties.rank(given)):
        start, end, step = cut.get(axis, (0, ties.shape(given)[axis], 1))
        if step != 1:
            continue
        items = ties.items(given, axis)
        ties.tie(items[start:end], ties.items(made, axis))
        ties.cut(items[start : start + 1])
        ties.cut(items[end : end + 1])


def _pad(op: Op, ties: Ties) -> None:
    given, made = op.operands[0], op.outputs[0]
    for axis, (before, after) in enumerate(op.attributes["padding"]):
        if min(before, after) < 0 or (op.variant != "constant" and (before, after) != (0, 0)):
            continue
        items, size = ties.items(made, axis), ties.shape(given)[axis]
        ties.tie(ties.items(given, axis), items[before : before + size])
        ties.cut(items[before : before + 1])
        ties.cut(items[before + size : before + size + 1])


def _resize(op: Op, ties: Ties) -> None:
    given, made = op.operands[0], op.outputs[0]
    kept = [axis for axis, size in enumerate(ties.shape(given)) if ties.shape(made)[axis] == size]
    ties.same((given, made), [axis for axis in kept if op.attributes["scales"][axis] == 1])


def _transpose(op: Op, ties: Ties) -> None:
    for place, axis in enumerate(op.attributes["perm"]):
        ties.tie(ties.items(op.operands[0], axis), ties.items(op.outputs[0], place))


def _reorder(op: Op, ties: Ties) -> None:
    """Blocks of a map to channels or back: the channels of one map are repeated or in blocks in the other's."""
    if op.variant not in {"depth_to_space", "space_to_depth"}:
        return
    given, made = op.operands[0], op.outputs[0]
    ties.same((given, made), (0,))
    deep, flat = (given, made) if op.variant == "depth_to_space" else (made, given)
    many, few = (ties.items(name, channel_axis(name, ties.graph)) for name in (deep, flat))
    if op.attributes.get("mode", "dcr") == "dcr":
        ties.tie(many.reshape(-1, len(few)), few)
        ties.cut(many[:: len(few)])
    else:
        ties.tie(many.reshape(len(few), -1), few[:, None])


def _gather(op: Op, ties: Ties) -> None:
    if op.variant != "gather":
        return
    data, indices = op.operands[:2]
    made, axis, between = op.outputs[0], op.attributes["axis"], ties.rank(indices)
    for place in range(between):
        ties.tie(ties.items(indices, place), ties.items(made, axis + place))
    for place in range(ties.rank(data)):
        if place != axis:
            target = place if place < axis else place + between - 1
            ties.tie(ties.items(data, place), ties.items(made, target))


def _expand(op: Op, ties: Ties) -> None:
    given, made = op.operands[0], op.outputs[0]
    missing = ties.rank(made) - ties.rank(given)
    for axis, size in enumerate(ties.shape(made)):
        before = ties.shape(given)[axis - missing] if axis >= missing else 1
        if before == size:
            if axis >= missing:
                ties.tie(ties.items(given, axis - missing), ties.items(made, axis))
        elif op.variant == "tile":
            items = ties.items(made, axis)
            ties.tie(items.reshape(-1, before), ties.items(given, axis - missing))
            ties.cut(items[::before])
        elif before == 1:
            ties.items(made, axis)


def _quantization(op: Op, ties: Ties) -> None:
    data, made, axis = op.operands[0], op.outputs[0], op.attributes.get("axis")
    ties.same((data, made))
    for name in filter(None, op.inputs[1:3]):
        if axis is not None and ties.shape(name) == ties.shape(data)[axis : axis + 1]:
            ties.tie(ties.items(name, 0), ties.items(data, axis))
        elif np.prod(ties.shape(name)) != 1:  # a scale for each block
            for place in range(ties.rank(data)):
                ties.fix(ties.items(data, place), f"op {op.name!r} has a scale for each block of it")
    if op.inputs[1:2]:
        ties.fill(op.inputs[1], 1.0)


_RULES: Mapping[str, Callable[[Op, Ties], None]] = MappingProxyType(
    {
        **dict.fromkeys(("conv", "depthwise_conv"), convolution),
        **dict.fromkeys(("fully_connected", "matmul"), matmul),
        **dict.fromkeys(("max_pool", "average_pool", "global_pool"), _pool),
        **dict.fromkeys(("unary", "binary"), _elementwise),
        **dict.fromkeys(("copy", "cast", "softmax"), _same),
        **dict.fromkeys(("gru", "lstm", "rnn"), recurrent),
        **dict.fromkeys(("quantize", "dequantize"), _quantization),
        "transposed_conv": transposed_convolution,
        "normalization": normalization,
        "reduction": _reduction,
        "resize": _resize,
        "concat": _concat,
        "split": _split,
        "slice": _slice,
        "pad": _pad,
        "transpose": _transpose,
        "reorder": _reorder,
        "gather": _gather,
        "expand": _expand,
        "reshape": reshape,
    }
)
