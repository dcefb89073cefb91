"""How ops with weights pass channels on: convolutions, products, normalizations, recurrent layers."""

from edgewright.graph.channel_ties import Items, Ties
from edgewright.graph.types import Graph, Op, Shape

_GATES = {"gru": 3, "lstm": 4, "rnn": 1}
_STORED_STATES = {"gru": (5,), "lstm": (5, 6), "rnn": (5,)}


def channel_axis(name: str, graph: Graph) -> int:
    """The axis of the channels of a feature map."""
    axes = graph.tensors[name].axes
    return axes.index("C") if "C" in axes else 1


def broadcast(names: tuple[str, ...], output: str, ties: Ties, op: Op) -> None:
    """Tie operands to the output where they are not broadcast; an activation that is stays one item wide."""
    rank = ties.rank(output)
    for axis in range(rank):
        ties.items(output, axis)
    for name in names:
        missing = rank - ties.rank(name)
        for axis, size in enumerate(ties.shape(name)):
            items = ties.items(name, axis)
            if ties.is_constant(name) and size == 1:
                continue  # goes with any width
            if size == ties.shape(output)[axis + missing]:
                ties.tie(items, ties.items(output, axis + missing))
            elif size != 1:
                raise ValueError("sizes that do not fit")
            else:
                ties.fix(items, f"op {op.name!r} broadcasts it")


def weight_axes(op: Op, graph: Graph) -> tuple[int, int] | None:
    """The axes of a convolution's weight for its output's and its input's channels; None where they are not known.

    Weights lie as (out, in, *kernel), (out, *kernel, in) or (*kernel, in, out), those of transposed convolutions as
    (in, out, *kernel), (out, *kernel, in) or (*kernel, out, in), depthwise ones also as (1, *kernel, out).
    """
    shape, kernel = graph.tensors[op.operands[1]].shape, op.window.kernel if op.window is not None else ()
    last = len(shape) - 1
    is_transposed = op.kind == "transposed_conv"
    ways: dict[str, tuple[Shape, tuple[int, int]]] = {
        "first": (shape[2:], (1, 0) if is_transposed else (0, 1)),
        "last": (shape[1:-1], (last, 0) if op.kind == "depthwise_conv" and shape[0] == 1 else (0, last)),
        "behind": (shape[:-2], (last - 1, last) if is_transposed else (last, last - 1)),
    }
    is_last = channel_axis(op.operands[0], graph) > 1
    order = ("last", "behind", "first") if is_last else ("first",)
    return next((axes for way in order for space, axes in [ways[way]] if space == kernel), None)


def convolution(op: Op, ties: Ties) -> None:
    """Columns of the weight go with the input's channels, rows and bias with the output's, in each group alike."""
    given, weight, made = op.operands[0], op.operands[1], op.outputs[0]
    axes = weight_axes(op, ties.graph)
    if axes is None:
        return
    into, out = (ties.items(name, channel_axis(name, ties.graph)) for name in (given, made))
    rows, columns = (ties.items(weight, axis) for axis in axes)
    groups = len(into) // len(columns)
    if len(rows) != len(out) or groups * len(columns) != len(into) or len(out) % max(groups, 1):
        raise ValueError("sizes that do not fit")
    ties.tie(rows, out)
    ties.same((given, made), (0,))
    if groups == 1 and not is_depthwise_weight(axes):
        ties.tie(columns, into)
    elif len(columns) == 1:
        ties.tie(out.reshape(groups, -1), into[:, None])
        ties.fix(columns, f"op {op.name!r} is depthwise")
    else:
        ties.tie(into.reshape(groups, -1), columns)
        _alike(out, groups, ties)
        ties.cut(into[:: len(columns)])
    _vectors(op, out, ties)


def is_depthwise_weight(axes: tuple[int, int]) -> bool:
    """Whether the weight of a convolution has one column before its rows: such an op is depthwise at any width."""
    return axes[1] == 0


