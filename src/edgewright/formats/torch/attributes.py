"""Attributes of torch's own modules that speak of sizes: kept true, listed, set."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from edgewright.formats.torch.layered import freed, resized_attention
from edgewright.graph.types import Graph, Op

_NAMES: Mapping[type, tuple[str, ...]] = MappingProxyType(
    {
        nn.Linear: ("in_features", "out_features"),
        nn.modules.conv._ConvNd: ("in_channels", "out_channels", "groups"),
        nn.modules.batchnorm._NormBase: ("num_features",),
        nn.GroupNorm: ("num_groups", "num_channels"),
        nn.LayerNorm: ("normalized_shape",),
        nn.RMSNorm: ("normalized_shape",),
        nn.Embedding: ("num_embeddings", "embedding_dim"),
        nn.PReLU: ("num_parameters",),
        nn.Unflatten: ("unflattened_size",),
        nn.RNNBase: ("input_size", "hidden_size"),
        nn.RNNCellBase: ("input_size", "hidden_size"),
        nn.MultiheadAttention: ("embed_dim", "num_heads", "kdim", "vdim"),
    }
)


def sizes_of(module: nn.Module) -> dict[str, Any]:
    """The attributes of one of torch's modules that speak of sizes; none for other modules."""
    names = next((names for kind, names in _NAMES.items() if isinstance(module, kind)), ())
    return {name: getattr(module, name) for name in names}


def follow(module: nn.Module, op: Op, graph: Graph) -> None:
    """Bring a module's attributes to what its parameters and its op are after width edits."""
    rule = next((rule for kind, rule in _RULES.items() if isinstance(module, kind)), None)
    if rule is not None:
        rule(module, op, graph)


def _linear(module: Any, op: Op, graph: Graph) -> None:
    module.out_features, module.in_features = map(int, module.weight.shape)


def _convolution(module: Any, op: Op, graph: Graph) -> None:
    if "conv" not in op.kind:
        return
    module.groups = int(op.attributes["groups"])
    first, second = map(int, module.weight.shape[:2])
    sizes = (first, second * module.groups)
    module.in_channels, module.out_channels = sizes if module.transposed else sizes[::-1]


def _features(module: Any, op: Op, graph: Graph) -> None:
    if op.kind == "normalization":
        module.num_features = graph.tensors[op.inputs[0]].shape[1]


def _group_norm(module: Any, op: Op, graph: Graph) -> None:
    if op.kind == "normalization":
        module.num_groups = int(op.attributes["groups"])
        module.num_channels = graph.tensors[op.inputs[0]].shape[1]


def _layer_norm(module: Any, op: Op, graph: Graph) -> None:
    if op.kind == "normalization":
        module.normalized_shape = tuple(graph.tensors[op.inputs[0]].shape[axis] for axis in op.attributes["axes"])


def _embedding(module: Any, op: Op, graph: Graph) -> None:
    module.num_embeddings, module.embedding_dim = map(int, module.weight.shape)


def _prelu(module: Any, op: Op, graph: Graph) -> None:
    module.num_parameters = module.weight.numel()


def _unflatten(module: Any, op: Op, graph: Graph) -> None:
    """Sizes that are not left open follow the map; named ones have their names."""
    sizes = module.unflattened_size
    if op.kind != "reshape" or not all(isinstance(size, int) for size in sizes):
        return
    given, made = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape
    axis = module.dim % len(given)
    found = made[axis : axis + len(sizes)]
    module.unflattened_size = tuple(-1 if size == -1 else new for size, new in zip(sizes, found, strict=True))


def _recurrent(module: Any, op: Op, graph: Graph) -> None:
    """Sizes of the last layer for all; of a class of ours where torch's can't have them."""
    if op.kind in {"gru", "lstm", "rnn"}:
        freed(module)
        module.input_size = int(module.weight_ih_l0.shape[1])
        module.hidden_size = module.hidden_sizes[-1]


def _cell(module: Any, op: Op, graph: Graph) -> None:
    module.input_size, module.hidden_size = int(module.weight_ih.shape[1]), int(module.weight_hh.shape[1])


def _attention(module: Any, op: Op, graph: Graph) -> None:
    freed(module)
    resized_attention(module)


_RULES: Mapping[type, Callable[[Any, Op, Graph], None]] = MappingProxyType(
    {
        nn.Linear: _linear,
        nn.modules.conv._ConvNd: _convolution,
        nn.modules.batchnorm._NormBase: _features,
        nn.GroupNorm: _group_norm,
        nn.LayerNorm: _layer_norm,
        nn.RMSNorm: _layer_norm,
        nn.Embedding: _embedding,
        nn.PReLU: _prelu,
        nn.Unflatten: _unflatten,
        nn.RNNBase: _recurrent,
        nn.RNNCellBase: _cell,
        nn.MultiheadAttention: _attention,
    }
)
