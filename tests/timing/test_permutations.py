"""How transposes walk through memory, against what numpy's own transpose does to the places of the items."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgewright.graph.types import LayerSpec
from edgewright.timing.columns import tabulate


def transposed(shape: tuple[int, ...], perm: tuple[int, ...]) -> LayerSpec:
    return LayerSpec("transpose", (shape,), (tuple(shape[axis] for axis in perm),), variant="-".join(map(str, perm)))


@st.composite
def transposes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rank = draw(st.integers(1, 5))
    return tuple(draw(st.lists(st.integers(2, 5), min_size=rank, max_size=rank))), tuple(
        draw(st.permutations(range(rank)))
    )


@given(transposes())
def test_runs_stay_together_and_their_steps_are_those_of_the_items(
    drawn: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    shape, perm = drawn
    table = tabulate([transposed(shape, perm)])
    run, read_row, written_row, read_step, write_step = (
        int(table.column(name)[0]) for name in ("run_items", "read_row", "written_row", "read_step", "write_step")
    )
    source = np.arange(np.prod(shape)).reshape(shape).transpose(perm).ravel()
    place = np.argsort(source)
    assert (np.diff(source.reshape(-1, run)) == 1).all()
    if run == source.size:
        assert read_row == written_row == 1
        return
    starts, landings = source[::run], place[::run]
    assert (np.diff(starts[:written_row]) == read_step).all()
    assert (np.diff(landings[:read_row]) == write_step).all()
    assert source.size % (run * read_row) == source.size % (run * written_row) == 0


def test_a_matrix_is_read_and_written_in_rows() -> None:
    table = tabulate([transposed((4, 6), (1, 0)), transposed((3, 4, 5), (1, 0, 2))])
    names = ("run_items", "read_row", "written_row", "read_step", "write_step")
    assert [[table.column(name)[row] for name in names] for row in (0, 1)] == [[1, 6, 4, 6, 4], [5, 4, 3, 20, 15]]


def test_what_is_no_permutation_moves_as_single_items() -> None:
    odd = LayerSpec("transpose", ((4, 6),), ((6, 4),), variant="1-0-2")
    assert tabulate([odd]).column("write_step").tolist() == [1]


def test_copies_take_whole_blocks() -> None:
    from edgewright.timing.variables import explanatory_columns

    narrow, wide = (LayerSpec("slice", ((8, 100, 1),), ((8, kept, 1),)) for kept in (20, 64))
    found = explanatory_columns(tabulate([narrow, wide]), {}, ("copies", "copied_by_16", "copied_by_64"))
    assert [column.tolist() for column in found] == [[8, 8], [8 * 32, 8 * 64], [8 * 64, 8 * 64]]
