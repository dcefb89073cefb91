"""What groups save by themselves, and prices that were corrected by measurements."""

from typing import cast

import pytest
from tests.tiling.models import chain
from tests.widths.devices import SteppedDevice

from edgewright.formats.onnx import read
from edgewright.graph.channel_groups import find_groups
from edgewright.graph.types import LayerSpec
from edgewright.timing.model import ExecutionTimeModel
from edgewright.widths.gains import group_gains
from edgewright.widths.price import Prices
from edgewright.widths.targets import OnnxRuntimeTarget
from edgewright.widths.task import CORRECTED, FASTEST, Task

DEVICE = cast(ExecutionTimeModel, SteppedDevice(8))
TARGET = OnnxRuntimeTarget(8)


def task_of(channels: int, max_growth: float = 1.5, max_memory_growth: float = 2.0) -> Task:
    graph = read(chain((3, 1), (3, 1), (3, 1), channels=channels))
    return Task.of(graph, find_groups(graph), DEVICE, TARGET, max_growth, max_memory_growth, {})


def test_a_group_counts_all_layers_that_share_it() -> None:
    graph = read(chain((3, 1), (3, 1), (3, 1), channels=15))
    gains = group_gains(graph, DEVICE, TARGET)
    assert gains
    for gain in gains:
        assert (gain.width, gain.faster_width) == (15, 16)
        assert len(gain.ops) >= 2
        assert 0 < gain.saves_s < gain.time_s
    assert [gain.saves_s for gain in gains] == sorted((gain.saves_s for gain in gains), reverse=True)


def test_whole_blocks_have_nothing_to_gain() -> None:
    assert group_gains(read(chain((3, 1), (3, 1), (3, 1), channels=16)), DEVICE, TARGET) == ()


def test_plans_keep_to_the_bound_and_constants_are_among_them() -> None:
    task = task_of(15)
    plans = task.plans()
    assert set(plans) == {FASTEST, "all up to 4", "all up to 8", "all up to 16"}
    assert task.is_light(plans[FASTEST])
    assert all(width % 8 == 0 for width in plans["all up to 8"])
    assert task.predicted_s(plans[FASTEST]) <= task.predicted_s(task.original)
    assert not task_of(15, 1.0).fits(plans["all up to 8"])
    assert CORRECTED not in plans


def test_what_takes_too_much_memory_is_taken_back() -> None:
    free, bound = task_of(15), task_of(15, max_memory_growth=1.0)
    assert free.fastest() != free.original
    assert bound.fits(bound.fastest())
    assert bound.peak_bytes(bound.fastest()) <= bound.peak_bytes(bound.original)


def test_a_measured_layer_counts_as_measured_and_its_like_are_corrected() -> None:
    odd, even, other = (LayerSpec("unary", ((1, n),), ((1, n),), variant=v) for n, v in ((9, "a"), (16, "a"), (9, "b")))
    prices = Prices(DEVICE, 0.0)
    measured = prices.measured({odd: 1.5 * prices.of([odd])})
    assert measured.of([odd]) == pytest.approx(1.5 * prices.of([odd]))
    assert measured.of([even]) == pytest.approx(1.5 * prices.of([even]))
    assert measured.of([other]) == pytest.approx(prices.of([other]))
    far = prices.measured({odd: 50 * prices.of([odd])})
    assert far.of([even]) == pytest.approx(2 * prices.of([even]))
    assert far.of([odd]) == pytest.approx(50 * prices.of([odd]))
