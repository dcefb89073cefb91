"""The profile's file format, and what a measurement says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.errors import StoreError
from edgewright.graph.types import LayerSpec
from edgewright.profile import (
    ALIKE,
    RARE,
    Measurement,
    Profile,
    comparable,
    dump_profile,
    layer_from_dict,
    layer_to_dict,
    load_profile,
)
from edgewright.profiling.draws import DRAWS, draw


@settings(max_examples=40)
@given(seed=st.integers(0, 2**31), family=st.sampled_from(sorted(DRAWS)))
def test_layers_survive_the_round_trip(seed: int, family: str) -> None:
    layer = draw(np.random.default_rng(seed), family)
    assert layer_from_dict(layer_to_dict(layer)) == layer


def test_profiles_survive_the_round_trip() -> None:
    random = np.random.default_rng(0)
    measurements = tuple(
        Measurement(draw(random, family), (1e-5, 1.5e-5), 3, None, 0.5, False, False, f"p/{i}", 12.5, 3e-5)
        for i, family in enumerate(DRAWS)
    )
    profile = Profile("here", "onnxruntime", "1.0", 2, measurements, 3e-6, "all")
    assert load_profile(dump_profile(profile).splitlines(keepends=True)) == profile


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("[]\n", "not a JSON object"),
        ('{"schema_version": 99}\n', "schema version 99"),
        ('{"schema_version": 1, "wrong": 1}\n', "header"),
        ("what\n", "not JSON"),
    ],
)
def test_what_is_no_profile_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(StoreError, match=reason):
        load_profile(text.splitlines(keepends=True), "file")


def test_a_broken_line_is_named() -> None:
    header = dump_profile(Profile("here", "onnxruntime", "1.0", 1)).splitlines(keepends=True)
    with pytest.raises(StoreError, match="line 2"):
        load_profile([*header, '{"samples_s": [1]}\n'], "file")


def test_interference_only_adds_time() -> None:
    measurement = Measurement(LayerSpec("unary", ((1, 64),), ((1, 64),), variant="relu"), (3.0, 1.0, 1.1, 9.0))
    assert measurement.time_s == 1.1
    assert measurement.median_s == pytest.approx(2.05)


def probed(*probes_s: float | None) -> list[Measurement]:
    return [Measurement(LayerSpec("unary", ((1, 64),), ((1, 64),)), (1.0,), probe_s=probe_s) for probe_s in probes_s]


@pytest.mark.parametrize(
    ("probes_s", "kept"),
    [
        ((), ()),
        ((None, None), (None, None)),
        ((1.0, 1.1, 1.5), (1.0, 1.1)),
        ((1.0, None, *(1.5,) * 5), (None, *(1.5,) * 5)),  # slowed down nearly all of the time: that is the machine
        ((1.0, 1.5, 1.6, 1.45), (1.0,)),  # calm now and then
        ((1.5, 1.0), (1.0,)),  # as common: the faster
        ((0.9, 1.0, 1.05, 1.1), (1.0, 1.05, 1.1)),  # the one that is faster belongs to no state of its own
    ],
)
def test_only_one_state_of_the_machine_counts(
    probes_s: tuple[float | None, ...], kept: tuple[float | None, ...]
) -> None:
    assert tuple(m.probe_s for m in comparable(probed(*probes_s))) == kept


@given(st.lists(st.floats(1e-6, 1e-3) | st.none(), max_size=30))
def test_what_counts_was_made_in_one_state_and_faster_ones_are_exceptions(probes_s: list[float | None]) -> None:
    kept = [m.probe_s for m in comparable(probed(*probes_s)) if m.probe_s is not None]
    told = [probe_s for probe_s in probes_s if probe_s is not None]
    states = {least: sum(least <= p <= ALIKE * least for p in told) for least in told}
    assert bool(kept) == bool(told)
    if kept:
        assert len(kept) == states[min(kept)] >= RARE * max(states.values())
        assert all(count < RARE * max(states.values()) for least, count in states.items() if ALIKE * least < min(kept))
