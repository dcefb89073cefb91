"""The nodes of one branch of the model that measures layers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import onnx
from onnx import TensorProto, helper

from edgewright.graph.types import Shape

SOURCE = "source"
_BELOW_ZERO = 0.2
"""The share of signed data below zero. The time of PRelu turns on it fourfold; a fifth was chosen on two of the MTCNN
networks, so they do not say how well PRelu is predicted elsewhere."""
_DTYPES = {"float32": TensorProto.FLOAT, "int8": TensorProto.INT8, "uint8": TensorProto.UINT8,
           "int32": TensorProto.INT32, "int64": TensorProto.INT64, "float16": TensorProto.FLOAT16,
           "float64": TensorProto.DOUBLE, "bool": TensorProto.BOOL}  # fmt: skip


class Branch:
    """The nodes of one branch; every name in it ends with the branch's number."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.nodes: list[onnx.NodeProto] = []
        self.sources_items = 0
        self._prefix = ""

    def node(self, op: str, inputs: Sequence[str], output: str = "", domain: str = "", **attributes: Any) -> str:
        """Adds a node and returns its output's name, made up where none is given."""
        output = output or f"{self._prefix}t{len(self.nodes)}_{self.index}"
        name = f"{self._prefix}n{len(self.nodes)}_{self.index}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=name, domain=domain, **attributes))
        return output

    def integers(self, *values: int) -> str:
        return self.node("Constant", [], value_ints=list(values))

    def constant(self, shape: Shape, dtype: str = "float32", value: float = 0.01) -> str:
        """A constant of one value, filled in by the runtime while it loads."""
        of_type = _DTYPES[dtype]
        cell = helper.make_tensor("v", of_type, [1], [value + self.index * 1e-5 if dtype == "float32" else value])
        return self.node("ConstantOfShape", [self.integers(*shape)], value=cell)

    def split(self, value: str, sizes: Sequence[int]) -> str:
        """Splits along the second axis; the name of the first part, the others are outputs that nobody reads."""
        parts = [f"part{part}_{len(self.nodes)}_{self.index}" for part in range(len(sizes))]
        inputs = [value, self.integers(*sizes)]
        self.nodes.append(helper.make_node("Split", inputs, parts, name=f"n{len(self.nodes)}_{self.index}", axis=1))
        return parts[0]

    def cast(self, value: str, dtype: str) -> str:
        return self.node("Cast", [value], to=_DTYPES[dtype])

    def scalar(self, dtype: str, value: float) -> str:
        return self.node("Constant", [], value=helper.make_tensor("v", _DTYPES[dtype], [], [value]))

    def activation(self, shape: Shape, dtype: str = "float32", signed: bool = False) -> str:
        """Data of that shape, cut out of the shared input a little further on for every branch.

        From 0 to 1, or a fifth of it below zero where it is `signed`. The nodes that make it are named as sources, so
        that they are told from the layer.
        """
        with self.sources():
            value = self._sourced(shape, dtype)
            return self.node("Sub", [value, self.scalar(dtype, _BELOW_ZERO)]) if signed else value

    @contextmanager
    def sources(self) -> Iterator[None]:
        """What is added meanwhile is no part of the layer; nodes and tensors are named accordingly."""
        before, self._prefix = self._prefix, f"{SOURCE}_"
        yield
        self._prefix = before

    def _sourced(self, shape: Shape, dtype: str) -> str:
        begin = self.index * 16 + len(self.nodes)
        end = begin + prod(shape)
        self.sources_items = max(self.sources_items, end)
        cut = self.node("Slice", [SOURCE, self.integers(begin), self.integers(end)])
        value = self.node("Reshape", [cut, self.integers(*shape)]) if len(shape) != 1 else cut
        if dtype in ("int8", "uint8"):  # behind an op that a quantization can't be moved across
            value = self.node("Abs", [value])
            return self.node("QuantizeLinear", [value, self.scalar("float32", 0.01), self.scalar(dtype, 0)])
        return value if dtype == "float32" else self.cast(value, dtype)
