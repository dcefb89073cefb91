"""Runtimes: how to build a model for layers, and what their harness says. `open()` finds one by its name."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from edgewright.errors import MeasurementError
from edgewright.runtimes.base import Runtime

OF_FORMATS: Mapping[str, str] = MappingProxyType({"onnx": "onnxruntime", "tflite": "litert"})
"""The runtime that executes files of each format where none is asked for."""


def of_model(path: Path) -> str:
    """The name of the runtime that executes a model file. Raises ModelError."""
    from edgewright import formats

    return OF_FORMATS[formats.open(path).name]


def open(name: str = "onnxruntime") -> Runtime:  # noqa: A001
    """The runtime of that name. Raises MeasurementError for one that is not known."""
    if name == "onnxruntime":
        from edgewright.runtimes.onnxruntime import OnnxRuntime

        return OnnxRuntime()
    if name == "litert":
        if find_spec("ai_edge_litert") is None:
            raise MeasurementError("the runtime `litert` needs ai-edge-litert: pip install 'edgewright[litert]'")
        from edgewright.runtimes.litert import LiteRT

        return LiteRT()
    raise MeasurementError(f"runtime {name!r} is not known; this version measures on `onnxruntime` and `litert`")
