"""The layer that an op is: what a device spends its time on, in as few numbers as its time depends on.

Shapes are logical (channels second) and canonical, so that ops of equal cost are the same layer:

- conv, depthwise_conv, transposed_conv, pools, resize, reorder: (batch, channels, *space), weights left out;
  a pool that counts its padding has the variant `count_include_pad`, a reorder to or from channels that are last the
  suffix `-last`
- fully_connected: (rows, in) to (rows, out); matmul: (batch, m, k) by (batch, k, n) to (batch, m, n)
- unary, copy, cast: (1, n); a cast's variant is `float32-int64`
- binary, expand: operands broadcast to the output, axes that are broadcast alike merged
- softmax, reduction, layer normalization: the variant ends with where the axes lie: `mean-inner` is (rows, n) to
  (rows, 1), `mean-outer` (n, columns) to (1, columns), `mean-mixed` anything else
- batch_normalization, lrn, quantize and dequantize by channel: (batch, channels, inner); instance and group
  normalization: (rows, n)
- concat, split, gather: (outer, axis, inner); slice and pad too where they change one axis
- transpose: unit axes dropped, axes that stay side by side merged; the variant is the permutation, `1-0-2`
- gru, lstm, rnn: (steps, batch, features) to (steps, directions, batch, hidden); the variant is the direction
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from types import MappingProxyType

from edgewright.graph.canonical import around, broadcast, changed, merged, permuted, reduced
from edgewright.graph.folding import folded
from edgewright.graph.types import Graph, LayerSpec, Op, Shape, Tensor

_NARROW = {"int8", "uint8"}


def layer_of(op: Op, graph: Graph) -> LayerSpec:
    """The layer that an op is. Ops whose operands have no known size are of kind `other`, with what is known."""
    rule = _RULES.get(op.kind, _other)
    layer = rule(op, graph)
    fused = tuple(op.attributes.get("fused", ()))
    return replace(layer, fused=fused) if fused else layer


def layers_of(graph: Graph) -> tuple[tuple[str, LayerSpec], ...]:
    """The name and the layer of every op that costs time on a runtime that can't be asked what it executes.

    Folds what every runtime folds (`folding.folded`): batch normalization and activations into the op before them,
    and the quantize and dequantize ops around an op into an int8 layer. Reshapes and copies cost nothing.
    """
    layers = []
    for part in folded(graph):
        layer = layer_of(part.op, graph)
        if part.quantized:
            quantized = "int8" if layer.kind in _WEIGHTED else part.quantized
            layer = replace(layer, dtype=quantized, variant="qlinear" if layer.kind in _WEIGHTED else layer.variant)
        layers.append((part.op.name, replace(layer, fused=layer.fused + part.fused)))
    return tuple(layers)


_WEIGHTED = {"conv", "depthwise_conv", "transposed_conv", "fully_connected", "matmul"}


def _tensor(graph: Graph, name: str) -> Tensor:
    return graph.tensors[name]


def _shape(graph: Graph, name: str) -> Shape:
    return graph.tensors[name].shape


def _logical(graph: Graph, name: str) -> Shape:
    """The shape with channels second."""
    tensor = graph.tensors[name]
    if tensor.axes.startswith("N") and tensor.axes.endswith("C") and len(tensor.axes) > 2:
        return (tensor.shape[0], tensor.shape[-1], *tensor.shape[1:-1])
    return tensor.shape


def _dtype(op: Op, graph: Graph) -> str:
    """The precision of an op: int8 where it multiplies narrow integers, else its first operand's."""
    found = graph.tensors[op.operands[0]].dtype
    if op.kind in _WEIGHTED and (found in _NARROW or op.variant == "dynamic"):
        return "int8"
    return found


def _windowed(op: Op, graph: Graph) -> LayerSpec:
    given, made = _logical(graph, op.operands[0]), _logical(graph, op.outputs[0])
    groups = int(op.attributes.get("groups", 1))
    if op.kind == "depthwise_conv":
        groups = given[1]
    variant = op.variant
    if op.kind == "average_pool" and op.attributes.get("count_include_pad"):
        variant = "count_include_pad"
    return LayerSpec(op.kind, (given,), (made,), op.window, groups, _dtype(op, graph), variant)


def _global_pool(op: Op, graph: Graph) -> LayerSpec:
    given = _logical(graph, op.operands[0])
    made = (*given[:2], *(1 for _ in given[2:]))
    return LayerSpec(op.kind, (given,), (made,), dtype=_dtype(op, graph), variant=op.variant)


