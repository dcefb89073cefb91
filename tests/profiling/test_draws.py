"""Draws: layers of the asked family whose numbers belong together, spread over multiples and times."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.graph.types import LayerSpec
from edgewright.profiling.draws import DRAWS, MOST_WORK, draw, fits, neighbour, work
from edgewright.profiling.plan import FAMILY_WEIGHTS
from edgewright.profiling.sampling import width, windowed_output

SEEDS = st.integers(0, 2**32 - 1)


def is_consistent(layer: LayerSpec) -> bool:
    """Whether shapes, window and groups of a layer fit each other."""
    if min((min(shape) for shape in (*layer.inputs, *layer.outputs)), default=0) < 1:
        return False
    if layer.kind in ("conv", "depthwise_conv", "max_pool", "average_pool"):
        assert layer.window is not None
        if windowed_output(layer.input[2:], layer.window) != layer.output[2:]:
            return False
        return layer.input[1] % layer.groups == 0 and layer.output[1] % layer.groups == 0
    if layer.kind in ("concat", "split"):
        many, one = (layer.inputs, layer.output) if layer.kind == "concat" else (layer.outputs, layer.input)
        return sum(shape[1] for shape in many) == one[1]
    if layer.kind == "transpose":
        return layer.output == tuple(layer.input[int(axis)] for axis in layer.variant.split("-"))
    if layer.kind == "matmul":
        (batch, rows, inner), second = layer.inputs
        return second[:2] == (batch, inner) and layer.output == (batch, rows, second[2])
    return True


def test_every_family_that_is_drawn_has_a_weight() -> None:
    assert DRAWS.keys() == FAMILY_WEIGHTS.keys()


@pytest.mark.parametrize("family", sorted(DRAWS))
@settings(max_examples=8)
@given(seed=SEEDS)
def test_a_draw_is_of_its_family_and_its_numbers_belong_together(family: str, seed: int) -> None:
    layer = draw(np.random.default_rng(seed), family)
    assert layer.family == family
    assert fits(layer)
    assert is_consistent(layer)


@pytest.mark.parametrize("family", sorted(DRAWS))
@settings(max_examples=8)
@given(seed=SEEDS)
def test_a_neighbour_is_of_the_same_family_and_consistent(family: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    layer = draw(random, family)
    beside = neighbour(random, layer)
    assert (beside.family, beside.variant, beside.fused) == (layer.family, layer.variant, layer.fused)
    assert is_consistent(beside)
    assert max(beside.output) <= 1.6 * max(layer.output) + 64


def test_half_of_the_widths_are_multiples_and_some_lie_beside_one() -> None:
    random = np.random.default_rng(0)
    widths = np.array([width(random) for _ in range(4000)])
    assert (widths % 4 == 0).mean() > 0.5
    assert (np.isin(widths % 16, (1, 15))).mean() > 0.1
    assert widths.min() >= 1 and widths.max() <= 1024


def test_the_work_of_convolutions_is_spread_over_orders_of_magnitude() -> None:
    random = np.random.default_rng(1)
    levels = np.log10([work(draw(random, "conv")) for _ in range(300)])
    assert np.percentile(levels, 90) - np.percentile(levels, 10) > 1.8
    assert 10 ** levels.max() <= MOST_WORK
