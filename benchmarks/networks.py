"""Networks of the benchmarks as ONNX models with random weights: time and memory do not depend on them.

Batch normalization is folded, as every exporter for inference does. Weights are scaled (He et al., arXiv 1502.01852) so
that activations stay finite at any depth.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


class Network:
    """Nodes and weights, put one behind the other; tensors go by their names."""

    def __init__(self, name: str, channels: int, size: int, seed: int) -> None:
        self.name = name
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.channels = {"input": channels}
        self.input = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, channels, size, size])

    def op(self, op_type: str, inputs: list[str], channels: int, **attributes: Any) -> str:
        output = f"{op_type.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [output], name=output, **attributes))
        self.channels[output] = channels
        return output

    def weight(self, *shape: int, scale: float) -> str:
        name = f"weight_{len(self.weights)}"
        values = self.random.standard_normal(shape, dtype=np.float32) * np.float32(scale)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def numbers(self, *values: float) -> list[str]:
        """Scalars, as Clip takes its bounds."""
        names = [f"number_{len(self.weights) + i}" for i in range(len(values))]
        self.weights += [numpy_helper.from_array(np.float32(v), n) for v, n in zip(values, names, strict=True)]
        return names

    def conv(self, x: str, channels: int, kernel: int = 3, stride: int = 1, groups: int = 1, act: str = "Relu") -> str:
        per_group = self.channels[x] // groups
        scale = (2.0 / (per_group * kernel * kernel)) ** 0.5
        inputs = [x, self.weight(channels, per_group, kernel, kernel, scale=scale), self.weight(channels, scale=0.1)]
        pad = kernel // 2
        x = self.op(
            "Conv", inputs, channels, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, group=groups
        )
        return self.activation(x, act)

    def activation(self, x: str, kind: str) -> str:
        if not kind:
            return x
        if kind == "Relu6":
            return self.op("Clip", [x, *self.numbers(0.0, 6.0)], self.channels[x])
        extra = {"alpha": 0.1} if kind == "LeakyRelu" else {}
        return self.op(kind, [x], self.channels[x], **extra)

    def pool(self, x: str, kernel: int = 2, stride: int = 2, pad: int = 0) -> str:
        window = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
        return self.op("MaxPool", [x], self.channels[x], **window)

    def dense(self, x: str, features: int) -> str:
        inputs = [x, self.weight(features, self.channels[x], scale=(2.0 / self.channels[x]) ** 0.5)]
        return self.op("Gemm", [*inputs, self.weight(features, scale=0.1)], features, transB=1)

    def model(self, output: str, shape: list[int]) -> onnx.ModelProto:
        made = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, self.name, [self.input], [made], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def yolov2_16(size: int = 608, seed: int = 0) -> onnx.ModelProto:
    """The first 16 layers of YOLOv2 (Redmon and Farhadi, arXiv 1612.08242), as MAFAT takes them (arXiv 2107.06960)."""
    net = Network("yolov2_16", 3, size, seed)
    x = "input"
    for layer in (32, "P", 64, "P", 128, -64, 128, "P", 256, -128, 256, "P", 512, -256, 512, -256):
        x = net.pool(x) if isinstance(layer, str) else net.conv(x, abs(layer), 3 if layer > 0 else 1, act="LeakyRelu")
    return net.model(x, [1, 256, size // 16, size // 16])


def vgg16(size: int = 224, seed: int = 0) -> onnx.ModelProto:
    """VGG-16 (Simonyan and Zisserman, arXiv 1409.1556)."""
    net = Network("vgg16", 3, size, seed)
    x = "input"
    for channels, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convolutions):
            x = net.conv(x, channels)
        x = net.pool(x)
    x = net.op("Flatten", [x], 512 * (size // 32) ** 2)
    for features in (4096, 4096):
        x = net.op("Relu", [net.dense(x, features)], features)
    return net.model(net.dense(x, 1000), [1, 1000])


def resnet50(size: int = 224, seed: int = 0) -> onnx.ModelProto:
    """ResNet-50 (He et al., arXiv 1512.03385), strides in the 3x3 convolutions."""
    net = Network("resnet50", 3, size, seed)
    x = net.pool(net.conv("input", 64, 7, 2), 3, 2, 1)
    for channels, blocks, first in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            stride = first if block == 0 else 1
            y = net.conv(net.conv(x, channels, 1), channels, 3, stride)
            y = net.conv(y, 4 * channels, 1, act="")
            skip = x if block else net.conv(x, 4 * channels, 1, stride, act="")
            x = net.op("Relu", [net.op("Add", [y, skip], 4 * channels)], 4 * channels)
    x = net.op("Flatten", [net.op("GlobalAveragePool", [x], 2048)], 2048)
    return net.model(net.dense(x, 1000), [1, 1000])


def mobilenet_v2(size: int = 224, seed: int = 0) -> onnx.ModelProto:
    """MobileNetV2 at width 1.0 (Sandler et al., arXiv 1801.04381)."""
    net = Network("mobilenet_v2", 3, size, seed)
    x = net.conv("input", 32, 3, 2, act="Relu6")
    settings = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    for expansion, channels, blocks, first in settings:
        for block in range(blocks):
            stride = first if block == 0 else 1
            wide = expansion * net.channels[x]
            y = net.conv(x, wide, 1, act="Relu6") if expansion > 1 else x
            y = net.conv(y, wide, 3, stride, groups=wide, act="Relu6")
            y = net.conv(y, channels, 1, act="")
            x = net.op("Add", [x, y], channels) if block and stride == 1 else y
    x = net.op("GlobalAveragePool", [net.conv(x, 1280, 1, act="Relu6")], 1280)
    return net.model(net.dense(net.op("Flatten", [x], 1280), 1000), [1, 1000])


def unet(size: int = 512, width: int = 32, seed: int = 0) -> onnx.ModelProto:
    """U-Net (Ronneberger et al., arXiv 1505.04597) with padded convolutions and half of its width."""
    net = Network("unet", 3, size, seed)
    x, skips = "input", []
    for level in range(4):
        x = net.conv(net.conv(x, width << level), width << level)
        skips.append(x)
        x = net.pool(x)
    x = net.conv(net.conv(x, width << 4), width << 4)
    for level, skip in reversed(list(enumerate(skips))):
        channels = width << level
        weights = [
            net.weight(2 * channels, channels, 2, 2, scale=(1.0 / channels) ** 0.5),
            net.weight(channels, scale=0.1),
        ]
        x = net.op("ConvTranspose", [x, *weights], channels, kernel_shape=[2, 2], strides=[2, 2])
        x = net.op("Concat", [skip, x], 2 * channels, axis=1)
        x = net.conv(net.conv(x, channels), channels)
    return net.model(net.conv(x, 2, 1, act=""), [1, 2, size, size])


NETWORKS: Mapping[str, Callable[[], onnx.ModelProto]] = {
    "yolov2_16": yolov2_16,
    "mobilenet_v2": mobilenet_v2,
    "resnet50": resnet50,
    "vgg16": vgg16,
    "unet": unet,
}
"""The benchmark networks by name."""
