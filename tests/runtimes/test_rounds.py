"""Rounds of the harnesses: what they feed, and by which clock they time."""

import time
from types import ModuleType

import numpy as np
import pytest

from edgewright.runtimes.harness import litert_harness, onnxruntime_harness
from edgewright.runtimes.harness.onnxruntime_harness import between, may_be_image, smooth_values


@pytest.fixture(params=[onnxruntime_harness, litert_harness], ids=["onnxruntime", "litert"])
def harness(request: pytest.FixtureRequest) -> ModuleType:
    found: ModuleType = request.param
    return found


@pytest.mark.parametrize("shape", [(1, 3, 64, 48), (2, 64, 48, 3), (1, 3, 17, 16)])
def test_smooth_inputs_are_floats_between_0_and_1_that_vary_little_from_pixel_to_pixel(shape: tuple[int, ...]) -> None:
    values = smooth_values(0, 0, shape)
    assert values.shape == shape and values.dtype == np.float32 and values.flags.c_contiguous
    assert values.min() == 0 and values.max() == pytest.approx(1)
    noise = np.random.default_rng(0).random(shape, dtype=np.float32)
    for axis in sorted(range(1, 4), key=lambda axis: shape[axis])[1:]:
        steps, rough = (float(np.abs(np.diff(each, axis=axis)).mean() / each.std()) for each in (values, noise))
        assert steps < 0.7 * rough


def test_smooth_inputs_follow_the_seed() -> None:
    assert np.array_equal(smooth_values(1, 0, (1, 3, 32, 32)), smooth_values.__wrapped__(1, 0, (1, 3, 32, 32)))
    assert not np.array_equal(smooth_values(1, 0, (1, 3, 32, 32)), smooth_values(2, 0, (1, 3, 32, 32)))


@pytest.mark.parametrize(
    ("shape", "found"),
    [([1, 3, 224, 224], True), ([1, 24, 24, 3], True), ([1, 3, 8, 224], False), ([1, 512], False), ([1, 9, 40], False)],
)
def test_only_maps_with_two_sides_may_be_images(shape: list[int], found: bool) -> None:
    assert may_be_image(shape) == found


def test_a_line_is_drawn_through_values_some_pixels_apart() -> None:
    assert np.allclose(between(7, 3) @ [0.0, 3.0, 0.0, 3.0], [0, 1, 2, 3, 2, 1, 0])


def test_a_round_counts_what_was_computed_or_all_that_passed(harness: ModuleType) -> None:
    harness.KEPT["sleepy"] = lambda: time.sleep(0.02)
    waited, own = (
        harness.time_round(limit_s=0, slot="sleepy", warm=False, own_time=own_time)["samples_s"]
        for own_time in (False, True)
    )
    assert max(own) < min(waited) / 2


def test_a_warm_round_runs_once_before_it_counts() -> None:
    runs: list[int] = []
    onnxruntime_harness.KEPT["counted"] = lambda: runs.append(len(runs))
    for warm in (False, True):
        runs.clear()
        found = onnxruntime_harness.time_round(limit_s=0, most=1, slot="counted", warm=warm)["samples_s"]
        assert len(runs) == len(found) + warm
