"""What the cost of a network says: its slopes, the threshold that meets a limit, local minima."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.compression.deepiot.steering import Layout, cost_slopes, expanded, raised, restored
from edgewright.errors import BudgetError

WIDTHS = (3, 2, 1)
MASKS = np.array(list(product((0.0, 1.0), repeat=6)))


def product_costs(widths):
    """A chain of layers between groups, with a step at 2."""
    wide = np.column_stack([np.full(len(widths), 2), widths, np.full(len(widths), 3)]).astype(float)
    return (wide[:, 1:] * wide[:, :-1] + 0.7 * (wide[:, 1:] > 2)).sum(axis=1)


def expected_cost(probabilities):
    likely = np.prod(np.where(MASKS > 0, probabilities, 1 - probabilities), axis=1)
    return float(likely @ product_costs(np.maximum(Layout(WIDTHS).counts(MASKS), 1)))


def test_slopes_of_the_cost_are_unbiased():
    probabilities = np.array([0.9, 0.4, 0.6, 0.3, 0.8, 0.5])
    likely = np.prod(np.where(MASKS > 0, probabilities, 1 - probabilities), axis=1)
    alive = np.ones(6, np.bool_)
    each = [cost_slopes(Layout(WIDTHS), mask[None], product_costs, alive) for mask in MASKS]
    slopes = sum(share * one for share, (one, _) in zip(likely, each, strict=True))
    steps = 1e-6 * np.eye(6)
    true = [(expected_cost(probabilities + step) - expected_cost(probabilities - step)) / 2e-6 for step in steps]
    np.testing.assert_allclose(slopes, true, atol=1e-7)
    assert sum(share * cost for share, (_, cost) in zip(likely, each, strict=True)) == pytest.approx(
        expected_cost(probabilities)
    )


def test_draws_are_averaged():
    alive = np.array([True, True, False, True, True, True])
    both, cost = cost_slopes(Layout(WIDTHS), MASKS[[20, 37]], product_costs, alive)
    (first, one), (second, other) = (
        cost_slopes(Layout(WIDTHS), MASKS[[row]], product_costs, alive) for row in (20, 37)
    )
    np.testing.assert_allclose(both, (first + second) / 2)
    assert cost == pytest.approx((one + other) / 2)
    assert both[2] == 0 != both[0]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0.05, 1.0))
def test_the_threshold_is_the_lowest_that_meets_the_limit(seed, share):
    random = np.random.default_rng(seed)
    fewest = int(random.integers(1, 4))
    layout = Layout(tuple(random.integers(1, 90, 3).tolist()), fewest)
    units = sum(layout.widths)
    probabilities, alive = random.random(units).round(2), random.random(units) < 0.9
    starts = np.cumsum((0, *layout.widths[:-1]))
    for start, least in zip(starts, layout.least, strict=True):
        alive[start : start + least] = True
    limit = share * product_costs(layout.counts(alive[None]))[0]
    least = product_costs(np.array([layout.least]))[0]
    if limit < least:
        with pytest.raises(BudgetError, match="the fewest units of each channel group cost"):
            raised(layout, probabilities, alive, product_costs, limit)
        return
    found = raised(layout, probabilities, alive, product_costs, limit)
    assert not (found.alive & ~alive).any()
    assert found.cost == product_costs(layout.counts(found.alive[None]))[0] <= limit
    assert (layout.counts(found.alive[None]) >= layout.least).all()
    gone = probabilities[alive & ~found.alive]
    assert not len(gone) or gone.max() < found.threshold
    lower = probabilities[probabilities < found.threshold]
    if len(lower) and found.threshold <= 1:
        more = alive & (found.alive | (probabilities >= lower.max()))
        assert (more == found.alive).all() or product_costs(layout.counts(more[None]))[0] > limit


def stepped(widths):
    """Computes in blocks of 8; an odd width costs half as much again."""
    blocks = -(-widths // 8)
    return (blocks * np.where(widths % 8, 1.5, 1.0)).sum(axis=1) + blocks[:, 0] * blocks[:, 1]


def test_widths_grow_to_where_it_is_faster():
    layout = Layout((64, 30, 12))
    assert expanded(layout, (33, 25, 9), stepped) == (40, 30, 12)
    assert expanded(layout, (32, 24, 8), stepped) == (32, 24, 8)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000))
def test_expanded_widths_are_a_local_minimum(seed):
    random = np.random.default_rng(seed)
    layout = Layout((60, 41, 23))
    table = random.random((61, 42, 24))

    def costs(widths):
        return table[tuple(widths.T)]

    start = tuple(int(random.integers(1, width + 1)) for width in layout.widths)
    found = expanded(layout, start, costs)
    cost, before = (costs(np.array([one]))[0] for one in (found, start))
    assert all(a <= b <= most for a, b, most in zip(start, found, layout.widths, strict=True))
    assert cost <= before


def test_the_most_probable_units_come_back():
    layout = Layout((4, 3))
    probabilities = np.array([0.9, 0.2, 0.4, 0.1, 0.5, 0.6, 0.55])
    alive = np.array([True, False, False, False, False, True, False])
    found = restored(layout, probabilities, alive, (3, 2))
    assert found.tolist() == [True, True, True, False, False, True, True]
    assert restored(layout, probabilities, alive, (1, 1)).tolist() == alive.tolist()
