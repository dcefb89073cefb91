"""The schema of TFLite files, as the ai-edge-litert wheel ships it, and its numbers in words."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from edgewright.errors import ModelError

try:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
except ImportError as error:
    raise ModelError("TFLite models need ai-edge-litert: pip install 'edgewright[litert]'") from error

__all__ = ["BUILTINS", "DTYPES", "IDENTIFIER", "NUMPY", "Struct", "flatbuffers", "opcode", "schema"]

Struct = Any
"""An object of the schema's object API; it has no types."""

IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every TFLite file."""


def _names(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


BUILTINS: Mapping[int, str] = MappingProxyType(_names(schema.BuiltinOperator))
"""The name of each builtin operator: `CONV_2D`."""

DTYPES: Mapping[int, str] = MappingProxyType(
    {number: name.lower() for number, name in _names(schema.TensorType).items()}
    | {number: "float8" for number, name in _names(schema.TensorType).items() if name.startswith("FLOAT8")}
)
"""The neutral name of each element type."""

NUMPY: Mapping[str, str] = MappingProxyType(
    {name: name for name in ("float64", "float32", "float16", "int64", "uint64", "int32", "uint32", "int16", "uint16",
                             "int8", "uint8", "bool")}
)  # fmt: skip
"""The numpy dtype of the element types that numpy has."""

_PLACEHOLDER = schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES


def opcode(code: Struct) -> int:
    """The number of a builtin operator: small ones stand in an old field of a byte, or in both."""
    old, new = int(code.deprecatedBuiltinCode), int(code.builtinCode)
    return new if old == _PLACEHOLDER else max(old, new)
