"""The ONNX format: ModelProto to Graph, and edits applied to a ModelProto."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgewright.formats.onnx.apply import apply, edited
from edgewright.formats.onnx.constants import constants
from edgewright.formats.onnx.load import load, named
from edgewright.formats.onnx.read import read
from edgewright.graph.edits import Edit
from edgewright.graph.padding import Padding, any_padding
from edgewright.graph.types import Graph, Op, Shape

__all__ = ["OnnxFormat", "apply", "constants", "edited", "load", "named", "read"]


class OnnxFormat:
    """ONNX files, operator sets 7 and newer, and what ONNX Runtime saves of its optimized models."""

    name = "onnx"
    keeps_order = False

    def read(self, path: Path, shapes: Mapping[str, Shape] | None = None) -> Graph:
        return read(path, shapes)

    def constants(self, path: Path, shapes: Mapping[str, Shape] | None = None) -> Mapping[str, NDArray[Any]]:
        return constants(path, shapes)

    def apply(self, path: Path, edits: Sequence[Edit], out: Path, shapes: Mapping[str, Shape] | None = None) -> None:
        apply(path, edits, out, shapes)

    def expresses(self, op: Op, space: Shape, padding: Padding) -> bool:
        return any_padding(op, space, padding)
