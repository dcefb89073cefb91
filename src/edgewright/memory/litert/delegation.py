"""Which operators XNNPACK will take over of a network that is not there yet: one that tiling has rewritten.

What it takes of the network as it is was asked of the runtime. Copies of its operators are taken as they are; of what
tiling adds it takes slices, pads with the zero point, and concats of up to five tensors. What it takes is run in parts:
TFLite goes through the operators in order, and a part gets all of one side whose inputs are there by then
(PartitionGraphIntoIndependentNodeSubsets in its `graph_info.cc`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edgewright.graph.types import Graph, Op
from edgewright.memory.litert.predict import Delegate, run_of

MOST_JOINED = 5
_DTYPES = frozenset({"float32", "int8", "uint8"})
Signature = tuple[object, ...]


@dataclass(frozen=True)
class Taken:
    """What XNNPACK takes: operators like these, and what tiling adds that is not like those that it has refused."""

    signatures: frozenset[Signature]
    refused: frozenset[Signature] = frozenset()

    @classmethod
    def of(cls, graph: Graph, delegates: Sequence[Delegate]) -> "Taken":
        """What it takes of a network as it is."""
        taken = frozenset(_signature(op, graph) for one in delegates for op in run_of(graph, one))
        return cls(taken, frozenset(_signature(op, graph) for op in graph.ops) - taken)

    def delegates(self, graph: Graph) -> tuple[Delegate, ...]:
        """The parts of a network that was rewritten which XNNPACK will run."""
        taken = self._names(graph)
        there = {name for name, tensor in graph.tensors.items() if tensor.is_constant} | {"", *graph.inputs}
        left, parts = list(graph.ops), []
        while left:
            part: list[Op] = []
            waiting: list[Op] = []
            for op in left:
                of_the_side = not part or (op.name in taken) == (part[0].name in taken)
                if of_the_side and there.issuperset(op.inputs):
                    part.append(op)
                    there.update(op.outputs)
                else:
                    waiting.append(op)
            left = waiting
            if not part:  # a network that can't run; the rest is nobody's
                break
            if part[0].name in taken:
                parts.append(part)
        return tuple(_delegate(graph, part) for part in parts)

    def _names(self, graph: Graph) -> set[str]:
        readers = graph.consumers()
        found = set()
        for op in graph.ops:
            like = _signature(op, graph)
            is_new = like not in self.refused and _added(op, graph, readers.get(op.outputs[0], ()))
            if like in self.signatures or is_new:
                found.add(op.name)
        return found


def _signature(op: Op, graph: Graph) -> Signature:
    """What XNNPACK looks at, sizes apart."""
    dtypes = tuple(graph.tensors[name].dtype for name in (*op.inputs, *op.outputs) if name)
    window = op.window and (op.window.kernel, op.window.stride, op.window.dilation)
    said = tuple(op.attributes.get(name) for name in ("fused", "axes", "axis", "value"))
    return op.kind, op.variant, *said, dtypes, window


def _added(op: Op, graph: Graph, readers: Sequence[Op]) -> bool:
    """Whether an operator that tiling may have added is taken over."""
    if not op.inputs or graph.tensors[op.inputs[0]].dtype not in _DTYPES:
        return False
    if op.kind == "pad":
        zeros = {float(reader.attributes.get("input_zero_point", 0)) for reader in readers}
        return op.attributes.get("value", 0.0) in zeros
    return op.kind == "slice" or (op.kind == "concat" and len(op.inputs) <= MOST_JOINED)


def _delegate(graph: Graph, part: Sequence[Op]) -> Delegate:
    made = {name for op in part for name in op.outputs}
    inside = {op.name for op in part}
    read = {name for op in graph.ops if op.name not in inside for name in op.inputs} | set(graph.outputs)
    given = dict.fromkeys(name for op in part for name in op.inputs if name and name not in made)
    return Delegate(tuple(given), tuple(name for op in part for name in op.outputs if name in read))
