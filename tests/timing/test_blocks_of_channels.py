"""The staircase of a runtime whose fast case is whole blocks of 32 channels, as XNNPACK's float convolutions are."""

import numpy as np
import pytest
from tests.timing.synthetic import conv

from edgewright.graph.types import LayerSpec
from edgewright.profile import Measurement, Profile
from edgewright.timing import ExecutionTimeModel, fit
from edgewright.timing.staircase import staircase

SAVED = 0.7
"""A whole block takes this share of the time of one that is not."""


def seconds(layer: LayerSpec) -> float:
    made = layer.output[1]
    macs_each = layer.input[1] * layer.input[2] * layer.input[3] * 9
    blocks = -(-made // 32)
    return 5e-6 + 1e-11 * macs_each * 32 * blocks / (1 if made % 32 == 0 else SAVED)


@pytest.fixture(scope="module")
def model() -> ExecutionTimeModel:
    random = np.random.default_rng(1)
    layers = []
    for _ in range(160):
        made = int(random.choice((32, 64, 96, 128))) if random.random() < 0.5 else int(random.integers(4, 128))
        layers.append(conv(int(random.choice((16, 32, 48))), made, int(random.choice((14, 28, 56)))))
    measured = tuple(Measurement(layer, (seconds(layer),), 1) for layer in layers)
    return fit(Profile("device", "litert", "2", 1, measured), max_leaves=3)


@pytest.mark.parametrize("width", [22, 28, 31])
def test_the_next_whole_block_is_the_faster_neighbour(model: ExecutionTimeModel, width: int) -> None:
    found = staircase(model, conv(32, width, 56))
    assert found.faster == 32
    assert found.faster_s is not None
    truth = seconds(conv(32, 32, 56)) / seconds(conv(32, width, 56))
    assert found.faster_s / found.time_s == pytest.approx(truth, rel=0.03)
