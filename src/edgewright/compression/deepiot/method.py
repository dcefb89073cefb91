"""DeepIoT, steered by a cost: a compressor and a network play against each other until the network is small enough."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgewright.compression.deepiot.compressor import Compressor, unit_weights
from edgewright.compression.deepiot.costs import Costs
from edgewright.compression.deepiot.play import Network, Stream
from edgewright.compression.deepiot.policy import Critic, draw, surrogate
from edgewright.compression.deepiot.steering import Cut, Layout, cost_slopes, expanded, raised, restored
from edgewright.compression.importance import to_device
from edgewright.compression.objective import FEWEST
from edgewright.compression.task import Task
from edgewright.compression.training import optimizer_of, random_state, seed_all, set_random_state
from edgewright.errors import BudgetError, DataError
from edgewright.graph.channels import ChannelGroup


@dataclass(frozen=True)
class Settings:
    """The budget of a run, and its rates.

    The threshold is raised `stages` times, after `steps` of play each. At a step the network is trained once, under one
    mask, and is the critic of `draws` other masks; `cost_draws` masks tell how the cost depends on each unit. At first
    units are kept with the probability `start`. `memory` is that of the moving baseline, `rate` that of the compressor,
    which reads the network's parameters again after every `reading` steps; the network has `share` of the learning rate
    of its task. Logits stay within `most_logit`, so that no choice is certain before the threshold makes it. `slopes`
    lets the critic tell units apart by their scores. `pressure` is how fast the weight of the cost follows what drawn
    networks cost. `expand` moves the widths to a local minimum of the cost at the end.
    """

    stages: int = 12
    steps: int = 25
    draws: int = 4
    cost_draws: int = 8
    start: float = 0.9
    rate: float = 0.02
    memory: float = 0.95
    reading: int = 10
    most_logit: float = 4.0
    pressure: float = 0.1
    slopes: bool = True
    share: float = 0.5
    expand: bool = True


_WATCHED = 5
"""So many steps the compressor stays as it is, until the critic knows the scale of the loss."""
_BETAS = 0.9, 0.99
"""Memories of its optimizer: its gradients change their scale within some hundred steps."""
_MOST_OFF = 1.0


@dataclass(frozen=True)
class Stage:
    """What was left after the threshold was raised: the widths and their cost, and the mean loss under masks before."""

    threshold: float
    widths: tuple[int, ...]
    cost: float
    loss: float


@dataclass(frozen=True)
class Found:
    """The channels that each group keeps, by its name, the cost of that network, and the way to it."""

    kept: Mapping[str, tuple[int, ...]]
    cost: float
    stages: tuple[Stage, ...]


class Run:
    """A run that can be stopped after any step: `state` tells where it stands, and `load` goes on from there.

    The module is trained in place. Raises DataError where a task has no batches, BudgetError where the target is no
    cost that a network of these groups can have.
    """

    def __init__(
        self,
        module: nn.Module,
        groups: Sequence[ChannelGroup],
        task: Task,
        costs: Costs,
        target: float,
        settings: Settings,
        seed: int,
    ) -> None:
        if task.batches is None or task.loss is None:
            raise DataError("DeepIoT trains the network under masks: its task needs batches and loss, not train")
        self.settings, self.costs, self.target = settings, costs, target
        self.layout = Layout(tuple(group.width for group in groups), FEWEST)
        self.network = Network.of(module, groups, task.loss)
        self.alive: NDArray[np.bool_] = np.ones(sum(self.layout.widths), np.bool_)
        self.whole = float(costs(np.array([self.layout.widths]))[0])
        least = float(costs(np.array([self.layout.least]))[0])
        if not least <= target <= self.whole:
            raise BudgetError(f"DeepIoT: a cost of {target:.4g} is not between {least:.4g} and {self.whole:.4g}")
        seed_all(seed)
        self.weights = unit_weights(groups, dict(module.named_parameters(remove_duplicate=False)))
        self.compressor = Compressor(self.weights, settings.start)
        self.rates = torch.optim.Adam(self.compressor.parameters(), settings.rate, _BETAS)
        self.optimizer = optimizer_of(task, module)
        for group in self.optimizer.param_groups:
            group["lr"] *= settings.share
        self.generator = torch.Generator().manual_seed(seed)
        self.stream = Stream(task.batches, seed)
        self.critic = Critic.of(len(self.alive))
        self.weight = float(len(self.alive)) ** 0.5
        self.taken = 0
        self.stages: list[Stage] = []

    @property
    def is_done(self) -> bool:
        return self.taken >= self.settings.stages * self.settings.steps

    def step(self) -> float:
        """One step of play, and after the last of a stage the threshold; gives the loss of the training step."""
        settings = self.settings
        if self.taken % settings.reading == 0:
            groups, module = self.network.masking.groups, self.network.module
            self.weights = unit_weights(groups, dict(module.named_parameters(remove_duplicate=False)))
        logits = self._logits()
        probabilities = self._probabilities(logits).detach()
        masks = draw(probabilities, 1 + settings.draws, self.generator)
        batch = to_device(next(self.stream), self.network.device)
        loss, derivatives = self.network.train(masks[0], batch, self.optimizer)
        losses = self.network.losses(masks[1:], batch)
        if self.taken >= _WATCHED:
            self._follow(logits, masks[1:], losses)
        self.critic = self.critic.after(masks[1:], losses, settings.memory)
        if settings.slopes:
            self.critic = self.critic.learns(masks[0], derivatives, settings.memory)
        self.taken += 1
        if self.taken % settings.steps == 0:
            self._raise()
        return loss

    def _logits(self) -> torch.Tensor:
        most = self.settings.most_logit
        logits: torch.Tensor = self.compressor(self.weights)
        return most * torch.tanh(logits / most)

    def _probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """The probability that each unit is kept: none for those that were dropped."""
        return torch.sigmoid(logits) * torch.from_numpy(self.alive)

    def _follow(self, logits: torch.Tensor, masks: torch.Tensor, losses: torch.Tensor) -> None:
        """One step of the compressor against the expected loss and the expected cost."""
        alive = torch.from_numpy(self.alive)
        probabilities = self._probabilities(logits)
        drawn = draw(probabilities, self.settings.cost_draws, self.generator).numpy()
        slopes, cost = cost_slopes(self.layout, drawn, self.costs, self.alive)
        steered = torch.from_numpy(slopes / self.whole).float() @ probabilities
        objective = surrogate(logits, masks, losses, self.critic, alive) + self.weight * steered
        self.rates.zero_grad(set_to_none=True)
        objective.backward()
        self.rates.step()
        self._weigh(cost)

    def _weigh(self, cost: float) -> None:
        """The weight of the cost rises while drawn networks cost more than this stage allows, and else falls."""
        off = min(max(cost / self._limit(self.stage + 1) - 1, -_MOST_OFF), _MOST_OFF)
        self.weight *= 1 + self.settings.pressure * off

    @property
    def stage(self) -> int:
        return self.taken // self.settings.steps

    def _limit(self, stage: int) -> float:
        """What a network may cost after a stage: each takes the same share of what is left."""
        share: float = (self.target / self.whole) ** (stage / self.settings.stages)
        return self.whole * share

    def _raise(self) -> None:
        """Raises the threshold as far as this stage needs."""
        with torch.no_grad():
            probabilities = torch.sigmoid(self._logits()).double().numpy()
        cut = raised(self.layout, probabilities, self.alive, self.costs, self._limit(self.stage))
        if self.is_done and self.settings.expand:
            cut = self._expanded(cut, probabilities)
        self.alive = cut.alive
        widths = tuple(self.layout.counts(cut.alive[None])[0].tolist())
        self.stages.append(Stage(cut.threshold, widths, cut.cost, self.critic.mean))

    def _expanded(self, cut: Cut, probabilities: NDArray[np.float64]) -> Cut:
        """The cut with units taken back where that costs nothing."""
        widths = expanded(self.layout, tuple(self.layout.counts(cut.alive[None])[0].tolist()), self.costs)
        alive = restored(self.layout, probabilities, cut.alive, widths)
        return Cut(cut.threshold, alive, float(self.costs(self.layout.counts(alive[None]))[0]))

    @property
    def found(self) -> Found:
        """What is left now."""
        kept, start = {}, 0
        for group in self.network.masking.groups:
            kept[group.name] = tuple(np.flatnonzero(self.alive[start : start + group.width]).tolist())
            start += group.width
        return Found(kept, float(self.costs(self.layout.counts(self.alive[None]))[0]), tuple(self.stages))

    def state(self) -> dict[str, Any]:
        """All that `load` needs to go on, copied: tensors and plain values, as torch.save takes them."""
        state = {
            "module": self.network.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "compressor": self.compressor.state_dict(),
            "rates": self.rates.state_dict(),
            "weights": self.weights,
            "alive": torch.from_numpy(self.alive),
            "critic": asdict(self.critic),
            "weight": self.weight,
            "taken": self.taken,
            "stages": [asdict(stage) for stage in self.stages],
            "stream": (self.stream.passed, self.stream.taken),
            "generator": self.generator.get_state(),
            "random": random_state(),
        }
        return deepcopy(state)

    def load(self, state: Mapping[str, Any]) -> None:
        """Goes on from where `state` was taken; the run must be of the same network, task, target and settings."""
        self.network.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.compressor.load_state_dict(state["compressor"])
        self.rates.load_state_dict(state["rates"])
        self.weights, self.alive = list(state["weights"]), state["alive"].numpy().copy()
        self.critic = Critic(**state["critic"])
        self.weight, self.taken = state["weight"], state["taken"]
        self.stages = [Stage(**stage) for stage in state["stages"]]
        self.stream = Stream(self.stream.batches, self.stream.seed, *state["stream"])
        self.generator.set_state(state["generator"])
        set_random_state(state["random"])


def deepiot(
    module: nn.Module,
    groups: Sequence[ChannelGroup],
    task: Task,
    costs: Costs,
    target: float,
    settings: Settings | None = None,
    seed: int = 0,
    *,
    state: Mapping[str, Any] | None = None,
    after_step: Callable[[Run], None] | None = None,
) -> Found:
    """The channels to keep so that a network costs no more than `target`; the module is trained on the way.

    DeepIoT (Yao et al., SenSys 2017, arXiv 1706.01215): a recurrent compressor gives keep probabilities, follows the
    policy gradient of the network's loss under drawn masks, and the network is trained under them; units below a rising
    threshold are dropped. `costs`, in whose units `target` is, steers it as in FastDeepIoT (SenSys 2018, arXiv
    1809.06970). What is left is to cut the module to the kept channels and to train it once more.

    The same seed gives the same result. `after_step` sees the run after each step and may store its `state()`, from
    which a later call goes on. Raises DataError where the task has no batches, TrainingError where the loss is no
    number, BudgetError where the target is no cost that a network of these groups can have.
    """
    run = Run(module, groups, task, costs, target, settings or Settings(), seed)
    if state is not None:
        run.load(state)
    while not run.is_done:
        run.step()
        if after_step is not None:
            after_step(run)
    return run.found
