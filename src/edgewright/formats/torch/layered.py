"""Recurrent layers and attention with widths that torch's own classes can't have.

A stacked `nn.GRU` has one hidden size for all layers, and `nn.MultiheadAttention` has as many features in its heads as
it reads. The classes here have the same parameters under the same names, and no such bounds. An instance of torch's
class becomes one of these, and goes back where its sizes allow, by its `__class__`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class LayerStates(Sequence[Any]):
    """The last states of all layers, whose sizes differ: indexed by layer and direction, as h_n of `nn.GRU` is."""

    def __init__(self, states: Sequence[Tensor]) -> None:
        self.states = tuple(states)
        """Of each layer: (directions, batch, hidden)."""

    def __len__(self) -> int:
        return sum(state.size(0) for state in self.states)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(len(self))))
        if isinstance(index, tuple):
            return self[index[0]][index[1:]]
        place = range(len(self))[index]
        directions = self.states[0].size(0)
        return self.states[place // directions][place % directions]


class Layered(nn.RNNBase):
    """What the recurrent classes have in common: layer by layer, each with its own hidden size.

    `stacks_states` gives h_n as one tensor, which needs equal sizes, else as `LayerStates`. With `starts_at_zero` the
    states that are handed over are zeros of another size, and left out of account.
    """

    stacks_states = False
    starts_at_zero = False

    @property
    def hidden_sizes(self) -> tuple[int, ...]:
        return tuple(int(getattr(self, f"weight_hh_l{layer}").shape[1]) for layer in range(self.num_layers))

    def flatten_parameters(self) -> None:
        """Leaves the weights apart: torch joins them for cuDNN by one hidden size, and cuDNN runs without that."""

    def forward(self, input: Tensor, hx: Any = None) -> Any:  # noqa: A002
        if not isinstance(input, Tensor):
            raise TypeError("packed sequences are not supported once the hidden sizes differ")
        batch_axis = 0 if self.batch_first else 1
        is_batched = input.dim() == 3
        output = input if is_batched else input.unsqueeze(batch_axis)
        found = []
        for layer in range(self.num_layers):
            state = self._state(layer, output.size(batch_axis), output, None if self.starts_at_zero else hx, is_batched)
            output, *states = self._run(layer, output, state)
            found.append(states)
            if layer < self.num_layers - 1 and self.dropout:
                output = functional.dropout(output, self.dropout, self.training)
        last = tuple(self._joined(states, is_batched) for states in zip(*found, strict=True))
        output = output if is_batched else output.squeeze(batch_axis)
        return output, last if self.mode == "LSTM" else last[0]

    def _run(self, layer: int, output: Tensor, state: tuple[Tensor, ...]) -> Any:
        suffixes = [f"_l{layer}", f"_l{layer}_reverse"][: 2 if self.bidirectional else 1]
        kinds = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if self.bias else ()))
        weights = [getattr(self, kind + suffix) for suffix in suffixes for kind in kinds]
        run = {"GRU": torch.gru, "LSTM": torch.lstm, "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu}[self.mode]
        first = state if self.mode == "LSTM" else state[0]
        return run(output, first, weights, self.bias, 1, 0.0, self.training, self.bidirectional, self.batch_first)

    def _state(self, layer: int, batch: int, like: Tensor, hx: Any, is_batched: bool) -> tuple[Tensor, ...]:
        """The states that a layer begins with: its part of those given, else zeros."""
        directions = 2 if self.bidirectional else 1
        if hx is None:
            size = (directions, batch, self.hidden_sizes[layer])
            count = 2 if self.mode == "LSTM" else 1
            return tuple(torch.zeros(size, dtype=like.dtype, device=like.device) for _ in range(count))
        given = hx if self.mode == "LSTM" else (hx,)
        if isinstance(given[0], LayerStates):
            return tuple(states.states[layer] for states in given)
        found = tuple(states[layer * directions : (layer + 1) * directions] for states in given)
        return found if is_batched else tuple(state.unsqueeze(1) for state in found)

    def _joined(self, states: Sequence[Tensor], is_batched: bool) -> Any:
        states = states if is_batched else [state.squeeze(1) for state in states]
        if len(states) == 1:
            return states[0]
        return torch.cat(list(states)) if self.stacks_states else LayerStates(states)


class LayeredGRU(Layered, nn.GRU):
    """`nn.GRU` with a hidden size for each layer."""


class LayeredLSTM(Layered, nn.LSTM):
    """`nn.LSTM` with a hidden size for each layer."""


class LayeredRNN(Layered, nn.RNN):
    """`nn.RNN` with a hidden size for each layer."""


class HeadAttention(nn.MultiheadAttention):
    """`nn.MultiheadAttention` whose heads together may have another number of features than the inputs."""

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        is_batched = query.dim() == 3
        is_self = key is query and value is query
        turned = [self._with_batch_first(part, is_batched) for part in ((query,) if is_self else (query, key, value))]
        parts = self._projected(turned[0], *turned[1:])
        heads = [part.view(part.size(0), part.size(1), -1, self.head_dim).transpose(1, 2) for part in parts]
        mask = self._mask(key_padding_mask, attn_mask, heads[0].size(0), heads[0].dtype, is_batched)
        dropout = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = (heads[0] * self.head_dim**-0.5) @ heads[1].transpose(-2, -1)
            weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
            found = (functional.dropout(weights, dropout) if dropout else weights) @ heads[2]
            weights = weights.mean(1) if average_attn_weights else weights
            weights = weights if is_batched else weights.squeeze(0)
        else:
            found = functional.scaled_dot_product_attention(heads[0], heads[1], heads[2], mask, dropout)
        joined = self.out_proj(found.transpose(1, 2).flatten(2))
        if not is_batched:
            return joined.squeeze(0), weights
        return joined if self.batch_first else joined.transpose(0, 1), weights

    def _with_batch_first(self, value: Tensor, is_batched: bool) -> Tensor:
        if not is_batched:
            return value.unsqueeze(0)
        return value if self.batch_first else value.transpose(0, 1)

    def _projected(self, query: Tensor, *others: Tensor) -> Sequence[Tensor]:
        """Queries, keys and values of all heads: in one product where all are made of the same."""
        if self.in_proj_weight is not None and not others:
            joined = functional.linear(query, self.in_proj_weight, self.in_proj_bias)
            return tuple(joined.chunk(3, -1))
        key, value = others or (query, query)
        if self.in_proj_weight is not None:
            weights = self.in_proj_weight.chunk(3)
        else:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        biases = (None, None, None) if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        return [
            functional.linear(part, weight, bias)
            for part, weight, bias in zip((query, key, value), weights, biases, strict=True)
        ]

    def _mask(
        self, padding: Tensor | None, mask: Tensor | None, batch: int, dtype: torch.dtype, is_batched: bool
    ) -> Tensor | None:
        """What is added to the scores (batch, heads, targets, sources): minus infinity where nothing is looked at."""
        parts = []
        if mask is not None:
            parts.append(_added(mask, dtype) if mask.dim() == 2 else _added(mask, dtype).unflatten(0, (batch, -1)))
        if padding is not None:
            padding = padding if is_batched else padding.unsqueeze(0)
            parts.append(_added(padding, dtype)[:, None, None, :])
        return sum(parts[1:], parts[0]) if parts else None


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros_like(mask, dtype=dtype).masked_fill(mask, float("-inf")) if mask.dtype == torch.bool else mask


CLASSES: Mapping[type, type] = MappingProxyType(
    {nn.GRU: LayeredGRU, nn.LSTM: LayeredLSTM, nn.RNN: LayeredRNN, nn.MultiheadAttention: HeadAttention}
)
"""The class here for each of torch's."""
STOCK: Mapping[type, type] = MappingProxyType({own: stock for stock, own in CLASSES.items()})


