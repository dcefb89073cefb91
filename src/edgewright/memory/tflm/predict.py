"""The arena of a network under TensorFlow Lite Micro, before anything is run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from edgewright.graph.types import Graph
from edgewright.memory.tflm import structures as of
from edgewright.memory.tflm.operators import check, kernel_of
from edgewright.memory.tflm.planner import ONLINE, Request, greedy_offsets, head_bytes, lifetimes_bound
from edgewright.memory.tflm.structures import HOST, Build, aligned
from edgewright.memory.tflm.tail import scratch_sizes, tails, tensor_count


@dataclass(frozen=True)
class ArenaPrediction:
    """What `kTensorArenaSize` has to hold, and who holds it.

    `used_bytes` is head and tail, what the interpreter reports as used; `arena_bytes` is what must be given, which is
    more where preparing or planning (`planning_bytes`) needs more than the plan. `lower_bound_bytes` is what lives at
    once at the least. `holders` are the buffers that live at the peak, the largest first: name, kind (input, tensor,
    output, scratch), bytes. `tail` has the bytes of each category. `timeline_bytes` has what lives while each op runs.
    """

    build: str
    arena_bytes: int
    head_bytes: int
    tail_bytes: int
    planning_bytes: int
    lower_bound_bytes: int
    peak_op: str
    tail: tuple[tuple[str, int], ...]
    holders: tuple[tuple[str, str, int], ...]
    timeline_bytes: tuple[tuple[str, int], ...]
    weights_bytes: int

    @property
    def used_bytes(self) -> int:
        return self.head_bytes + self.tail_bytes


def predict_arena(
    graph: Graph, build: Build = HOST, *, offsets: Mapping[str, int] | None = None, tensors: int | None = None
) -> ArenaPrediction:
    """The arena of a network: its head to the byte, its tail by category.

    `offsets` are those of tensors that are planned offline. `tensors` is how many the file has; counted where not
    given. Raises UnsupportedModelError where TFLM can't run the network, naming the op.
    """
    check(graph)
    requests = requests_of(graph, build, offsets)
    placed = greedy_offsets(requests)
    count = tensor_count(graph) if tensors is None else tensors
    scratch_count = sum(request.is_scratch for request in requests)
    tail = tails(graph, build, count, scratch_count)
    head = head_bytes(requests, placed)
    planning = tail.planning_bytes + _planning_bytes(build, count, scratch_count, len(requests))
    planning = max(planning, *map(sum, zip(tail.preparing_bytes, _preparing(graph, build), strict=True)), 0)
    timeline = _timeline(graph, requests)
    peak = max(range(len(timeline)), key=timeline.__getitem__, default=0)
    return ArenaPrediction(
        build=build.name,
        arena_bytes=aligned(max(head + tail.final.size_bytes, planning)),
        head_bytes=head,
        tail_bytes=tail.final.size_bytes,
        planning_bytes=planning,
        lower_bound_bytes=lifetimes_bound(requests),
        peak_op=graph.ops[peak].name if graph.ops else "",
        tail=tuple(tail.final.by_category.items()),
        holders=_holders(graph, requests, peak + 1),
        timeline_bytes=tuple(zip((op.name for op in graph.ops), timeline, strict=True)),
        weights_bytes=sum(tensor.size_bytes for tensor in graph.tensors.values() if tensor.is_constant),
    )


def requests_of(graph: Graph, build: Build, offsets: Mapping[str, int] | None = None) -> tuple[Request, ...]:
    """The buffers that the planner is asked for: activations in the order of the file's tensors, then scratch.

    Op i runs at moment i + 1. Inputs of the network live from moment 0 to their last reader, outputs from the op that
    makes them to the end. What no op makes or reads lives at moment -1 alone.
    """
    first = dict.fromkeys(graph.inputs, 0)
    last = dict.fromkeys((*graph.inputs, *graph.outputs), 0)
    for moment, op in enumerate(graph.ops, 1):
        first |= dict.fromkeys(filter(None, op.outputs), moment)
        last |= dict.fromkeys(filter(None, (*op.inputs, *op.outputs)), moment)
    last |= dict.fromkeys(graph.outputs, len(graph.ops))
    places = offsets or {}
    found = [
        Request(name, aligned(tensor.size_bytes), first.get(name, -1), last.get(name, -1), places.get(name, ONLINE))
        for name, tensor in graph.tensors.items()
        if not tensor.is_constant and not tensor.is_variable and tensor.size_bytes
    ]
    for index, size in scratch_sizes(graph, build):
        found.append(Request(graph.ops[index].name, aligned(size), index + 1, index + 1, is_scratch=True))
    return tuple(found)


def without_offsets(requests: Sequence[Request]) -> tuple[Request, ...]:
    """The same buffers, all left to the planner."""
    return tuple(replace(request, offset_bytes=ONLINE) for request in requests)


def _planning_bytes(build: Build, tensors: int, scratch_count: int, buffers: int) -> int:
    """What planning holds for a while in the head: requests for scratch, lifetimes, the planner's own tables."""
    size = of.SCRATCH_REQUEST.size(build) * (scratch_count + of.SCRATCH_REQUESTS_PER_OP)
    size = aligned(size, build.pointer_bytes) + build.pointer_bytes
    size += of.ALLOCATION.size(build) * (tensors + scratch_count)
    return aligned(size) + of.PLANNED_BUFFER_BYTES * buffers


def _preparing(graph: Graph, build: Build) -> Iterator[int]:
    """What preparing each op holds for a while in the head, at the most.

    These are requests for scratch, and twice the structures of its tensors, with a zero point for each channel.
    """
    asked = 0
    for op in graph.ops:
        kernel, names = kernel_of(op, graph), [name for name in (*op.inputs, *op.outputs) if name]
        each = of.TENSOR.size(build) + of.QUANTIZATION.size(build) + build.pointer_bytes + 4
        size = 2 * (each * len(names) + sum(kernel.persistent(op, graph, build)))
        yield size + of.SCRATCH_REQUEST.size(build) * (asked + of.SCRATCH_REQUESTS_PER_OP)
        asked += len(kernel.scratch(op, graph, build))


def _timeline(graph: Graph, requests: Sequence[Request]) -> list[int]:
    """Bytes that live while each op runs."""
    change = [0] * (len(graph.ops) + 3)
    for one in requests:
        if one.last >= 0:
            change[one.first] += one.size_bytes
            change[one.last + 1] -= one.size_bytes
    live, found = 0, []
    for size in change[: len(graph.ops) + 1]:
        live += size
        found.append(live)
    return found[1:]


def _holders(graph: Graph, requests: Sequence[Request], moment: int) -> tuple[tuple[str, str, int], ...]:
    found = []
    for one in requests:
        if one.first <= moment <= one.last:
            kind = "input" if one.name in graph.inputs else "output" if one.name in graph.outputs else "tensor"
            found.append((one.name, "scratch" if one.is_scratch else kind, one.size_bytes))
    return tuple(sorted(found, key=lambda holder: -holder[2]))
