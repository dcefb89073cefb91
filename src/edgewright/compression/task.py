"""What a network is trained on: the protocol of a task, and what makes one of a plain loop or a Lightning module."""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgewright.errors import DataError

Batches = Callable[[int], Iterable[Any]]
"""For a seed, one pass over the training data, batch by batch; the same for the same seed."""
Loss = Callable[[nn.Module, Any], Tensor]
"""The loss of a module on a batch, to be made small: a scalar that gradients can be taken of."""
Evaluate = Callable[[nn.Module], float]
"""How good a module is, higher being better: an accuracy, as a rule."""
Train = Callable[[nn.Module, int], Any]
"""Trains a module in place for so many steps."""


@dataclass(frozen=True)
class Task:
    """A network, an example of what it reads, how it is trained and how it is judged.

    Either `batches` and `loss`: the training is edgewright's then, with checkpoints that go on bit for bit,
    distillation and mixed precision. Or `train`, which is called with a module and a number of steps and does it all:
    then a killed run goes on from the last finished call.

    `point` is what one point of `--max-drop` is in the units of `evaluate`: 0.01 where that gives a share (0.925), 1
    where it gives percent. `optimizer` makes the optimizer from parameters; None is SGD with momentum 0.9 under a
    cosine schedule from `learning_rate`. `logits` gives what distillation compares, where a forward on the batch's
    first entry is not right.
    """

    module: nn.Module
    example: tuple[Any, ...]
    evaluate: Evaluate
    batches: Batches | None = None
    loss: Loss | None = None
    train: Train | None = None
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer] | None = None
    learning_rate: float = 0.02
    point: float = 0.01
    logits: Callable[[nn.Module, Any], Tensor] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.module, nn.Module):
            raise DataError(f"task: its module is {type(self.module).__name__}, not an nn.Module")
        if isinstance(self.example, Tensor):
            object.__setattr__(self, "example", (self.example,))
        if self.train is None and (self.batches is None or self.loss is None):
            raise DataError("task: it takes either batches and loss, or train")

    @property
    def has_batches(self) -> bool:
        """Whether the training is edgewright's."""
        return self.batches is not None and self.loss is not None

    def of_model(self, module: nn.Module, batch: Any) -> Tensor:
        """The outputs for a batch, as distillation compares them."""
        if self.logits is not None:
            return self.logits(module, batch)
        found: Tensor = module(batch[0] if isinstance(batch, tuple | list) else batch)
        return found


def supervised(
    module: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    evaluate: Evaluate,
    *,
    batch_size: int = 64,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
    **settings: Any,
) -> Task:
    """A task of tensors in memory: classification by cross-entropy, or whatever `loss(outputs, targets)` gives.

    `inputs` and `targets` have one row for each example; each pass takes them in another order, in whole batches.
    """
    criterion = loss or nn.functional.cross_entropy

    def batches(seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
        for rows in order.split(batch_size):
            if len(rows) == min(batch_size, len(inputs)):
                given = inputs[rows]
                yield (augment(given) if augment else given), targets[rows]

    def of_batch(live: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return criterion(live(batch[0]), batch[1])

    return Task(module, (inputs[:1],), evaluate, batches, of_batch, **settings)


def from_loader(
    module: nn.Module,
    example: Any,
    loader: Iterable[Any],
    loss: Callable[[Any, Any], Tensor],
    evaluate: Evaluate,
    **settings: Any,
) -> Task:
    """A task of a plain PyTorch loop: a DataLoader of (inputs, targets), and `loss(outputs, targets)`.

    A pass of a DataLoader draws from the global random numbers, which are seeded before each.
    """

    def batches(seed: int) -> Iterator[Any]:
        torch.manual_seed(seed)
        yield from loader

    def of_batch(live: nn.Module, batch: Any) -> Tensor:
        return loss(live(batch[0]), batch[1])

    return Task(module, _as_tuple(example), evaluate, batches, of_batch, **settings)


def from_lightning(module: Any, example: Any, loader: Iterable[Any], evaluate: Evaluate, **settings: Any) -> Task:
    """A task of a Lightning module: its `training_step` is the loss, its `configure_optimizers` makes the optimizer.

    Nothing of Lightning is imported, and no Trainer is attached, so `training_step` has to work without one.
    """
    for name in ("training_step", "configure_optimizers"):
        if not callable(getattr(module, name, None)):
            raise DataError(f"task: {type(module).__name__} has no {name}, as a Lightning module does")
    takes_index = len(inspect.signature(module.training_step).parameters) > 1

    def batches(seed: int) -> Iterator[Any]:
        torch.manual_seed(seed)
        yield from loader

    def of_batch(live: Any, batch: Any) -> Tensor:
        found = live.training_step(batch, 0) if takes_index else live.training_step(batch)
        loss: Tensor = found["loss"] if isinstance(found, dict) else found
        return loss

    def optimizer(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        made = _optimizer_of(module)
        settings = {key: value for key, value in made.param_groups[0].items() if key in made.defaults}
        return type(made)(parameters, **settings)

    return Task(module, _as_tuple(example), evaluate, batches, of_batch, None, optimizer, **settings)


def _optimizer_of(module: Any) -> torch.optim.Optimizer:
    """The first optimizer of a Lightning module."""
    made = module.configure_optimizers()
    while not isinstance(made, torch.optim.Optimizer):
        if isinstance(made, dict) and "optimizer" in made:
            made = made["optimizer"]
        elif isinstance(made, Sequence) and made:
            made = made[0]
        else:
            raise DataError(f"task: configure_optimizers of {type(module).__name__} gives no optimizer")
    return made


def load_task(where: str) -> Task:
    """The task that `FILE.py:NAME` names: a Task, or a function that makes one. Raises DataError.

    The file is run as a module; its folder is on the path meanwhile, so that it may import its neighbours.
    """
    path_text, colon, name = where.rpartition(":")
    path = Path(path_text)
    if not colon or not name.isidentifier() or path.suffix != ".py":
        raise DataError(f"{where}: a task is named FILE.py:NAME")
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    found = getattr(_imported(path), name, None)
    if found is None:
        raise DataError(f"{path}: it has no {name!r}")
    if not isinstance(found, Task):
        try:
            found = found()
        except Exception as error:
            raise DataError(f"{path}: {name}() failed: {type(error).__name__}: {error}") from error
    if not isinstance(found, Task):
        raise DataError(f"{path}: {name} is no Task, and makes none ({type(found).__name__})")
    return found


def _imported(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise DataError(f"{path}: it can't be imported")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise DataError(f"{path}: importing it failed: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
    return module


def _as_tuple(example: Any) -> tuple[Any, ...]:
    return example if isinstance(example, tuple) else (example,)
