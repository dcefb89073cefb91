"""From a task to a narrower network: what is useless goes, a killed run goes on, bad input is told in one line."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

torch = pytest.importorskip("torch")

from tests.compression.tasks import Dense, plane, plane_task  # noqa: E402
from tests.widths.devices import SteppedDevice  # noqa: E402
from torch import nn  # noqa: E402

from edgewright.compression.aim import Aim, Device  # noqa: E402
from edgewright.compression.compress import Compressed, Compression  # noqa: E402
from edgewright.compression.network import Network  # noqa: E402
from edgewright.compression.objective import Objective  # noqa: E402
from edgewright.compression.saving import load_network, save_network  # noqa: E402
from edgewright.compression.settle import checked_cut, narrowest  # noqa: E402
from edgewright.compression.task import Task, supervised  # noqa: E402
from edgewright.compression.training import Settings  # noqa: E402
from edgewright.compression.verify import problems  # noqa: E402
from edgewright.errors import BudgetError, DataError, ModelError, StoreError, TrainingError  # noqa: E402
from edgewright.graph.types import LayerSpec  # noqa: E402
from edgewright.timing.model import ExecutionTimeModel  # noqa: E402
from edgewright.widths.executed import layers_at  # noqa: E402


class KnownDevice(SteppedDevice):
    """A device that was asked about every kind of layer."""

    device = "stepped"

    def unmeasured(self, layers: Any) -> tuple[str, ...]:
        return ()


def device(block: int = 4, **more: Any) -> Device:
    return Device(cast(ExecutionTimeModel, KnownDevice(block)), block, **more)


class Convolutions(nn.Module):
    """Images of 8 x 8 through two convolutions, the mean and a linear layer."""

    def __init__(self, first: int = 16, second: int = 16) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, first, 3, padding=1), nn.BatchNorm2d(first)
        self.second, self.last = nn.Conv2d(first, second, 3, padding=1), nn.Linear(second, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.second(torch.relu(self.norm(self.first(x))))).mean((2, 3)))


def stripes() -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy images of stripes that run down or across."""
    generator = torch.Generator().manual_seed(2)
    y = torch.arange(64) % 2
    wave = torch.sin(torch.arange(8.0) * 2)
    x = torch.where(y[:, None, None] > 0, wave[None, :, None], wave[None, None, :]) * torch.ones(64, 8, 8)
    return (x + 0.3 * torch.randn(x.shape, generator=generator))[:, None], y


def stripes_task(module: nn.Module, **settings: Any) -> Task:
    x, y = stripes()

    def accuracy(live: nn.Module) -> float:
        return float((live(x).argmax(1) == y).float().mean())

    return supervised(module, x, y, accuracy, batch_size=16, **settings)


def half_useless() -> Convolutions:
    """A network that tells stripes apart with the even channels of each layer; the odd ones do nothing."""
    torch.manual_seed(0)
    small, whole = Convolutions(8, 8), Convolutions(16, 16)
    from edgewright.compression.training import Training

    Training(stripes_task(small, learning_rate=0.1), small, 60, Settings()).run()
    with torch.no_grad():
        for parameter in whole.parameters():
            parameter.normal_()
        for name in ("first.weight", "first.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"):
            whole.state_dict()[name][::2] = small.state_dict()[name]
        whole.norm.weight[1::2] = 0
        whole.norm.bias[1::2] = 0
        whole.second.weight[::2, ::2] = small.second.weight
        whole.second.weight[::2, 1::2] = 0
        whole.second.bias[::2] = small.second.bias
        whole.last.weight[:, ::2], whole.last.weight[:, 1::2] = small.last.weight, 0
        whole.last.bias.copy_(small.last.bias)
    return whole.eval()


def run(task: Task, aim: Aim, path: Path | None = None, settings: Settings | None = None, **more: Any) -> Compressed:
    given = {"device": device(), **more}
    return Compression(task, aim, given.pop("device"), settings or Settings(), path, **given).run()


