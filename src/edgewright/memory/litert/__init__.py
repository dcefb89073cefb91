"""The memory that LiteRT takes for a network's activations."""

from edgewright.memory.litert.delegation import MOST_JOINED, Taken
from edgewright.memory.litert.predict import Delegate, LitertPeak, predict_peak

__all__ = ["MOST_JOINED", "Delegate", "LitertPeak", "Taken", "predict_peak"]
