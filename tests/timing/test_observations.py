"""What slowed the machine down is taken off again, by its probe."""

import numpy as np
from tests.timing.synthetic import noisy_profile, random_convs, staircase_s

from edgewright.profile import Measurement, Profile
from edgewright.timing.observations import DOUBTED, observations, power_of

CALM_S, DISTURBED = 3e-5, 1.8


def on_a_shared_machine(calm: int, disturbed: int, power: float, factor: float) -> Profile:
    """Calm layers slow down with a power of the probe; the others take `factor` times as long, at a probe far off."""
    random = np.random.default_rng(1)
    layers = list(dict.fromkeys(random_convs(2 * (calm + disturbed))))[: calm + disturbed]
    made = []
    for index, layer in enumerate(layers):
        slowness = random.uniform(0.97, 1.1) if index < calm else DISTURBED * random.uniform(0.97, 1.03)
        slower = slowness**power if index < calm else factor
        made.append(Measurement(layer, (staircase_s(layer) * slower,), probe_s=CALM_S * slowness))
    return Profile("shared", "none", "1", 1, tuple(made))


def misses(profile: Profile, certain: bool) -> float:
    """How far observations lie from the true times, in the median, but for what is the same for all."""
    found = observations(profile)["conv"]
    rows = (found.certainty >= 1) == certain
    ratios = found.seconds[rows] / np.array(list(map(staircase_s, found.layers)))[rows]
    return float(np.median(np.abs(ratios / np.median(ratios) - 1)))


def test_times_are_brought_to_one_slowness() -> None:
    shared = on_a_shared_machine(300, 0, power=1.5, factor=1.0)
    assert misses(shared, certain=True) < 0.02


def test_another_state_of_the_machine_teaches_with_less_weight() -> None:
    shared = on_a_shared_machine(200, 100, power=1.0, factor=1.4)
    found = observations(shared)["conv"]
    assert sorted(set(found.certainty)) == [DOUBTED, 1.0]
    assert (found.certainty == DOUBTED).sum() == 100
    truth = np.array(list(map(staircase_s, found.layers)))
    doubted = found.certainty < 1
    assert abs(np.median((found.seconds / truth)[doubted]) / np.median((found.seconds / truth)[~doubted]) - 1) < 0.1


def test_without_probes_times_stay_as_they_are() -> None:
    profile = noisy_profile(random_convs(50))
    found = observations(profile)["conv"]
    assert set(found.certainty) == {1.0}
    assert set(found.seconds) <= {m.time_s for m in profile.measurements}


def test_a_power_is_the_usual_one_where_nothing_is_seen_of_it() -> None:
    random = np.random.default_rng(0)
    slower = random.normal(0, 0.04, 500)
    assert abs(power_of(0.3 * slower + random.normal(0, 0.02, 500), slower) - 0.3) < 0.1
    assert abs(power_of(random.normal(0, 0.2, 8), np.full(8, 1e-4)) - 1.0) < 0.1
    assert power_of(-2 * slower, slower) == 0.0
