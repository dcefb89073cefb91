"""The search against brute force, and its bounds."""

from dataclasses import replace
from itertools import product
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from tests.tiling.models import chain, residual
from tests.width_networks import width_networks
from tests.widths.devices import SteppedDevice

from edgewright.formats.onnx import read
from edgewright.graph.channel_groups import find_groups
from edgewright.graph.channels import ChannelGroup
from edgewright.timing.model import ExecutionTimeModel
from edgewright.widths.alternatives import alternatives
from edgewright.widths.candidates import candidates, rounded
from edgewright.widths.frontier import Frontiers, Options
from edgewright.widths.layouts import Layouts
from edgewright.widths.places import Places
from edgewright.widths.price import Prices
from edgewright.widths.search import descend, search

SETTINGS = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
NO_BOUND = 10**12


def frontiers_of(model: ModelProto, block: int = 8) -> Frontiers:
    graph = read(model)
    places = Places(graph, tuple(group for group in find_groups(graph) if group.growable))
    device = cast(ExecutionTimeModel, SteppedDevice(block))
    return Frontiers(Layouts.of(places, block), Prices(device, 0.0))


def few(frontiers: Frontiers, most: int = 3) -> Options:
    """A few widths for each group, no more than brute force can go through."""
    groups = frontiers.places.groups
    options = [candidates(group, (4, 8))[:most] for group in groups]
    return tuple(own if index < 6 else (groups[index].width,) for index, own in enumerate(options))


def cheapest(frontiers: Frontiers, options: Options, most_items: int = NO_BOUND) -> float:
    fitting = (widths for widths in product(*options) if frontiers.places.weights(widths) <= most_items)
    return min(map(frontiers.seconds, fitting))


@pytest.mark.parametrize("channels", [5, 7, 12])
@pytest.mark.parametrize("make", [lambda c: chain((3, 1), (3, 2), "pool", (1, 1), (3, 1), channels=c), residual])
def test_dynamic_programming_is_exact(make: Any, channels: int) -> None:
    frontiers = frontiers_of(make(channels))
    options = few(frontiers)
    found = frontiers.best(options)
    assert found.is_exact
    assert found.seconds == pytest.approx(cheapest(frontiers, options))
    assert found.seconds == pytest.approx(frontiers.seconds(found.widths))


@SETTINGS
@given(model=width_networks(most_steps=3))
def test_any_network_against_brute_force(model: ModelProto) -> None:
    frontiers = frontiers_of(model)
    options = few(frontiers, 2)
    if not options:
        return
    best = cheapest(frontiers, options)
    assert frontiers.best(options).seconds == pytest.approx(best)
    cut = frontiers.best(options, most=1)
    assert cut.seconds >= best * (1 - 1e-9)
    assert descend(frontiers, options, NO_BOUND, cut.widths).seconds <= cut.seconds


@pytest.mark.parametrize("growth", [1.0, 1.05, 1.2, 1.5])
def test_weights_stay_inside_their_bound(growth: float) -> None:
    frontiers = frontiers_of(chain((3, 1), (3, 1), (3, 2), (3, 1), channels=7))
    places, options = frontiers.places, few(frontiers)
    most = int(growth * places.weights(places.widths))
    found = search(frontiers, options, most)
    assert places.weights(found.widths) <= most
    assert found.seconds <= frontiers.seconds(places.widths)
    assert found.seconds == pytest.approx(cheapest(frontiers, options, most), rel=0.05)


def test_a_plan_from_elsewhere_is_a_start() -> None:
    frontiers = frontiers_of(chain((3, 1), (3, 1), (3, 1), channels=7))
    places = frontiers.places
    constant = rounded(places.groups, 8)
    most = places.weights(constant)
    assert search(frontiers, few(frontiers), most, (constant,)).seconds <= frontiers.seconds(constant)


def test_alternatives_differ_in_one_group_and_fit() -> None:
    frontiers = frontiers_of(chain((3, 1), (3, 1), (3, 1), channels=7))
    options = few(frontiers)
    plan = rounded(frontiers.places.groups, 8)
    found = alternatives(frontiers, options, plan, lambda widths: widths[0] == 8)
    assert found
    assert all(sum(a != b for a, b in zip(other, plan, strict=True)) == 1 for other in found)
    assert all(other[0] == 8 for other in found)
    assert sorted(map(frontiers.seconds, found)) == list(map(frontiers.seconds, found))


@given(st.integers(1, 100), st.integers(0, 40))
def test_candidates_go_to_the_next_multiples(width: int, dead: int) -> None:
    wide = ChannelGroup("group", width, ())
    found = candidates(wide, (4, 8, 16), min(dead, width - 1))
    assert found == tuple(sorted(set(found)))
    assert width in found
    assert -(-width // 16) * 16 in found
    assert min(found) >= width - min(dead, width - 1)
    assert candidates(replace(wide, growable=False), (4, 8, 16)) == (width,)
