"""What is asked of a compression, and what is known of the device that the network is for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from edgewright.graph.types import LayerSpec
from edgewright.timing.model import ExecutionTimeModel
from edgewright.units import format_count, format_seconds

METHODS = ("taylor", "deepiot")

Measure = Callable[[nn.Module | None], float]
"""Seconds of the network as it was given (None), or of another module, on the device."""
MeasureLayers = Callable[[nn.Module | None], Mapping[LayerSpec, float]]
"""Seconds of each of its layers."""


@dataclass(frozen=True)
class Device:
    """Where the network is to run: what was learned of it, and what measures it, where it is this machine.

    `block` is the channels of a block of the runtime's blocked layout, `overhead_s` the time of an empty run, `energy`
    the model of its energy, where there is one.
    """

    model: ExecutionTimeModel
    block: int
    overhead_s: float = 0.0
    energy: ExecutionTimeModel | None = None
    measure: Measure | None = None
    layers: MeasureLayers | None = None


@dataclass(frozen=True)
class Aim:
    """What is asked for: `time` is a share of what the network takes now, or seconds where `is_absolute`.

    `steer` tells what the share is of (time, energy, operations, parameters). `max_drop` is in points, `steps` of
    training are those of all rounds together, `batches` are scored in each round.
    """

    time: float
    is_absolute: bool = False
    steer: str = "time"
    method: str = "taylor"
    max_drop: float | None = None
    memory_bytes: int | None = None
    steps: int = 1000
    rounds: int = 2
    batches: int = 50

    def amount(self, value: float) -> str:
        """A cost in words."""
        if self.steer == "time":
            return format_seconds(value)
        return f"{1e3 * value:.3g} mJ" if self.steer == "energy" else f"{format_count(value)} {self.steer}"
