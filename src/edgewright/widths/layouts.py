"""The layers that ONNX Runtime executes for a network at any widths, op by op.

Which ops run in blocks of channels, and where data is reordered between them, depends on the widths
(`memory.onnxruntime.blocked` rewrites a whole network accordingly). Here the same rules are taken one op at a time:
what an op costs follows from its shapes and from how its inputs lie in memory. So a search can go through the network
op by op and share all that does not depend on what it tries.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from edgewright.graph.cost import GATES
from edgewright.graph.layers import layer_of
from edgewright.graph.types import Graph, LayerSpec, Op, Shape, Tensor, Window
from edgewright.memory.onnxruntime.blocked import (
    FOLDED_ACTIVATIONS,
    KEPT_ACTIVATIONS,
    REORDER_MULTIPLE,
    TO_CHANNELS_LAST,
    is_whole,
)
from edgewright.memory.onnxruntime.fusions import CONVS, PLAIN_CONV_ACTIVATIONS, has_bias, is_float, scales_channels
from edgewright.memory.onnxruntime.network import Network, Node
from edgewright.memory.onnxruntime.predict import folded
from edgewright.widths.executed import Lies, Taken
from edgewright.widths.places import Places

__all__ = ["Layouts", "Lies", "Taken", "node_layer"]

_PARTS = {"hard_swish": ("hard_sigmoid",), "mish": ("softplus", "tanh")}
_ONE = Window((1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)))


@dataclass(frozen=True)
class Layouts:
    """The ops of a network as ONNX Runtime has folded them, in order; `block` is the channels of a block (1: none)."""

    places: Places
    network: Network
    nodes: tuple[Node, ...]
    block: int

    @classmethod
    def of(cls, places: Places, block: int) -> "Layouts":
        network = folded(places.graph)
        return cls(places, network, tuple(network.order()), block)

    def groups_of(self, index: int) -> tuple[int, ...]:
        """The groups whose widths decide the shapes of an op."""
        return self._groups[index]

    @cached_property
    def _groups(self) -> tuple[tuple[int, ...], ...]:
        return tuple(self.places.groups_on(map(self._origin, self._names(node))) for node in self.nodes)

    def take(self, index: int, widths: Mapping[int, int], lies: Mapping[str, Lies]) -> Taken:
        """The op of that index where its groups have these widths and its inputs lie so."""
        return _Step(self, self.nodes[index], widths, dict(lies)).run()

    def _names(self, node: Node) -> tuple[str, ...]:
        constants = (name for name in node.op.inputs if name and self.network.tensors[name].is_constant)
        return (*node.inputs, *constants, *node.outputs)

    def _origin(self, name: str) -> str:
        """The tensor of the file of which a tensor is a copy in another layout."""
        return name if name in self.places.graph.tensors else name.removesuffix(":last")

    def shape(self, name: str, widths: Mapping[int, int]) -> Shape:
        origin = self._origin(name)
        return self.places.shape(origin, widths) if origin in self.places.graph.tensors else self.network.shape(name)


class _Step:
    """One op at given widths."""

    def __init__(self, layouts: Layouts, node: Node, widths: Mapping[int, int], lies: dict[str, Lies]) -> None:
        self.layouts, self.network, self.node, self.widths = layouts, layouts.network, node, widths
        self.block = layouts.block
        self.lies = lies
        self.layers: list[LayerSpec] = []

    def run(self) -> Taken:
        node = self.node
        rank = len(self.shape(node.outputs[0])) if node.outputs else 0
        may = self.block > 1 and rank == 4 and bool(node.inputs) and is_float(self.network, node)
        if not (may and self.in_blocks()):
            self.plain()
        return Taken(tuple(self.layers), tuple(self.lies.items()))

    def in_blocks(self) -> bool:
        """Does the op in the blocked layout, if it can be done there."""
        node = self.node
        if node.kind in CONVS:
            return self.convolution()
        if node.kind in {"max_pool", "average_pool"}:
            return self.pool()
        return all(self.lies[name].blocked for name in node.inputs) and self.follower()

    def follower(self) -> bool:
        """An op that is taken along because all that it reads is in blocks already."""
        node = self.node
        if node.kind == "binary":
            return self.binary()
        if node.kind == "unary":
            return node.variant in KEPT_ACTIVATIONS and self.activation()
        if node.variant == "batch_normalization":
            return self.as_convolution()
        if node.kind == "transpose":
            return node.turns(TO_CHANNELS_LAST) and self.transposed()
        return self.stays_in_blocks() and self.keep()

    def stays_in_blocks(self) -> bool:
        """Whether an op that moves or gathers data knows the blocked layout at these widths."""
        node = self.node
        is_whole_blocks = not any(self.shape(name)[1] % self.block for name in node.inputs)
        if node.kind == "concat":
            return is_whole_blocks and node.op.attributes.get("axis") == 1
        return is_whole(node) if node.kind == "resize" else node.kind == "global_pool" and is_whole_blocks

    def convolution(self) -> bool:
        node, given, made = self.node, self.shape(self.node.inputs[0])[1], self.shape(self.node.outputs[0])[1]
        weights = self.network.tensors[node.op.inputs[1]]
        if not weights.is_constant or len(weights.shape) != 4:
            return False
        groups = given // self.shape(node.op.inputs[1])[1]
        takes_plain = groups == 1 and given < self.block
        if groups == 1:
            fits = takes_plain or given % REORDER_MULTIPLE == 0
        elif groups == given == made:
            fits = given % REORDER_MULTIPLE == 0
        else:
            fits = (given // groups) % self.block == 0 and (made // groups) % self.block == 0
        if not fits:
            return False
        self.read(node.inputs[0], blocked=not takes_plain)
        self.make(self.layer(), blocked=True, takes_more=self.is_followed())
        return True

    def is_followed(self) -> bool:
        """Whether an addition or an activation may be folded into the convolution later."""
        follower = self.network.only_reader(self.node.outputs[0])
        return follower is not None and follower.kind in {"unary", "binary"}

    def pool(self) -> bool:
        if len(self.node.outputs) != 1 or self.shape(self.node.inputs[0])[1] % self.block:
            return False
        return self.keep()

    def as_convolution(self) -> bool:
        """Batch normalization and a product by channel become depthwise convolutions of 1x1."""
        self.read(self.node.inputs[0], blocked=True)
        shapes = (self.shape(self.node.inputs[0]),), (self.shape(self.node.outputs[0]),)
        layer = LayerSpec("depthwise_conv", *shapes, _ONE, shapes[0][0][1])
        self.make(layer, blocked=True, takes_more=self.is_followed())
        return True

    def binary(self) -> bool:
        node = self.node
        if len(node.inputs) == 1:
            return node.variant == "mul" and scales_channels(self.network, node) and self.as_convolution()
        is_sum = node.variant in {"add", "sum"}
        if not (is_sum or node.variant == "mul") or len({self.shape(name) for name in node.inputs}) > 1:
            return False
        if is_sum and len(node.inputs) == 2 and node.inputs[0] != node.inputs[1]:
            for name, other in (node.inputs, node.inputs[::-1]):
                layer = self.lies[name].pending
                if layer is not None and not layer.fused:
                    self.lies[name] = Lies(True)
                    self.read(other, blocked=True)
                    self.make(replace(layer, fused=("add",)), blocked=True, takes_more=self.is_followed())
                    return True
        return self.keep()

    def activation(self) -> bool:
        name = self.node.inputs[0]
        layer = self.lies[name].pending
        if layer is None or layer.fused not in {(), ("add",)} or self.node.variant not in FOLDED_ACTIVATIONS:
            return self.keep()
        self.lies[name] = Lies(True)
        self.make(replace(layer, fused=(*layer.fused, self.node.variant)), blocked=True, takes_more=self.is_followed())
        return True

    def transposed(self) -> bool:
        """Channels last: the reordering out of the layout does that too."""
        self.charge(self.node.inputs[0])
        shape = self.shape(self.node.inputs[0])
        self.make(LayerSpec("reorder", (shape,), (shape,), variant="from_blocked-last"), blocked=False)
        return True

    def keep(self) -> bool:
        """The op stays as it is, on blocks."""
        for name in self.node.inputs:
            self.read(name, blocked=True)
        self.make(self.layer(), blocked=True)
        return True

    def plain(self) -> None:
        node = self.node
        sources = [name for name in node.inputs if self.absorbs(name)]
        if sources:
            layer = self.lies[sources[0]].pending
            assert layer is not None
            self.lies[sources[0]] = Lies()
            for name in node.inputs:
                self.read(name, blocked=False)
            self.make_after_sum(replace(layer, fused=("add",)))
            return
        if self.absorbs_last():
            return
        for name in node.inputs:
            self.read(name, blocked=False)
        is_conv = node.kind in CONVS and not node.activation and has_bias(node) and is_float(self.network, node)
        self.make(self.layer(), blocked=False, takes_more=is_conv and self.is_added())

    def is_added(self) -> bool:
        follower = self.network.only_reader(self.node.outputs[0])
        return follower is not None and (follower.kind, follower.variant) == ("binary", "add")

    def absorbs(self, name: str) -> bool:
        """Whether a plain convolution takes the addition in that this op is."""
        node, lies = self.node, self.lies[name]
        if (node.kind, node.variant) != ("binary", "add") or len(node.inputs) != 2 or lies.blocked:
            return False
        other = next((one for one in node.inputs if one != name), name)
        fits = self.shape(other) == self.shape(node.outputs[0])
        return lies.pending is not None and not lies.pending.fused and fits

    def make_after_sum(self, layer: LayerSpec) -> None:
        follower = self.network.only_reader(self.node.outputs[0])
        is_active = follower is not None and follower.kind == "unary" and follower.variant in PLAIN_CONV_ACTIVATIONS
        self.make(layer, blocked=False, takes_more=is_active)

    def absorbs_last(self) -> bool:
        """An activation behind a sum that a plain convolution took in."""
        node = self.node
        lies = self.lies.get(node.inputs[0]) if node.inputs else None
        if lies is None or lies.pending is None or lies.blocked or lies.pending.fused != ("add",):
            return False
        self.lies[node.inputs[0]] = Lies()
        self.make(replace(lies.pending, fused=("add", node.variant)), blocked=False)
        return True

    def read(self, name: str, blocked: bool) -> None:
        """Reads a tensor as it is needed, which may take a reordering the first time."""
        self.charge(name)
        lies = self.lies[name]
        if lies.blocked != blocked and not lies.both:
            self.reorder(name, "to_blocked" if blocked else "from_blocked")
            self.lies[name] = lies._replace(both=True, pending=None)

    def charge(self, name: str) -> None:
        """The convolution that makes a tensor takes nothing more in."""
        pending = self.lies[name].pending
        if pending is not None:
            self.layers.append(pending)
            self.lies[name] = self.lies[name]._replace(pending=None)

    def reorder(self, name: str, variant: str) -> None:
        shape = self.shape(name)
        self.layers.append(LayerSpec("reorder", (shape,), (shape,), variant=variant))

    def make(self, layer: LayerSpec, blocked: bool, takes_more: bool = False) -> None:
        """The outputs of the op; what the network gives out is plain."""
        if not takes_more:
            self.layers += self.parts(layer)
        for name in self.node.outputs:
            self.lies[name] = Lies(blocked, pending=layer if takes_more else None)
            if name in self.network.outputs:
                self.read(name, blocked=False)

    def parts(self, layer: LayerSpec) -> list[LayerSpec]:
        """HardSwish and Mish have no kernel of their own: they run as their parts."""
        parts = _PARTS.get(layer.variant, ()) if layer.kind == "unary" else ()
        if not parts:
            return [layer]
        shape = layer.output
        product = LayerSpec("binary", (shape, shape), (shape,), dtype=layer.dtype, variant="mul")
        return [*(replace(layer, variant=part) for part in parts), product]

    def layer(self) -> LayerSpec:
        """The layer of the op by itself."""
        node = self.node
        names = self.layouts._names(node)
        tensors = {name: self.tensor(name) for name in dict.fromkeys(names)}
        return node_layer(node, self.network, tensors)

    def tensor(self, name: str) -> Tensor:
        return replace(self.network.tensors[name], shape=self.shape(name))

    def shape(self, name: str) -> Shape:
        return self.layouts.shape(name, self.widths)


def node_layer(node: Node, network: Network, tensors: Mapping[str, Tensor]) -> LayerSpec:
    """The layer of a node as it is, its tensors being these."""
    inputs = _operands(node, network)
    followed = _followed(node, network, tensors)
    attributes = {**node.op.attributes, **followed, "fused": (node.activation,) if node.activation else ()}
    op = Op(node.name, node.kind, inputs, tuple(node.outputs), node.window, node.variant, attributes)
    return layer_of(op, Graph((), tensors, (), ()))


def _followed(node: Node, network: Network, tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Attributes that follow from the sizes of tensors, or from what an op was made of."""
    if node.kind in GATES:
        return {"hidden_size": tensors[node.outputs[0]].shape[-1]}
    if node.kind == "split" and "axis" not in node.op.attributes:  # slices that were merged
        return {"axis": int(node.op.attributes["axes"][0])}
    groups = int(node.op.attributes.get("groups", 1))
    if groups == 1 or not node.inputs or len(network.shape(node.inputs[0])) < 2:
        return {}
    before, channels = network.shape(node.inputs[0])[1], tensors[node.inputs[0]].shape[1]
    if node.kind == "transposed_conv":
        return {"groups": channels} if groups == before else {}
    if node.kind == "normalization":
        return {"groups": channels // (before // groups)}
    columns = tensors[node.op.operands[1]].shape[1] if node.kind in CONVS else 0
    return {"groups": channels // columns} if columns else {}


def _operands(node: Node, network: Network) -> tuple[str, ...]:
    """What the node reads, activations and constants, each where the op of the file has it."""
    is_constant = [bool(name) and network.tensors[name].is_constant for name in node.op.inputs]
    if len(node.inputs) != sum(not one and bool(name) for one, name in zip(is_constant, node.op.inputs, strict=True)):
        constants = (name for one, name in zip(is_constant, node.op.inputs, strict=True) if one)
        return (*node.inputs[:1], *constants, *node.inputs[1:])
    activations = iter(node.inputs)
    return tuple(
        name if one or not name else next(activations) for one, name in zip(is_constant, node.op.inputs, strict=True)
    )
