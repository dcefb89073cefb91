"""Losses of widths: nothing for channels that others stand in for, much for those that are needed."""

from dataclasses import replace
from itertools import pairwise

import pytest

torch = pytest.importorskip("torch")

from tests.compression.tasks import Dense, plane_task  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from edgewright.compression.choice import losses_of, ranking  # noqa: E402
from edgewright.compression.compensation import Moments, moments_of  # noqa: E402
from edgewright.compression.importance import taylor  # noqa: E402
from edgewright.compression.network import Network  # noqa: E402
from edgewright.compression.sensitivity import measured_losses  # noqa: E402
from edgewright.compression.task import Task  # noqa: E402
from edgewright.compression.training import Settings, Training  # noqa: E402

BATCHES = 6


class Normalized(nn.Module):
    """Two groups of hidden units, with a normalization between them."""

    def __init__(self, given: int = 4, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(given, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 2),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def trained(module: nn.Module) -> tuple[Task, Network]:
    torch.manual_seed(0)
    task = plane_task(module)
    Training(task, module, 60, Settings()).run()
    return task, Network.of(module.eval(), task.example)


def losses(task: Task, network: Network) -> list[list[float]]:
    found = taylor(task, network.module, network.reading.graph, network.groups, BATCHES, 0, network.reading.storage)
    scores = {name: own.tolist() for name, own in found.items()}
    hints = losses_of([scores[group.name] for group in network.groups])
    moments = moments_of(task, network, BATCHES, 0)
    return measured_losses(task, network, ranking(scores), moments, hints, BATCHES, 0)


def test_losses_fall_with_widths_and_end_at_nothing() -> None:
    task, network = trained(Normalized())
    for own, group in zip(losses(task, network), network.groups, strict=True):
        assert len(own) == group.width + 1
        assert own[-1] == pytest.approx(0.0)
        assert all(more < less for less, more in pairwise(own))
        assert own[0] >= 1.0


def test_units_that_others_stand_in_for_cost_nothing() -> None:
    task, _ = trained(small := Dense(width=4))
    wide = Dense(width=16)
    with torch.no_grad():
        wide.first.weight.copy_(small.first.weight.repeat(4, 1))
        wide.first.bias.copy_(small.first.bias.repeat(4))
        wide.last.weight.copy_(small.last.weight.repeat(1, 4) / 4)
        wide.last.bias.copy_(small.last.bias)
    network = Network.of(wide.eval(), task.example)
    ranked, told = {group.name: range(16) for group in network.groups}, [[0.0] * 17]
    with_moments, without = (
        measured_losses(task, network, ranked, moments, told, BATCHES, 0)[0]
        for moments in (moments_of(task, network, BATCHES, 0), Moments({}, {}))
    )
    assert max(with_moments[4:]) < 0.01
    assert without[4] > 0.1


def test_batches_of_one_example_are_judged_by_the_statistics_that_are_there() -> None:
    task, network = trained(Normalized())
    given = task.batches
    assert given is not None

    def ones(seed: int) -> list[tuple[Tensor, Tensor]]:
        return [(x[:1], y[:1]) for x, y in given(seed)]

    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    found = losses(replace(task, batches=ones), network)
    assert all(own[-1] == pytest.approx(0.0) for own in found)
    assert all(torch.equal(value, before[name]) for name, value in network.module.state_dict().items())


def test_a_loss_that_is_no_number_counts_as_all_that_can_be_lost() -> None:
    task, network = trained(Normalized())
    loss = task.loss
    assert loss is not None

    broken: list[float] = []

    def breaking(module: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        found = loss(module, batch)
        if float(found.detach()) < 0.5:
            return found
        broken.append(float(found.detach()))
        return found * torch.nan

    found = losses(replace(task, loss=breaking), network)
    assert broken
    assert all(0 <= lost < 4 for own in found for lost in own)
