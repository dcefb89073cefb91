"""Which ops a runtime runs as one: the folding that every runtime does, for those that can't be asked."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgewright.graph.types import Graph, Op

_FREE = {"reshape", "copy"}
_TAKES_ACTIVATION = {"conv", "depthwise_conv", "transposed_conv", "fully_connected"}
_ACTIVATIONS = {"relu", "clip", "sigmoid", "tanh", "leaky_relu", "hard_sigmoid", "hard_swish"}


@dataclass(frozen=True)
class Folded:
    """An op with the activations folded into it; `quantized` is its integer type where it runs on integers."""

    op: Op
    fused: tuple[str, ...] = ()
    quantized: str = ""


def folded(graph: Graph) -> tuple[Folded, ...]:
    """The ops that cost time, in order.

    Batch normalization, a bias and activations go into the convolution or fully connected op whose output they alone
    read. An op that reads dequantized tensors and is read by quantize ops alone runs on integers, and those around it
    are not run where nothing else needs them. Reshapes and copies are free.
    """
    readers = graph.consumers()
    makers = graph.producers()
    parts: list[Folded] = []
    inside: set[str] = set()
    for op in graph.ops:
        if op.kind in _FREE or op.name in inside:
            continue
        fused, tail = _tail(op, graph, readers)
        inside |= {follower.name for follower in tail}
        last = tail[-1] if tail else op
        dtype = _integers(op, last, graph, makers, readers)
        if dtype:
            inside |= {quantize.name for name in last.outputs for quantize in readers.get(name, ())}
        parts.append(Folded(op, fused, dtype))
    integer_ops = {part.op.name for part in parts if part.quantized}
    unread = {
        op.name
        for op in graph.ops
        if op.kind == "dequantize"
        and op.outputs[0] not in graph.outputs
        and all(reader.name in integer_ops for reader in readers.get(op.outputs[0], ()))
    }
    return tuple(part for part in parts if part.op.name not in unread)


def _tail(op: Op, graph: Graph, readers: Mapping[str, list[Op]]) -> tuple[tuple[str, ...], list[Op]]:
    """The activations that an op takes in, and the ops that go into it."""
    fused: tuple[str, ...] = ()
    tail: list[Op] = []
    if op.kind not in _TAKES_ACTIVATION:
        return fused, tail
    last = op
    while not fused and last.outputs[0] not in graph.outputs and len(readers.get(last.outputs[0], ())) == 1:
        reader = readers[last.outputs[0]][0]
        if reader.kind == "unary" and reader.variant in _ACTIVATIONS:
            fused = (reader.variant,)
        elif not (reader.variant == "batch_normalization" or _is_bias(reader, last, graph)):
            break
        tail.append(reader)
        last = reader
    return fused, tail


def _is_bias(op: Op, before: Op, graph: Graph) -> bool:
    """Whether an op adds a constant that has one item for each feature of a fully connected op."""
    if op.kind != "binary" or op.variant != "add" or before.kind != "fully_connected":
        return False
    other = next((graph.tensors[name] for name in op.inputs if name != before.outputs[0]), None)
    features = graph.tensors[before.outputs[0]].shape[-1:]
    return other is not None and other.is_constant and other.items in {1, *features}


def _integers(op: Op, last: Op, graph: Graph, makers: Mapping[str, Op], readers: Mapping[str, list[Op]]) -> str:
    """The integer type that an op between dequantize and quantize ops runs on; empty where it is not."""
    data = [name for name in op.inputs if name and not graph.tensors[name].is_constant]
    sources = [makers[name] for name in data if name in makers]
    if op.kind in {"quantize", "dequantize"} or not data or len(sources) < len(data):
        return ""
    if any(source.kind != "dequantize" for source in sources):
        return ""
    targets = [reader for name in last.outputs for reader in readers.get(name, ())]
    if not targets or any(target.kind != "quantize" for target in targets):
        return ""
    if any(name in graph.outputs for name in last.outputs):
        return ""
    return graph.tensors[sources[0].inputs[0]].dtype
