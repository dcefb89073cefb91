"""The TFLite format: flatbuffer to Graph, and edits applied to the flatbuffer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgewright.formats.tflite.apply import apply, edited
from edgewright.formats.tflite.constants import constants
from edgewright.formats.tflite.int8_io import QuantizedEnd, int8_io
from edgewright.formats.tflite.read import read
from edgewright.graph.edits import Edit
from edgewright.graph.padding import Padding, same_or_valid
from edgewright.graph.types import Graph, Op, Shape

__all__ = ["QuantizedEnd", "TfliteFormat", "apply", "constants", "edited", "int8_io", "read"]


class TfliteFormat:
    """TFLite files: float and integer networks, the first subgraph of each."""

    name = "tflite"
    keeps_order = True

    def read(self, path: Path, shapes: Mapping[str, Shape] | None = None) -> Graph:
        return read(path, shapes)

    def constants(self, path: Path, shapes: Mapping[str, Shape] | None = None) -> Mapping[str, NDArray[Any]]:
        return constants(path, shapes)

    def apply(self, path: Path, edits: Sequence[Edit], out: Path, shapes: Mapping[str, Shape] | None = None) -> None:
        apply(path, edits, out, shapes)

    def expresses(self, op: Op, space: Shape, padding: Padding) -> bool:
        return same_or_valid(op, space, padding)
