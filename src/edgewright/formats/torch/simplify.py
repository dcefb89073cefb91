"""What every exporter and runtime leaves out: copies, and transposes that undo each other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgewright.graph.types import Op, Tensor


def simplified(ops: Sequence[Op], tensors: Mapping[str, Tensor], outputs: Sequence[str]) -> tuple[Op, ...]:
    """The ops without copies, transposes in a row as one; what no output depends on any more is left out."""
    same: dict[str, str] = {}
    turned: dict[str, tuple[str, tuple[int, ...]]] = {}
    found = []
    for op in ops:
        op = replace(op, inputs=tuple(same.get(name, name) for name in op.inputs))  # noqa: PLW2901
        if op.kind == "transpose":
            source, first = turned.get(op.inputs[0], (op.inputs[0], tuple(range(len(tensors[op.inputs[0]].shape)))))
            perm = tuple(first[axis] for axis in op.attributes["perm"])
            op = replace(op, inputs=(source,), attributes={"perm": perm})  # noqa: PLW2901
            turned[op.outputs[0]] = source, perm
            if perm == tuple(range(len(perm))) and op.outputs[0] not in outputs:
                same[op.outputs[0]] = source
                continue
        if op.kind == "copy" and op.outputs[0] not in outputs:
            same[op.outputs[0]] = op.inputs[0]
            continue
        found.append(op)
    wanted = set(outputs)
    kept = []
    for op in reversed(found):
        if wanted & set(op.outputs):
            kept.append(op)
            wanted.update(op.inputs)
    return tuple(reversed(kept))
