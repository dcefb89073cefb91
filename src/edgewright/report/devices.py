"""What is told of devices: how far each was measured and learned, and how its model compares with baselines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewright.timing import HeldOut


@dataclass(frozen=True)
class DeviceSummary:
    """What is known of a device: how many `trees` were learned, and the held-out errors of each kind that has any.

    Of its `measurements` those that are `disturbed`, in another state of the machine than the rest, teach less.
    `noise_percent` is how far the same layers, measured early and late, lie apart, and `drift_percent` how much slower
    the late ones are, in the median; both are None where nothing was repeated.
    """

    name: str
    device: str
    runtime: str
    runtime_version: str
    threads: int
    layers: int
    measurements: int
    unstable: int
    disturbed: int
    noise_percent: float | None
    drift_percent: float | None
    trees: int
    kinds: Mapping[str, "HeldOut"]


@dataclass(frozen=True)
class Evaluation:
    """Held-out errors of a device's execution-time model, and of each baseline, for each kind of layer."""

    device: str
    kinds: Mapping[str, "HeldOut"]
    baselines: Mapping[str, Mapping[str, "HeldOut"]]
    notes: tuple[str, ...] = ()
