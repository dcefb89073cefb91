"""A TFLite model as C++ source for TensorFlow Lite Micro: the data, the arena size, the ops to register."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from edgewright.errors import UnsupportedModelError
from edgewright.formats.tflite.load import parse, read_bytes
from edgewright.formats.tflite.schema import BUILTINS, opcode

_METHODS: Mapping[str, str] = MappingProxyType(
    {
        "CONV_2D": "Conv2D", "DEPTHWISE_CONV_2D": "DepthwiseConv2D", "AVERAGE_POOL_2D": "AveragePool2D",
        "MAX_POOL_2D": "MaxPool2D", "L2_POOL_2D": "L2Pool2D", "L2_NORMALIZATION": "L2Normalization", "PADV2": "PadV2",
        "BATCH_MATMUL": "BatchMatMul", "CUMSUM": "CumSum",
        "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
    }
)  # fmt: skip
"""Where the method of `MicroMutableOpResolver` is not the name of the op in camel case."""

_BYTES_PER_LINE = 12


def c_source(path: Path, name: str, arena_bytes: Mapping[int, int]) -> dict[str, str]:
    """Three files by name: the header and the source with the model's data, and a header that registers its ops.

    `name` becomes the namespace, and `arena_bytes` is the arena for 4 and for 8 bytes of a pointer. Raises ModelError,
    and UnsupportedModelError for custom ops, whose registration is not known here.
    """
    data = read_bytes(path)
    name = _identifier(name)
    methods = _methods(path, data)
    return {
        f"{name}_model_data.h": _header(name, arena_bytes),
        f"{name}_model_data.cc": _source(name, data),
        f"{name}_ops.h": _ops(name, methods),
    }


def _methods(path: Path, data: bytes) -> list[str]:
    model = parse(data, str(path))
    used = {operator.opcodeIndex for graph in model.subgraphs for operator in graph.operators or ()}
    names = {BUILTINS.get(opcode(model.operatorCodes[index]), "CUSTOM") for index in used}
    if "CUSTOM" in names:
        raise UnsupportedModelError(f"{path}: has custom ops, whose kernels have to be registered by hand")
    return sorted(f"Add{_METHODS.get(name) or _camel(name)}" for name in names)


def _header(name: str, arena_bytes: Mapping[int, int]) -> str:
    guard = f"{name.upper()}_MODEL_DATA_H_"
    return f"""\
#ifndef {guard}
#define {guard}

#include <cstddef>

namespace {name} {{

// The flatbuffer of the model.
extern const unsigned char kModelData[];
extern const std::size_t kModelDataSize;

// Bytes that the tensor arena must hold with the reference kernels of TensorFlow Lite Micro, on a 32-bit or a 64-bit
// core. Kernels of a vendor may ask for scratch buffers of their own.
constexpr std::size_t kTensorArenaSize = sizeof(void*) == 8 ? {arena_bytes[8]} : {arena_bytes[4]};

}}  // namespace {name}

#endif  // {guard}
"""


def _source(name: str, data: bytes) -> str:
    rows = (data[start : start + _BYTES_PER_LINE] for start in range(0, len(data), _BYTES_PER_LINE))
    lines = "\n".join("    " + " ".join(f"0x{byte:02x}," for byte in row) for row in rows)
    return f"""\
#include "{name}_model_data.h"

namespace {name} {{

alignas(16) const unsigned char kModelData[] = {{
{lines}
}};
const std::size_t kModelDataSize = sizeof(kModelData);

}}  // namespace {name}
"""


def _ops(name: str, methods: Iterable[str]) -> str:
    guard = f"{name.upper()}_OPS_H_"
    calls = [f"resolver.{method}() == kTfLiteOk" for method in methods]
    joined = " &&\n         ".join(calls)
    return f"""\
#ifndef {guard}
#define {guard}

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace {name} {{

using OpResolver = tflite::MicroMutableOpResolver<{len(calls)}>;

// Registers the ops of the model; false where one of them is refused.
inline bool AddOps(OpResolver& resolver) {{
  return {joined or "true"};
}}

}}  // namespace {name}

#endif  // {guard}
"""


def _camel(name: str) -> str:
    return "".join(part[:1] + part[1:].lower() for part in name.split("_"))


def _identifier(name: str) -> str:
    """A name as a C++ identifier."""
    found = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower()
    return found if found[:1].isalpha() else f"model_{found}"
