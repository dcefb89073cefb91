"""Layers and times of a device that does not exist, whose staircase is therefore known."""

import numpy as np

from edgewright.graph.types import LayerSpec, Window
from edgewright.profile import Measurement, Profile


def conv(
    channels: int, made: int, side: int, kernel: int = 3, groups: int = 1, fused: tuple[str, ...] = ()
) -> LayerSpec:
    """A convolution with `same` padding."""
    pad = kernel // 2
    window = Window((kernel, kernel), (1, 1), (1, 1), ((pad, pad), (pad, pad)))
    kind = "depthwise_conv" if groups == channels > 1 else "conv"
    return LayerSpec(kind, ((1, channels, side, side),), ((1, made, side, side),), window, groups, fused=fused)


def random_convs(count: int, seed: int = 0) -> list[LayerSpec]:
    """Convolutions with half of their channel counts on multiples."""
    random = np.random.default_rng(seed)

    def width() -> int:
        value = int(np.exp(random.uniform(np.log(3), np.log(256))))
        multiple = int(random.choice([1, 1, 4, 8, 16]))
        return max(multiple, value // multiple * multiple)

    sides, kernels = (7, 14, 20, 28, 40, 56), (1, 3, 5)
    return [conv(width(), width(), int(random.choice(sides)), int(random.choice(kernels))) for _ in range(count)]


def staircase_s(layer: LayerSpec) -> float:
    """Few input channels run one way; else multiples of 4 run in blocks of 16 outputs, and the others slowly."""
    (_, channels, height, width), made = layer.input, layer.output[1]
    assert layer.window is not None
    macs_each = channels * layer.window.kernel[0] ** 2 * height * width
    if channels <= 12:
        return 6e-6 + 6e-11 * macs_each * made
    if channels % 4 == 0:
        return 9e-6 + 1e-11 * macs_each * (-(-made // 16) * 16)
    return 4e-6 + 2.5e-11 * macs_each * made + 4e-10 * macs_each


def noisy_profile(layers: list[LayerSpec], noise: float = 0.02, outliers: float = 0.01, seed: int = 0) -> Profile:
    """Measurements of the layers with relative noise, and now and then one that is half as slow again."""
    random = np.random.default_rng(seed)
    measurements = []
    for layer in layers:
        factor = 1 + noise * random.standard_normal() + (0.5 if random.random() < outliers else 0.0)
        measurements.append(Measurement(layer, (staircase_s(layer) * max(factor, 0.5),)))
    return Profile("synthetic", "none", "1", 1, tuple(measurements))
