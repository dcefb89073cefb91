"""From a region of an op's output to the regions of its inputs: receptive fields, exactly.

Every spatial axis stands by itself. For the outputs `[lo, hi)` an op reads a range of each input that is an affine
function of `lo` and `hi`, rounded down and cut to the input (`AxisMap`): a window moves by its stride, a transposed
convolution and a resize divide by theirs, a broadcast operand does not move. What a window reads beyond the input is
padding, and only the tiles at the border keep it, each on its own side.

Tensors without spatial axes are cut along their leading axis (a batch, frames, words), where each item is computed by
itself: there what would read across it, or keeps numbers for each place along it, can't be cut.

The arithmetic is that of Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (arXiv 1603.07285).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.errors import UnsupportedModelError
from edgewright.graph.axis_map import AxisMap, Maps, identity, leads, tiled_axes
from edgewright.graph.leading import product_maps, reshape_maps
from edgewright.graph.types import Graph, Op, Region, Tensor, Window

_POINTWISE = frozenset({"unary", "binary", "copy", "cast", "quantize", "dequantize"})
_BROADCAST = frozenset({"unary", "binary"})
_CHANNELWISE = frozenset({"concat", "split", "slice", "softmax", "reduction", "normalization"})
_FIXED_NORMALIZATIONS = frozenset({"batch_normalization", "lrn", "lp_normalization", "mean_variance_normalization"})
_BY_ITEM = frozenset({"layer_normalization", "rms_normalization", "simplified_layer_normalization", "lp_normalization"})
_MOVES_AXES = frozenset({"transpose", "reshape"})
_WINDOWED = frozenset({"conv", "depthwise_conv", "max_pool", "average_pool"})
_LINEAR_COORDINATES = frozenset({"half_pixel", "pytorch_half_pixel", "asymmetric"})


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """What one tile of an op reads, and how the op has to be changed to make just this tile.

    `inputs` has a region for each input of the op: None for what is read whole (weights, scales, absent inputs).
    `padding`, where the op has a window, is what remains of it, before and after on each axis. `attributes` are those
    that change. `made` is the region that the op then makes: more than was asked for where it works in blocks.
    """

    inputs: tuple[Region | None, ...]
    padding: tuple[tuple[int, int], ...] | None
    attributes: tuple[tuple[str, Any], ...]
    made: Region


def full_region(tensor: Tensor) -> Region:
    """The whole feature map."""
    return Region(tuple((0, tensor.shape[axis]) for axis in tiled_axes(tensor)))


def tileable(op: Op, graph: Graph) -> bool:
    """Whether every region of the op's outputs can be computed by the same op from regions of its inputs."""
    return _maps(op, graph) is not None


def axis_maps(op: Op, graph: Graph) -> tuple[tuple[AxisMap, ...] | None, ...]:
    """For each input of a tileable op the map of each axis that is cut; None for inputs that are read whole.

    Raises UnsupportedModelError for an op that can't be tiled.
    """
    maps = _maps(op, graph)
    if maps is None:
        raise UnsupportedModelError(f"op {op.name!r} ({op.variant or op.kind}) can't be computed in tiles")
    return maps


def _maps(op: Op, graph: Graph) -> Maps:
    names = [name for name in op.outputs if name]
    if not names or not op.inputs or (len(names) > 1 and op.kind != "split"):
        return None
    output = graph.tensors[names[0]]
    if not tiled_axes(output) or any(graph.tensors[name].axes != output.axes for name in names):
        return None
    rule = _RULES.get(op.kind)
    maps = rule(op, graph) if rule is not None else None
    return maps if maps is not None and _agree(op, graph, maps) else None


def input_regions(op: Op, graph: Graph, output_region: Region) -> ReceptiveField:
    """What a tile of a tileable op reads, and the one-sided padding that remains of it.

    On an axis where the tile is the whole output it reads the whole input, rows that no window reaches included.
    Raises UnsupportedModelError for an op that can't be tiled, and where the tile sees nothing but padding.
    """
    maps = axis_maps(op, graph)
    whole = full_region(graph.tensors[next(name for name in op.outputs if name)])
    regions = tuple(None if axes is None else _cut(axes, output_region, whole) for axes in maps)
    if any(region is not None and region.is_empty for region in regions):
        raise UnsupportedModelError(f"op {op.name!r}: a tile sees nothing but padding")
    read = next(region for region in regions if region is not None)
    if op.kind == "transposed_conv":
        return _transposed_field(op, regions, read, output_region, whole)
    if op.kind == "pad":
        return ReceptiveField(regions, _pad_left(op, graph, output_region), (), output_region)
    if op.window is not None:
        padding = _window_left(op.window, graph.tensors[op.inputs[0]], output_region, whole)
        return ReceptiveField(regions, padding, (), output_region)
    blocks = output_block(op)
    made = Region(tuple((a * blocks, b * blocks) for a, b in read.ranges)) if blocks > 1 else output_region
    return ReceptiveField(regions, None, (), made)


