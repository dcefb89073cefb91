"""What variants weigh, even those that were hardly or never measured."""

import numpy as np

from edgewright.graph.types import LayerSpec
from edgewright.timing.columns import tabulate
from edgewright.timing.fit import cross_validate
from edgewright.timing.observations import Observations
from edgewright.timing.weights import learn_weights

ITEM_S = {"relu": 0.2e-9, "abs": 0.3e-9, "sigmoid": 0.5e-9, "erf": 0.7e-9, "softplus": 15e-9}


def unary(variant: str, items: int) -> LayerSpec:
    return LayerSpec("unary", ((1, items),), ((1, items),), variant=variant)


def observed(counts: dict[str, int]) -> Observations:
    """So many layers of each variant, which take a constant and a rate for each item, with a little noise."""
    random = np.random.default_rng(2)
    drawn = [name for name, count in counts.items() for _ in range(count)]
    layers = tuple(unary(name, int(np.exp(random.uniform(9, 14)))) for name in drawn)
    seconds = [2e-6 + ITEM_S[layer.variant] * layer.input[1] * random.normal(1, 0.03) for layer in layers]
    return Observations(layers, np.array(seconds), np.ones(len(layers)))


COMMON = {"relu": 80, "abs": 60, "sigmoid": 50, "erf": 40}


def test_a_variant_of_a_single_layer_weighs_what_that_layer_tells() -> None:
    family = observed(COMMON | {"softplus": 1})
    weights = learn_weights(tabulate(family.layers), family.seconds, np.arange(len(family.layers)))
    ratio = weights["variant", "softplus"] / weights["variant", "erf"]
    assert 10 < ratio < 60


def test_a_slow_variant_of_few_layers_is_not_taken_for_a_fast_one() -> None:
    family = observed(COMMON | {"softplus": 4})
    ratios = cross_validate(family).unseen_s / family.seconds
    rare = np.array([layer.variant == "softplus" for layer in family.layers])
    assert ((ratios[rare] > 1 / 3) & (ratios[rare] < 3)).all()


def test_a_variant_that_was_never_weighed_is_one_of_the_usual() -> None:
    weights = {("variant", "relu"): 0.1, ("variant", "abs"): 0.3, ("variant", "softplus"): 1.0, ("fused", "relu"): 0.2}
    table = tabulate([unary("relu", 100), unary("mystery", 100)])
    assert list(table.with_work(weights).column("work")) == [10.0, 30.0]


def test_what_knows_of_no_variant_has_no_work_for_it() -> None:
    plain = tabulate([LayerSpec("fully_connected", ((1, 8),), ((1, 8),), fused=("relu",))])
    assert list(plain.with_work({("fused", "relu"): 0.5}).column("work")) == [4.0]
    assert list(plain.with_work({("variant", "x"): 0.5}).column("work")) == [0.0]
