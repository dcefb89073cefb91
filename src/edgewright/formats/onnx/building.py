"""Nodes for the ops that an edit script inserts."""

from collections.abc import Sequence
from math import isinf, prod

import numpy as np
import onnx
from onnx import AttributeProto, NodeProto, TensorProto

from edgewright.formats.onnx.values import Values
from edgewright.graph.edits import CloneOp, Concat, Pad, Slice
from edgewright.graph.types import Graph, Op
from edgewright.graph.written_out import WriteOut

GATHER_ND = 11
"""The operator set from which on a slice can wait for a tensor."""
_SLICE_BY_INPUTS, _PAD_BY_INPUTS = 10, 11


class Builder:
    """Makes the nodes and constants of edits; `before` and `after` are the graph without and with the script."""

    def __init__(self, opset: int, before: Graph, after: Graph, nodes: Sequence[NodeProto], values: Values) -> None:
        self.opset = opset
        self.before = {op.name: op for op in before.ops}
        self.after = {op.name: op for op in after.ops}
        self.graph = after
        self.sources = {node.name: node for node in nodes}
        self.values = values
        self.constants: list[TensorProto] = []
        self._taken = set(values.types) | set(after.tensors)
        self._written_out: set[str] = set()

    def slice(self, edit: Slice) -> list[NodeProto]:
        """Slice, and the ops that make it wait for a tensor."""
        parts = (edit.starts, edit.ends, edit.axes)
        waits = f"{edit.name}.starts" in self.after
        if self.opset < _SLICE_BY_INPUTS:
            names = ("starts", "ends", "axes")
            attributes = {name: list(part) for name, part in zip(names, parts, strict=True)}
            return [_node("Slice", edit.name, [edit.input], [edit.output], **attributes)]
        if waits:
            bounds = [f"{edit.name}.starts", *(self.integers(f"{edit.name}_{i}", parts[i]) for i in (1, 2))]
        else:
            bounds = [self.integers(f"{edit.name}_{i}", part) for i, part in enumerate(parts)]
        node = _node("Slice", edit.name, [edit.input, *bounds], [edit.output])
        return [*(self._wait(edit) if waits else ()), node]

    def _wait(self, edit: Slice) -> list[NodeProto]:
        name, rank = edit.name, len(self.graph.tensors[edit.after].shape)
        self.constants.append(_int64(f"{name}.index", np.zeros((1, 1, rank), np.int64)))
        self.constants.append(_int64(f"{name}.begin", np.array(edit.starts, np.int64)))
        item, zero, starts = f"{name}.item", f"{name}.zero", f"{name}.starts"
        return [
            _node("GatherND", item, [edit.after, f"{name}.index"], [item]),
            _node("ArgMax", zero, [item], [zero], axis=1, keepdims=0),
            _node("Add", starts, [zero, f"{name}.begin"], [starts]),
        ]

    def pad(self, edit: Pad) -> list[NodeProto]:
        """Pad with a constant."""
        value = float(self.after[edit.name].attributes["value"]) if edit.name in self.after else edit.value
        pads = [pair[0] for pair in edit.padding] + [pair[1] for pair in edit.padding]
        if self.opset < _PAD_BY_INPUTS:
            return [_node("Pad", edit.name, [edit.input], [edit.output], mode="constant", pads=pads, value=value)]
        item = onnx.helper.make_tensor("", self._elem_type(edit.input), [], [_item(value)])
        filler = self.constant(f"{edit.name}_value", item)
        inputs = [edit.input, self.integers(f"{edit.name}_pads", pads), filler]
        return [_node("Pad", edit.name, inputs, [edit.output], mode="constant")]

    def concat(self, edit: Concat) -> list[NodeProto]:
        return [_node("Concat", edit.name, list(edit.inputs), [edit.output], axis=edit.axis)]

    def write_out(self, edit: WriteOut) -> list[NodeProto]:
        """A PRelu as convolutions and relus, and what makes their weights where the first of its tiles needs them."""
        channels = self.graph.tensors[edit.output].shape[1]
        nodes = []
        if edit.source not in self._written_out:
            self._written_out.add(edit.source)
            nodes = self._factors(edit, channels)
        window = {"kernel_shape": [1, 1], "group": channels}
        written = {"depthwise_conv": ("Conv", window), "unary": ("Relu", {}), "binary": ("Add", {})}
        made = ((op, *written[op.kind]) for op in edit.ops(channels))
        return nodes + [_node(kind, op.name, list(op.inputs), list(op.outputs), **more) for op, kind, more in made]

    def _factors(self, edit: WriteOut, channels: int) -> list[NodeProto]:
        """The weights of what is written out; slopes whose values are not known here are turned by the runtime."""
        (minus, factors), given = edit.weights, self.before[edit.source].inputs[1]
        shape = channels, 1, 1, 1
        self.constants.append(onnx.numpy_helper.from_array(np.full(shape, -1, np.float32), minus))
        slopes = self.values.value(given)
        if slopes is not None:
            turned = np.broadcast_to(-slopes.reshape(-1), channels).reshape(shape)
            self.constants.append(onnx.numpy_helper.from_array(turned, factors))
            return []
        to_shape = "Reshape" if prod(self.values.shape(given) or ()) > 1 else "Expand"
        return [
            _node("Neg", f"{factors}.turned", [given], [f"{factors}.turned"]),
            _node(to_shape, factors, [f"{factors}.turned", self.integers(f"{factors}.shape", shape)], [factors]),
        ]

    def clone(self, edit: CloneOp) -> list[NodeProto]:
        """A copy of the source with its own operands, explicit padding and sizes."""
        source, op = self.before[edit.source], self.after[edit.name]
        node = NodeProto()
        node.CopyFrom(self.sources[edit.source])
        node.name = edit.name
        node.input[: len(edit.inputs)] = edit.inputs
        del node.output[:]
        node.output.extend(edit.outputs)
        if op.window is not None:
            _set_padding(node, op)
        elif edit.padding is not None:
            self._set_pads(node, edit)
        for key in ("ceil_mode", "output_padding"):
            if op.attributes.get(key) != source.attributes.get(key):
                _set(node, key, _plain(op.attributes[key]))
        if op.kind == "resize" and len(node.input) > 3 and node.input[3]:
            node.input[3] = self.integers(f"{edit.name}_sizes", self.graph.tensors[edit.outputs[0]].shape)
        if node.op_type == "Reshape":
            self._set_target(node, edit)
        return [node]

    def _set_target(self, node: NodeProto, edit: CloneOp) -> None:
        """The shape that a reshape makes, where it is another one than its source makes."""
        made = self.graph.tensors[edit.outputs[0]].shape
        if made == self.values.shape(self.before[edit.source].outputs[0]):
            return
        if len(node.input) > 1:
            node.input[1] = self.integers(f"{edit.name}_shape", made)
        else:
            _set(node, "shape", list(made))

    def _set_pads(self, node: NodeProto, edit: CloneOp) -> None:
        assert edit.padding is not None
        pads = [pair[0] for pair in edit.padding] + [pair[1] for pair in edit.padding]
        if self.opset < _PAD_BY_INPUTS:
            _set(node, "pads", pads)
            return
        node.input[1] = self.integers(f"{edit.name}_pads", pads)
        del node.input[3:]

    def integers(self, name: str, items: Sequence[int]) -> str:
        """The name of a new constant of integers."""
        return self.constant(name, _int64(name, np.array(items, np.int64)))

    def constant(self, name: str, tensor: TensorProto) -> str:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        tensor.name = name
        self.constants.append(tensor)
        return name

    def _elem_type(self, name: str) -> int:
        """That of a tensor that the script may have made."""
        while name not in self.values.types:
            maker = next(op for op in self.after.values() if name in op.outputs)
            name = maker.inputs[0]
        return int(self.values.types[name].tensor_type.elem_type)


def _item(value: float) -> float | int:
    return value if isinf(value) or value % 1 else int(value)


def _int64(name: str, items: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]") -> TensorProto:
    return onnx.numpy_helper.from_array(items, name)


def _node(op_type: str, name: str, inputs: list[str], outputs: list[str], **attributes: object) -> NodeProto:
    return onnx.helper.make_node(op_type, inputs, outputs, name=name, **attributes)


def _set_padding(node: NodeProto, op: Op) -> None:
    """Write the window's padding out, where the node may leave it to `auto_pad` or to the shape of its output."""
    assert op.window is not None
    kept = [a for a in node.attribute if a.name not in {"auto_pad", "output_shape", "pads"}]
    changed = len(kept) < len(node.attribute) or any(map(any, op.window.padding))
    del node.attribute[:]
    node.attribute.extend(kept)
    if changed:
        _set(node, "pads", [pair[0] for pair in op.window.padding] + [pair[1] for pair in op.window.padding])


def _set(node: NodeProto, name: str, value: int | list[int]) -> None:
    kept: list[AttributeProto] = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])


def _plain(value: object) -> int | list[int]:
    return [int(item) for item in value] if isinstance(value, tuple) else int(bool(value))
