from dataclasses import replace
from itertools import count

import pytest
from tests.fakes import FakeClient, FakeRuntime
from tests.timing.synthetic import random_convs

from edgewright.energy import EnergyMeter
from edgewright.energy.rail import Rail
from edgewright.graph.types import LayerSpec
from edgewright.profile import Measurement, Profile
from edgewright.profiling.batch import Circumstances, Workplace
from edgewright.profiling.energy import in_turn, measure_energy


def profile_of(layers: list[LayerSpec]) -> Profile:
    measured = tuple(Measurement(layer, (1e-3,)) for layer in layers)
    return Profile("fake", "fake", "0", 1, (*measured, Measurement(layers[0], (2e-3,), alone=False)))


class Metered(FakeClient):
    """Whatever runs takes 2 W for six runs a round: five samples and the one before them; nothing else takes any."""

    joules = 0.0

    def ask(self, job: str, timeout_s: float = 120.0, **arguments: object) -> dict[str, object]:
        if job == "round":
            self.joules += 6 * 2.0 * self.kept_s[""]
        return super().ask(job, timeout_s, **arguments)


def test_joules_of_a_run_without_what_any_run_takes() -> None:
    client = Metered(seconds=lambda layer: 1e-5 if layer.kind == "unary" else 2e-3)
    ticks = count()
    meter = EnergyMeter("fake", [Rail("board", lambda: client.joules, counts=True)], clock=lambda: float(next(ticks)))
    place = Workplace(client, FakeRuntime(), Circumstances())
    layers = list(dict.fromkeys(random_convs(4)))
    found = measure_energy(place, meter, profile_of(layers), 60.0)
    alone = [m for m in found.measurements if m.alone]
    assert [m.energy_j for m in alone] == [pytest.approx(2.0 * (2e-3 - 1e-5))] * len(layers)
    assert found.measurements[-1].energy_j is None
    assert [m.samples_s for m in found.measurements] == [m.samples_s for m in profile_of(layers).measurements]


def test_a_layer_that_is_refused_is_left_out() -> None:
    layers = list(dict.fromkeys(random_convs(3)))
    client = Metered(refuses=lambda layer: layer == layers[1])
    ticks = count()
    meter = EnergyMeter("fake", [Rail("board", lambda: client.joules, counts=True)], clock=lambda: float(next(ticks)))
    found = measure_energy(Workplace(client, FakeRuntime(), Circumstances()), meter, profile_of(layers), 60.0)
    assert [m.energy_j is None for m in found.measurements if m.alone] == [False, True, False]


def test_families_take_turns_and_what_is_known_is_left() -> None:
    conv, other = random_convs(2)
    unary = LayerSpec("unary", ((1, 8),), ((1, 8),), variant="relu")
    measured = [Measurement(layer, (1.0,)) for layer in (conv, conv, other, unary)]
    assert in_turn(measured) == [conv, unary, other]
    assert in_turn([replace(measured[0], energy_j=1.0), *measured[2:]]) == [other, unary]
