"""The memory that LiteRT takes for a network's activations."""

from edgewright.memory.litert.predict import Delegate, LitertPeak, predict_peak

__all__ = ["Delegate", "LitertPeak", "predict_peak"]
