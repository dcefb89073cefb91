"""The tensors, buffers and operator codes of a model while it is edited."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgewright.formats.tflite.read import Reading
from edgewright.formats.tflite.schema import DTYPES, Struct, opcode, schema
from edgewright.formats.tflite.tensors import Array, indices
from edgewright.graph.types import Shape

_NUMBERS = {name: number for number, name in DTYPES.items()}


class Parts:
    """Looks tensors up by the names of the graph, and adds what new operators need; equal constants are one."""

    def __init__(self, reading: Reading) -> None:
        self.model, self.subgraph = reading.model, reading.subgraph
        self.tensors: list[Struct] = self.subgraph.tensors
        self._index = {name: reading.tensors.by_name[name] for name in reading.graph.tensors}
        self._own = {name: index for name, index in reading.tensors.by_name.items() if name not in self._index}
        self._constants: dict[tuple[object, ...], int] = {}
        for name, index in self._index.items():
            if reading.tensors.names[index] != _stored_name(self.tensors[index]):
                self.tensors[index].name = name

    def index(self, name: str) -> int:
        """The index of a tensor of the graph."""
        return self._index[name]

    def shape(self, index: int) -> Shape:
        return tuple(int(size) for size in indices(self.tensors[index].shape))

    def dtype(self, index: int) -> str:
        return DTYPES[int(self.tensors[index].type)]

    def quantization(self, index: int) -> tuple[object, ...]:
        """Scales and zero points of a tensor."""
        found = self.tensors[index].quantization
        if found is None:
            return ()
        return tuple(float(item) for item in indices(found.scale)), tuple(
            int(item) for item in indices(found.zeroPoint)
        )

    def like(self, name: str, source: int, shape: Shape) -> int:
        """The index of the tensor of this name; where it is new, it has the type and quantization of `source`."""
        if name not in self._index:
            old = self.tensors[source]
            tensor = schema.TensorT(
                shape=np.array(shape, np.int32), type=old.type, name=name, quantization=old.quantization,
                hasRank=old.hasRank,
            )  # fmt: skip
            self._index[name] = self._add(name, tensor)
        return self._index[name]

    def add_constant(self, name: str, source: int, value: Array) -> None:
        """A constant of the graph in the type and quantization of `source`."""
        index = self.like(name, source, value.shape)
        self.tensors[index].buffer = self._buffer(value)

    def integers(self, items: Sequence[int], shape: Shape | None = None, dtype: str = "int32") -> int:
        """The index of a constant of integers."""
        return self.constant(np.array(items, dtype).reshape(shape or (len(items),)))

    def constant(self, value: Array, like: int | None = None) -> int:
        """The index of a nameless constant; with the quantization of the tensor `like`, where it is given."""
        key = (value.dtype.name, value.shape, value.tobytes(), () if like is None else self.quantization(like))
        if key not in self._constants:
            tensor = schema.TensorT(
                shape=np.array(value.shape, np.int32), type=_NUMBERS[value.dtype.name], buffer=self._buffer(value),
                quantization=None if like is None else self.tensors[like].quantization,
            )  # fmt: skip
            self._constants[key] = self._add("", tensor)
        return self._constants[key]

    def code(self, builtin: str, version: int) -> int:
        """The index of the operator code of a builtin operator, of at least this version."""
        number = getattr(schema.BuiltinOperator, builtin)
        for index, code in enumerate(self.model.operatorCodes):
            if opcode(code) == number and code.version >= version:
                return index
        small = min(number, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
        code = schema.OperatorCodeT(deprecatedBuiltinCode=small, builtinCode=number, version=version)
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def _buffer(self, value: Array) -> int:
        data: Any = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
        self.model.buffers.append(schema.BufferT(data=data))
        return len(self.model.buffers) - 1

    def _add(self, name: str, tensor: Struct) -> int:
        """Appends a tensor; one that is no tensor of the graph gives its name up to it."""
        if name in self._own:
            self.tensors[self._own.pop(name)].name = None
        self.tensors.append(tensor)
        return len(self.tensors) - 1


def _stored_name(tensor: Struct) -> str | None:
    try:
        return tensor.name.decode("utf-8") if isinstance(tensor.name, bytes) else tensor.name
    except UnicodeDecodeError:
        return None
