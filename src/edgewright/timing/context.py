"""What a network adds to layers that were measured alone.

Alone, a layer finds its weights and its code in the caches. In a network all the other layers have run since, and the
weights come from further away once all of them together are more than the caches hold. How much that costs, and from
how many bytes of weights on, is learned from batches that were measured both alone and together.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from edgewright.graph.cost import layer_bytes, layer_cost
from edgewright.graph.types import ITEM_BITS, LayerSpec
from edgewright.profile import WHOLE, Profile
from edgewright.timing.tree import Seconds

CAPACITIES = tuple(float(2**power) for power in range(16, 26, 2))
"""Bytes of weights, from 64 KiB to 32 MiB, that caches are tried to hold."""
MOST = tuple(float(2**power) for power in range(16, 25, 2))
"""Bytes of a layer's weights, from 64 KiB to 16 MiB, that it is tried to wait for."""
DENSE = frozenset({"fully_connected", "matmul"})
MOST_DENSE = float(2**25)
"""Bytes of weights that caches still hold of a dense layer that is measured alone; more are cold there too."""
FEWEST = 60
"""So many layers must have been measured both ways to say anything."""


@dataclass(frozen=True)
class Context:
    """Seconds that a layer takes longer in a network: for each byte of cold weights, each byte moved, each layer.

    Weights are cold to the share that all weights of the network go beyond `capacity_bytes`, wholly at twice that.
    Layers use theirs again and again, so that no more than the first `most_bytes` are waited for (`weight_s`); dense
    ones use each once, and wait for all besides that they would find in a cache alone (`dense_weight_s`).
    """

    weight_s: float = 0.0
    dense_weight_s: float = 0.0
    moved_s: float = 0.0
    layer_s: float = 0.0
    capacity_bytes: float = 0.0
    most_bytes: float = 0.0

    def added(self, layers: Sequence[LayerSpec], weights_bytes: float | None = None) -> Seconds:
        """Seconds to add to each layer of a network of these layers, or of one whose weights have so many bytes."""
        rates = np.array([self.weight_s, self.dense_weight_s, self.moved_s, self.layer_s])
        found: Seconds = _columns(layers, self, weights_bytes) @ rates
        return found


def cold_share(weights_bytes: float, capacity_bytes: float) -> float:
    """The share of a network's weights that its caches no longer hold when a layer runs again."""
    if capacity_bytes <= 0:
        return 1.0
    return float(np.clip(weights_bytes / capacity_bytes - 1, 0, 1))


def fit_context(profile: Profile) -> Context:
    """The context of a device, by least squares on relative errors; nothing is added where too little was measured."""
    batches: dict[str, dict[LayerSpec, float]] = defaultdict(dict)
    alone: dict[str, dict[LayerSpec, float]] = defaultdict(dict)
    for measurement in profile.measurements:
        where = alone if measurement.alone else batches
        where[measurement.batch][measurement.layer] = measurement.time_s
    pairs = [_pairs(batch, alone[name]) for name, batch in batches.items()]
    pairs = [pair for pair in pairs if pair[0]]
    if sum(len(layers) for layers, _, _ in pairs) < FEWEST:
        return Context()
    best: tuple[float, Context] | None = None
    for capacity, most in product(CAPACITIES, MOST):
        sizes = Context(capacity_bytes=capacity, most_bytes=most)
        rates, loss = _fit(pairs, sizes)
        if best is None or loss < best[0]:
            weight_s, dense_weight_s, moved_s, layer_s = map(float, rates)
            best = loss, Context(weight_s, dense_weight_s, moved_s, layer_s, capacity, most)
    assert best is not None
    return best[1]


Pairs = tuple[list[LayerSpec], Seconds, Seconds]


def _pairs(batch: Mapping[LayerSpec, float], alone: Mapping[LayerSpec, float]) -> Pairs:
    """The layers of one batch, and their seconds alone and together; in all, where they were not told apart."""
    if WHOLE in batch:
        return list(alone), np.array(list(alone.values())), np.array([batch[WHOLE]])
    layers = [layer for layer in batch if layer in alone]
    return layers, np.array([alone[layer] for layer in layers]), np.array([batch[layer] for layer in layers])


def _fit(pairs: Sequence[Pairs], sizes: Context) -> tuple[NDArray[np.float64], float]:
    from edgewright.timing.leaves import robust_fit

    columns, longer, together = [], [], []
    for layers, alone_s, together_s in pairs:
        table = _columns(layers, sizes)
        is_whole = len(together_s) < len(layers)
        columns.append(table.sum(axis=0, keepdims=True) if is_whole else table)
        longer.append(together_s - (alone_s.sum(keepdims=True) if is_whole else alone_s))
        together.append(together_s)
    seconds = np.concatenate(together)
    shares = np.concatenate(columns) / seconds[:, None]
    scale = np.maximum(shares.max(axis=0), 1e-30)
    weights, loss = robust_fit(shares / scale, np.concatenate(longer) / seconds)
    return weights / scale, loss


def _columns(layers: Sequence[LayerSpec], sizes: Context, weights_bytes: float | None = None) -> NDArray[np.float64]:
    """What each rate is for, by layer: bytes of cold weights, dense ones apart, bytes of activations, the layer."""
    weights = np.array([layer_cost(layer).parameter_items * ITEM_BITS.get(layer.dtype, 32) / 8 for layer in layers])
    moved = np.array([float(layer_bytes(layer)) for layer in layers]) - weights
    cold = weights * cold_share(weights.sum() if weights_bytes is None else weights_bytes, sizes.capacity_bytes)
    dense = np.array([layer.kind in DENSE for layer in layers])
    waits = np.minimum(cold, sizes.most_bytes), np.where(dense, np.minimum(cold, MOST_DENSE), 0)
    return np.stack([*waits, moved, np.ones(len(layers))], axis=1)
