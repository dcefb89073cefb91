"""Predicts the peak memory of a network under ONNX Runtime, by doing what the runtime would do.

The network is rewritten as the runtime rewrites it (`fusions`, `blocked`), put in the runtime's order (`network`),
planned as the runtime plans it (`planner`, `kernels`) and allocated as its allocators allocate (`arena`, `replay`).
docs/onnxruntime-memory.md tells what is behind each step and how it was checked.
"""

from edgewright.memory.onnxruntime.predict import PeakPrediction, Settings, predict_peak

__all__ = ["PeakPrediction", "Settings", "predict_peak"]
