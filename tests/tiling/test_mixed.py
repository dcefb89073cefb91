"""Which tensors strips of mixed halos compute again."""

import numpy as np
import pytest
from tests.tiling.models import chain, quantized, residual
from tests.tiling.test_lower import check, names

from edgewright.formats.onnx import read
from edgewright.graph.edits import apply
from edgewright.tiling.lower import lower
from edgewright.tiling.mixed import computed_again
from edgewright.tiling.plan import FusedGroup, TilingPlan
from edgewright.tiling.rates import network_macs


def test_wide_tensors_read_with_a_halo() -> None:
    """Not what a pooling makes, which is narrow, nor what it reads, which has no halo."""
    assert computed_again(read(chain((3, 1), (3, 1), "pool", (3, 1))), 4) == {"y0"}


def test_rows_that_take_longer_to_make_than_to_carry_are_carried() -> None:
    """The lower the strips, the more of their rows are computed again."""
    wide = read(chain((3, 1), (3, 1), channels=64, size=64))
    assert computed_again(wide, 4) == {"y0"}
    assert not computed_again(wide, 40)


def test_what_a_stride_makes_narrow_is_carried_and_what_another_halo_needs_is_not() -> None:
    """Behind a convolution with a stride lies a quarter of what it reads; one of twice the channels is made again."""
    narrow = read(chain((3, 1), (3, 2), (3, 1)))
    assert computed_again(narrow, 4) == {"y0"}


def test_what_two_ops_read_is_carried() -> None:
    again = computed_again(read(residual()), 4)
    assert again.isdisjoint({"t1", "y"})
    assert "t0" not in again


def test_integers_are_carried() -> None:
    assert not computed_again(read(quantized(np.uint8)), 4)


@pytest.mark.parametrize("count", (3, 6))
def test_fewer_ops_for_a_few_operations_more(count: int) -> None:
    model = chain((3, 1), (3, 1), "pool", (3, 1), (3, 1), size=48)
    graph = read(model)
    carried, mixed = (
        apply(graph, lower(graph, TilingPlan((FusedGroup(names(graph), (count, 1), halo),))))
        for halo in ("carry", "mixed")
    )
    assert len(mixed.ops) < len(carried.ops)
    assert network_macs(carried) == network_macs(graph) < network_macs(mixed)
    check(model, graph, TilingPlan((FusedGroup(names(graph), (count, 1), "mixed"),)), 1e-5)
