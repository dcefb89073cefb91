"""The tail of TFLM's arena: all that lives as long as the interpreter, allocated from the top of the arena down.

Replayed allocation by allocation, in the runtime's order, as each begins on a multiple of its own alignment.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from edgewright.graph.types import Graph
from edgewright.memory.tflm import structures as of
from edgewright.memory.tflm.operators import kernel_of, stored_parameters
from edgewright.memory.tflm.structures import ARENA_ALIGNMENT, Build, Struct, aligned

CATEGORIES = ("runtime", "tensors", "nodes", "options", "kernels", "channels", "scratch handles", "variables",
              "inputs and outputs")  # fmt: skip
"""What the tail consists of: the runtime's own structures, a structure for each tensor and each node, parsed options
and structure of each kernel, its persistent buffers (multiplier and shift of each channel, above all), and so on."""

_QUANTIZED = frozenset({"int8", "uint8", "int16"})


@dataclass
class Tail:
    """How far down the arena is taken, in all and by category; alignment counts to what it comes before."""

    size_bytes: int = 0
    by_category: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CATEGORIES, 0))

    def take(self, category: str, size: int, alignment: int) -> None:
        before = self.size_bytes
        self.size_bytes = aligned(before + size, alignment)
        self.by_category[category] += self.size_bytes - before

    def take_all(self, category: str, structs: Iterable[tuple[Struct, int]], build: Build) -> None:
        for struct, count in structs:
            self.take(category, struct.size(build) * count, struct.alignment(build))


@dataclass(frozen=True)
class Tails:
    """The tail at the end, when the plan for the head is made, and when each op is prepared."""

    final: Tail
    planning_bytes: int
    preparing_bytes: tuple[int, ...]


def tensor_count(graph: Graph) -> int:
    """Tensors of the file: those of the graph, and constants that say how ops compute (shapes, axes, bounds)."""
    return len(graph.tensors) + sum(stored_parameters(op) for op in graph.ops)


def scratch_sizes(graph: Graph, build: Build) -> list[tuple[int, int]]:
    """The index of an op and the bytes of a scratch buffer, for each that is asked for, in order."""
    return [(i, size) for i, op in enumerate(graph.ops) for size in kernel_of(op, graph).scratch(op, graph, build)]


def tails(graph: Graph, build: Build, tensors: int, scratch_count: int) -> Tails:
    """The tail for a graph of one subgraph whose file has so many tensors. Raises UnsupportedModelError."""
    tail = Tail()
    kernels = [kernel_of(op, graph) for op in graph.ops]
    runtime = (of.BUFFER_ALLOCATOR, of.PLANNER, of.MICRO_ALLOCATOR, of.BUILTIN_DATA_ALLOCATOR, of.SUBGRAPH)
    tail.take_all("runtime", ((struct, 1) for struct in runtime), build)
    tail.take_all("tensors", [(of.EVAL_TENSOR, tensors)], build)
    tail.take_all("nodes", [(of.NODE, len(graph.ops))], build)
    tail.take_all("options", ((kernel.options, 1) for kernel in kernels if kernel.options), build)
    for kernel in kernels:
        if kernel.data:
            tail.take("kernels", kernel.data.size(build), ARENA_ALIGNMENT)
    preparing = []
    for op, kernel in zip(graph.ops, kernels, strict=True):
        for size in kernel.persistent(op, graph, build):
            tail.take("channels", size, ARENA_ALIGNMENT)
        preparing.append(tail.size_bytes)
    if scratch_count:
        tail.take_all("scratch handles", [(of.SCRATCH_HANDLE, scratch_count)], build)
    for tensor in graph.tensors.values():
        if tensor.is_variable:
            tail.take("variables", tensor.size_bytes, ARENA_ALIGNMENT)
    planning = tail.size_bytes
    for names in (graph.inputs, graph.outputs):
        tail.take("inputs and outputs", build.pointer_bytes * len(names), ARENA_ALIGNMENT)
        tail.take_all("inputs and outputs", _ends(graph, names), build)
    return Tails(tail, planning, tuple(preparing))


def _ends(graph: Graph, names: Sequence[str]) -> Iterator[tuple[Struct, int]]:
    """Structures of the network's inputs or outputs; quantized ones have a scale and a zero point."""
    for name in names:
        yield of.TENSOR, 1
        if graph.tensors[name].dtype in _QUANTIZED:
            yield of.QUANTIZATION, 1
            yield Struct("ii"), 1
