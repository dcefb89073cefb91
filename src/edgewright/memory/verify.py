"""An independent check of an arena: it replays the ops over the bytes and looks for one that reads what is lost."""

from edgewright.graph.types import Graph, Op
from edgewright.memory.liveness import IN_PLACE, VIEWS, Arena


def violations(graph: Graph, arena: Arena, inputs_held: bool = True) -> tuple[str, ...]:
    """What is wrong with an arena, a sentence each; empty where the network computes the right thing in it.

    Every tensor takes its bytes when it is written, and loses them when another one is written over any of them. A
    tensor must still have its bytes whenever an op reads it, and outputs of the network (and inputs, where the caller
    holds them) at the end. An op writes over its own input only where it works in place.
    """
    replay = _Replay(graph, arena)
    for name in dict.fromkeys(graph.inputs):
        if not graph.tensors[name].is_constant:
            replay.write(name, "the start")
    for op in graph.ops:
        replay.run(op)
    kept = (*graph.outputs, *graph.inputs) if inputs_held else graph.outputs
    for name in dict.fromkeys(kept):
        replay.read(name, "the end")
    return tuple(replay.found)


class _Replay:
    """The bytes of the arena: which tensor holds which range."""

    def __init__(self, graph: Graph, arena: Arena) -> None:
        self.graph = graph
        self.arena = arena
        self.holds: dict[str, tuple[int, int]] = {}
        self.found: list[str] = []

    def run(self, op: Op) -> None:
        given = [name for name in dict.fromkeys(op.inputs) if name and not self.graph.tensors[name].is_constant]
        made = [name for name in op.outputs if name and not self.graph.tensors[name].is_constant]
        for name in given:
            self.read(name, f"op {op.name!r}")
        for name in made:
            for other in given:
                self.check_own_input(op, name, other)
        for name in made:
            is_view = op.kind in VIEWS and any(self.span(other) == self.span(name) for other in given)
            unhurt = list(self.holds) if is_view else [one for one in made if one != name]  # a view writes nothing
            self.write(name, f"op {op.name!r}", beside=unhurt)
        for first, second in ((a, b) for i, a in enumerate(made) for b in made[:i]):
            if _overlap(self.span(first), self.span(second)):
                self.found.append(f"op {op.name!r} makes {first!r} and {second!r} in the same bytes")

    def check_own_input(self, op: Op, output: str, given: str) -> None:
        ours, theirs = self.span(output), self.span(given)
        works = op.kind in VIEWS or (op.kind in IN_PLACE and ours == theirs)
        if _overlap(ours, theirs) and not works:
            self.found.append(f"op {op.name!r} writes {output!r} over its own input {given!r}")

    def read(self, name: str, reader: str) -> None:
        if not self.graph.tensors[name].is_constant and self.graph.tensors[name].size_bytes and name not in self.holds:
            self.found.append(f"{reader} reads {name!r}, whose bytes are lost")

    def write(self, name: str, writer: str, beside: list[str] | None = None) -> None:
        span = self.span(name)
        if span[0] < 0 or span[1] > self.arena.peak_bytes:
            self.found.append(f"{writer} writes {name!r} outside of the arena")
        for other in [one for one, held in self.holds.items() if _overlap(held, span)]:
            if other not in (beside or ()):
                del self.holds[other]
        self.holds[name] = span

    def span(self, name: str) -> tuple[int, int]:
        start = self.arena.offsets_bytes.get(name, -1)
        return start, start + self.graph.tensors[name].size_bytes


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]
