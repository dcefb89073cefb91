"""Networks with the widths that a pruner leaves: each width of an ordinary network times a random ratio.

Four kinds as servers and phones run them, and the same four as small as boards and microcontrollers do. Layers whose
outputs are added share their width, as channels that are coupled are pruned together. Batch normalization
is folded, weights are random.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import onnx
from benchmarks.networks import Network

LEAST_KEPT, MOST_KEPT = 0.6, 0.95
"""The range of the share of channels that is kept, drawn for each width by itself."""


class _Pruned(Network):
    """A network whose widths are drawn from those of the ordinary one."""

    def __init__(self, name: str, size: int, seed: int) -> None:
        super().__init__(name, 3, size, seed)
        self.ratios = np.random.default_rng(seed + 1000)

    def kept(self, width: int) -> int:
        """How many of so many channels are left."""
        return round(width * self.ratios.uniform(LEAST_KEPT, MOST_KEPT))

    def classifier(self, x: str, classes: int) -> onnx.ModelProto:
        """The model, with a fully connected layer behind the mean of a map."""
        x = self.op("GlobalAveragePool", [x], self.channels[x])
        return self.model(self.dense(self.op("Flatten", [x], self.channels[x]), classes), [1, classes])


VGG_STAGES = ((32, 2), (64, 2), (128, 3), (256, 3))
"""Widths and numbers of convolutions between two pools: half as wide as the original."""


def pruned_vgg(seed: int, size: int = 96, stages: tuple[tuple[int, int], ...] = VGG_STAGES) -> onnx.ModelProto:
    """VGG-like (Simonyan and Zisserman, arXiv 1409.1556): chains of 3x3 convolutions."""
    net = _Pruned(f"vgg_{seed}", size, seed)
    x = "input"
    for width, convolutions in stages:
        for _ in range(convolutions):
            x = net.conv(x, net.kept(width))
        x = net.pool(x)
    x = net.op("Flatten", [x], net.channels[x] * (size >> len(stages)) ** 2)
    x = net.dense(x, net.kept(stages[-1][0]))
    return net.model(net.dense(net.op("Relu", [x], net.channels[x]), 100), [1, 100])


def pruned_resnet(seed: int, size: int = 112) -> onnx.ModelProto:
    """ResNet-18 (He et al., arXiv 1512.03385)."""
    net = _Pruned(f"resnet_{seed}", size, seed)
    widths = [net.kept(width) for width in (64, 128, 256, 512)]
    x = net.pool(net.conv("input", widths[0], 7, 2), 3, 2, 1)
    for stage, width in enumerate(widths):
        for block in range(2):
            x = _residual(net, x, net.kept(64 << stage), width, 2 if stage and not block else 1)
    return net.classifier(x, 100)


def pruned_resnet_20(seed: int, size: int = 32) -> onnx.ModelProto:
    """ResNet-20 for CIFAR-10 (He et al., arXiv 1512.03385, section 4.2), skips with 1x1 convolutions."""
    net = _Pruned(f"resnet_20_{seed}", size, seed)
    widths = [net.kept(width) for width in (16, 32, 64)]
    x = net.conv("input", widths[0])
    for stage, width in enumerate(widths):
        for block in range(3):
            x = _residual(net, x, net.kept(16 << stage), width, 2 if stage and not block else 1)
    return net.classifier(x, 10)


def _residual(net: _Pruned, x: str, inner: int, width: int, stride: int) -> str:
    """A block of two 3x3 convolutions, `inner` channels between them, and its skip."""
    y = net.conv(net.conv(x, inner, 3, stride), width, act="")
    skip = net.conv(x, width, 1, stride, act="") if stride > 1 else x
    return net.op("Relu", [net.op("Add", [y, skip], width)], width)


def pruned_mobilenet_v2(seed: int, size: int = 128, narrower: int = 1) -> onnx.ModelProto:
    """MobileNetV2 (Sandler et al., arXiv 1801.04381), its widths divided by `narrower`."""
    net = _Pruned(f"mobilenet_v2_{seed}", size, seed)
    base = 32 // narrower
    x = net.conv("input", net.kept(base), 3, 2, act="Relu6")
    settings = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    for expansion, full_width, blocks, first in settings:
        ordinary = full_width // narrower
        width = net.kept(ordinary)
        for block in range(blocks):
            stride = first if block == 0 else 1
            y = net.conv(x, net.kept(expansion * base), 1, act="Relu6") if expansion > 1 else x
            y = net.conv(y, net.channels[y], 3, stride, groups=net.channels[y], act="Relu6")
            y = net.conv(y, width, 1, act="")
            x = net.op("Add", [x, y], width) if block else y
            base = ordinary
    return net.classifier(net.conv(x, net.kept(1280 // narrower), 1, act="Relu6"), 100)


def pruned_unet(seed: int, size: int = 96, width: int = 16) -> onnx.ModelProto:
    """U-Net (Ronneberger et al., arXiv 1505.04597) with padded convolutions, a quarter as wide by default."""
    net = _Pruned(f"unet_{seed}", size, seed)
    x, skips = "input", []
    for level in range(4):
        x = net.conv(net.conv(x, net.kept(width << level)), net.kept(width << level))
        skips.append(x)
        x = net.pool(x)
    x = net.conv(net.conv(x, net.kept(width << 4)), net.kept(width << 4))
    for level, skip in reversed(list(enumerate(skips))):
        given, made = net.channels[x], net.kept(width << level)
        weights = [net.weight(given, made, 2, 2, scale=(2.0 / given) ** 0.5), net.weight(made, scale=0.1)]
        x = net.op("ConvTranspose", [x, *weights], made, kernel_shape=[2, 2], strides=[2, 2])
        x = net.op("Concat", [skip, x], net.channels[skip] + made, axis=1)
        x = net.conv(net.conv(x, net.kept(width << level)), net.kept(width << level))
    return net.model(net.conv(x, 2, 1, act=""), [1, 2, size, size])


SEEDS = (0, 1, 2)
FAMILIES: dict[str, Callable[[int], onnx.ModelProto]] = {
    "vgg": pruned_vgg,
    "resnet": pruned_resnet,
    "mobilenet_v2": pruned_mobilenet_v2,
    "unet": pruned_unet,
}
"""The four kinds of networks, made from a seed."""
SMALL_FAMILIES: dict[str, Callable[[int], onnx.ModelProto]] = {
    "small_vgg": partial(pruned_vgg, size=64, stages=((16, 2), (32, 2), (64, 3))),
    "small_resnet": pruned_resnet_20,
    "small_mobilenet_v2": partial(pruned_mobilenet_v2, size=96, narrower=2),
    "small_unet": partial(pruned_unet, width=8),
}
"""The same kinds, as small as they are made for small devices."""


def networks(small: bool = False) -> dict[str, Callable[[], onnx.ModelProto]]:
    """Twelve networks of the benchmarks by name: each kind with three seeds."""
    families = SMALL_FAMILIES if small else FAMILIES
    return {f"{name}_{seed}": partial(make, seed) for name, make in families.items() for seed in SEEDS}


def tflite_networks(small: bool = False) -> dict[str, Callable[[], bytes]]:
    """The same networks as TFLite models, and the first of each kind in int8 besides."""
    from benchmarks.tflite_networks import converted, quantized

    found = {name: partial(_written, make, converted) for name, make in networks(small).items()}
    families = SMALL_FAMILIES if small else FAMILIES
    first = {f"{name}_int8_{SEEDS[0]}": partial(make, SEEDS[0]) for name, make in families.items()}
    return found | {name: partial(_written, make, quantized) for name, make in first.items()}


def _written(make: Callable[[], onnx.ModelProto], write: Callable[[onnx.ModelProto], bytes]) -> bytes:
    return write(make())
