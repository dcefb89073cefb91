"""Small int8 networks for microcontrollers, built op by op: what tiling for an arena is tried on."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tests.formats.tflite.build import Sketch

_SAME = schema.Padding.SAME
_RELU = schema.ActivationFunctionType.RELU


class MicroNetwork:
    """An int8 network while it grows; every layer reads the last one."""

    def __init__(self, size: int = 32, channels: int = 3, float_input: bool = False, seed: int = 0) -> None:
        self.random, self.sketch = np.random.default_rng(seed), Sketch()
        self.shape = (1, size, size, channels)
        self.first = self.last = self._map("image", None if float_input else 0.01)
        if float_input:
            self.last = self._map("quantized", 0.01)
            self.sketch.op("QUANTIZE", [self.first], [self.last], schema.QuantizeOptionsT())

    def conv(self, filters: int, kernel: int = 3, stride: int = 1) -> "MicroNetwork":
        """A convolution with SAME padding and a fused activation."""
        inputs = [
            self.last,
            *self._weights((filters, kernel, kernel, self.shape[3]), 0, kernel * kernel * self.shape[3]),
        ]
        self.shape = (1, *(-(-size // stride) for size in self.shape[1:3]), filters)
        self._to("CONV_2D", inputs, schema.Conv2DOptionsT(
            padding=_SAME, strideH=stride, strideW=stride, dilationHFactor=1, dilationWFactor=1,
            fusedActivationFunction=_RELU,
        ), 3)  # fmt: skip
        return self

    def depthwise(self, stride: int = 1) -> "MicroNetwork":
        """A depthwise convolution of 3x3 with SAME padding."""
        channels = self.shape[3]
        inputs = [self.last, *self._weights((1, 3, 3, channels), 3, 9)]
        self.shape = (1, *(-(-size // stride) for size in self.shape[1:3]), channels)
        self._to("DEPTHWISE_CONV_2D", inputs, schema.DepthwiseConv2DOptionsT(
            padding=_SAME, strideH=stride, strideW=stride, depthMultiplier=1, dilationHFactor=1, dilationWFactor=1,
            fusedActivationFunction=_RELU,
        ), 3)  # fmt: skip
        return self

    def head(self, classes: int = 4, float_output: bool = False) -> bytes:
        """A mean over the map, a fully connected layer; the model."""
        axes = self.sketch.integers(1, 2)
        self.shape = (1, self.shape[3])
        self._to("MEAN", [self.last, axes], schema.ReducerOptionsT(keepDims=False), 2)
        inputs = [self.last, *self._weights((classes, self.shape[1]), None, self.shape[1])]
        self.shape = (1, classes)
        self._to("FULLY_CONNECTED", inputs, schema.FullyConnectedOptionsT(), 4)
        if float_output:
            made = self._map("scores", None)
            self.sketch.op("DEQUANTIZE", [self.last], [made], schema.DequantizeOptionsT(), 2)
            self.last = made
        return self.sketch.finish([self.first], [self.last])

    def _to(self, builtin: str, inputs: list[int], options: object, version: int) -> None:
        made = self._map(f"t{len(self.sketch.graph.tensors)}", 0.02)
        self.sketch.op(builtin, inputs, [made], options, version)
        self.last = made

    def _map(self, name: str, scale: float | None) -> int:
        if scale is None:
            return self.sketch.tensor(name, self.shape)
        return self.sketch.tensor(name, self.shape, "int8", scale, -3)

    def _weights(self, shape: tuple[int, ...], axis: int | None, fan_in: int) -> tuple[int, int]:
        stored = self.random.integers(-127, 128, shape).astype(np.int8)
        outputs = shape[axis or 0]
        scales = self.random.uniform(0.005, 0.02, outputs if axis is not None else 1) / np.sqrt(fan_in)
        bias = self.random.integers(-300, 300, outputs).astype(np.int32)
        weight = self.sketch.constant(stored, scales, axis or 0)
        return weight, self.sketch.constant(bias, scales * 0.01)


def vision(size: int = 32, float_input: bool = False, float_output: bool = False, seed: int = 0) -> bytes:
    """Convolutions whose first maps are by far the largest, as networks for small cameras have them."""
    network = MicroNetwork(size, float_input=float_input, seed=seed)
    network.conv(8, stride=2).depthwise().conv(24, kernel=1).depthwise(stride=2).conv(8, kernel=1)
    return network.conv(16, kernel=1).depthwise(stride=2).conv(16, kernel=1).head(float_output=float_output)
