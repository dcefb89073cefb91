"""Predicts what LiteRT takes for activations: its own arena, and the workspace that XNNPACK plans by itself.

XNNPACK takes over runs of operators (delegates). What is made and read within one lies in XNNPACK's workspace, which
all delegates share (`workspace`); all other tensors lie in the arena, which is planned greedily by size, keeps the
network's inputs to the end, and writes nothing in place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edgewright.graph.ordering import stable_order
from edgewright.graph.types import Graph, Op
from edgewright.graph.xnnpack import parts_of
from edgewright.memory.litert.workspace import Workspace, plan_workspace
from edgewright.memory.liveness import Arena, Buffer, by_size, place, timeline

ARENA_ALIGNMENT_BYTES = 64
_EXTRA_BYTES = 32
"""What XNNPACK adds to its workspace, as kernels may read beyond the end of a tensor."""


@dataclass(frozen=True)
class Delegate:
    """A run of operators that XNNPACK has taken over: the tensors that it reads and makes."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class LitertPeak:
    """Bytes for activations: the arena, and the workspace of XNNPACK; both are held for good.

    `weights_bytes` are those of the file, of which XNNPACK keeps a packed copy besides; `overhead_bytes` is what
    alignment adds. `holders` are the tensors that the arena holds at its peak, and those of the workspace at its own.
    """

    arena: Arena
    workspace: Arena
    arena_bytes: int
    workspace_bytes: int
    weights_bytes: int
    overhead_bytes: int
    inputs_bytes: int
    holders: tuple[tuple[str, int], ...]

    @property
    def peak_bytes(self) -> int:
        return self.arena_bytes + self.workspace_bytes

    @property
    def peak_op(self) -> str:
        """The op at the peak of what XNNPACK holds, or else of the arena."""
        return self.workspace.peak_op or self.arena.peak_op

    @property
    def settings(self) -> Literal["default"]:
        """LiteRT has no memory settings."""
        return "default"


def predict_peak(graph: Graph, delegates: Sequence[Delegate]) -> LitertPeak:
    """The peak of a network of which XNNPACK runs these parts; without any, that of the built-in kernels."""
    runs = [run_of(graph, delegate) for delegate in delegates]
    outer = _outside(graph, runs, delegates)

    def order(buffer: Buffer) -> tuple[int, ...]:
        """What lives all the time first, then by size (CreateTensorAllocationVector in TFLite's arena planner)."""
        lives_always = buffer.first <= 0 and buffer.last == len(outer.ops)
        return (0, 0, buffer.first) if lives_always else (1, *by_size(buffer))

    arena = place(outer, in_place=False, alignment_bytes=ARENA_ALIGNMENT_BYTES, order=order)
    inner = [_workspace(graph, run, delegate) for run, delegate in zip(runs, delegates, strict=True)]
    largest = max(inner, key=lambda one: one.arena.peak_bytes, default=Workspace(Arena({}, 0, ""), ()))
    workspace, holders = largest.arena, (*_at_peak(outer), *largest.holders)
    weights = sum(tensor.size_bytes for tensor in graph.tensors.values() if tensor.is_constant)
    arena_bytes = _up(arena.peak_bytes) + ARENA_ALIGNMENT_BYTES if arena.peak_bytes else 0
    workspace_bytes = workspace.peak_bytes + _EXTRA_BYTES if workspace.peak_bytes else 0
    overhead = arena_bytes - arena.peak_bytes + workspace_bytes - workspace.peak_bytes
    held = tuple((name, size) for name, size in holders if size)
    inputs = sum(graph.tensors[name].size_bytes for name in dict.fromkeys(graph.inputs))
    return LitertPeak(arena, workspace, arena_bytes, workspace_bytes, weights, overhead, inputs, held)


def _up(size_bytes: int) -> int:
    return -(-size_bytes // ARENA_ALIGNMENT_BYTES) * ARENA_ALIGNMENT_BYTES


def _at_peak(graph: Graph) -> list[tuple[str, int]]:
    """Who holds the memory where most is held, the largest first."""
    lives = timeline(graph, in_place=False)
    return [(buffer.tensors[0], buffer.size_bytes) for buffer in lives.live_at(lives.peak_index)] if graph.ops else []


def run_of(graph: Graph, delegate: Delegate) -> tuple[Op, ...]:
    """The operators of a delegate: what its outputs need, back to its inputs."""
    makers = graph.producers()
    names: set[str] = set()
    open_names = list(delegate.outputs)
    while open_names:
        op = makers.get(open_names.pop())
        if op is None or op.name in names:
            continue
        names.add(op.name)
        open_names += [name for name in op.inputs if name not in delegate.inputs]
    return tuple(op for op in graph.ops if op.name in names)


def _outside(graph: Graph, runs: Sequence[Sequence[Op]], delegates: Sequence[Delegate]) -> Graph:
    """The network with every delegate as one op, which stands where its first operator stood if it can."""
    heads = {run[0].name: index for index, run in enumerate(runs) if run}
    inside = {op.name for run in runs for op in run}
    ops: list[Op] = []
    for op in graph.ops:
        if op.name in heads:
            delegate = delegates[heads[op.name]]
            ops.append(Op(op.name, "other", _activations(graph, delegate.inputs), delegate.outputs))
        elif op.name not in inside:
            ops.append(op)
    order = stable_order([op.inputs for op in ops], [op.outputs for op in ops])
    return _with(graph, [ops[index] for index in order], graph.inputs, graph.outputs)


def _workspace(graph: Graph, run: Sequence[Op], delegate: Delegate) -> Workspace:
    """What XNNPACK takes for a delegate; the tensors that LiteRT holds count nothing.

    A fully connected operator reads its input as rows, by a reshape, which copies a tensor that LiteRT holds.
    """
    held = {*delegate.inputs, *delegate.outputs}
    part = Graph(tuple(run), graph.tensors, _activations(graph, delegate.inputs), delegate.outputs)
    found = {one.op.name: one for one in parts_of(part)}
    tensors = dict(graph.tensors)
    ops: list[Op] = []
    for op in run:
        one = found.get(op.name)
        if one is not None:
            source = one.source
            if op.kind == "fully_connected":
                source = f"{one.source} as rows of {op.name}"
                tensors[source] = replace(tensors[one.source], name=source)
                ops.append(Op(source, "reshape", (one.source,), (source,)))
            ops.append(replace(op, inputs=(source, *op.inputs[1:]), outputs=(one.output, *op.outputs[1:])))
        elif op.kind in ("reshape", "copy"):
            ops.append(op)
    used = {name for op in ops for name in (*op.inputs, *op.outputs)} - held
    inner = {name: one for name, one in tensors.items() if name in used and not one.is_constant}
    return plan_workspace(ops, inner)


def _activations(graph: Graph, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in graph.tensors and not graph.tensors[name].is_constant)


def _with(graph: Graph, ops: Sequence[Op], inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Graph:
    used = (name for op in ops for name in (*op.inputs, *op.outputs) if name)
    return Graph(tuple(ops), {name: graph.tensors[name] for name in (*inputs, *used, *outputs)}, inputs, outputs)
