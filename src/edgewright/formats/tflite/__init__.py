"""The TFLite format: flatbuffer to Graph, and edits applied to the flatbuffer."""

from collections.abc import Mapping
from pathlib import Path

from edgewright.formats.tflite.read import read
from edgewright.graph.types import Graph, Shape

__all__ = ["TfliteFormat", "read"]


class TfliteFormat:
    """TFLite files: float and integer networks, the first subgraph of each."""

    name = "tflite"

    def read(self, path: Path, shapes: Mapping[str, Shape] | None = None) -> Graph:
        return read(path, shapes)
