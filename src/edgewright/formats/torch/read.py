"""A module as a Graph."""

import operator
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from torch import fx, nn

from edgewright.errors import ModelError
from edgewright.formats.axes import axes_of
from edgewright.formats.torch import items, moves, products, recurrent, windowed
from edgewright.formats.torch.calls import Builder, Call, Made, dtype_of, module_of, shape_of
from edgewright.formats.torch.computed import FILLS, is_computed, mark_computed, uniform
from edgewright.formats.torch.export import Inputs, exported, freed_twin, name_of
from edgewright.formats.torch.simplify import simplified
from edgewright.formats.torch.storage import Storage
from edgewright.graph.types import Graph, Op, Tensor

_RULES: Mapping[str, Callable[[Call], Made]] = MappingProxyType(
    {**windowed.RULES, **products.RULES, **recurrent.RULES, **items.RULES, **moves.RULES}
)
_KNOWN = frozenset({*_RULES, "arange", "cumsum", "sort", "topk", *FILLS})
"""Ops that are left whole: those that are understood, and some that fall into many when taken apart."""
_NAMES: Mapping[str, str] = MappingProxyType(dict.fromkeys(("_unsafe_view", "reshape", "flatten"), "view"))
"""Ops that are called alike: which of them it is depends on sizes."""
_COPIES = frozenset({"clone", "contiguous"})
_ONE_OF_SEVERAL = frozenset(
    {"_native_batch_norm_legit_no_training", "_native_batch_norm_legit", "native_group_norm", "native_layer_norm",
     "max_pool2d_with_indices", "max_pool3d_with_indices", "max", "min", "native_dropout"}
)  # fmt: skip
"""Ops of which the first value alone is understood; where another is read they are not."""


@dataclass(frozen=True)
class Reading:
    """The Graph of a module, and how it hangs together with the module.

    `storage` says where each constant lies in parameters and buffers, `modules` the path of the module that each op
    belongs to; `zero_states` are the recurrent ops to which the module's code hands zeros to begin with; `computed` are
    the constants that the code makes, with the value that all items have, None where they differ.
    """

    graph: Graph
    storage: Storage
    modules: Mapping[str, str]
    zero_states: frozenset[str]
    computed: Mapping[str, float | None]


def read_module(module: nn.Module, example_inputs: Inputs) -> Graph:
    """The network of a module in eval mode for inputs of these shapes; constants have the names of its parameters.

    Ops are called after the modules that they belong to. What is not understood is kept as `other`. `example_inputs`
    are a tensor, a tuple of arguments or a mapping of keyword arguments. Raises ModelError where torch.export refuses
    the module.
    """
    return understand(module, example_inputs).graph


def understand(module: nn.Module, example_inputs: Inputs) -> Reading:
    """What `read_module` finds, with what ties it to the module. Raises ModelError."""
    program = _program(module, example_inputs)
    mark_computed(program.graph)
    builder = Builder()
    inputs = _placeholders(program, builder)
    nodes = _live(program)
    names = _names(nodes, builder, {name for name, _ in module.named_modules()})
    for node in nodes:
        _take(node, names.get(node, ""), builder)
    outputs = _outputs(program, builder)
    ops = simplified(builder.ops, builder.tensors, outputs)
    used = (name for op in ops for name in (*op.inputs, *op.outputs))
    tensors = {name: builder.tensors[name] for name in filter(None, dict.fromkeys((*inputs, *used, *outputs)))}
    axes = axes_of(ops, tensors)
    named = {name: replace(tensor, axes=axes.get(name, "")) for name, tensor in tensors.items()}
    graph = Graph(ops, named, inputs, outputs)
    zero_states = frozenset(builder.zero_states)
    return Reading(graph, builder.storage, builder.modules, zero_states, builder.computed)


def _program(module: nn.Module, example_inputs: Inputs) -> Any:
    """With the states of stacked recurrent layers apart, or as one tensor where the module's code asks for that."""
    try:
        return exported(freed_twin(module, stacks_states=False), example_inputs, _KNOWN)
    except ModelError:
        if not any(isinstance(part, nn.RNNBase) and part.num_layers > 1 for part in module.modules()):
            raise
        return exported(freed_twin(module, stacks_states=True), example_inputs, _KNOWN)


