"""The energy of layers that were timed before: each runs by itself for a good part of a second beside a meter."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic

from edgewright.energy import EnergyMeter
from edgewright.errors import DeviceError, RuntimeRefusedError
from edgewright.graph.types import LayerSpec
from edgewright.profile import Measurement, Profile
from edgewright.profiling.batch import Workplace

ROUND_S = 0.3
"""Long beside the milliseconds in which counters are renewed."""
_MOST_RUNS = 10**6
_IDLE = LayerSpec("unary", ((1, 64),), ((1, 64),), variant="abs")
"""A layer that does next to nothing: what a run takes besides its layer."""


def measure_energy(
    place: Workplace,
    meter: EnergyMeter,
    profile: Profile,
    budget_s: float,
    on_progress: Callable[[float, int], None] = lambda _, __: None,
) -> Profile:
    """The profile with the joules of a run of its layers, as many as fit into `budget_s`, of all families in turn.

    All that the meter's rails take while the layer runs counts, idle power too; what a run takes without any layer is
    taken off. Raises DeviceError where the meter or the harness fails.
    """
    started_s = monotonic()
    overhead_j = _joules(place, meter, _IDLE) or 0.0
    found: dict[LayerSpec, float] = {}
    for layer in in_turn(profile.measurements):
        spent_s = monotonic() - started_s
        if spent_s >= budget_s:
            break
        on_progress(spent_s / budget_s, len(found))
        joules = _joules(place, meter, layer)
        if joules is not None and joules > overhead_j:
            found[layer] = joules - overhead_j
    return replace(
        profile,
        measurements=tuple(
            replace(m, energy_j=found[m.layer]) if m.alone and m.layer in found else m for m in profile.measurements
        ),
    )


def in_turn(measurements: Sequence[Measurement]) -> list[LayerSpec]:
    """The layers that were measured alone and whose energy is not known, one of each family after the other."""
    families: dict[str, dict[LayerSpec, None]] = {}
    for measurement in measurements:
        if measurement.alone and measurement.energy_j is None:
            families.setdefault(measurement.layer.family, {})[measurement.layer] = None
    ranked = [(place, layer) for own in families.values() for place, layer in enumerate(own)]
    return [layer for _, layer in sorted(ranked, key=lambda one: one[0])]


def _joules(place: Workplace, meter: EnergyMeter, layer: LayerSpec) -> float | None:
    """Joules of one run of a model of this layer alone; None where the runtime refuses it."""
    how = place.how
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "layer.onnx"
            path.write_bytes(place.runtime.build([layer]))
            place.client.ask("load", model=place.client.put(path), threads=how.threads, level=how.level, cpu=how.cpu)
    except RuntimeRefusedError:
        return None
    with meter:
        runs = len(place.client.ask("round", limit_s=ROUND_S, most=_MOST_RUNS)["samples_s"]) + 1
    if meter.energy.joules < 0:
        raise DeviceError(f"{meter.source}: {meter.energy.joules:g} J were measured")
    return meter.energy.each(runs).joules
