"""Many variants of a model against the first, quickly: all in one process, in turns; then again in a fresh process.

`bench` tells how two models compare, in processes of their own and with all that goes with it. A race tells which of
many variants are worth that. How tensors come to lie in memory differs from process to process, and makes a model a
little faster or slower for as long as it is loaded; so a race takes several.
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
    found = [_process(start, models, setup) for _ in range(setup.processes)]
    medians: list[Array] = [np.stack([process[index] for process in found]) for index in range(len(models))]
    ratios = tuple(ratio_of(time_s, medians[0], seed=setup.seed) for time_s in medians[1:])
    return RaceResult(float(np.median(medians[0])), ratios)


def _process(start: Callable[[], HarnessClient], models: Sequence[Path], setup: RaceSetup) -> list[Array]:
    """The medians of each model's rounds, in one process."""
    with start() as client:
        runs_s = [
            client.ask("load", _TIMEOUT_S, model=client.put(model), slot=str(index), **setup.of(index))["run_s"]
            for index, model in enumerate(models)
        ]
        round_s = float(np.clip(2 * max(runs_s), _SHORTEST_ROUND_S, _LONGEST_ROUND_S))
        how = {"limit_s": round_s, "warm": max(runs_s) < _LONG_RUN_S, "own_time": setup.threads == 1}
        rounds = [[np.median(_round(client, index, how)) for index in range(len(models))] for _ in range(setup.rounds)]
    return list(np.array(rounds).T)


def _round(client: HarnessClient, index: int, how: Mapping[str, Any]) -> list[float]:
    found: list[float] = client.ask("round", _TIMEOUT_S, slot=str(index), **how)["samples_s"]
    return found
