import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.energy.sysfs import jetson, rapl

from edgewright.energy import Energy, EnergyMeter
from edgewright.energy.meter import measured
from edgewright.energy.rail import Rail
from edgewright.errors import DeviceError


def test_counters_between_start_and_stop(tmp_path: Path) -> None:
    folder = rapl(tmp_path) / "sys/class/powercap"
    with EnergyMeter.open(root=tmp_path) as meter:
        (folder / "intel-rapl:0/energy_uj").write_text("70000000")  # 10 J
        (folder / "intel-rapl:0:0/energy_uj").write_text("38000000")  # 8 J of them
        (folder / "intel-rapl:1/energy_uj").write_text("1000000")  # began anew at 100 J: 40 J
    assert meter.source == "rapl"
    assert meter.energy.joules == pytest.approx(50)
    assert meter.energy.rails_j["package-0/core"] == pytest.approx(8)
    assert meter.energy.watts == pytest.approx(50 / meter.energy.seconds)


def test_gauges_are_sampled_meanwhile(tmp_path: Path) -> None:
    with EnergyMeter.open("hwmon", root=jetson(tmp_path), interval_s=0.001) as meter:
        time.sleep(0.03)
    assert meter.energy.watts == pytest.approx(10)
    assert meter.energy.rails_j["ina3221/VDD_SOC"] == pytest.approx(1.5 * meter.energy.seconds)
    assert len(meter._readings) > 2


def test_a_rail_that_fails_meanwhile(tmp_path: Path) -> None:
    meter = EnergyMeter.open("hwmon", root=jetson(tmp_path))
    meter.start()
    (tmp_path / "sys/class/hwmon/hwmon1/curr1_input").write_text("none")
    with pytest.raises(DeviceError, match="holds no number"):
        meter.stop()


def test_a_counter_without_an_end_does_not_go_back() -> None:
    rail = Rail("gpu 0", lambda: 0.0, counts=True)
    with pytest.raises(DeviceError, match=r"gpu 0: its counter went back from 5 J to 4 J"):
        measured("nvml", [rail], [(0.0, (5.0,)), (1.0, (4.0,))])


def test_stopping_what_was_not_started() -> None:
    with pytest.raises(DeviceError, match="was not started"):
        EnergyMeter("fake", [Rail("a", lambda: 1.0, counts=True)]).stop()


@given(st.lists(st.tuples(st.floats(0.01, 10), st.floats(0, 100)), min_size=2, max_size=20), st.integers(1, 18))
def test_energy_of_parts_adds_up(steps: list[tuple[float, float]], cut: int) -> None:
    times = [sum(step for step, _ in steps[:index]) for index in range(len(steps))]
    readings = [(time_s, (watts,)) for time_s, (_, watts) in zip(times, steps, strict=True)]
    rail = Rail("board", lambda: 0.0, counts=False)
    whole = measured("hwmon", [rail], readings).joules
    at = min(cut, len(readings) - 1)
    parts = [part for part in (readings[: at + 1], readings[at:]) if len(part) > 1]
    assert sum(measured("hwmon", [rail], part).joules for part in parts) == pytest.approx(whole, abs=1e-9)


@given(st.lists(st.floats(0, 99), min_size=1, max_size=30), st.floats(0, 99))
def test_a_counter_that_begins_anew_loses_nothing(increments: list[float], start: float) -> None:
    """As long as it is read before it has gone round once."""
    values = [start]
    for increment in increments:
        values.append((values[-1] + increment) % 100)
    rail = Rail("package-0", lambda: 0.0, counts=True, wraps_at_j=100)
    found = measured("rapl", [rail], [(float(index), (value,)) for index, value in enumerate(values)])
    gone_round = sum(later < earlier for earlier, later in pairwise(values))
    assert found.joules == pytest.approx(values[-1] - values[0] + 100 * gone_round, abs=1e-6)
    assert found.joules == pytest.approx(sum(increments), abs=1e-6)


def test_of_each_run() -> None:
    each = Energy(10.0, 2.0, {"board": 10.0}, "hwmon").each(5)
    assert (each.joules, each.seconds, each.watts) == (2.0, 0.4, 5.0)