def operand_axes(op: Op, graph: Graph, index: int) -> tuple[int | None, ...]:
    """Where the input `index` stores each spatial axis of the op's output; None for one that it does not have."""
    tensor, output = graph.tensors[op.inputs[index]], graph.tensors[op.outputs[0]]
    if not tensor.is_constant:
        return tiled_axes(tensor)
    offset = len(output.shape) - len(tensor.shape)
    return tuple(axis - offset if axis >= offset else None for axis in tiled_axes(output))


def crops(op: Op, graph: Graph) -> bool:
    """Whether a tile of the op is nothing but a region of what it reads."""
    return op.kind == "slice" and any(axis.crops for axis in axis_maps(op, graph)[0] or ())


def output_block(op: Op) -> int:
    """How many outputs on each axis the op makes at once of one input: the factor of a resize or of depth to space."""
    if op.kind == "resize":
        scale: float = max(op.attributes["scales"])
        return round(scale)
    return int(op.attributes["block_size"]) if op.variant == "depth_to_space" else 1


def _agree(op: Op, graph: Graph, maps: tuple[tuple[AxisMap, ...] | None, ...]) -> bool:
    """Whether the ops around cut every activation along the axes that this one cuts it along, or leave it whole."""
    output = graph.tensors[next(name for name in op.outputs if name)]
    for name, axes in zip(op.inputs, maps, strict=True):
        tensor = graph.tensors.get(name)
        if tensor is None or tensor.is_constant:
            continue
        if axes is None and leads(tensor):
            return False
        offset = len(output.shape) - len(tensor.shape)
        same = tuple(axis - offset for axis in tiled_axes(output))
        if axes is not None and op.kind not in _MOVES_AXES and tiled_axes(tensor) != same:
            return False
    return True


def _cut(axes: tuple[AxisMap, ...], region: Region, whole: Region) -> Region:
    parts = zip(axes, region.ranges, whole.ranges, strict=True)
    return Region(
        tuple((0, one.size) if part == full and not one.crops else one.range(*part) for one, part, full in parts)
    )


def _window_left(window: Window, read: Tensor, region: Region, whole: Region) -> tuple[tuple[int, int], ...]:
    """What a window reads before and after the input; no more than its padding, as ceil_mode is kept."""
    left = []
    for i, (lo, hi) in enumerate(region.ranges):
        before, after = window.padding[i]
        if (lo, hi) == whole.ranges[i]:
            left.append((before, after))
            continue
        beyond = (hi - 1) * window.stride[i] - before + window.extent[i] - read.shape[tiled_axes(read)[i]]
        left.append((max(before - lo * window.stride[i], 0), min(max(beyond, 0), after)))
    return tuple(left)


def _pad_left(op: Op, graph: Graph, region: Region) -> tuple[tuple[int, int], ...]:
    """Padding of a tile on every axis of the tensor, as it is stored; that of other axes stays."""
    output = graph.tensors[op.outputs[0]]
    left = list(op.attributes["padding"])
    for axis, (lo, hi) in zip(tiled_axes(output), region.ranges, strict=True):
        before, after = left[axis]
        if (lo, hi) != (0, output.shape[axis]):
            left[axis] = max(before - lo, 0), max(hi - (output.shape[axis] - after), 0)
    return tuple(left)


