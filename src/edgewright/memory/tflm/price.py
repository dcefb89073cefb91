"""The arena of a network in a hurry, for a search that asks for many."""

from edgewright.graph.types import Graph
from edgewright.memory.tflm.operators import kernel_of
from edgewright.memory.tflm.packing import live_bytes
from edgewright.memory.tflm.predict import requests_of
from edgewright.memory.tflm.sharing import MOVES, blocks
from edgewright.memory.tflm.structures import EVAL_TENSOR, NODE, Build
from edgewright.memory.tflm.tail import tails, tensor_count


def arena_estimate(graph: Graph, build: Build, share: bool) -> int:
    """The arena when offsets are planned well: the exact tail, and what lives at once. Raises UnsupportedModelError."""
    scratch = sum(request.is_scratch for request in requests_of(graph, build))
    tail = tails(graph, build, tensor_count(graph), scratch).final.size_bytes
    return max(live_at_ops(graph, share), default=0) + tail


def live_at_ops(graph: Graph, share: bool) -> list[int]:
    """Bytes of activations that live while each op runs."""
    changes = live_bytes(blocks(graph, MOVES if share else ()))
    found, live = [], 0
    for moment in range(-1, len(graph.ops) + 1):
        live = changes.get(moment, live)
        if moment >= 1:
            found.append(live)
    return found


def clone_bytes(graph: Graph, build: Build) -> list[int]:
    """What a copy of each op adds to the tail at the least."""
    found = []
    for op in graph.ops:
        kernel = kernel_of(op, graph)
        size = NODE.size(build) + len(op.outputs) * EVAL_TENSOR.size(build)
        size += sum(part.size(build) for part in (kernel.options, kernel.data) if part)
        found.append(size + sum(kernel.persistent(op, graph, build)))
    return found
