"""An edit script applied to a TFLite model."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from edgewright.errors import UnsupportedModelError
from edgewright.formats.tflite.building import Builder
from edgewright.formats.tflite.load import parse
from edgewright.formats.tflite.pruning import References, drop_unread
from edgewright.formats.tflite.read import Reading, read, understand
from edgewright.formats.tflite.save import packed, save
from edgewright.formats.tflite.schema import Struct
from edgewright.formats.tflite.tensors import indices
from edgewright.formats.tflite.widths import check, reopen, set_widths
from edgewright.graph.edits import CloneOp, Concat, Edit, Pad, RemoveOp, Slice
from edgewright.graph.edits import apply as apply_to_graph
from edgewright.graph.types import Graph, Shape
from edgewright.graph.width_edits import SetWidth
from edgewright.graph.written_out import WriteOut


def apply(
    source: Path | bytes, edits: Sequence[Edit], out: Path, input_shapes: Mapping[str, Shape] | None = None
) -> None:
    """Write the model after the script to `out`.

    Raises ModelError and UnsupportedModelError as `edited` does, and ModelError where `out` can't be written or is the
    source; then nothing is written.
    """
    save(edited(source, edits, input_shapes), out, None if isinstance(source, bytes) else source)


def edited(source: Path | bytes, edits: Sequence[Edit], input_shapes: Mapping[str, Shape] | None = None) -> bytes:
    """The file after the script: buffers shared, all that the script does not touch as it was.

    An offline memory plan among the metadata is left out, as it speaks of tensors that are no more. Raises ModelError
    where the script does not fit the model, UnsupportedModelError for an op that can't be cloned so, and for a slice
    that has to wait (`Slice.after`), as TFLite runs in the order of the file.
    """
    reading = understand(source, input_shapes)
    after = apply_to_graph(reading.graph, edits)
    before = References(reading.model)
    widths = [edit for edit in edits if isinstance(edit, SetWidth)]
    if widths:
        set_widths(reading, after, widths)
        if input_shapes:
            reopen(reading, parse(reading.data, reading.source), reading.graph)
        drop_unread(reading.model, before, True)
        made = packed(reading.model, reading.data, reading.source)
        check(reading, read(made, input_shapes), after)
        return made
    builder = Builder(reading, after)
    inserted = dict(filter(None, (_operator_of(edit, builder) for edit in edits)))
    reading.subgraph.operators = _in_order(reading, after, inserted)
    drop_unread(reading.model, before, bool(edits))
    return packed(reading.model, reading.data, reading.source)


def _operator_of(edit: Edit, builder: Builder) -> tuple[str, Struct] | None:
    """The operator that an edit inserts, with its name. Raises UnsupportedModelError."""
    match edit:
        case Slice():
            operator = builder.slice(edit)
            return None if operator is None else (edit.name, operator)
        case Pad():
            return edit.name, builder.pad(edit)
        case CloneOp():
            return edit.name, builder.clone(edit)
        case Concat():
            return edit.name, builder.concat(edit)
        case WriteOut():
            raise UnsupportedModelError(f"op {edit.source!r}: no op of a TFLite model is written out as others")
        case RemoveOp() | SetWidth():
            return None


def _in_order(reading: Reading, after: Graph, inserted: Mapping[str, Struct]) -> list[Struct]:
    """All operators in the order of the graph, with those that make constants before the first that reads them."""
    by_name = {name: operator.proto for name, operator in reading.operators.items()} | dict(inserted)
    ops = {op.name for op in (*reading.graph.ops, *after.ops)}
    folded = [operator for name, operator in by_name.items() if name not in ops]
    makers = {int(index): place for place, operator in enumerate(folded) for index in operator.outputs}
    placed: set[int] = set()

    def sources(read: Iterable[int]) -> list[Struct]:
        found: set[int] = set()
        stack = [int(index) for index in read]
        while stack:
            place = makers.get(stack.pop())
            if place is not None and place not in placed and place not in found:
                found.add(place)
                stack += [int(index) for index in folded[place].inputs]
        placed.update(found)
        return [folded[place] for place in sorted(found)]

    ordered: list[Struct] = []
    for op in after.ops:
        operator = by_name[op.name]
        ordered += [*sources(np.array(indices(operator.inputs))), operator]
    return ordered + sources(indices(reading.subgraph.outputs))
