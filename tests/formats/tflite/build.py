"""TFLite models put together op by op, through the schema's object API."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

_TYPES = {
    np.dtype(name): getattr(schema.TensorType, name.upper())
    for name in ("float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool")
}
_LARGEST_OLD_CODE = 127


@dataclass
class Sketch:
    """A model of one subgraph while it is put together; tensors are indices."""

    model: Any = field(
        default_factory=lambda: schema.ModelT(
            version=3, operatorCodes=[], buffers=[schema.BufferT()], subgraphs=[], description="tests"
        )
    )
    graph: Any = field(default_factory=lambda: schema.SubGraphT(tensors=[], operators=[], name="main"))

    def __post_init__(self) -> None:
        self.model.subgraphs.append(self.graph)

    def tensor(
        self, name: str, shape: Shape, dtype: str = "float32", scale: Any = None, zero: int = 0, axis: int = 0
    ) -> int:
        """An activation; `scale` is one for all, or one for each item of `axis`."""
        quantization = None
        if scale is not None:
            scales = np.atleast_1d(np.array(scale, np.float32))
            zeros = np.full(scales.shape, zero, np.int64)
            quantization = schema.QuantizationParametersT(scale=scales, zeroPoint=zeros, quantizedDimension=axis)
        one = schema.TensorT(
            shape=np.array(shape, np.int32), type=_TYPES[np.dtype(dtype)], name=name, quantization=quantization
        )
        self.graph.tensors.append(one)
        return len(self.graph.tensors) - 1

    def constant(self, value: Array, scale: Any = None, axis: int = 0, zero: int = 0, name: str = "") -> int:
        index = self.tensor(name or f"c{len(self.graph.tensors)}", value.shape, value.dtype.name, scale, zero, axis)
        self.model.buffers.append(schema.BufferT(data=np.frombuffer(value.tobytes(), np.uint8)))
        self.graph.tensors[index].buffer = len(self.model.buffers) - 1
        return index

    def integers(self, *items: int, shape: Shape | None = None) -> int:
        return self.constant(np.array(items, np.int32).reshape(shape or (len(items),)))

    def op(
        self, builtin: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None, version: int = 1,
        custom: str = "",
    ) -> None:  # fmt: skip
        number = getattr(schema.BuiltinOperator, builtin)
        key = (number, version, custom or None)
        codes = [(code.builtinCode, code.version, code.customCode) for code in self.model.operatorCodes]
        if key not in codes:
            old = min(number, _LARGEST_OLD_CODE)
            self.model.operatorCodes.append(schema.OperatorCodeT(old, custom or None, version, number))
            codes.append(key)
        kind = type(options).__name__.removesuffix("T") if options is not None else "NONE"
        self.graph.operators.append(
            schema.OperatorT(
                opcodeIndex=codes.index(key),
                inputs=np.array(inputs, np.int32),
                outputs=np.array(outputs, np.int32),
                builtinOptionsType=getattr(schema.BuiltinOptions, kind),
                builtinOptions=options,
            )
        )

    def shape(self, index: int) -> Shape:
        return tuple(map(int, self.graph.tensors[index].shape))

    def finish(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        self.graph.inputs = np.array(inputs, np.int32)
        self.graph.outputs = np.array(outputs, np.int32)
        return packed(self.model)


def packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def unpacked(data: bytes) -> Any:
    return schema.ModelT.InitFromPackedBuf(data, 0)


def conv_relu(height: int = 9, is_open: bool = False) -> bytes:
    """A 3x3 convolution and a relu on `height` x 8 pixels of 4 channels."""
    random, sketch = np.random.default_rng(0), Sketch()
    x = sketch.tensor("x", (1, height, 8, 4))
    a, y = sketch.tensor("a", (1, height, 8, 5)), sketch.tensor("y", (1, height, 8, 5))
    weight = sketch.constant(random.standard_normal((5, 3, 3, 4)).astype(np.float32), name="w")
    bias = sketch.constant(random.standard_normal(5).astype(np.float32), name="b")
    options = schema.Conv2DOptionsT(padding=schema.Padding.SAME, strideH=1, strideW=1)
    sketch.op("CONV_2D", [x, weight, bias], [a], options)
    sketch.op("RELU", [a], [y])
    if is_open:
        for index in (x, a, y):
            shape = sketch.shape(index)
            sketch.graph.tensors[index].shape = np.array([1, 1, *shape[2:]], np.int32)
            sketch.graph.tensors[index].shapeSignature = np.array([1, -1, *shape[2:]], np.int32)
    return sketch.finish([x], [y])
