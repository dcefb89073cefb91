"""Prediction: laws of the leaves, families never measured, and the shape of its speed."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.timing.synthetic import conv, noisy_profile, random_convs

from edgewright.graph.types import LayerSpec
from edgewright.timing import ExecutionTimeModel, fit
from edgewright.timing.columns import tabulate
from edgewright.timing.tree import Leaf, leaf_rows


@pytest.fixture(scope="module")
def model() -> ExecutionTimeModel:
    return fit(noisy_profile(random_convs(300)), max_leaves=6)


sizes = st.integers(1, 512)
layers = st.builds(conv, sizes, sizes, st.integers(1, 256), st.sampled_from([1, 3, 5, 7]))


@given(st.lists(layers, min_size=1, max_size=20))
def test_prediction_is_never_negative(model: ExecutionTimeModel, found: list[LayerSpec]) -> None:
    predicted = model.predict(found)
    assert predicted.shape == (len(found),)
    assert np.isfinite(predicted).all()
    assert (predicted >= 0).all()


@given(layers, layers)
def test_within_a_leaf_more_of_everything_takes_no_less(
    model: ExecutionTimeModel, one: LayerSpec, other: LayerSpec
) -> None:
    root = model.families["conv"].root
    grown = conv(
        max(one.input[1], other.input[1]), max(one.output[1], other.output[1]), max(one.input[2], other.input[2]),
        max(one.window.kernel[0], other.window.kernel[0]),
    )  # fmt: skip
    pair = tabulate([one, grown])
    reached = [rows.tolist() for _, rows in leaf_rows(root, pair)]
    if [0, 1] in reached:
        small, large = model.predict([one, grown])
        assert large >= small * (1 - 1e-12)


rates = st.floats(0, 1e-6)


@given(
    st.fixed_dictionaries({"macs": rates, "input_items": rates, "output_items": rates}),
    rates,
    layers,
    st.integers(1, 64),
)
def test_a_leaf_never_falls_with_width(by_name: dict, constant_s: float, layer: LayerSpec, more: int) -> None:
    leaf = Leaf(by_name, constant_s, {"out_channels": 16}, 1, 0.0)
    wider = conv(layer.input[1], layer.output[1] + more, layer.input[2], layer.window.kernel[0])
    small, large = leaf.predict(tabulate([layer, wider]))
    assert large >= small * (1 - 1e-12)


def test_order_and_mixture_do_not_matter(model: ExecutionTimeModel) -> None:
    mixed = [*random_convs(20, 3), LayerSpec("softmax", ((1, 10),), ((1, 10),)), *random_convs(20, 4)]
    together = model.predict(mixed)
    assert together.tolist() == pytest.approx([model.predict([layer])[0] for layer in mixed])
    assert model.predict(mixed[::-1])[::-1].tolist() == pytest.approx(together.tolist())


def test_what_fills_the_last_block_of_a_width_is_1_to_32() -> None:
    widths = (1, 32, 33, 48, 64)
    dense = tabulate([LayerSpec("fully_connected", ((1, 8),), ((1, width),)) for width in widths])
    windowed = tabulate([conv(8, width, 14) for width in widths])
    assert dense.column("out_features_in_last_block").tolist() == [1, 32, 1, 16, 32]
    assert windowed.column("out_channels_in_last_block").tolist() == [1, 32, 1, 16, 32]
    assert "out_channels_in_last_block" in windowed.questions


def test_no_layers_are_no_seconds(model: ExecutionTimeModel) -> None:
    assert model.predict([]).shape == (0,)


def test_families_never_measured_fall_back_and_are_named(model: ExecutionTimeModel) -> None:
    small, large = (LayerSpec("other", ((1, n),), ((1, n),), variant="Mystery") for n in (10, 10_000_000))
    small_s, large_s = model.predict([small, large])
    assert 0 <= small_s < large_s
    assert model.unmeasured([small, conv(3, 8, 8)]) == ("other",)
    assert model.predict([LayerSpec("reshape", ((4, 4),), ((16,),))])[0] == 0


def test_shapes_without_axes_are_answered(model: ExecutionTimeModel) -> None:
    odd = [LayerSpec("other", (), ()), LayerSpec("conv", ((3,),), ((4,),)), LayerSpec("unary", ((),), ((),))]
    assert np.isfinite(model.predict(odd)).all()


def test_many_layers_cost_little_more_than_few(model: ExecutionTimeModel) -> None:
    """Vectorised: fifty times the layers take far less than fifty times as long as one call a layer would."""
    few = random_convs(200)
    start = time.perf_counter()
    for layer in few:
        model.predict([layer])
    one_by_one_s = time.perf_counter() - start
    start = time.perf_counter()
    model.predict(few * 10)
    assert time.perf_counter() - start < one_by_one_s
