"""What a runtime executes for a network at any widths, op by op: all that the search knows of a runtime."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from edgewright.graph.types import Graph, LayerSpec, Op
from edgewright.widths.places import Places, Widths


class Lies(NamedTuple):
    """How a tensor lies: in blocks or plain, whether it was reordered into the other form too, and the convolution
    that makes it, while that may still take an op in."""

    blocked: bool = False
    both: bool = False
    pending: LayerSpec | None = None


class Taken(NamedTuple):
    """What an op makes the runtime execute, and how its inputs and outputs lie after it."""

    layers: tuple[LayerSpec, ...]
    lies: tuple[tuple[str, Lies], ...]


class Step(Protocol):
    """An op as the runtime runs it: the activations that it reads and makes; `op` is that of the file."""

    @property
    def name(self) -> str: ...
    @property
    def op(self) -> Op: ...
    @property
    def inputs(self) -> Sequence[str]: ...
    @property
    def outputs(self) -> Sequence[str]: ...


class Ends(Protocol):
    """A network that says what comes into it."""

    @property
    def inputs(self) -> Sequence[str]: ...


class Executed(Protocol):
    """The ops of a network in order, and the layers that each of them is at given widths."""

    @property
    def places(self) -> Places: ...
    @property
    def network(self) -> Ends: ...
    @property
    def nodes(self) -> Sequence[Step]: ...

    def groups_of(self, index: int) -> tuple[int, ...]:
        """The groups whose widths decide the shapes of an op."""

    def take(self, index: int, widths: Mapping[int, int], lies: Mapping[str, Lies]) -> Taken:
        """The op of that index where its groups have these widths and its inputs lie so."""


def layers_at(executed: Executed, widths: Widths) -> tuple[LayerSpec, ...]:
    """The layers that are executed at these widths, in order."""
    lies = {name: Lies() for name in executed.network.inputs}
    found: list[LayerSpec] = []
    for index, node in enumerate(executed.nodes):
        taken = executed.take(index, dict(enumerate(widths)), {name: lies[name] for name in node.inputs})
        found += taken.layers
        lies |= dict(taken.lies)
    return tuple(found)


class Target(Protocol):
    """A runtime that networks are aligned for: what it executes of one, and the memory that one takes there."""

    def executed(self, places: Places) -> Executed:
        """The network of these places, op by op."""

    def peak_bytes(self, graph: Graph) -> int:
        """The predicted peak memory of the activations of a network: the one of the places, at any widths."""
