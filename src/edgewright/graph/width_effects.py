"""What width edits make of a network: sizes of tensors, and the attributes of ops that follow them."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from edgewright.errors import ModelError
from edgewright.graph.axis_layout import Part, axis_sources
from edgewright.graph.channel_rules import understood_axes
from edgewright.graph.channel_ties import Ties
from edgewright.graph.channel_weighted import channel_axis, is_depthwise_weight, weight_axes
from edgewright.graph.types import Graph, Op, Tensor
from edgewright.graph.width_edits import SetWidth

Parts = Mapping[tuple[str, int], Sequence[Part]]


def with_widths(graph: Graph, edits: Sequence[SetWidth]) -> Graph:
    """The network after width edits, which act together: the members of each speak of the network before all.

    Raises ModelError where a group is not one of the network, or has two edits, or nothing would be left of it.
    """
    parts = _parts(graph, edits)
    tensors = dict(graph.tensors)
    for (name, axis), its in parts.items():
        shape = tensors[name].shape
        tensors[name] = replace(
            tensors[name], shape=(*shape[:axis], len(axis_sources(shape[axis], its)), *shape[axis + 1 :])
        )
    changed = {name for name, tensor in tensors.items() if tensor != graph.tensors[name]}
    ops = tuple(_followed(op, graph, tensors, parts) if changed & {*op.inputs, *op.outputs} else op for op in graph.ops)
    after = replace(graph, ops=ops, tensors=tensors)
    _check(graph, after, changed)
    return after


def _parts(graph: Graph, edits: Sequence[SetWidth]) -> Parts:
    """What happens to each axis that changes."""
    parts: defaultdict[tuple[str, int], list[Part]] = defaultdict(list)
    names = set()
    for edit in edits:
        if edit.group.name in names:
            raise ModelError(f"edit script: channel group {edit.group.name!r} has two widths")
        if edit.width < 1:
            raise ModelError(f"edit script: channel group {edit.group.name!r} would have no channels")
        names.add(edit.group.name)
        for member in edit.group.members:
            if member.tensor not in graph.tensors:
                raise ModelError(f"edit script: there is no tensor {member.tensor!r}")
            if not 0 <= member.axis < len(graph.tensors[member.tensor].shape):
                raise ModelError(f"edit script: tensor {member.tensor!r} has no axis {member.axis}")
            parts[member.tensor, member.axis].append(Part(member, edit.group.width, edit.kept, edit.added))
    return parts


def _check(before: Graph, after: Graph, changed: set[str]) -> None:
    """Raises ModelError where an op would no longer pass on what it passed on: a place of the group is missing."""
    for name in (*before.inputs, *before.outputs):
        if name in changed:
            raise ModelError(f"edit script: {name!r}, an input or output of the network, would change its shape")
    old_ties, new_ties = Ties(before), Ties(after)
    for old, new in zip(before.ops, after.ops, strict=True):
        if changed & {*new.inputs, *new.outputs}:
            lost = understood_axes(old, old_ties) - understood_axes(new, new_ties)
            if any(after.tensors[name].shape[axis] != 1 for name, axis in lost):
                raise ModelError(f"edit script: the widths do not fit each other at op {new.name!r}")


def _followed(op: Op, graph: Graph, tensors: Mapping[str, Tensor], parts: Parts) -> Op:
    """The op with the attributes that follow from the new sizes."""
    rule = _RULES.get(op.kind)
    if rule is None:
        return op
    found = rule(op, graph, tensors, parts)
    kind = found.pop("kind", op.kind)
    return replace(op, kind=kind, attributes={**op.attributes, **found})


def _moved(boundary: int, parts: Sequence[Part]) -> int:
    """Where a boundary of an axis lies after the edits: new channels stand before the one behind them."""
    place = boundary
    for part in dict.fromkeys(parts):
        member, old = part.member, part.width * part.member.block
        new = (len(part.kept) + part.added) * member.block
        for repeat in range(member.repeats):
            start = member.offset + repeat * member.period
            if start < boundary < start + old:
                raise ModelError(f"edit script: tensor {member.tensor!r} is cut within a channel group")
            place += new - old if start + old <= boundary else 0
    return place


def _convolution(op: Op, graph: Graph, tensors: Mapping[str, Tensor], parts: Parts) -> dict[str, Any]:
    axes = weight_axes(op, graph)
    if axes is None:
        return {}
    given, weight = op.operands[:2]
    channels = tensors[given].shape[channel_axis(given, graph)]
    columns = tensors[weight].shape[axes[1]]
    if op.kind == "transposed_conv":
        was = graph.tensors[given].shape[channel_axis(given, graph)]
        return {"groups": channels} if op.attributes["groups"] == was > 1 else {}
    groups = channels // max(columns, 1)
    is_depthwise = is_depthwise_weight(axes) or groups > 1 == columns
    return {"groups": groups, "kind": "depthwise_conv" if is_depthwise else "conv"}


def _split(op: Op, graph: Graph, tensors: Mapping[str, Tensor], parts: Parts) -> dict[str, Any]:
    return {"sizes": tuple(tensors[name].shape[op.attributes["axis"]] for name in op.outputs)}


def _slice(op: Op, graph: Graph, tensors: Mapping[str, Tensor], parts: Parts) -> dict[str, Any]:
    found = op.attributes
    places = [parts.get((op.operands[0], axis), ()) for axis in found["axes"]]
    return {
        key: tuple(_moved(place, its) if its else place for place, its in zip(found[key], places, strict=True))
        for key in ("starts", "ends")
    }


def _pad(op: Op, graph: Graph, tensors: Mapping[str, Tensor], parts: Parts) -> dict[str, Any]:
    given, made = op.operands[0], op.outputs[0]
    padding = []
    for axis, (before, after) in enumerate(op.attributes["padding"]):
        its = parts.get((made, axis), ())
        first = _moved(before, its) if its else before
        size = tensors[made].shape[axis] - tensors[given].shape[axis]
        padding.append((first, size - first) if its else (before, after))
    return {"padding": tuple(padding)}


def _normalization(op: Op, graph: Graph, tensors: Mapping[str, Tensor], parts: Parts) -> dict[str, Any]:
    if "groups" not in op.attributes:
        return {}
    name = op.operands[0]
    axis = channel_axis(name, graph)
    each = graph.tensors[name].shape[axis] // op.attributes["groups"]
    return {"groups": tensors[name].shape[axis] // each}


def _recurrent(op: Op, graph: Graph, tensors: Mapping[str, Tensor], parts: Parts) -> dict[str, Any]:
    return {"hidden_size": tensors[op.inputs[2]].shape[-1]}


_RULES: Mapping[str, Callable[[Op, Graph, Mapping[str, Tensor], Parts], dict[str, Any]]] = MappingProxyType(
    {
        **dict.fromkeys(("conv", "depthwise_conv", "transposed_conv"), _convolution),
        **dict.fromkeys(("gru", "lstm", "rnn"), _recurrent),
        "split": _split,
        "slice": _slice,
        "pad": _pad,
        "normalization": _normalization,
    }
)
