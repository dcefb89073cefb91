"""The law of the edit script on random TFLite networks, and equal outputs on LiteRT."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.tflite_networks import feed, networks, run
from tests.tiling.draws import plans

from edgewright.formats.tflite import edited, read
from edgewright.graph.edits import Edit, apply
from edgewright.graph.naming import named_after_outputs
from edgewright.graph.padding import same_or_valid
from edgewright.tiling.lower import lower

SLOW = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def check(model: bytes, script: list[Edit] | tuple[Edit, ...]) -> bytes:
    """The model after the script, for which the law and the equality of outputs hold."""
    result = edited(model, script)
    assert read(result) == named_after_outputs(apply(read(model), script))
    inputs = feed(model)
    for kernels in ("reference", "xnnpack"):
        for before, after in zip(run(model, inputs, kernels), run(result, inputs, kernels), strict=True):
            if before.dtype == np.float32:
                scale = float(np.abs(before).max(initial=1.0))
                np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5 * scale)
            else:
                np.testing.assert_array_equal(after, before)
    return result


@pytest.mark.parametrize("style", ["float", "float16", "int8", "int16"])
def test_tiled_networks(style: str) -> None:
    @SLOW
    @given(networks(style), st.data())
    def holds(model: bytes, data: st.DataObject) -> None:
        graph = read(model)
        plan = data.draw(plans(graph, expresses=same_or_valid))
        assume(plan.groups)
        check(model, lower(graph, plan, False, same_or_valid))

    holds()


@settings(max_examples=30)
@given(networks())
def test_no_edits_change_nothing(model: bytes) -> None:
    assert read(edited(model, [])) == read(model)
