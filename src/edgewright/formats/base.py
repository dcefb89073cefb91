"""What a model format must do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from edgewright.graph.types import Graph, Shape


class Format(Protocol):
    """A file format of models: reads a file into a Graph."""

    @property
    def name(self) -> str:
        """How the format is called: `onnx`."""

    def read(self, path: Path, shapes: Mapping[str, Shape] | None = None) -> Graph:
        """The network in the file; `shapes` gives inputs with dynamic dimensions their shape.

        Raises ModelError for a file that is missing or broken, ShapeError for a dynamic shape that was not given.
        """
