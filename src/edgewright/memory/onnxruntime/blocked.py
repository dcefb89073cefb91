"""The blocked layout (NCHWc) that ONNX Runtime gives to float32 convolutions and what stands between them.

Channels are rounded up to whole blocks, and data is reordered where it enters and leaves the layout, which makes a
tensor of its own each time. Follows `NchwcTransformer` of ONNX Runtime 1.31.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

from edgewright.graph.types import LayerSpec
from edgewright.memory.onnxruntime.fusions import CONVS, is_float, scales_channels
from edgewright.memory.onnxruntime.network import Network, Node

FOLDED_ACTIVATIONS = frozenset({"relu", "sigmoid", "tanh", "hard_sigmoid", "hard_swish"})
KEPT_ACTIVATIONS = frozenset({"relu", "sigmoid", "tanh", "hard_sigmoid", "hard_swish", "gelu", "quick_gelu"})
TO_CHANNELS_LAST = (0, 2, 3, 1)
REORDER_MULTIPLE = 4
"""Channels that can be reordered into blocks come in multiples of this."""


def to_blocks(network: Network, block: int) -> None:
    """Moves what can be moved into the blocked layout of `block` channels."""
    Blocking(network, block).run()


def reorders(network: Network) -> Iterator[LayerSpec]:
    """The layers that reorder data into the layout and out of it."""
    for node in network.nodes.values():
        if node.kind == "reorder" and node.blocked:
            plain = node.inputs[0] if node.variant == "to_blocked" else node.outputs[0]
            shape = network.shape(plain)
            yield LayerSpec("reorder", (shape,), (shape,), variant=node.variant)


@dataclass
class _Blocked:
    """A tensor that is made in blocks: by whom, under which name, and how many uses of the plain form are left.

    `space` tells for each spatial axis whose size it has, and how often that was halved: what the runtime goes by where
    it does not know the sizes.
    """

    maker: Node
    name: str
    uses: int
    left: int
    space: tuple[tuple[str, int], ...]


class Blocking:
    """One walk over the network, in its order of execution."""

    def __init__(self, network: Network, block: int) -> None:
        self.network, self.block = network, block
        self.made: dict[str, _Blocked] = {}
        self.reordered: dict[str, str] = {}

    def run(self) -> None:
        for node in self.network.order():
            if node.index in self.network.nodes and node.outputs and is_float(self.network, node):
                self.visit(node)
        for name, blocked in self.made.items():
            if blocked.left > 0:
                self.reorder(blocked.name, name, "from_blocked", blocked.maker)

    def visit(self, node: Node) -> None:
        rank = len(self.network.shape(node.outputs[0]))
        if rank != 4 or not node.inputs:
            return
        if node.kind in CONVS:
            self.convolution(node)
        elif node.kind in {"max_pool", "average_pool"}:
            self.pool(node)
        elif all(name in self.made for name in node.inputs):
            self.follower(node)

    def follower(self, node: Node) -> None:
        """An op that is taken along because all that it reads is in blocks already."""
        if node.kind == "binary" and len(node.inputs) == 1:
            if node.variant == "mul" and scales_channels(self.network, node):
                self.as_convolution(node)
        elif node.kind == "binary":
            self.binary(node)
        elif node.kind == "concat":
            self.concat(node)
        elif node.kind == "unary" and node.variant in KEPT_ACTIVATIONS:
            self.activation(node)
        elif node.variant == "batch_normalization":
            self.as_convolution(node)
        elif node.kind == "resize" and is_whole(node):
            self.replace(node, node.inputs)
        elif node.turns(TO_CHANNELS_LAST):
            self.transposed(node)
        elif node.kind == "global_pool" and self.channels(node.inputs[0]) % self.block == 0:
            self.replace(node, node.inputs)

    def convolution(self, node: Node) -> None:
        groups = int(node.op.attributes.get("groups", 1))
        channels, made = self.channels(node.inputs[0]), self.channels(node.outputs[0])
        is_plain_input = groups == 1 and channels < self.block
        if groups == 1:
            fits = is_plain_input or channels % REORDER_MULTIPLE == 0
        elif groups == channels == made:
            fits = channels % REORDER_MULTIPLE == 0
        else:
            fits = (channels // groups) % self.block == 0 and (made // groups) % self.block == 0
        weights = self.network.tensors[node.op.inputs[1]]
        if fits and weights.is_constant and len(weights.shape) == 4:
            self.replace(node, node.inputs, takes_plain=is_plain_input)

    def pool(self, node: Node) -> None:
        """A pool whose channels are known beforehand: behind a slice of computed bounds they are not."""
        is_known = node.inputs[0] not in self.network.open_channels
        if len(node.outputs) == 1 and is_known and self.channels(node.inputs[0]) % self.block == 0:
            self.replace(node, node.inputs)

    def as_convolution(self, node: Node) -> None:
        """Batch normalization and a product by channel become depthwise convolutions of 1x1."""
        node.kind, node.variant = "depthwise_conv", ""
        self.replace(node, node.inputs)

    def binary(self, node: Node) -> None:
        shapes = [self.network.shape(name) for name in node.inputs]
        is_sum = node.variant in {"add", "sum"}
        if not (is_sum or node.variant == "mul") or len({shape[1] for shape in shapes}) > 1:
            return
        if len(set(shapes)) > 1 or not self.are_equal(node):
            if is_sum:
                self.reshaped_sum(node)
            return
        sources = [self.made[name] for name in node.inputs]
        if is_sum and len(sources) == 2 and sources[0] is not sources[1]:
            for source, other in (sources, sources[::-1]):
                maker = source.maker
                if maker.kind in CONVS and not maker.addend and not maker.activation and source.uses == 1:
                    self.fold(node, source, other)
                    return
        self.keep(node)

    def are_equal(self, node: Node) -> bool:
        """Whether the runtime can tell that the operands have the same shape."""
        is_open = not self.network.open_shapes.isdisjoint(node.inputs)
        return not is_open or len({self.made[name].space for name in node.inputs}) == 1

    def reshaped_sum(self, node: Node) -> None:
        """A sum of shapes that are not known to be equal sees the blocks as an axis of their own."""
        network, made = self.network, node.outputs[0]
        views = []
        for name in list(node.inputs):
            source = self.take(name)
            view = network.reshaped(source, f"{source}:view for {made}", network.shape(source))
            self.reshape(node, source, view)
            views.append(view)
        network.reread(node, views)
        blocked = self.blocked_tensor(made)
        joined = network.reshaped(blocked, f"{blocked}:view", network.shape(blocked))
        uses = network.uses(made)
        network.remake(node, [joined])
        self.made[made] = _Blocked(self.reshape(node, joined, blocked), blocked, uses, uses, _own_space(made))

    def reshape(self, near: Node, source: str, target: str) -> Node:
        return self.network.add(
            replace(near, name=f"{target} reshape", kind="reshape", variant="", inputs=[source], outputs=[target])
        )

    def concat(self, node: Node) -> None:
        if node.op.attributes.get("axis") == 1 and not any(self.channels(name) % self.block for name in node.inputs):
            self.keep(node)

    def activation(self, node: Node) -> None:
        source = self.made[node.inputs[0]]
        maker = source.maker
        if maker.kind in CONVS and source.uses == 1 and not maker.activation and node.variant in FOLDED_ACTIVATIONS:
            maker.activation = node.variant
            self.fold(node, source, None)
        else:
            self.keep(node)

    def transposed(self, node: Node) -> None:
        """Channels last: the reordering out of the layout does that too."""
        self.take(node.inputs[0])
        source = self.made[node.inputs[0]]
        self.network.remove(node)
        self.reorder(source.name, node.outputs[0], "from_blocked", source.maker)

    def fold(self, node: Node, source: _Blocked, other: _Blocked | None) -> None:
        """Takes an addition or an activation into the convolution before it, which makes its result then."""
        network, maker = self.network, source.maker
        uses = network.uses(node.outputs[0])
        for name in node.inputs:
            self.made[name].left -= 1
        network.remove(node)
        if other is not None:
            maker.addend = other.name
            network.reread(maker, [*maker.inputs, other.name])
        self.made[node.outputs[0]] = _Blocked(maker, source.name, uses, uses, source.space)

    def keep(self, node: Node) -> None:
        """The op stays as it is, on blocks."""
        space = self.made[node.inputs[0]].space
        self.network.reread(node, [self.take(name) for name in list(node.inputs)])
        self.make_blocked(node, space)

    def replace(self, node: Node, inputs: list[str], takes_plain: bool = False) -> None:
        """The op is made anew for blocks; what it reads is reordered where it is not in blocks yet."""
        network = self.network
        network.renumber(node)
        plain = [name for name in inputs if name not in self.made]
        space = _own_space(node.outputs[0]) if takes_plain else self.space_behind(node)
        taken = list(inputs) if takes_plain else [self.take(name) for name in inputs]
        network.reread(node, taken)
        if not takes_plain:
            for name in plain:
                if name not in self.reordered:
                    self.reordered[name] = self.reorder(name, self.blocked_tensor(name), "to_blocked", node)
        node.blocked = True
        self.make_blocked(node, space)

    def take(self, name: str) -> str:
        """The blocked form of a tensor; one use of the plain form less."""
        if name not in self.made:
            return self.reordered.get(name) or self.blocked_tensor(name)
        self.made[name].left -= 1
        return self.made[name].name

    def space_behind(self, node: Node) -> tuple[tuple[str, int], ...]:
        """The spatial axes behind a window (`ConvPoolShapeInference`)."""
        own = _own_space(node.outputs[0])
        source = self.made.get(node.inputs[0])
        if source is None or node.kind == "resize":
            return own
        if node.window is None:
            return own if node.kind == "global_pool" else source.space
        found = []
        window = node.window
        columns = (window.kernel, window.stride, window.dilation, window.padding, source.space, own)
        for kernel, stride, dilation, (before, after), (origin, halved), mine in zip(*columns, strict=True):
            keeps = dilation == 1 and stride in {1, 2} and before + after + 1 == kernel
            found.append((origin, halved + stride - 1) if keeps else mine)
        return tuple(found)

    def make_blocked(self, node: Node, space: tuple[tuple[str, int], ...]) -> None:
        name = node.outputs[0]
        uses = self.network.uses(name)
        blocked = self.blocked_tensor(name)
        self.network.remake(node, [blocked])
        self.made[name] = _Blocked(node, blocked, uses, uses, space)

    def reorder(self, source: str, target: str, variant: str, near: Node) -> str:
        node = replace(near, name=f"{target} {variant}", kind="reorder", variant=variant, inputs=[source],
                       outputs=[target], window=None, blocked=True, activation="", addend="")  # fmt: skip
        self.network.add(node)
        return target

    def blocked_tensor(self, name: str) -> str:
        blocked = f"{name}:blocked"
        if blocked not in self.network.tensors:
            batch, channels, *space = self.network.shape(name)
            self.network.reshaped(name, blocked, (batch, -(-channels // self.block) * self.block, *space))
        return blocked

    def channels(self, name: str) -> int:
        shape = self.network.shape(name)
        return shape[1] if prod(shape) else 0


def is_whole(node: Node) -> bool:
    """Whether a resize has whole scales in a mode that the blocked layout knows."""
    attributes = node.op.attributes
    scales = attributes.get("scales", ())
    is_nearest = node.variant == "nearest" and attributes.get("coordinates") == "asymmetric"
    if not (is_nearest and attributes.get("rounding") == "floor") and node.variant != "linear":
        return False
    return len(scales) == 4 and all(scale == int(scale) for scale in scales) and tuple(scales[:2]) == (1, 1)


def _own_space(name: str) -> tuple[tuple[str, int], ...]:
    return ((f"{name} rows", 0), (f"{name} columns", 0))
