"""What ONNX Runtime's optimizer folds before it chooses a layout.

Its first level folds constants into convolutions (ConvBNFusion, ConvMulFusion, ConvAddFusion), removes copies
(EliminateIdentity, EliminateDropout) and sums with a zero (NoopElimination), takes a Pad into the window behind it
(PadFusion) and a bias into a product (MatMulAddFusion); its second level folds activations (ConvActivationFusion,
GemmActivationFusion, QuickGeluFusion).
Read from ONNX Runtime's sources and checked against the models that 1.31 writes after optimization.
"""

from dataclasses import replace

from edgewright.graph.types import Window
from edgewright.memory.onnxruntime.network import Network, Node, transpose

CONVS = frozenset({"conv", "depthwise_conv"})
PLAIN_CONV_ACTIVATIONS = frozenset({"relu", "sigmoid", "tanh", "leaky_relu", "clip", "hard_sigmoid"})
_GEMM_ACTIVATIONS = PLAIN_CONV_ACTIVATIONS - {"clip"} | {"elu", "softplus", "softsign", "thresholded_relu"}
_TAKES_TRANSPOSES = frozenset(
    {"unary", "binary", "concat", "split", "slice", "pad", "resize", "transpose", "softmax", "reduction", "cast",
     "quantize", "dequantize"}
)  # fmt: skip
"""Kinds that the runtime can move a transpose across."""


def fold_constants(network: Network) -> None:
    """The first level of the optimizer."""
    for node in list(network.nodes.values()):
        if node.index not in network.nodes:
            continue
        if (fold := _FOLDS.get(node.kind)) is not None:
            fold(network, node)
    for node in list(network.nodes.values()):
        if node.index in network.nodes and node.kind in {*CONVS, "transposed_conv"}:
            while (follower := _foldable(network, node)) is not None:
                network.absorb(node, follower)
    for node in network.order():
        if node.kind == "fully_connected" and (follower := _bias_of(network, node)) is not None:
            network.absorb(node, follower)
            network.renumber(node)


def merge_equal(network: Network) -> None:
    """CommonSubexpressionElimination: what is computed twice from the same tensors is computed once."""
    seen: dict[tuple[object, ...], Node] = {}
    for node in network.order():
        constants = tuple(name for name in node.op.inputs if name and network.tensors[name].is_constant)
        key = (node.kind, node.variant, tuple(node.inputs), constants, node.window, repr(dict(node.op.attributes)))
        first = seen.setdefault(key, node)
        if first is node or node.kind == "other" or not set(node.outputs).isdisjoint(network.outputs):
            continue
        network.remove(node)
        renamed = dict(zip(node.outputs, first.outputs, strict=True))
        for reader in {
            reader.index: reader for name in node.outputs for reader in network.readers.get(name, ())
        }.values():
            network.reread(reader, [renamed.get(name, name) for name in reader.inputs])


def join_transposes(network: Network) -> None:
    """TransposeOptimizer: transposes of what a concat reads become one behind it, where that moves less.

    A transpose before an op of one input stays where it is, as there is nothing to win.
    """
    for node in network.order():
        makers = [network.makers.get(name) for name in node.inputs]
        turns = [maker for maker in makers if maker is not None and maker.kind == "transpose"]
        if node.kind != "concat" or not turns:
            continue
        perm = tuple(turns[0].op.attributes.get("perm", ()))
        is_order = sorted(perm) == list(range(len(network.shape(node.outputs[0]))))
        if is_order and _cost_of_joining(network, node, perm) < 0:
            _join(network, node, perm, turns[0])


def _cost_of_joining(network: Network, node: Node, perm: tuple[int, ...]) -> int:
    """`EstimateTransposeInputsCost` and the output: what is saved is below 0, in axes that are moved.

    A transpose of that order that may go saves its axes, any other one costs nothing; other inputs need one.
    """
    hidden = network.open_shapes | network.open_channels
    cost = _axes(network, node.outputs[0], is_known=not hidden.issuperset(node.inputs))
    for name in node.inputs:
        maker = network.makers.get(name)
        axes = _axes(network, name, is_known=name not in hidden)
        if maker is None or maker.kind != "transpose":
            cost += axes
        elif maker.turns(perm) and _may_go(network, maker):
            cost -= axes
    return cost


def _axes(network: Network, name: str, is_known: bool) -> int:
    """`EstimateValueRank`: axes that are not known to have one item."""
    shape = network.shape(name)
    return sum(size != 1 for size in shape) if is_known else len(shape)


def _may_go(network: Network, turn: Node) -> bool:
    """Whether all that read a transpose can take its place (`CanLikelyRemoveTranspose`)."""
    name = turn.outputs[0]
    readers = network.readers.get(name, ())
    return name not in network.outputs and all(map(_takes_transposes, readers))


def _takes_transposes(node: Node) -> bool:
    """Whether the runtime can move a transpose across it (`HandlerMap`)."""
    return node.kind in _TAKES_TRANSPOSES or (node.kind == "reshape" and node.variant == "reshape")