def _transposed_field(
    op: Op, regions: tuple[Region | None, ...], read: Region, region: Region, whole: Region
) -> ReceptiveField:
    """Padding of a transposed convolution crops its output; what lies after the last window is output padding."""
    assert op.window is not None
    padding, extra = [], []
    for i, ((start, stop), (lo, hi)) in enumerate(zip(read.ranges, region.ranges, strict=True)):
        if (lo, hi) == whole.ranges[i]:
            padding.append(op.window.padding[i])
            extra.append(op.attributes["output_padding"][i])
            continue
        origin = start * op.window.stride[i] - op.window.padding[i][0]
        beyond = (stop - 1 - start) * op.window.stride[i] + op.window.extent[i] + origin - hi
        padding.append((lo - origin, max(beyond, 0)))
        extra.append(max(-beyond, 0))
    return ReceptiveField(regions, tuple(padding), (("output_padding", tuple(extra)),), region)


def _windowed(op: Op, graph: Graph) -> Maps:
    window = op.window
    if op.variant == "dynamic":  # its scale follows from all of its input
        return None
    if window is None or any(max(pair) >= extent for pair, extent in zip(window.padding, window.extent, strict=True)):
        return None
    sizes = full_region(graph.tensors[op.inputs[0]]).shape
    made = full_region(graph.tensors[op.outputs[0]]).shape
    if len(sizes) != len(window.kernel):
        return None
    pairs = zip(window.stride, window.padding, window.extent, sizes, strict=True)
    maps = tuple(AxisMap(stride, -before, extent - 1 - before, 1, size) for stride, (before, _), extent, size in pairs)
    # With ceil_mode a last window may begin behind the input: runtimes differ in what they make of it.
    begins = (axis.uncut(count - 1, count)[0] for axis, count in zip(maps, made, strict=True))
    return _first_only(op, maps) if all(b < size for b, size in zip(begins, sizes, strict=True)) else None


def _transposed(op: Op, graph: Graph) -> Maps:
    window = op.window
    sizes = full_region(graph.tensors[op.inputs[0]]).shape
    if window is None or len(sizes) != len(window.kernel):
        return None
    maps = []
    for stride, (before, _), extent, size in zip(window.stride, window.padding, window.extent, sizes, strict=True):
        maps.append(AxisMap(1, min(before - extent + stride, before), before, stride, size))
    return _first_only(op, tuple(maps))


def _pointwise(op: Op, graph: Graph) -> Maps:
    output = graph.tensors[op.outputs[0]]
    if op.kind not in _BROADCAST:
        same = graph.tensors[op.inputs[0]].shape == output.shape and op.attributes.get("axis") not in tiled_axes(output)
        return _first_only(op, identity(output)) if same else None
    maps = tuple(_broadcast(name, graph, output) for name in op.inputs)
    return maps if any(axes is not None for axes in maps) else None


def _broadcast(name: str, graph: Graph, output: Tensor) -> tuple[AxisMap, ...] | None:
    """The maps of an operand: axes are aligned from the last, and an axis of one item serves every output."""
    if not name:
        return None
    tensor = graph.tensors[name]
    offset = len(output.shape) - len(tensor.shape)
    maps = []
    for axis in tiled_axes(output):
        spread = axis < offset or tensor.shape[axis - offset] == 1 != output.shape[axis]
        maps.append(AxisMap(0, 0, 0, 1, 1) if spread else AxisMap(1, 0, 0, 1, output.shape[axis]))
    moves = any(one.step for one in maps)
    return tuple(maps) if moves or (not tensor.is_constant and offset == 0) else None


def _channelwise(op: Op, graph: Graph) -> Maps:
    output = graph.tensors[op.outputs[0]]
    space = set(tiled_axes(output))
    if op.kind == "normalization" and op.variant not in (_BY_ITEM if leads(output) else _FIXED_NORMALIZATIONS):
        return None
    if op.kind == "slice":
        return _sliced(op, graph)
    axes = {op.attributes["axis"]} if "axis" in op.attributes else set(op.attributes["axes"])
    if axes & space or not op.attributes.get("keepdims", True):
        return None
    if op.kind != "concat":
        return _first_only(op, identity(output))
    rank = len(output.shape)
    return tuple(identity(output) if len(graph.tensors[name].shape) == rank else None for name in op.inputs)


