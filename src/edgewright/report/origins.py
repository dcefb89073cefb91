"""Which ops of a model file an executed layer stands for."""

import re
from collections.abc import Mapping, Sequence

from edgewright.graph.types import Graph, Op

_RENAMED = re.compile(r"(.+?)(_nchwc|_nhwc|_token_\d+|_quantized|_QuantizeLinear\w*|_DequantizeLinear\w*)+")


def origins(graph: Graph, made: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    """The names of the ops that each executed layer stands for, given its name and the tensor that it makes.

    A runtime fuses ops: a layer stands for the op that makes its tensor and for all before it, back to the tensors of
    other layers. Each op is told once, for the first layer that leads to it; a layer whose tensor the file does not
    know (a reorder, a copy) stands for none.
    """
    producers = graph.producers()
    ends = [_origin(name, output, producers) for name, output in made]
    known = {op.name: op for op in graph.ops}
    stops = {name for end in ends if end for name in known[end].outputs}
    taken: set[str] = set()
    found = []
    for end in ends:
        fused = _fused(known[end], producers, stops, taken) if end and end not in taken else []
        taken.update(op.name for op in fused)
        order = {op.name: index for index, op in enumerate(graph.ops)}
        found.append(tuple(sorted((op.name for op in fused), key=order.__getitem__)))
    return tuple(found)


def _origin(name: str, output: str, producers: Mapping[str, Op]) -> str:
    """The op of the file that makes a layer's tensor, however the runtime has renamed it; empty where there is none."""
    for candidate in (output, *_shortened(output), *_shortened(name)):
        if candidate in producers:
            return producers[candidate].name
    return ""


def _shortened(name: str) -> tuple[str, ...]:
    match = _RENAMED.fullmatch(name)
    return (match[1],) if match else ()


def _fused(end: Op, producers: Mapping[str, Op], stops: set[str], taken: set[str]) -> list[Op]:
    waiting, found = [end], []
    seen = set(taken)
    while waiting:
        op = waiting.pop()
        if op.name in seen:
            continue
        seen.add(op.name)
        found.append(op)
        waiting += [producers[name] for name in op.inputs if name in producers and name not in stops]
    return found
