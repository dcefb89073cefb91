"""Noise and drift as told by layers that were measured again."""

from hypothesis import given
from hypothesis import strategies as st
from tests.timing.synthetic import conv

from edgewright.profile import Measurement
from edgewright.profiling.drift import repeats

LAYERS = [conv(8, width, 14) for width in range(1, 12)]


def measured(time_s: float, started_s: float, index: int = 0) -> Measurement:
    return Measurement(LAYERS[index], (time_s,), started_s=started_s)


def test_nothing_was_repeated() -> None:
    assert repeats([]) is None
    assert repeats([measured(1e-3, 1.0), measured(1e-3, 2.0, 1)]) is None
    assert repeats([measured(1e-3, 1.0), measured(2e-3, 1.0)]) is None  # twice in one batch


def test_a_machine_that_gets_slower() -> None:
    found = repeats([m for index in range(11) for m in (measured(1.1e-3, 9.0, index), measured(1e-3, 1.0, index))])
    assert found is not None
    assert round(found.drift_percent, 6) == round(found.noise_percent, 6) == 10
    assert found.layers == 11


def test_short_layers_do_not_count() -> None:
    assert repeats([measured(1e-6, 1.0), measured(3e-6, 2.0)]) is None


@given(st.lists(st.floats(0.5, 2.0), min_size=1, max_size=11))
def test_drift_is_never_more_than_noise(factors: list[float]) -> None:
    pairs = [(measured(1e-3, 1.0, i), measured(1e-3 * factor, 2.0, i)) for i, factor in enumerate(factors)]
    found = repeats([m for pair in pairs for m in pair])
    assert found is not None
    assert abs(found.drift_percent) <= found.noise_percent + 1e-9
