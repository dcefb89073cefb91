"""How much a flatbuffer holds, counted before it is unpacked.

Offsets of a flatbuffer may point anywhere, so that one table, string or vector can be part of many others, and a file
of a megabyte can unpack to terabytes. No writer makes such files: what is unpacked is no more than the file holds,
names apart, which may be shared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from edgewright.formats.tflite.schema import schema

_TABLE_BYTES = 8
"""The least that a table takes of a file: the offset to it, and that to its layout."""

_SHARED = 4
"""How many times the bytes of the file strings and numbers may come to."""

_SLACK = 256


@dataclass(frozen=True, slots=True)
class _Layout:
    """The fields of a table that hold more than a number."""

    tables: Mapping[str, str] = field(default_factory=dict)
    vectors: Mapping[str, str] = field(default_factory=dict)
    strings: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()


_LAYOUTS: Mapping[str, _Layout] = MappingProxyType(
    {
        "Model": _Layout(
            vectors={"OperatorCodes": "OperatorCode", "Subgraphs": "SubGraph", "Buffers": "", "Metadata": "Metadata",
                     "SignatureDefs": "SignatureDef", "ExternalBufferGroups": "ExternalBufferGroup",
                     "ExternalBuffers": "ExternalBuffer"},
            strings=("Description",),
            numbers=("MetadataBuffer",),
        ),
        "SubGraph": _Layout(vectors={"Tensors": "Tensor", "Operators": "Operator"}, strings=("Name",),
                            numbers=("Inputs", "Outputs")),
        "Tensor": _Layout({"Quantization": "QuantizationParameters", "Sparsity": "SparsityParameters"},
                          {"VariantTensors": "VariantSubType"}, ("Name",), ("Shape", "ShapeSignature")),
        "QuantizationParameters": _Layout(numbers=("Scale", "ZeroPoint", "Min", "Max")),
        "SparsityParameters": _Layout(vectors={"DimMetadata": ""}, numbers=("TraversalOrder", "BlockMap")),
        "VariantSubType": _Layout(numbers=("Shape",)),
        "Operator": _Layout(numbers=("Inputs", "Outputs", "Intermediates", "MutatingVariableInputs")),
        "VarHandleOptions": _Layout(strings=("Container", "SharedName")),
        "StablehloCustomCallOptions": _Layout(strings=("CallTargetName", "BackendConfig")),
        "StableHLOCompositeOptions": _Layout(strings=("Name",)),
        "OperatorCode": _Layout(strings=("CustomCode",)),
        "Metadata": _Layout(strings=("Name",)),
        "SignatureDef": _Layout(vectors={"Inputs": "TensorMap", "Outputs": "TensorMap"}, strings=("SignatureKey",)),
        "TensorMap": _Layout(strings=("Name",)),
        "ExternalBufferGroup": _Layout(strings=("Name",)),
        "ExternalBuffer": _Layout(strings=("Packing",)),
    }
)  # fmt: skip
_NAMED = {"VarHandleOptions": "BuiltinOptions", "StablehloCustomCallOptions": "BuiltinOptions2",
          "StableHLOCompositeOptions": "BuiltinOptions2"}  # fmt: skip
"""Options that hold strings, and the field of an operator that they stand in."""


def verify(data: bytes) -> None:
    """Raise ValueError, or what broken offsets raise, where a file would unpack to more than it holds."""
    _Count(len(data)).table(schema.Model.GetRootAs(data, 0), "Model")


class _Count:
    """What is left of the tables and bytes that a file can hold."""

    def __init__(self, size: int) -> None:
        self.tables = size // _TABLE_BYTES + _SLACK
        self.bytes = size * _SHARED + _SLACK

    def table(self, table: Any, kind: str) -> None:
        layout = _LAYOUTS.get(kind)
        if layout is None or table is None:
            return
        for name in layout.strings:
            self._spend_bytes(len(getattr(table, name)() or b""))
        for name in layout.numbers:
            self._spend_bytes(4 * getattr(table, f"{name}Length")())
        for name, inner in layout.tables.items():
            self._spend_tables(1)
            self.table(getattr(table, name)(), inner)
        for name, inner in layout.vectors.items():
            count = getattr(table, f"{name}Length")()
            self._spend_tables(count)
            if inner:
                for index in range(count):
                    self.table(getattr(table, name)(index), inner)
        if kind == "Operator":
            self._options(table)

    def _options(self, operator: Any) -> None:
        """Options are of the kind that the operator says; few have strings."""
        for name, union in _NAMED.items():
            if getattr(operator, f"{union}Type")() == getattr(getattr(schema, union), name):
                found = getattr(operator, union)()
                if found is not None:
                    options = getattr(schema, name)()
                    options.Init(found.Bytes, found.Pos)
                    self.table(options, name)

    def _spend_tables(self, count: int) -> None:
        self.tables -= count
        if self.tables < 0:
            raise ValueError("more tables than the file can hold")

    def _spend_bytes(self, count: int) -> None:
        self.bytes -= count
        if self.bytes < 0:
            raise ValueError("more bytes than the file can hold")
