"""The explanation as data, and that it draws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.timing.synthetic import conv, noisy_profile, random_convs, staircase_s

from edgewright.errors import EdgewrightError
from edgewright.graph.types import LayerSpec
from edgewright.profile import Measurement, Profile
from edgewright.report.html import page
from edgewright.report.view import Part, Subject, explanation, rule_errors, shape_text, shared_out
from edgewright.timing import ExecutionTimeModel, fit


@pytest.fixture(scope="module")
def model() -> ExecutionTimeModel:
    return fit(noisy_profile(random_convs(250), noise=0.005), max_leaves=8)


LAYERS = (conv(32, 33, 28), conv(32, 64, 28), LayerSpec("softmax", ((1, 10),), ((1, 10),)))


def subject(measured: bool = True) -> Subject:
    times = [staircase_s(layer) if layer.kind == "conv" else 1e-6 for layer in LAYERS]
    parts = tuple(
        Part(f"k{index}", (f"op{index}",), layer, time_s if measured else None)
        for index, (layer, time_s) in enumerate(zip(LAYERS, times, strict=True))
    )
    return Subject("a/net.onnx", "dev", parts, sum(times) + 1e-6 if measured else None, 1e-6)


def test_sums_shares_and_misses(model: ExecutionTimeModel) -> None:
    found = explanation(subject(), model)
    assert found.predicted_s == pytest.approx(1e-6 + sum(layer.predicted_s for layer in found.layers))
    assert sum(layer.share for layer in found.layers) < 1
    assert sum(kind.share for kind in found.kinds) == pytest.approx(sum(layer.share for layer in found.layers))
    assert found.miss_percent is not None
    assert abs(found.miss_percent) < 10
    assert found.layer_miss_percent is not None
    assert found.layer_miss_percent < 10
    assert [kind.kind for kind in found.kinds] == ["conv", "softmax"]


def test_a_width_at_the_end_of_its_step_is_left_alone(model: ExecutionTimeModel) -> None:
    found = explanation(
        Subject("m", "d", (Part("a", (), conv(31, 64, 28)), Part("b", (), conv(32, 64, 28))), None), model
    )
    assert [layer.advice for layer in found.layers] == [None, None]
    assert found.advised == ()


def test_a_width_on_a_bad_step_is_advised() -> None:
    widths = range(8, 73)
    layers = [conv(32, width, 28) for width in widths]
    times = [(4e-4 if width % 8 else 2e-4) for width in widths]
    profile = Profile("d", "", "", 1, tuple(Measurement(a, (b,)) for a, b in zip(layers, times, strict=True)))
    part = Part("k", (), conv(32, 30, 28))
    (found,) = explanation(Subject("m", "d", (part,), None), fit(profile)).advised
    assert found.advice is not None
    assert found.advice.faster_width % 8 == 0
    assert found.advice.saves_s == pytest.approx(2e-4, rel=0.1)


def test_what_was_never_measured_is_told(model: ExecutionTimeModel) -> None:
    found = explanation(subject(), model)
    assert any("softmax" in note for note in found.notes)
    assert rule_errors(model, LAYERS)[2] is None
    assert all(error is not None and error < 0.2 for error in rule_errors(model, LAYERS)[:2])


def test_without_a_measurement_shares_are_of_the_prediction(model: ExecutionTimeModel) -> None:
    found = explanation(subject(measured=False), model)
    assert found.miss_percent is found.layer_miss_percent is found.measured_s is None
    assert sum(layer.share for layer in found.layers) == pytest.approx(1 - 1e-6 / found.predicted_s)


def test_the_named_layer_is_drawn(model: ExecutionTimeModel) -> None:
    assert explanation(subject(), model, layer="op1").stairs == explanation(subject(), model, layer="k1").stairs
    with pytest.raises(EdgewrightError, match="nothing"):
        explanation(subject(), model, layer="nothing")
    softmax = Subject("m", "d", (Part("s", (), LAYERS[2]),), None)
    assert explanation(softmax, model).stairs is None


def test_names_can_not_break_the_page(model: ExecutionTimeModel) -> None:
    part = Part("k<script>", ('"><script>alert(1)</script>',), LAYERS[0], 1e-4)
    html = page(explanation(Subject("<b>.onnx", "dev", (part,), 1e-4), model, rules=True))
    assert "<script" not in html
    assert "&lt;b&gt;.onnx" in html


def test_an_empty_network_draws(model: ExecutionTimeModel) -> None:
    found = explanation(Subject("m.onnx", "d", (), 1e-6, 1e-6), model)
    assert found.layers == ()
    assert "m.onnx" in page(found)


@given(st.lists(st.floats(1e-7, 1.0), max_size=20), st.floats(1e-6, 1.0))
def test_shared_out_times_sum_to_the_whole(profiled_s: list[float], whole_s: float) -> None:
    found = shared_out(profiled_s, whole_s)
    assert all(time_s >= 0 for time_s in found)
    assert sum(found) == pytest.approx(whole_s if profiled_s else 0.0)


def test_shape_text() -> None:
    assert shape_text(conv(32, 64, 28)) == "32x28x28 to 64x28x28, 3x3"
    assert shape_text(LayerSpec("fully_connected", ((4, 10),), ((4, 5),))) == "4x10 to 4x5"
    assert shape_text(LayerSpec("other", (), ((),))) == "1 to 1"
