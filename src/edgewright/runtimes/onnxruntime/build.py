"""Builds the ONNX model that measures layers: each in a branch of its own.

A branch is source -> layer -> sink. The source slices a shared random input, so that the layer reads what was
just written, as in a network; the sink keeps one item, so that no branch pays for an output of its own. Weights
are made by the runtime itself at loading (ConstantOfShape), which keeps the file small.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import onnx
from onnx import TensorProto, helper

from edgewright.graph.types import LayerSpec, Shape
from edgewright.runtimes.onnxruntime.operators import activate, write

OPSET, IR_VERSION = 20, 9
SOURCE, SINK = "source", "sink_"
_DTYPES = {"float32": TensorProto.FLOAT, "int8": TensorProto.INT8, "uint8": TensorProto.UINT8,
           "int32": TensorProto.INT32, "int64": TensorProto.INT64, "float16": TensorProto.FLOAT16,
           "float64": TensorProto.DOUBLE, "bool": TensorProto.BOOL}  # fmt: skip


class Branch:
    """The nodes of one branch; every name in it ends with the branch's number."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.nodes: list[onnx.NodeProto] = []
        self.sources_items = 0

    def node(self, op: str, inputs: Sequence[str], output: str = "", domain: str = "", **attributes: Any) -> str:
        """Adds a node and returns its output's name, made up where none is given."""
        output = output or f"t{len(self.nodes)}_{self.index}"
        name = f"n{len(self.nodes)}_{self.index}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=name, domain=domain, **attributes))
        return output

    def integers(self, *values: int) -> str:
        return self.node("Constant", [], value_ints=list(values))

    def constant(self, shape: Shape, dtype: str = "float32", value: float = 0.01) -> str:
        """A constant of one value, filled in by the runtime while it loads."""
        of_type = _DTYPES[dtype]
        cell = helper.make_tensor("v", of_type, [1], [value + self.index * 1e-5 if dtype == "float32" else value])
        return self.node("ConstantOfShape", [self.integers(*shape)], value=cell)

    def scalar(self, dtype: str, value: float) -> str:
        return self.node("Constant", [], value=helper.make_tensor("v", _DTYPES[dtype], [], [value]))

    def activation(self, shape: Shape, dtype: str = "float32") -> str:
        """Data of that shape, cut out of the shared input a little further on for every branch."""
        begin = self.index * 16 + len(self.nodes)
        end = begin + prod(shape)
        self.sources_items = max(self.sources_items, end)
        cut = self.node("Slice", [SOURCE, self.integers(begin), self.integers(end)])
        value = self.node("Reshape", [cut, self.integers(*shape)]) if len(shape) != 1 else cut
        if dtype in ("int8", "uint8"):
            return self.node("QuantizeLinear", [value, self.scalar("float32", 0.01), self.scalar(dtype, 0)])
        return value if dtype == "float32" else self.node("Cast", [value], to=_DTYPES[dtype])


def build(layers: Sequence[LayerSpec]) -> bytes:
    """The serialized model of all branches. Raises RuntimeRefusedError for a layer that can't be built."""
    nodes: list[onnx.NodeProto] = []
    outputs, items = [], 1
    for index, layer in enumerate(layers):
        branch = Branch(index)
        _finish(branch, layer, write(branch, layer))
        nodes += branch.nodes
        items = max(items, branch.sources_items)
        outputs.append(helper.make_empty_tensor_value_info(f"{SINK}{index}"))
    source = helper.make_tensor_value_info(SOURCE, TensorProto.FLOAT, [items])
    graph = helper.make_graph(nodes, "layers", [source], outputs)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString())


def _finish(branch: Branch, layer: LayerSpec, output: str) -> None:
    """What is fused comes behind the layer, then the sink."""
    *before, last = layer.fused or ("",)
    if "add" in before or last == "add":
        other = branch.activation(layer.output, layer.dtype)
        if layer.window is not None:  # a blocked layout folds the sum only where both sides are blocked
            channels = layer.output[1]
            ones = (1,) * (len(layer.output) - 2)
            other = branch.node("Conv", [other, branch.constant((channels, 1, *ones))], group=channels)
        output = branch.node("Add", [output, other])
    if last and last != "add":
        output = activate(branch, last, output)
    rank = len(layer.output)
    first = [branch.integers(*[0] * rank), branch.integers(*[1] * rank)] if rank else []
    branch.node("Slice" if rank else "Identity", [output, *first], output=f"{SINK}{branch.index}")