def test_useless_channels_go_and_nothing_is_lost_without_any_training() -> None:
    whole = half_useless()
    task = stripes_task(whole)
    found = run(task, Aim(0.5, steps=0, rounds=1, batches=4))
    x = stripes()[0]
    assert found.accuracy == 1.0 and found.best.accuracy == 1.0
    assert found.best.kept == pytest.approx(1.0)
    assert list(found.network.channels) == [tuple(range(0, 16, 2))] * 2
    assert torch.allclose(found.network.module(x), whole(x), rtol=1e-4, atol=1e-5)
    assert found.network.module.second.weight.shape == (8, 8, 3, 3)
    assert found.best.difference < 1e-5


AIMS = (
    Aim(0.6, steps=30, batches=2),
    Aim(0.6, steps=20, rounds=1, batches=2, steer="operations"),
    Aim(0.6, steps=20, rounds=3, batches=2, steer="parameters"),
)


@pytest.mark.parametrize("aim", AIMS)
def test_the_target_is_met_and_the_network_learns_again(aim: Aim) -> None:
    torch.manual_seed(0)
    task = stripes_task(Convolutions(), learning_rate=0.1)
    before = {name: value.clone() for name, value in task.module.state_dict().items()}
    found = run(task, aim)
    graph, groups = found.network.reading.graph, found.network.groups
    aimed = Objective.of(graph, groups, device().model, 4, aim.steer)
    first = Objective.of(found.before.reading.graph, found.before.groups, device().model, 4, aim.steer)
    assert aimed.cost(aimed.original) <= 0.6 * first.cost(first.original) * (1 + 1e-9)
    times = Objective.of(graph, groups, device().model, 4)
    assert found.best.predicted_s == pytest.approx(times.cost(times.original))
    assert len(found.rounds) == aim.rounds
    assert sum(one.steps for one in found.rounds) == aim.steps
    assert all(torch.equal(value, before[name]) for name, value in task.module.state_dict().items())


class KilledError(Exception):
    pass


@pytest.mark.parametrize("killed_at", [1, 3, 4, 6, 8])
def test_a_killed_compression_goes_on_bit_for_bit(killed_at: int, tmp_path: Path, monkeypatch: Any) -> None:
    from edgewright.compression.journal import Journal

    torch.manual_seed(0)
    task = stripes_task(Convolutions(), learning_rate=0.1)
    aim, settings = Aim(0.5, steps=24, batches=2), Settings(seed=3, checkpoint_steps=5)
    whole = run(task, aim, settings=settings)
    saved, save = [], Journal.save

    def killing(journal: Journal, path: Path | None) -> None:
        save(journal, path)
        saved.append(1)
        if len(saved) == killed_at:
            raise KilledError

    monkeypatch.setattr(Journal, "save", killing)
    with pytest.raises(KilledError):
        run(task, aim, tmp_path / "checkpoint.pt", settings)
    monkeypatch.setattr(Journal, "save", save)
    torch.randn(3)
    again = run(task, aim, tmp_path / "checkpoint.pt", settings, resumes=True)
    assert again.network.channels == whole.network.channels
    assert [one.accuracy for one in again.rounds] == [one.accuracy for one in whole.rounds]
    pairs = zip(again.network.module.state_dict().items(), whole.network.module.state_dict().values(), strict=True)
    assert all(torch.equal(value, other) for (_, value), other in pairs)


