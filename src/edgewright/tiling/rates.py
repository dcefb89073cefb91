"""What ops cost where no device has been profiled: operations, bytes moved, and a little for every op."""

from dataclasses import dataclass
from math import prod

from edgewright.graph.cost import CONVOLUTIONS, layer_cost
from edgewright.graph.folding import folded
from edgewright.graph.layers import layer_of
from edgewright.graph.types import Graph, LayerSpec, Op
from edgewright.memory.liveness import lower_bound

_PICKING = frozenset({"slice", "gather"})
_MULTIPLYING = CONVOLUTIONS | {"fully_connected", "matmul", "gru", "lstm", "rnn"}


@dataclass(frozen=True, slots=True)
class OpTime:
    """Seconds of an op: a part that every tile of it pays, and a part that tiles share by size."""

    fixed_s: float = 0.0
    variable_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Speeds of a device of no particular kind; only their proportions matter to the choice of a plan.

    `select_s` is what an item of a PRelu costs beyond moving it, where the runtime computes it by a branch. `copies` is
    how often data is copied where it is cut or joined: more than once where the runtime has to bring it into another
    layout for that and back.
    """

    macs_per_s: float = 40e9
    bytes_per_s: float = 10e9
    op_s: float = 3e-6
    copies: float = 1.0
    select_s: float = 0.0

    def times(self, graph: Graph) -> dict[str, OpTime]:
        """The time of every op that costs any; what runtimes fold into another op costs nothing."""
        return {part.op.name: self._time(part.op, graph) for part in folded(graph)}

    def copy_s(self, size_bytes: float) -> float:
        """Seconds to cut or join so many bytes, which are read and written."""
        return 2.0 * self.copies * size_bytes / self.bytes_per_s

    def reorder_s(self, layer: LayerSpec) -> float:
        """Seconds of a layer that moves 32-bit data into another layout, one side of which is in the caches."""
        return self.op_s + 4.0 * prod(layer.output) / self.bytes_per_s

    def price(self, graph: Graph) -> tuple[int, float]:
        """The peak of lifetimes and the seconds of all ops of a network."""
        return lower_bound(graph), sum(one.fixed_s + one.variable_s for one in self.times(graph).values())

    def _time(self, op: Op, graph: Graph) -> OpTime:
        tensors = [graph.tensors[name] for name in (*op.inputs, *op.outputs) if name]
        weights = sum(tensor.size_bytes for tensor in tensors if tensor.is_constant)
        moved = sum(tensor.size_bytes for tensor in tensors) - weights
        if op.kind in _PICKING:  # they read what they make, and no more
            moved = 2 * sum(graph.tensors[name].size_bytes for name in op.outputs)
        selected = graph.tensors[op.outputs[0]].items * self.select_s if op.variant == "prelu" else 0.0
        computed = macs_of(op, graph) / self.macs_per_s + selected
        return OpTime(self.op_s + weights / self.bytes_per_s, computed + moved / self.bytes_per_s)

    def slower(self, factor: float) -> "Rates":
        """A device that takes so many times as long for everything."""
        rates = self.macs_per_s / factor, self.bytes_per_s / factor
        return Rates(*rates, self.op_s * factor, self.copies, self.select_s * factor)


def macs_of(op: Op, graph: Graph) -> int:
    """Multiply-accumulates of an op; 0 for kinds that do not multiply by weights or matrices."""
    return int(layer_cost(layer_of(op, graph)).macs) if op.kind in _MULTIPLYING else 0


def network_macs(graph: Graph) -> int:
    """Multiply-accumulates of a network."""
    return sum(macs_of(op, graph) for op in graph.ops)
