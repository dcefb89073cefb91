"""What is known of each tensor of a model: its type, and whether it is constant, with the value of small ones."""

from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx
from onnx import GraphProto, TensorProto, TypeProto

from edgewright.formats.onnx.dtypes import dtype_of
from edgewright.formats.onnx.external import read_external
from edgewright.graph.types import Shape, Tensor

LARGEST_VALUE = 4096
"""Constants of more items are never looked into."""

Array = npt.NDArray[Any]


class Values:
    """The tensors of one model, filled in execution order by `infer`."""

    def __init__(self, source: str, folder: Path | None) -> None:
        self.source = source
        self.folder = folder
        self.types: dict[str, TypeProto] = {}
        self.folded: set[str] = set()
        self.stored_as: dict[str, str] = {}
        self._stored: dict[str, TensorProto] = {}
        self._known: dict[str, Array] = {}

    def store(self, graph: GraphProto) -> None:
        """Take in the initializers of a graph."""
        for tensor in graph.initializer:
            self.add_stored(tensor.name, tensor)
        for sparse in graph.sparse_initializer:
            name = sparse.values.name
            self.types[name] = tensor_type(sparse.values.data_type, sparse.dims)
            self.folded.add(name)

    def add_stored(self, name: str, tensor: TensorProto) -> None:
        """Make `name` a constant that the file stores."""
        self.types[name] = tensor_type(tensor.data_type, tensor.dims)
        self._stored[name] = tensor

    def add_value(self, name: str, value: Array) -> None:
        """Make the value of a tensor known, whether it is constant or not."""
        self.types[name] = tensor_type(onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        self._known[name] = value

    def stored(self, name: str) -> TensorProto | None:
        """A constant as the file stores it; None where it is computed."""
        return self._stored.get(name)

    def is_constant(self, name: str) -> bool:
        return name in self._stored or name in self.folded

    def are_constant(self, names: Iterable[str]) -> bool:
        return all(self.is_constant(name) for name in names)

    def value(self, name: str) -> Array | None:
        """The value of a tensor that is small and known; None for any other."""
        if name not in self._known and name in self._stored:
            tensor = self._stored[name]
            shape = self.shape(name)
            if shape is None or prod(shape) > LARGEST_VALUE or tensor.data_type == TensorProto.STRING:
                return None
            if tensor.data_location == TensorProto.EXTERNAL:
                if self.folder is None:
                    return None
                tensor = read_external(tensor, self.folder, self.source)
            self._known[name] = onnx.numpy_helper.to_array(tensor)
        return self._known.get(name)

    def shape(self, name: str) -> Shape | None:
        """The shape of a tensor where every dimension is known."""
        kind = self.types.get(name)
        if kind is None or not kind.tensor_type.HasField("shape"):
            return None
        dims = kind.tensor_type.shape.dim
        if any(not dim.HasField("dim_value") or dim.dim_value < 0 for dim in dims):
            return None
        return tuple(dim.dim_value for dim in dims)

    def dtype(self, name: str) -> str:
        """The neutral name of the element type; empty where it is not known or the value is no tensor."""
        kind = self.types.get(name)
        return dtype_of(kind.tensor_type.elem_type) if kind is not None else ""

    def tensor(self, name: str) -> Tensor:
        """What is known as a Tensor; where the size is not known the shape is () and the dtype empty.

        A weight made by DequantizeLinear of a constant has the dtype that it is stored in.
        """
        shape = self.shape(name)
        if shape is None:
            return Tensor(name, (), "", "", self.is_constant(name))
        return Tensor(name, shape, self.stored_as.get(name, self.dtype(name)), "", self.is_constant(name))


def tensor_type(data_type: int, shape: Iterable[int]) -> TypeProto:
    """A tensor type of known shape."""
    return onnx.helper.make_tensor_type_proto(data_type, list(shape))
