"""Integers at the ends of a network: its QUANTIZE and DEQUANTIZE ops there are left to the caller."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgewright.errors import UnsupportedModelError
from edgewright.formats.tflite.operators import Operator
from edgewright.formats.tflite.pruning import References, drop_unread, signature_entries
from edgewright.formats.tflite.read import Reading, understand
from edgewright.formats.tflite.save import packed
from edgewright.formats.tflite.tensors import indices


@dataclass(frozen=True, slots=True)
class QuantizedEnd:
    """An input or output that is integers now: the real number is `scale * (stored - zero_point)`."""

    name: str
    is_input: bool
    dtype: str
    scale: float
    zero_point: int


def int8_io(source: Path | bytes) -> tuple[bytes, tuple[QuantizedEnd, ...]]:
    """The model whose float inputs and outputs are the integers that it computes with, where that is exact.

    That is so for an input that QUANTIZE ops of one scale alone read, and for an output that DEQUANTIZE makes; these
    ops are gone, and the integer tensors have the names of the floats. The ends that changed come with their scale and
    zero point, inputs first. Raises ModelError, and UnsupportedModelError where no end is a float that is quantized at
    once.
    """
    reading = understand(source)
    before = References(reading.model)
    changes = [*_inputs(reading), *_outputs(reading)]
    if not changes:
        raise UnsupportedModelError(f"{reading.source}: no float input or output of it is quantized at once")
    ends = tuple(_end(reading, *change) for change in changes)
    for float_index, integer_index, is_input in changes:
        _replace(reading, float_index, integer_index, is_input)
    drop_unread(reading.model, before, is_changed=True)
    return packed(reading.model, reading.data, reading.source), ends


def _inputs(reading: Reading) -> list[tuple[int, int, bool]]:
    """Float inputs and the integers that are made of them."""
    found = []
    outputs = {int(index) for index in indices(reading.subgraph.outputs)}
    makers: defaultdict[int, list[int]] = defaultdict(list)
    for operator in _of_kind(reading, "quantize"):
        makers[operator.inputs[0]].append(operator.outputs[0])
    for index in map(int, indices(reading.subgraph.inputs)):
        readers = sum(index in operator.inputs for operator in reading.operators.values())
        made = makers[index]
        is_plain = reading.tensors.dtype(index) == "float32" and outputs.isdisjoint([index, *made])
        if is_plain and made and len(made) == readers and _are_alike(made, reading):
            found.append((index, made[0], True))
    return found


def _outputs(reading: Reading) -> list[tuple[int, int, bool]]:
    """Float outputs and the integers that they are made of."""
    found: list[tuple[int, int, bool]] = []
    taken = {int(index) for index in (*indices(reading.subgraph.inputs), *indices(reading.subgraph.outputs))}
    makers = {operator.outputs[0]: operator.inputs[0] for operator in _of_kind(reading, "dequantize")}
    read = {index for operator in reading.operators.values() for index in operator.inputs}
    for index in map(int, indices(reading.subgraph.outputs)):
        source = makers.get(index)
        if source is None or index in read or source in taken or reading.tensors.scale_of(source) is None:
            continue
        taken.add(source)
        found.append((index, source, False))
    return found


def _of_kind(reading: Reading, kind: str) -> list[Operator]:
    return [reading.operators[op.name] for op in reading.graph.ops if op.kind == kind]


def _are_alike(made: list[int], reading: Reading) -> bool:
    kinds = {(reading.tensors.dtype(index), reading.tensors.scale_of(index)) for index in made}
    return len(kinds) == 1 and None not in {scale for _, scale in kinds}


def _end(reading: Reading, float_index: int, integer_index: int, is_input: bool) -> QuantizedEnd:
    scale, zero_point = reading.tensors.scale_of(integer_index) or (1.0, 0)
    dtype = reading.tensors.dtype(integer_index)
    return QuantizedEnd(reading.tensors.names[float_index], is_input, dtype, scale, zero_point)


def _replace(reading: Reading, float_index: int, integer_index: int, is_input: bool) -> None:
    """Put the integers in the place of the floats, and take out the ops between both."""
    graph, tensors = reading.subgraph, reading.subgraph.tensors
    kept, merged = [], {float_index: integer_index}
    for operator in graph.operators:
        ends = operator.inputs if is_input else operator.outputs
        if float_index in {int(index) for index in indices(ends)}:
            merged |= {int(index): integer_index for index in operator.outputs} if is_input else {}
        else:
            kept.append(operator)
    graph.operators = kept
    owners = [(graph, "inputs" if is_input else "outputs")]
    owners += [(operator, "inputs") for operator in kept] if is_input else []
    for owner, name in owners:
        vector = [merged.get(int(index), int(index)) for index in indices(getattr(owner, name))]
        setattr(owner, name, np.array(vector, np.int32))
    for entry in signature_entries(reading.model):
        entry.tensorIndex = merged.get(entry.tensorIndex, entry.tensorIndex)
    tensors[integer_index].name = tensors[float_index].name
    tensors[integer_index].shapeSignature = tensors[float_index].shapeSignature
    tensors[float_index].name = None
