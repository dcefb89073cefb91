"""DeepIoT as a whole: what is useless goes, the target is met, a run that was stopped goes on."""

import copy
import io
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from torch import nn  # noqa: E402

from edgewright.compression.deepiot.method import Run, Settings, deepiot  # noqa: E402
from edgewright.compression.deepiot.play import Network  # noqa: E402
from edgewright.compression.masks import masked_call  # noqa: E402
from edgewright.compression.task import Task, supervised  # noqa: E402
from edgewright.errors import BudgetError, DataError, TrainingError  # noqa: E402
from edgewright.graph.channels import ChannelGroup, Member  # noqa: E402

QUICK = Settings(stages=3, steps=4, draws=2, cost_draws=2)
TOY = Settings(stages=6, steps=20, draws=6)


class Dense(nn.Module):
    """Sixteen hidden units; those of even number are never active, whatever they read."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(8, 16), nn.Linear(16, 3)
        with torch.no_grad():
            self.out.weight[:, 1::2] = torch.eye(3).repeat(1, 3)[:, :8] * torch.linspace(1, 2, 8)
            self.hidden.bias[::2] = -100.0

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x)))


DENSE = ChannelGroup("hidden", 16, (Member("hidden.weight", 0), Member("hidden.bias", 0), Member("out.weight", 1)))


class Convolutional(nn.Module):
    """Eight channels behind a normalization; those of even number are scaled by nothing and read by nothing."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.out = nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 3)
        with torch.no_grad():
            self.norm.weight[::2] = 0
            self.out.weight[:, ::2] = 0
            self.out.weight[:, 1::2] = 3 * torch.cat([torch.eye(3), torch.ones(3, 1)], 1)

    def forward(self, x):
        return self.out(torch.relu(self.norm(self.conv(x))).mean(dim=(2, 3)))


CONVOLUTIONAL = ChannelGroup(
    "conv",
    8,
    (Member("conv.weight", 0), Member("conv.bias", 0), Member("norm.weight", 0), Member("norm.bias", 0),
     Member("out.weight", 1)),
)  # fmt: skip


class Recurrent(nn.Module):
    """Eight hidden units; those of even number stay zero, and nothing reads them."""

    def __init__(self):
        super().__init__()
        self.gru, self.out = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 3)
        useless = [gate * 8 + unit for gate in range(3) for unit in range(0, 8, 2)]
        with torch.no_grad():
            for parameter in self.gru.parameters():
                parameter.mul_(2)[useless] = 0
            self.gru.weight_hh_l0[:, ::2] = 0
            self.out.weight[:, ::2] = 0
            self.out.weight[:, 1::2] = 3 * torch.cat([torch.eye(3), torch.ones(3, 1)], 1)

    def forward(self, x):
        return self.out(self.gru(x)[0].mean(dim=1))


RECURRENT = ChannelGroup(
    "gru",
    8,
    (
        *(
            Member(f"gru.{name}_l0", 0, repeats=3, period=8)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ),
        Member("gru.weight_hh_l0", 1),
        Member("out.weight", 1),
    ),
)
KINDS = {
    "dense": (Dense, DENSE, (256, 8)),
    "convolutional": (Convolutional, CONVOLUTIONAL, (128, 2, 5, 5)),
    "recurrent": (Recurrent, RECURRENT, (128, 5, 3)),
}


def toy(kind: str) -> tuple[nn.Module, ChannelGroup, Task]:
    """A network that is to give what it gives already."""
    torch.manual_seed(1)
    made, group, shape = KINDS[kind]
    module, inputs = made(), torch.randn(shape)
    module.train()
    with torch.no_grad():
        targets = module(inputs)
    task = supervised(
        module, inputs, targets, lambda _: 0.0, batch_size=32, loss=nn.functional.mse_loss, learning_rate=1e-3
    )
    return module, group, task


def costs(widths):
    return widths.sum(axis=1).astype(float)


@pytest.mark.parametrize("kind", KINDS)
def test_useless_units_go(kind):
    module, group, task = toy(kind)
    found = deepiot(module, [group], task, costs, group.width / 2, TOY)
    kept = found.kept[group.name]
    assert found.cost == len(kept) == group.width / 2
    assert sum(channel % 2 == 0 for channel in kept) <= group.width // 16
    assert [stage.cost for stage in found.stages] == sorted((stage.cost for stage in found.stages), reverse=True)


