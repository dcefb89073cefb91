"""The ladder of the compression benchmark: networks at shares of a cost, each kept as soon as it is trained."""

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from benchmarks.compression_methods import METHODS, Place, parameters_of
from torch import nn

from edgewright.errors import BudgetError

LADDER = (
    0.85, 0.72, 0.60, 0.50, 0.42, 0.35, 0.29, 0.24, 0.20, 0.165, 0.14, 0.115, 0.095, 0.08, 0.065, 0.055, 0.045, 0.037,
    0.03,
)  # fmt: skip
QUICK = (0.50,)
BASELINE = "uncompressed"
_HOPELESS = 0.015
"""Seeds that are left are not trained where the first ones are by so much worse than allowed in the mean."""


@dataclass(frozen=True)
class Rung:
    """A share of the cost that a method was given, and what came out; nothing where no network is so small."""

    share: float
    valid: float = 0.0
    parameters: int = 0
    predicted_s: float = 0.0
    cpu_s: float = 0.0


@dataclass(frozen=True)
class Climb:
    """A method with a task and a seed; `folder` keeps what was trained, so that nothing is trained twice."""

    place: Place
    task: str
    method: str
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.task} {self.method} {self.place.seed}"

    def module(self, share: float) -> nn.Module:
        found: nn.Module = torch.load(self._module_path(share), weights_only=False)
        return found

    def rung(self, share: float) -> Rung:
        """What the method makes at a share, from the folder or trained now."""
        known = self._known()
        if share not in known:
            self._train(share)
        return Rung(**self._known()[share])

    def _train(self, share: float) -> None:
        started_s = time.process_time()
        try:
            module = METHODS[self.method](self.place, share)
        except BudgetError:
            found = Rung(share)
        else:
            valid, count = self.place.task.evaluate(module), parameters_of(module)
            spent_s = time.process_time() - started_s
            found = Rung(share, valid, count, self.place.predicted_s(module), spent_s)
            torch.save(module, self._module_path(share))
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(found)) + "\n")

    def _known(self) -> Mapping[float, dict[str, Any]]:
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return {found["share"]: found for found in map(json.loads, lines)}

    @property
    def _path(self) -> Path:
        return self.folder / f"{self.name}.rungs.jsonl"

    def _module_path(self, share: float) -> Path:
        return self.folder / f"{self.name} {share:g}.pt"


def smallest(climbs: Sequence[Climb], least: Sequence[float], ladder: Sequence[float]) -> float | None:
    """The smallest share at which a method is no worse than `least` on the validation data in the mean of its seeds;
    None where it is at no share.

    Bisection with the first seed alone finds where to begin. From there all seeds go down the ladder as long as they
    hold, or up it until they do.
    """
    place = _bisected(climbs[0], least[0], ladder)
    if _holds(climbs, least, ladder[place]):
        while place + 1 < len(ladder) and _holds(climbs, least, ladder[place + 1]):
            place += 1
        return ladder[place]
    higher = (share for share in reversed(ladder[:place]) if _holds(climbs, least, share))
    return next(higher, None)


def _bisected(climb: Climb, least: float, ladder: Sequence[float]) -> int:
    """Where on the ladder one seed holds for the last time, or its top."""
    low, high = 0, len(ladder)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _holds([climb], [least], ladder[middle]) else (low, middle)
    return low


def _holds(climbs: Sequence[Climb], least: Sequence[float], share: float) -> bool:
    over: list[float] = []
    for climb, own in zip(climbs, least, strict=True):
        over.append(climb.rung(share).valid - own)
        if statistics.mean(over) < -_HOPELESS:
            return False
    return statistics.mean(over) >= -1e-9
