"""Places in the arena, better than greedy by size: the dynamic storage allocation problem.

Several orders are tried first, each block going to the lowest place that is free for its lifetime. Where the best of
them is above what lives at once, an exact search follows for blocks without inner parts (`stacking`), with a limit of
its own, and then a hill climb over orders. Everything is deterministic.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from edgewright.graph.types import Graph
from edgewright.memory.tflm.packing import Packing, lives_at_once
from edgewright.memory.tflm.planner import Request, greedy_offsets, head_bytes, lifetimes_bound
from edgewright.memory.tflm.predict import requests_of
from edgewright.memory.tflm.sharing import MOVES, Block, Part, blocks
from edgewright.memory.tflm.stacking import stacked
from edgewright.memory.tflm.structures import HOST, Build, aligned

_CLIMB_STEPS = 120
_NODES = 20_000
_MOST_STACKED = 300
_SHARING = (MOVES, MOVES - {"concat"}, MOVES - {"slice"}, frozenset({"elementwise", "reshape"}))


@dataclass(frozen=True)
class OfflinePlan:
    """An offset for each activation, and the head that follows, scratch buffers of the runtime included.

    `bound_bytes` is what lives at once at the least, with the tensors sharing bytes as they do in the plan; `shared`
    has the tensors that lie in another one or over one that ends.
    """

    offsets: Mapping[str, int]
    head_bytes: int
    bound_bytes: int
    shared: tuple[str, ...] = ()


def plan_offsets(
    graph: Graph, build: Build = HOST, share: bool = False, nodes: int = _NODES, climb_steps: int = _CLIMB_STEPS
) -> OfflinePlan:
    """Offsets for the activations of a graph, never worse than those of the runtime's own planner.

    `share` lets cuts lie in what they are cut from, joined rows where they are joined, and elementwise ops write over
    what they read (see `sharing`), or some of these where blocks of all of them do not fit together well; what is only
    cut is then needed row by row. `nodes` limits the exact search and `climb_steps` the hill climb.
    """
    requests = requests_of(graph, build)
    scratch = [_alone(one) for one in requests if one.is_scratch]
    best = OfflinePlan({}, head_bytes(requests, greedy_offsets(requests)), lifetimes_bound(requests))
    bound = best.bound_bytes
    for moves in _SHARING if share else ():
        found = [*blocks(graph, moves), *scratch]
        least = lives_at_once(found)
        bound = min(bound, least)
        if least < best.head_bytes:
            best = min(best, _plan(graph, build, found, nodes, climb_steps), key=lambda plan: plan.head_bytes)
        if best.head_bytes <= aligned(bound):
            return replace(best, bound_bytes=bound)
    if best.head_bytes > lifetimes_bound(requests):
        plan = _plan(graph, build, [*blocks(graph, ()), *scratch], nodes, climb_steps)
        best = min(best, plan, key=lambda plan: plan.head_bytes)
    return replace(best, bound_bytes=bound)


def _plan(graph: Graph, build: Build, found: Sequence[Block], nodes: int, climb_steps: int) -> OfflinePlan:
    offsets: dict[str, int] = {}
    for one, start in zip(found, placed(found, nodes, climb_steps), strict=True):
        offsets |= {name: start + inner for name, inner in one.starts.items() if name in graph.tensors}
    shared = tuple(name for one in found if len(one.starts) > 1 for name in one.starts)
    return OfflinePlan(offsets, _head(graph, build, offsets), 0, shared)


def placed(found: Sequence[Block], nodes: int = _NODES, climb_steps: int = _CLIMB_STEPS) -> tuple[int, ...]:
    """Where each block begins; none over another that lives with it."""
    bound, packing = aligned(lives_at_once(found)), Packing(found)
    best: tuple[int, ...] = ()
    best_head, best_order = -1, list(range(len(found)))
    for order in _orders(found):
        starts = packing.first_fit(order)
        head = packing.head(starts)
        if best_head < 0 or head < best_head:
            best, best_head, best_order = starts, head, order
        if best_head <= bound:
            return best
    if all(len(one.parts) == 1 for one in found) and len(found) <= _MOST_STACKED:
        exact = stacked([_request(one) for one in found], bound, nodes)
        if exact is not None:
            return exact
    return _climb(packing, best_order, best, bound, climb_steps)


def _alone(request: Request) -> Block:
    """A scratch buffer; its name begins with a space, as no tensor's does."""
    name = f" {request.name}"
    return Block({name: 0}, (Part(name, 0, request.size_bytes, request.first, request.last),), request.size_bytes)


def _request(block: Block) -> Request:
    return Request("", aligned(block.size_bytes), block.first, block.last)


def _head(graph: Graph, build: Build, offsets: Mapping[str, int]) -> int:
    requests = requests_of(graph, build, offsets)
    return head_bytes(requests, greedy_offsets(requests))


def _orders(found: Sequence[Block]) -> Iterator[list[int]]:
    """Orders that often do well: by size, by area, by length of life, by breadth at the busiest moment, in time."""
    live: dict[int, int] = {}
    for one in found:
        for moment in range(one.first, one.last + 1):
            live[moment] = live.get(moment, 0) + one.size_bytes
    busiest = [max((live[moment] for moment in range(one.first, one.last + 1)), default=0) for one in found]
    keys: tuple[Callable[[int], tuple[int, ...]], ...] = (
        lambda i: (-busiest[i], -found[i].size_bytes),
        lambda i: (-found[i].size_bytes, found[i].first),
        lambda i: (-found[i].size_bytes * (found[i].last - found[i].first + 1),),
        lambda i: (found[i].first - found[i].last, -found[i].size_bytes),
        lambda i: (-busiest[i], found[i].first - found[i].last),
        lambda i: (found[i].first, -found[i].size_bytes),
        lambda i: (-found[i].last, -found[i].size_bytes),
    )
    for key in keys:
        yield sorted(range(len(found)), key=key)


def _climb(packing: Packing, order: list[int], best: tuple[int, ...], bound: int, steps: int) -> tuple[int, ...]:
    """Move the block that stands highest, or one that lives with it, forward in the order; keep what is no worse."""
    random, current_order = Random(0), order
    starts, best_head = best, packing.head(best)
    current = best_head
    for _ in range(steps):
        if best_head <= bound:
            break
        highest = packing.highest(starts)
        moved = random.choice([highest, *packing.neighbours(highest)])
        trial = [index for index in current_order if index != moved]
        trial.insert(random.randrange(current_order.index(moved) + 1), moved)
        found = packing.first_fit(trial)
        head = packing.head(found)
        if head <= current:
            current_order, starts, current = trial, found, head
        if head < best_head:
            best, best_head = found, head
    return best