def freed(module: nn.Module) -> None:
    """Let a recurrent or attention module of torch's class have any widths."""
    own = CLASSES.get(type(module))
    if own is not None and not _is_bound(module):
        module.__class__ = own
        if isinstance(module, HeadAttention):
            module._qkv_same_embed_dim = False  # keeps nn.TransformerEncoder from its path for torch's class


def free_all(module: nn.Module, stacks_states: bool) -> None:
    """Let all stacked recurrent layers and all attention of a module have any widths."""
    for part in module.modules():
        if not isinstance(part, nn.RNNBase) or part.num_layers > 1:
            freed(part)
        if isinstance(part, Layered) and stacks_states:
            part.stacks_states = True


def restored(module: nn.Module) -> None:
    """Let a module be of torch's class again where its sizes allow it."""
    if isinstance(module, Layered):
        if len(set(module.hidden_sizes)) == 1 and not module.starts_at_zero:
            module.__class__ = STOCK[type(module)]
    elif isinstance(module, HeadAttention):
        sizes = {weight.shape[1] for weight in _projections(module)} | {module.out_proj.weight.shape[0]}
        if module.in_proj_weight is not None and sizes == {module.num_heads * module.head_dim}:
            module._qkv_same_embed_dim = True
            module.__class__ = nn.MultiheadAttention


def resized_attention(module: nn.MultiheadAttention) -> None:
    """Bring the sizes of attention to those of its parameters."""
    query, *others = _projections(module)
    rows = query.shape[0] // (3 if module.in_proj_weight is not None else 1)
    module.num_heads = int(rows) // module.head_dim
    module.embed_dim = int(query.shape[1])
    module.kdim, module.vdim = (int(other.shape[1]) for other in others or (query, query))


def _projections(module: nn.MultiheadAttention) -> Sequence[Tensor]:
    if module.in_proj_weight is not None:
        return (module.in_proj_weight,)
    return (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)


def _is_bound(module: nn.Module) -> bool:
    """Whether a module has what the classes here do not."""
    if isinstance(module, nn.MultiheadAttention):
        return module.bias_k is not None or module.add_zero_attn
    return bool(module.proj_size)