class LaidFlat(nn.Module):
    """A convolution along time whose channels are laid flat for a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.made, self.recurrent, self.last = nn.Conv1d(3, 8, 3), nn.GRU(16, 6, batch_first=True), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = torch.relu(self.made(x)).permute(0, 2, 1).unflatten(1, (4, -1)).flatten(2)
        return self.last(self.recurrent(steps)[0].mean(1))


@pytest.mark.parametrize("method", ["taylor", "deepiot"])
def test_a_network_at_its_narrowest_is_still_read(method: str) -> None:
    torch.manual_seed(0)
    task = supervised(LaidFlat(), torch.randn(32, 3, 10), torch.arange(32) % 2, lambda _: 0.0, batch_size=16)
    network = Network.of(task.module.eval(), task.example)
    objective = Objective.of(network.reading.graph, network.groups, None, 4, "parameters")
    share = objective.cost(objective.least) / objective.cost(objective.original)
    found = run(task, Aim(share, steer="parameters", method=method, steps=24, rounds=1, batches=1))
    assert tuple(map(len, found.network.channels)) == objective.least == (2, 2)


def test_another_aim_does_not_go_on(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = stripes_task(Convolutions())
    path = tmp_path / "checkpoint.pt"
    run(task, Aim(0.5, steps=4, rounds=1, batches=1), path)
    with pytest.raises(StoreError, match=r"had target 0\.5, and this one has 0\.4"):
        run(task, Aim(0.4, steps=4, rounds=1, batches=1), path, resumes=True)
    path.write_bytes(b"nothing")
    with pytest.raises(StoreError, match="no checkpoint"):
        run(task, Aim(0.5, steps=4, rounds=1, batches=1), path, resumes=True)


def test_a_saved_network_loads_into_the_architecture_it_came_from(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = stripes_task(Convolutions())
    found = run(task, Aim(0.5, steps=4, rounds=2, batches=1))
    save_network(found.network, tmp_path / "model.pt")
    x = stripes()[0]
    loaded = load_network(Convolutions(), x[:1], tmp_path / "model.pt").eval()
    assert torch.equal(loaded(x), found.network.module(x))
    with pytest.raises(ModelError, match="another network"):
        load_network(Convolutions(12), x[:1], tmp_path / "model.pt")
    (tmp_path / "model.pt").write_text("x")
    with pytest.raises(ModelError, match="no compressed network"):
        load_network(Convolutions(), x[:1], tmp_path / "model.pt")


def test_the_choice_is_corrected_by_what_is_measured() -> None:
    """A device where all takes 2 us more than predicted: a share of the measured time is met all the same."""
    torch.manual_seed(0)
    task = stripes_task(Convolutions(32, 32))
    model = device().model

    def measure(module: nn.Module | None) -> float:
        network = Network.of(task.module if module is None else module, task.example)
        priced = Objective.of(network.reading.graph, network.groups, model, 4)
        return 2e-5 + priced.cost(priced.original)

    found = run(task, Aim(0.6, steps=0, rounds=1, batches=1), device=device(measure=measure))
    assert found.before_s is not None and found.best.measured_s is not None
    assert 0.9 < found.best.measured_s / (0.6 * found.before_s) <= 1.02
    assert found.best.measured_s == pytest.approx(measure(found.network.module))


def test_no_target_is_refused_before_the_narrowest_network_was_measured() -> None:
    """A device on which narrow layers take a tenth of what its model says."""
    torch.manual_seed(0)
    task = stripes_task(Convolutions())
    model = device().model

    def layers(module: nn.Module | None) -> dict[LayerSpec, float]:
        network = Network.of(task.module if module is None else module, task.example)
        priced = Objective.of(network.reading.graph, network.groups, model, 4)
        own = layers_at(priced.frontiers.layouts, priced.original)
        return {layer: float(model.predict([layer])[0]) * (1.0 if module is None else 0.1) for layer in own}

    network = Network.of(task.module, task.example)
    priced = Objective.of(network.reading.graph, network.groups, model, 4)
    aim = Aim(0.5 * narrowest(priced)[1] / priced.cost(priced.original), steps=0, rounds=1, batches=1)
    with pytest.raises(BudgetError, match="at its narrowest"):
        run(task, aim)
    found = run(task, aim, device=device(layers=layers))
    assert sum(layers(found.network.module).values()) <= aim.time * priced.cost(priced.original)
    with pytest.raises(BudgetError, match="at its narrowest"):
        run(task, replace(aim, time=0.1 * aim.time), device=device(layers=layers))


def test_rounds_end_where_the_accuracy_does_not_hold() -> None:
    """A network that fails below 8 channels: the last one that holds is given back."""
    torch.manual_seed(0)
    task = replace(stripes_task(Convolutions()), evaluate=lambda live: float(live.second.weight.shape[0] >= 8))
    found = run(task, Aim(0.13, steps=0, rounds=5, batches=4, max_drop=0.5))
    assert found.is_stopped
    assert found.best.accuracy == 1.0
    assert found.rounds[-1].accuracy is not None and found.rounds[-1].accuracy < 1.0
    assert [len(left) for left in found.network.channels] == [len(left) for left in found.best.channels]
    with pytest.raises(TrainingError, match=r"points worse, and 0\.5 are allowed"):
        run(task, Aim(0.13, steps=0, rounds=1, batches=4, max_drop=0.5))


def test_a_task_that_trains_itself() -> None:
    torch.manual_seed(0)
    own = stripes_task(Convolutions(), learning_rate=0.1)
    calls = []

    def train(live: nn.Module, steps: int) -> None:
        assert live.training
        calls.append(steps)
        optimizer = torch.optim.SGD(live.parameters(), 0.05)
        for step in range(steps):
            batch = list(own.batches(step // 4))[step % 4]
            optimizer.zero_grad()
            own.loss(live, batch).backward()
            optimizer.step()

    task = Task(own.module, own.example, own.evaluate, train=train)
    found = run(task, Aim(0.5, steps=20, batches=2))
    assert calls == [2, 10, 2, 10]
    assert found.network.module.second.weight.shape[0] < 16


def test_bad_input_is_told_in_one_line(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = stripes_task(Convolutions())
    with pytest.raises(BudgetError, match=r"is below what this network takes at its narrowest"):
        run(task, Aim(1e-6, steps=0, rounds=1, batches=1))
    with pytest.raises(BudgetError, match=r"takes .* as it is"):
        run(task, Aim(1.0, is_absolute=True, steps=0, batches=1))
    with pytest.raises(DataError, match="evaluate gives nan"):
        run(replace(task, evaluate=lambda _: float("nan")), Aim(0.5))
    with pytest.raises(TrainingError, match=r"the last good state is in .*checkpoint\.pt"):
        calls: list[int] = []

        def loss(live: nn.Module, batch: Any) -> torch.Tensor:
            calls.append(1)
            return task.loss(live, batch) * (float("inf") if len(calls) > 8 else 1)

        run(replace(task, loss=loss), Aim(0.5, steps=20, rounds=1, batches=1), tmp_path / "checkpoint.pt")
    assert (tmp_path / "checkpoint.pt").exists()


def test_a_plan_that_is_not_kept_is_found() -> None:
    torch.manual_seed(0)
    network = Network.of(Convolutions().eval(), (stripes()[0][:1],))
    aim = Objective.of(network.reading.graph, network.groups, device().model, 4)
    ranked = {group.name: list(range(group.width)) for group in network.groups}
    plan, other = aim.plan((8, 16), ranked), aim.plan((8, 12), ranked)
    cut, off = checked_cut(network, plan)
    assert off < 1e-5
    assert not problems(network, plan, cut)
    assert problems(network, other, cut)
    broken = replace(cut, module=deepcopy(network.module))
    assert any("not as large" in told for told in problems(network, plan, broken))
    assert problems(network, plan, replace(cut, channels=((0,) * 8, cut.channels[1])))


def test_the_planes_of_dense_networks() -> None:
    torch.manual_seed(0)
    task = plane_task(Dense(width=32), learning_rate=0.1)
    found = run(task, Aim(0.5, steps=200, batches=8, rounds=1), settings=Settings(distill=0.3))
    assert len(found.network.channels[0]) < 20
    x, y = plane()
    assert float((found.network.module(x).argmax(1) == y).float().mean()) > 0.85


def test_deepiot_goes_the_same_way_and_goes_on_where_it_was_killed(tmp_path: Path, monkeypatch: Any) -> None:
    from edgewright.compression.journal import Journal

    torch.manual_seed(0)
    task = stripes_task(Convolutions(), learning_rate=0.1)
    aim, settings = Aim(0.5, method="deepiot", steps=48, batches=2), Settings(seed=3, checkpoint_steps=10)
    whole = run(task, aim, settings=settings)
    assert whole.best.predicted <= 0.5 * whole.predicted_before_s
    save = Journal.save

    def killing(journal: Journal, path: Path | None) -> None:
        save(journal, path)
        if journal.play is not None:
            raise KilledError

    monkeypatch.setattr(Journal, "save", killing)
    with pytest.raises(KilledError):
        run(task, aim, tmp_path / "checkpoint.pt", settings)
    monkeypatch.setattr(Journal, "save", save)
    again = run(task, aim, tmp_path / "checkpoint.pt", settings, resumes=True)
    assert again.network.channels == whole.network.channels
    pairs = zip(again.network.module.state_dict().values(), whole.network.module.state_dict().values(), strict=True)
    assert all(torch.equal(value, other) for value, other in pairs)
