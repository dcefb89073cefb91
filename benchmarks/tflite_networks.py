"""Networks of the benchmarks as TFLite models: what `width_networks` makes for ONNX, with channels last.

Convolutions and pools pad as TensorFlow does (SAME). Integer networks are quantized as its converter does it: weights
by channel, activations by the range that they have on one random input.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
import onnx
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from onnx import NodeProto, helper, numpy_helper

Array = npt.NDArray[Any]
Ranges = Mapping[str, tuple[float, float]]

_NONE, _RELU, _RELU6 = (getattr(schema.ActivationFunctionType, name) for name in ("NONE", "RELU", "RELU6"))
_TYPES = {"float32": schema.TensorType.FLOAT32, "int8": schema.TensorType.INT8, "int32": schema.TensorType.INT32}
_VERSIONS = {
    "FULLY_CONNECTED": (1, 4),
    "CONV_2D": (1, 3),
    "DEPTHWISE_CONV_2D": (1, 3),
    "TRANSPOSE_CONV": (3, 3),
    "RESHAPE": (1, 1),
}
"""Of operators, float and of integers; others have 1 and 2."""
_SAME_RANGE = ("MaxPool", "Concat", "Flatten")


def converted(model: onnx.ModelProto) -> bytes:
    """A network of float32."""
    return _Writer(model, None).written()


def quantized(model: onnx.ModelProto) -> bytes:
    """The same network of int8."""
    return _Writer(model, _shared(model, _ranges(converted(model)))).written()


def _ranges(model: bytes) -> dict[str, tuple[float, float]]:
    """The least and the largest value of each tensor on a random input."""
    interpreter = Interpreter(model_content=model, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    value = np.random.default_rng(0).random(given["shape"], dtype=np.float32)
    interpreter.set_tensor(given["index"], value)
    interpreter.invoke()
    found = {}
    for details in interpreter.get_tensor_details():
        try:
            items = interpreter.get_tensor(details["index"])
        except ValueError:  # within the delegate
            continue
        found[details["name"]] = min(float(items.min()), 0.0), max(float(items.max()), 0.0)
    return found


def _shared(model: onnx.ModelProto, ranges: Ranges) -> dict[str, tuple[float, float]]:
    """The ranges, equal for what goes in and out of ops that keep the quantization."""
    found = dict(ranges)
    for _ in model.graph.node:
        for node in model.graph.node:
            if node.op_type in _SAME_RANGE:
                names = [*node.input, *node.output]
                whole = min(found[name][0] for name in names), max(found[name][1] for name in names)
                found |= dict.fromkeys(names, whole)
    return found


class _Writer:
    """The operators and tensors of a model, in the order of the nodes; `ranges` are given for one of integers."""

    def __init__(self, model: onnx.ModelProto, ranges: Ranges | None) -> None:
        self.source, self.ranges = onnx.GraphProto(), ranges
        self.source.CopyFrom(model.graph)
        self.weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        self.readers = Counter(name for node in self.source.node for name in node.input)
        self.model = schema.ModelT(version=3, operatorCodes=[], buffers=[schema.BufferT()], subgraphs=[])
        self.graph = schema.SubGraphT(tensors=[], operators=[], name="main")
        self.model.subgraphs.append(self.graph)
        self.made: dict[str, int] = {}
        self.codes: dict[tuple[str, int], int] = {}

    def written(self) -> bytes:
        given = self.source.input[0]
        batch, channels, *space = (dim.dim_value for dim in given.type.tensor_type.shape.dim)
        self.activation(given.name, (batch, *space, channels))
        nodes = list(self.source.node)
        while nodes:
            node = nodes.pop(0)
            fused = _NONE
            if (
                nodes
                and node.op_type in _FUSES
                and nodes[0].op_type in _ACTIVATIONS
                and self.is_read_by(node, nodes[0])
            ):
                fused = _ACTIVATIONS[nodes[0].op_type]
                node.output[0] = nodes.pop(0).output[0]
            _WRITERS[node.op_type](self, node, fused)
        self.graph.inputs = np.array([self.made[given.name]], np.int32)
        self.graph.outputs = np.array([self.made[self.source.output[0].name]], np.int32)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def is_read_by(self, node: NodeProto, reader: NodeProto) -> bool:
        return node.output[0] == reader.input[0] and self.readers[node.output[0]] == 1

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.graph.tensors[self.made[name]].shape)

    def scale(self, name: str) -> tuple[float, int]:
        """Scale and zero point of an activation."""
        assert self.ranges is not None
        low, high = self.ranges[name]
        scale = max(high - low, 1e-6) / 255
        return scale, int(np.clip(round(-128 - low / scale), -128, 127))

    def activation(self, name: str, shape: Sequence[int]) -> int:
        scale = None if self.ranges is None else self.scale(name)
        dtype = "float32" if self.ranges is None else "int8"
        quantization = None
        if scale is not None:
            quantization = schema.QuantizationParametersT(
                scale=np.array([scale[0]], np.float32), zeroPoint=np.array([scale[1]], np.int64)
            )
        self.made[name] = self.tensor(name, shape, dtype, quantization)
        return self.made[name]

    def tensor(self, name: str, shape: Sequence[int], dtype: str, quantization: Any = None, buffer: int = 0) -> int:
        self.graph.tensors.append(
            schema.TensorT(
                shape=np.array(shape, np.int32), type=_TYPES[dtype], name=name, quantization=quantization, buffer=buffer
            )
        )
        return len(self.graph.tensors) - 1

    def constant(self, name: str, value: Array, scales: Array | None = None, axis: int = 0) -> int:
        self.model.buffers.append(schema.BufferT(data=np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)))
        quantization = None
        if scales is not None:
            quantization = schema.QuantizationParametersT(
                scale=scales.astype(np.float32), zeroPoint=np.zeros(len(scales), np.int64), quantizedDimension=axis
            )
        return self.tensor(name, value.shape, value.dtype.name, quantization, len(self.model.buffers) - 1)

    def weighted(self, node: NodeProto, value: Array, axis: int) -> tuple[int, int]:
        """A weight with its channels on an axis, and the bias."""
        bias = self.weights[node.input[2]]
        if self.ranges is None:
            return self.constant(node.input[1], value), self.constant(node.input[2], bias)
        rest = tuple(place for place in range(value.ndim) if place != axis)
        scales = np.maximum(np.abs(value).max(axis=rest), 1e-6) / 127
        along = [1] * value.ndim
        along[axis] = -1
        stored = np.round(value / scales.reshape(along)).astype(np.int8)
        sums = scales * self.scale(node.input[0])[0]
        steps = np.round(bias / sums).astype(np.int32)
        return self.constant(node.input[1], stored, scales, axis), self.constant(node.input[2], steps, sums)

    def add(self, builtin: str, inputs: Sequence[int], output: int, options: Any) -> None:
        version = _VERSIONS.get(builtin, (1, 2))[self.ranges is not None]
        number = getattr(schema.BuiltinOperator, builtin)
        if (builtin, version) not in self.codes:
            self.codes[builtin, version] = len(self.codes)
            self.model.operatorCodes.append(schema.OperatorCodeT(number, None, version, number))
        self.graph.operators.append(
            schema.OperatorT(
                opcodeIndex=self.codes[builtin, version], inputs=np.array(inputs, np.int32),
                outputs=np.array([output], np.int32), builtinOptions=options,
                builtinOptionsType=getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T")),
            )
        )  # fmt: skip


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def _halved(shape: Sequence[int], stride: Sequence[int], channels: int) -> tuple[int, ...]:
    return shape[0], -(-shape[1] // stride[0]), -(-shape[2] // stride[1]), channels


def _conv(writer: _Writer, node: NodeProto, fused: int) -> None:
    found, weight = _attributes(node), writer.weights[node.input[1]]
    stride, given = found["strides"], writer.made[node.input[0]]
    made = _halved(writer.shape(node.input[0]), stride, len(weight))
    numbers = {
        "padding": schema.Padding.SAME, "strideH": stride[0], "strideW": stride[1], "dilationHFactor": 1,
        "dilationWFactor": 1, "fusedActivationFunction": fused,
    }  # fmt: skip
    if found["group"] > 1:
        operands = writer.weighted(node, weight.transpose(1, 2, 3, 0), 3)
        options: Any = schema.DepthwiseConv2DOptionsT(depthMultiplier=1, **numbers)
        writer.add("DEPTHWISE_CONV_2D", [given, *operands], writer.activation(node.output[0], made), options)
        return
    operands = writer.weighted(node, weight.transpose(0, 2, 3, 1), 0)
    options = schema.Conv2DOptionsT(**numbers)
    writer.add("CONV_2D", [given, *operands], writer.activation(node.output[0], made), options)


def _transposed(writer: _Writer, node: NodeProto, fused: int) -> None:
    stride, weight = _attributes(node)["strides"], writer.weights[node.input[1]].transpose(1, 2, 3, 0)
    batch, height, width, _ = writer.shape(node.input[0])
    made = (batch, height * stride[0], width * stride[1], len(weight))
    weights, bias = writer.weighted(node, weight, 0)
    options = schema.TransposeConvOptionsT(padding=schema.Padding.VALID, strideH=stride[0], strideW=stride[1])
    sizes = writer.constant(f"{node.name}_size", np.array(made, np.int32))
    writer.add(
        "TRANSPOSE_CONV", [sizes, weights, writer.made[node.input[0]], bias], writer.activation(node.output[0], made),
        options,
    )  # fmt: skip


def _max_pool(writer: _Writer, node: NodeProto, fused: int) -> None:
    found, shape = _attributes(node), writer.shape(node.input[0])
    stride, kernel = found["strides"], found["kernel_shape"]
    options = schema.Pool2DOptionsT(
        padding=schema.Padding.SAME, strideH=stride[0], strideW=stride[1], filterHeight=kernel[0],
        filterWidth=kernel[1],
    )  # fmt: skip
    made = writer.activation(node.output[0], _halved(shape, stride, shape[3]))
    writer.add("MAX_POOL_2D", [writer.made[node.input[0]]], made, options)


def _sum(writer: _Writer, node: NodeProto, fused: int) -> None:
    made = writer.activation(node.output[0], writer.shape(node.input[0]))
    inputs = [writer.made[name] for name in node.input]
    writer.add("ADD", inputs, made, schema.AddOptionsT(fusedActivationFunction=fused, potScaleInt16=False))


def _concat(writer: _Writer, node: NodeProto, fused: int) -> None:
    shapes = [writer.shape(name) for name in node.input]
    made = writer.activation(node.output[0], (*shapes[0][:3], sum(shape[3] for shape in shapes)))
    writer.add("CONCATENATION", [writer.made[name] for name in node.input], made, schema.ConcatenationOptionsT(axis=3))


def _mean(writer: _Writer, node: NodeProto, fused: int) -> None:
    shape = writer.shape(node.input[0])
    axes = writer.constant(f"{node.name}_axes", np.array([1, 2], np.int32))
    made = writer.activation(node.output[0], (shape[0], 1, 1, shape[3]))
    writer.add("MEAN", [writer.made[node.input[0]], axes], made, schema.ReducerOptionsT(keepDims=True))


def _flatten(writer: _Writer, node: NodeProto, fused: int) -> None:
    batch, *rest = writer.shape(node.input[0])
    target = writer.constant(f"{node.name}_shape", np.array([batch, -1], np.int32))
    made = writer.activation(node.output[0], (batch, int(np.prod(rest))))
    writer.add("RESHAPE", [writer.made[node.input[0]], target], made, schema.ReshapeOptionsT())


def _dense(writer: _Writer, node: NodeProto, fused: int) -> None:
    """Columns behind a flattened map go where its channels are the last."""
    weight = writer.weights[node.input[1]]
    maker = next((one for one in writer.source.node if one.output[0] == node.input[0]), None)
    if maker is not None and maker.op_type == "Flatten":
        _, height, width, channels = writer.shape(maker.input[0])
        weight = weight.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(len(weight), -1)
    operands = writer.weighted(node, weight, 0)
    made = writer.activation(node.output[0], (1, len(weight)))
    options = schema.FullyConnectedOptionsT(fusedActivationFunction=fused)
    writer.add("FULLY_CONNECTED", [writer.made[node.input[0]], *operands], made, options)


_FUSES = ("Conv", "Gemm", "Add")
_ACTIVATIONS = {"Relu": _RELU, "Clip": _RELU6}
_WRITERS: dict[str, Callable[[_Writer, NodeProto, int], None]] = {
    "Conv": _conv,
    "ConvTranspose": _transposed,
    "MaxPool": _max_pool,
    "Add": _sum,
    "Concat": _concat,
    "GlobalAveragePool": _mean,
    "Flatten": _flatten,
    "Gemm": _dense,
}
