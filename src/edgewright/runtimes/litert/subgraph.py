"""A TFLite model under construction: tensors and operators, buffers and operator codes."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.formats.tflite.schema import IDENTIFIER, Struct, flatbuffers, schema
from edgewright.graph.types import Shape

_TYPES = MappingProxyType({
    "float32": schema.TensorType.FLOAT32, "int8": schema.TensorType.INT8, "uint8": schema.TensorType.UINT8,
    "int16": schema.TensorType.INT16, "int32": schema.TensorType.INT32, "int64": schema.TensorType.INT64,
    "bool": schema.TensorType.BOOL, "float16": schema.TensorType.FLOAT16,
})  # fmt: skip
_BLOCK = np.random.default_rng(7).standard_normal(4096).astype(np.float32) * 0.05


@dataclass(frozen=True)
class Scale:
    """The quantization of a tensor: one scale, or one for each index of `axis`; the zero point is that of all."""

    scale: float | NDArray[np.float32]
    zero_point: int = 0
    axis: int = 0


ACTIVATION = Scale(0.02)
"""How activations are quantized where an op does not ask for something else."""


class Model:
    """The model around a subgraph."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers, self.model.operatorCodes, self.model.subgraphs = [schema.BufferT()], [], []
        self._codes: dict[int, int] = {}

    def subgraph(self) -> "Subgraph":
        """The subgraph of the model."""
        made = Subgraph(self)
        self.model.subgraphs.append(made.graph)
        return made

    def buffer(self, data: NDArray[Any]) -> int:
        """The number of a buffer that holds the bytes of an array."""
        made = schema.BufferT()
        made.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        self.model.buffers.append(made)
        return len(self.model.buffers) - 1

    def code(self, operator: int) -> int:
        """The number of an operator code."""
        if operator not in self._codes:
            made = schema.OperatorCodeT()
            made.builtinCode, made.deprecatedBuiltinCode, made.version = operator, min(operator, 127), 1
            self._codes[operator] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(made)
        return self._codes[operator]

    def pack(self) -> bytes:
        """The flatbuffer."""
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), file_identifier=IDENTIFIER)
        return bytes(builder.Output())


class Subgraph:
    """The subgraph: every method adds a tensor or an operator and returns the number of the tensor."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.graph = schema.SubGraphT()
        self.graph.name = "main"
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []
        self._made: list[int] = []

    def input(self, shape: Shape, dtype: str = "float32", scale: Scale | None = ACTIVATION) -> int:
        """What the layer before has made, where it has as many items of that type; else an input of the model."""
        for index in self._made:
            made = self.graph.tensors[index]
            if prod(made.shape) == prod(shape) and made.type == _TYPES[dtype]:
                self._made.remove(index)
                if tuple(made.shape) == shape:
                    return index
                inputs = [index, self.integers(*shape)]
                return self.operator(operator_of("RESHAPE"), inputs, shape, dtype, options("Reshape"))
        self.graph.inputs.append(self._tensor(shape, dtype, scale, "input"))
        return int(self.graph.inputs[-1])

    def finish_layer(self, made: Sequence[int]) -> None:
        """Ends a layer that makes these tensors: what it did not read of those before are outputs of the model."""
        self.graph.outputs += self._made
        self._made = list(made)

    def constant(self, values: NDArray[Any], scale: Scale | None = None) -> int:
        return self._tensor(values.shape, str(values.dtype), scale, "constant", self._model.buffer(values))

    def integers(self, *values: int) -> int:
        return self.constant(np.array(values, np.int32))

    def weights(self, shape: Shape, dtype: str = "float32", axis: int = 0, output_axis: int | None = None) -> int:
        """Weights with both signs, quantized by channel along `axis` where they are of 8 bits."""
        items = prod(shape)
        values = np.resize(_BLOCK, items).reshape(shape)
        if dtype == "float32":
            return self.constant(values)
        integers = np.clip(np.round(values * 600), -127, 127).astype(np.int8)
        return self.constant(integers, Scale(np.full(shape[axis], 0.004, np.float32), axis=axis))

    def bias(self, items: int, dtype: str = "float32") -> int:
        """Small; of 32 bits beside weights of 8."""
        if dtype == "float32":
            return self.constant(np.resize(_BLOCK, items))
        scales = np.full(items, np.float32(0.02) * np.float32(0.004), np.float32)
        return self.constant(np.full(items, 5, np.int32), Scale(scales))

    def operator(
        self, operator: int, inputs: Sequence[int], shape: Shape, dtype: str = "float32",
        options: Struct | None = None, scale: Scale | None = ACTIVATION,
    ) -> int:  # fmt: skip
        """An operator of one output."""
        return self.split(operator, inputs, (shape,), dtype, options, scale)[0]

    def split(
        self, operator: int, inputs: Sequence[int], shapes: Sequence[Shape], dtype: str = "float32",
        options: Struct | None = None, scale: Scale | None = ACTIVATION,
    ) -> list[int]:  # fmt: skip
        """An operator of some outputs."""
        made = schema.OperatorT()
        made.opcodeIndex = self._model.code(operator)
        made.inputs = list(inputs)
        made.outputs = [self._tensor(shape, dtype, scale, "made") for shape in shapes]
        if options is not None:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
            made.builtinOptions = options
        self.graph.operators.append(made)
        return list(made.outputs)

    def _tensor(self, shape: Shape, dtype: str, scale: Scale | None, name: str, buffer: int = 0) -> int:
        made = schema.TensorT()
        made.shape, made.type, made.buffer = list(shape), _TYPES[dtype], buffer
        made.name = f"{name}{len(self.graph.tensors)}"
        if scale is not None and dtype in ("int8", "uint8", "int16", "int32"):
            made.quantization = _quantization(scale)
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1


def options(name: str, **values: Any) -> Struct:
    """Builtin options: `options("Conv2D", strideH=1)`."""
    made = getattr(schema, f"{name}OptionsT")()
    for key, value in values.items():
        if not hasattr(made, key):
            raise AttributeError(f"{name}Options has no field {key}")
        setattr(made, key, value)
    return made


def operator_of(name: str) -> int:
    """The number of a builtin operator by its name."""
    return int(getattr(schema.BuiltinOperator, name))


def _quantization(scale: Scale) -> Struct:
    made = schema.QuantizationParametersT()
    scales = np.atleast_1d(np.asarray(scale.scale, np.float32))
    made.scale = scales
    made.zeroPoint = np.full(len(scales), scale.zero_point, np.int64)
    made.quantizedDimension = scale.axis
    return made
