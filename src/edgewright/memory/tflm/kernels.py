"""What each kernel of TensorFlow Lite Micro allocates for one op of its kind.

A kernel's tail is the parsed options of the op (`options`), its own structure (`data`), and the buffers that it asks
for while it prepares. Scratch buffers live in the head while the op runs. These are the reference kernels; those of
vendors (CMSIS-NN, ESP-NN, Xtensa) ask for scratch of their own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edgewright.graph.types import Graph, Op, Tensor
from edgewright.memory.tflm.structures import Build, Struct

Sizes = Callable[[Op, Graph, Build], tuple[int, ...]]


def _nothing(_op: Op, _graph: Graph, _build: Build) -> tuple[int, ...]:
    return ()


@dataclass(frozen=True)
class Kernel:
    """Structures of a kernel, bytes of its persistent buffers, in order, and of its scratch buffers."""

    options: Struct | None = None
    data: Struct | None = None
    persistent: Sizes = _nothing
    scratch: Sizes = _nothing


def _given(op: Op, graph: Graph, index: int) -> Tensor:
    return graph.tensors[op.operands[index]]


def _filter_channels(op: Op, graph: Graph, _build: Build) -> tuple[int, ...]:
    """Multiplier and shift of each output channel; float kernels ask for them too."""
    weights = graph.tensors[op.operands[1]]
    channels = weights.shape[-1] if op.kind == "depthwise_conv" else weights.shape[0]
    return (4 * channels,) * 2


def _unpacked_filter(op: Op, graph: Graph, _build: Build) -> tuple[int, ...]:
    weights = graph.tensors[op.operands[1]]
    return (weights.items,) if weights.dtype == "int4" else ()


def _accumulators(op: Op, graph: Graph, _build: Build) -> tuple[int, ...]:
    """A transposed convolution of integers sums into wider items."""
    made = graph.tensors[op.outputs[0]]
    width = {"int8": 4, "int16": 8}.get(made.dtype, 0)
    return (width * made.items,) if width else ()


def _row_channels(op: Op, graph: Graph, _build: Build) -> tuple[int, ...]:
    """Multiplier and shift of each output of a fully connected layer that is quantized by channel."""
    if not op.attributes.get("per_channel"):
        return ()
    return (4 * graph.tensors[op.operands[1]].shape[0],) * 2


def _reduced(op: Op, graph: Graph, _build: Build) -> tuple[int, ...]:
    """Sums of integers, then an index for each axis, and the axes."""
    given, made = _given(op, graph, 0), graph.tensors[op.outputs[0]]
    sums = (4 * made.items,) if op.variant in {"mean", "sum"} and given.dtype in {"int8", "int16"} else ()
    return (*sums, 4 * len(given.shape), 4 * len(op.attributes.get("axes", ())))


def _own_shape(op: Op, graph: Graph, _build: Build) -> tuple[int, ...]:
    """A copy of the output's shape that can be written to."""
    return (4 + 4 * len(graph.tensors[op.outputs[0]].shape),)


def _mirrored(op: Op, graph: Graph, _build: Build) -> tuple[int, ...]:
    return (4 * len(_given(op, graph, 0).shape),) * 2


def _exponentials(op: Op, graph: Graph, _build: Build) -> tuple[int, ...]:
    """Two tables of 513 entries for 16-bit activations."""
    return (2 * 513,) * 2 if _given(op, graph, 0).dtype == "int16" else ()


def _log_softmax(op: Op, graph: Graph, _build: Build) -> tuple[int, ...]:
    return (40,) if _given(op, graph, 0).dtype == "int8" else ()


_CONV = Struct("iiiiiiiiippiii", if_compressing="ii")
_WINDOW = Struct("i" * 7)
_ACTIVATION = Struct("i")

