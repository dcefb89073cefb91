"""Explanatory variables that step where a matrix product begins another pass."""

import pytest

from edgewright.graph.types import LayerSpec
from edgewright.timing.columns import tabulate
from edgewright.timing.variables import explanatory_columns


def dense(rows: int, given: int, made: int) -> LayerSpec:
    return LayerSpec("fully_connected", ((rows, given),), ((rows, made),))


@pytest.mark.parametrize(("given", "by_128", "by_256"), [(1, 1, 1), (128, 1, 1), (129, 2, 1), (256, 2, 1), (257, 3, 2)])
def test_outputs_are_passed_over_once_for_each_piece_of_the_inputs(given: int, by_128: int, by_256: int) -> None:
    table = tabulate([dense(3, given, 10)])
    finer, coarser = explanatory_columns(table, {}, ("output_passes_by_128", "output_passes_by_256"))
    assert (finer[0], coarser[0]) == (30 * by_128, 30 * by_256)


@pytest.mark.parametrize(("rows", "passes"), [(1, 1), (12, 1), (13, 2), (25, 3)])
def test_parameters_are_passed_over_once_for_each_block_of_rows(rows: int, passes: int) -> None:
    (found,) = explanatory_columns(tabulate([dense(rows, 5, 7)]), {"rows": 14}, ("parameter_passes",))
    assert found[0] == 35 * passes
