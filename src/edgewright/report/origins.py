"""Which ops of a model file an executed layer stands for."""

import re
from collections.abc import Mapping, Sequence

from edgewright.graph.types import Graph, LayerSpec, Op

_RENAMED = re.compile(r"(.+?)(_nchwc|_nhwc|_token_\d+|_quantized|_QuantizeLinear\w*|_DequantizeLinear\w*)+")
_FOLDED_BACKWARDS = frozenset({"unary", "binary", "normalization", "quantize"})


def origins(graph: Graph, made: Sequence[tuple[str, str, LayerSpec]]) -> tuple[tuple[str, ...], ...]:
    """The names of the ops that each executed layer stands for, given its name, the tensor that it makes, and itself.

    The op of the layer's own kind comes first. A layer owns the op that makes its tensor, or after which it is named;
    an op that no layer owns was folded: an activation into a layer before it that has one fused in, anything else into
    the layer that reads it. A layer that the file does not know (a reorder, a copy) stands for no op.
    """
    producers, consumers = graph.producers(), graph.consumers()
    owners: dict[str, int] = {}
    for index, (name, output, _) in enumerate(made):
        op = _origin(name, output, producers)
        if op is not None:
            owners.setdefault(op.name, index)
    for op in graph.ops:
        before = [owners.get(producers[name].name) for name in op.inputs if name in producers]
        folding = [index for index in before if index is not None and made[index][2].fused]
        if folding and op.kind in _FOLDED_BACKWARDS:
            owners.setdefault(op.name, max(folding))
    for op in reversed(graph.ops):
        after = [owners[reader.name] for name in op.outputs for reader in consumers[name] if reader.name in owners]
        if after:
            owners.setdefault(op.name, min(after))
    found: list[list[Op]] = [[] for _ in made]
    for op in graph.ops:
        if op.name in owners:
            found[owners[op.name]].append(op)
    return tuple(
        tuple(op.name for op in sorted(ops, key=lambda op: op.kind != layer.kind))
        for ops, (_, _, layer) in zip(found, made, strict=True)
    )


def _origin(name: str, output: str, producers: Mapping[str, Op]) -> Op | None:
    """The op of the file that makes a layer's tensor, however the runtime has renamed it."""
    for candidate in (output, *_shortened(output), *_shortened(name)):
        if candidate in producers:
            return producers[candidate]
    return None


def _shortened(name: str) -> tuple[str, ...]:
    match = _RENAMED.fullmatch(name)
    return (match[1],) if match else ()