def _moved(op: Op, graph: Graph) -> LayerSpec:
    """Resize and reorders: channels second on both sides."""
    given, made = op.operands[0], op.outputs[0]
    variant = op.variant
    if op.kind == "reorder" and any(graph.tensors[name].axes.endswith("C") for name in (given, made)):
        variant += "-last"
    shapes = (_logical(graph, given),), (_logical(graph, made),)
    return LayerSpec(op.kind, *shapes, dtype=_dtype(op, graph), variant=variant)


def _fully_connected(op: Op, graph: Graph) -> LayerSpec:
    given, made = _shape(graph, op.operands[0]), _shape(graph, op.outputs[0])
    weight = _shape(graph, op.operands[1])
    columns = made[-1] if len(weight) > 1 else 1
    rows = prod(made) // max(columns, 1)
    shapes = ((rows, prod(given) // max(rows, 1)),), ((rows, columns),)
    return LayerSpec(op.kind, *shapes, dtype=_dtype(op, graph), variant=op.variant)


def _matmul(op: Op, graph: Graph) -> LayerSpec:
    left, right = (_shape(graph, name) for name in op.operands[:2])
    left = (1, *left) if len(left) == 1 else left
    right = (*right, 1) if len(right) == 1 else right
    rows, inner = (left[-1], left[-2]) if op.attributes.get("transpose_a") else (left[-2], left[-1])
    columns = right[-2] if op.attributes.get("transpose_b") else right[-1]
    batch = prod(_shape(graph, op.outputs[0])) // max(rows * columns, 1)
    inputs = (prod(left[:-2]), rows, inner), (prod(right[:-2]), inner, columns)
    return LayerSpec(op.kind, inputs, ((batch, rows, columns),), dtype=_dtype(op, graph), variant=op.variant)


def _flat(op: Op, graph: Graph) -> LayerSpec:
    if op.variant == "prelu":  # its slopes are broadcast like the operand of a binary op
        return replace(_elementwise(op, graph), kind="binary")
    items, variant = _tensor(graph, op.operands[0]).items, op.variant
    if op.kind == "cast":
        variant = f"{_dtype(op, graph)}-{_tensor(graph, op.outputs[0]).dtype}"
    return LayerSpec(op.kind, ((1, items),), ((1, items),), dtype=_dtype(op, graph), variant=variant)


def _elementwise(op: Op, graph: Graph) -> LayerSpec:
    shapes = [_shape(graph, name) for name in op.operands if name]
    inputs, made = broadcast(shapes, _shape(graph, op.outputs[0]))
    # Where chooses between its second and third operand; the first is a mask.
    dtype = _tensor(graph, op.operands[1]).dtype if op.variant == "where" else _dtype(op, graph)
    return LayerSpec(op.kind, inputs, (made,), dtype=dtype, variant=op.variant)


def _expand(op: Op, graph: Graph) -> LayerSpec:
    given, made = _shape(graph, op.operands[0]), _shape(graph, op.outputs[0])
    given = (1,) * (len(made) - len(given)) + given
    patterns = [before == after for before, after in zip(given, made, strict=True)]
    first, second = merged(patterns, [given, made])
    return LayerSpec(op.kind, (first,), (second,), dtype=_dtype(op, graph), variant=op.variant)


def _reduction(op: Op, graph: Graph) -> LayerSpec:
    given, made, place = reduced(_shape(graph, op.operands[0]), op.attributes["axes"])
    return LayerSpec(op.kind, (given,), (made,), dtype=_dtype(op, graph), variant=f"{op.variant}-{place}")


def _softmax(op: Op, graph: Graph) -> LayerSpec:
    given, _, place = reduced(_shape(graph, op.operands[0]), op.attributes["axes"])
    return LayerSpec(op.kind, (given,), (given,), dtype=_dtype(op, graph), variant=f"{op.variant}-{place}")


def _normalization(op: Op, graph: Graph) -> LayerSpec:
    given, axes = _shape(graph, op.operands[0]), op.attributes["axes"]
    dtype, variant = _dtype(op, graph), op.variant
    if variant in {"batch_normalization", "lrn"}:
        given = _by_channel(_logical(graph, op.operands[0]))
    elif "group" in variant or variant == "instance_normalization":
        rows = given[0] * (op.attributes["groups"] if "group" in variant else given[1])
        given = (rows, prod(given) // max(rows, 1))
    else:
        given, _, place = reduced(given, axes)
        variant = f"{variant}-{place}"
    inputs = (given, given) if variant.startswith("skip") else (given,)
    return LayerSpec(op.kind, inputs, (given,), dtype=dtype, variant=variant)


def _by_channel(shape: Shape) -> Shape:
    return around(shape, 1) if len(shape) > 1 else (1, 1, prod(shape))


def _quantization(op: Op, graph: Graph) -> LayerSpec:
    given = _tensor(graph, op.operands[0])
    axis = op.attributes.get("axis")
    shape = around(given.shape, axis) if axis is not None and axis < len(given.shape) else (1, given.items)
    narrow = given if op.kind == "dequantize" else _tensor(graph, op.outputs[0])
    return LayerSpec(op.kind, (shape,), (shape,), dtype=narrow.dtype, variant=op.variant)


def _concat(op: Op, graph: Graph) -> LayerSpec:
    axis = op.attributes["axis"]
    inputs = tuple(around(_shape(graph, name), axis) for name in op.operands)
    return LayerSpec(op.kind, inputs, (around(_shape(graph, op.outputs[0]), axis),), dtype=_dtype(op, graph))


def _split(op: Op, graph: Graph) -> LayerSpec:
    axis = op.attributes["axis"]
    outputs = tuple(around(_shape(graph, name), axis) for name in op.outputs if name)
    return LayerSpec(op.kind, (around(_shape(graph, op.operands[0]), axis),), outputs, dtype=_dtype(op, graph))


def _gather(op: Op, graph: Graph) -> LayerSpec:
    data, indices = (_shape(graph, name) for name in op.operands[:2])
    made = _shape(graph, op.outputs[0])
    if op.variant != "gather":
        return LayerSpec(op.kind, (data, indices), (made,), dtype=_dtype(op, graph), variant=op.variant)
    outer, length, inner = around(data, op.attributes["axis"])
    inputs, outputs = ((outer, length, inner), (prod(indices),)), ((outer, prod(indices), inner),)
    return LayerSpec(op.kind, inputs, outputs, dtype=_dtype(op, graph), variant=op.variant)


def _cut_or_padded(op: Op, graph: Graph) -> LayerSpec:
    given, made = changed(_shape(graph, op.operands[0]), _shape(graph, op.outputs[0]))
    steps = op.attributes.get("steps", ())
    variant = "strided" if any(step != 1 for step in steps) else op.variant
    return LayerSpec(op.kind, (given,), (made,), dtype=_dtype(op, graph), variant=variant)


def _transpose(op: Op, graph: Graph) -> LayerSpec:
    shape, perm = permuted(_shape(graph, op.operands[0]), op.attributes["perm"])
    made = tuple(shape[axis] for axis in perm)
    return LayerSpec(op.kind, (shape,), (made,), dtype=_dtype(op, graph), variant="-".join(map(str, perm)))


def _recurrent(op: Op, graph: Graph) -> LayerSpec:
    given = _shape(graph, op.operands[0])
    batch, steps = given[:2] if op.attributes["layout"] else (given[1], given[0])
    direction = op.attributes["direction"]
    made = (steps, 2 if direction == "bidirectional" else 1, batch, op.attributes["hidden_size"])
    shapes = ((steps, batch, given[-1]),), (made,)
    return LayerSpec(op.kind, *shapes, dtype=_dtype(op, graph), variant=direction)


def _other(op: Op, graph: Graph) -> LayerSpec:
    """Kept as it is: the shapes of activations."""
    inputs = [graph.tensors[name] for name in op.inputs if name]
    given = tuple(tensor.shape for tensor in inputs if not tensor.is_constant)
    made = tuple(graph.tensors[name].shape for name in op.outputs if name)
    dtype = next((tensor.dtype for tensor in inputs if tensor.dtype), "float32")
    return LayerSpec(op.kind, given, made, dtype=dtype, variant=op.variant)


_RULES: Mapping[str, Callable[[Op, Graph], LayerSpec]] = MappingProxyType(
    {
        **dict.fromkeys(("conv", "depthwise_conv", "transposed_conv", "max_pool", "average_pool"), _windowed),
        **dict.fromkeys(("unary", "copy", "cast", "reshape"), _flat),
        **dict.fromkeys(("resize", "reorder"), _moved),
        **dict.fromkeys(("slice", "pad"), _cut_or_padded),
        **dict.fromkeys(("gru", "lstm", "rnn"), _recurrent),
        **dict.fromkeys(("quantize", "dequantize"), _quantization),
        "global_pool": _global_pool,
        "fully_connected": _fully_connected,
        "matmul": _matmul,
        "binary": _elementwise,
        "expand": _expand,
        "reduction": _reduction,
        "softmax": _softmax,
        "normalization": _normalization,
        "concat": _concat,
        "split": _split,
        "gather": _gather,
        "transpose": _transpose,
    }
)
