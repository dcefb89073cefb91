"""What a model format must do."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from edgewright.graph.edits import Edit
from edgewright.graph.padding import Padding
from edgewright.graph.types import Graph, Op, Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Format(Protocol):
    """A file format of models: reads a file into a Graph, and applies edits to the file.

    The law: read(apply(file, edits)) == graph.edits.apply(read(file), edits); for formats that name no ops, with every
    op named after its first output on both sides.
    """

    @property
    def name(self) -> str:
        """How the format is called: `onnx`."""

    @property
    def keeps_order(self) -> bool:
        """Whether runtimes run the ops in the order of the file, so that no slice need wait for a tensor."""

    def read(self, path: Path, shapes: Mapping[str, Shape] | None = None) -> Graph:
        """The network in the file; `shapes` gives inputs with dynamic dimensions their shape.

        Raises ModelError for a file that is missing or broken, ShapeError for a dynamic shape that was not given.
        """

    def apply(self, path: Path, edits: Sequence[Edit], out: Path, shapes: Mapping[str, Shape] | None = None) -> None:
        """Write the file after the edits to `out`; what they do not touch stays as it was.

        Inputs whose shape is given are fixed to it, unless only widths change. Raises ModelError, with nothing written,
        for a script that does not fit, an op that can't be changed so, and an output that can't be written or is the
        file itself.
        """

    def expresses(self, op: Op, space: Shape, padding: Padding) -> bool:
        """Whether a clone of an op can have this padding for an input of these spatial sizes (see `graph.padding`)."""


@runtime_checkable
class HoldsConstants(Protocol):
    """A format that tells the values of constants too."""

    def constants(self, path: Path, shapes: Mapping[str, Shape] | None = None) -> "Mapping[str, NDArray[Any]]":
        """Real values of the network's constants, by name; those that it can't tell are left out.

        Raises ModelError for a file that is missing or broken.
        """
