"""A TFLite file as a Graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgewright.errors import ModelError
from edgewright.formats.axes import axes_of
from edgewright.formats.tflite.load import parse, read_bytes
from edgewright.formats.tflite.operators import Operator
from edgewright.formats.tflite.ops import op_of
from edgewright.formats.tflite.schema import Struct
from edgewright.formats.tflite.shaping import fix_shapes
from edgewright.formats.tflite.tensors import Tensors, indices, unique
from edgewright.graph.types import Graph, Op, Shape

_STATEFUL = frozenset({"RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM", "MULTINOMIAL", "VAR_HANDLE", "READ_VARIABLE",
                       "ASSIGN_VARIABLE", "HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE",
                       "CALL_ONCE", "CUSTOM", "STABLEHLO_RNG_BIT_GENERATOR", "STABLEHLO_CUSTOM_CALL"})  # fmt: skip
"""Operators that may give something else each time."""

_WINDOWED = frozenset({"conv", "depthwise_conv", "transposed_conv", "max_pool", "average_pool", "global_pool"})


@dataclass(frozen=True)
class Reading:
    """A model with the graph of its first subgraph, and what was found out about its tensors.

    `operators` has every operator of the subgraph by the name of its op, in the order of the file; those that make
    constants alone are no ops of the graph. `data` is the file that the model was read from.
    """

    model: Struct
    data: bytes
    source: str
    tensors: Tensors
    operators: Mapping[str, Operator]
    graph: Graph

    @property
    def subgraph(self) -> Struct:
        return self.model.subgraphs[0]


def read(source: Path | bytes, input_shapes: Mapping[str, Shape] | None = None) -> Graph:
    """The network of a TFLite file, or of its bytes: its first subgraph, which runtimes run.

    `input_shapes` gives inputs with open dimensions their shape (an open batch alone is as the file says, mostly 1).
    What depends on constants only is constant, and no op. Raises ModelError for a file that is missing or broken, and
    ShapeError.
    """
    return understand(source, input_shapes).graph


def understand(source: Path | bytes, input_shapes: Mapping[str, Shape] | None = None) -> Reading:
    """What `read` finds, with the model that it was found in."""
    data, name = (source, "model") if isinstance(source, bytes) else (read_bytes(source), str(source))
    model = parse(data, name)
    return understand_model(model, data, name, input_shapes)


def understand_model(model: Struct, data: bytes, name: str, input_shapes: Mapping[str, Shape] | None = None) -> Reading:
    """What is found in a model that is checked; `name` stands in errors, `data` is the file that it is from."""
    fix_shapes(model, name, input_shapes or {})
    subgraph = model.subgraphs[0]
    tensors = Tensors(model, subgraph, name)
    operators = [Operator(one, model.operatorCodes[one.opcodeIndex], tensors) for one in subgraph.operators or ()]
    _check_order(operators, subgraph, tensors)
    ops: list[Op] = []
    by_name: dict[str, Operator] = {}
    for operator, op_name in zip(operators, _op_names(operators, tensors), strict=True):
        by_name[op_name] = operator
        if _is_folded(operator):
            _fold(operator)
        else:
            ops.append(op_of(operator, op_name))
    return Reading(model, data, name, tensors, by_name, _graph(ops, subgraph, tensors))


def _op_names(operators: Sequence[Operator], tensors: Tensors) -> list[str]:
    """The name of each operator: that of its first output, or what it is where it has none."""
    bases = []
    for operator in operators:
        first = next((index for index in operator.outputs if index >= 0), None)
        bases.append(operator.builtin.lower() if first is None else tensors.names[first])
    return unique(bases)


def _is_folded(operator: Operator) -> bool:
    """Whether an operator makes constants alone, so that runtimes run it once at the most."""
    read = [index for index in operator.inputs if index >= 0]
    if operator.builtin in _STATEFUL or not operator.outputs:
        return False
    return bool(read) and all(operator.tensors.is_constant(index) for index in read)


def _fold(operator: Operator) -> None:
    tensors = operator.tensors
    tensors.folded.update(index for index in operator.outputs if index >= 0)
    if operator.builtin in {"DEQUANTIZE", "DENSIFY"}:
        tensors.stored_as[operator.outputs[0]] = tensors.neutral(operator.inputs[0]).dtype


def _graph(ops: Sequence[Op], subgraph: Struct, tensors: Tensors) -> Graph:
    inputs = tuple(tensors.names[index] for index in indices(subgraph.inputs))
    outputs = tuple(tensors.names[index] for index in indices(subgraph.outputs))
    used = (name for op in ops for name in (*op.inputs, *op.outputs))
    names = dict.fromkeys(filter(None, (*inputs, *used, *outputs)))
    found = {name: tensors.neutral(tensors.by_name[name]) for name in names}
    axes = axes_of(ops, found, frozenset(op.name for op in ops if op.kind in _WINDOWED))
    return Graph(tuple(ops), {name: replace(found[name], axes=axes.get(name, "")) for name in names}, inputs, outputs)


def _check_order(operators: Sequence[Operator], subgraph: Struct, tensors: Tensors) -> None:
    """Raise ModelError where a tensor is read that was not made before, or made twice."""
    made: set[int] = {int(index) for index in indices(subgraph.inputs)}
    for operator in operators:
        for index in operator.inputs:
            if index >= 0 and index not in made and not _needs_no_maker(index, tensors):
                raise ModelError(f"{tensors.source}: tensor {tensors.names[index]!r} is read before it is made")
        for index in operator.outputs:
            if index in made:
                raise ModelError(f"{tensors.source}: tensor {tensors.names[index]!r} is made twice")
            made.add(index)
    for index in indices(subgraph.outputs):
        if index not in made and not _needs_no_maker(index, tensors):
            raise ModelError(f"{tensors.source}: nothing makes the output {tensors.names[index]!r}")


def _needs_no_maker(index: int, tensors: Tensors) -> bool:
    return tensors.is_stored(index) or bool(tensors.stored[index].isVariable)
