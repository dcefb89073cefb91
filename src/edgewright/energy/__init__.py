"""Energy as it is measured: counters and sensors of this machine, and power traces of others. Nothing is estimated."""

from edgewright.energy.meter import Energy, EnergyMeter
from edgewright.energy.sources import Availability, available
from edgewright.energy.trace import PowerTrace, load_trace, read_trace

__all__ = ["Availability", "Energy", "EnergyMeter", "PowerTrace", "available", "load_trace", "read_trace"]