KERNELS: Mapping[str, Kernel] = MappingProxyType(
    {
        "CONV_2D": Kernel(_WINDOW, _CONV, _filter_channels, _unpacked_filter),
        "DEPTHWISE_CONV_2D": Kernel(_WINDOW, _CONV, _filter_channels, _unpacked_filter),
        "TRANSPOSE_CONV": Kernel(
            Struct("iiiii"),
            Struct("c" + "h" * 8 + "i" * 9 + "ii" + "pp", if_compressing="ii"),
            _filter_channels,
            _accumulators,
        ),
        "FULLY_CONNECTED": Kernel(
            Struct("iiccipp"), Struct("i" * 9 + "ppc", if_compressing="ii"), _row_channels, _unpacked_filter
        ),
        "AVERAGE_POOL_2D": Kernel(Struct("i" * 10), Struct("i" * 8)),
        "MAX_POOL_2D": Kernel(Struct("i" * 10), Struct("i" * 8)),
        "L2_POOL_2D": Kernel(Struct("i" * 10), Struct("i" * 8)),
        "ADD": Kernel(Struct("ic"), Struct("i" * 15)),
        "SUB": Kernel(Struct("ic"), Struct("i" * 13)),
        "MUL": Kernel(_ACTIVATION, Struct("i" * 9)),
        "DIV": Kernel(_ACTIVATION, Struct("i" * 7)),
        "SQUARED_DIFFERENCE": Kernel(None, Struct("i" * 28)),
        "MEAN": Kernel(Struct("c"), Struct("i" * 11), scratch=_reduced),
        "SUM": Kernel(Struct("c"), Struct("i" * 11), scratch=_reduced),
        "REDUCE_MAX": Kernel(Struct("c"), Struct("i" * 11), scratch=_reduced),
        "REDUCE_MIN": Kernel(Struct("c"), Struct("i" * 11), scratch=_reduced),
        "RESHAPE": Kernel(Struct("i" * 9)),
        "SQUEEZE": Kernel(Struct("i" * 9)),
        "SOFTMAX": Kernel(_ACTIVATION, Struct("d" + "i" * 7 + "p" * 5), _exponentials),
        "LOG_SOFTMAX": Kernel(None, None, _log_softmax),
        "QUANTIZE": Kernel(None, Struct("diiiii")),
        "DEQUANTIZE": Kernel(None, Struct("diiiii")),
        "PAD": Kernel(None, Struct("i" * 14)),
        "PADV2": Kernel(None, Struct("i" * 14)),
        "MIRROR_PAD": Kernel(_ACTIVATION, Struct("i" * 5), scratch=_mirrored),
        "STRIDED_SLICE": Kernel(Struct("i" * 6), Struct("i" * 21)),
        "CONCATENATION": Kernel(Struct("ii"), Struct("cpphii", if_compressing="i" * 10)),
        "LOGISTIC": Kernel(None, Struct("iiii")),
        "TANH": Kernel(None, Struct("iiii")),
        "RELU": Kernel(None, Struct("i" * 7)),
        "RELU6": Kernel(None, Struct("ii")),
        "ABS": Kernel(None, Struct("i" * 7)),
        "RSQRT": Kernel(None, Struct("i" * 7)),
        "ELU": Kernel(None, Struct("c" * 256)),
        "HARD_SWISH": Kernel(None, Struct("i" * 5)),
        "LEAKY_RELU": Kernel(_ACTIVATION, Struct("i" * 6)),
        "PRELU": Kernel(None, Struct("i" * 7)),
        "RESIZE_BILINEAR": Kernel(Struct("cc")),
        "RESIZE_NEAREST_NEIGHBOR": Kernel(Struct("cc")),
        "SPLIT": Kernel(_ACTIVATION),
        "SPLIT_V": Kernel(_ACTIVATION),
        "PACK": Kernel(Struct("ii")),
        "UNPACK": Kernel(Struct("ii")),
        "GATHER": Kernel(Struct("ii"), None, _own_shape),
        "CAST": Kernel(Struct("ii")),
        "ARG_MAX": Kernel(_ACTIVATION),
        "ARG_MIN": Kernel(_ACTIVATION),
        "DEPTH_TO_SPACE": Kernel(_ACTIVATION, None, _own_shape),
        "SPACE_TO_DEPTH": Kernel(_ACTIVATION, None, _own_shape),
        "L2_NORMALIZATION": Kernel(_ACTIVATION, Struct("i")),
        "SELECT_V2": Kernel(None, Struct("c")),
        "GREATER": Kernel(None, Struct("i" * 8)),
        "GREATER_EQUAL": Kernel(None, Struct("i" * 8)),
        "LESS": Kernel(None, Struct("i" * 8)),
        "LESS_EQUAL": Kernel(None, Struct("i" * 8)),
        "EQUAL": Kernel(None, Struct("i" * 8)),
        "NOT_EQUAL": Kernel(None, Struct("i" * 8)),
        "SHAPE": Kernel(_ACTIVATION),
        **dict.fromkeys(
            ("SLICE", "TRANSPOSE", "EXPAND_DIMS", "MAXIMUM", "MINIMUM", "SQRT", "SQUARE", "EXP", "LOG", "SIN", "COS",
             "NEG", "FLOOR", "CEIL", "ROUND", "FLOOR_DIV", "FLOOR_MOD", "BROADCAST_TO", "LOGICAL_AND", "LOGICAL_OR",
             "LOGICAL_NOT", "ZEROS_LIKE", "GATHER_ND"),
            Kernel(),
        ),
    }
)  # fmt: skip
"""By the name of the op in TFLite's schema. What is not here is not known."""
