"""Peak and time of groups whose strips carry rows over; see `estimate`, and `carry` for what is kept when."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgewright.tiling.estimate import (
    TOKEN_OPS,
    Bools,
    Candidates,
    Costs,
    Floats,
    Grids,
    Ints,
    group_begin,
    reached,
    readers_from_outside,
)
from edgewright.tiling.outline import Feature, Outline
from edgewright.tiling.rates import Rates
from edgewright.tiling.strip_rows import Read, StripRows, shifted


def strip_candidates(
    outline: Outline,
    rates: Rates,
    end: int,
    starts: frozenset[int],
    grids: Grids,
    longest: int,
    halos: tuple[str, ...] = ("carry",),
) -> Iterator[Candidates]:
    """Candidates that end before op `end`, for every begin in `starts` that is reached, the nearest first.

    Those of the halo `mixed` count as far as they differ from strips that carry everything.
    """
    steps = list(reached(outline, end, longest))
    ways = [way for halo in halos for grid in grids if (way := _Way.of(outline, grid, halo, steps)) is not None]
    if not ways:
        return
    rows = StripRows(outline, end, tuple(way.grid[0] for way in ways), tuple(way.again for way in ways))
    for index in steps:
        rows.find(index)
    sweep, least = _Sweep(outline, rates, rows, ways), np.array([way.first for way in ways])
    for index in steps:
        if index in rows.reads:
            begin = group_begin(outline, rows.reads, starts, index)
            found = sweep.step(index, begin is not None)
            if found is not None and begin is not None:
                yield replace(found, start=begin, valid=found.valid & (begin <= least))


@dataclass(frozen=True)
class _Way:
    """How strips of a group may go: how many, their halo, the tensors whose rows are computed again.

    `first` is the last op that makes one of these; a group with it alone differs from one that carries everything.
    """

    grid: tuple[int, int]
    halo: str
    again: frozenset[str]
    first: int

    @staticmethod
    def of(outline: Outline, grid: tuple[int, int], halo: str, steps: Sequence[int]) -> "_Way | None":
        """None where nothing is computed again by these ops, from the last one backward, though the halo is mixed."""
        if halo != "mixed":
            return _Way(grid, halo, frozenset(), len(outline.steps))
        again = outline.again(grid[0])
        first = next((index for index in steps if not again.isdisjoint(outline.steps[index].makes)), None)
        return None if first is None else _Way(grid, halo, again, first)


@dataclass(frozen=True)
class _Tensor:
    """Bytes of one tensor in each strip: new rows, and those kept for later strips, which may be the new ones.

    `waiting` are new and kept rows while ops have still to read them, `fresh` the new ones that only these keep alive.
    """

    new: Ints
    kept: Ints
    before: Ints
    keeps_new: Bools
    waiting: Ints
    fresh: Ints


@dataclass(frozen=True)
class _View:
    """Bytes of what an op reads where that is a tensor of its own, and of what is copied on the way to it."""

    size: Ints
    scratch: Ints


@dataclass(frozen=True)
class _Moment:
    """Bytes around one op in each strip: `pending` ones of ops behind it, `made` by it for the group, `given` outside.

    `after` is what lives when it has run and its rows are kept, `less` all that is kept, and results of later ops.
    What is given outside lives to the end of the strip, and is counted with the results.
    """

    pending: Ints
    made: Ints
    given: Ints
    after: Ints
    less: Ints


class _Sweep:
    """A group as it grows backward.

    `pending` are bytes of rows, new or kept from the strip before, that ops already in the group read. `peak` is the
    most bytes less all rows that the group keeps (`kept`): which of them live depends on where the group begins.
    """

    def __init__(self, outline: Outline, rates: Rates, rows: StripRows, ways: Sequence[_Way]) -> None:
        self.outline, self.rates, self.rows = outline, rates, rows
        self.grids, self.halos = tuple(way.grid for way in ways), tuple(way.halo for way in ways)
        self.nothing: Ints = np.zeros(rows.shape, np.int64)
        self.pending, self.kept, self.pieces = self.nothing, self.nothing, self.nothing
        self.peak = self.nothing - (1 << 60)
        self.alive: set[str] = set()
        self.moments: dict[int, _Moment] = {}
        self.inside: dict[int, Ints] = {}
        self.views: dict[tuple[int, str], _View] = {}
        self.valid: Bools = np.ones(len(ways), np.bool_)
        self.costs = Costs(outline, rates, len(ways))
        self.output_bytes = self.largest = 0
        self.tensors: dict[str, _Tensor] = {}

    def step(self, index: int, is_start: bool) -> Candidates | None:
        """Take an op into the group; the candidates that begin with it where they may."""
        step, features, end = self.outline.steps[index], self.outline.features, self.rows.end
        makes = [features[name] for name in step.makes]
        kept, made, outputs, pending = self.nothing, self.nothing, self.nothing, self.pending
        for feature, tensor in ((feature, self.tensor(feature)) for feature in makes):
            kept = kept + tensor.kept
            if feature.leaves(end):
                outputs = outputs + tensor.new
            else:
                made = made + tensor.new
                if feature.name in self.alive:
                    pending = pending - np.where(tensor.keeps_new, 0, tensor.new)
        self.kept = self.kept + kept
        self.moments[index] = moment = _Moment(pending, made, outputs, pending + made + kept, self.kept + self.pieces)
        before = self.peak + outputs
        self.inside[index] = self.bytes_at(index)
        self.peak = np.maximum(before, self.inside[index] + self.pieces + outputs)
        self.pieces = self.pieces + outputs
        self.valid = self.valid & self.rows.valid[index]
        self.count(index, makes)
        self.admit(index, makes, pending)
        if not is_start or not self.output_bytes:
            return None
        outside = readers_from_outside(self.outline, self.rows.reads, index, end)
        late = {name: indices for name, indices in outside.items() if indices != [index]}
        first = self.bytes_at(index, outside.keys(), late.keys()) + self.pieces
        peak = self.peak_with_late_cuts(index, outside, late, first) if late else np.maximum(before, first)
        reading = moment.pending + self.cuts(index), first + self.kept
        return self.candidates(index, peak, outside, None if late else reading)

    def bytes_at(self, index: int, outside: Collection[str] = (), spared: Collection[str] = ()) -> Ints:
        """Bytes while an op runs, less all that is kept and less the results that later ops had made.

        First its inputs are joined, or cut where they come from `outside`, then it computes, then rows are kept.
        `spared` are tensors that wait for later ops unless they come from outside.
        """
        moment, reads = self.moments[index], self.rows.reads[index]
        spare = sum((self.tensor(self.outline.features[name]).waiting for name in spared), self.nothing)
        held, share = moment.pending - spare, self.nothing
        left = held
        copied, views = self.nothing, []
        for read, copy in zip(reads, self.outline.steps[index].copies, strict=True):
            feature = self.outline.features[read.name]
            copied = copied + (read.high - read.low) * feature.columns * copy
            view = self.view(read, index) if read.name not in outside else _View(read.cut_bytes, self.nothing)
            views.append(view)
            share = np.maximum(share, view.size)
            if read.name not in outside and self.last_reader(feature) == index:
                tensor = self.tensor(feature)
                new = np.where(view.size == 0, tensor.fresh, 0)
                held = held + tensor.waiting
                left = left + new
                share = np.maximum(share, new)
        most: Ints = self.nothing
        total: Ints = self.nothing
        for view in views:
            most = np.maximum(most, held + total + view.size + view.scratch - moment.given)
            total = total + view.size
        if not self.outline.steps[index].in_place:
            share = self.nothing
        running = (
            left + total + moment.made - np.minimum(share, moment.made + moment.given) + self.surplus(index) + copied
        )
        lives: Ints = np.maximum(np.maximum(most, running), moment.after - spare)
        return lives - moment.less

    def surplus(self, index: int) -> Ints:
        """Bytes that an op makes of which some are cut off at once, as it makes whole blocks."""
        step = self.outline.steps[index]
        if step.block == 1:
            return self.nothing
        feature, read = self.outline.features[step.makes[0]], self.rows.reads[index][0]
        made = (read.high - read.low) * step.block * feature.row_bytes
        surplus: Ints = np.where(made > self.tensor(feature).new, made, 0)
        return surplus

    def waiting_cuts(self, name: str, readers: list[int], index: int) -> Ints:
        """Bytes of cuts of a tensor from outside that were made before an op, and are read again behind it."""
        reads = [(reader, read) for reader in readers for read in self.rows.reads[reader] if read.name == name]
        earlier = [read for reader, read in reads if reader < index]
        now = [read for reader, read in reads if reader == index]
        later = [read for reader, read in reads if reader > index]
        total = self.nothing
        for number, read in enumerate(earlier if later else ()):
            again = np.logical_or.reduce([_same(read, other) for other in later])
            counted = [_same(read, other) for other in (*earlier[:number], *now)]
            once = ~np.logical_or.reduce(counted) if counted else np.True_
            total = total + np.where(again & once, read.cut_bytes, 0)
        return total

    def last_reader(self, feature: Feature) -> int:
        """The last op of the group that reads a tensor."""
        return max(reader for reader in feature.readers if reader in self.rows.reads)

    def cuts(self, index: int) -> Ints:
        """Bytes of all that an op reads, where it is cut out of tensors from outside."""
        return sum((read.cut_bytes for read in self.rows.reads[index]), self.nothing)

    def view(self, read: Read, index: int) -> _View:
        """What an op reads of a tensor made in the group: joined rows, cut rows, or simply the new ones."""
        if (index, read.name) not in self.views:
            self.views[index, read.name] = self._view(read, index)
        return self.views[index, read.name]

    def _view(self, read: Read, index: int) -> _View:
        feature = self.outline.features[read.name]
        tensor, start, stop = self.tensor(feature), self.rows.starts(feature), self.rows.ends[read.name]
        asks = (tensor.kept > 0) & ~tensor.keeps_new & (tensor.new > 0) & self.is_first(read.name, index)
        low, high, size = read.low, read.high, feature.row_bytes
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
        shares = first.sum(axis=1) / makes[0].rows
        if self.outline.steps[index].op.kind == "transposed_conv":  # its operations follow its input
            read = self.rows.reads[index][0]
            shares = (read.high - read.low).sum(axis=1) / self.outline.features[read.name].rows
        self.costs.compute(index, shares, (first > 0).sum(axis=1))
        for read in self.rows.reads[index]:
            cut, view = read.cut_bytes, self.view(read, index)
            outside = self._copies(cut, np.where(np.arange(cut.shape[1]) > 0, 1 + TOKEN_OPS, 1))
            inside = self._copies(view.size, 1) + self._copies(view.scratch, 1)
            self.costs.read(read.name, outside, inside)
        for feature in makes:
            tensor = self.tensor(feature)
            self.costs.made(feature.name)
            fresh = np.where(tensor.keeps_new | (tensor.new == 0), 0, tensor.kept)
            self.costs.time_s = self.costs.time_s + self._copies(fresh, np.where(self.cuts_kept(feature), 3, 2))

    def cuts_kept(self, feature: Feature) -> Bools:
        """Where what a strip keeps is joined of new rows and a part of what was kept before."""
        tensor = self.tensor(feature)
        old = tensor.kept - tensor.new
        cuts: Bools = (old > 0) & (tensor.new > 0) & (old < tensor.before)
        return cuts

    def _copies(self, sizes: Ints, ops: int | Ints) -> Floats:
        times: Floats = np.where(sizes > 0, ops * self.rates.op_s + self.rates.copy_s(1) * sizes, 0.0).sum(axis=1)
        return times

    def admit(self, index: int, makes: list[Feature], pending: Ints) -> None:
        """Go on to the ops before: what this one makes is not there yet, what it reads has to be."""
        for feature in makes:
            self.alive.discard(feature.name)
            if feature.leaves(self.rows.end):
                self.output_bytes = self.output_bytes + feature.size_bytes
                self.largest = max(self.largest, feature.size_bytes)
        for read in self.rows.reads[index]:
            if read.name not in self.alive:
                self.alive.add(read.name)
                pending = pending + self.tensor(self.outline.features[read.name]).waiting
        self.pending = pending

    def tensor(self, feature: Feature) -> _Tensor:
        if feature.name not in self.tensors:
            size, first, start = feature.row_bytes, self.rows.keeps_from(feature), self.rows.starts(feature)
            kept = self.rows.ends[feature.name] - first
            new = self.rows.made(feature)
            keeps_new = (kept > 0) & (first == start) & (new > 0)
            before, fresh = shifted(kept) * size, np.where(keeps_new | feature.leaves(self.rows.end), 0, new * size)
            self.tensors[feature.name] = _Tensor(new * size, kept * size, before, keeps_new, fresh + before, fresh)
        return self.tensors[feature.name]

    def candidates(
        self, start: int, peak: Ints, outside: dict[str, list[int]], reading: tuple[Ints, Ints] | None
    ) -> Candidates:
        """Candidates that begin at `start`; strips count by themselves once nothing is read from outside any more.

        `reading` has the bytes while the first op cuts what it reads, and while it runs, where no other op reads from
        outside: then the last strip that does counts in part.
        """
        before = np.cumsum(self.pieces, axis=1) - self.pieces
        strips = np.arange(self.rows.shape[1])
        peaks = np.where(strips < np.array(self.rows.counts)[:, None], before + peak + self.kept, 0)
        reads = [read for indices in outside.values() for index in indices for read in self.rows.reads[index]]
        active = np.logical_or.reduce([read.active for read in reads if read.name in outside])
        final = strips[-1] - np.argmax(active[:, ::-1], axis=1)[:, None]
        last: Ints = np.where(strips >= final, peaks, 0).max(axis=1)
        if reading is not None:
            cutting, running = reading
            whole = [read.high - read.low == self.outline.features[read.name].rows for read in self.rows.reads[start]]
            ended = before + np.where(np.logical_or.reduce(whole), running, cutting)
            peaks = np.where(strips == final, ended, peaks)
        joined_s = self.rates.copy_s(self.output_bytes) + self.rates.op_s
        return Candidates(
            start, self.rows.end, self.halos, self.grids, np.where(strips <= final, peaks, 0).max(axis=1), last,
            self.costs.total_s(joined_s), np.rint(self.costs.macs).astype(np.int64), self.valid, self.output_bytes,
            self.largest,
        )  # fmt: skip

    def peak_with_late_cuts(
        self, start: int, outside: dict[str, list[int]], late: dict[str, list[int]], peak: Ints
    ) -> Ints:
        """The peak where tensors from outside are read late: they are cut then, and nothing of them is kept.

        A cut that a later op reads as well stays until then.
        """
        reading = {index for indices in late.values() for index in indices}
        for index in (index for index in self.moments if index != start):
            spared = [name for name, indices in late.items() if index < indices[-1]]
            if index in reading:
                lives = self.bytes_at(index, outside.keys(), spared)
            else:
                lives = sum((-self.tensor(self.outline.features[name]).waiting for name in spared), self.inside[index])
            lives = lives + sum(
                (self.waiting_cuts(name, indices, index) for name, indices in late.items()), self.nothing
            )
            peak = np.maximum(peak, lives + self.pieces)
        return peak


def _same(one: Read, other: Read) -> Bools:
    same: Bools = (one.low == other.low) & (one.high == other.high)
    return same
