"""The data types of a network, free of any file format.

Shapes are tuples of ints. A `Graph` keeps its ops in execution order. Windows, layers and channel
arithmetic speak of the logical order (batch, channels, *space), whatever the file stores.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import Any

Shape = tuple[int, ...]

ITEM_BITS: Mapping[str, int] = MappingProxyType(
    {"float64": 64, "float32": 32, "float16": 16, "bfloat16": 16, "int64": 64, "uint64": 64, "int32": 32,
     "uint32": 32, "int16": 16, "uint16": 16, "int8": 8, "uint8": 8, "bool": 8, "int4": 4, "uint4": 4,
     "complex64": 64, "complex128": 128, "float8": 8}
)  # fmt: skip
"""Bits of one item of each dtype; what is not here (strings, sequences) has no size."""

KINDS = (
    "conv", "depthwise_conv", "transposed_conv", "fully_connected", "matmul",
    "max_pool", "average_pool", "global_pool",
    "unary", "binary", "normalization", "softmax", "reduction", "resize",
    "concat", "split", "slice", "pad", "transpose", "reorder", "gather", "expand", "copy", "cast",
    "reshape", "gru", "lstm", "rnn", "quantize", "dequantize", "other",
)  # fmt: skip
"""Every kind of op and layer. `reshape` moves no data; `other` is kept, with its sizes, and not understood."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value of the network; `axes` names its axes (`NCHW`, `NHWC`, `NC`; empty where not known).

    A variable keeps its value from one run to the next, and may be read where no op makes it.
    """

    name: str
    shape: Shape
    dtype: str = "float32"
    axes: str = ""
    is_constant: bool = False
    is_variable: bool = False

    @property
    def items(self) -> int:
        return prod(self.shape)

    @property
    def size_bytes(self) -> int:
        return (self.items * ITEM_BITS.get(self.dtype, 0) + 7) // 8


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window: one entry for each spatial axis; `padding` is (before, after) for each."""

    kernel: Shape
    stride: Shape
    dilation: Shape
    padding: tuple[tuple[int, int], ...]

    @property
    def extent(self) -> Shape:
        """The span of input that one output sees, for each spatial axis."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a feature map: a half-open range for each spatial axis."""

    ranges: tuple[tuple[int, int], ...]

    @property
    def shape(self) -> Shape:
        return tuple(stop - start for start, stop in self.ranges)

    @property
    def is_empty(self) -> bool:
        return any(stop <= start for start, stop in self.ranges)

    def hull(self, other: "Region") -> "Region":
        """The smallest region that holds both."""
        pairs = zip(self.ranges, other.ranges, strict=True)
        return Region(tuple((min(a, c), max(b, d)) for (a, b), (c, d) in pairs))

    def contains(self, other: "Region") -> bool:
        pairs = zip(self.ranges, other.ranges, strict=True)
        return all(a <= c and d <= b for (a, b), (c, d) in pairs)


@dataclass(frozen=True)
class Op:
    """A node: `kind` is one of KINDS, `variant` the op within it (`relu`, `add`, `batch_normalization`).

    An input that is absent is an empty name. `attributes` hold plain Python values in neutral words;
    what a format stores as constant inputs (pads, axes, scales) is found there too.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    window: Window | None = None
    variant: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def operands(self) -> tuple[str, ...]:
        """The inputs that are data or weights, without the scales and zero points that stand between them."""
        positions = self.attributes.get("operands")
        return self.inputs if positions is None else tuple(self.inputs[position] for position in positions)


@dataclass(frozen=True)
class Graph:
    """A network: ops in execution order, every tensor by name, and the names of inputs and outputs.

    `declared` are inner tensors whose shape the file tells, so that a runtime knows it however it is computed.
    """

    ops: tuple[Op, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    declared: frozenset[str] = frozenset()

    def producers(self) -> dict[str, Op]:
        """The op that makes each tensor."""
        return {name: op for op in self.ops for name in op.outputs if name}

    def consumers(self) -> dict[str, list[Op]]:
        """The ops that read each tensor, in execution order, each once."""
        found: dict[str, list[Op]] = {name: [] for name in self.tensors}
        for op in self.ops:
            for name in dict.fromkeys(op.inputs):
                if name:
                    found.setdefault(name, []).append(op)
        return found


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """What is profiled and predicted: one layer, whatever network it stands in; hashable.

    Shapes are logical: (batch, channels, *space) for windowed layers and reorders; (rows, features) for fully
    connected; (batch, rows, inner) by (batch, inner, columns) for matmul; (steps, batch, features) for
    recurrent layers, whose output is (steps, directions, batch, hidden). `inputs` are the activations and, for
    binary ops, the constant operand. `fused` names what the runtime folded in (`relu`, `add`).
    """

    kind: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    window: Window | None = None
    groups: int = 1
    dtype: str = "float32"
    variant: str = ""
    fused: tuple[str, ...] = ()

    @property
    def input(self) -> Shape:
        return self.inputs[0] if self.inputs else ()

    @property
    def output(self) -> Shape:
        return self.outputs[0] if self.outputs else ()

    @property
    def family(self) -> str:
        """The key of its tree: the kind, with the precision where that is not float32."""
        return self.kind if self.dtype == "float32" else f"{self.kind}_{self.dtype.removeprefix('u')}"
