"""Which rows strips make, read and keep, for many counts of strips at once; the columns of `carry.Strips`."""

from dataclasses import dataclass

import numpy as np

from edgewright.graph.axis_map import AxisMap
from edgewright.tiling.estimate import Bools, Ints
from edgewright.tiling.groups import boundary
from edgewright.tiling.outline import Feature, Outline

_NEVER = 1 << 40


@dataclass(frozen=True)
class Read:
    """Rows that an op reads of one tensor in each strip, and whether it runs there at all.

    `cut_bytes` are those of these rows, and none where they are all of the tensor.
    """

    name: str
    low: Ints
    high: Ints
    active: Bools
    cut_bytes: Ints


def shifted(values: Ints) -> Ints:
    """The values of the strip before; 0 for the first."""
    found = np.zeros_like(values)
    found[:, 1:] = values[:, :-1]
    return found


class StripRows:
    """One end of a group; arrays have a row for each count of strips, and a column for each strip.

    Strips past the last one make nothing: their end is that of the last. Rows of the tensors `again`, which each count
    has of its own, are made in each strip that reads them.
    """

    def __init__(self, outline: Outline, end: int, counts: tuple[int, ...], again: tuple[frozenset[str], ...]) -> None:
        self.outline, self.end, self.counts = outline, end, counts
        self.again = {name: np.array([[name in one] for one in again]) for name in frozenset().union(*again)}
        self.shape = len(counts), max(counts)
        self.least = outline.features[outline.steps[end - 1].makes[-1]].rows
        self.ends: dict[str, Ints] = {}
        self.lows: dict[str, Ints] = {}
        self.first: dict[str, Ints] = {}
        self.reads: dict[int, list[Read]] = {}
        self.valid: dict[int, Bools] = {}
        """For each op the counts of strips that it allows."""

    def find(self, index: int) -> None:
        """How far down an op has to go in each strip, and which rows it reads for that; from the last op backward."""
        step, features = self.outline.steps[index], self.outline.features
        self.valid[index] = np.array(self.counts) <= self.least
        for name in step.makes:
            if features[name].leaves(self.end):
                parts = self._parts(features[name].rows)
                is_strip = np.arange(self.shape[1]) < np.array(self.counts)[:, None]
                self.valid[index] &= ~np.any(is_strip & (parts == shifted(parts)), axis=1)
                self._extend(name, parts)
        wanted = [self.ends[name] for name in step.makes if name in self.ends]
        if not wanted:
            return
        size = features[step.makes[0]].rows
        stop: Ints = np.minimum(-(-np.maximum.reduce(wanted) // step.block) * step.block, size)
        self.ends |= dict.fromkeys(step.makes, stop)
        start = self.starts(features[step.makes[0]], step.block)
        self.reads[index] = reads = [self._read(name, rows, start, stop, size) for name, rows, _ in step.reads]
        for read in reads:
            self.valid[index] &= ~np.any(read.active & (read.low >= read.high), axis=1)

    def starts(self, feature: Feature, block: int = 1) -> Ints:
        """The first row of a tensor that each strip makes, in blocks of so many."""
        if not self.is_again(feature):
            return shifted(self.ends[feature.name])
        if feature.name not in self.first:
            low, stop = self.lows[feature.name] // block * block, self.ends[feature.name]
            self.first[feature.name] = np.where(self.again[feature.name], np.minimum(low, stop), shifted(stop))
        return self.first[feature.name]

    def is_again(self, feature: Feature) -> bool:
        """Whether some counts of strips make its rows again."""
        return feature.name in self.again and not feature.leaves(self.end)

    def made(self, feature: Feature) -> Ints:
        """Rows that each strip adds to a tensor."""
        made: Ints = self.ends[feature.name] - self.starts(feature)
        return made

    def keeps_from(self, feature: Feature) -> Ints:
        """The first row of a tensor that any later strip reads, or its end by then."""
        stop = self.ends[feature.name]
        if feature.name not in self.lows:
            return stop
        later = np.concatenate([self.lows[feature.name][:, 1:], np.full_like(stop[:, :1], _NEVER)], axis=1)
        first = np.minimum.accumulate(later[:, ::-1], axis=1)[:, ::-1]
        kept: Ints = np.minimum(first, stop)
        return np.where(self.again[feature.name], stop, kept) if self.is_again(feature) else kept

    def _parts(self, size: int) -> Ints:
        width = self.shape[1]
        ends = [
            [boundary(self.least, n, min(i, n)) * size // self.least for i in range(1, width + 1)] for n in self.counts
        ]
        return np.array(ends, np.int64)

    def _read(self, name: str, axis: AxisMap, start: Ints, stop: Ints, size: int) -> Read:
        low, high = axis.uncut(start, stop)
        whole, active = (start == 0) & (stop == size) & (not axis.crops), stop > start
        reach = np.where(whole, axis.size, np.where(stop > 0, np.clip(high, 0, axis.size), 0))
        self._extend(name, np.maximum.accumulate(reach, axis=1))
        low = np.where(whole, 0, np.maximum(low, 0))
        high = np.where(whole, axis.size, np.minimum(high, axis.size))
        asked = np.where(active, low, _NEVER)
        self.lows[name] = np.minimum(self.lows[name], asked) if name in self.lows else asked
        low, high, feature = np.where(active, low, 0), np.where(active, high, 0), self.outline.features[name]
        rows = high - low
        return Read(name, low, high, active, np.where(rows < feature.rows, rows, 0) * feature.row_bytes)

    def _extend(self, name: str, stop: Ints) -> None:
        self.ends[name] = np.maximum(self.ends[name], stop) if name in self.ends else stop
