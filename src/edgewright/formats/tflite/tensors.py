"""The tensors of one subgraph by index: names, shapes, element types, and values of those that are constant."""

from collections import Counter
from functools import cached_property
from math import inf, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewright.formats.tflite.schema import DTYPES, NUMPY, Struct
from edgewright.graph.types import Shape, Tensor

Array = npt.NDArray[Any]


class Tensors:
    """The tensors of a subgraph; every one has a name of its own, where the file gives one to several or none.

    `folded` are those that ops make of constants alone; they count as constant, and have no value here.
    """

    def __init__(self, model: Struct, subgraph: Struct, source: str) -> None:
        self.source = source
        self.stored: list[Struct] = subgraph.tensors or []
        self.buffers: list[Struct] = model.buffers or []
        self.names = unique([text(tensor.name) for tensor in self.stored])
        self.folded: set[int] = set()
        self.stored_as: dict[int, str] = {}
        made = {int(i) for operator in subgraph.operators or () for i in indices(operator.outputs)}
        self._given = made | {int(i) for i in indices(subgraph.inputs)}

    @cached_property
    def by_name(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def name(self, index: int) -> str:
        """The name of a tensor; empty for -1, which stands for none."""
        return self.names[index] if index >= 0 else ""

    def shape(self, index: int) -> Shape:
        return tuple(int(size) for size in indices(self.stored[index].shape)) if index >= 0 else ()

    def dtype(self, index: int) -> str:
        return DTYPES.get(int(self.stored[index].type), "")

    def is_stored(self, index: int) -> bool:
        """Whether the file has the value of a tensor."""
        tensor = self.stored[index]
        if index in self._given or tensor.isVariable:
            return False
        return has_data(self.buffers[tensor.buffer]) or tensor.externalBuffer > 0 or prod(self.shape(index)) == 0

    def is_constant(self, index: int) -> bool:
        return index in self.folded or self.is_stored(index)

    def value(self, index: int) -> Array | None:
        """The value of a constant that lies in the flatbuffer as plain numbers; None for any other."""
        if index < 0 or not self.is_stored(index) or self.stored[index].sparsity is not None:
            return None
        dtype = NUMPY.get(self.dtype(index))
        data = self.buffers[self.stored[index].buffer].data
        if dtype is None or (data is None and prod(self.shape(index)) > 0):
            return None
        return np.frombuffer(bytes(data) if data is not None else b"", dtype).reshape(self.shape(index))

    def scale_of(self, index: int) -> tuple[float, int] | None:
        """Scale and zero point of a tensor that has one for all of its items."""
        quantization = self.stored[index].quantization if index >= 0 else None
        if quantization is None or len(indices(quantization.scale)) != 1:
            return None
        scale = float(quantization.scale[0])
        if not 0 < scale < inf:
            return None
        zero_points = [int(item) for item in indices(quantization.zeroPoint)]
        return scale, (zero_points or [0])[0]

    def neutral(self, index: int) -> Tensor:
        """The tensor without its axes; a weight that DEQUANTIZE makes has the element type that it is stored in."""
        dtype = self.stored_as.get(index, self.dtype(index))
        is_variable = bool(self.stored[index].isVariable)
        return Tensor(self.names[index], self.shape(index), dtype, "", self.is_constant(index), is_variable)


def indices(vector: Any) -> Any:
    """A vector of the schema; empty where it is absent."""
    return () if vector is None else vector


def has_data(buffer: Struct) -> bool:
    """Whether a buffer holds anything, in the flatbuffer or behind it."""
    return (buffer.data is not None and len(buffer.data) > 0) or buffer.size > 0


def text(name: bytes | str | None) -> str:
    """A name of the file as text."""
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name or ""


def unique(names: list[str], unnamed: str = "tensor") -> list[str]:
    """The names, with a number behind those that came before; nothing is called `unnamed`, and numbered likewise."""
    taken = set(names)
    seen: set[str] = set()
    counts: Counter[str] = Counter()
    found: list[str] = []
    for given in names:
        base = name = given or unnamed
        while name in seen or (name in taken and name != given):
            counts[base] += 1
            name = f"{base}-{counts[base] + 1}"
        seen.add(name)
        found.append(name)
    return found
