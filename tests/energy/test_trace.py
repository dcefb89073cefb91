from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.energy import PowerTrace, load_trace, read_trace
from edgewright.errors import DataError


def test_between_two_times() -> None:
    trace = read_trace(["time_s,power_w\n", "0,1\n", "1,3\n", "2,3\n"])
    assert trace.energy(0, 2).joules == pytest.approx(5)
    assert trace.energy(0.5, 1.5).joules == pytest.approx(1.25 + 1.5)
    assert trace.energy(1.25, 1.75).watts == pytest.approx(3)


def test_voltage_times_current_and_timestamps(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(
        "timestamp,voltage_v,current_ma,note\n"
        "2026-01-31T12:00:00.000+00:00,5.0,400,\n2026-01-31T12:00:00.500,5.0,600,busy\n\n"
    )
    trace = load_trace(path)
    start = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()
    assert trace.times_s.tolist() == [start, start + 0.5]
    assert trace.energy(start, start + 0.5).joules == pytest.approx(2.5 * 0.5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("power_w\n1\n", "line 1: there must be one column of time_s, time_ms, time_us, timestamp, not 0"),
        ("time_s,voltage_v\n0,1\n", "there must be one column of current_a, current_ma, current_ua, not 0"),
        ("time_s,power_w\n0,1\n1,watts\n", "line 3: could not convert"),
        ("time_s,power_w\n0,1\n1,nan\n", "line 3: a time or a power that is no number"),
        ("time_s,power_w\n1,1\n1,2\n", "line 3: its time is not after"),
        ("time_s,power_w\n1,1\n", "a trace has at least two samples, and this has 1"),
        ("time_s,power_w\n1\n", "line 2: "),
        ("timestamp,power_w\nnoon,1\n", "line 2: "),
    ],
)
def test_what_is_no_trace(text: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_trace(text.splitlines(keepends=True))


def test_beyond_its_ends() -> None:
    trace = read_trace(["time_ms,power_mw\n", "0,1000\n", "1000,1000\n"], "t.csv")
    for bad in ((-0.1, 0.5), (0.5, 1.1), (0.5, 0.5)):
        with pytest.raises(DataError, match=r"t\.csv: it goes from 0\.000000 s to 1\.000000 s"):
            trace.energy(*bad)


@given(st.lists(st.floats(0, 50), min_size=3, max_size=30), st.floats(0.05, 0.95), st.floats(0.01, 0.99))
def test_energy_of_parts_adds_up(watts: list[float], share: float, inner: float) -> None:
    trace = PowerTrace(np.arange(len(watts), dtype=float), np.array(watts))
    end = share * (len(watts) - 1)
    middle = inner * end
    parts = trace.energy(0, middle).joules + trace.energy(middle, end).joules
    assert parts == pytest.approx(trace.energy(0, end).joules, abs=1e-9)
