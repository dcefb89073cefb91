"""One node with all that is known around it: the view that the rules of `ops` and `attributes` work on."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import onnx
from onnx import AttributeProto, NodeProto

from edgewright.formats.onnx.standins import is_channels_last
from edgewright.formats.onnx.values import Array, Values
from edgewright.graph.types import Shape

_PLAIN = {
    AttributeProto.FLOAT, AttributeProto.INT, AttributeProto.STRING,
    AttributeProto.FLOATS, AttributeProto.INTS, AttributeProto.STRINGS,
}  # fmt: skip


@dataclass(frozen=True)
class Node:
    """A NodeProto, the tensors of its model, and the version of ONNX's operator set."""

    proto: NodeProto
    values: Values
    opset: int

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The plain attributes, strings decoded."""
        found = {}
        for attribute in self.proto.attribute:
            if attribute.type in _PLAIN:
                value = onnx.helper.get_attribute_value(attribute)
                found[attribute.name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return found

    @property
    def op_type(self) -> str:
        return str(self.proto.op_type)

    @property
    def channels_last(self) -> bool:
        return is_channels_last(self.proto)

    def name(self, index: int) -> str:
        """The name of an input; empty where it is absent."""
        return self.proto.input[index] if index < len(self.proto.input) else ""

    def shape(self, index: int = 0) -> Shape:
        """The shape of an input; () where it is absent or not known."""
        return self.values.shape(self.name(index)) or ()

    def output_shape(self, index: int = 0) -> Shape:
        return self.values.shape(self.proto.output[index]) or ()

    @property
    def rank(self) -> int:
        return len(self.shape())

    def value(self, index: int) -> Array | None:
        """The value of an input that is small and known."""
        name = self.name(index)
        return self.values.value(name) if name else None

    def integers(self, name: str, index: int) -> tuple[int, ...] | None:
        """Integers that are an attribute in old operator sets and an input in newer ones; None where neither.

        Raises ValueError where they are no integers.
        """
        if name in self.attributes:
            return tuple(int(item) for item in self.attributes[name])
        value = self.value(index)
        if value is not None and value.dtype.kind not in "iu":
            raise ValueError(f"{name} are no integers")
        return None if value is None else tuple(int(item) for item in value.reshape(-1))

    def number(self, name: str, index: int) -> float | None:
        """A number that is an attribute in old operator sets and an input in newer ones."""
        if name in self.attributes:
            return float(self.attributes[name])
        value = self.value(index)
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None

    def axis(self, name: str = "axis", default: int = 0) -> int:
        """An axis attribute, counted from the front. Raises ValueError where there is no such axis."""
        return in_range(int(self.attributes.get(name, default)), self.rank)

    def wrapped(self, axes: tuple[int, ...]) -> tuple[int, ...]:
        """Axes counted from the front, in order. Raises ValueError where there is no such axis."""
        return tuple(sorted(in_range(axis, self.rank) for axis in axes))


def in_range(axis: int, rank: int) -> int:
    """An axis counted from the front. Raises ValueError where a tensor of this rank has no such axis."""
    if not -rank <= axis < rank:
        raise ValueError(f"no axis {axis} of {rank}")
    return axis % rank
