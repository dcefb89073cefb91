"""Recurrent layers as ops, with their weights for both directions in one constant, as ONNX has them."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from torch import fx

from edgewright.formats.torch.calls import Call, module_of
from edgewright.formats.torch.computed import is_computed, is_zero, roots
from edgewright.formats.torch.export import name_of
from edgewright.formats.torch.storage import Piece
from edgewright.graph.types import Op, Shape, Tensor

_KINDS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {"gru": ("gru", 3), "lstm": ("lstm", 4), "rnn_tanh": ("rnn", 1), "rnn_relu": ("rnn", 1)}
)


def first_states(node: fx.Node) -> Sequence[fx.Node]:
    """The states that a recurrent call begins with; none for other calls."""
    target = name_of(node)
    if target not in _KINDS or len(node.args) < 2:
        return ()
    found: Any = node.args[1]
    return tuple(found) if isinstance(found, list | tuple) else (found,)


def read_nodes(node: fx.Node) -> list[fx.Node]:
    """The nodes that a call reads, less the zeros that a recurrent layer begins with, and all that is computed once."""
    if node.op == "call_function" and is_computed(node):
        return []
    left_out = {state for state in first_states(node) if is_zero(state)}
    return [source for source in node.all_input_nodes if source not in left_out]


def _recurrent(call: Call) -> tuple[str, ...]:
    """One layer, in one or both directions; what it makes, under the names of torch's outputs."""
    kind, gates = _KINDS[name_of(call.node)]
    if int(call["num_layers"]) != 1 or len(call.shape("input")) != 3:
        raise ValueError("several layers, or no batch")
    params, directions = call["params"], 2 if call["bidirectional"] else 1
    each = 4 if call["has_biases"] else 2
    if len(params) != each * directions:
        raise ValueError("projected states")
    names = [call.name_of(param) for param in params]
    biases = [names[place::each] for place in (2, 3)] if each == 4 else []
    rows, hidden = call.builder.shapes[names[1]]
    if rows != gates * hidden:
        raise ValueError("projected states")
    weights = [_stacked(call, names[place::each]) for place in (0, 1)]
    given = call.name_of(call["input"])
    if call["batch_first"]:
        batch, steps, features = call.shape("input")
        given = call.op("transpose", [given], shape=(steps, batch, features), part="steps_first", perm=(1, 0, 2))
    made_in = {module_of(root) for state in first_states(call.node) if is_zero(state) for root in roots(state)}
    if made_in - {module_of(call.node)}:
        call.builder.zero_states.add(call.name)
    states = ["" if is_zero(state) else call.name_of(state) for state in first_states(call.node)]
    inputs = [given, *weights, _bias(call, biases) if biases else "", "", *states]
    while not inputs[-1]:
        inputs.pop()
    direction = "bidirectional" if directions == 2 else "forward"
    attributes = {"hidden_size": hidden, "direction": direction, "layout": 0, "linear_before_reset": kind == "gru"}
    return _outputs(call, Op(call.name, kind, tuple(inputs), (), attributes=attributes), directions, hidden)


def _stacked(call: Call, names: Sequence[str]) -> str:
    """The weights of all directions as one constant, called after the first."""
    rows, columns = call.builder.shapes[names[0]]
    pieces = tuple(Piece(name, (None, 0, 1), (place, 0, 0), (1, rows, columns)) for place, name in enumerate(names))
    return _restored(call, names[0], (len(names), rows, columns), pieces)


def _bias(call: Call, biases: Sequence[Sequence[str]]) -> str:
    """Both biases of all directions as one constant, one behind the other."""
    (rows,) = call.builder.shapes[biases[0][0]]
    pieces = tuple(
        Piece(name, (None, 0), (direction, place * rows), (1, rows))
        for place, its in enumerate(biases)
        for direction, name in enumerate(its)
    )
    return _restored(call, biases[0][0], (len(biases[0]), 2 * rows), pieces)


def _restored(call: Call, name: str, shape: Shape, pieces: tuple[Piece, ...]) -> str:
    """A constant of another shape in the place of the parameter that it begins with."""
    call.builder.storage[name] = pieces
    return call.builder.declare(Tensor(name, shape, call.dtype, is_constant=True))


def _outputs(call: Call, op: Op, directions: int, hidden: int) -> tuple[str, ...]:
    """(steps, directions, batch, hidden) brought to (steps, batch, directions * hidden), or with the batch first."""
    steps, batch, _ = call.builder.tensors[op.inputs[0]].shape
    builder, dtype = call.builder, call.dtype
    read = {int(user.args[1]) for user in call.node.users}
    made = [builder.declare(Tensor(call.name, (steps, directions, batch, hidden), dtype))]
    for place, name in enumerate(("last", "cell")[: len(call.values) - 1], 1):
        tensor = Tensor(f"{call.name}.{name}", (directions, batch, hidden), dtype)
        made.append(builder.declare(tensor) if place in read else "")
    while not made[-1]:
        made.pop()
    call.add(Op(op.name, op.kind, op.inputs, tuple(made), attributes=op.attributes))
    found = made[0]
    if 0 in read:
        turned = (steps, batch, directions, hidden)
        found = call.op("transpose", [found], shape=turned, part="turned", perm=(0, 2, 1, 3))
        shape = (steps, batch, directions * hidden)
        found = call.op("reshape", [found], shape=shape, part="joined")
        if call["batch_first"]:
            shape = (batch, steps, directions * hidden)
            found = call.op("transpose", [found], shape=shape, part="batch_first", perm=(1, 0, 2))
    return (found, *made[1:])


RULES: Mapping[str, Callable[[Call], tuple[str, ...]]] = MappingProxyType(dict.fromkeys(_KINDS, _recurrent))