def transposed_convolution(op: Op, ties: Ties) -> None:
    """As a convolution, with the weight's rows for the input's channels."""
    given, weight, made = op.operands[0], op.operands[1], op.outputs[0]
    axes = weight_axes(op, ties.graph)
    if axes is None:
        return
    into, out = (ties.items(name, channel_axis(name, ties.graph)) for name in (given, made))
    columns, rows = (ties.items(weight, axis) for axis in axes)
    groups = len(out) // len(columns)
    if len(rows) != len(into) or groups * len(columns) != len(out) or len(into) % max(groups, 1):
        raise ValueError("sizes that do not fit")
    ties.tie(rows, into)
    ties.same((given, made), (0,))
    if groups == 1:
        ties.tie(columns, out)
    elif groups == len(into):
        ties.tie(out.reshape(groups, -1), into[:, None])
        ties.fix(columns, f"op {op.name!r} is depthwise")
    else:
        ties.tie(out.reshape(groups, -1), columns)
        _alike(into, groups, ties)
        ties.cut(out[:: len(columns)])
    _vectors(op, out, ties)


def _alike(items: Items, groups: int, ties: Ties) -> None:
    """Tie the channels of each group to those of the first, as every group has equally many."""
    parts = items.reshape(groups, -1)
    ties.tie(parts[1:], parts[0])
    ties.cut(parts[:, 0])


def _vectors(op: Op, out: Items, ties: Ties) -> None:
    """Bias, scales and zero points with an item for each output channel, and a sum that was folded in."""
    if "add" in op.attributes.get("fused", ()) and not op.variant:
        ties.same((op.inputs[3], op.outputs[0]))
    bias = 2 if not op.variant else 8
    for place, name in enumerate(op.inputs):
        is_vector = bool(name) and name not in op.operands[:2] and ties.is_constant(name)
        if is_vector and ties.shape(name) == out.shape and (len(out) > 1 or place == bias):
            ties.tie(ties.items(name, 0), out)
    if op.variant == "qlinear":
        ties.fill(op.inputs[4], 1.0)


def matmul(op: Op, ties: Ties) -> None:
    """A product of two tensors, either of which may be constant, with leading axes broadcast."""
    left, right = op.operands[:2]
    if op.variant == "n_bits" or not ties.rank(left) or not ties.rank(right):
        return
    made = op.outputs[0]
    rows, inner = (-1, -2) if op.attributes.get("transpose_a") and ties.rank(left) > 1 else (-2, -1)
    down, columns = (-1, -2) if op.attributes.get("transpose_b") else (-2, -1)
    if ties.rank(right) == 1:
        down, columns = -1, 0
    second = ties.items(right, down)
    if ties.shape(left)[inner] == len(second):
        ties.tie(ties.items(left, inner), second)
    elif not _flattened(op, left, second, ties):
        return
    has_rows, has_columns = ties.rank(left) > 1, ties.rank(right) > 1
    if has_rows and ties.rank(made) > has_columns and ties.shape(left)[rows] == ties.shape(made)[-1 - has_columns]:
        ties.tie(ties.items(left, rows), ties.items(made, -1 - has_columns))
    _leading(op, (left, right), has_rows + has_columns, ties)
    if has_columns:
        ties.tie(ties.items(right, columns), ties.items(made, -1))
        _added(op, ties)


def _flattened(op: Op, left: str, inner: Items, ties: Ties) -> bool:
    """Tie the rows of the second operand to a map that is flattened on the way; whether it is one."""
    for first in range(1, ties.rank(left)):
        axes = [axis for axis in range(first, ties.rank(left)) if ties.shape(left)[axis] > 1]
        size = 1
        for axis in axes:
            size *= ties.shape(left)[axis]
        if size == len(inner) and axes:
            ties.combine(inner, [ties.items(left, axis) for axis in axes], f"op {op.name!r} flattens it")
            return True
    return False


