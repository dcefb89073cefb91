"""Shapes of a model's inputs, where the file leaves them open."""

from collections.abc import Mapping

from onnx import GraphProto, TypeProto, ValueInfoProto

from edgewright.errors import ShapeError
from edgewright.graph.types import Shape


def graph_inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """The inputs that a user feeds: those that no initializer gives a value."""
    constants = {tensor.name for tensor in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
    return [value for value in graph.input if value.name not in constants]


def input_types(graph: GraphProto, given: Mapping[str, Shape], source: str) -> dict[str, TypeProto]:
    """The type of every input with its shape fixed.

    Dimensions come from the file, from `given`, or, where they bear the same symbol, from each other. An open first
    dimension (the batch) of an input with two or more is 1. Raises ShapeError that names the input where a dimension
    stays open or a given shape does not fit.
    """
    inputs = graph_inputs(graph)
    unknown = sorted(set(given) - {value.name for value in inputs})
    if unknown:
        names = ", ".join(value.name for value in inputs)
        raise ShapeError(f"{source}: there is no input {unknown[0]!r}; the inputs are {names}")
    symbols = _symbols(inputs, given, source)
    return {value.name: _fixed(value, given, symbols, source) for value in inputs}


def _symbols(inputs: list[ValueInfoProto], given: Mapping[str, Shape], source: str) -> dict[str, int]:
    """What the given shapes say of the file's named dimensions."""
    symbols: dict[str, int] = {}
    for value in inputs:
        if value.name not in given or not value.type.tensor_type.HasField("shape"):
            continue
        dims = value.type.tensor_type.shape.dim
        shape = given[value.name]
        if len(dims) != len(shape):
            raise ShapeError(f"{source}: input {value.name!r} has {len(dims)} dimensions, {_text(shape)} was given")
        for dim, size in zip(dims, shape, strict=True):
            if size < 1 or (dim.dim_value > 0 and dim.dim_value != size):
                raise ShapeError(f"{source}: input {value.name!r} is {_declared(value)}, {_text(shape)} was given")
            if dim.dim_param and symbols.setdefault(dim.dim_param, size) != size:
                raise ShapeError(
                    f"{source}: dimension {dim.dim_param!r} is given as {symbols[dim.dim_param]} and {size}"
                )
    return symbols


def _fixed(value: ValueInfoProto, given: Mapping[str, Shape], symbols: Mapping[str, int], source: str) -> TypeProto:
    fixed = TypeProto()
    fixed.CopyFrom(value.type)
    if value.type.WhichOneof("value") != "tensor_type":
        return fixed
    tensor = fixed.tensor_type
    if value.name in given:
        sizes = list(given[value.name])
    elif tensor.HasField("shape"):
        sizes = [dim.dim_value or symbols.get(dim.dim_param, 0) for dim in tensor.shape.dim]
        if len(sizes) > 1 and sizes[0] < 1:
            sizes[0] = 1
    else:
        sizes = [0]
    if any(size < 1 for size in sizes):
        raise ShapeError(
            f"{source}: the shape of input {value.name!r} is open ({_declared(value)}); "
            f"give it as in --input {value.name}={_example(sizes)}"
        )
    tensor.shape.ClearField("dim")
    for size in sizes:
        tensor.shape.dim.add(dim_value=size)
    return fixed


def _declared(value: ValueInfoProto) -> str:
    if not value.type.tensor_type.HasField("shape"):
        return "any shape"
    dims = value.type.tensor_type.shape.dim
    return "x".join(str(dim.dim_value) if dim.dim_value > 0 else dim.dim_param or "?" for dim in dims)


def _example(sizes: list[int]) -> str:
    """The shape with sizes that images, sequences and signals have, where they are open."""
    usual = {2: 16_000, 3: 128}.get(len(sizes), 224)
    return _text(tuple(size or usual for size in sizes)) if len(sizes) > 1 else "1x3x224x224"


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape))
