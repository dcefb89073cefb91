"""Many variants of a model against the first, quickly: all in one process, in turns; then again in a fresh process.

`bench` tells how two models compare, in processes of their own and with all that goes with it. A race tells which of
many variants are worth that. How tensors come to lie in memory differs from process to process, and makes a model a
little faster or slower for as long as it is loaded; so a race takes several. Where runs are long, each variant has the
first model run right beside it, now before it and now behind it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.graph.types import Shape
from edgewright.profiling.stats import Array, Ratio, ratio_of
from edgewright.runtimes.client import HarnessClient

_TIMEOUT_S = 600.0
_ROUNDS = 6
_LONGEST_ROUND_S, _SHORTEST_ROUND_S = 0.03, 0.004
_WARM_UP_S = 0.03
_LONG_RUN_S = 0.2
"""Runs that take so long need none before them in each round: bringing the caches back takes a few milliseconds."""


@dataclass(frozen=True)
class RaceSetup:
    """How models are run: threads, core (None: any), shapes of dynamic inputs, in how many processes and rounds.

    `settings` are the runtime's memory settings for each model in turn, with the first region of the arena of each;
    none: its own.
    """

    threads: int = 1
    level: str = "all"
    cpu: int | None = None
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    seed: int = 0
    processes: int = 3
    rounds: int = _ROUNDS
    settings: tuple[tuple[str, int], ...] = ()

    def of(self, index: int) -> dict[str, Any]:
        """How one of the models is loaded."""
        name, region_bytes = self.settings[index] if self.settings else ("default", 0)
        memory = {"settings": name, "arena_bytes": region_bytes} if self.settings else {}
        return {
            "threads": self.threads, "level": self.level, "cpu": self.cpu, "shapes": dict(self.shapes),
            "seed": self.seed, "warmup_s": _WARM_UP_S, **memory,
        }  # fmt: skip


@dataclass(frozen=True)
class RaceResult:
    """The seconds of the first model, and the time of each of the others in relation to it."""

    first_s: float
    ratios: tuple[Ratio, ...]


def race(start: Callable[[], HarnessClient], models: Sequence[Path], setup: RaceSetup) -> RaceResult:
    """The times of all models in relation to the first. Raises RuntimeRefusedError, DeviceError."""
    found = np.stack([_process(start, models, setup) for _ in range(setup.processes)])
    ratios = tuple(ratio_of(own_s, first_s, seed=setup.seed) for own_s, first_s in found.transpose(2, 3, 0, 1)[1:])
    return RaceResult(float(np.median(found[:, :, :, 1])), ratios)


def _process(start: Callable[[], HarnessClient], models: Sequence[Path], setup: RaceSetup) -> Array:
    """In one process, by (round, model): the median of the model's runs, and of the first model's beside them."""
    with start() as client:
        runs_s = [
            client.ask("load", _TIMEOUT_S, model=client.put(model), slot=str(index), **setup.of(index))["run_s"]
            for index, model in enumerate(models)
        ]
        longest_s = max(runs_s)
        round_s = float(np.clip(2 * longest_s, _SHORTEST_ROUND_S, _LONGEST_ROUND_S))
        how = {"limit_s": round_s, "warm": longest_s < _LONG_RUN_S, "own_time": setup.threads == 1}

        def seconds(index: int) -> float:
            return float(np.median(_round(client, index, how)))

        one_round = _in_turn if longest_s < _LONG_RUN_S else _in_pairs
        return np.array([one_round(len(models), seconds, bool(number % 2)) for number in range(setup.rounds)])


def _in_turn(count: int, seconds: Callable[[int], float], _: bool) -> list[tuple[float, float]]:
    """All models once: short runs see the same state of the machine."""
    found = [seconds(index) for index in range(count)]
    return [(own_s, found[0]) for own_s in found]


def _in_pairs(count: int, seconds: Callable[[int], float], first_is_last: bool) -> list[tuple[float, float]]:
    """Each model right beside the first one, before or behind it: the machine changes while long runs last."""
    found = []
    for index in range(1, count):
        order = (index, 0) if first_is_last else (0, index)
        pair = {one: seconds(one) for one in order}
        found.append((pair[index], pair[0]))
    alone_s = found[0][1] if found else seconds(0)
    return [(alone_s, alone_s), *found]


def _round(client: HarnessClient, index: int, how: Mapping[str, Any]) -> list[float]:
    found: list[float] = client.ask("round", _TIMEOUT_S, slot=str(index), **how)["samples_s"]
    return found
