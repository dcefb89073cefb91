"""Training that survives: checkpoints from which a killed run goes on, bit for bit on a CPU."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import cos, isfinite, pi
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgewright.compression.importance import to_device
from edgewright.compression.task import Task
from edgewright.errors import DataError, TrainingError

_TEMPERATURE = 2.0
_LARGEST_GRADIENT = 5.0
"""Gradients are scaled down to this norm: a network that was just cut has large ones."""
_WARM_UP_SHARE = 0.05
_MOMENTUM, _WEIGHT_DECAY = 0.9, 5e-4

Save = Callable[[Mapping[str, Any]], None]
"""Keeps a state that training can go on from."""


@dataclass(frozen=True)
class Settings:
    """How training is done: its seed, where it runs, how much of the loss is the uncompressed network's, and how often
    (in steps) its state is kept.

    `half` is mixed precision, on CUDA alone. `log_folder` is for TensorBoard, where that is installed.
    """

    seed: int = 0
    device: str = "cpu"
    distill: float = 0.0
    half: bool = True
    checkpoint_steps: int = 100
    log_folder: str | None = None


@dataclass(frozen=True)
class Progress:
    """Where training stands; `left_s` is about how many seconds it takes yet."""

    step: int
    steps: int
    loss: float
    left_s: float


@dataclass
class Training:
    """One training of a module for a number of steps, which can be left and taken up again at any step."""

    task: Task
    module: nn.Module
    steps: int
    settings: Settings
    teacher: nn.Module | None = None
    step: int = 0
    epoch: int = 0
    position: int = 0
    losses: list[float] = field(default_factory=list)
    _random: Mapping[str, Any] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.device = torch.device(self.settings.device)
        self.module.to(self.device)
        self.is_half = self.settings.half and self.device.type == "cuda"
        self.optimizer = optimizer_of(self.task, self.module)
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        self._scaler = torch.amp.GradScaler("cuda", enabled=self.is_half)

    def run(
        self,
        save: Save = lambda _: None,
        on_progress: Callable[[Progress], None] = lambda _: None,
        is_enough: Callable[[nn.Module], bool] | None = None,
        check_steps: int = 0,
    ) -> None:
        """Trains until all steps are done, or `is_enough`, asked every `check_steps`, says so.

        Raises TrainingError where the loss is no number any more; what `save` got last is then the last good state.
        """
        seed_all(self.settings.seed + self.step)
        self._resume_random()
        self.module.train()
        started_s, first = time.monotonic(), self.step
        with _Log(self.settings.log_folder) as log:
            for batch in self._batches():
                loss = self._one(to_device(batch, self.device))
                self.losses.append(loss)
                self.step += 1
                log("loss", loss, self.step)
                left_s = (time.monotonic() - started_s) / (self.step - first) * (self.steps - self.step)
                on_progress(Progress(self.step, self.steps, loss, left_s))
                if self.step % self.settings.checkpoint_steps == 0 and self.step < self.steps:
                    save(self.state())
                if is_enough is not None and self._is_due(check_steps) and self._asked(is_enough):
                    break
        self.module.eval()

    def state(self) -> dict[str, Any]:
        """All that is needed to go on: a dict that torch.save takes."""
        return {
            "step": self.step, "epoch": self.epoch, "position": self.position, "losses": list(self.losses),
            "module": {name: value.detach().clone() for name, value in self.module.state_dict().items()},
            "optimizer": _copied(self.optimizer.state_dict()), "scaler": self._scaler.state_dict(),
            "random": random_state(),
        }  # fmt: skip

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes up a state; the module has the widths that it had then."""
        self.step, self.epoch, self.position = state["step"], state["epoch"], state["position"]
        self.losses = list(state["losses"])
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(_copied(state["optimizer"]))
        self._scaler.load_state_dict(state["scaler"])
        self._random = state["random"]

    def _resume_random(self) -> None:
        if self._random is not None:
            set_random_state(self._random)

    def _batches(self) -> Iterator[Any]:
        """Batches until all steps are done, from where training stands."""
        assert self.task.batches is not None
        while self.step < self.steps:
            kept = random_state()
            given = iter(self.task.batches(self.settings.seed * 100_003 + self.epoch))
            for _ in range(self.position):
                next(given, None)
            if self.position:  # what was skipped has drawn random numbers already
                set_random_state(kept if self._random is None else self._random)
            met = self.position
            for batch in given:
                met += 1
                self.position = met
                yield batch
                if self.step >= self.steps:
                    return
            if not met:
                raise DataError(f"task: its batches are none in pass {self.epoch}")
            self.epoch, self.position, self._random = self.epoch + 1, 0, None

    def _one(self, batch: Any) -> float:
        """One step; the loss."""
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * schedule(self.step, self.steps)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, enabled=self.is_half):
            loss = self._loss(batch)
        value = float(loss.detach())
        if not isfinite(value):
            raise TrainingError(f"training diverged at step {self.step + 1}: the loss is {value}")
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.module.parameters(), _LARGEST_GRADIENT)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        return value

    def _loss(self, batch: Any) -> Tensor:
        assert self.task.loss is not None
        share = self.settings.distill
        if not share or self.teacher is None:
            return self.task.loss(self.module, batch)
        pairs: list[tuple[Any, Any]] = []
        hook = self.module.register_forward_hook(_beside(self.teacher, pairs), with_kwargs=True)
        try:
            loss = self.task.loss(self.module, batch)
        finally:
            hook.remove()
        outputs, wanted = pairs[-1] if pairs and self.task.logits is None else (None, None)
        if not isinstance(outputs, Tensor):
            outputs, wanted = self._both(batch)
        return (1 - share) * loss + share * distilled(outputs, wanted)

    def _both(self, batch: Any) -> tuple[Tensor, Tensor]:
        """The outputs of the module and of its teacher, where the loss does not tell which these are."""
        assert self.teacher is not None
        with torch.no_grad():
            wanted = self.task.of_model(self.teacher, batch)
        return self.task.of_model(self.module, batch), wanted

    def _is_due(self, check_steps: int) -> bool:
        return bool(check_steps) and self.step % check_steps == 0 and self.step < self.steps

    def _asked(self, is_enough: Callable[[nn.Module], bool]) -> bool:
        """Asks with the module as it is evaluated, without a trace in the random numbers."""
        kept = random_state()
        self.module.eval()
        enough = is_enough(self.module)
        self.module.train()
        set_random_state(kept)
        return enough


