"""Shapes of what an op makes when it reads other shapes than it did: those of a tile."""

from collections.abc import Callable, Mapping, Sequence
from math import floor, prod
from types import MappingProxyType

from edgewright.errors import UnsupportedModelError
from edgewright.graph.axis_map import leading_axis
from edgewright.graph.types import Graph, Op, Shape


def output_shapes(op: Op, graph: Graph, inputs: Sequence[Shape], source: Op) -> tuple[Shape, ...]:
    """Shapes of the outputs of `op`, a copy of the op `source` of the graph with its own inputs, window, attributes.

    `inputs` has a shape for each input, () for one that is absent. Raises UnsupportedModelError for an op whose
    outputs do not follow from the shapes of its inputs in a way that is known.
    """
    before = tuple(graph.tensors[name].shape if name else () for name in source.inputs)
    same = op.window == source.window and op.attributes == source.attributes and tuple(inputs) == before
    made = tuple(graph.tensors[name].shape if name else () for name in source.outputs)
    if same:
        return made
    rule = _RULES.get(op.kind)
    if rule is None:
        raise UnsupportedModelError(f"op {source.name!r} ({source.variant or source.kind}) can't be cut into tiles")
    return rule(op, inputs, made, _is_channels_last(source, graph))


def _is_channels_last(op: Op, graph: Graph) -> bool:
    return graph.tensors[op.inputs[0]].axes.endswith("C") and len(graph.tensors[op.inputs[0]].axes) > 2


