"""The network as ONNX Runtime rewrites it: ops that can be changed in place, and the order that it runs them in."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from random import Random

from edgewright.graph.types import Graph, Op, Shape, Tensor, Window

_STEERED = frozenset({"slice", "pad", "resize", "expand", "reshape"})
"""Kinds whose later inputs decide the shape of the output: where they are computed, it is not known beforehand."""
_TELLS_CHANNELS = frozenset({"conv", "depthwise_conv", "transposed_conv", "fully_connected"})
_MOST_KNOWN_ITEMS = 16
"""Single numbers taken out of a tensor of unknown shape have a known one."""


@dataclass(slots=True, eq=False)
class Node:
    """An op on its way through the rewriting. `index` is ONNX Runtime's own number of it, which decides the order.

    `inputs` are activations only, one for each use. A node in the blocked layout is `blocked`; `addend` is the tensor
    that a convolution adds its result to.
    """

    index: int
    name: str
    kind: str
    variant: str
    inputs: list[str]
    outputs: list[str]
    op: Op
    window: Window | None = None
    blocked: bool = False
    activation: str = ""
    addend: str = ""

    def turns(self, perm: tuple[int, ...]) -> bool:
        """Whether it is a transpose that puts the axes in that order."""
        return self.kind == "transpose" and tuple(self.op.attributes.get("perm", ())) == perm


@dataclass
class Network:
    """Nodes with the maker and the readers of every tensor kept up to date.

    The runtime does not know the shapes of the tensors in `open_shapes` before it runs, nor of those in
    `open_channels` how many channels they have; those in `channels_last` it holds in another order of axes.
    """

    tensors: dict[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    open_shapes: set[str] = field(default_factory=set)
    open_channels: set[str] = field(default_factory=set)
    channels_last: set[str] = field(default_factory=set)
    nodes: dict[int, Node] = field(default_factory=dict)
    makers: dict[str, Node] = field(default_factory=dict)
    readers: dict[str, list[Node]] = field(default_factory=dict)
    next_index: int = 0

    @classmethod
    def of(cls, graph: Graph, open_inputs: Collection[str] = ()) -> "Network":
        """The network of a file. A reshape behind computed bounds tells its shape, as its target is written out then;
        one behind an input that was left open keeps the sizes that follow from it open.
        """
        network = cls(dict(graph.tensors), graph.inputs, graph.outputs, set(open_inputs))
        behind_open_inputs, open_space = set(open_inputs), set(open_inputs)
        for op in graph.ops:
            inputs = [name for name in op.inputs if name and not graph.tensors[name].is_constant]
            outputs = [name for name in op.outputs if name]
            if not behind_open_inputs.isdisjoint(inputs):
                behind_open_inputs.update(outputs)
            is_steered = op.kind in _STEERED and len(inputs) > 1
            is_told = op.kind == "reshape" and not is_steered and behind_open_inputs.isdisjoint(inputs)
            hides_space = is_steered or (not is_told and _hides_space(op, inputs, open_space))
            hides_channels = is_steered or (not is_told and _hides_channels(op, inputs, network.open_channels))
            hidden = [name for name in outputs if name not in graph.declared]
            if hides_space:
                open_space.update(hidden)
            if hides_channels:
                network.open_channels.update(hidden)
            if hides_space or hides_channels:
                network.open_shapes.update(name for name in hidden if graph.tensors[name].items > _MOST_KNOWN_ITEMS)
            network.add(Node(0, op.name, op.kind, op.variant, inputs, outputs, op, op.window))
        return network

    def add(self, node: Node) -> Node:
        """Adds a node under the next free index."""
        node.index = self.next_index
        self.next_index += 1
        self.nodes[node.index] = node
        for name in node.inputs:
            self.readers.setdefault(name, []).append(node)
        for name in node.outputs:
            self.makers[name] = node
        return node

    def remove(self, node: Node) -> None:
        del self.nodes[node.index]
        for name in node.inputs:
            self.readers[name].remove(node)
        for name in node.outputs:
            if self.makers.get(name) is node:
                del self.makers[name]

    def remove_unread(self, nodes: Iterable[Node]) -> None:
        """Removes those of some nodes whose output nobody needs any more."""
        for node in dict.fromkeys(nodes):
            if not self.uses(node.outputs[0]):
                self.remove(node)

    def reread(self, node: Node, inputs: Iterable[str]) -> None:
        """Lets a node read other tensors."""
        for name in node.inputs:
            self.readers[name].remove(node)
        node.inputs = list(inputs)
        for name in node.inputs:
            self.readers.setdefault(name, []).append(node)

    def remake(self, node: Node, outputs: Iterable[str]) -> None:
        """Lets a node make other tensors."""
        for name in node.outputs:
            if self.makers.get(name) is node:
                del self.makers[name]
        node.outputs = list(outputs)
        for name in node.outputs:
            self.makers[name] = node

    def renumber(self, node: Node) -> None:
        """Gives a node the next free index, as one that was made anew has."""
        del self.nodes[node.index]
        node.index = self.next_index
        self.next_index += 1
        self.nodes[node.index] = node

    def absorb(self, node: Node, follower: Node) -> None:
        """Removes a follower; the node makes what it made."""
        outputs = follower.outputs
        self.remove(follower)
        self.remake(node, outputs)

    def only_reader(self, name: str) -> Node | None:
        """The one reader of a tensor that is read once and is no output of the network."""
        readers = self.readers.get(name, ())
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def uses(self, name: str) -> int:
        return len(self.readers.get(name, ())) + (name in self.outputs)

    def shape(self, name: str) -> Shape:
        return self.tensors[name].shape

    def reshaped(self, name: str, new_name: str, shape: Shape) -> str:
        """A tensor like another, of another shape."""
        self.tensors[new_name] = replace(self.tensors[name], name=new_name, shape=shape)
        if name in self.open_shapes:
            self.open_shapes.add(new_name)
        return new_name

    def shuffle(self, random: Random) -> None:
        """Renumbers the reorders out of the blocked layout among themselves.

        ONNX Runtime adds them while it walks a hash table of addresses, so their numbers differ from one session to
        the next, and with them the order of the branches that they end.
        """
        reorders = [node for node in self.nodes.values() if node.variant == "from_blocked"]
        indices = [node.index for node in reorders]
        random.shuffle(indices)
        for node, index in zip(reorders, indices, strict=True):
            node.index = index
            self.nodes[index] = node

    def order(self) -> list[Node]:
        """The order of execution: depth first from the last ops, the input made by the highest index first.

        `Graph::ReverseDFSFrom` as `GraphViewer` calls it.
        """
        stack = [
            (node, False) for _, node in sorted(self.nodes.items()) if not any(map(self.readers.get, node.outputs))
        ]
        visited: set[int] = set()
        found: list[Node] = []
        while stack:
            node, is_done = stack.pop()
            if is_done:
                found.append(node)
            elif node.index not in visited:
                visited.add(node.index)
                stack.append((node, True))
                made = [maker for name in node.inputs if (maker := self.makers.get(name)) is not None]
                if len(made) > 1:
                    made = [maker for _, maker in sorted({maker.index: maker for maker in made}.items())]
                stack += [(maker, False) for maker in made if maker.index not in visited]
        return found


def transpose(near: Node, source: str, target: str) -> Node:
    """A transpose that the runtime adds near a node."""
    return replace(near, name=f"{target} transpose", kind="transpose", variant="", inputs=[source], outputs=[target],
                   window=None, activation="", addend="")  # fmt: skip


def _hides_space(op: Op, inputs: list[str], hidden: set[str]) -> bool:
    """Whether the runtime can't tell other sizes than the channels of what an op makes.

    Where channels are joined, one known operand tells them.
    """
    if op.kind == "concat" and op.attributes.get("axis") == 1:
        return hidden.issuperset(inputs)
    return not hidden.isdisjoint(inputs)


def _hides_channels(op: Op, inputs: list[str], hidden: set[str]) -> bool:
    """Whether the runtime can't tell the channels of what an op makes, as it can't tell those of what it reads.

    The weights of a convolution tell them again, and one known operand those of a sum or of joined rows.
    """
    if op.kind in _TELLS_CHANNELS or hidden.isdisjoint(inputs):
        return False
    is_told_by_one = op.kind == "binary" or (op.kind == "concat" and op.attributes.get("axis") != 1)
    return hidden.issuperset(inputs) if is_told_by_one else True
