"""What a profile says of each layer: its seconds, with what slowed the machine down taken off.

Within one state of the machine times still rise with the probe beside them, by another power of it in each family:
layers that keep the arithmetic units busy hardly notice what slows down those that move items. What was measured in
another state teaches something too, once it is told by how much its family is slower there.
"""

from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from edgewright.graph.types import LayerSpec
from edgewright.profile import Measurement, Profile
from edgewright.timing.columns import Table, tabulate
from edgewright.timing.cores import Job, run_jobs
from edgewright.timing.growth import freeze, grow
from edgewright.timing.leaves import TIGHT, make_design
from edgewright.timing.tree import Seconds, predict_tree

FEWEST = 8
"""Fewer layers than this teach no leaf, and nothing of how their family is slowed down."""
FEWEST_DOUBTED = 20
DOUBTED = 0.3
"""How much a layer counts that was seen in another state of the machine alone."""
ENOUGH = 1200
"""Where a family has so many layers, further doubted ones would only make learning longer."""
SKETCH_LEAVES = 8
USUAL, SPREAD = 1.0, 0.5
"""The power of the probe is believed to be about this before a family is seen."""
MOST = 3.0
ROUNDS = 20

Array = NDArray[np.float64]
Found = dict[LayerSpec, list[Measurement]]


@dataclass(frozen=True)
class Observations:
    """The layers of one family, each once, and their seconds: the median over all its measurements.

    `certainty` is 1, or less for a layer that was seen in another state of the machine alone; errors are told of the
    certain ones.
    """

    layers: tuple[LayerSpec, ...]
    seconds: Seconds
    certainty: Array


def observations(profile: Profile) -> dict[str, Observations]:
    """What a profile says of each family, layer by layer, as if its probe had never differed.

    That is so for the families that were measured in the state which `Profile.comparable` tells. Unstable measurements
    count only where a layer has no stable one.
    """
    calm, every, calm_s = _trusted(profile.comparable), _trusted(profile), profile.calm_s
    jobs = []
    for name, found in calm.items():
        others = [layer for layer in every[name] if layer not in found]
        rest = {layer: every[name][layer] for layer in others[: max(ENOUGH - len(found), 0)]}
        jobs.append(Job(observed, (found, rest, calm_s), len(found)))
    return dict(zip(calm, run_jobs(jobs), strict=True))


def _trusted(profile: Profile) -> dict[str, Found]:
    """The measurements of each layer that count, by family."""
    families: dict[str, Found] = {}
    for measurement in profile.measurements:
        if measurement.alone and measurement.time_s > 0:
            families.setdefault(measurement.layer.family, {}).setdefault(measurement.layer, []).append(measurement)
    return {
        name: {layer: [m for m in made if m.stable] or made for layer, made in found.items()}
        for name, found in families.items()
    }


def observed(calm: Found, rest: Found, calm_s: float) -> Observations:
    """One family, from its layers in the state that counts and those seen in others alone.

    A small tree that knows nothing of the probe tells what layers take, so that those of all states can be compared.
    """
    seconds, slower = _typical(calm, calm_s)
    count = len(calm)
    certain = Observations(tuple(calm), seconds, np.ones(count))
    if count < FEWEST or not slower.any():
        return certain
    layers = (*calm, *rest)
    table = tabulate(layers)
    sketched = np.log(np.maximum(_sketch(table, seconds), 1e-9))
    seconds, _ = _typical(calm, calm_s, power_of(np.log(seconds) - sketched[:count], slower))
    if len(rest) < FEWEST_DOUBTED:
        return replace(certain, seconds=seconds)
    disturbed, slowly = _typical(rest, calm_s)
    longer = np.log([*seconds, *disturbed]) - sketched
    seconds = np.concatenate([seconds, disturbed / np.exp(_factors(_traits(table, sketched), longer, slowly))])
    return Observations(layers, seconds, np.concatenate([np.ones(count), np.full(len(rest), DOUBTED)]))


def _typical(found: Found, calm_s: float, power: float = 0.0) -> tuple[Seconds, Array]:
    """The median seconds of each layer, divided by that power of the slowness of the machine; and its logarithm."""
    slow = [[m.probe_s / calm_s if m.probe_s and calm_s else 1.0 for m in made] for made in found.values()]
    seconds = [
        median(m.time_s / slowness**power for m, slowness in zip(made, own, strict=True))
        for made, own in zip(found.values(), slow, strict=True)
    ]
    return np.array(seconds), np.log([median(own) for own in slow])


def _sketch(table: Table, seconds: Seconds) -> Seconds:
    """Seconds of all layers by a small tree that learned from the first ones, which were measured."""
    rows = np.arange(len(seconds))
    design = make_design(table.take(rows), seconds)
    return predict_tree(freeze(design, grow(design, rows, SKETCH_LEAVES)), table)


def power_of(longer: Array, slower: Array) -> float:
    """The power of the slowness that seconds rise with, both as logarithms; drawn to the usual as far as they scatter.

    By least absolute misses.
    """
    power = USUAL
    for _ in range(ROUNDS):
        left = longer - power * slower
        level = float(np.median(left))
        pull = 1 / np.maximum(np.abs(left - level), TIGHT)
        prior = float(np.mean(np.abs(left - level))) / SPREAD**2
        power = float((pull @ (slower * (longer - level)) + prior * USUAL) / (pull @ (slower * slower) + prior))
    return min(max(power, 0.0), MOST)


def _traits(table: Table, sketched: Array) -> Array:
    """What a layer may be slowed down more or less by: its time, and its operations, items and parameters."""
    needs = table.needs
    sizes = (needs.macs, needs.input_items + needs.output_items, needs.parameter_items)
    return np.array([np.ones(table.size), sketched, *map(np.log1p, sizes)]).T


def _factors(traits: Array, longer: Array, slowly: Array) -> Array:
    """Logarithms of how many times as long the last layers took as in the state of the first, by least absolute misses.

    What the sketch misses by the traits is the same in both states; what comes on top in the other is the factor.
    """
    count = len(longer) - len(slowly)
    own = np.concatenate([traits[count:], slowly[:, None]], axis=1)
    on_top = np.zeros((len(longer), own.shape[1]))
    on_top[count:] = own
    known, pull = np.concatenate([traits, on_top], axis=1), np.ones(len(longer))
    for _ in range(ROUNDS):
        rates = np.linalg.lstsq(known * pull[:, None], longer * pull, rcond=None)[0]
        pull = 1 / np.sqrt(np.maximum(np.abs(known @ rates - longer), TIGHT))
    return np.asarray(own @ rates[traits.shape[1] :])