def _join(network: Network, node: Node, perm: tuple[int, ...], like: Node) -> None:
    """Lets a concat join what transposes of `perm` read, and adds one such transpose behind it."""
    made, back = node.outputs[0], tuple(perm.index(axis) for axis in range(len(perm)))
    makers = {name: network.makers.get(name) for name in node.inputs}
    turns = {name: maker for name, maker in makers.items() if maker is not None and maker.turns(perm)}
    sources = [
        turns[name].inputs[0] if name in turns else _turned_by(network, name, f"{name}:before {node.name}", back, like)
        for name in node.inputs
    ]
    joined = _permuted(network, made, f"{made}:joined", back)
    network.reread(node, sources)
    network.remove_unread(turns.values())
    network.remake(node, [joined])
    axis = perm[int(node.op.attributes["axis"])]
    node.op = replace(node.op, attributes={**node.op.attributes, "axis": axis})
    network.add(transpose(like, joined, made))


def _turned_by(network: Network, name: str, target: str, perm: tuple[int, ...], like: Node) -> str:
    """Adds a transpose of `perm`."""
    op = replace(like.op, attributes={**like.op.attributes, "perm": perm})
    network.add(replace(transpose(like, name, _permuted(network, name, target, perm)), op=op))
    return target


def _permuted(network: Network, name: str, new_name: str, perm: tuple[int, ...]) -> str:
    """A tensor like another, its axes in another order."""
    shape = network.shape(name)
    return network.reshaped(name, new_name, tuple(shape[axis] for axis in perm))


def merge_slices(network: Network) -> None:
    """Slices that together are all of a tensor, cut along one axis, become one Split, which makes them all at once.

    From opset 13 on (`GatherSliceToSplitFusion`).
    """
    for name in [name for name, readers in network.readers.items() if len(readers) > 1]:
        if name in network.open_shapes:
            continue
        cuts: dict[int, list[Node]] = {}
        for reader in network.readers[name]:
            axes, steps = reader.op.attributes.get("axes", ()), reader.op.attributes.get("steps", ())
            if reader.kind == "slice" and len(axes) == 1 and tuple(steps) == (1,) and reader.inputs == [name]:
                cuts.setdefault(axes[0], []).append(reader)
        for axis, nodes in cuts.items():
            nodes.sort(key=lambda node: int(node.op.attributes["starts"][0]))
            edges = [0, *(int(node.op.attributes["ends"][0]) for node in nodes)]
            starts = [int(node.op.attributes["starts"][0]) for node in nodes]
            if len(nodes) > 1 and starts == edges[:-1] and edges[-1] == network.shape(name)[axis]:
                for node in nodes:
                    network.remove(node)
                outputs = [node.outputs[0] for node in nodes]
                network.add(replace(nodes[0], kind="split", inputs=[name], outputs=outputs))


def fold_activations(network: Network) -> None:
    """The second level of the optimizer: what it fuses gets a new number, in the order of execution."""
    for node in network.order():
        if node.index not in network.nodes:
            continue
        if node.kind == "unary" and node.variant == "sigmoid":
            _fold_sigmoid_product(network, node)
            continue
        follower = network.only_reader(node.outputs[0]) if node.outputs else None
        if follower is not None and follower.kind == "unary" and follower.variant in _activations_of(network, node):
            node.activation = follower.variant
            network.absorb(node, follower)
            network.renumber(node)


def fold_plain_additions(network: Network) -> None:
    """ConvAddActivationFusion: a convolution with a bias, outside of the blocked layout, takes an addition in."""
    for node in list(network.nodes.values()):
        if (
            node.blocked
            or node.kind not in CONVS
            or node.activation
            or not (has_bias(node) and is_float(network, node))
        ):
            continue
        follower = network.only_reader(node.outputs[0])
        if follower is None or (follower.kind, follower.variant) != ("binary", "add") or len(follower.inputs) != 2:
            continue
        addend = next(name for name in follower.inputs if name != node.outputs[0])
        if network.shape(addend) != network.shape(follower.outputs[0]):
            continue
        network.absorb(node, follower)
        network.reread(node, [*node.inputs, addend])
        node.addend = addend
        last = network.only_reader(node.outputs[0])
        if last is not None and last.kind == "unary" and last.variant in PLAIN_CONV_ACTIVATIONS:
            node.activation = last.variant
            network.absorb(node, last)
        network.renumber(node)


def expand_functions(network: Network) -> None:
    """HardSwish and Mish have no kernel of their own: they run as their parts."""
    for node in list(network.nodes.values()):
        parts = {"hard_swish": ("hard_sigmoid",), "mish": ("softplus", "tanh")}.get(node.variant, ())
        if node.kind != "unary" or not parts:
            continue
        network.remove(node)
        data, last = node.inputs[0], node.inputs[0]
        for part in parts:
            made = network.reshaped(data, f"{node.outputs[0]}:{part}", network.shape(data))
            network.add(replace(node, kind="unary", variant=part, inputs=[last], outputs=[made]))
            last = made
        network.add(replace(node, kind="binary", variant="mul", inputs=[data, last]))


