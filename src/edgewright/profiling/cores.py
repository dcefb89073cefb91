"""Which cores can be measured on at the same time: those that are equally fast and do not slow one another down."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from edgewright.graph.types import LayerSpec, Window
from edgewright.profiling.batch import Workplace, measure

_TOLERATED = 1.06
_REPEATS = 3
_TRIALS = 4
"""Neighbours may slow down one core and not the other while it is tried, but cores that share are slow every time."""
_LAYERS = (
    LayerSpec("conv", ((1, 64, 28, 28),), ((1, 64, 28, 28),), Window((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))),
    LayerSpec("unary", ((1, 64, 32, 32),), ((1, 64, 32, 32),), variant="abs"),
    LayerSpec("unary", ((1, 64, 256, 256),), ((1, 64, 256, 256),), variant="abs"),
)
"""One that computes, one that fits a core's own cache, and one that streams memory."""

Times = dict[LayerSpec, float]


def undisturbed(places: Sequence[Workplace]) -> list[Workplace]:
    """The first place, and those that run layers as fast as it; it alone where they disturb one another at once.

    By experiment: nothing is known of which cores share an execution unit, a cache or a quota of time. It is made again
    where it fails, as what others do on the machine only ever parts cores that are equal.
    """
    found = list(places[:1])
    for _ in range(_TRIALS):
        if len(found) < len(places):
            found = max(found, _trial(places), key=len)
    return found


def _trial(places: Sequence[Workplace]) -> list[Workplace]:
    first, *others = places
    alone_s = _least_s(first)
    equal = [place for place in others if _are_alike(_least_s(place), alone_s)]
    with ThreadPoolExecutor(len(places)) as workers:
        at_once_s = list(workers.map(_least_s, [first, *equal]))
    return [first, *equal] if all(_are_alike(times_s, alone_s) for times_s in at_once_s) else [first]


def _are_alike(times_s: Times, others_s: Times) -> bool:
    ratios = [times_s[layer] / others_s[layer] for layer in times_s if layer in others_s]
    return all(1 / _TOLERATED < ratio < _TOLERATED for ratio in ratios)


def _least_s(place: Workplace) -> Times:
    """The least seconds of each layer; interference that comes and goes only ever adds time."""
    found: Times = {}
    for _ in range(_REPEATS):
        for made in measure([place], _LAYERS, "cores"):
            found[made.layer] = min(made.time_s, found.get(made.layer, made.time_s))
    return {layer: found[layer] for layer in _LAYERS if layer in found}
