"""Which operators XNNPACK runs as one: paddings and activations go into the operators that they stand beside.

The rules are those of XNNPACK's subgraph optimization (`src/subgraph/fusion.c` of google/XNNPACK), checked against the
operators that the runtime's own profiler names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgewright.graph.layers import layer_of
from edgewright.graph.types import Graph, LayerSpec, Op, Window

_FREE = frozenset({"reshape", "copy"})
_CLAMPED = frozenset({"conv", "depthwise_conv", "transposed_conv", "fully_connected", "max_pool", "average_pool"})
_CLAMPS = frozenset({"relu", "clip"})
_PADDED = frozenset({"conv", "depthwise_conv"})


@dataclass(frozen=True)
class Part:
    """An operator that is run, the tensors that it reads first and makes in the end, and what is fused into it."""

    op: Op
    source: str
    output: str
    fused: tuple[str, ...] = ()
    padding: tuple[tuple[int, int], ...] = ()
    unpadded: tuple[int, ...] = ()

    def applied(self, layer: LayerSpec) -> LayerSpec:
        """The layer of the operator with what is fused: its input is what the padding reads."""
        if self.padding and layer.window is not None:
            pads = zip(layer.window.padding, self.padding, strict=True)
            both = tuple((a + c, b + d) for (a, b), (c, d) in pads)
            window = Window(layer.window.kernel, layer.window.stride, layer.window.dilation, both)
            layer = replace(layer, inputs=((*layer.input[:2], *self.unpadded), *layer.inputs[1:]), window=window)
        return replace(layer, fused=layer.fused + self.fused)


def parts_of(graph: Graph, xnnpack: bool = True) -> tuple[Part, ...]:
    """The operators that cost time, in order; without XNNPACK nothing is fused that the file does not fuse."""
    readers, makers = graph.consumers(), graph.producers()
    parts: list[Part] = []
    inside: set[str] = set()
    for op in graph.ops:
        if op.kind in _FREE or op.name in inside:
            continue
        if not xnnpack:
            parts.append(Part(op, _first(op.inputs), _first(op.outputs)))
            continue
        if op.kind == "pad" and _pads(op, _reader(op, graph, readers, _PADDED)):
            continue
        clamp = _clamp(op, graph, readers)
        if clamp is not None:
            inside.add(clamp.name)
        last = clamp or op
        part = Part(op, _first(op.inputs), _first(last.outputs), (clamp.variant,) if clamp else ())
        parts.append(_padded(part, graph, readers, makers))
    return tuple(parts)


def layer_of_part(part: Part, graph: Graph) -> LayerSpec:
    """The layer that a part is."""
    return part.applied(layer_of(part.op, _channels_last(part.op, graph)))


def _channels_last(op: Op, graph: Graph) -> Graph:
    """The graph with the axes of what resizes and reorders are on, which TFLite lays down and nothing else may tell."""
    if op.kind not in ("resize", "reorder"):
        return graph
    named = {name: replace(graph.tensors[name], axes="NHWC") for name in (op.inputs[0], op.outputs[0])}
    return replace(graph, tensors={**graph.tensors, **named})


def _first(names: tuple[str, ...]) -> str:
    return names[0] if names else ""


def _clamp(op: Op, graph: Graph, readers: Mapping[str, list[Op]]) -> Op | None:
    """The activation that goes into an operator."""
    if op.kind not in _CLAMPED or op.attributes.get("fused"):
        return None
    reader = _reader(op, graph, readers, frozenset({"unary"}))
    return reader if reader is not None and reader.variant in _CLAMPS else None


def _padded(part: Part, graph: Graph, readers: Mapping[str, list[Op]], makers: Mapping[str, Op]) -> Part:
    """The operator with the padding that stands before it, where there is one that goes into it."""
    pad = makers.get(part.op.inputs[0]) if part.op.inputs else None
    if pad is None or pad.kind != "pad" or not _pads(pad, _reader(pad, graph, readers, _PADDED)):
        return part
    shape = graph.tensors[pad.inputs[0]].shape
    padding = tuple(pad.attributes["padding"][1:-1])
    return replace(part, source=pad.inputs[0], padding=padding, unpadded=shape[1:-1])


def _reader(op: Op, graph: Graph, readers: Mapping[str, list[Op]], kinds: frozenset[str]) -> Op | None:
    """The op of one of these kinds that alone reads what an op makes."""
    if len(op.outputs) != 1 or op.outputs[0] in graph.outputs:
        return None
    found = readers.get(op.outputs[0], [])
    return found[0] if len(found) == 1 and found[0].kind in kinds and found[0].inputs[0] == op.outputs[0] else None


def _pads(pad: Op, reader: Op | None) -> bool:
    """Whether a pad puts the zeros of the op that reads it around a map of two axes, and nothing at another axis."""
    padding = pad.attributes.get("padding", ())
    return (
        reader is not None
        and pad.variant == "constant"
        and len(padding) == 4
        and padding[0] == (0, 0) == padding[-1]
        and pad.attributes.get("value", 0.0) == reader.attributes.get("input_zero_point", 0)
    )
