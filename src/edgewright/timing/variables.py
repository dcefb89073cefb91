"""Explanatory variables of a layer: operations, memory and parameters, on dimensions rounded up to found blocks."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgewright.graph.cost import GATES, POOLS, cost
from edgewright.timing.columns import Column, Table

Blocks = Mapping[str, int]

CHANNEL_BLOCKS: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
WIDTH_BLOCKS: tuple[int, ...] = (1, 4, 6, 8, 14, 16)
ROW_BLOCKS: tuple[int, ...] = (1, 2, 4, 6, 8, 12)


@dataclass(frozen=True)
class Basis:
    """What the leaves of one kind compute with.

    `variables` are the names of the explanatory variables, `blocks` the candidate block sizes of each dimension that
    a runtime may round up, and `tied` the dimensions that are rounded with another one.
    """

    variables: tuple[str, ...]
    blocks: Mapping[str, tuple[int, ...]]
    tied: Mapping[str, str]
    grouped: bool = False


def basis_of(kind: str) -> Basis:
    """The explanatory variables and block candidates of a kind."""
    if kind in GATES:
        return _RECURRENT
    return _BASES.get(kind, _PLAIN)


def explanatory_columns(table: Table, blocks: Blocks, variables: tuple[str, ...]) -> list[Column]:
    """The named explanatory variables of every layer, as columns, on dimensions rounded up to `blocks`."""
    columns = dict(table.columns)
    basis = basis_of(table.kind)
    for name, column in table.columns.items():
        block = blocks.get(basis.tied.get(name, name), 1)
        if block > 1:
            apart = basis.grouped and name.endswith("channels")
            columns[name] = round_up(column, block, table.columns["groups"] if apart else None)
    needs = cost(table.kind, columns)
    found = []
    for variable in variables:
        if variable == "inside_macs":
            found.append(needs.macs * table.inside_share)
        elif variable == "group_calls":
            found.append(columns["batch"] * columns["groups"])
        elif variable == "output_rows":
            found.append(output_rows(columns))
        elif variable == "moved_items":
            found.append(needs.input_items + needs.operand_items + needs.output_items + needs.parameter_items)
        else:
            found.append(getattr(needs, variable) if hasattr(needs, variable) else columns[variable])
    return found


def output_rows(columns: Mapping[str, Column]) -> Column:
    """Rows of the output: batch x channels x height."""
    batch = columns["out_batch"] if "out_batch" in columns else columns["batch"]
    return batch * columns["out_channels"] * columns["out_height"]


def round_up(column: Column, block: int, groups: Column | None = None) -> Column:
    """Each value rounded up to a multiple of `block`, for each group of channels by itself."""
    if groups is None:
        return np.ceil(column / block) * block
    return np.ceil(column / groups / block) * block * groups


_MAPS = ("macs", "input_items", "output_items", "operand_items", "output_rows")
_CHANNELS: Mapping[str, tuple[int, ...]] = {"out_channels": CHANNEL_BLOCKS}
_WIDTH: Mapping[str, tuple[int, ...]] = {"out_width": WIDTH_BLOCKS}
_TIED = {"in_channels": "out_channels"}
_CONVOLUTION = Basis(
    (*_MAPS, "inside_macs", "parameter_items", "unrolled_items", "group_calls"),
    {"in_channels": CHANNEL_BLOCKS, **_CHANNELS, **_WIDTH},
    {},
    grouped=True,
)
_POOL = Basis(_MAPS, {**_CHANNELS, **_WIDTH}, _TIED)
_RECURRENT = Basis(
    ("macs", "input_items", "output_items", "parameter_items", "steps"),
    {"hidden": CHANNEL_BLOCKS, "in_features": CHANNEL_BLOCKS},
    {},
)
_PLAIN = Basis(_MAPS, {**_CHANNELS, **_WIDTH}, {**_TIED, "in_width": "out_width"})
_BASES: Mapping[str, Basis] = {
    "conv": _CONVOLUTION,
    "transposed_conv": _CONVOLUTION,
    "depthwise_conv": Basis(
        (*_MAPS, "inside_macs", "parameter_items"), {**_CHANNELS, **_WIDTH}, {**_TIED, "groups": "out_channels"}
    ),
    **dict.fromkeys(POOLS, _POOL),
    "fully_connected": Basis(
        ("macs", "input_items", "output_items", "parameter_items"),
        {"in_features": CHANNEL_BLOCKS, "out_features": CHANNEL_BLOCKS, "rows": ROW_BLOCKS},
        {},
    ),
    "matmul": Basis(
        ("macs", "input_items", "output_items", "operand_items"),
        {"inner": CHANNEL_BLOCKS, "columns": CHANNEL_BLOCKS, "rows": ROW_BLOCKS},
        {},
    ),
}
