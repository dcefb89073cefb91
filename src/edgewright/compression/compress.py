"""From a task to a narrower network: score, choose, cut, train, in one or a few rounds."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgewright.compression.aim import Aim, Device
from edgewright.compression.choice import losses_of, ranking, values_of
from edgewright.compression.compensation import compensated_cut, moments_of
from edgewright.compression.deepiot.method import Run, deepiot
from edgewright.compression.deepiot.method import Settings as PlaySettings
from edgewright.compression.importance import taylor
from edgewright.compression.journal import Journal, Round, load_journal
from edgewright.compression.network import Network
from edgewright.compression.objective import Objective, check_kinds
from edgewright.compression.sensitivity import measured_losses
from edgewright.compression.settle import Settlement, check_floor, checked_cut, narrowest
from edgewright.compression.task import Task
from edgewright.compression.training import Progress, Settings, Training, evaluated, seed_all
from edgewright.errors import BudgetError, TrainingError
from edgewright.graph.types import LayerSpec
from edgewright.widths.plan import plan_of

_CHECKS = 8
OnProgress = Callable[[str, float], None]


@dataclass(frozen=True)
class Compressed:
    """The narrower network, and how it came to be; `is_stopped` where the accuracy allowed no more.

    `savings` tell for each group the share of the predicted time that its cut alone would save; `peaks_bytes` is the
    predicted peak memory before and after; `point` is what one point is in the units of accuracies.
    """

    network: Network
    before: Network
    accuracy: float
    point: float
    before_s: float | None
    predicted_before_s: float
    peaks_bytes: tuple[int, int]
    savings: tuple[float, ...]
    rounds: tuple[Round, ...]
    best: Round
    is_stopped: bool


@dataclass
class Compression:
    """One compression; `journal_path` is where it is kept as it goes on."""

    task: Task
    aim: Aim
    device: Device
    settings: Settings
    journal_path: Path | None = None
    resumes: bool = False
    on_progress: OnProgress = lambda _, __: None
    _done: int = field(default=0, init=False)
    _known: dict[LayerSpec, float] = field(default_factory=dict, init=False)

    def run(self) -> Compressed:
        """Does all rounds that are left. Raises ModelError, DataError, BudgetError, TrainingError, StoreError."""
        self._begin()
        network, is_stopped = self._restored(), False
        while len(self.journal.rounds) < self.rounds and not is_stopped:
            network = self._round(network)
            is_stopped = not self._holds(self.journal.rounds[-1])
        return self._result()

    @property
    def rounds(self) -> int:
        return 1 if self.aim.method == "deepiot" else self.aim.rounds

    def _begin(self) -> None:
        """Reads the network, and judges and measures it as it is."""
        self.on_progress("reading the network", 0.0)
        torch_device = torch.device(self.settings.device)
        example = tuple(
            value.to(torch_device) if isinstance(value, torch.Tensor) else value for value in self.task.example
        )
        self.before = Network.of(deepcopy(self.task.module).to(torch_device), example)
        self.times = self._objective(self.before, "time")
        check_kinds(self.times, self.device.model)
        self.whole = self._objective(self.before, self.aim.steer)
        self.journal = self._journal()
        if self.journal.accuracy is None:
            self.on_progress("evaluating", 0.0)
            self.journal.accuracy = evaluated(self.task, self.before.module)
        if self.journal.before_s is None and self.device.measure is not None:
            self.on_progress("measuring", 0.0)
            self.journal.before_s = self.device.measure(None)
        if self.device.layers is not None and self.aim.steer == "time":
            self._known.update(self.device.layers(None))
            self.times, self.whole = (one.measured(dict(self._known)) for one in (self.times, self.whole))
        self._done = sum(one.steps for one in self.journal.rounds)
        target = self._target(self.rounds - 1)
        self._learn_narrowest(target)
        check_floor(self.aim, self.whole, target, self._correction())

    def _learn_narrowest(self, target: float) -> None:
        """Takes in what the layers of the narrowest network take, where it is predicted to miss the target: so narrow
        ones are far from most that were measured, and no target is refused by a prediction alone."""
        if self.device.layers is None or self.aim.steer != "time":
            return
        widths, cost = narrowest(self.whole)
        if cost * self._correction() <= target:
            return
        self.on_progress("measuring the narrowest network", 0.0)
        channels = tuple(tuple(range(min(pair))) for pair in zip(widths, self.whole.original, strict=True))
        self._known.update(self.device.layers(self.before.at(channels).module))
        self.times, self.whole = (one.measured(dict(self._known)) for one in (self.times, self.whole))

    def _journal(self) -> Journal:
        aim, settings = self.aim, self.settings
        asked = {
            "target": aim.time, "is_absolute": aim.is_absolute, "steer": aim.steer, "method": aim.method,
            "max_drop": aim.max_drop, "memory": aim.memory_bytes, "steps": aim.steps, "rounds": aim.rounds,
            "batches": aim.batches, "seed": settings.seed, "distill": settings.distill,
            "groups": [[group.name, group.width] for group in self.before.groups],
        }  # fmt: skip
        if self.resumes and self.journal_path is not None:
            return load_journal(self.journal_path, asked)
        return Journal(asked)

    def _objective(self, network: Network, steer: str) -> Objective:
        graph, device = network.reading.graph, self.device
        if steer == "energy":
            return Objective.of(graph, network.groups, device.energy, device.block, steer)
        found = Objective.of(graph, network.groups, device.model, device.block, steer, device.overhead_s)
        return found.measured(dict(self._known))

    def _restored(self) -> Network:
        """The network as the last round that is over left it."""
        return self._loaded(self.journal.rounds[-1], self.journal.states[-1]) if self.journal.rounds else self.before

    def _loaded(self, of: Round, weights: Mapping[str, Any]) -> Network:
        network = self.before.at(of.channels)
        network.module.load_state_dict(weights)
        return network

    def _round(self, network: Network) -> Network:
        """Cuts the network once more, and trains it."""
        journal = self.journal
        if journal.open is None:
            cut, journal.open = self._played(network) if self.aim.method == "deepiot" else self._chosen(network)
            journal.weights = _weights(cut.module)
            journal.training = journal.play = None
            journal.save(self.journal_path)
        else:
            assert journal.weights is not None
            cut = self._loaded(journal.open, journal.weights)
        steps = self._steps(len(journal.rounds))
        self._train(cut.module, steps)
        self._say("evaluating")
        accuracy = evaluated(self.task, cut.module)
        journal.rounds.append(replace(journal.open, steps=steps, accuracy=accuracy))
        journal.states.append(_weights(cut.module))
        journal.open = journal.weights = journal.training = None
        self._done = sum(one.steps for one in journal.rounds)
        journal.save(self.journal_path)
        return cut

    def _steps(self, index: int) -> int:
        """Steps of training after a cut: equal ones where each may be the last, else half of all after the last."""
        steps, count = self.aim.steps, self.rounds
        if self.aim.method == "deepiot":
            return steps - steps // 2
        if count == 1 or self.aim.max_drop is not None:
            return steps // count
        each = steps // 2 // (count - 1)
        return steps - each * (count - 1) if index == count - 1 else each

    def _say(self, told: str, more: int = 0) -> None:
        self.on_progress(told, min((self._done + more) / max(self.aim.steps, 1), 1.0))

    def _train(self, module: nn.Module, steps: int) -> None:
        """Trains a module in place, from where the journal says."""
        if not steps:
            return
        if not self.task.has_batches:
            assert self.task.train is not None
            self._say("training")
            seed_all(self.settings.seed)
            self.task.train(module.train(), steps)
            module.eval()
            return
        teacher = self.before.module if self.settings.distill else None
        training = Training(self.task, module, steps, self.settings, teacher)
        if self.journal.training is not None:
            training.load(self.journal.training)
        try:
            training.run(self._keep, self._tell, self._is_recovered, max(steps // _CHECKS, 1))
        except TrainingError as error:
            kept = f"; the last good state is in {self.journal_path}" if self.journal_path else ""
            raise TrainingError(f"{error}{kept}; a lower learning rate usually helps") from error

    def _keep(self, state: Mapping[str, Any]) -> None:
        self.journal.training = state
        self.journal.save(self.journal_path)

    def _tell(self, progress: Progress) -> None:
        left = f", {progress.left_s:.0f} s left" if progress.step > 1 else ""
        told = f"training, round {len(self.journal.rounds) + 1} of {self.rounds}, loss {progress.loss:.3f}{left}"
        self._say(told, progress.step)

    def _is_recovered(self, module: nn.Module) -> bool:
        """Whether the network is as good as it was before, which is enough where a drop is allowed."""
        if self.aim.max_drop is None:
            return False
        assert self.journal.accuracy is not None
        return evaluated(self.task, module) >= self.journal.accuracy

    def _holds(self, of: Round) -> bool:
        if self.aim.max_drop is None or of.accuracy is None or self.journal.accuracy is None:
            return True
        return self.journal.accuracy - of.accuracy <= self.aim.max_drop * self.task.point + 1e-12

    def _result(self) -> Compressed:
        """The last round whose network holds the accuracy. Raises TrainingError where none does."""
        journal = self.journal
        assert journal.accuracy is not None
        holding = [index for index, one in enumerate(journal.rounds) if self._holds(one)]
        if not holding:
            first = journal.rounds[0]
            drop = (journal.accuracy - (first.accuracy or 0.0)) / self.task.point
            share = 100 * first.predicted / self.whole.cost(self.whole.original)
            raise TrainingError(
                f"at {share:.0f} % of the {self.aim.steer} the network is {drop:.2f} points worse, and "
                f"{self.aim.max_drop:g} are allowed: allow more, train for more steps, or cut in more rounds"
            )
        best = holding[-1]
        network = self._loaded(journal.rounds[best], journal.states[best])
        times, original = self.times, self.times.original
        whole_s, widths = times.cost(original), tuple(map(len, network.channels))
        alone = [(*original[:group], width, *original[group + 1 :]) for group, width in enumerate(widths)]
        return Compressed(
            network, self.before, journal.accuracy, self.task.point, journal.before_s, whole_s,
            (times.peak_bytes(original), times.peak_bytes(widths)),
            tuple(1 - cost / whole_s for cost in times.all_costs(alone)), tuple(journal.rounds), journal.rounds[best],
            best < self.rounds - 1,
        )  # fmt: skip

    def _target(self, index: int) -> float:
        """The cost after a round, in what is steered by: each takes the same share of what is left."""
        now = self.whole.cost(self.whole.original)
        if self.aim.steer == "time" and self.journal.before_s is not None:
            now = self.journal.before_s
        last = self.aim.time if self.aim.is_absolute else self.aim.time * now
        if last >= now and self.aim.is_absolute:
            raise BudgetError(
                f"the network takes {self.aim.amount(now)} as it is, and the target is {self.aim.amount(last)}"
            )
        return float(now * (last / now) ** ((index + 1) / self.rounds))

    def _chosen(self, network: Network) -> tuple[Network, Round]:
        """Scores the channels and chooses widths."""
        index = len(self.journal.rounds)
        target = self._target(index)
        self._say(f"scoring channels, round {index + 1} of {self.rounds}")
        seed = self.settings.seed + 1000 * (index + 1)
        seed_all(seed)
        scores = taylor(
            self.task, network.module, network.reading.graph, network.groups, self.aim.batches, seed,
            network.reading.storage,
        )  # fmt: skip
        by_name = {name: own.tolist() for name, own in scores.items()}
        ranked, losses, moments = ranking(by_name), losses_of([by_name[group.name] for group in network.groups]), None
        if self.task.has_batches:
            self._say(f"measuring what widths cost, round {index + 1} of {self.rounds}")
            moments = moments_of(self.task, network, self.aim.batches, seed)
            losses = measured_losses(self.task, network, ranked, moments, losses, self.aim.batches, seed)
        settlement = Settlement(
            self.aim, self.device, network, ranked, values_of(losses), self._objective(network, self.aim.steer),
            self._objective(network, "time"), self._known, self._say,
        )  # fmt: skip
        cut, made = settlement.settle(target, self._correction(), index == self.rounds - 1)
        if moments is None:
            return cut, made
        return compensated_cut(network, settlement.objective.plan(tuple(map(len, cut.channels)), ranked), moments), made

    def _played(self, network: Network) -> tuple[Network, Round]:
        """What DeepIoT's compressor and critic agree on."""
        target, objective = self._target(0), self.whole
        correction = self._correction()
        module, play = deepcopy(network.module), PlaySettings()
        play = replace(play, steps=max(self.aim.steps // 2 // play.stages, 1), expand=self.aim.steer == "time")

        def after(run: Run) -> None:
            self._say(f"playing, stage {run.stage + 1} of {play.stages}", run.taken)
            if run.taken % self.settings.checkpoint_steps == 0:
                self.journal.play = run.state()
                self.journal.save(self.journal_path)

        found = deepiot(
            module, network.stored, self.task, lambda rows: objective.costs(rows) + objective.overhead,
            target / correction, play, self.settings.seed, state=self.journal.play, after_step=after,
        )  # fmt: skip
        gone = {group.name: sorted(set(range(group.width)) - set(found.kept[group.name])) for group in network.groups}
        widths = tuple(len(found.kept[group.name]) for group in network.groups)
        cut, off = checked_cut(replace(network, module=module), plan_of(objective.places, widths, gone))
        measured_s = None if self.device.measure is None else self.device.measure(cut.module)
        seconds = self.times.at_weights(widths).cost(widths)
        return cut, Round(cut.channels, target, found.cost, seconds, measured_s, None, None, off)

    def _correction(self) -> float:
        """Measured over predicted time, of the latest network that was measured; 1 where something else steers."""
        if self.aim.steer != "time":
            return 1.0
        rounds, before_s = self.journal.rounds, self.journal.before_s
        if rounds and rounds[-1].measured_s and rounds[-1].predicted_s:
            return rounds[-1].measured_s / rounds[-1].predicted_s
        return 1.0 if before_s is None else before_s / self.times.cost(self.times.original)


def _weights(module: nn.Module) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
