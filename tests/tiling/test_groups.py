"""Groups within their network."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tiling.models import chain, residual

from edgewright.errors import UnsupportedModelError
from edgewright.formats.onnx import read
from edgewright.tiling.groups import boundary, group_of, partitions


def test_what_a_group_reads_and_gives() -> None:
    group = group_of(read(residual()), ("c1", "sum"))
    assert [op.name for op in group.ops] == ["c1", "sum"]
    assert group.inputs == ("t1",)
    assert group.outputs == ("t3",)


def test_a_tensor_that_is_read_inside_and_outside_is_an_output() -> None:
    assert group_of(read(residual()), ("c0", "r0", "c1")).outputs == ("t1", "t2")


def test_a_group_that_surrounds_an_op_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="'sum'"):
        group_of(read(residual()), ("r0", "sum"))


def test_outputs_of_other_resolutions_are_cut_at_the_same_places() -> None:
    graph = read(chain((3, 1), (3, 2)))
    parts = partitions(graph, ("y0", "y1"), (5, 2))
    rows = {name: ranges[0] for name, ranges in parts.items()}
    assert rows["y1"] == [(0, 2), (2, 5), (5, 7), (7, 10), (10, 12)]
    assert rows["y0"] == [(2 * start, 2 * stop) for start, stop in rows["y1"]]


@given(st.integers(1, 500), st.data())
def test_parts_are_as_equal_as_can_be(size: int, data: st.DataObject) -> None:
    parts = data.draw(st.integers(1, size))
    cuts = [boundary(size, parts, i) for i in range(parts + 1)]
    sizes = {stop - start for start, stop in pairwise(cuts)}
    assert (cuts[0], cuts[-1]) == (0, size)
    assert sizes <= {size // parts, -(-size // parts)}
