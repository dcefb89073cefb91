"""What a network adds to its layers is found from layers measured alone and together."""

import numpy as np
import pytest

from edgewright.graph.cost import layer_bytes, layer_cost
from edgewright.graph.types import LayerSpec
from edgewright.profile import Measurement, Profile
from edgewright.profiling.draws import draw
from edgewright.timing import fit
from edgewright.timing.context import MOST_DENSE, Context, cold_share, fit_context
from edgewright.timing.model import ExecutionTimeModel

TRUE = Context(8e-11, dense_weight_s=2e-11, moved_s=3e-12, layer_s=2e-6, capacity_bytes=2.0**20, most_bytes=2.0**20)


def both_ways(batches: int, noise: float) -> Profile:
    """Batches of convolutions and fully connected layers, alone and as a network of the true context."""
    random = np.random.default_rng(5)
    found = []
    for batch in range(batches):
        families = random.choice(["conv", "fully_connected"], int(random.choice((2, 6, 16))))
        layers = list(dict.fromkeys(draw(random, str(family)) for family in families))
        alone_s = np.array([1e-5 + 1e-11 * float(layer_cost(layer).macs) for layer in layers])
        together_s = (alone_s + TRUE.added(layers)) * random.normal(1, noise, len(layers))
        for layer, alone, together in zip(layers, alone_s, together_s, strict=True):
            found.append(Measurement(layer, (float(alone),), batch=f"p/{batch}"))
            found.append(Measurement(layer, (float(together),), alone=False, batch=f"p/{batch}"))
    return Profile("here", "fake", "0", 1, tuple(found))


def test_the_true_context_is_found_in_spite_of_noise() -> None:
    found = fit_context(both_ways(40, 0.02))
    assert found.weight_s == pytest.approx(TRUE.weight_s, rel=0.2)
    assert found.dense_weight_s == pytest.approx(TRUE.dense_weight_s, rel=0.2)
    assert found.layer_s == pytest.approx(TRUE.layer_s, rel=0.3)
    assert TRUE.capacity_bytes / 4 <= found.capacity_bytes <= TRUE.capacity_bytes * 4


def test_too_few_layers_say_nothing() -> None:
    assert fit_context(both_ways(3, 0.0)) == Context()


def test_weights_are_cold_to_the_share_that_they_outgrow_the_caches() -> None:
    shares = [cold_share(weights, 100.0) for weights in (0, 100, 150, 200, 1000)]
    assert shares == [0, 0, 0.5, 1, 1]
    assert cold_share(1.0, 0.0) == 1


@pytest.mark.parametrize(("side", "waited"), [(2048, 4 * 2048**2), (8192, MOST_DENSE)], ids=["cached", "cold alone"])
def test_what_is_added_follows_from_weights_and_bytes_moved(side: int, waited: float) -> None:
    layer = LayerSpec("fully_connected", ((1, side),), ((1, side),))
    weights = 4 * side * side
    expected = TRUE.weight_s * TRUE.most_bytes + TRUE.dense_weight_s * waited
    expected += TRUE.moved_s * (layer_bytes(layer) - weights) + TRUE.layer_s
    assert TRUE.added([layer])[0] == pytest.approx(expected)
    assert Context().added([layer])[0] == 0


def test_only_layers_alone_are_learned_from_and_the_context_is_kept() -> None:
    learned = fit(both_ways(20, 0.0))
    again = ExecutionTimeModel.from_json(learned.to_json())
    assert again.context == learned.context != Context()
    layers = [LayerSpec("fully_connected", ((1, 1000),), ((1, 1000),))]
    assert learned.predict(layers)[0] == pytest.approx(2e-5, rel=0.05)
    assert learned.predict_network(layers)[0] == learned.predict(layers)[0] + learned.context.added(layers)[0]