def test_the_same_seed_gives_the_same_result():
    results = []
    for seed in (0, 0, 1):
        module, group, task = toy("dense")
        found = deepiot(module, [group], task, costs, 9, QUICK, seed)
        results.append((found, {name: value.clone() for name, value in module.state_dict().items()}))
    (first, one), (again, two), (_, other) = results
    assert first == again
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


class WithDropout(Dense):
    def forward(self, x):
        return self.out(nn.functional.dropout(torch.relu(self.hidden(x)), 0.2, self.training))


@pytest.mark.parametrize("stopped", [1, 5, 11])
def test_a_stopped_run_goes_on_as_if_it_had_not(stopped):
    module, group, task = toy("dense")
    module.__class__ = WithDropout
    task = replace(task, batches=lambda seed: list(task_batches(seed))[:3])
    start, kept = copy.deepcopy(module), io.BytesIO()
    whole = Run(module, [group], task, costs, 9, QUICK, 7)
    while not whole.is_done:
        whole.step()
        if whole.taken == stopped:
            torch.save(whole.state(), kept)
    kept.seek(0)
    resumed = Run(start, [group], task, costs, 9, QUICK, 7)
    torch.rand(13)
    resumed.load(torch.load(kept, weights_only=False))
    while not resumed.is_done:
        resumed.step()
    assert resumed.found == whole.found
    assert all(
        torch.equal(a, b) for a, b in zip(start.state_dict().values(), module.state_dict().values(), strict=True)
    )


def task_batches(seed):
    return toy("dense")[2].batches(seed)


def test_wider_is_taken_where_it_is_not_dearer():
    """A cost of blocks of 4: at a target of 10 units, 8 cost as much as 5."""
    module, group, task = toy("dense")

    def blocks(widths):
        return np.ceil(widths / 4).sum(axis=1) + 0.01 * (widths % 4 > 0).sum(axis=1)

    found = deepiot(module, [group], task, blocks, 2.02, QUICK)
    assert len(found.kept[group.name]) == 8
    kept = deepiot(copy.deepcopy(module), [group], task, blocks, 2.02, replace(QUICK, expand=False))
    assert len(kept.kept[group.name]) <= 8
    assert kept.cost >= found.cost


def test_the_critic_changes_nothing():
    module, group, task = toy("convolutional")
    network = Network.of(module, [group], task.loss)
    before = copy.deepcopy(module.state_dict())
    batch = next(iter(task.batches(0)))
    losses = network.losses(torch.tensor([[1.0] * 8, [0.0, 1.0] * 4, [1.0, 0.0] * 4]), batch)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    torch.testing.assert_close(losses[0], losses[1])
    assert losses[2] > 10 * losses[1]


def test_units_are_masked_in_output_and_state():
    module, group, _ = toy("recurrent")
    x = torch.randn(2, 5, 3)
    mask = torch.ones(8)
    mask[3] = 0
    hidden = nn.Module.__call__(module.gru, x)[0]
    masked = masked_call(module.gru, [inner(group)], {"gru": mask}, x)[0]
    assert (masked[..., 3] == 0).all()
    assert not torch.allclose(hidden[..., 5], masked[..., 5])  # its state does not reach the others any more


def inner(group):
    members = tuple(
        replace(one, tensor=one.tensor.removeprefix("gru.")) for one in group.members if "gru" in one.tensor
    )
    return replace(group, members=members)


def test_a_task_without_batches():
    module, group, task = toy("dense")
    alone = Task(module, task.example, task.evaluate, train=lambda *_: None)
    with pytest.raises(DataError, match="batches and loss"):
        deepiot(module, [group], alone, costs, 8, QUICK)


@pytest.mark.parametrize("target", [0.5, 17])
def test_a_target_that_can_not_be_met(target):
    module, group, task = toy("dense")
    with pytest.raises(BudgetError, match="not between 2 and 16"):
        deepiot(module, [group], task, costs, target, QUICK)


def test_a_loss_that_is_no_number():
    module, group, task = toy("dense")
    broken = replace(task, loss=lambda live, batch: live(batch[0]).sum() * float("nan"))
    with pytest.raises(TrainingError, match="diverged"):
        deepiot(module, [group], broken, costs, 8, QUICK)


def test_no_batches_at_all():
    module, group, task = toy("dense")
    with pytest.raises(DataError, match="batches are none"):
        deepiot(module, [group], replace(task, batches=lambda _: []), costs, 8, QUICK)
