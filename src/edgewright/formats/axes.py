"""Names of the axes of activations, as far as the ops say them."""

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence

from edgewright.graph.types import Op, Tensor

_SPACE = {1: "W", 2: "HW", 3: "DHW"}
_WINDOWED = {"conv", "depthwise_conv", "transposed_conv", "max_pool", "average_pool", "global_pool"}
_SAME = {"unary", "binary", "normalization", "softmax", "resize", "concat", "split", "slice", "pad", "copy", "cast",
         "quantize", "dequantize", "reorder"}  # fmt: skip


def axes_of(ops: Sequence[Op], tensors: Mapping[str, Tensor], last: frozenset[str] = frozenset()) -> dict[str, str]:
    """Axes (`NCHW`, `NHWC`, `NCW`, `NC`) of each activation for which they follow from a windowed op.

    Such ops say their input's and output's axes; ops that keep axes hand them on, forward and back. The ops named in
    `last` have their channels last.
    """
    touching: defaultdict[str, list[Op]] = defaultdict(list)
    for op in ops:
        for name in dict.fromkeys((*op.inputs, *op.outputs)):
            touching[name].append(op)
    found: dict[str, str] = {}
    queue: deque[str] = deque()
    for op in ops:
        for name, axes in _said(op, tensors, op.name in last):
            if _fits(name, axes, tensors) and name not in found:
                found[name] = axes
                queue.append(name)
    while queue:
        name = queue.popleft()
        for op in touching[name]:
            for other, axes in _handed_on(op, name, found[name]):
                if other not in found and _fits(other, axes, tensors):
                    found[other] = axes
                    queue.append(other)
    return found


def _fits(name: str, axes: str, tensors: Mapping[str, Tensor]) -> bool:
    return bool(name) and not tensors[name].is_constant and len(tensors[name].shape) == len(axes)


def _said(op: Op, tensors: Mapping[str, Tensor], last: bool) -> Iterator[tuple[str, str]]:
    if op.kind in _WINDOWED:
        for name in (op.inputs[0], op.outputs[0]):
            space = _SPACE.get(len(tensors[name].shape) - 2, "")
            if space:
                yield name, f"N{space}C" if last else f"NC{space}"
    elif op.kind == "fully_connected":
        yield from ((name, "NC") for name in (op.inputs[0], op.outputs[0]))


def _handed_on(op: Op, name: str, axes: str) -> Iterator[tuple[str, str]]:
    """Axes of the other tensors of an op, from those of one."""
    if op.kind in _SAME:
        yield from ((other, axes) for other in (*op.inputs, *op.outputs))
    elif op.kind == "transpose":
        perm = op.attributes["perm"]
        if name == op.inputs[0]:
            yield op.outputs[0], "".join(axes[i] for i in perm)
        else:
            yield op.inputs[0], "".join(axes[perm.index(i)] for i in range(len(perm)))