def _leading(op: Op, names: tuple[str, str], inner: int, ties: Ties) -> None:
    """Tie the leading axes of a product of stacks of matrices, where neither stack is broadcast."""
    made = op.outputs[0]
    count = ties.rank(made) - inner
    for name in names:
        own = ties.rank(name) - 2
        for axis in range(own if own <= count else 0):
            items, target = ties.items(name, axis), ties.items(made, axis + count - own)
            if len(items) == len(target):
                ties.tie(items, target)
            else:
                ties.fix(items, f"op {op.name!r} broadcasts it")


def _added(op: Op, ties: Ties) -> None:
    """Bias, scales and zero points of a product."""
    made = op.outputs[0]
    others = [name for place, name in enumerate(op.inputs) if name and name not in op.operands[:2] and place > 1]
    if not op.variant:
        broadcast(tuple(others[:1]), made, ties, op)
        return
    out = ties.items(made, -1)
    for name in others:
        if ties.is_constant(name) and ties.shape(name) == (len(out),):
            ties.tie(ties.items(name, 0), out)
            if len(out) == 1:
                ties.fix(out, f"op {op.name!r} has a single column")
    place = {"qlinear": 4, "dynamic": 2, "integer": 3}.get(op.variant, len(op.inputs))
    if op.inputs[place : place + 1] and ties.graph.tensors[op.inputs[place]].dtype.startswith("float"):
        ties.fill(op.inputs[place], 1.0)


def normalization(op: Op, ties: Ties) -> None:
    """Input and output alike; scale, bias and statistics with the axes that they have an item for."""
    given, made = op.operands[0], op.outputs[0]
    ties.same((given, made))
    axes: tuple[int, ...] = (channel_axis(given, ties.graph),)
    if "group" in op.variant:
        channels = ties.items(given, axes[0])
        groups = channels.reshape(op.attributes["groups"], -1)
        ties.tie(groups, groups[:, :1])
        for name in filter(None, op.inputs[1:3]):
            own = ties.items(name, 0)
            ties.tie(own, channels if len(own) == len(channels) else groups[:, 0])
        return
    if op.variant not in {"batch_normalization", "instance_normalization"}:
        axes = op.attributes["axes"]
    if op.variant.startswith("skip"):
        whole = [name for name in (*op.inputs, *op.outputs) if name and ties.shape(name) == ties.shape(given)]
        ties.same(whole)
    for name in filter(None, op.inputs[1:]):
        if not ties.is_constant(name) or ties.rank(name) > len(axes):
            continue
        for axis, place in zip(axes[len(axes) - ties.rank(name) :], range(ties.rank(name)), strict=True):
            if ties.shape(name)[place] == ties.shape(given)[axis]:
                ties.tie(ties.items(name, place), ties.items(given, axis))
    if op.variant == "batch_normalization" and op.inputs[4:5]:
        ties.fill(op.inputs[4], 1.0)


def recurrent(op: Op, ties: Ties) -> None:
    """Hidden units go through all gates of both directions: weights are (directions, gates * hidden, inputs or hidden).

    The axes of directions and steps are as they are.
    """
    given, weight, again = op.inputs[:3]
    hidden = op.attributes["hidden_size"]
    gates = _GATES[op.kind]
    if ties.rank(weight) != 3 or ties.shape(again)[1:] != (gates * hidden, hidden) or ties.rank(given) != 3:
        return
    units = ties.items(again, 2)
    ties.tie(ties.items(given, -1), ties.items(weight, 2))
    blocks = [(weight, gates), (again, gates)]
    if op.inputs[3:4] and op.inputs[3]:
        blocks.append((op.inputs[3], 2 * gates))
    if op.kind == "lstm" and op.inputs[7:8] and op.inputs[7]:
        blocks.append((op.inputs[7], 3))
    for name, count in blocks:
        ties.tie(ties.items(name, 1).reshape(count, hidden), units)
        ties.cut(ties.items(name, 1)[::hidden])
    states = [op.inputs[place] for place in _STORED_STATES[op.kind] if place < len(op.inputs) and op.inputs[place]]
    for name in (*states, *filter(None, op.outputs)):
        ties.tie(ties.items(name, -1), units)
