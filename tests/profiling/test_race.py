"""Variants against the first one, in one process."""

from copy import copy
from pathlib import Path
from typing import Any

import onnx
import pytest
from tests.fakes import FakeClient
from tests.tiling.models import chain

from edgewright.graph.cost import layer_cost
from edgewright.graph.types import LayerSpec
from edgewright.profiling.race import RaceSetup, race


def macs_s(layer: LayerSpec) -> float:
    return 1e-9 * float(layer_cost(layer).macs)


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    """Networks of 8, 4 and 16 channels."""
    paths = []
    for channels in (8, 4, 16):
        paths.append(tmp_path / f"{channels}.onnx")
        onnx.save(chain((3, 1), (3, 1), channels=channels), paths[-1])
    return paths


def test_each_model_is_compared_with_the_first(models: list[Path]) -> None:
    client = FakeClient(seconds=macs_s)
    found = race(lambda: copy(client), models, RaceSetup())  # type: ignore[arg-type, return-value]
    smaller, larger = found.ratios
    assert smaller.high < 1 < larger.low
    assert smaller.low <= smaller.value <= smaller.high
    loaded = client.ask("load", model=str(models[0]))
    assert found.first_s == pytest.approx(loaded["run_s"], rel=0.01)


def test_every_process_is_a_fresh_one(models: list[Path]) -> None:
    started = []

    def start() -> FakeClient:
        started.append(FakeClient(seconds=macs_s))
        return started[-1]

    race(start, models, RaceSetup(processes=4))  # type: ignore[arg-type, return-value]
    assert len(started) == 4
    assert all(set(client.kept_s) == {"0", "1", "2"} for client in started)


def test_the_first_alone(models: list[Path]) -> None:
    client = FakeClient(seconds=macs_s)
    assert race(lambda: copy(client), models[:1], RaceSetup()).ratios == ()  # type: ignore[arg-type, return-value]


class Listening(FakeClient):
    """Notes how rounds were asked for."""

    def __init__(self, asked: list[dict[str, Any]], **how: Any) -> None:
        super().__init__(**how)
        self.asked = asked

    def ask(self, job: str, timeout_s: float = 120.0, **arguments: Any) -> dict[str, Any]:
        if job == "round":
            self.asked.append(arguments)
        return super().ask(job, timeout_s, **arguments)


def rounds_of(models: list[Path], setup: RaceSetup, scale: float = 1e-9) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = []
    client = Listening(asked, seconds=lambda layer: scale * float(layer_cost(layer).macs))
    race(lambda: copy(client), models, setup)  # type: ignore[arg-type, return-value]
    return asked


def test_only_short_runs_are_preceded_by_one_that_is_not_counted(models: list[Path]) -> None:
    assert all(how["warm"] for how in rounds_of(models, RaceSetup()))
    assert not any(how["warm"] for how in rounds_of(models, RaceSetup(), scale=1.0))


def test_only_a_single_thread_is_timed_by_what_it_computed(models: list[Path]) -> None:
    assert all(how["own_time"] for how in rounds_of(models, RaceSetup()))
    assert not any(how["own_time"] for how in rounds_of(models, RaceSetup(threads=2)))


def test_short_runs_take_turns_and_long_ones_have_the_first_beside_each(models: list[Path]) -> None:
    setup = RaceSetup(processes=1, rounds=2)
    assert [how["slot"] for how in rounds_of(models, setup)] == ["0", "1", "2"] * 2
    assert [how["slot"] for how in rounds_of(models, setup, scale=1.0)] == list("0102" + "1020")
    assert [how["slot"] for how in rounds_of(models[:1], setup, scale=1.0)] == ["0", "0"]


def test_a_machine_that_slows_down_for_a_while_changes_no_ratio_of_long_runs(models: list[Path]) -> None:
    """Each pair is three times as slow as the one before it."""
    client = Slowing(seconds=lambda layer: float(layer_cost(layer).macs))
    found = race(lambda: client, models, RaceSetup(processes=1, rounds=3))  # type: ignore[arg-type, return-value]
    steady = race(lambda: copy(client), models[:2], RaceSetup(processes=1, rounds=1))  # type: ignore[arg-type, return-value]
    assert found.ratios[0].value == pytest.approx(steady.ratios[0].value, rel=0.02)


class Slowing(FakeClient):
    """A machine on which every second round is three times as slow as the one before."""

    rounds = 0

    def ask(self, job: str, timeout_s: float = 120.0, **arguments: Any) -> dict[str, Any]:
        found = super().ask(job, timeout_s, **arguments)
        if job != "round":
            return found
        self.rounds += 1
        return {"samples_s": [sample * 3.0 ** ((self.rounds - 1) // 2) for sample in found["samples_s"]]}
