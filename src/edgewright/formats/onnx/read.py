"""A model as a Graph."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from onnx import ModelProto, NodeProto, ValueInfoProto

from edgewright.formats.axes import axes_of
from edgewright.formats.onnx.infer import infer
from edgewright.formats.onnx.inputs import graph_inputs
from edgewright.formats.onnx.load import check, load, named, opset_of
from edgewright.formats.onnx.nodes import Node
from edgewright.formats.onnx.ops import op_of
from edgewright.formats.onnx.order import in_order
from edgewright.formats.onnx.standins import is_channels_last
from edgewright.formats.onnx.values import Values
from edgewright.graph.types import Graph, Op, Shape


def read(
    source: Path | ModelProto,
    input_shapes: Mapping[str, Shape] | None = None,
    known_shapes: Mapping[str, Shape] | None = None,
) -> Graph:
    """The network of an ONNX file or model; ops are named as by `named`, in topological order.

    `input_shapes` gives inputs with open dimensions their shape (an open batch alone is 1). `known_shapes` says the
    shapes of inner tensors, as a runtime reports them, and goes before what can be inferred. What depends on constants
    only is constant, and no op. A tensor of unknown size has the shape () and no dtype. Raises ModelError for a file
    that is missing or broken, and ShapeError.
    """
    return understand(source, input_shapes, known_shapes).graph


@dataclass(frozen=True)
class Reading:
    """A model with its graph, and what was found out about its tensors.

    `nodes` are all nodes in topological order, those that are no ops of the graph too.
    """

    model: ModelProto
    nodes: list[NodeProto]
    values: Values
    graph: Graph


def understand(
    source: Path | ModelProto,
    input_shapes: Mapping[str, Shape] | None = None,
    known_shapes: Mapping[str, Shape] | None = None,
) -> Reading:
    """What `read` finds, with the model that it was found in."""
    if isinstance(source, ModelProto):
        model, name, folder = source, "model", None
        check(model, name, None)
    else:
        model, name, folder = load(source), str(source), source.parent
    return understand_model(named(model, name), name, folder, input_shapes, known_shapes)


def understand_model(
    model: ModelProto,
    name: str,
    folder: Path | None,
    input_shapes: Mapping[str, Shape] | None = None,
    known_shapes: Mapping[str, Shape] | None = None,
) -> Reading:
    """What is found in a model that is checked and named; `name` stands in errors, `folder` has its weight data."""
    nodes = in_order(model.graph.node, name)
    values = Values(name, folder)
    infer(model, nodes, values, input_shapes or {}, known_shapes or {})
    opset = opset_of(model)
    run = [node for node in nodes if not _is_folded(node, values)]
    ops = tuple(op_of(Node(node, values, opset)) for node in run)
    last = frozenset(node.name for node in run if is_channels_last(node))
    inputs = tuple(value.name for value in graph_inputs(model.graph))
    graph = _graph(ops, values, inputs, tuple(value.name for value in model.graph.output), last)
    told = {value.name for value in model.graph.value_info if _is_told(value)}
    made = frozenset(name for op in ops for name in op.outputs)
    return Reading(model, nodes, values, replace(graph, declared=made & told))


def _is_told(value: ValueInfoProto) -> bool:
    """Whether a shape is declared, the batch apart."""
    tensor = value.type.tensor_type
    return tensor.HasField("shape") and all(dim.dim_value > 0 for dim in tensor.shape.dim[1:])


def _is_folded(node: NodeProto, values: Values) -> bool:
    """Whether a node makes constants alone, so that it is not run."""
    return all(values.is_constant(name) for name in node.output if name)


def _graph(
    ops: tuple[Op, ...], values: Values, inputs: tuple[str, ...], outputs: tuple[str, ...], last: frozenset[str]
) -> Graph:
    used = (name for op in ops for name in (*op.inputs, *op.outputs))
    names = dict.fromkeys(filter(None, (*inputs, *used, *outputs)))
    tensors = {name: values.tensor(name) for name in names}
    axes = axes_of(ops, tensors, last)
    return Graph(ops, {name: replace(tensors[name], axes=axes.get(name, "")) for name in names}, inputs, outputs)