def is_float(network: Network, node: Node) -> bool:
    return all(network.tensors[name].dtype == "float32" for name in (*node.inputs[:1], *node.outputs[:1]))


def _remove_copy(network: Network, node: Node) -> None:
    given, made = node.inputs[0], node.outputs[0]
    if made not in network.outputs:
        network.remove(node)
        for reader in list(dict.fromkeys(network.readers.get(made, ()))):
            network.reread(reader, [given if name == made else name for name in reader.inputs])
    elif given in network.makers and network.uses(given) == 1:
        network.absorb(network.makers[given], node)


def _fold_start(network: Network, node: Node) -> None:
    """A slice that begins at 0 once something was computed (see `edits.Slice.after`) needs no sum for that."""
    if len(node.inputs) < 2 or tuple(node.op.attributes.get("starts", ())) != (0,):
        return
    adds = network.makers.get(node.inputs[1])
    if adds is not None and adds.kind == "binary" and adds.variant == "add" and len(adds.inputs) == 1:
        network.reread(node, [node.inputs[0], adds.inputs[0], *node.inputs[2:]])
        network.remove_unread([adds])


def _fold_pad(network: Network, node: Node) -> None:
    padding = node.op.attributes.get("padding", ())
    is_outer = all(before >= 0 and after >= 0 for before, after in padding) and not any(map(any, padding[:2]))
    if node.variant != "constant" or node.op.attributes.get("value") or not is_outer:
        return
    follower = network.only_reader(node.outputs[0])
    if follower is None or follower.kind not in {*CONVS, "max_pool", "average_pool"} or follower.window is None:
        return
    window = follower.window
    pairs = zip(window.padding, padding[2:], strict=True)
    follower.window = Window(
        window.kernel, window.stride, window.dilation, tuple((a + c, b + d) for (a, b), (c, d) in pairs)
    )
    network.reread(follower, node.inputs)
    network.remove(node)


def _foldable(network: Network, node: Node) -> Node | None:
    """The op behind a product of weights that only scales or shifts its channels by constants."""
    follower = network.only_reader(node.outputs[0]) if node.outputs else None
    if follower is None or len(follower.inputs) != 1 or not is_float(network, node):
        return None
    if follower.variant == "batch_normalization":
        return follower
    if node.kind == "transposed_conv" or follower.kind != "binary" or follower.variant not in {"mul", "add"}:
        return None
    return follower if scales_channels(network, follower, follower.variant == "mul") else None


def _bias_of(network: Network, node: Node) -> Node | None:
    """The addition of a constant row behind a product of matrices that has none yet."""
    follower = network.only_reader(node.outputs[0])
    if follower is None or (follower.kind, follower.variant) != ("binary", "add") or len(follower.inputs) != 1:
        return None
    constants = [network.tensors[name] for name in follower.op.inputs if name and network.tensors[name].is_constant]
    is_row = len(constants) == 1 and constants[0].shape == network.shape(node.outputs[0])[-1:]
    return follower if is_row and len(node.op.inputs) == 2 and is_float(network, node) else None


def scales_channels(network: Network, node: Node, may_be_scalar: bool = False) -> bool:
    """Whether the constant operand of a binary op has one item for each channel."""
    shapes = [t.shape for name in node.op.inputs if (t := network.tensors.get(name)) is not None and t.is_constant]
    if len(shapes) != 1 or len(node.outputs) != 1:
        return False
    made, shape = network.shape(node.outputs[0]), shapes[0]
    if len(made) != 4 or not shape:
        return may_be_scalar and not shape
    return shape in {(made[1], 1, 1), (1, made[1], 1, 1)}


def _activations_of(network: Network, node: Node) -> frozenset[str]:
    if node.activation or not is_float(network, node):
        return frozenset()
    if node.kind in CONVS:
        return PLAIN_CONV_ACTIVATIONS
    is_gemm = node.kind == "fully_connected" and len(network.shape(node.outputs[0])) == 2
    return _GEMM_ACTIVATIONS if is_gemm else frozenset()


def _fold_sigmoid_product(network: Network, node: Node) -> None:
    """x * sigmoid(x) becomes QuickGelu."""
    data = node.inputs[0]
    product = network.only_reader(node.outputs[0])
    if product is None or product.variant != "mul" or sorted(product.inputs) != sorted([data, node.outputs[0]]):
        return
    network.remove(product)
    network.remove(node)
    network.add(replace(node, variant="quick_gelu", outputs=product.outputs))


def has_bias(node: Node) -> bool:
    return len(node.op.inputs) > 2 and bool(node.op.inputs[2])


_FOLDS = {"copy": _remove_copy, "pad": _fold_pad, "slice": _fold_start}
"""What is done to an op of each kind before convolutions take constants in."""