def _beside(teacher: nn.Module, pairs: list[tuple[Any, Any]]) -> Callable[..., None]:
    """A hook that runs the teacher on whatever a module was called with, and keeps what both of them gave.

    So the module need not run a second time, and both see the same batch, however it was changed on the way.
    """

    def hook(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], outputs: Any) -> None:
        with torch.no_grad():
            pairs.append((outputs, teacher(*arguments, **named)))

    return hook


def distilled(outputs: Tensor, wanted: Tensor) -> Tensor:
    """The divergence of the outputs from the teacher's, both softened (Hinton et al., arXiv 1503.02531, section 2)."""
    softened = nn.functional.log_softmax(outputs.float() / _TEMPERATURE, -1)
    teacher = nn.functional.log_softmax(wanted.float() / _TEMPERATURE, -1)
    rows = outputs.numel() / max(outputs.shape[-1], 1)
    return nn.functional.kl_div(softened, teacher, reduction="sum", log_target=True) * _TEMPERATURE**2 / rows


def schedule(step: int, steps: int) -> float:
    """The learning rate at a step in relation to the highest: a short linear rise, then half a cosine down to 0."""
    rise = max(round(_WARM_UP_SHARE * steps), 1)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + cos(pi * (step - rise) / max(steps - rise, 1)))


def optimizer_of(task: Task, module: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that a task asks for, or SGD with momentum."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if task.optimizer is not None:
        return task.optimizer(parameters)
    return torch.optim.SGD(parameters, task.learning_rate, _MOMENTUM, weight_decay=_WEIGHT_DECAY, nesterov=True)


def seed_all(seed: int) -> None:
    """Seeds every generator of random numbers that a training may draw from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_state() -> dict[str, Any]:
    """The state of those generators."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state(), "cuda": cuda}


def set_random_state(state: Mapping[str, Any]) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])


def evaluated(task: Task, module: nn.Module) -> float:
    """What a task says of a module, evaluating, without gradients. Raises DataError where that is no number."""
    module.eval()
    with torch.no_grad():
        value = float(task.evaluate(module))
    if not isfinite(value):
        raise DataError(
            f"task: evaluate gives {value}, which says nothing; it has to give a number, higher being better"
        )
    return value


def _copied(state: Any) -> Any:
    """A state dict that shares no tensor with the original."""
    if isinstance(state, Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    return [_copied(value) for value in state] if isinstance(state, list) else state


class _Log:
    """Writes scalars for TensorBoard, where a folder is given and it is installed."""

    def __init__(self, folder: str | None) -> None:
        self.writer: Any = None
        if folder is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                return
            self.writer = SummaryWriter(folder)

    def __enter__(self) -> Callable[[str, float, int], None]:
        return self.write

    def write(self, name: str, value: float, step: int) -> None:
        if self.writer is not None:
            self.writer.add_scalar(name, value, step)

    def __exit__(self, *_: object) -> None:
        if self.writer is not None:
            self.writer.close()
