"""How far a campaign's repeated measurements lie apart: the noise floor, and the drift of the machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edgewright.graph.types import LayerSpec
from edgewright.profile import Measurement
from edgewright.timing.model import SHORTEST_S


@dataclass(frozen=True)
class Repeats:
    """Layers measured in an early and in a late batch: how far the two lie apart, and how much slower the late one is.

    Both are the medians over `layers` layers.
    """

    noise_percent: float
    drift_percent: float
    layers: int


def repeats(measurements: Sequence[Measurement]) -> Repeats | None:
    """What the layers say that were measured more than once, the first time against the last; None without any.

    Layers shorter than 5 us are left out, as they are from held-out errors.
    """
    found: dict[LayerSpec, list[Measurement]] = {}
    for measurement in sorted((m for m in measurements if m.alone), key=lambda m: m.started_s):
        found.setdefault(measurement.layer, []).append(measurement)
    changes = [
        same[-1].time_s / same[0].time_s - 1
        for same in found.values()
        if len(same) > 1 and same[0].time_s > SHORTEST_S and same[-1].started_s > same[0].started_s
    ]
    if not changes:
        return None
    return Repeats(100 * median(map(abs, changes)), 100 * median(changes), len(changes))
