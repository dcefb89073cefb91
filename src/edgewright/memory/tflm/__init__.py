"""The arena of TensorFlow Lite Micro: predicted to the byte, and planned offline with less waste.

The head is replayed (`planner`, over the lifetimes that `predict` takes from the graph), the tail too (`tail`,
`kernels`, `structures`); `offline` looks for better places. docs/tflm-memory.md tells what is behind each step.
"""

from edgewright.memory.tflm.predict import ArenaPrediction, predict_arena
from edgewright.memory.tflm.structures import DEVICE, HOST, Build

__all__ = ["DEVICE", "HOST", "ArenaPrediction", "Build", "predict_arena"]
