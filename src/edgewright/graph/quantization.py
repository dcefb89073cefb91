"""What a real number is in a quantized tensor."""

from collections.abc import Iterable
from math import inf

from edgewright.errors import UnsupportedModelError
from edgewright.graph.types import Op, Tensor

_KEEPS_QUANTIZATION = {
    "max_pool",
    "reshape",
    "transpose",
    "slice",
    "pad",
    "split",
    "copy",
    "reorder",
    "concat",
    "gather",
}
_RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
_PLAIN = {"int16"}
"""Types that plain integers have too."""


def stored_value(ops: Iterable[Op], tensor: Tensor, value: float) -> float:
    """The number that stands for `value` in a tensor: `value` itself, or in an integer tensor its quantized form.

    The quantization is that of the op that makes the tensor or of one that reads it, through ops that only move data.
    Raises UnsupportedModelError where none says it.
    """
    if tensor.dtype not in _RANGES:
        return value
    low, high = _RANGES[tensor.dtype]
    if value == -inf:
        return low
    found = _quantization(list(ops), tensor.name)
    if found is None and tensor.dtype in _PLAIN:
        return value
    if found is None:
        raise UnsupportedModelError(f"the zero point of tensor {tensor.name!r} is not known")
    scale, zero_point = found
    return min(max(round(value / scale) + zero_point, low), high)


def _quantization(ops: list[Op], name: str) -> tuple[float, int] | None:
    """Scale and zero point, found breadth first from the tensor over ops that keep them; the newest ops first."""
    seen, queue = {name}, [name]
    while queue:
        current = queue.pop(0)
        for op in reversed(ops):
            for side, names in (("output", op.outputs), ("input", op.operands)):
                if current in names[:1] and f"{side}_scale" in op.attributes:
                    return op.attributes[f"{side}_scale"], op.attributes[f"{side}_zero_point"]
            if op.kind in _KEEPS_QUANTIZATION and current in (*op.inputs[:1], *op.outputs):
                reached = {*op.inputs[:1], *op.outputs} - seen
                seen |= reached
                queue += sorted(reached)
    return None
