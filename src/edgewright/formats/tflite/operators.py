"""One operator with all that is known around it: the view that the rules of `ops` and `attributes` work on."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from types import MappingProxyType
from typing import Any

from edgewright.formats.tflite.schema import BUILTINS, Struct, opcode, schema
from edgewright.formats.tflite.tensors import Array, Tensors, indices, text
from edgewright.graph.types import Shape

ACTIVATIONS: Mapping[int, str] = MappingProxyType(
    {
        schema.ActivationFunctionType.RELU: "relu",
        schema.ActivationFunctionType.RELU6: "clip",
        schema.ActivationFunctionType.RELU_N1_TO_1: "clip",
        schema.ActivationFunctionType.TANH: "tanh",
        schema.ActivationFunctionType.SIGN_BIT: "sign_bit",
    }
)
"""Fused activations in neutral words."""

_MOST_INTEGERS = 4096


@dataclass(frozen=True)
class Operator:
    """An operator of a subgraph, its operator code, and the tensors of the subgraph."""

    proto: Struct
    code: Struct
    tensors: Tensors

    @cached_property
    def builtin(self) -> str:
        """The name of the builtin operator: `CONV_2D`; `CUSTOM` for one that is none."""
        return BUILTINS.get(opcode(self.code), "CUSTOM")

    @property
    def custom(self) -> str:
        return text(self.code.customCode)

    @cached_property
    def inputs(self) -> tuple[int, ...]:
        """Indices of tensors; -1 where one is absent."""
        return tuple(int(index) for index in indices(self.proto.inputs))

    @cached_property
    def outputs(self) -> tuple[int, ...]:
        return tuple(int(index) for index in indices(self.proto.outputs))

    def option(self, name: str) -> Any:
        """A builtin option. Raises AttributeError where the operator has no such option."""
        return getattr(self.proto.builtinOptions, name)

    def input(self, position: int) -> int:
        """The index of an input; -1 where it is absent."""
        return self.inputs[position] if position < len(self.inputs) else -1

    def shape(self, position: int = 0) -> Shape:
        return self.tensors.shape(self.input(position))

    def output_shape(self, position: int = 0) -> Shape:
        return self.tensors.shape(self.outputs[position])

    @property
    def rank(self) -> int:
        return len(self.shape())

    def value(self, position: int) -> Array | None:
        """The value of an input that the file stores."""
        return self.tensors.value(self.input(position))

    def integers(self, position: int) -> tuple[int, ...]:
        """The value of an input of a few integers. Raises ValueError where it is not known, or no integers."""
        value = self.value(position) if prod(self.shape(position)) <= _MOST_INTEGERS else None
        if value is None or value.dtype.kind not in "iu":
            raise ValueError(f"input {position} is no constant of a few integers")
        return tuple(int(item) for item in value.reshape(-1))

    def axis(self, axis: int, rank: int | None = None) -> int:
        """An axis counted from the first. Raises ValueError where there is none such."""
        rank = self.rank if rank is None else rank
        if not -rank <= axis < rank:
            raise ValueError(f"there is no axis {axis}")
        return axis % rank

    @property
    def fused(self) -> tuple[str, ...]:
        """The activation that the operator applies to its result."""
        number = int(getattr(self.proto.builtinOptions, "fusedActivationFunction", 0))
        return (ACTIVATIONS.get(number, f"activation_{number}"),) if number else ()
