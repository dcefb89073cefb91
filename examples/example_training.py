"""What the examples share: a classifier that is trained once, kept, and given out as a task."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from example_data import Data, Part
from torch import nn

from edgewright.compression.task import Loss, Task, supervised
from edgewright.compression.training import Settings, Training, seed_all

_BATCH = 64
_AT_ONCE = 500
_SMOOTHING = 0.05


@dataclass(frozen=True)
class Recipe:
    """A network, its data, and how it is trained from nothing: so many steps from this learning rate.

    Once it is narrower, it takes `tuning` steps from `again` times the rate. `augment` changes batches of inputs,
    `adam` takes AdamW and not SGD. `half` is mixed precision in bfloat16, which takes half of the time or less on
    processors that have instructions for it; networks are judged in full precision all the same.
    """

    name: str
    network: Callable[[], nn.Module]
    data: Callable[[], Data]
    steps: int
    rate: float
    tuning: int = 150
    again: float = 0.4
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None
    adam: bool = False
    half: bool = False


def task(recipe: Recipe, data: Data, seed: int = 0) -> Task:
    """The task of a recipe, its network trained: the first time that takes a minute, then it is read from a file."""
    fresh = untrained(recipe, data, seed)
    kept = folder() / f"{recipe.name}_{recipe.steps}_{seed}{'_half' if recipe.half else ''}.pt"
    if kept.exists():
        fresh.module.load_state_dict(torch.load(kept, weights_only=True))
    else:
        train(fresh, fresh.module, recipe.steps, seed)
        unfinished = kept.with_suffix(f".{os.getpid()}")
        torch.save(fresh.module.state_dict(), unfinished)
        unfinished.rename(kept)
    fresh.module.eval()
    return gentler(fresh, recipe)


def untrained(recipe: Recipe, data: Data, seed: int = 0) -> Task:
    """The task of a recipe with the network as it begins."""
    seed_all(seed)
    module = recipe.network()
    loss = nn.CrossEntropyLoss(label_smoothing=_SMOOTHING)
    found = supervised(
        module, data.train.x, data.train.y, lambda live: accuracy(live, data.valid), batch_size=_BATCH, loss=loss,
        augment=recipe.augment, learning_rate=recipe.rate, optimizer=_adam(recipe.rate) if recipe.adam else None,
    )  # fmt: skip
    return replace(found, loss=in_bfloat16(found.loss)) if recipe.half and found.loss else found


def gentler(fresh: Task, recipe: Recipe) -> Task:
    """The task with the learning rate of fine-tuning."""
    rate = recipe.rate * recipe.again
    return replace(fresh, learning_rate=rate, optimizer=_adam(rate) if recipe.adam else None)


def train(of: Task, module: nn.Module, steps: int, seed: int = 0) -> None:
    """Trains a module in place, as edgewright does it."""
    Training(of, module, steps, Settings(seed=seed)).run()


def accuracy(module: nn.Module, part: Part) -> float:
    """The share of examples whose class is found."""
    module.eval()
    with torch.no_grad():
        batches = zip(part.x.split(_AT_ONCE), part.y.split(_AT_ONCE), strict=True)
        found = sum(int((module(x).argmax(1) == y).sum()) for x, y in batches)
    return found / len(part)


def mirrored(images: torch.Tensor) -> torch.Tensor:
    """Each second batch of images seen in a mirror; channels last, which convolutions on a CPU are faster in."""
    seen = images.flip(3) if torch.rand(()) < 0.5 else images
    return seen.contiguous(memory_format=torch.channels_last)


def folder() -> Path:
    """Where trained networks are kept."""
    found = Path(os.environ.get("EXAMPLE_NETWORKS", Path(tempfile.gettempdir()) / "edgewright_examples"))
    found.mkdir(parents=True, exist_ok=True)
    return found


def in_bfloat16(loss: Loss) -> Loss:
    """The loss with matrix products and convolutions in bfloat16."""

    def of_batch(module: nn.Module, batch: Any) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return loss(module, batch)

    return of_batch


def _adam(rate: float) -> Callable[..., torch.optim.Optimizer]:
    return lambda parameters: torch.optim.AdamW(parameters, rate, weight_decay=0.01, fused=True)
