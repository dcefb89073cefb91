"""What the kernels of ONNX Runtime's CPU provider take beside their outputs, and which of them work in place.

Learned by tracing every allocation of small models of one op under ONNX Runtime 1.31; the formulas for working buffers
are those of its sources (`MlasConvPrepare`, `QLinearConv`, `LRN`, `DeepCpuLstmOp` and so on).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from types import MappingProxyType

import numpy as np

from edgewright.graph.types import Tensor
from edgewright.memory.onnxruntime.fusions import CONVS
from edgewright.memory.onnxruntime.network import Network, Node
from edgewright.memory.onnxruntime.quantized import CHANNELS_LAST

_IN_PLACE_UNARY = frozenset(
    {"relu", "leaky_relu", "elu", "selu", "celu", "sigmoid", "hard_sigmoid", "tanh", "softplus", "softsign",
     "thresholded_relu", "clip"}
)  # fmt: skip
_CONV_WORKING_BYTES = 64 * 1024
"""`MLAS_CONV_WORKING_BUFFER_SIZE_PER_THREAD`."""


def view_of(node: Node) -> str:
    """The input that the output shares its bytes with by definition; empty where there is none."""
    return node.inputs[0] if node.kind in {"reshape", "copy"} and node.inputs else ""


def writes_over(node: Node) -> str:
    """The input that the kernel can write its output over; empty where there is none."""
    if node.addend:
        return node.addend
    is_unary = node.kind == "unary" and node.variant in _IN_PLACE_UNARY
    is_soft = node.kind == "softmax" and node.variant in {"softmax", "log_softmax"}
    return node.inputs[0] if (is_unary or is_soft or node.kind == "cast") and node.inputs else ""


def kept_bytes(network: Network, node: Node) -> int:
    """What a kernel keeps in the arena from loading on: transposed convolutions, their weights in another order."""
    if node.kind != "transposed_conv" or len(node.op.inputs) < 2:
        return 0
    weights = network.tensors[node.op.inputs[1]]
    return weights.size_bytes if weights.is_constant and weights.dtype == "float32" else 0


def scratch_bytes(network: Network, node: Node, threads: int = 1) -> tuple[int, ...]:
    """Working buffers of a kernel, all live at once while it runs."""
    if node.blocked or not node.outputs or not node.inputs:
        return ()
    if node.kind in CONVS and not node.variant:
        return _plain_conv(network, node, threads)
    if node.variant == "where":
        return _where(network, node)
    given, made = network.tensors[node.inputs[0]], network.tensors[node.outputs[0]]
    found = (_SCRATCH.get((node.kind, node.variant)) or _SCRATCH.get((node.kind, "")) or _none)(node, given, made)
    return tuple(size for size in found if size)


def _where(network: Network, node: Node) -> tuple[int, ...]:
    """What the condition leaves of either side, each as large as the condition and that side together."""
    condition, *sides = (network.tensors[name] for name in node.op.inputs)
    shapes = [np.broadcast_shapes(condition.shape, side.shape) for side in sides]
    return tuple(replace(side, shape=shape).size_bytes for side, shape in zip(sides, shapes, strict=True))


def _plain_conv(network: Network, node: Node, threads: int) -> tuple[int, ...]:
    """The matrix of windows, as a whole where there are more filters than outputs, else a piece for each thread."""
    window = node.window
    if window is None:
        return ()
    groups = int(node.op.attributes.get("groups", 1))
    channels, filters = network.shape(node.inputs[0])[1] // groups, network.shape(node.outputs[0])[1] // groups
    outputs = prod(network.shape(node.outputs[0])[2:])
    is_dense = all(stride == 1 for stride in window.stride) and not any(map(any, window.padding))
    if is_dense and prod(window.kernel) == 1:
        return ()
    if filters > outputs:
        return (channels * prod(window.kernel) * outputs * 4,)
    return (_CONV_WORKING_BYTES * threads,)


def _quantized_conv(node: Node, given: Tensor, made: Tensor) -> tuple[int, ...]:
    """Transposed input and output, 32-bit sums and the matrix of windows; the most that any of its ways takes."""
    return (made.items * 4, given.size_bytes, made.size_bytes, *_integer_conv(node, given, made))


def _channels_last_conv(node: Node, given: Tensor, made: Tensor) -> tuple[int, ...]:
    """Unsigned data goes by pointers to its windows where channels come in fours; else sums and windows are kept."""
    window, groups = node.window, int(node.op.attributes.get("groups", 1))
    pointers = 8 * prod(window.kernel) * prod(made.shape[2:]) if window is not None else 0
    is_unsigned = given.dtype == "uint8"
    if node.kind == "depthwise_conv":
        return (pointers,) if is_unsigned else (pointers, made.items * 4)
    if is_unsigned and (given.shape[1] // groups) % 4 == 0:
        return (pointers,) if _integer_conv(node, given, made) else ()
    return (made.items * 4, *_integer_conv(node, given, made))


def _integer_conv(node: Node, given: Tensor, made: Tensor) -> tuple[int, ...]:
    """The matrix of windows in bytes, or a pointer for each item of a depthwise convolution's."""
    window, outputs = node.window, prod(made.shape[2:])
    if window is None:
        return ()
    if node.kind == "depthwise_conv":
        return (8 * prod(window.kernel) * outputs,)
    if prod(window.kernel) == 1 and all(stride == 1 for stride in window.stride):
        return ()
    return (given.shape[1] // int(node.op.attributes.get("groups", 1)) * prod(window.kernel) * outputs,)


def _transposed_conv(node: Node, given: Tensor, made: Tensor) -> tuple[int, ...]:
    """The product of weights and input, before it is added up."""
    kernel = prod(node.window.kernel) if node.window is not None else 1
    return (made.shape[1] // int(node.op.attributes.get("groups", 1)) * kernel * prod(given.shape[2:]) * 4,)


def _recurrent(gates: int) -> "_Scratch":
    """The gates of all steps for each direction; backwards also the reversed input and output."""

    def scratch(node: Node, given: Tensor, made: Tensor) -> tuple[int, ...]:
        directions = made.shape[1] if len(made.shape) == 4 else 1
        each = made.size_bytes // max(directions, 1)
        if directions == 1:
            return (each * gates,)
        return (each * gates, each * gates, given.size_bytes, each)

    return scratch


def _lrn(node: Node, given: Tensor, made: Tensor) -> tuple[int, ...]:
    _, channels, *space = made.shape
    return made.size_bytes, (channels + int(node.op.attributes.get("size", 1)) - 1) * prod(space) * 4


def _softmax(node: Node, given: Tensor, made: Tensor) -> tuple[int, ...]:
    """Another axis than the last is transposed to the end and back."""
    is_last = tuple(node.op.attributes.get("axes", ())) == (len(made.shape) - 1,)
    return () if is_last else (made.size_bytes, made.size_bytes)


def _none(node: Node, given: Tensor, made: Tensor) -> tuple[int, ...]:
    return ()


_Scratch = Callable[[Node, Tensor, Tensor], tuple[int, ...]]
_SCRATCH: Mapping[tuple[str, str], _Scratch] = MappingProxyType(
    {
        ("conv", "qlinear"): _quantized_conv,
        ("depthwise_conv", "qlinear"): _quantized_conv,
        ("conv", CHANNELS_LAST): _channels_last_conv,
        ("depthwise_conv", CHANNELS_LAST): _channels_last_conv,
        ("conv", "integer"): _integer_conv,
        ("depthwise_conv", "integer"): _integer_conv,
        ("transposed_conv", ""): _transposed_conv,
        ("gru", ""): _recurrent(3),
        ("lstm", ""): _recurrent(4),
        ("rnn", ""): _recurrent(1),
        ("normalization", "lrn"): _lrn,
        ("softmax", ""): _softmax,
        ("fully_connected", "qlinear"): lambda _, given, made: (made.items * 4,),
        ("matmul", "qlinear"): lambda _, given, made: (made.items * 4,),
        ("average_pool", ""): lambda _, given, made: (given.items * 4,) if given.dtype != "float32" else (),
    }
)
