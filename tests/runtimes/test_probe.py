"""The probe of the harnesses: what it takes for calm, and how long it waits, on a clock of its own."""

from collections.abc import Callable
from types import ModuleType

import pytest

from edgewright.runtimes.harness import litert_harness, onnxruntime_harness


class Machine:
    """A clock that runs while the probe computes or sleeps, and a slowness that depends on it."""

    def __init__(self, slowness: Callable[[float], float]) -> None:
        self.now_s, self.slowness = 0.0, slowness

    def perf_counter(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def compute(self) -> float:
        took_s = 3e-5 * self.slowness(self.now_s)
        self.now_s += took_s
        return took_s


@pytest.fixture(params=[onnxruntime_harness, litert_harness], ids=["onnxruntime", "litert"])
def probe_on(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine], object]:
    harness: ModuleType = request.param

    def made(machine: Machine) -> object:
        monkeypatch.setattr(harness, "time", machine)
        probe = harness.Probe()
        monkeypatch.setattr(probe, "time", machine.compute)
        return probe

    return made


def watched(probe: object, machine: Machine, until_s: float) -> None:
    while machine.now_s < until_s:
        probe.is_calm()  # type: ignore[attr-defined]
        machine.now_s += 0.02


def test_a_burst_is_waited_for(probe_on: Callable[[Machine], object]) -> None:
    machine = Machine(lambda now_s: 1.5 if 10 <= now_s < 13 else 1.0)
    probe = probe_on(machine)
    watched(probe, machine, 10)
    assert not probe.is_calm()  # type: ignore[attr-defined]
    probe.wait()  # type: ignore[attr-defined]
    assert 13 <= machine.now_s < 13.1


def test_it_does_not_wait_for_ever_and_gets_used_to_what_does_not_pass(probe_on: Callable[[Machine], object]) -> None:
    machine = Machine(lambda now_s: 1.5 if now_s >= 10 else 1.0)
    probe = probe_on(machine)
    watched(probe, machine, 10)
    assert not probe.wait()  # type: ignore[attr-defined]
    assert 30 <= machine.now_s < 30.1
    watched(probe, machine, 75)
    assert probe.wait()  # type: ignore[attr-defined]
    assert machine.now_s < 75.2


def test_what_was_calm_before_is_waited_for(probe_on: Callable[[Machine], object]) -> None:
    machine = Machine(lambda now_s: 1.5 if now_s < 10 else 1.0)
    probe = probe_on(machine)
    assert probe.is_calm()  # type: ignore[attr-defined]
    probe.expect(3e-5)  # type: ignore[attr-defined]
    assert probe.wait()  # type: ignore[attr-defined]
    assert machine.now_s >= 10


def test_a_machine_that_gets_calmer_raises_what_is_expected_of_it(probe_on: Callable[[Machine], object]) -> None:
    machine = Machine(lambda now_s: 1.5 if now_s < 10 or now_s >= 20 else 1.0)
    probe = probe_on(machine)
    assert probe.is_calm()  # type: ignore[attr-defined]
    watched(probe, machine, 20)
    assert not probe.is_calm()  # type: ignore[attr-defined]
