"""Which tensors share a buffer, and the sequence of allocations and releases of one run.

Follows `PlannerImpl::ComputeSingleStreamReusePlan` of ONNX Runtime: an output takes the bytes of an input that it is a
view of, or that the kernel can overwrite and nobody else needs; with `enable_mem_reuse`, else the most recently freed
buffer of the same shape, which then stays allocated over the gap between the two.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edgewright.graph.types import ITEM_BITS, Tensor
from edgewright.memory.onnxruntime.kernels import kept_bytes, scratch_bytes, view_of, writes_over
from edgewright.memory.onnxruntime.network import Network, Node

_ALIGNMENT = 64


@dataclass(frozen=True, slots=True)
class Event:
    """An allocation, or a release where `size_bytes` is 0, at a step of the execution order.

    `kept` and `shared` belong to loading: weights in another order that stay, and a second copy of such weights, which
    is given back once the runtime has seen that it has them.
    """

    step: int
    name: str
    size_bytes: int
    kind: Literal["tensor", "output", "scratch", "kept", "shared"]


def events(network: Network, order: list[Node], reuse: bool, threads: int = 1) -> Iterator[Event]:
    """What kernels allocate while the network is loaded, then what one run allocates and releases.

    Outputs of the network are released after the run, by the caller.
    """
    seen: set[str] = set()
    for node in sorted(order, key=lambda one: one.index):
        if size := kept_bytes(network, node):
            weights = node.op.inputs[1]
            yield Event(0, f"kept {node.index}", _padded(size), "shared" if weights in seen else "kept")
            seen.add(weights)
    plan = _Plan(network, order, reuse)
    for step, node in enumerate(order):
        for name in node.outputs:
            if plan.kinds.get(name) and network.tensors[name].size_bytes:
                yield Event(step, name, padded_bytes(network.tensors[name]), plan.kinds[name])
        sizes = scratch_bytes(network, node, threads)
        for number, size in enumerate(sizes):
            yield Event(step, f"scratch {number}", _padded(size), "scratch")
        for number in reversed(range(len(sizes))):
            yield Event(step, f"scratch {number}", 0, "scratch")
        for name in plan.released[step]:
            if network.tensors[name].size_bytes:
                yield Event(step, name, 0, "tensor")


def padded_bytes(tensor: Tensor) -> int:
    """The size of a tensor's allocation; an empty tensor counts as one item, as a size of 0 says release."""
    return _padded(max(tensor.size_bytes, 1))


def is_of_loading(event: Event) -> bool:
    """Whether it happens once, before all runs."""
    return event.kind in {"kept", "shared"}


class _Plan:
    """Decides for every tensor: a buffer of its own (`kinds`), or that of another one (`buffers`)."""

    def __init__(self, network: Network, order: list[Node], reuse: bool) -> None:
        self.network, self.reuse = network, reuse
        self.buffers: dict[str, str] = {name: name for name in network.inputs}
        self.kinds: dict[str, Literal["tensor", "output"]] = {}
        self.uses = self.count(order)
        self.free: list[str] = []
        self.last: dict[str, int] = {}
        for step, node in enumerate(order):
            for name in node.outputs:
                self.decide(node, name)
            for name in (*node.inputs, *node.outputs):
                self.use(name)
            for name in node.inputs:
                self.last[self.buffers[name]] = step
        self.released: list[list[str]] = [[] for _ in order]
        for name, step in self.last.items():
            if self.kinds.get(name) == "tensor":
                self.released[step].append(name)

    def count(self, order: list[Node]) -> dict[str, int]:
        """Uses of each tensor: once by its maker, and by each reader; the caller holds inputs and outputs."""
        uses = dict.fromkeys(self.network.inputs, 1)
        for node in order:
            for name in (*node.inputs, *node.outputs):
                uses[name] = uses.get(name, 0) + 1
        for name in self.network.outputs:
            uses[name] = uses.get(name, 0) + 1
        return uses

    def decide(self, node: Node, name: str) -> None:
        self.buffers[name] = name
        if name in self.network.outputs:
            self.kinds[name] = "output"
            return
        source = self.shared(node, name) or (self.freed(name) if self.reuse else "")
        if not source:
            self.kinds[name] = "tensor"
            return
        original = self.buffers[source]
        self.buffers[name] = original
        self.uses[original] += self.uses[name]

    def shared(self, node: Node, name: str) -> str:
        if view := view_of(node):
            return view
        source = writes_over(node)
        fits = source and self.uses[self.buffers[source]] == 1 and self.same_size(source, name)
        return source if fits and name == node.outputs[0] else ""

    def freed(self, name: str) -> str:
        if not self.network.shape(name):
            return ""
        found = next((one for one in self.free if self.same_size(one, name)), "")
        if found:
            self.free.remove(found)
        return found

    def use(self, name: str) -> None:
        original = self.buffers[name]
        self.uses[original] -= 1
        if self.uses[original] == 0:
            self.free.insert(0, original)

    def same_size(self, one: str, other: str) -> bool:
        if one in self.network.open_shapes or other in self.network.open_shapes:
            return False
        if (one in self.network.channels_last) != (other in self.network.channels_last):
            return False
        first, second = self.network.tensors[one], self.network.tensors[other]
        return first.shape == second.shape and ITEM_BITS.get(first.dtype) == ITEM_BITS.get(second.dtype)


def _padded(size_bytes: int) -> int:
    return -(-size_bytes // _ALIGNMENT) * _ALIGNMENT
