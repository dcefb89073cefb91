"""What a compression has done so far, kept in one file, so that a killed one goes on."""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from edgewright.compression.network import Channels
from edgewright.errors import StoreError
from edgewright.files import write_atomically

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Round:
    """One cut and what training made of it.

    `target` and `predicted` are costs (seconds, where time steers), `predicted_s` and `measured_s` times of the
    network; None where they are not known. `kept` is the share of the network that the cut keeps (`choice.share_of`),
    `bound` the most that any widths could. `difference` is how far the cut network's outputs are from the masked one's,
    relative to the largest.
    """

    channels: Channels
    target: float
    predicted: float
    predicted_s: float | None
    measured_s: float | None
    kept: float | None
    bound: float | None
    difference: float
    steps: int = 0
    accuracy: float | None = None


@dataclass
class Journal:
    """The state of a compression: `asked` is what was asked for, `open` a round whose network is still in training.

    `states` hold the weights after each round that is over, and `training` where the open one stands.
    """

    asked: Mapping[str, Any]
    accuracy: float | None = None
    before_s: float | None = None
    rounds: list[Round] = field(default_factory=list)
    states: list[Mapping[str, Any]] = field(default_factory=list)
    open: Round | None = None
    weights: Mapping[str, Any] | None = None
    training: Mapping[str, Any] | None = None
    play: Mapping[str, Any] | None = None

    def save(self, path: Path | None) -> None:
        """Writes it whole or not at all; nowhere without a path. Raises StoreError."""
        if path is None:
            return
        record = {
            "schema_version": SCHEMA_VERSION, "asked": dict(self.asked), "accuracy": self.accuracy,
            "before_s": self.before_s, "rounds": [asdict(one) for one in self.rounds], "states": self.states,
            "open": None if self.open is None else asdict(self.open), "weights": self.weights,
            "training": self.training, "play": self.play,
        }  # fmt: skip
        written = io.BytesIO()
        torch.save(record, written)
        write_atomically(path, written.getvalue())


def load_journal(path: Path, asked: Mapping[str, Any]) -> Journal:
    """The journal of an earlier run, or a fresh one where there is none.

    Raises StoreError where the file is broken, or where something else was asked for then.
    """
    if not path.exists():
        return Journal(asked)
    try:
        record = torch.load(path, weights_only=False, map_location="cpu")
        version = record["schema_version"]
    except Exception as error:
        raise StoreError(f"{path}: it is no checkpoint of a compression: {type(error).__name__}: {error}") from error
    if version != SCHEMA_VERSION:
        raise StoreError(f"{path}: it was written by another version of edgewright (schema {version})")
    other = [key for key in {*asked, *record["asked"]} if asked.get(key) != record["asked"].get(key)]
    if other:
        name = min(other)
        then, now = record["asked"].get(name), asked.get(name)
        raise StoreError(f"{path}: that run had {name} {then}, and this one has {now}: it can't go on with it")
    return Journal(
        asked, record["accuracy"], record["before_s"], [Round(**one) for one in record["rounds"]], record["states"],
        None if record["open"] is None else Round(**record["open"]), record["weights"], record["training"],
        record["play"],
    )  # fmt: skip
