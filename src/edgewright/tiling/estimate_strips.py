"""Peak and time of groups whose strips carry rows over; see `estimate`, and `carry` for what is kept when."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgewright.tiling.estimate import TOKEN_OPS, Bools, Candidates, Costs, Floats, Grids, Ints, reached
from edgewright.tiling.outline import Feature, Outline
from edgewright.tiling.rates import Rates
from edgewright.tiling.strip_rows import Read, StripRows, shifted


def strip_candidates(
    outline: Outline, rates: Rates, end: int, starts: frozenset[int], grids: Grids, longest: int
) -> Iterator[Candidates]:
    """Candidates that end before op `end`, for every begin in `starts` that is reached, the nearest first."""
    steps = list(reached(outline, end, longest))
    rows = StripRows(outline, end, tuple(count for count, _ in grids))
    for index in steps:
        rows.find(index)
    sweep = _Sweep(outline, rates, rows, grids)
    for index in steps:
        if index in rows.reads:
            found = sweep.step(index, index in starts)
            if found is not None:
                yield found


@dataclass(frozen=True)
class _Tensor:
    """Bytes of one tensor in each strip: new rows, and those kept for later strips, which may be the new ones."""

    new: Ints
    kept: Ints
    before: Ints
    keeps_new: Bools


@dataclass(frozen=True)
class _View:
    """Bytes of what an op reads where that is a tensor of its own, and of what is copied on the way to it."""

    size: Ints
    scratch: Ints


class _Sweep:
    """A group as it grows backward.

    `pending` are bytes of rows, new or kept from the strip before, that ops already in the group read. `peak` is the
    most bytes less all rows that the group keeps (`kept`): which of them live depends on where the group begins.
    """

    def __init__(self, outline: Outline, rates: Rates, rows: StripRows, grids: Grids) -> None:
        self.outline, self.rates, self.rows, self.grids = outline, rates, rows, grids
        self.nothing: Ints = np.zeros(rows.shape, np.int64)
        self.pending, self.kept, self.pieces = self.nothing, self.nothing, self.nothing
        self.peak = self.nothing - (1 << 60)
        self.alive: set[str] = set()
        self.asked: set[str] = set()
        self.costs = Costs(outline, rates, len(grids))
        self.output_bytes = self.largest = 0
        self.tensors: dict[str, _Tensor] = {}

    def step(self, index: int, is_start: bool) -> Candidates | None:
        """Take an op into the group; the candidates that begin with it where they may."""
        step, features, end = self.outline.steps[index], self.outline.features, self.rows.end
        makes = [features[name] for name in step.makes]
        tensors = [self.tensor(feature) for feature in makes]
        kept, made, outputs = self.nothing, self.nothing, self.nothing
        pending = self.pending
        for feature, tensor in zip(makes, tensors, strict=True):
            kept = kept + tensor.kept
            if feature.leaves(end):
                outputs = outputs + tensor.new
            else:
                made = made + tensor.new
                if feature.name in self.alive:
                    pending = pending - np.where(tensor.keeps_new, 0, tensor.new)
        self.kept = self.kept + kept
        inside = np.maximum(self.inside(index, pending, made), pending + made + kept)
        first, cuts = self.outside(index, pending, made) if is_start else (inside, inside)
        self.count(index, makes)
        peak = np.maximum(self.peak, np.maximum(first, pending + made + kept) - self.kept) + outputs
        self.peak = np.maximum(self.peak, inside - self.kept) + outputs
        self.pieces = self.pieces + outputs
        self.pending = pending
        self.admit(index, makes)
        return self.candidates(index, peak, cuts) if is_start and self.output_bytes else None

    def inside(self, index: int, pending: Ints, made: Ints) -> Ints:
        """Bytes while an op runs whose inputs are made in the group: first they are joined, then it computes."""
        reads = self.rows.reads[index]
        views = [self.view(read, index) for read in reads]
        held, left, share = pending, pending, self.nothing
        for read, view in zip(reads, views, strict=True):
            feature, tensor = self.outline.features[read.name], self.tensor(self.outline.features[read.name])
            direct = view.size == 0
            if read.name not in self.alive:
                new = np.where(tensor.keeps_new | feature.leaves(self.rows.end), 0, tensor.new)
                held = held + new + tensor.before
                left = left + np.where(direct, new, 0)
                share = np.maximum(share, np.where(direct, new, 0))
            share = np.maximum(share, view.size)
        most, total = self.nothing, self.nothing
        for view in views:
            most = np.maximum(most, held + total + view.size + view.scratch)
            total = total + view.size
        if not self.outline.steps[index].in_place:
            share = self.nothing
        return np.maximum(most, left + total + made - np.minimum(share, made))

    def outside(self, index: int, pending: Ints, made: Ints) -> tuple[Ints, Ints]:
        """Bytes while an op runs whose inputs are cut out of tensors from outside; the latter while they are cut."""
        total, share = self.nothing, self.nothing
        for read in self.rows.reads[index]:
            feature = self.outline.features[read.name]
            size = self.cut_bytes(read, feature)
            total, share = total + size, np.maximum(share, size)
        if not self.outline.steps[index].in_place:
            share = self.nothing
        cuts = pending + total
        return np.maximum(cuts, cuts + made - np.minimum(share, made)), cuts

    def cut_bytes(self, read: Read, feature: Feature) -> Ints:
        rows = read.high - read.low
        size: Ints = np.where(rows < feature.rows, rows, 0) * _row_bytes(feature)
        return size

    def view(self, read: Read, index: int) -> _View:
        """What an op reads of a tensor made in the group: joined rows, cut rows, or simply the new ones."""
        feature = self.outline.features[read.name]
        tensor, start, stop = self.tensor(feature), self.rows.starts(feature), self.rows.ends[read.name]
        asks = (tensor.kept > 0) & ~tensor.keeps_new & (tensor.new > 0) & self.is_first(read.name, index)
        low, high, size = read.low, read.high, _row_bytes(feature)
        direct = ~read.active | (~asks & (low == start) & (high == stop) & (stop > start))
        old, new = np.clip(start - low, 0, None), np.clip(high - np.maximum(start, low), 0, None)
        old = np.minimum(old, high - low)
        joined = read.active & (((old > 0) & (new > 0)) | asks)
        cut_old = joined & (old > 0) & (old * size < tensor.before)
        cut_new = joined & (new > 0) & (new * size < tensor.new)
        scratch = np.where(cut_old, old, 0) + np.where(cut_new, new, 0)
        return _View(np.where(direct, 0, high - low) * size, scratch * size)

    def is_first(self, name: str, index: int) -> bool:
        readers = self.outline.features[name].readers
        return index == min(reader for reader in readers if reader in self.rows.reads)

    def count(self, index: int, makes: list[Feature]) -> None:
        """What an op costs, its inputs included, both ways."""
        first = self.rows.made(makes[0])
        self.costs.compute(index, first.sum(axis=1) / makes[0].rows, (first > 0).sum(axis=1))
        for read in self.rows.reads[index]:
            feature = self.outline.features[read.name]
            cut, view = self.cut_bytes(read, feature), self.view(read, index)
            outside = self._copies(cut, np.where(np.arange(cut.shape[1]) > 0, 1 + TOKEN_OPS, 1))
            inside = self._copies(view.size, 1) + self._copies(view.scratch, 1)
            self.costs.read(read.name, outside, inside)
        for feature in makes:
            tensor = self.tensor(feature)
            self.costs.made(feature.name)
            self.costs.time_s = self.costs.time_s + self._copies(np.where(tensor.keeps_new, 0, tensor.kept), 2)

    def _copies(self, sizes: Ints, ops: int | Ints) -> Floats:
        times: Floats = np.where(sizes > 0, ops * self.rates.op_s + self.rates.copy_s(1) * sizes, 0.0).sum(axis=1)
        return times

    def admit(self, index: int, makes: list[Feature]) -> None:
        """Go on to the ops before: what this one makes is not there yet, what it reads has to be."""
        for feature in makes:
            self.alive.discard(feature.name)
            if feature.leaves(self.rows.end):
                whole = feature.rows * _row_bytes(feature)
                self.output_bytes, self.largest = self.output_bytes + whole, max(self.largest, whole)
        for read in self.rows.reads[index]:
            feature = self.outline.features[read.name]
            if read.name not in self.alive:
                self.alive.add(read.name)
                tensor = self.tensor(feature)
                new = np.where(tensor.keeps_new | feature.leaves(self.rows.end), 0, tensor.new)
                self.pending = self.pending + new + tensor.before

    def tensor(self, feature: Feature) -> _Tensor:
        if feature.name not in self.tensors:
            size, first, start = _row_bytes(feature), self.rows.keeps_from(feature), self.rows.starts(feature)
            kept = self.rows.ends[feature.name] - first
            new = self.rows.made(feature)
            keeps_new = (kept > 0) & (first == start) & (new > 0)
            self.tensors[feature.name] = _Tensor(new * size, kept * size, shifted(kept) * size, keeps_new)
        return self.tensors[feature.name]

    def candidates(self, start: int, peak: Ints, cuts: Ints) -> Candidates:
        before = np.cumsum(self.pieces, axis=1) - self.pieces
        peaks = before + peak + self.kept
        lasts = np.arange(len(self.grids)), np.array(self.rows.counts) - 1
        last: Ints = peaks[lasts]
        if not self.reads_outside_late(start):
            peaks[lasts] = (before + cuts)[lasts]
        peaks = np.where(np.arange(peaks.shape[1]) < np.array(self.rows.counts)[:, None], peaks, 0)
        joined_s = self.rates.copy_s(self.output_bytes) + self.rates.op_s
        return Candidates(
            start, self.rows.end, "carry", self.grids, peaks.max(axis=1), last, self.costs.total_s(joined_s),
            np.rint(self.costs.macs).astype(np.int64), self.rows.valid.copy(), self.output_bytes, self.largest,
        )  # fmt: skip

    def reads_outside_late(self, start: int) -> bool:
        """Whether an op after the first reads what is made before the group."""
        later = {read.name for index in self.rows.reads if index > start for read in self.rows.reads[index]}
        return any(self.outline.features[name].maker < start for name in later)


def _row_bytes(feature: Feature) -> int:
    return feature.columns * feature.pixel_bytes
