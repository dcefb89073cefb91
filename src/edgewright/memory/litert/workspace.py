"""XNNPACK's workspace: a place for each tensor that it makes and reads itself, as its memory planner finds it.

The rules are those of `src/memory-planner.c` and of `xnn_plan_memory` in `src/runtime.c` of google/XNNPACK: tensors by
falling size, of equal size in the order of the file, each into the smallest gap between those that live with it.
Elementwise operators, softmax and reshapes write over the first operand of that size that they alone read, where one
operator alone reads the result.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from edgewright.graph.types import Op, Tensor
from edgewright.memory.liveness import Arena, best_gap

ALIGNMENT_BYTES = 64
_IN_PLACE = frozenset({"unary", "binary", "softmax", "reshape", "copy"})


@dataclass(frozen=True)
class _Span:
    """Bytes that a tensor, and those written over it, hold from one operator to another, both included."""

    tensor: str
    size_bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Workspace:
    """Where each tensor lies, and who holds most where most is held."""

    arena: Arena
    holders: tuple[tuple[str, int], ...]


def plan_workspace(ops: Sequence[Op], tensors: Mapping[str, Tensor]) -> Workspace:
    """The workspace of operators in this order for `tensors`, which lie in it, in the order of the file."""
    sizes = {name: _up(tensor.size_bytes) for name, tensor in tensors.items()}
    spans, holder = _spans(ops, sizes)
    place = {name: index for index, name in enumerate(tensors)}
    offsets: dict[str, int] = {}
    placed: list[_Span] = []
    for span in sorted(spans.values(), key=lambda span: (-span.size_bytes, place[span.tensor])):
        rivals = (one for one in placed if one.first <= span.last and span.first <= one.last)
        taken = ((offsets[one.tensor], offsets[one.tensor] + one.size_bytes) for one in rivals)
        offsets[span.tensor] = best_gap(sorted(taken), span.size_bytes)
        placed.append(span)
    top = max((offsets[span.tensor] + span.size_bytes for span in placed), default=0)
    peak = _peak_index(placed, len(ops))
    live = sorted((span for span in placed if span.first <= peak <= span.last), key=lambda span: -span.size_bytes)
    found = {name: offsets[root] for name, root in holder.items()}
    arena = Arena(found, top, ops[peak].name if ops else "")
    return Workspace(arena, tuple((span.tensor, tensors[span.tensor].size_bytes) for span in live))


def _spans(ops: Sequence[Op], sizes: Mapping[str, int]) -> tuple[dict[str, _Span], dict[str, str]]:
    """The lifetimes of all bytes, and the tensor whose bytes each tensor has."""
    reads = Counter(name for op in ops for name in op.inputs)
    spans: dict[str, _Span] = {}
    for index, op in enumerate(ops):
        for name in (*op.inputs, *op.outputs):
            if name in sizes:
                known = spans.get(name) or _Span(name, sizes[name], index, index)
                spans[name] = replace(known, last=index)
    holder = {name: name for name in spans}
    for op in ops:
        made = op.outputs[0] if op.outputs else ""
        if op.kind not in _IN_PLACE or made not in sizes or reads[made] != 1:
            continue
        found = (name for name in op.inputs if name in sizes and reads[name] == 1 and sizes[name] == sizes[made])
        given = next(found, None)
        if given is not None:
            root = holder[made] = holder[given]
            spans[root] = replace(spans[root], last=max(spans[root].last, spans.pop(made).last))
    return spans, holder


def _peak_index(spans: Iterable[_Span], count: int) -> int:
    """The first operator at which most is held."""
    changes = [0] * (count + 1)
    for span in spans:
        changes[span.first] += span.size_bytes
        changes[span.last + 1] -= span.size_bytes
    live = list(accumulate(changes))
    return live.index(max(live))


def _up(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
