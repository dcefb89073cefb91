"""Peak and time of groups whose tiles recompute their borders; see `estimate`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from edgewright.tiling.estimate import (
    TOKEN_OPS,
    Bools,
    Candidates,
    Costs,
    Floats,
    Grids,
    Ints,
    Ranges,
    group_begin,
    pulled_back,
    reached,
    readers_from_outside,
)
from edgewright.tiling.groups import boundary
from edgewright.tiling.outline import Feature, Outline
from edgewright.tiling.rates import Rates


def tile_candidates(
    outline: Outline, rates: Rates, end: int, starts: frozenset[int], grids: Grids, longest: int
) -> Iterator[Candidates]:
    """Candidates that end before op `end`, for every begin in `starts` that is reached, the nearest first."""
    steps = list(reached(outline, end, longest))
    if not steps:
        return
    sweep = _Sweep(outline, rates, end, grids)
    for index in steps:
        sweep.find_regions(index)
    for index in steps:
        sweep.step(index)
        begin = group_begin(outline, sweep.read, starts, index) if index in sweep.read else None
        if begin is not None and sweep.output_bytes:
            yield replace(sweep.candidates(index), start=begin)


class _Parts:
    """The parts of one axis for every count of parts that occurs, side by side in one column."""

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = sorted(set(counts))
        self.begin = dict(zip(self.counts, np.cumsum([0, *self.counts[:-1]]), strict=True))

    def of(self, size: int, least: int) -> Ranges:
        """The parts of a tensor of `size` rows, cut in proportion to those of one of `least`."""
        cuts = [[boundary(least, n, i) * size // least for i in range(n + 1)] for n in self.counts]
        flat = [(low, high) for row in cuts for low, high in pairwise(row)]
        low, high = np.array(flat, np.int64).T
        return Ranges(low, high)


class _Sweep:
    """One end of a group, and what is needed of each tensor in front of it."""

    def __init__(self, outline: Outline, rates: Rates, end: int, grids: Grids) -> None:
        self.outline, self.rates, self.end, self.grids = outline, rates, end, grids
        self.rows = _Parts([rows for rows, _ in grids])
        self.columns = _Parts([columns for _, columns in grids])
        sizes = [rows * columns for rows, columns in grids]
        self.option = np.repeat(np.arange(len(grids)), sizes)
        self.begins = np.cumsum([0, *sizes[:-1]])
        self.tiles = np.array(sizes, np.int64)
        self.row = np.concatenate([self.rows.begin[r] + np.repeat(np.arange(r), c) for r, c in grids])
        self.column = np.concatenate([self.columns.begin[c] + np.tile(np.arange(c), r) for r, c in grids])
        last = outline.features[outline.steps[end - 1].makes[-1]]
        self.least = (last.rows, last.columns)
        self.needed: dict[str, tuple[Ranges, Ranges]] = {}
        self.whole: dict[str, tuple[Ranges, Ranges]] = {}
        """What is made of a tensor, where an op makes more than is needed."""
        self.read: dict[int, list[tuple[str, Ranges, Ranges]]] = {}
        self.readings: dict[str, list[tuple[int, Ranges, Ranges]]] = {}
        nothing = np.zeros(len(self.option), np.int64)
        self.live, self.peak, self.made, self.pieces = nothing, nothing, nothing, nothing
        self.results, self.ending = nothing, nothing
        """Results of a tile as ops make them, and together with what is cut out of them when the tile ends."""
        self.behind = nothing
        """The peak of the ops behind the one that was taken in last."""
        self.alive: dict[str, Ints] = {}
        self.moments: dict[int, Ints] = {}
        """Bytes while each op runs, less the results that later ops had made."""
        self.costs = Costs(outline, rates, len(grids))
        self.valid = np.array([r <= last.rows and c <= last.columns for r, c in grids])
        self.output_bytes = self.largest = 0

    def find_regions(self, index: int) -> None:
        """What the op makes and reads in each part of each axis."""
        step = self.outline.steps[index]
        for name in step.makes:
            feature = self.outline.features[name]
            if feature.leaves(self.end):
                self.need(name, *self.parts(feature))
        wanted = [self.needed[name] for name in step.makes if name in self.needed]
        if not wanted:
            return
        rows, columns = wanted[0]
        for more_rows, more_columns in wanted[1:]:
            rows, columns = rows.hull(more_rows), columns.hull(more_columns)
        for name in step.makes:
            self.needed[name] = rows, columns
        feature = self.outline.features[step.makes[0]]
        self.read[index] = []
        for name, row_map, column_map in step.reads:
            part = pulled_back(rows, row_map, feature.rows), pulled_back(columns, column_map, feature.columns)
            self.read[index].append((name, *part))
            self.readings.setdefault(name, []).append((index, *part))
            self.need(name, *part)
        if step.block > 1:
            _, *made = self.read[index][0]
            ranges = [Ranges(one.low * step.block, one.high * step.block) for one in made]
            self.whole |= dict.fromkeys(step.makes, (ranges[0], ranges[1]))

    def wholes(self, start: int) -> Ints:
        """Bytes that the first op does not cut out of tensors from outside, as it reads them whole."""
        found: Ints = 0 * self.pieces
        for name, rows, columns in self.read[start]:
            feature = self.outline.features[name]
            region = self.bytes(feature, rows, columns)
            if all(reader <= start or reader >= self.end for reader in feature.readers):
                found = found + np.where((region == feature.size_bytes) & (not feature.leaves(self.end)), region, 0)
        return found

    def parts(self, feature: Feature) -> tuple[Ranges, Ranges]:
        """The parts of an output of the group."""
        return self.rows.of(feature.rows, self.least[0]), self.columns.of(feature.columns, self.least[1])

    def need(self, name: str, rows: Ranges, columns: Ranges) -> None:
        if name in self.needed:
            rows, columns = self.needed[name][0].hull(rows), self.needed[name][1].hull(columns)
        self.needed[name] = rows, columns

    def step(self, index: int) -> None:
        """Take an op into the group: what lives in a tile while it runs, and what it costs."""
        if index not in self.read:
            return
        step, features = self.outline.steps[index], self.outline.features
        makes = [features[name] for name in step.makes]
        sizes = {feature.name: self.bytes(feature, *self.needed[feature.name]) for feature in makes}
        now = self.live + self.waiting_cuts(index)
        for feature in makes:
            if not feature.leaves(self.end) and feature.name not in self.alive:
                now += self.held(feature)
        temporary = self.take_inputs(index, now)
        if step.in_place and temporary is not None:
            now -= np.minimum(temporary, sizes[step.makes[0]])
        self.moments[index] = now - self.results
        self.behind = self.peak
        self.peak = np.maximum(self.peak, now)
        self.finish(index, makes, sizes)

    def waiting_cuts(self, index: int) -> Ints:
        """Bytes of cuts that were made before an op and are read again behind it, but not by it."""
        total: Ints = np.zeros_like(self.live)
        for name, reads in self.readings.items():
            if len(reads) < 3:  # of two different ones none is read again
                continue
            feature = self.outline.features[name]
            earlier = [read[1:] for read in reads if read[0] < index]
            now = [read[1:] for read in reads if read[0] == index]
            later = [read[1:] for read in reads if read[0] > index]
            for number, part in enumerate(earlier if later else ()):
                again = self.is_one_of(part, later) & ~self.is_one_of(part, earlier[:number] + now)
                size = self.bytes(feature, *part)
                total = total + np.where(again & (size < self.held(feature)), size, 0)
        return total

    def is_one_of(self, part: tuple[Ranges, Ranges], others: Sequence[tuple[Ranges, Ranges]]) -> Bools:
        """Where the same rows and columns of a tensor are among others."""
        found: Bools = np.zeros(len(self.option), np.bool_)
        for rows, columns in others:
            found |= part[0].same(rows)[self.row] & part[1].same(columns)[self.column]
        return found

    def take_inputs(self, index: int, now: Ints) -> Ints | None:
        """Add what only this op reads to what lives; a buffer that the op may write its output over, if any."""
        temporary: Ints | None = None
        for (name, rows, columns), copy in zip(self.read[index], self.outline.steps[index].copies, strict=True):
            feature = self.outline.features[name]
            now += rows.sizes[self.row] * columns.sizes[self.column] * copy
            region, whole = self.bytes(feature, rows, columns), self.held(feature)
            crop = np.where(region < whole, region, 0)
            now += crop
            dies = name not in self.alive and not feature.leaves(self.end)
            if dies:
                now += whole
            mine = np.where(region < whole, crop, whole if dies else 0)
            temporary = mine if temporary is None else np.maximum(temporary, mine)
            inside = self.per_option(np.where(crop > 0, self.rates.op_s + self.rates.copy_s(1) * crop, 0.0))
            cut = region < feature.size_bytes
            tokens = (1 + TOKEN_OPS) * self.rates.op_s
            outside = self.per_option(np.where(cut, tokens + self.rates.copy_s(1) * region, 0.0))
            first = (outside > 0) & (self.per_option(~cut) == 0)  # it waits for none
            outside -= TOKEN_OPS * self.rates.op_s * first
            self.costs.read(name, outside, inside)
            self.valid &= self.per_option((region <= 0).astype(float)) == 0
        return temporary

    def finish(self, index: int, makes: list[Feature], sizes: dict[str, Ints]) -> None:
        """Before its maker a tensor does not live; one that leaves the group lives to the end of the tile."""
        first = makes[0]
        shares = self.per_option(sizes[first.name]) / first.size_bytes
        if self.outline.steps[index].op.kind == "transposed_conv":  # its operations follow its input
            name, rows, columns = self.read[index][0]
            given = self.outline.features[name]
            shares = self.per_option(self.bytes(given, rows, columns)) / given.size_bytes
        self.costs.compute(index, shares, self.tiles)
        for feature in makes:
            size = sizes[feature.name]
            self.costs.made(feature.name)
            self.made = self.made + size
            if feature.leaves(self.end):
                whole, held = feature.size_bytes, self.held(feature)
                self.peak, self.results, self.behind = self.peak + held, self.results + held, self.behind + held
                self.pieces, self.ending = self.pieces + size, self.ending + held + np.where(held > size, size, 0)
                self.output_bytes, self.largest = self.output_bytes + whole, max(self.largest, whole)
                self.valid &= self.per_option(self.bytes(feature, *self.parts(feature)) == 0) == 0
            elif feature.name in self.alive:
                self.live = self.live - self.alive.pop(feature.name)
        for name, _, _ in self.read[index]:
            feature = self.outline.features[name]
            if name not in self.alive and not feature.leaves(self.end):
                self.alive[name] = self.held(feature)
                self.live = self.live + self.alive[name]

    def candidates(self, start: int) -> Candidates:
        peak, last = self.peaks(start)
        joins = np.array([rows + 1 if rows > 1 and columns > 1 else 1 for rows, columns in self.grids])
        joined_s = joins * self.rates.op_s + np.minimum(joins, 2) * self.rates.copy_s(self.output_bytes)
        return Candidates(
            start, self.end, ("recompute",) * len(self.grids), self.grids, peak, last, self.costs.total_s(joined_s),
            np.rint(self.costs.macs).astype(np.int64), self.valid.copy(), self.output_bytes, self.largest,
        )  # fmt: skip

    def peaks(self, start: int) -> tuple[Ints, Ints]:
        """The most bytes of any tile, with the results of the tiles before it: the largest tiles come first.

        The last tile counts by itself where all that is read from outside is read by the first op.
        """
        outside = readers_from_outside(self.outline, self.read, start, self.end)
        order = np.lexsort((-self.made, self.option))
        pieces = self.pieces[order]
        before = np.cumsum(pieces) - pieces
        before -= np.repeat(before[self.begins], self.tiles)
        peaks = before + np.maximum(self.peak_from(start, outside), self.ending)[order]
        lasts = self.begins + self.tiles - 1
        last: Ints = peaks[lasts]
        if all(indices == [start] for indices in outside.values()):
            cuts, whole = 0 * pieces, np.zeros(len(pieces), np.bool_)
            for name, rows, columns in self.read[start]:
                cut = self.bytes(self.outline.features[name], rows, columns)
                cuts, whole = cuts + cut, whole | (cut == self.outline.features[name].size_bytes)
            uncut = self.peak_of_last(start, outside)
            peaks[lasts] = (before + np.where(whole, uncut, cuts)[order])[lasts]
        most: Ints = np.maximum.reduceat(peaks, self.begins)
        return most, last

    def peak_of_last(self, start: int, outside: dict[str, list[int]]) -> Ints:
        """The most bytes of the last tile, where it does not cut what it reads: that dies with its first op."""
        if any(self.outline.features[name].leaves(self.end) for name in outside):
            return self.peak_from(start, outside)
        whole = self.wholes(start)
        most: Ints = np.maximum(np.maximum(self.behind, self.moments[start] + self.results) - whole, self.ending)
        return most

    def peak_from(self, start: int, outside: dict[str, list[int]]) -> Ints:
        """The most bytes of each tile when the group begins at `start`.

        A tensor from outside that is read late is cut late; one that is needed after the group was not counted yet.
        """
        leaving = {name for name in outside if self.outline.features[name].leaves(self.end)}
        late = {name for name, indices in outside.items() if indices[0] > start} | leaving
        whole = self.wholes(start)
        if not late:
            begun: Ints = self.moments[start] + self.results - whole
            return np.maximum(self.behind, begun)
        peak: Ints = self.results
        for index in self.moments:
            moment = self.moments[index] - (whole if index == start else 0)
            for name in late:
                first, last = outside[name][0], outside[name][-1]
                if name in leaving and first <= index <= last:
                    moment = moment + self.held(self.outline.features[name])
                elif name not in leaving and index < first:
                    moment = moment - self.alive[name]
            peak = np.maximum(peak, self.results + moment)
        return peak

    def held(self, feature: Feature) -> Ints:
        """Bytes of the part of a tensor that a tile holds."""
        return self.bytes(feature, *self.whole.get(feature.name, self.needed[feature.name]))

    def bytes(self, feature: Feature, rows: Ranges, columns: Ranges) -> Ints:
        size: Ints = rows.sizes[self.row] * columns.sizes[self.column] * feature.pixel_bytes
        return size

    def per_option(self, values: Ints | Floats | Bools) -> Floats:
        return np.add.reduceat(values.astype(np.float64), self.begins)
