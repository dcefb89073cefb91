"""Open shapes: inputs get the shape that was given, and what follows from it gets its own."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType

import numpy as np

from edgewright.errors import EdgewrightError, ShapeError
from edgewright.formats.tflite.operators import Operator
from edgewright.formats.tflite.ops import op_of
from edgewright.formats.tflite.schema import Struct
from edgewright.formats.tflite.tensors import Tensors, indices
from edgewright.graph.shapes import output_shapes
from edgewright.graph.types import Graph, Shape, Tensor

_MISFITS = (EdgewrightError, ValueError, TypeError, AttributeError, IndexError, ArithmeticError)


def fix_shapes(model: Struct, source: str, given: Mapping[str, Shape]) -> None:
    """Give inputs of the first subgraph their shape, and every tensor behind them.

    A dimension is open where the file's signature says so; an open batch alone stays as the file has it. Raises
    ShapeError, which names `source`, for an open dimension that was not given, a shape that does not fit, and an
    operator through which shapes can't be followed.
    """
    subgraph = model.subgraphs[0]
    tensors = Tensors(model, subgraph, source)
    inputs = [int(index) for index in indices(subgraph.inputs)]
    names = [tensors.names[index] for index in inputs]
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise ShapeError(f"{source}: there is no input {unknown[0]!r}; the inputs are {', '.join(names)}")
    before = {index: tensors.shape(index) for index in range(len(tensors.stored))}
    for index, name in zip(inputs, names, strict=True):
        _fix_input(tensors, index, given.get(name))
    for tensor in tensors.stored if given else ():
        tensor.shapeSignature = None
    if any(tensors.shape(index) != before[index] for index in inputs):
        for proto in subgraph.operators or ():
            _follow(Operator(proto, model.operatorCodes[proto.opcodeIndex], tensors), before)


def _fix_input(tensors: Tensors, index: int, wanted: Shape | None) -> None:
    name, source = tensors.names[index], tensors.source
    stored = tensors.stored[index].shapeSignature
    signature = tensors.shape(index) if stored is None else tuple(int(size) for size in stored)
    text = "x".join("?" if size < 0 else str(size) for size in signature)
    if wanted is None:
        if any(size < 0 for size in signature[1:]):
            raise ShapeError(
                f"{source}: the shape of input {name!r} is open ({text}); give it as in --input {name}=1x224x224x3"
            )
        return
    sizes = zip(signature, wanted, strict=False)
    if len(signature) != len(wanted) or any(want < 1 or size not in (-1, want) for size, want in sizes):
        raise ShapeError(f"{source}: input {name!r} is {text}, {'x'.join(map(str, wanted))} was given")
    _set(tensors, index, wanted)


def _follow(operator: Operator, before: Mapping[int, Shape]) -> None:
    """The shapes of what an operator makes, where those of what it reads have changed."""
    tensors = operator.tensors
    if all(index < 0 or tensors.shape(index) == before[index] for index in operator.inputs):
        return
    try:
        rule = _RULES.get(operator.builtin, _as_a_tile)
        made = rule(operator, before)
        for index, shape in zip(operator.outputs, made, strict=True):
            _set(tensors, index, shape)
    except _MISFITS as error:
        name = tensors.name(operator.outputs[0]) if operator.outputs else ""
        raise ShapeError(
            f"{tensors.source}: the given shape can't be followed through op {name!r} ({operator.builtin.lower()})"
        ) from error


def _as_a_tile(operator: Operator, before: Mapping[int, Shape]) -> Sequence[Shape]:
    """As the shape of a tile follows from what it reads."""
    tensors, op = operator.tensors, op_of(operator, "op", is_shaped=False)
    axes = f"N{'DHW'[3 - len(op.window.kernel) :]}C" if op.window is not None else "NHWC"
    names = {name: before[tensors.by_name[name]] for name in (*op.inputs, *op.outputs) if name}
    graph = Graph((op,), {name: Tensor(name, shape, "", axes) for name, shape in names.items()}, (), ())
    shapes = [tensors.shape(tensors.by_name[name]) if name else () for name in op.inputs]
    made = output_shapes(op, graph, shapes, op)
    if op.kind == "split" and sum(op.attributes["sizes"]) != shapes[0][op.attributes["axis"]]:
        raise ValueError("sizes that do not fit")
    return made


def _reshape(operator: Operator, before: Mapping[int, Shape]) -> Sequence[Shape]:
    target = operator.integers(1) if len(operator.inputs) > 1 else tuple(map(int, operator.option("newShape")))
    rest = prod(size for size in target if size >= 0)
    made = tuple(prod(operator.shape()) // max(rest, 1) if size < 0 else size for size in target)
    if prod(made) != prod(operator.shape()) or sum(size < 0 for size in target) > 1:
        raise ValueError("another number of items")
    return (made,)


def _fully_connected(operator: Operator, before: Mapping[int, Shape]) -> Sequence[Shape]:
    features, read = operator.shape(1)
    shape = operator.shape()
    if operator.option("keepNumDims"):
        return ((*shape[:-1], features),)
    return ((prod(shape) // read, features),)


def _resize(operator: Operator, before: Mapping[int, Shape]) -> Sequence[Shape]:
    batch, *_, channels = operator.shape()
    return ((batch, *operator.integers(1), channels),)


def _set(tensors: Tensors, index: int, shape: Shape) -> None:
    if any(size < 0 for size in shape):
        raise ValueError("a negative size")
    tensors.stored[index].shape = np.array(shape, np.int32)


_RULES: Mapping[str, Callable[[Operator, Mapping[int, Shape]], Sequence[Shape]]] = MappingProxyType(
    {
        "RESHAPE": _reshape,
        "FULLY_CONNECTED": _fully_connected,
        "TRANSPOSE_CONV": lambda operator, before: (operator.integers(0),),
        "RESIZE_BILINEAR": _resize,
        "RESIZE_NEAREST_NEIGHBOR": _resize,
    }
)
