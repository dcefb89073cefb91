"""Measurement and Profile: what a device said of its layers, and the JSON lines they are kept in."""

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

from edgewright.errors import StoreError
from edgewright.graph.types import LayerSpec, Window

SCHEMA_VERSION = 1
WHOLE = LayerSpec("other", (), (), variant="network")
"""What is measured of a batch's layers together where the runtime does not tell them apart."""


@dataclass(frozen=True)
class Measurement:
    """One layer measured on a device: every sample in seconds, and whether they can be trusted.

    `peak_bytes` and `energy_j` are None where they were not measured; `batch` and `started_s` (seconds since the
    epoch) tell which job of the campaign it came from. A layer that is not `alone` shared a model with the others of
    its batch, as in a network: its weights were no longer in the caches. `probe_s` is what a short computation, always
    the same, took beside it: longer where something slowed the machine down.
    """

    layer: LayerSpec
    samples_s: tuple[float, ...]
    warmup_runs: int = 0
    peak_bytes: int | None = None
    energy_j: float | None = None
    stable: bool = True
    alone: bool = True
    batch: str = ""
    started_s: float = 0.0
    probe_s: float | None = None

    @property
    def median_s(self) -> float:
        return median(self.samples_s)

    @property
    def time_s(self) -> float:
        """The lower quartile of the samples: interference only ever adds time."""
        return sorted(self.samples_s)[len(self.samples_s) // 4]

    @property
    def spread(self) -> float:
        """Half the interquartile range over the median; 0 for a single sample."""
        ordered, n = sorted(self.samples_s), len(self.samples_s)
        return (ordered[(3 * n) // 4] - ordered[n // 4]) / (2 * self.median_s) if n > 1 else 0.0


ALIKE = 1.16
"""The state of the machine is the same as long as probes are no further apart than that."""
RARE = 0.25
"""A state in which a smaller share of the measurements was made than of the commonest one is an exception."""


def comparable(measurements: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """The measurements in the fastest state of the machine that was no exception, by their probes.

    Where others use the machine, times of two states can't be compared. Measurements without a probe are taken as they
    are.
    """
    probes = sorted(m.probe_s for m in measurements if m.probe_s is not None)
    if not probes:
        return tuple(measurements)
    alike = [bisect_right(probes, ALIKE * probe_s) - index for index, probe_s in enumerate(probes)]
    common = RARE * max(alike)
    first = next(index for index, count in enumerate(alike) if count >= common)
    least_s = probes[alike.index(max(alike[first : first + alike[first]]), first)]
    return tuple(m for m in measurements if m.probe_s is None or least_s <= m.probe_s <= ALIKE * least_s)


@dataclass(frozen=True)
class Profile:
    """The measurements of one device with one runtime, its version and its settings.

    `run_overhead_s` is the time of a run that does nothing; `settings` are the runtime's own (graph optimization).
    """

    device: str
    runtime: str
    runtime_version: str
    threads: int
    measurements: tuple[Measurement, ...] = ()
    run_overhead_s: float = 0.0
    settings: str = ""

    @property
    def comparable(self) -> "Profile":
        """The profile in one state of the machine alone, the fastest that was no exception."""
        return replace(self, measurements=comparable(self.measurements))

    @property
    def calm_s(self) -> float:
        """What the probe took in that state, in the median; 0 where it is not known."""
        probes = [m.probe_s for m in self.comparable.measurements if m.probe_s is not None]
        return median(probes) if probes else 0.0


def layer_to_dict(layer: LayerSpec) -> dict[str, Any]:
    """A LayerSpec as plain JSON values, without its empty fields."""
    return {key: value for key, value in asdict(layer).items() if value not in ((), "", None)}


def layer_from_dict(record: dict[str, Any]) -> LayerSpec:
    """The inverse of `layer_to_dict`. Raises StoreError where the record does not fit."""
    try:
        fields = dict(record)
        for key in ("inputs", "outputs"):
            fields[key] = tuple(tuple(map(int, shape)) for shape in fields.get(key, ()))
        if "window" in fields:
            window = {key: tuple(value) for key, value in fields["window"].items()}
            fields["window"] = Window(**window | {"padding": tuple(map(tuple, window["padding"]))})
        fields["fused"] = tuple(fields.get("fused", ()))
        return LayerSpec(**fields)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"not a layer: {json.dumps(record)[:200]}") from error


def dump_profile(profile: Profile) -> str:
    """The profile as JSON lines: a header, then a line a measurement, so that a campaign can append."""
    return "".join(f"{line}\n" for line in (dump_header(profile), *map(dump_measurement, profile.measurements)))


def dump_header(profile: Profile) -> str:
    header = {key: value for key, value in vars(profile).items() if key != "measurements"}
    return json.dumps({"schema_version": SCHEMA_VERSION, **header})


def dump_measurement(measurement: Measurement) -> str:
    return json.dumps(vars(measurement) | {"layer": layer_to_dict(measurement.layer)})


def load_profile(lines: Iterable[str], source: str = "profile") -> Profile:
    """The profile in JSON lines; a torn last line, as a killed campaign leaves, is dropped. Raises StoreError."""
    records = [line for line in lines if line.strip()]
    if not records:
        raise StoreError(f"{source}: empty")
    header = _parse(records[0], source, 1)
    version = header.pop("schema_version", None)
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise StoreError(f"{source}: schema version {version}, this edgewright reads up to {SCHEMA_VERSION}")
    measurements = []
    for number, line in enumerate(records[1:], 2):
        if number == len(records) and not line.endswith("\n"):
            break
        measurements.append(_measurement(_parse(line, source, number), source, number))
    try:
        return Profile(**header, measurements=tuple(measurements))
    except TypeError as error:
        raise StoreError(f"{source}: the header does not fit: {error}") from error


def _parse(line: str, source: str, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise StoreError(f"{source}, line {number}: not JSON") from error
    if not isinstance(record, dict):
        raise StoreError(f"{source}, line {number}: not a JSON object")
    return record


def _measurement(record: dict[str, Any], source: str, number: int) -> Measurement:
    try:
        layer = layer_from_dict(record.pop("layer"))
        return Measurement(layer=layer, **record | {"samples_s": tuple(record["samples_s"])})
    except (KeyError, TypeError) as error:
        raise StoreError(f"{source}, line {number}: not a measurement ({error})") from error
