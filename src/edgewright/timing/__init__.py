"""The execution-time model of a device: learned from a profile, and readable."""

from edgewright.timing.fit import evaluate, fit
from edgewright.timing.model import ExecutionTimeModel, HeldOut

__all__ = ["ExecutionTimeModel", "HeldOut", "evaluate", "fit"]
