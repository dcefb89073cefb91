"""The constants of a TFLite model as they are stored: read as numbers, and rewritten after width edits."""

from collections import Counter
from collections.abc import Mapping
from copy import copy
from typing import Any

import numpy as np

from edgewright.errors import UnsupportedModelError
from edgewright.formats.changes import Change
from edgewright.formats.tflite.operators import Operator
from edgewright.formats.tflite.read import Reading
from edgewright.formats.tflite.schema import NUMPY, Struct, schema
from edgewright.formats.tflite.tensors import Array, indices

_ITEM_BY_ITEM = frozenset({"DEQUANTIZE", "QUANTIZE", "CAST"})
"""Operators on constants that keep every item in its place."""


def value_of(reading: Reading, index: int) -> Array | None:
    """The numbers that the file stores for a tensor, also behind the flatbuffer; None where it has none as such."""
    found = reading.tensors.value(index)
    if found is not None or index < 0 or not reading.tensors.is_stored(index):
        return found
    tensor = reading.tensors.stored[index]
    buffer, dtype = reading.tensors.buffers[tensor.buffer], NUMPY.get(reading.tensors.dtype(index))
    if not buffer.size or dtype is None or tensor.sparsity is not None:
        return None
    data = reading.data[buffer.offset : buffer.offset + buffer.size]
    return np.frombuffer(data, dtype).reshape(reading.tensors.shape(index))


def real_value(reading: Reading, index: int) -> Array | None:
    """The value of a constant in real numbers, through what makes it of another constant; None where it is not known.

    Of quantized ones the distance from their zero point is told, in steps.
    """
    maker = _makers(reading).get(index)
    if maker is not None:
        return real_value(reading, maker.inputs[0]) if maker.builtin in _ITEM_BY_ITEM else None
    found = value_of(reading, index)
    if found is None or found.dtype.kind not in "fiu":
        return None
    axis, zeros = _zero_points(reading.tensors.stored[index])
    if not zeros.any():
        return found
    along = [1] * found.ndim
    if zeros.size > 1:
        along[axis] = -1
    return np.asarray(found.astype(np.int64) - zeros.reshape(along if found.ndim else ()))


class Constants:
    """Rewrites the constants of a model in place; what shares a buffer goes on doing so where it changes alike.

    A constant that an operator makes of another one changes where it is stored. Raises UnsupportedModelError for one
    that can't be changed.
    """

    def __init__(self, reading: Reading) -> None:
        self.reading, self.tensors = reading, reading.tensors
        graphs = reading.model.subgraphs
        self._uses = Counter(int(i) for operator in reading.subgraph.operators or () for i in indices(operator.inputs))
        self._uses.update(int(index) for index in indices(reading.subgraph.outputs))
        self._shared = Counter(tensor.buffer for graph in graphs for tensor in graph.tensors or ())
        self._shared.update(entry.buffer for entry in reading.model.metadata or ())
        self._makers = _makers(reading)
        self._buffers: dict[tuple[Any, ...], int] = {}
        self._versions: dict[tuple[int, Change], int] = {}

    def rewrite(self, changes: Mapping[str, Change]) -> None:
        """Make these changes, by the names of tensors."""
        for name, change in changes.items():
            self._rewrite(self.tensors.by_name[name], change)

    def _rewrite(self, index: int, change: Change) -> None:
        maker, tensor = self._makers.get(index), self.tensors.stored[index]
        if maker is None:
            self._store(index, tensor, change)
            return
        if maker.builtin not in _ITEM_BY_ITEM:
            raise self._refused(index)
        inputs = np.array(indices(maker.proto.inputs), np.int32)
        inputs[0] = self._version(int(inputs[0]), change)
        maker.proto.inputs = inputs
        _resize(tensor, change)

    def _version(self, index: int, change: Change) -> int:
        """The tensor after a change: itself where nobody else reads it, else a copy."""
        key = index, change
        if key not in self._versions:
            if self._uses[index] == 1 and index not in self._makers:
                self._rewrite(index, change)
                self._versions[key] = index
            elif index in self._makers:
                raise self._refused(index)
            else:
                made = copy(self.tensors.stored[index])
                made.name, made.quantization = None, copy(made.quantization)
                self._store(index, made, change)
                self.reading.subgraph.tensors.append(made)
                self._versions[key] = len(self.reading.subgraph.tensors) - 1
        return self._versions[key]

    def _store(self, index: int, tensor: Struct, change: Change) -> None:
        value = value_of(self.reading, index)
        quantization = tensor.quantization
        if value is None or (quantization is not None and quantization.details is not None):
            raise self._refused(index)
        axis, zeros = _zero_points(tensor)
        if zeros.any() and any(part.fill for part in change.axes):
            raise self._refused(index)
        # The zero points are those before the change, and lie along an axis that may change too.
        stored = change.stored(zeros, axis)
        key = tensor.buffer, value.dtype.name, value.shape, stored
        if key not in self._buffers:
            self._buffers[key] = self._buffer(tensor.buffer, stored.of(value))
        tensor.buffer = self._buffers[key]
        _requantize(quantization, change, value.shape[axis] if value.ndim else 1)
        _resize(tensor, change)

    def _buffer(self, old: int, value: Array) -> int:
        data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
        if self._shared[old] == 1:
            buffer = self.reading.model.buffers[old]
            buffer.data, buffer.offset, buffer.size = data, 0, 0
            return old
        self.reading.model.buffers.append(schema.BufferT(data=data))
        return len(self.reading.model.buffers) - 1

    def _refused(self, index: int) -> UnsupportedModelError:
        name = self.tensors.names[index]
        return UnsupportedModelError(f"{self.reading.source}: the width of the constant {name!r} can't be changed")


def _makers(reading: Reading) -> dict[int, Operator]:
    """The operators that make constants of constants, by what they make."""
    folded = reading.tensors.folded
    return {index: one for one in reading.operators.values() for index in one.outputs if index in folded}


def _zero_points(tensor: Struct) -> tuple[int, Array]:
    """The axis that they lie along, and one for all items or one for each of it."""
    found = tensor.quantization
    if found is None or found.zeroPoint is None or not len(found.zeroPoint):
        return 0, np.zeros(1, np.int64)
    return int(found.quantizedDimension), np.array(found.zeroPoint, np.int64)


def _requantize(quantization: Struct, change: Change, size: int) -> None:
    """Scales and the like that there is one of for each channel: a new one has those of the channel before it."""
    along = change.along(int(quantization.quantizedDimension)) if quantization is not None else None
    if along is None or size == 1:
        return
    for field in ("scale", "zeroPoint", "min", "max"):
        items = getattr(quantization, field)
        if items is not None and len(items) == size:
            setattr(quantization, field, along.of(np.array(items)))


def _resize(tensor: Struct, change: Change) -> None:
    tensor.shape = np.array(change.shape(tuple(int(size) for size in tensor.shape)), np.int32)
