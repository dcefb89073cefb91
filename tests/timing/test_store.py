"""The JSON document of a model: it survives the round trip, and anything broken in it is refused."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.timing.synthetic import noisy_profile, random_convs

from edgewright.errors import StoreError
from edgewright.graph.types import LayerSpec
from edgewright.profile import Measurement, Profile
from edgewright.timing import ExecutionTimeModel, fit


@pytest.fixture(scope="module")
def model() -> ExecutionTimeModel:
    return fit(noisy_profile(random_convs(200)), max_leaves=5)


def test_round_trip(model: ExecutionTimeModel) -> None:
    again = ExecutionTimeModel.from_json(model.to_json())
    assert again == model
    layers = random_convs(50, 9)
    assert np.array_equal(again.predict(layers), model.predict(layers))
    assert again.to_json() == model.to_json()


def test_questions_about_the_walk_of_a_transpose_survive() -> None:
    random = np.random.default_rng(0)
    measured = []
    for rows, items in random.integers(2, 300, (80, 2)).tolist():
        layer = LayerSpec("transpose", ((rows, items),), ((items, rows),), variant="1-0")
        slow = 1 if rows > 100 else 4
        measured.append(Measurement(layer, (1e-5 + 1e-9 * slow * rows * items,), 1))
    model = fit(Profile("device", "litert", "2", 1, tuple(measured)), max_leaves=4)
    again = ExecutionTimeModel.from_json(model.to_json())
    assert again == model
    assert "side by side after over" in model.rules() or "written one after the other over" in model.rules()


def test_models_of_the_first_version_are_read(model: ExecutionTimeModel) -> None:
    leaf = {"seconds_per": {"ragged_items": 2e-9, "copies": 1e-8}, "constant_s": 1e-6, "blocks": {"out_channels": 8}}
    family: dict[str, Any] = {
        "kind": "slice",
        "held_out": None,
        "weights": [],
        "tree": {**leaf, "support": 9, "error": 0.1},
    }
    document = json.loads(model.to_json()) | {"schema_version": 1}
    document["families"]["slice"] = family
    sliced = LayerSpec("slice", ((7, 10, 1),), ((7, 5, 1),))
    assert ExecutionTimeModel.from_json(json.dumps(document)).predict([sliced])[0] == pytest.approx(
        1e-6 + 7e-8 + 2e-9 * 7 * 8
    )


def change(document: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = value


TREE = ("families", "conv", "tree")


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("schema_version",), 99, "version 99"),
        (("schema_version",), "1", "not an execution-time model"),
        (("format",), "something else", "not an execution-time model"),
        (("families",), [], "no attribute|not"),
        (("families", "conv", "kind"), "convolution", "no such kind"),
        ((*TREE, "if"), {"column": "in_channels", "at_most": "12"}, "not a number"),
        ((*TREE, "if"), {"column": "__class__", "at_most": 12}, "no such column"),
        ((*TREE, "if"), {"column": "in_channels", "multiple_of": 2.5}, "not a count"),
        ((*TREE, "then"), None, "not"),
        ((*TREE, "support"), -1, "not a count"),
        (("fallbacks", "any", "constant_s"), -1e-6, "negative"),
        (("fallbacks", "any", "constant_s"), float("nan"), "not a number"),
        (("fallbacks", "any", "seconds_per"), {"magic": 1.0}, "no such column"),
        (("fallbacks", "any", "blocks"), {"out_channels": 16}, "no such column"),
        (("threads",), None, "not a count"),
        (("device",), 7, "not a text"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(model: ExecutionTimeModel, path: tuple, value: Any, told: str) -> None:
    document = json.loads(model.to_json())
    change(document, path, value)
    with pytest.raises(StoreError, match=told) as caught:
        ExecutionTimeModel.from_json(json.dumps(document), "dev.json")
    assert str(caught.value).startswith("dev.json: ")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", "{}", '{"schema_version": 1}', "[" * 100_000])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(StoreError):
        ExecutionTimeModel.from_json(text)


@settings(max_examples=60)
@given(st.data())
def test_every_missing_key_is_noticed(model: ExecutionTimeModel, data: st.DataObject) -> None:
    document = json.loads(model.to_json())
    place, path = document, []
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        path.append(key)
        if not isinstance(place[key], dict) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    optional = {"seconds_per", "families", "blocks"}
    if path[-2:-1] and path[-2] in optional:
        return
    del place[key]
    with pytest.raises(StoreError):
        ExecutionTimeModel.from_json(json.dumps(document))
