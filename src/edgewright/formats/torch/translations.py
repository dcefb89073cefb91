"""ATen ops as ONNX ops that runtimes run faster than what the exporter makes of them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch


def translations() -> dict[Any, Any]:
    """Translations for torch.onnx.export: adaptive average pools as pools, where the exporter has means and gathers."""
    aten = torch.ops.aten
    ops = (aten.adaptive_avg_pool1d.default, aten.adaptive_avg_pool2d.default, aten.adaptive_avg_pool3d.default)
    return dict.fromkeys(ops, _adaptive_average)


def _adaptive_average(self: Any, output_size: Any) -> Any:
    """Global where one item is left, with an even window where the sizes divide, else products with averaging matrices.

    Window `i` of `n` over `size` items is from floor(i * size / n) to ceil((i + 1) * size / n), as torch has it.
    """
    from onnxscript import opset18 as op

    space = tuple(int(size) for size in tuple(self.shape)[-len(output_size) :])
    made = tuple(size if out is None else int(out) for size, out in zip(space, output_size, strict=True))
    if set(made) == {1}:
        return op.GlobalAveragePool(self)
    if not any(size % out for size, out in zip(space, made, strict=True)):
        window = [size // out for size, out in zip(space, made, strict=True)]
        return op.AveragePool(self, kernel_shape=window, strides=window)
    if len(made) > 2:
        raise NotImplementedError(f"an adaptive pool from {space} to {made}")
    columns = op.MatMul(self, op.Constant(value=_tensor(_averaging(space[-1], made[-1]).T)))
    return columns if len(made) == 1 else op.MatMul(op.Constant(value=_tensor(_averaging(space[0], made[0]))), columns)


def _averaging(size: int, count: int) -> npt.NDArray[np.float32]:
    """The matrix (count, size) that averages windows."""
    found = np.zeros((count, size), np.float32)
    for row in range(count):
        start, end = row * size // count, -(-(row + 1) * size // count)
        found[row, start:end] = 1 / (end - start)
    return found


def _tensor(value: npt.NDArray[np.float32]) -> Any:
    from onnxscript import ir

    return ir.serde.serialize_tensor(ir.tensor(np.ascontiguousarray(value)))