def _windowed(op: Op, inputs: Sequence[Shape], made: tuple[Shape, ...], last: bool) -> tuple[Shape, ...]:
    window = op.window
    assert window is not None
    space = inputs[0][1:-1] if last else inputs[0][2:]
    sizes = []
    for i, size in enumerate(space):
        (before, after), stride = window.padding[i], window.stride[i]
        if op.kind == "transposed_conv":
            extra = op.attributes["output_padding"][i]
            sizes.append((size - 1) * stride + window.extent[i] - before - after + extra)
            continue
        span = size + before + after - window.extent[i]
        count = (-(-span // stride) if op.attributes.get("ceil_mode") else span // stride) + 1
        # A last window that would begin behind the input and its padding before is left out.
        sizes.append(count - 1 if op.attributes.get("ceil_mode") and (count - 1) * stride >= size + before else count)
    return tuple(_with_space(shape, inputs[0][0], sizes, last) for shape in made)


def _with_space(shape: Shape, batch: int, space: Sequence[int], last: bool) -> Shape:
    return (batch, *space, shape[-1]) if last else (batch, shape[1], *space)


def _same(op: Op, inputs: Sequence[Shape], made: tuple[Shape, ...], last: bool) -> tuple[Shape, ...]:
    return (inputs[0],) * len(made)


def _broadcast(op: Op, inputs: Sequence[Shape], made: tuple[Shape, ...], last: bool) -> tuple[Shape, ...]:
    positions = op.attributes.get("operands", range(len(inputs)))
    shapes = [inputs[position] for position in positions]
    rank = max(map(len, shapes))
    aligned = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return (tuple(max(sizes) if 0 not in sizes else 0 for sizes in zip(*aligned, strict=True)),)


def _concat(op: Op, inputs: Sequence[Shape], made: tuple[Shape, ...], last: bool) -> tuple[Shape, ...]:
    axis = op.attributes["axis"]
    shapes = [inputs[position] for position in op.attributes.get("operands", range(len(inputs)))]
    return (_replaced(shapes[0], axis, sum(shape[axis] for shape in shapes)),)


def _split(op: Op, inputs: Sequence[Shape], made: tuple[Shape, ...], last: bool) -> tuple[Shape, ...]:
    return tuple(_replaced(inputs[0], op.attributes["axis"], size) for size in op.attributes["sizes"])


def _slice(op: Op, inputs: Sequence[Shape], made: tuple[Shape, ...], last: bool) -> tuple[Shape, ...]:
    shape = inputs[0]
    parts = (op.attributes[key] for key in ("axes", "starts", "ends", "steps"))
    for axis, start, end, step in zip(*parts, strict=True):
        shape = _replaced(shape, axis, len(range(start, end, step)))
    return (shape,)


def _pad(op: Op, inputs: Sequence[Shape], made: tuple[Shape, ...], last: bool) -> tuple[Shape, ...]:
    pairs = op.attributes["padding"]
    return (tuple(size + before + after for size, (before, after) in zip(inputs[0], pairs, strict=True)),)


def _resize(op: Op, inputs: Sequence[Shape], made: tuple[Shape, ...], last: bool) -> tuple[Shape, ...]:
    scales = op.attributes["scales"]
    return (tuple(floor(size * scale) for size, scale in zip(inputs[0], scales, strict=True)),)


def _reorder(op: Op, inputs: Sequence[Shape], made: tuple[Shape, ...], last: bool) -> tuple[Shape, ...]:
    block = op.attributes.get("block_size", 1)
    space = inputs[0][1:-1] if last else inputs[0][2:]
    grown = [size * block if op.variant == "depth_to_space" else size // block for size in space]
    return (_with_space(made[0], inputs[0][0], grown, last),)


def _transpose(op: Op, inputs: Sequence[Shape], made: tuple[Shape, ...], last: bool) -> tuple[Shape, ...]:
    return (tuple(inputs[0][axis] for axis in op.attributes["perm"]),)


def _reduction(op: Op, inputs: Sequence[Shape], made: tuple[Shape, ...], last: bool) -> tuple[Shape, ...]:
    axes, keepdims = op.attributes["axes"], op.attributes["keepdims"]
    kept = [1 if axis in axes else size for axis, size in enumerate(inputs[0]) if keepdims or axis not in axes]
    return (tuple(kept),)


def _product(op: Op, inputs: Sequence[Shape], made: tuple[Shape, ...], last: bool) -> tuple[Shape, ...]:
    """The batch of both sides, broadcast; rows of the left one; as many columns as before."""
    left, right = (inputs[position] for position in op.attributes.get("operands", (0, 1))[:2])
    rank = len(made[0]) - 2
    batches = [(1,) * (rank + 2 - len(shape)) + shape[:-2] for shape in (left, right)]
    batch = tuple(max(pair) for pair in zip(*batches, strict=True))
    return ((*batch, left[-1 if op.attributes.get("transpose_a") else -2], made[0][-1]),)


def _reshape(op: Op, inputs: Sequence[Shape], made: tuple[Shape, ...], last: bool) -> tuple[Shape, ...]:
    """The leading axis follows from the number of items."""
    axis = leading_axis(made[0])
    if axis is None:
        raise UnsupportedModelError(f"op {op.name!r} (reshape) can't be cut into tiles")
    return (_replaced(made[0], axis, prod(inputs[0]) * made[0][axis] // prod(made[0])),)


def _replaced(shape: Shape, axis: int, size: int) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])


_RULES: Mapping[str, Callable[[Op, Sequence[Shape], tuple[Shape, ...], bool], tuple[Shape, ...]]] = MappingProxyType(
    {
        **dict.fromkeys(("conv", "depthwise_conv", "transposed_conv", "max_pool", "average_pool"), _windowed),
        **dict.fromkeys(("copy", "cast", "quantize", "dequantize", "normalization", "softmax"), _same),
        **dict.fromkeys(("unary", "binary"), _broadcast),
        "concat": _concat,
        "split": _split,
        "slice": _slice,
        "pad": _pad,
        "resize": _resize,
        "reorder": _reorder,
        "transpose": _transpose,
        "reduction": _reduction,
        "fully_connected": _product,
        "matmul": _product,
        "reshape": _reshape,
    }
)
