"""ONNX element types in neutral words."""

from collections.abc import Mapping
from types import MappingProxyType

from onnx import TensorProto

from edgewright.errors import ModelError

_FLOAT8 = ("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT8E8M0")
_NAMES = {
    "FLOAT": "float32", "DOUBLE": "float64", "FLOAT16": "float16", "BFLOAT16": "bfloat16",
    "INT64": "int64", "UINT64": "uint64", "INT32": "int32", "UINT32": "uint32", "INT16": "int16", "UINT16": "uint16",
    "INT8": "int8", "UINT8": "uint8", "BOOL": "bool", "INT4": "int4", "UINT4": "uint4", "INT2": "int2",
    "UINT2": "uint2", "FLOAT4E2M1": "float4", "COMPLEX64": "complex64", "COMPLEX128": "complex128",
    "STRING": "string", **dict.fromkeys(_FLOAT8, "float8"),
}  # fmt: skip
_BITS = {"float32": 32, "float64": 64, "complex64": 64, "complex128": 128, "bool": 8, "string": 0}

DTYPES: Mapping[int, str] = MappingProxyType(
    {value: _NAMES[name] for name, value in TensorProto.DataType.items() if name in _NAMES}
)


def dtype_of(data_type: int) -> str:
    """The neutral name of an ONNX element type; empty where it has none."""
    return DTYPES.get(data_type, "")


def bits_of(data_type: int, source: str) -> int:
    """Bits of one item. Raises ModelError, which names `source`, for an element type that does not exist."""
    dtype = dtype_of(data_type)
    if not dtype:
        raise ModelError(f"{source}: element type {data_type} does not exist")
    return _BITS[dtype] if dtype in _BITS else int("".join(filter(str.isdigit, dtype)))
