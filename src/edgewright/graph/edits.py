"""The edit script: what may be changed in a network, as plain data.

A script is a sequence of edits. Names of ops in it (`CloneOp.source`, `RemoveOp.name`) speak of the network as it
was before the script, so an op may be removed before it is cloned.

Order of execution. Inserted ops stand in the order of the script, in the place of the op that was removed last
before them (at the beginning of the network where none was). An op that would then run before one of its inputs is
made is moved back, no further than it must (stable topological order).

A script holds edits of ops, or width edits (`SetWidth`), not both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgewright.errors import ModelError, UnsupportedModelError
from edgewright.graph.draft import Draft
from edgewright.graph.quantization import stored_value
from edgewright.graph.shapes import output_shapes
from edgewright.graph.types import Graph, Op, Tensor
from edgewright.graph.width_edits import SetWidth
from edgewright.graph.width_effects import with_widths
from edgewright.graph.written_out import WriteOut, can_be_written_out


@dataclass(frozen=True, slots=True)
class Slice:
    """Insert an op that cuts `[start, end)` out of `input` on each of `axes` (axes of the tensor as it is stored).

    A slice of a constant makes a constant, and no op; one of nothing (`start == end`) an empty tensor.

    `after` names a tensor that has to be made before: an order without data, for runtimes that choose the order of
    execution by themselves. Three ops of a few bytes then make the starts, right before the slice, so that no runtime
    can run it earlier: `NAME.item` takes the first item of that tensor (gather_nd, shape (1, 1)), `NAME.zero` its index
    along an axis of one item (arg_max, shape (1,): always 0), and `NAME.starts` adds it to the starts (binary add).
    Their outputs are called like them, and the constants that they read `NAME.index` and `NAME.begin`. The slice itself
    then reads `input` and `NAME.starts`.
    """

    name: str
    input: str
    output: str
    axes: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    after: str = ""


@dataclass(frozen=True, slots=True)
class Pad:
    """Insert an op that puts `padding` (before, after) of `value` around every axis of `input`.

    `value` is the real value: in a quantized tensor, 0.0 stands for its zero point and -inf for its least value.
    """

    name: str
    input: str
    output: str
    padding: tuple[tuple[int, int], ...]
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class CloneOp:
    """Insert a copy of the op `source` that reads `inputs` and makes `outputs`, weights being shared.

    `inputs` and `outputs` correspond to those of the source one by one. `padding`, one (before, after) for each
    spatial axis, takes the place of the window's; None keeps it. `attributes` replaces some of the op's attributes:
    `ceil_mode` and `output_padding` can be replaced.
    """

    name: str
    source: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    padding: tuple[tuple[int, int], ...] | None = None
    attributes: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Concat:
    """Insert an op that joins `inputs` on `axis` into `output`."""

    name: str
    inputs: tuple[str, ...]
    output: str
    axis: int


@dataclass(frozen=True, slots=True)
class RemoveOp:
    """Take the op `name` out; what it made must be made by another op of the script, or be read by none."""

    name: str


Edit = Slice | Pad | CloneOp | Concat | RemoveOp | WriteOut | SetWidth
REPLACEABLE = frozenset({"ceil_mode", "output_padding"})
"""Attributes that a CloneOp may replace."""


def apply(graph: Graph, edits: Sequence[Edit]) -> Graph:
    """The network after the script.

    Raises ModelError where the script does not fit the network: names that are taken or not there, tensors that
    nothing makes any more; UnsupportedModelError for an op that can't be cloned with other shapes.
    """
    widths = [edit for edit in edits if isinstance(edit, SetWidth)]
    if widths and len(widths) < len(edits):
        raise ModelError("edit script: width edits can't stand beside edits of ops")
    if widths:
        return with_widths(graph, widths)
    draft = Draft(graph)
    for edit in edits:
        match edit:
            case Slice():
                _slice(draft, edit)
            case Pad():
                _pad(draft, edit)
            case CloneOp():
                _clone(draft, edit)
            case Concat():
                _concat(draft, edit)
            case RemoveOp():
                draft.remove(edit.name)
            case WriteOut():
                _write_out(draft, edit)
    return draft.result()


def _slice(draft: Draft, edit: Slice) -> None:
    given = draft.read(edit.input)
    parts = sorted(zip(edit.axes, edit.starts, edit.ends, strict=True))
    shape = list(given.shape)
    for axis, start, end in parts:
        if not 0 <= axis < len(shape) or not 0 <= start <= end <= given.shape[axis]:
            raise ModelError(f"edit script: slice {edit.name!r} cuts {start}:{end} on axis {axis} of {given.shape}")
        shape[axis] = end - start
    waits = bool(edit.after) and not given.is_constant
    inputs = (edit.input, _wait(draft, edit)) if waits else (edit.input,)
    axes, starts, ends = zip(*parts, strict=True) if parts else ((), (), ())
    attributes = {"axes": axes, "starts": starts, "ends": ends, "steps": (1,) * len(parts)}
    op = Op(edit.name, "slice", inputs, (edit.output,), attributes=attributes)
    draft.insert(op, [replace(given, name=edit.output, shape=tuple(shape))])


def _wait(draft: Draft, edit: Slice) -> str:
    """The three ops that make the starts of a slice wait for a tensor; the name of the starts."""
    name, after = edit.name, draft.read(edit.after)
    if after.is_constant:
        raise ModelError(f"edit script: slice {name!r} waits for {edit.after!r}, which is constant")
    index = Tensor(f"{name}.index", (1, 1, len(after.shape)), "int64", is_constant=True)
    begin = Tensor(f"{name}.begin", (len(edit.axes),), "int64", is_constant=True)
    draft.define(index)
    draft.define(begin)
    item, zero, starts = Tensor(f"{name}.item", (1, 1), after.dtype), f"{name}.zero", f"{name}.starts"
    draft.insert(Op(item.name, "gather", (edit.after, index.name), (item.name,), None, "gather_nd"), [item])
    found = {"axes": (1,), "keepdims": False}
    draft.insert(Op(zero, "reduction", (item.name,), (zero,), None, "arg_max", found), [Tensor(zero, (1,), "int64")])
    draft.insert(
        Op(starts, "binary", (zero, begin.name), (starts,), None, "add"), [Tensor(starts, begin.shape, "int64")]
    )
    return starts


def _pad(draft: Draft, edit: Pad) -> None:
    given = draft.read(edit.input)
    if len(edit.padding) != len(given.shape) or any(min(pair) < 0 for pair in edit.padding):
        raise ModelError(f"edit script: pad {edit.name!r} does not fit {given.shape}")
    shape = tuple(size + before + after for size, (before, after) in zip(given.shape, edit.padding, strict=True))
    attributes = {"padding": edit.padding, "value": stored_value(draft.ops(), given, edit.value)}
    op = Op(edit.name, "pad", (edit.input,), (edit.output,), None, "constant", attributes)
    draft.insert(op, [replace(given, name=edit.output, shape=shape)])


def _concat(draft: Draft, edit: Concat) -> None:
    given = [draft.read(name) for name in edit.inputs]
    shapes = [tensor.shape for tensor in given]
    others = {(*shape[: edit.axis], *shape[edit.axis + 1 :]) for shape in shapes}
    if len(others) != 1 or not 0 <= edit.axis < min(map(len, shapes)):
        raise ModelError(f"edit script: concat {edit.name!r} can't join {', '.join(map(str, shapes))}")
    shape = (*shapes[0][: edit.axis], sum(shape[edit.axis] for shape in shapes), *shapes[0][edit.axis + 1 :])
    op = Op(edit.name, "concat", edit.inputs, (edit.output,), attributes={"axis": edit.axis})
    draft.insert(op, [replace(given[0], name=edit.output, shape=shape)])


def _clone(draft: Draft, edit: CloneOp) -> None:
    source = draft.source(edit.source)
    if source.attributes.get("control_flow"):
        raise UnsupportedModelError(f"edit script: op {edit.source!r} is control flow, which can't be cloned")
    if len(edit.inputs) != len(source.inputs) or len(edit.outputs) != len(source.outputs):
        raise ModelError(f"edit script: clone {edit.name!r} has other operands than op {edit.source!r}")
    changes = dict(edit.attributes)
    if not set(changes) <= REPLACEABLE & set(source.attributes):
        raise UnsupportedModelError(f"edit script: clone {edit.name!r} can't replace {', '.join(sorted(changes))}")
    inputs = [draft.read(name) if name else None for name in edit.inputs]
    op = replace(
        source, name=edit.name, inputs=edit.inputs, outputs=edit.outputs, attributes={**source.attributes, **changes}
    )
    op = _within(_with_padding(op, edit), inputs)
    shapes = output_shapes(op, draft.graph, [tensor.shape if tensor else () for tensor in inputs], source)
    if any(size < 1 for shape in shapes for size in shape):
        raise ModelError(f"edit script: clone {edit.name!r} would make nothing")
    made = zip(edit.outputs, source.outputs, shapes, strict=True)
    draft.insert(
        op, [replace(draft.graph.tensors[old], name=name, shape=shape) for name, old, shape in made if name and old]
    )


def _write_out(draft: Draft, edit: WriteOut) -> None:
    source, given = draft.source(edit.source), draft.read(edit.input)
    if not can_be_written_out(source, draft.graph.tensors.get(source.inputs[-1]), given):
        raise UnsupportedModelError(f"edit script: op {edit.source!r} is no PRelu that can be written out")
    channels = given.shape[1]
    for name in edit.weights:
        if name not in draft.tensors:
            draft.define(Tensor(name, (channels, 1, 1, 1), given.dtype, is_constant=True))
    for op in edit.ops(channels):
        draft.insert(op, [replace(given, name=op.outputs[0])])


def _with_padding(op: Op, edit: CloneOp) -> Op:
    """The op with the padding of the edit: of its window, or of every axis for an op that pads."""
    if edit.padding is None:
        return op
    old = op.window.padding if op.window is not None else op.attributes.get("padding", ())
    if len(edit.padding) != len(old) or (op.window is not None and any(min(pair) < 0 for pair in edit.padding)):
        raise ModelError(f"edit script: the padding of clone {edit.name!r} does not fit op {edit.source!r}")
    if op.window is not None:
        return replace(op, window=replace(op.window, padding=edit.padding))
    return replace(op, attributes={**op.attributes, "padding": edit.padding})


def _within(op: Op, inputs: Sequence[Tensor | None]) -> Op:
    """A slice with its ends inside the tensor that it now reads."""
    if op.kind != "slice" or inputs[0] is None:
        return op
    sizes = [inputs[0].shape[axis] for axis in op.attributes["axes"]]
    ends = tuple(min(end, size) for end, size in zip(op.attributes["ends"], sizes, strict=True))
    return replace(op, attributes={**op.attributes, "ends": ends})
