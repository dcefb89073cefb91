"""Ops along a leading axis: products of matrices and reshapes, each item of a batch, frame or word by itself."""

from edgewright.graph.axis_map import AxisMap, Maps, identity, leads, tiled_axes
from edgewright.graph.types import Graph, Op


def product_maps(op: Op, graph: Graph) -> Maps:
    """A product of matrices cut along the leading axis of what it makes: one of its batch, or the rows on the left.

    Constants are read whole; an activation that would have to be is attention, which sees all of its input.
    """
    output = graph.tensors[op.outputs[0]]
    if op.variant or not leads(output):
        return None
    if op.kind == "fully_connected" and len(graph.tensors[op.inputs[0]].shape) != len(output.shape):
        return None  # TFLite flattens what it reads
    axis = tiled_axes(output)[0]
    maps: list[tuple[AxisMap, ...] | None] = []
    for index, name in enumerate(op.inputs):
        if not name:
            maps.append(None)
            continue
        tensor = graph.tensors[name]
        place = axis + len(tensor.shape) - len(output.shape)
        spread = place < 0 or tensor.shape[place] == 1
        is_row = axis == len(output.shape) - 2
        if is_row and index == 1:  # the rows on the right are those that are summed over
            spread = True
        if is_row and index == 0 and op.attributes.get("transpose_a"):
            return None
        if spread != tensor.is_constant or (not spread and tensor.shape[place] != output.shape[axis]):
            return None
        maps.append(None if spread else identity(output))
    return tuple(maps)


def reshape_maps(op: Op, graph: Graph) -> Maps:
    """A reshape that leaves the items of the leading axis apart; a squeeze may leave out an axis of one item."""
    given, made = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    if op.variant == "squeeze" or not (leads(given) and leads(made)):
        return None
    sizes = [tensor.shape[tiled_axes(tensor)[0]] for tensor in (given, made)]
    return (identity(made), *(None for _ in op.inputs[1:])) if sizes[0] == sizes[1] else None
