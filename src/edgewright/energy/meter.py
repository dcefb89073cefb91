"""EnergyMeter: joules between a start and a stop, from the counters and sensors of this machine."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from types import TracebackType

from edgewright.energy.rail import Rail
from edgewright.energy.sources import available, rails_of
from edgewright.errors import DeviceError

INTERVAL_S = 0.005
"""Between two readings of gauges; most sensors are renewed less often."""
COUNTER_INTERVAL_S = 1.0
"""Between two readings where all rails are counters: often enough to meet every time that one begins anew."""


@dataclass(frozen=True)
class Energy:
    """Joules that were measured over some seconds: in all, and by rail (of which some may lie within others)."""

    joules: float
    seconds: float
    rails_j: Mapping[str, float]
    source: str

    @property
    def watts(self) -> float:
        return self.joules / self.seconds

    def each(self, runs: int) -> "Energy":
        """That of one of so many runs."""
        rails_j = {name: joules / runs for name, joules in self.rails_j.items()}
        return replace(self, joules=self.joules / runs, seconds=self.seconds / runs, rails_j=rails_j)


class EnergyMeter:
    """Measures between `start` and `stop`, or as a context; `energy` is what was measured last.

        with EnergyMeter.open() as meter:
            run()
        meter.energy.joules

    Counters are read at both ends, gauges all the time by a thread and integrated by the trapezoidal rule. It tells
    what everything on these rails took meanwhile, the idle power of the device included.
    """

    def __init__(
        self, source: str, rails: Sequence[Rail], interval_s: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:  # fmt: skip
        self.source, self.rails, self.energy = source, tuple(rails), Energy(0.0, 0.0, {}, source)
        self._interval_s = interval_s or (COUNTER_INTERVAL_S if all(r.counts for r in rails) else INTERVAL_S)
        self._clock = clock
        self._readings: list[tuple[float, tuple[float, ...]]] = []
        self._failure: DeviceError | None = None
        self._ended = threading.Event()
        self._sampler: threading.Thread | None = None

    @classmethod
    def open(
        cls, source: str | None = None, *, rails: Sequence[str] | None = None, root: Path = Path("/"),
        interval_s: float | None = None,
    ) -> "EnergyMeter":  # fmt: skip
        """A meter of a source (`rapl`, `hwmon`, `nvml`), by default the first that is available here.

        `rails` are the ones that make up the total, where the source's own choice is not right. Raises DeviceError,
        which says why a source is not available, or which rails there are to choose from.
        """
        if source is None:
            source = next((one.source for one in available(root) if one.is_available), None)
        if source is None:
            raise DeviceError(f"energy can't be measured here; {'; '.join(map(str, available(root)))}")
        return cls(source, _chosen(source, rails_of(source, root), rails), interval_s)

    def start(self) -> None:
        """Begins. Raises DeviceError where a rail can't be read."""
        self._readings, self._failure = [], None
        self._read()
        if self._failure is not None:
            raise self._failure
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    def stop(self) -> Energy:
        """Ends, and tells what was measured since the start. Raises DeviceError where a rail could not be read."""
        self._read()
        self._ended.set()
        if self._sampler is None:
            raise DeviceError("the meter was not started")
        self._sampler.join()
        self._sampler = None
        if self._failure is not None:
            raise self._failure
        self.energy = measured(self.source, self.rails, self._readings)
        return self.energy

    def __enter__(self) -> "EnergyMeter":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        if kind is None:
            self.stop()
        else:
            self._ended.set()

    def _sample(self) -> None:
        while not self._ended.wait(self._interval_s):
            self._read()

    def _read(self) -> None:
        try:
            before_s = self._clock()
            values = tuple(rail.read() for rail in self.rails)
            self._readings.append(((before_s + self._clock()) / 2, values))
        except DeviceError as error:
            self._failure = error


def measured(source: str, rails: Sequence[Rail], readings: Sequence[tuple[float, tuple[float, ...]]]) -> Energy:
    """The energy in readings of rails at some times (seconds). Raises DeviceError where no time has passed."""
    ordered = sorted(readings)
    seconds = ordered[-1][0] - ordered[0][0] if ordered else 0.0
    if seconds <= 0:
        raise DeviceError("no time has passed between start and stop")
    times = [time_s for time_s, _ in ordered]
    rails_j = {
        rail.name: _joules(rail, times, [values[index] for _, values in ordered]) for index, rail in enumerate(rails)
    }
    return Energy(sum(rails_j[rail.name] for rail in rails if rail.in_total), seconds, rails_j, source)


def _joules(rail: Rail, times_s: Sequence[float], values: Sequence[float]) -> float:
    if rail.counts:
        return sum(_counted(rail, earlier, later) for earlier, later in pairwise(values))
    steps = zip(pairwise(times_s), pairwise(values), strict=True)
    return sum((late_s - early_s) * (early_w + late_w) / 2 for (early_s, late_s), (early_w, late_w) in steps)


def _counted(rail: Rail, earlier: float, later: float) -> float:
    if later >= earlier:
        return later - earlier
    if rail.wraps_at_j is None:
        raise DeviceError(f"{rail.name}: its counter went back from {earlier:g} J to {later:g} J")
    return later - earlier + rail.wraps_at_j


def _chosen(source: str, rails: Sequence[Rail], names: Sequence[str] | None) -> tuple[Rail, ...]:
    known = [rail.name for rail in rails]
    unknown = set(names or ()) - set(known)
    if unknown:
        raise DeviceError(f"{source}: no rail {min(unknown)!r}; there are {', '.join(known)}")
    if names is not None:
        return tuple(replace(rail, in_total=rail.name in names) for rail in rails)
    if not any(rail.in_total for rail in rails):
        raise DeviceError(f"{source}: which rails make up the total? there are {', '.join(known)}")
    return tuple(rails)
