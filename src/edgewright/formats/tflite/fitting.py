"""Whether the shapes that a file declares are those that its operators make."""

from dataclasses import replace
from math import prod

from edgewright.formats.tflite.tensors import Tensors
from edgewright.graph.layers import layer_of
from edgewright.graph.shapes import output_shapes
from edgewright.graph.types import Graph, Op, Shape, Tensor

_UNCHECKED = frozenset({"fully_connected", "matmul", "reshape", "gather", "expand", "lstm", "rnn", "resize"})
"""Kinds whose shapes do not follow as those of a tile do."""


def check_shapes(op: Op, tensors: Tensors) -> None:
    """Raise ValueError, or what laying it out as a layer raises, where an op's outputs have other shapes than it makes.

    Runtimes compute shapes for themselves; everything here goes by those of the file.
    """
    names = [name for name in (*op.inputs, *op.outputs) if name]
    found = {name: tensors.neutral(tensors.by_name[name]) for name in names}
    made = tuple(found[name].shape for name in op.outputs)
    if op.kind in {"fully_connected", "matmul"}:
        _check_product(op, found, made[0])
    elif op.kind not in _UNCHECKED and _expected(op, found) != made:
        raise ValueError("other shapes than the op makes")
    layer_of(op, Graph((op,), found, (), ()))


def _expected(op: Op, found: dict[str, Tensor]) -> tuple[Shape, ...]:
    axes = f"N{'DHW'[3 - len(op.window.kernel) :]}C" if op.window is not None else "NHWC"
    graph = Graph((op,), {name: replace(tensor, axes=axes) for name, tensor in found.items()}, (), ())
    shapes = [found[name].shape if name else () for name in op.inputs]
    # A source of other attributes, or the shapes of the file would be taken as they are.
    return output_shapes(op, graph, shapes, replace(op, attributes={**op.attributes, "": None}))


def _check_product(op: Op, found: dict[str, Tensor], made: Shape) -> None:
    given, weight = (found[name].shape for name in op.operands[:2])
    if min(len(weight), len(made)) < 1 or len(weight) < 2:
        raise ValueError("too few axes")
    inner, features = (-1, -2) if op.attributes["transpose_b"] else (-2, -1)
    if op.attributes["transpose_a"]:
        given = (*given[:-2], given[-1], given[-2])
    rows = prod(given) // max(weight[inner], 1)
    if made[-1] != weight[features] or prod(given) != rows * weight[inner]:
        raise ValueError("a product that does not fit")
    if len(weight) == 2 and prod(made) != rows * weight[features]:
        raise ValueError("a product of another size")
