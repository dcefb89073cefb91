"""The edit script: what may be changed in a network, as plain data.

A script is a sequence of edits. Names of ops in it (`CloneOp.source`, `RemoveOp.name`) speak of the network as it
was before the script, so an op may be removed before it is cloned.

Order of execution. Inserted ops stand in the order of the script, in the place of the op that was removed last
before them (at the beginning of the network where none was). An op that would then run before one of its inputs is
made is moved back, no further than it must (stable topological order).
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Slice:
    """Insert an op that cuts `[start, end)` out of `input` on each of `axes` (axes of the tensor as it is stored).

    A slice of a constant makes a constant, and no op.

    `after` names a tensor that has to be made before: an order without data, for runtimes that choose the order of
    execution by themselves. Three ops of a few bytes then make the starts, right before the slice, so that no runtime
    can run it earlier: `NAME.item` takes the first item of that tensor (gather_nd, shape (1, 1)), `NAME.zero` its index
    along an axis of one item (arg_max, shape (1,): always 0), and `NAME.starts` adds it to the starts (binary add).
    Their outputs are called like them. The slice itself then reads `input` and `NAME.starts`.
    """

    name: str
    input: str
    output: str
    axes: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    after: str = ""


@dataclass(frozen=True, slots=True)
class Pad:
    """Insert an op that puts `padding` (before, after) of `value` around every axis of `input`.

    `value` is the real value: in a quantized tensor, 0.0 stands for its zero point and -inf for its least value.
    """

    name: str
    input: str
    output: str
    padding: tuple[tuple[int, int], ...]
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class CloneOp:
    """Insert a copy of the op `source` that reads `inputs` and makes `outputs`, weights being shared.

    `inputs` and `outputs` correspond to those of the source one by one. `padding`, one (before, after) for each
    spatial axis, takes the place of the window's; None keeps it. `attributes` replaces some of the op's attributes:
    `ceil_mode` and `output_padding` can be replaced.
    """

    name: str
    source: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    padding: tuple[tuple[int, int], ...] | None = None
    attributes: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Concat:
    """Insert an op that joins `inputs` on `axis` into `output`."""

    name: str
    inputs: tuple[str, ...]
    output: str
    axis: int


@dataclass(frozen=True, slots=True)
class RemoveOp:
    """Take the op `name` out; what it made must be made by another op of the script, or be read by none."""

    name: str


Edit = Slice | Pad | CloneOp | Concat | RemoveOp
