"""Learning: a known staircase is found again, folds do not leak, and small or odd profiles are answered sensibly."""

from dataclasses import replace

import numpy as np
import pytest
from tests.timing.synthetic import conv, noisy_profile, random_convs, staircase_s

from edgewright.errors import DataError
from edgewright.graph.types import LayerSpec
from edgewright.profile import Measurement, Profile
from edgewright.timing import ExecutionTimeModel, evaluate, fit
from edgewright.timing.fit import folds_of, observations
from edgewright.timing.splits import AtMost, MultipleOf
from edgewright.timing.tree import leaves, paths


@pytest.fixture(scope="module")
def golden() -> ExecutionTimeModel:
    return fit(noisy_profile(random_convs(700)), max_leaves=8)


def test_the_known_splits_are_found(golden: ExecutionTimeModel) -> None:
    splits = {split for path, _ in paths(golden.families["conv"].root) for split, _ in path}
    assert MultipleOf("in_channels", 4) in splits
    few = [s.threshold for s in splits if isinstance(s, AtMost) and s.column.startswith("in_channels")]
    assert any(12 <= threshold < 13 for threshold in few)


def test_the_known_block_is_found(golden: ExecutionTimeModel) -> None:
    blocked = [
        leaf
        for path, leaf in paths(golden.families["conv"].root)
        if (MultipleOf("in_channels", 4), True) in path and (AtMost("in_channels", 12.0), False) in path
    ]
    assert blocked
    assert all(leaf.blocks.get("out_channels") == 16 for leaf in blocked)


def test_error_is_near_the_noise(golden: ExecutionTimeModel) -> None:
    errors = golden.held_out()["conv"]
    assert errors.mape_percent < 4
    unseen = random_convs(200, seed=5)
    truth = np.array([staircase_s(layer) for layer in unseen])
    assert np.abs(golden.predict(unseen) / truth - 1).mean() < 0.02
    assert abs(golden.predict(unseen).sum() / truth.sum() - 1) < 0.02


def test_steps_are_predicted_where_they_are(golden: ExecutionTimeModel) -> None:
    at = golden.predict([conv(32, made, 28) for made in (33, 40, 48, 49, 64)])
    assert at[0] == pytest.approx(at[2])
    assert at[3] == pytest.approx(at[4])
    assert at[3] / at[2] == pytest.approx(64 / 48, rel=0.03)


def test_leaves_stay_within_the_limit() -> None:
    profile = noisy_profile(random_convs(250))
    for limit in (1, 3, 5):
        tree = fit(profile, max_leaves=limit).families["conv"]
        assert len(leaves(tree.root)) <= limit
        assert tree.held_out is not None
        assert tree.held_out.leaves == len(leaves(tree.root))


def test_noise_alone_grows_no_tree() -> None:
    layers = [layer for layer in random_convs(200) if layer.input[1] > 12 and layer.input[1] % 4 == 0]
    tree = fit(noisy_profile(layers, noise=0.05)).families["conv"]
    assert len(leaves(tree.root)) <= 3


def test_the_same_profile_gives_the_same_model() -> None:
    profile = noisy_profile(random_convs(120))
    assert fit(profile, max_leaves=4) == fit(profile, max_leaves=4)


def test_evaluate_agrees_with_fit() -> None:
    profile = noisy_profile(random_convs(150))
    assert (
        evaluate(profile, max_leaves=4)["conv"].mape_percent
        == fit(profile, max_leaves=4).held_out()["conv"].mape_percent
    )


def test_repeated_layers_are_one_observation_and_unstable_ones_give_way() -> None:
    layer = conv(8, 8, 7)
    samples = [(1.0, True), (3.0, True), (9.0, False)]
    found = observations(Profile("d", "r", "1", 1, tuple(Measurement(layer, (s,), stable=ok) for s, ok in samples)))
    assert found["conv"].layers == (layer,)
    assert found["conv"].seconds.tolist() == [2.0]
    shaky = Profile("d", "r", "1", 1, (Measurement(layer, (9.0,), stable=False),))
    assert observations(shaky)["conv"].seconds.tolist() == [9.0]


def test_folds_partition_the_rows() -> None:
    folds = folds_of(23, seed=3)
    assert sorted(row for _, tested in folds for row in tested) == list(range(23))
    assert all(not set(learned) & set(tested) for learned, tested in folds)


def test_families_of_other_precision_are_apart() -> None:
    floats = noisy_profile(random_convs(40))
    quantized = tuple(
        replace(m, layer=replace(m.layer, dtype="uint8"), samples_s=(m.samples_s[0] / 3,)) for m in floats.measurements
    )
    model = fit(replace(floats, measurements=floats.measurements + quantized), max_leaves=2)
    assert set(model.families) == {"conv", "conv_int8"}
    layer = conv(64, 64, 28)
    float_s, byte_s = model.predict([layer, replace(layer, dtype="int8")])
    assert byte_s < float_s / 2


def test_only_what_changed_is_learned_anew() -> None:
    floats, slower = noisy_profile(random_convs(60)), noisy_profile(random_convs(60, seed=1))
    quantized = tuple(replace(m, layer=replace(m.layer, dtype="uint8")) for m in slower.measurements)
    profile = replace(floats, measurements=floats.measurements + quantized)
    earlier = fit(profile, max_leaves=2)
    more = replace(profile, measurements=profile.measurements + noisy_profile(random_convs(60, seed=2)).measurements)
    found = fit(more, max_leaves=2, earlier=earlier, changed=("conv",))
    assert found.families["conv"] == fit(more, max_leaves=2).families["conv"] != earlier.families["conv"]
    assert found.families["conv_int8"] is earlier.families["conv_int8"]


def test_few_measurements_scale_the_fallback() -> None:
    base = noisy_profile(random_convs(60))
    one = Measurement(LayerSpec("lstm", ((10, 1, 64),), ((10, 1, 1, 64),)), (1e-3,))
    model = fit(replace(base, measurements=(*base.measurements, one)), max_leaves=2)
    assert model.families["lstm"].held_out is None
    assert model.predict([one.layer])[0] == pytest.approx(1e-3)


def test_a_profile_without_measurements_is_refused() -> None:
    with pytest.raises(DataError, match="no measurement"):
        fit(Profile("empty", "r", "1", 1))


def test_a_single_measurement_is_enough_to_answer() -> None:
    layer = conv(8, 8, 7)
    model = fit(Profile("d", "r", "1", 1, (Measurement(layer, (5e-5,)),)))
    assert model.predict([layer])[0] == pytest.approx(5e-5)
