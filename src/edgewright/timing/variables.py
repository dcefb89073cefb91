"""Explanatory variables of a layer: operations, memory and parameters, on dimensions rounded up to found blocks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgewright.graph.cost import GATES, POOLS, Cost, cost
from edgewright.timing.columns import Column, Table

Blocks = Mapping[str, int]
Composed = Callable[[Table, Mapping[str, Column], Cost], Any]

CHANNEL_BLOCKS: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
WIDTH_BLOCKS: tuple[int, ...] = (1, 4, 6, 8, 14, 16)
VECTOR_BLOCKS: tuple[int, ...] = (1, 4, 8, 16, 32, 64)
TILE_BLOCKS: tuple[int, ...] = (1, 4, 8, 16, 32)
PASS = 64
PIXEL_BLOCK = 16
"""Matrix products take the pixels of a map in blocks, so that small maps waste the most."""
INNER_PASSES = (128, 256)
"""Matrix products take the inner dimension in pieces like these, and add to every output once for each."""
ROW_PASS = 12
"""Rows that a matrix product computes at once, passing over all parameters once for them."""
PARTLY_READ = frozenset({"slice", "gather"})
"""Of their input they read no more than they write."""
ROW_BLOCKS: tuple[int, ...] = (1, 2, 4, 6, 7, 8, 12, 14)


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
    for name in variables:
        if name == "single_macs":
            found.append(needs.macs / table.columns["out_width"] * single_outputs(table, blocks.get("out_width", 1)))
        else:
            found.append(_variable(name, table, columns, needs))
    return found


def _variable(name: str, table: Table, columns: Mapping[str, Column], needs: Cost) -> Column:
    base, _, beyond = name.partition(">")
    if beyond:
        return np.maximum(_variable(base, table, columns, needs) - float(beyond), 0)
    if name in _COMPOSED:
        return np.asarray(_COMPOSED[name](table, columns, needs))
    return np.asarray(getattr(needs, name)) if hasattr(needs, name) else columns[name]


def single_outputs(table: Table, block: int) -> Column:
    """Outputs of a row that a runtime computes one by one: those that see padding, and what no whole block holds."""
    columns = table.columns
    stride, made = columns["stride_w"], columns["out_width"]
    extent = (columns["kernel_w"] - 1) * columns["dilation_w"] + 1
    left = np.minimum(np.ceil(columns["pad_left"] / stride), made)
    whole = np.floor((columns["in_width"] + columns["pad_left"] - extent) / stride) + 1
    interior = np.clip(np.minimum(whole, made) - left, 0, made)
    single: Column = made - np.floor(interior / block) * block
    return single


def output_rows(columns: Mapping[str, Column]) -> Column:
    """Rows of the output: batch x channels x height."""
    batch = columns["out_batch"] if "out_batch" in columns else columns["batch"]
    return batch * columns["out_channels"] * columns["out_height"]


def input_rows(columns: Mapping[str, Column]) -> Column:
    """Rows of the input: batch x channels x height."""
    return columns["batch"] * columns["in_channels"] * columns["in_height"]


def _overhang(columns: Mapping[str, Column]) -> Column:
    """How much larger a map is, taken as one row, once it is rounded up to whole blocks of pixels: at least 1."""
    pixels = columns["out_height"] * columns["out_width"]
    share: Column = round_up(pixels, PIXEL_BLOCK) / pixels
    return share


def _inner_passes(piece: int) -> Composed:
    """Output items, each time they are added to where `piece` input features are taken at a time."""
    return lambda table, columns, needs: needs.output_items * np.ceil(columns["in_features"] / piece)


def _runs(columns: Mapping[str, Column], needs: Cost) -> Column:
    """Pieces that a transpose moves whole."""
    runs: Column = needs.output_items / columns["run_items"]
    return runs


def _copied(table: Table, block: int) -> Column:
    """Items copied, where each contiguous piece takes whole blocks."""
    return table.column("copies") * round_up(table.column("copied_items"), block)


def round_up(column: Column, block: int, groups: Column | None = None) -> Column:
    """Each value rounded up to a multiple of `block`, for each group of channels by itself."""
    if groups is None:
        return np.ceil(column / block) * block
    return np.ceil(column / groups / block) * block * groups


_COMPOSED: Mapping[str, Composed] = {
    **{f"output_passes_by_{piece}": _inner_passes(piece) for piece in INNER_PASSES},
    "parameter_passes": lambda table, columns, needs: needs.parameter_items * np.ceil(table.columns["rows"] / ROW_PASS),
    "inside_macs": lambda table, columns, needs: needs.macs * table.inside_share,
    "group_calls": lambda table, columns, needs: columns["batch"] * columns["groups"],
    "pixel_block_macs": lambda table, columns, needs: needs.macs * _overhang(columns),
    "ragged_items": lambda table, columns, needs: (
        needs.output_items * (columns["out_height"] * columns["out_width"] % PIXEL_BLOCK != 0)
    ),
    "input_rows": lambda table, columns, needs: input_rows(columns),
    "copied_by_16": lambda table, columns, needs: _copied(table, 16),
    "copied_by_64": lambda table, columns, needs: _copied(table, 64),
    "output_rows": lambda table, columns, needs: output_rows(columns),
    "unrolled_rows": lambda table, columns, needs: (
        needs.unrolled_items / columns["in_width" if table.kind == "transposed_conv" else "out_width"]
    ),
    "tiled_items": lambda table, columns, needs: (
        needs.output_items
        * (columns["read_row"] / table.columns["read_row"])
        * (columns["written_row"] / table.columns["written_row"])
    ),
    "runs": lambda table, columns, needs: _runs(columns, needs),
    "rows_read": lambda table, columns, needs: _runs(columns, needs) / table.columns["read_row"],
    "rows_written": lambda table, columns, needs: _runs(columns, needs) / table.columns["written_row"],
    "runs_by_16": lambda table, columns, needs: _runs(columns, needs) * round_up(columns["run_items"], 16),
    "copies": lambda table, columns, needs: table.column("copies"),
    "kernel_rows": lambda table, columns, needs: output_rows(columns) * columns["kernel_h"],
    "kernel_row_items": lambda table, columns, needs: output_rows(columns) * columns["kernel_h"] * columns["in_width"],
    "row_macs": lambda table, columns, needs: needs.output_items * columns["kernel_w"],
    "hidden_macs": lambda table, columns, needs: needs.output_items * GATES[table.kind] * columns["hidden"],
    "hidden_passes": lambda table, columns, needs: (
        columns["steps"] * columns["directions"] * GATES[table.kind] * columns["hidden"] ** 2
    ),
    "gate_items": lambda table, columns, needs: needs.output_items * GATES[table.kind],
    "step_calls": lambda table, columns, needs: columns["steps"] * columns["directions"],
    "edge_products": lambda table, columns, needs: (
        output_rows(columns) * columns["in_channels"] / columns["groups"] * single_outputs(table, 1)
    ),
    "input_passes": lambda table, columns, needs: (
        needs.unrolled_items * np.ceil(columns["out_channels"] / columns["groups"] / PASS)
    ),
    "moved_items": lambda table, columns, needs: (
        (needs.output_items if table.kind in PARTLY_READ else needs.input_items)
        + needs.operand_items
        + needs.output_items
        + needs.parameter_items
    ),
}
_BEYOND = tuple(f"moved_items>{2**power}" for power in (14, 17, 19, 20, 23))
_FINELY_BEYOND = tuple(f"moved_items>{2**power}" for power in (15, 16, 18, 21))
"""For kinds that mostly wait for memory, and of which there are many layers."""
_PARAMETERS_BEYOND = ("parameter_items>131072", "parameter_items>1048576")
_MAPS = ("macs", "input_items", "output_items", "operand_items", "output_rows", *_BEYOND)
_CHANNELS: Mapping[str, tuple[int, ...]] = {"out_channels": CHANNEL_BLOCKS}
_WIDTH: Mapping[str, tuple[int, ...]] = {"out_width": WIDTH_BLOCKS}
_TIED = {"in_channels": "out_channels"}
_CONVOLUTION = Basis(
    (
        *_MAPS,
        "inside_macs",
        "pixel_block_macs",
        "single_macs",
        "parameter_items",
        *_PARAMETERS_BEYOND,
        "unrolled_items",
        "unrolled_rows",
        "input_passes",
        "group_calls",
    ),
    {"in_channels": CHANNEL_BLOCKS, **_CHANNELS, **_WIDTH},
    {},
    grouped=True,
)
_POOL = Basis(
    (*_MAPS, *_FINELY_BEYOND, "inside_macs", "kernel_rows", "kernel_row_items", "row_macs"),
    {**_CHANNELS, **_WIDTH},
    _TIED,
)
_RECURRENT = Basis(
    (
        "macs", "input_items", "output_items", "parameter_items", *_PARAMETERS_BEYOND, "hidden_macs", "hidden_passes",
        "gate_items", "step_calls",
    ),
    {"hidden": CHANNEL_BLOCKS, "in_features": CHANNEL_BLOCKS},
    {},
)  # fmt: skip
_PLAIN = Basis((*_MAPS, "copies"), {**_CHANNELS, **_WIDTH}, {**_TIED, "in_width": "out_width"})
_MOVING = replace(_PLAIN, variables=(*_PLAIN.variables, *_FINELY_BEYOND))
_COPYING = Basis(
    (
        "input_items", "output_items", "operand_items", "copies", "copied_by_16", "copied_by_64",
        *_BEYOND, *_FINELY_BEYOND,
    ),
    {},
    _TIED,
)  # fmt: skip
EARLIER_PLAIN = replace(_MOVING, variables=(*_MOVING.variables, "ragged_items"))
"""What the leaves of layers that move or map items were learned with in models of schema version 1."""
_BASES: Mapping[str, Basis] = {
    **dict.fromkeys(("unary", "binary", "pad"), _MOVING),
    "transpose": Basis(
        ("output_items", "tiled_items", "runs", "rows_read", "rows_written", "runs_by_16", *_BEYOND, *_FINELY_BEYOND),
        {"read_row": TILE_BLOCKS, "written_row": TILE_BLOCKS},
        _TIED,
    ),
    **dict.fromkeys(("slice", "concat", "split"), _COPYING),
    "reduction": Basis(
        ("macs", "input_items", "output_items", "input_rows", *_BEYOND), {"in_width": VECTOR_BLOCKS}, _TIED
    ),
    "reorder": EARLIER_PLAIN,
    "conv": _CONVOLUTION,
    "transposed_conv": Basis(
        (*_MAPS, "parameter_items", *_PARAMETERS_BEYOND, "unrolled_items", "unrolled_rows", "group_calls"),
        _CONVOLUTION.blocks,
        {},
        grouped=True,
    ),
    "depthwise_conv": Basis(
        (*_MAPS, *_FINELY_BEYOND, "inside_macs", "single_macs", "edge_products", "parameter_items"),
        {**_CHANNELS, **_WIDTH},
        {**_TIED, "groups": "out_channels"},
    ),
    **dict.fromkeys(POOLS, _POOL),
    "fully_connected": Basis(
        (
            "macs",
            "input_items",
            "output_items",
            "parameter_items",
            *_BEYOND,
            *_FINELY_BEYOND,
            *(f"output_passes_by_{piece}" for piece in INNER_PASSES),
            "parameter_passes",
        ),
        {"in_features": CHANNEL_BLOCKS, "out_features": CHANNEL_BLOCKS, "rows": ROW_BLOCKS},
        {},
    ),
    "matmul": Basis(
        ("macs", "input_items", "output_items", "operand_items", "batch", *_BEYOND),
        {"inner": CHANNEL_BLOCKS, "columns": CHANNEL_BLOCKS, "rows": ROW_BLOCKS},
        {},
    ),
}
