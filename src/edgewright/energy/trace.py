"""A power trace: what an instrument recorded (a Monsoon, an Otii, a PPK2, a wall meter), as CSV with timestamps.

    time_s,power_w            timestamp,voltage_v,current_ma
    0.000,2.31                2026-01-31T12:00:00.000+00:00,5.02,460
    0.001,2.35                ...

Time is in `time_s`, `time_ms` or `time_us`, from any zero, or `timestamp` as ISO 8601 (without zone: UTC) or as seconds
since the epoch. Power is in `power_w`, `power_mw` or `power_uw`, or the product of `voltage_v` or `voltage_mv` and
`current_a`, `current_ma` or `current_ua`.
"""

import csv
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgewright.energy.meter import Energy
from edgewright.errors import DataError

_TIMES: Mapping[str, float] = {"time_s": 1.0, "time_ms": 1e-3, "time_us": 1e-6}
_POWERS: Mapping[str, float] = {"power_w": 1.0, "power_mw": 1e-3, "power_uw": 1e-6}
_VOLTAGES: Mapping[str, float] = {"voltage_v": 1.0, "voltage_mv": 1e-3}
_CURRENTS: Mapping[str, float] = {"current_a": 1.0, "current_ma": 1e-3, "current_ua": 1e-6}


@dataclass(frozen=True, eq=False)
class PowerTrace:
    """Watts at rising times in seconds, of the trace's own zero or since the epoch."""

    times_s: NDArray[np.float64]
    watts: NDArray[np.float64]
    source: str = "trace"

    def energy(self, started_s: float, ended_s: float) -> Energy:
        """The energy between two times, power taken as linear between samples. Raises DataError beyond its ends."""
        if not self.times_s[0] <= started_s < ended_s <= self.times_s[-1]:
            raise DataError(
                f"{self.source}: it goes from {self.times_s[0]:.6f} s to {self.times_s[-1]:.6f} s and does not tell "
                f"what lies between {started_s:.6f} s and {ended_s:.6f} s"
            )
        inner = (self.times_s > started_s) & (self.times_s < ended_s)
        times_s = np.concatenate([[started_s], self.times_s[inner], [ended_s]])
        watts = np.interp(times_s, self.times_s, self.watts)
        joules = float(np.diff(times_s) @ (watts[1:] + watts[:-1]) / 2)
        return Energy(joules, ended_s - started_s, {"trace": joules}, self.source)


def load_trace(path: Path) -> PowerTrace:
    """The trace in a file. Raises DataError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return read_trace(lines, str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise DataError(f"{path}: {reason}") from error


def read_trace(lines: Iterable[str], source: str = "trace") -> PowerTrace:
    """The trace in lines of CSV. Raises DataError, which names the line."""
    reader = csv.reader(lines)
    header = [name.strip().lower() for name in next(reader, [])]
    of_row = _meaning(header, source)
    rows: list[tuple[float, float]] = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        try:
            time_s, watts = of_row(dict(zip(header, cells, strict=True)))
        except ValueError as error:
            raise DataError(f"{source}, line {reader.line_num}: {error}") from error
        if not (math.isfinite(time_s) and math.isfinite(watts)):
            raise DataError(f"{source}, line {reader.line_num}: a time or a power that is no number")
        if rows and time_s <= rows[-1][0]:
            raise DataError(f"{source}, line {reader.line_num}: its time is not after that of the line before")
        rows.append((time_s, watts))
    if len(rows) < 2:
        raise DataError(f"{source}: a trace has at least two samples, and this has {len(rows)}")
    times_s, powers = np.array(rows).T
    return PowerTrace(times_s, powers, source)


def _meaning(header: list[str], source: str) -> Callable[[dict[str, str]], tuple[float, float]]:
    """Reads time and power out of a row. Raises DataError for a header that can't be meant."""
    time = _only(header, [*_TIMES, "timestamp"], source)
    power = _only(header, _POWERS, source, needed=False)
    if power:
        return lambda row: (_seconds(time, row[time]), float(row[power]) * _POWERS[power])
    volts, amperes = _only(header, _VOLTAGES, source), _only(header, _CURRENTS, source)
    scale = _VOLTAGES[volts] * _CURRENTS[amperes]
    return lambda row: (_seconds(time, row[time]), float(row[volts]) * float(row[amperes]) * scale)


def _only(header: list[str], names: Iterable[str], source: str, needed: bool = True) -> str:
    found = [name for name in header if name in names]
    if len(found) > 1 or (needed and not found):
        raise DataError(f"{source}, line 1: there must be one column of {', '.join(names)}, not {len(found)}")
    return found[0] if found else ""


def _seconds(column: str, text: str) -> float:
    if column != "timestamp":
        return float(text) * _TIMES[column]
    try:
        return float(text)
    except ValueError:
        when = datetime.fromisoformat(text.strip())
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
