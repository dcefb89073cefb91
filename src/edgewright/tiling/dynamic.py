"""Dynamic programming over cut points: every plan that no other one beats in both memory and time.

A state is a cut point with the peak and the time of the ops before it. A group from one cut point to a later one adds
its time, and its peak counts if it is higher; so a state that another one beats in both can be dropped (Bellman's
principle holds for sums and for maxima alike). Between groups tensors are whole, so groups do not depend on another.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgewright.tiling.estimate import Candidates, Floats, Ints
from edgewright.tiling.estimate_strips import strip_candidates
from edgewright.tiling.estimate_tiles import tile_candidates
from edgewright.tiling.outline import Outline
from edgewright.tiling.rates import Rates
from edgewright.tiling.space import Space

_MOST_STATES = 400


@dataclass(frozen=True, slots=True)
class Block:
    """Ops `start` to `end`, as they are (grid 1x1) or as a fused group."""

    start: int
    end: int
    grid: tuple[int, int] = (1, 1)
    halo: str = "recompute"
    extra_macs: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A plan for the whole network as the search sees it."""

    blocks: tuple[Block, ...]
    peak_bytes: int
    time_s: float


@dataclass(frozen=True)
class _Front:
    """States at one cut point, none worse than another in both: peaks rise, times fall."""

    peaks: Ints
    times: Floats
    links: tuple[tuple[int, int, Block], ...]


@dataclass(frozen=True)
class _Edges:
    """Ways to come to a cut point from one cut point."""

    start: int
    peaks: Ints
    times: Floats
    blocks: tuple[Block, ...]


def estimates(outline: Outline, rates: Rates, space: Space) -> tuple[Estimate, ...]:
    """The Pareto frontier of plans, from the fastest to the one that needs least memory."""
    limit = max(outline.live_bytes, default=0)
    fronts = {0: _Front(np.zeros(1, np.int64), np.zeros(1), ((0, 0, Block(0, 0)),))}
    for position, end in enumerate(outline.cuts[1:]):
        tiled = (_edges(outline, one) for one in _candidates(outline, rates, space, end))
        edges = [_untiled(outline, outline.cuts[position], end), *tiled]
        fronts[end] = _arrive(fronts, edges, limit)
    last = fronts[outline.cuts[-1]]
    found = []
    for index in range(len(last.peaks) - 1, -1, -1):
        blocks = tuple(_trace(fronts, outline.cuts[-1], index))[::-1]
        found.append(Estimate(blocks, int(last.peaks[index]), float(last.times[index])))
    return tuple(found)


def blocks_inside(outline: Outline, rates: Rates, space: Space, budget_bytes: int) -> dict[int, list[Block]]:
    """For each cut point all ways to come to it that are estimated to stay inside a budget, good and bad."""
    found: dict[int, list[Block]] = {}
    for position, end in enumerate(outline.cuts[1:]):
        plain = _untiled(outline, outline.cuts[position], end)
        found[end] = list(plain.blocks) if plain.peaks[0] <= budget_bytes else []
        for candidates in _candidates(outline, rates, space, end):
            fits = np.flatnonzero(candidates.valid & (_peaks(outline, candidates) <= budget_bytes))
            found[end] += _blocks(candidates, fits)
    return found


def _untiled(outline: Outline, start: int, end: int) -> _Edges:
    peak = max(outline.live_bytes[start:end])
    time = sum(step.time.fixed_s + step.time.variable_s for step in outline.steps[start:end])
    return _Edges(start, np.array([peak]), np.array([time]), (Block(start, end),))


def _candidates(outline: Outline, rates: Rates, space: Space, end: int) -> Iterator[Candidates]:
    """All groups that end here."""
    step = outline.steps[end - 1]
    if not step.tileable:
        return
    starts = frozenset(outline.cuts)
    last = outline.features[step.makes[-1]]
    if "recompute" in space.halos and (grids := space.grids(last, "recompute", outline.is_tall)):
        yield from tile_candidates(outline, rates, end, starts, grids, space.longest)
    halos = tuple(halo for halo in space.halos if halo != "recompute")
    if halos and (grids := space.grids(last, "carry")):
        yield from strip_candidates(outline, rates, end, starts, grids, space.longest, halos)


def _peaks(outline: Outline, candidates: Candidates) -> Ints:
    """The most bytes that live while each candidate runs, what it does not touch included."""
    before = outline.held_bytes(candidates.start, candidates.start)
    after = outline.held_bytes(candidates.start, candidates.end)
    joining = after + candidates.output_bytes + candidates.largest_output_bytes
    most: Ints = np.maximum(np.maximum(before + candidates.peak_bytes, after + candidates.last_bytes), joining)
    return most


def _edges(outline: Outline, candidates: Candidates) -> _Edges:
    """The candidates that none beats in both."""
    peaks, valid = _peaks(outline, candidates), np.flatnonzero(candidates.valid)
    chosen = valid[_undominated(peaks[valid], candidates.time_s[valid])]
    return _Edges(candidates.start, peaks[chosen], candidates.time_s[chosen], _blocks(candidates, chosen))


def _blocks(candidates: Candidates, chosen: Ints) -> tuple[Block, ...]:
    start, end, extra = candidates.start, candidates.end, candidates.extra_macs
    return tuple(Block(start, end, candidates.grids[i], candidates.halos[i], int(extra[i])) for i in chosen)


def _arrive(fronts: dict[int, _Front], edges: list[_Edges], limit: int) -> _Front:
    """The states at the end of these edges."""
    peaks, times, origins = [], [], []
    for number, edge in enumerate(edges):
        front = fronts[edge.start]
        peak = np.maximum(front.peaks[:, None], edge.peaks[None, :])
        time = front.times[:, None] + edge.times[None, :]
        states, choices = np.nonzero(peak <= limit)
        peaks.append(peak[states, choices])
        times.append(time[states, choices])
        origins.append(np.stack([np.full_like(states, number), states, choices], axis=1))
    all_peaks, all_times, origin = np.concatenate(peaks), np.concatenate(times), np.concatenate(origins)
    chosen = _thinned(_undominated(all_peaks, all_times))
    links = tuple((edges[n].start, state, edges[n].blocks[choice]) for n, state, choice in origin[chosen].tolist())
    return _Front(all_peaks[chosen], all_times[chosen], links)


def _undominated(peaks: Ints, times: Floats) -> Ints:
    """Indices of the rows that no other one beats in both, by rising peak."""
    order = np.lexsort((times, peaks))
    least = np.minimum.accumulate(np.concatenate([[np.inf], times[order]]))[:-1]
    kept: Ints = order[times[order] < least]
    return kept


def _thinned(indices: Ints) -> Ints:
    """At most so many, evenly spread, the ends among them."""
    if len(indices) <= _MOST_STATES:
        return indices
    return indices[np.linspace(0, len(indices) - 1, _MOST_STATES).round().astype(np.int64)]


def _trace(fronts: dict[int, _Front], cut: int, index: int) -> Iterator[Block]:
    while cut:
        cut, index, block = fronts[cut].links[index]
        yield block