def _placeholders(program: Any, builder: Builder) -> tuple[str, ...]:
    """Declare parameters, buffers and inputs; the names of the inputs."""
    signature = program.graph_signature
    stored = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    found = []
    nodes = [node for node in program.graph.nodes if node.op == "placeholder"]
    shared: dict[int, str] = {}
    for node in nodes:
        if node.name in stored:
            tensor = program.state_dict.get(stored[node.name], program.constants.get(stored[node.name]))
            builder.parameter(shared.setdefault(id(tensor), stored[node.name]), node)
    for node in nodes:
        value = node.meta.get("val")
        if node.name in stored:
            continue
        is_tensor = hasattr(value, "shape") and hasattr(value, "dtype")
        if node.name in signature.user_inputs and is_tensor:
            name = builder.fresh(node.name)
            builder.values[node] = builder.declare(Tensor(name, shape_of(value), dtype_of(value)))
            found.append(name)
        elif is_tensor:
            builder.values[node] = builder.constant(node.name, shape_of(value), dtype_of(value))
            builder.computed[node.name] = None
    return tuple(found)


def _live(program: Any) -> list[fx.Node]:
    """The calls that an output depends on, in order."""
    wanted: set[fx.Node] = set()
    for node in reversed(program.graph.nodes):
        if node.op == "output" or node in wanted:
            wanted.update(recurrent.read_nodes(node))
    return [node for node in program.graph.nodes if node.op == "call_function" and node in wanted]


def _names(nodes: list[fx.Node], builder: Builder, paths: set[str]) -> dict[fx.Node, str]:
    """A name for each op: its module's path where that does nothing else, else the path and the op's own name."""
    calls = [node for node in nodes if node.target is not operator.getitem]
    alone = Counter(module_of(node) for node in calls if name_of(node) not in _COPIES)
    inner = {path.rpartition(".")[0] for path in paths}
    found = {}
    for node in calls:
        path = module_of(node)
        is_leaf = bool(path) and path not in inner and alone[path] == 1 and name_of(node) not in _COPIES
        kind = _NAMES.get(name_of(node), name_of(node).strip("_"))
        found[node] = builder.fresh(path if is_leaf else f"{path}.{kind}" if path else kind)
    return found


def _take(node: fx.Node, name: str, builder: Builder) -> None:
    """Add what a call does to the Graph."""
    if node.target is operator.getitem:
        _pick(node, builder)
        return
    if is_computed(node):
        builder.values[node] = _computed(node, name, builder)
        return
    mark = len(builder.ops)
    rule = _RULES.get(name_of(node))
    if rule is not None and hasattr(node.target, "_schema"):
        try:
            if name_of(node) in _ONE_OF_SEVERAL and _reads_more(node):
                raise ValueError("a value that is not understood is read")
            made = rule(Call(node, name, builder))
        except (ValueError, TypeError, KeyError, IndexError, ZeroDivisionError, AttributeError):
            del builder.ops[mark:]
        else:
            several = isinstance(node.meta["val"], tuple | list)
            builder.values[node] = (made,) if several and isinstance(made, str) else made
            return
    _other(node, name, builder)


def _computed(node: fx.Node, name: str, builder: Builder) -> Made:
    """Constants that are in no parameter."""
    value = node.meta["val"]
    parts = tuple(value) if isinstance(value, tuple | list) else (value,)
    names = [name] if len(parts) == 1 else [f"{name}.{place}" for place in range(len(parts))]
    for its, part in zip(names, parts, strict=True):
        builder.declare(Tensor(its, shape_of(part), dtype_of(part), is_constant=True))
        builder.computed[its] = uniform(node)
    return tuple(names) if isinstance(value, tuple | list) else name


def _reads_more(node: fx.Node) -> bool:
    return any(user.target is operator.getitem and user.args[1] != 0 for user in node.users)


def _pick(node: fx.Node, builder: Builder) -> None:
    whole = builder.values[node.args[0]]
    builder.values[node] = whole[int(node.args[1])] if isinstance(whole, tuple) else whole


def _other(node: fx.Node, name: str, builder: Builder) -> None:
    """A call that is not understood, with what it reads and the sizes of what it makes."""
    values = node.meta.get("val")
    several = isinstance(values, tuple | list)
    parts = tuple(values) if several else (values,)
    made = tuple(
        builder.declare(Tensor(f"{name}.{place}" if several else name, shape_of(part), dtype_of(part)))
        for place, part in enumerate(parts)
    )
    read: list[str] = []
    for source in node.all_input_nodes:
        its = builder.values.get(source, ())
        read += [its] if isinstance(its, str) else its
    builder.ops.append(Op(name, "other", tuple(read), made, variant=name_of(node).strip("_")))
    builder.modules[name] = module_of(node)
    builder.values[node] = made if several else made[0]


def _outputs(program: Any, builder: Builder) -> tuple[str, ...]:
    output = next(node for node in program.graph.nodes if node.op == "output")
    kept = [node for node in output.args[0] if isinstance(node, fx.Node)]
    names = set(program.graph_signature.user_outputs)
    found = [builder.values[node] for node in kept if node.name in names]
    return tuple(dict.fromkeys(name for name in found if isinstance(name, str)))