def _sliced(op: Op, graph: Graph) -> Maps:
    """A slice of channels, or one that does nothing but crop the axes that are cut."""
    given, output = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]]
    bounds = zip(*(op.attributes[key] for key in ("axes", "starts", "steps")), strict=True)
    starts = {axis: (start, step) for axis, start, step in bounds if given[axis] != output.shape[axis] or step < 0}
    space = tiled_axes(output)
    if starts.keys().isdisjoint(space):
        return _first_only(op, identity(output))
    if not starts.keys() <= set(space) or any(step != 1 for _, step in starts.values()) or len(op.inputs) > 1:
        return None
    begins = {axis: start for axis, (start, _) in starts.items()}
    maps = (AxisMap(1, begins.get(axis, 0), begins.get(axis, 0), 1, given[axis], axis in begins) for axis in space)
    return _first_only(op, tuple(maps))


def _padded(op: Op, graph: Graph) -> Maps:
    if op.variant != "constant":
        return None
    read = graph.tensors[op.inputs[0]]
    maps = [
        AxisMap(1, -op.attributes["padding"][axis][0], -op.attributes["padding"][axis][0], 1, read.shape[axis])
        for axis in tiled_axes(read)
    ]
    return _first_only(op, tuple(maps))


def _resized(op: Op, graph: Graph) -> Maps:
    read = graph.tensors[op.inputs[0]]
    scales = op.attributes["scales"]
    space = tiled_axes(read)
    factor = round(scales[space[0]])
    wanted = tuple(factor if axis in space else 1 for axis in range(len(scales)))
    output = graph.tensors[op.outputs[0]].shape
    exact = all(size * scale == made for size, scale, made in zip(read.shape, wanted, output, strict=True))
    if factor < 1 or tuple(scales) != wanted or not exact:
        return None
    if op.variant == "nearest" and _repeats(factor, op.attributes["coordinates"], op.attributes["rounding"]):
        return _first_only(op, tuple(AxisMap(1, 0, 0, factor, read.shape[axis]) for axis in space))
    is_linear = op.variant == "linear" and op.attributes["coordinates"] in _LINEAR_COORDINATES
    if not is_linear or factor & (factor - 1) or min(read.shape[axis] for axis in space) < 2:
        return None
    # One input more on each side: the outputs next to a cut are interpolated over it, and then cropped.
    return _first_only(op, tuple(AxisMap(1, -factor, factor, factor, read.shape[axis]) for axis in space))


def _repeats(factor: int, coordinates: str, rounding: str) -> bool:
    """Whether nearest sampling by this factor repeats every item `factor` times, wherever the input begins."""
    if coordinates not in _LINEAR_COORDINATES:
        return False
    shift = 0 if coordinates == "asymmetric" else 1
    for output in range(2 * factor):
        doubled = 2 * output + shift - shift * factor  # twice the coordinate, times the factor
        if rounding in {"round_prefer_floor", "round_prefer_ceil"}:
            half = factor if rounding == "round_prefer_ceil" else factor - 1
            found = (doubled + half) // (2 * factor)
        else:
            found = -(-doubled // (2 * factor)) if rounding == "ceil" else doubled // (2 * factor)
        if max(found, 0) != output // factor:
            return False
    return True


def _reordered(op: Op, graph: Graph) -> Maps:
    read = graph.tensors[op.inputs[0]]
    if leads(read):
        return None
    block = int(op.attributes.get("block_size", 0))
    sizes = full_region(read).shape
    if op.variant == "depth_to_space":
        return _first_only(op, tuple(AxisMap(1, 0, 0, block, size) for size in sizes))
    if op.variant == "space_to_depth":
        return _first_only(op, tuple(AxisMap(block, 0, block - 1, 1, size) for size in sizes))
    return None


def _transposed_axes(op: Op, graph: Graph) -> Maps:
    """The axes that are cut keep their order; others may change their place."""
    read, output = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    came = tuple(op.attributes["perm"][axis] for axis in tiled_axes(output))
    return _first_only(op, identity(output)) if came == tiled_axes(read) else None


def _first_only(op: Op, maps: tuple[AxisMap, ...]) -> Maps:
    return maps, *(None for _ in op.inputs[1:])


_RULES: Mapping[str, Callable[[Op, Graph], Maps]] = {
    **dict.fromkeys(_POINTWISE, _pointwise),
    **dict.fromkeys(_CHANNELWISE, _channelwise),
    **dict.fromkeys(_WINDOWED, _windowed),
    "transposed_conv": _transposed,
    "pad": _padded,
    "resize": _resized,
    "reorder": _reordered,
    "transpose": _transposed_axes,
    "fully_connected": product_maps,
    "matmul": product_maps,
    "reshape": reshape_maps,
}
