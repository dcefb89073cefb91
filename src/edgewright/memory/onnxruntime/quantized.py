"""Quantized networks: what ONNX Runtime folds quantization into, and the channels-last layout it gives to the result.

An op between DequantizeLinear and QuantizeLinear becomes one op on integers (QDQSelectorActionTransformer). Quantized
convolutions then run with channels last (NhwcTransformer), and data is transposed where it enters and leaves.
"""

from edgewright.memory.onnxruntime.fusions import CONVS
from edgewright.memory.onnxruntime.network import Network, Node, transpose

CHANNELS_LAST = "qlinear_channels_last"
_PRODUCTS = CONVS | {"fully_connected", "matmul", "binary"}
_FOLDED = _PRODUCTS | {"max_pool", "average_pool", "global_pool", "concat", "reshape", "transpose", "resize", "slice",
                       "softmax", "unary", "reduction", "split", "gather"}  # fmt: skip
_TAKEN_ALONG = frozenset({"max_pool", "average_pool", "global_pool", "concat", "binary", "unary"})


def fold_quantization(network: Network) -> None:
    """Ops between dequantize and quantize compute on integers."""
    for node in list(network.nodes.values()):
        if node.index not in network.nodes or node.kind not in _FOLDED or not node.inputs or len(node.outputs) != 1:
            continue
        makers = [network.makers.get(name) for name in node.inputs]
        quantize = _quantize_behind(network, node)
        if quantize is None or any(maker is None or maker.kind != "dequantize" for maker in makers):
            continue
        last = network.only_reader(node.outputs[0])
        if last is not None and last is not quantize:
            network.absorb(node, last)
        network.absorb(node, quantize)
        network.reread(node, [maker.inputs[0] for maker in makers if maker is not None])
        network.remove_unread(maker for maker in makers if maker is not None)
        if node.kind in CONVS | {"fully_connected", "matmul"}:
            node.variant = "qlinear"


def to_channels_last(network: Network) -> None:
    """Gives quantized convolutions of images, and what stands between them, a layout with channels last."""
    turned: dict[str, str] = {}
    members = network.channels_last
    for node in network.order():
        if not node.outputs or len(network.shape(node.outputs[0])) != 4:
            continue
        if node.kind in CONVS and node.variant == "qlinear":
            node.variant = CHANNELS_LAST
            network.reread(node, [_turned(network, node, name, members, turned) for name in list(node.inputs)])
        elif node.kind not in _TAKEN_ALONG or not node.inputs or not members.issuperset(node.inputs):
            continue
        members.update(node.outputs)
    for name in [name for name in network.makers if name in members and name not in turned.values()]:
        readers = [reader for reader in dict.fromkeys(network.readers.get(name, ())) if not _is_member(reader, members)]
        if readers or name in network.outputs:
            _turn_back(network, name, readers)


def _quantize_behind(network: Network, node: Node) -> Node | None:
    """The quantize that reads the result, past an activation that quantization takes in."""
    follower = network.only_reader(node.outputs[0])
    is_activation = follower is not None and follower.kind == "unary" and follower.variant in {"relu", "clip"}
    if follower is not None and is_activation and node.kind in _PRODUCTS:
        follower = network.only_reader(follower.outputs[0])
    return follower if follower is not None and follower.kind == "quantize" else None


def _is_member(node: Node, members: set[str]) -> bool:
    return bool(node.outputs) and node.outputs[0] in members


def _turned(network: Network, node: Node, name: str, members: set[str], turned: dict[str, str]) -> str:
    if name in members:
        return name
    if name not in turned:
        turned[name] = network.reshaped(name, f"{name}:last", network.shape(name))
        network.channels_last.add(turned[name])
        network.add(transpose(node, name, turned[name]))
    return turned[name]


def _turn_back(network: Network, name: str, readers: list[Node]) -> None:
    maker = network.makers[name]
    last = network.reshaped(name, f"{name}:last", network.shape(name))
    plain = [reader for reader in network.readers.get(name, ()) if reader not in readers]
    network.remake(maker, [last])
    network.channels_last.discard(name)
    network.channels_last.add(last)
    for reader in dict.fromkeys(plain):
        network.reread(reader, [last if one == name else one for one in reader.inputs])
    network.add(transpose(maker, last, name))
