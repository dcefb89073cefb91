"""Layers of one kind as a table of numbers: what the splits of a tree ask, and what its leaves compute with."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from statistics import median
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgewright.graph.cost import Cost, cost, form_of
from edgewright.graph.types import LayerSpec
from edgewright.timing.permutations import WALK, permutation_columns

Column = NDArray[np.float64]
Mask = NDArray[np.bool_]
Weights = Mapping[tuple[str, str], float]

NEEDS = ("macs", "input_items", "output_items", "parameter_items", "unrolled_items")


@dataclass(frozen=True)
class Derived:
    """A quantity derived from dimensions: their names, and what of their columns."""

    parts: tuple[str, ...]
    of: Callable[..., Column]


_BOTH_SIDES = (
    "batch", "in_channels", "out_channels", "in_height", "out_height", "in_width", "out_width", "out_batch",
    "inputs", "outputs",
)  # fmt: skip


def _copies(*sides: Column) -> Column:
    """The contiguous pieces of the output: all before the last axis that changed, for each input or output."""
    (batch, in_channels, out_channels, in_height, out_height, in_width, out_width, out_batch, inputs, outputs) = sides
    before_width = out_batch * out_channels * out_height
    before_height = np.where(
        in_height != out_height, out_batch * out_channels, np.where(batch != out_batch, out_batch, 1)
    )
    before_channels = np.where(in_channels != out_channels, out_batch, before_height)
    pieces = np.where(in_width != out_width, before_width, np.maximum(before_channels, before_height))
    return pieces * (inputs + outputs - 1)


BLOCK = 32


def _in_last_block(width: Column) -> Column:
    """How much of its last block of 32 a width fills: 1 to 32."""
    return (width - 1) % BLOCK + 1


DERIVED: Mapping[str, Derived] = {
    "out_area": Derived(("out_height", "out_width"), lambda height, width: height * width),
    "kernel_area": Derived(("kernel_h", "kernel_w"), lambda height, width: height * width),
    "in_channels_per_group": Derived(("in_channels", "groups"), lambda channels, groups: channels / groups),
    "out_channels_per_group": Derived(("out_channels", "groups"), lambda channels, groups: channels / groups),
    "out_channels_in_last_block": Derived(
        ("out_channels", "groups", "kernel_h"), lambda channels, groups, _: _in_last_block(channels / groups)
    ),
    "out_features_in_last_block": Derived(("out_features",), _in_last_block),
    "vertical_scale": Derived(
        ("inputs", "in_height", "out_height"), lambda _, given, made: made / np.maximum(given, 1)
    ),
    "horizontal_scale": Derived(
        ("inputs", "in_width", "out_width"), lambda _, given, made: made / np.maximum(given, 1)
    ),
    "copies": Derived(_BOTH_SIDES, _copies),
    "copied_items": Derived(
        (*_BOTH_SIDES,), lambda *sides: sides[7] * sides[2] * sides[4] * sides[6] / np.maximum(_copies(*sides), 1)
    ),
}
PLACES = frozenset({"inner", "outer", "mixed", "last"})
STEPS = frozenset({"read_step", "write_step"})
SIZES = frozenset(
    {"in_channels", "out_channels", "in_features", "out_features", "in_width", "out_width", "rows", "inner", "columns",
     "hidden", "in_channels_per_group", "out_channels_per_group", "run_items", "read_row", "written_row", *STEPS}
)  # fmt: skip

Value = TypeVar("Value", str, tuple[str, ...])


@dataclass(frozen=True)
class Table:
    """The configurations of layers of one kind: a column for each dimension, and masks for named properties.

    `columns` hold whole numbers as float64 (exact up to 2^53, and products of them don't overflow). `named` maps a
    property and a value, (`variant`, `relu`) or (`fused`, `add`), to the mask of the layers that have it.
    """

    kind: str
    size: int
    columns: Mapping[str, Column]
    named: Mapping[tuple[str, str], Mask]

    @cached_property
    def needs(self) -> Cost:
        """Operations and items of every layer, as columns."""
        return cost(self.kind, self.columns)

    @cached_property
    def inside_share(self) -> Column:
        """The share of the products of a window that fall on the input and not on its padding."""
        return _inside_share(self.columns, "height", "h", "top") * _inside_share(self.columns, "width", "w", "left")

    @property
    def questions(self) -> tuple[str, ...]:
        """Names of the columns that a split may ask about; of a transpose how it walks, whatever its axes."""
        if self.kind == "transpose":
            return (*WALK, *NEEDS[1:2], *(name for name in ("work",) if name in self.columns))
        derived = tuple(name for name, how in DERIVED.items() if all(part in self.columns for part in how.parts))
        return (*self.columns, *NEEDS, *derived)

    @property
    def sizes(self) -> frozenset[str]:
        """Names of the columns whose multiples matter: widths of the layer."""
        return SIZES & set(self.questions)

    def column(self, name: str) -> Column:
        """A dimension, a need, or a quantity derived from them, for every layer."""
        if name in self.columns:
            return self.columns[name]
        if name in NEEDS:
            found: Column = getattr(self.needs, name)
            return found
        how = DERIVED[name]
        return how.of(*(self.columns[part] for part in how.parts))

    def with_work(self, weights: Weights) -> "Table":
        """The table with a column `work`: items times what the named properties of each layer weigh together.

        A variant that was never weighed is taken to weigh what those that were do in the median, not nothing.
        """
        if not weights:
            return self
        work = self._unweighed(weights)
        for key, weight in weights.items():
            if key in self.named:
                work += weight * self.worked_items(key[0]) * self.named[key]
        return replace(self, columns={**self.columns, "work": work})

    def _unweighed(self, weights: Weights) -> Column:
        """The work of layers of variants without a weight, where there are some with one; 0 for all others."""
        known = {key: weight for key, weight in weights.items() if key[0] == "variant"}
        if not known:
            return np.zeros(self.size)
        weighed, varied = np.zeros(self.size, np.bool_), np.zeros(self.size, np.bool_)
        for key, mask in self.named.items():
            varied |= mask & (key[0] == "variant")
            weighed |= mask & (key in known)
        usual: Column = median(known.values()) * self.worked_items("variant") * (varied & ~weighed)
        return usual

    def worked_items(self, name: str) -> Column:
        """The items that a property works on: what is fused on the output, a variant on the larger of both sides."""
        made: Column = self.needs.output_items
        return made if name == "fused" else np.maximum(self.needs.input_items, made)

    def take(self, rows: NDArray[np.intp]) -> "Table":
        """The table of the given rows alone."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return Table(self.kind, len(rows), columns, {key: mask[rows] for key, mask in self.named.items()})


def tabulate(layers: Sequence[LayerSpec]) -> Table:
    """The table of layers that are all of one kind."""
    kind = layers[0].kind if layers else "other"
    form = form_of(kind)
    numbers = chain.from_iterable(map(form.row, layers))
    width = len(form.names)
    rows = np.fromiter(numbers, np.float64, len(layers) * width).reshape(len(layers), width)
    columns = dict(zip(form.names, np.ascontiguousarray(rows.T), strict=True))
    if kind == "transpose":
        columns |= permutation_columns(layers)
    variants = [layer.variant for layer in layers]
    fused = [layer.fused for layer in layers]
    named = {("variant", value): mask for value, mask in _masks(variants, _variant_names).items() if value}
    named |= {("fused", value): mask for value, mask in _masks(fused, lambda names: names).items()}
    return Table(kind, len(layers), columns, named)


def _variant_names(variant: str) -> tuple[str, ...]:
    """A variant, and the word at its end that tells where its axes lie: `mean-inner` is `inner` too."""
    place = variant.rpartition("-")[2]
    return (variant, place) if place in PLACES and place != variant else (variant,)


def _inside_share(columns: Mapping[str, Column], axis: str, short: str, before: str) -> Column:
    """For each tap of the window, count the outputs that it reads the input for."""
    given, made, kernel = columns[f"in_{axis}"], columns[f"out_{axis}"], columns[f"kernel_{short}"]
    stride, dilation, pad = columns[f"stride_{short}"], columns[f"dilation_{short}"], columns[f"pad_{before}"]
    inside = np.zeros(len(given))
    for tap in range(int(kernel.max(initial=0))):
        first = np.maximum(np.ceil((pad - tap * dilation) / stride), 0)
        last = np.minimum(np.floor((given - 1 + pad - tap * dilation) / stride), made - 1)
        inside += np.where(tap < kernel, np.maximum(last - first + 1, 0), 0)
    return inside / np.maximum(made * kernel, 1)


def _masks(values: list[Value], names: Callable[[Value], Iterable[str]]) -> dict[str, Mask]:
    codes = {value: code for code, value in enumerate(dict.fromkeys(values))}
    coded = np.fromiter(map(codes.__getitem__, values), np.intp, len(values))
    found: dict[str, Mask] = {}
    for value, code in codes.items():
        for name in names(value):
            found[name] = found.get(name, np.zeros(len(values), np.bool_)) | (coded == code)
    return found
