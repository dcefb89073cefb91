"""Channels that the others can stand in for are not missed, whatever kind of layer reads them."""

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from edgewright.compression.compensation import Moments, compensated  # noqa: E402
from edgewright.compression.network import Network  # noqa: E402
from edgewright.compression.objective import Objective  # noqa: E402
from edgewright.widths.plan import WidthPlan  # noqa: E402

WIDTH = 8


class Dense(nn.Module):
    def __init__(self, given: int = 6, width: int = WIDTH) -> None:
        super().__init__()
        self.made, self.last = nn.Linear(given, width), nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.made(x.mean(2))))


class Convolutional(nn.Module):
    """A convolution read by another one, and one that is laid flat."""

    def __init__(self) -> None:
        super().__init__()
        self.made, self.again = nn.Conv1d(6, WIDTH, 3), nn.Conv1d(WIDTH, WIDTH, 3)
        self.last = nn.Linear(WIDTH * 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.again(torch.relu(self.made(x)))).flatten(1))


class Recurrent(nn.Module):
    """Stacked layers, read by each other, by themselves and by a linear layer."""

    def __init__(self, kind: type[nn.GRU] | type[nn.LSTM], both: bool) -> None:
        super().__init__()
        self.recurrent = kind(6, WIDTH, 2, batch_first=True, bidirectional=both)
        self.last = nn.Linear(WIDTH * (1 + both), 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.recurrent(x.transpose(1, 2))[0].mean(1))


def double(network: Network) -> None:
    """Makes the second half of the units of each group twins of the first half."""
    parameters = dict(network.module.named_parameters())
    with torch.no_grad():
        for group in network.stored:
            half = group.width // 2
            for member in group.members:
                if member.axis == 0:
                    first, second = (member.positions(range(s, s + half)) for s in (0, half))
                    parameters[member.tensor][list(second)] = parameters[member.tensor][list(first)]


def halved(network: Network) -> tuple[dict[str, range], WidthPlan]:
    """The first half of each group, and the plan that keeps it."""
    widths = tuple(group.width // 2 for group in network.groups)
    objective = Objective.of(network.reading.graph, network.groups, None, 1, "parameters")
    plan = objective.plan(widths, {group.name: range(group.width) for group in network.groups})
    return {group.name: range(group.width // 2) for group in network.groups}, plan


MODULES = (
    Dense, Convolutional, lambda: Recurrent(nn.GRU, False), lambda: Recurrent(nn.LSTM, False),
    lambda: Recurrent(nn.GRU, True),
)  # fmt: skip


@pytest.mark.parametrize("build", MODULES, ids=["dense", "convolutional", "gru", "lstm", "both directions"])
def test_twins_stand_in_for_each_other(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    x, unseen = torch.randn(64, 6, 10), torch.randn(16, 6, 10)
    network = Network.of(build().eval(), (x[:1],))
    double(network)
    kept, plan = halved(network)
    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    module = compensated(network, kept, Moments.of(network, [lambda live: live(x), lambda live: live(x)]))
    cut = Network.of(module, (x[:1],)).cut(plan).module
    plain = network.cut(plan).module
    with torch.no_grad():
        wanted = network.module(unseen)
        off, plain_off = (float((one(unseen) - wanted).norm() / wanted.norm()) for one in (cut, plain))
    assert off < 0.02
    assert plain_off > 0.1
    assert all(torch.equal(value, before[name]) for name, value in network.module.state_dict().items())


@pytest.mark.parametrize("rows", [1, 8, 32])
def test_few_rows_are_not_learned_by_heart(rows: int) -> None:
    torch.manual_seed(0)
    x, unseen = torch.randn(4, rows, 64, 10), torch.randn(512, 64, 10)
    network = Network.of(Dense(64, 64).eval(), (x[0, :1],))
    kept, plan = halved(network)
    calls = [lambda live, batch=batch: live(batch) for batch in x]
    cut = Network.of(compensated(network, kept, Moments.of(network, calls)), (x[0, :1],)).cut(plan).module
    plain = network.cut(plan).module
    with torch.no_grad():
        off, plain_off = (float((one(unseen) - network.module(unseen)).norm()) for one in (cut, plain))
    assert off < 1.05 * plain_off


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_stacked_layers_that_were_cut_to_different_sizes(kind: type[nn.GRU] | type[nn.LSTM]) -> None:
    torch.manual_seed(0)
    x, unseen = torch.randn(64, 6, 10), torch.randn(16, 6, 10)
    network = Network.of(Recurrent(kind, False).eval(), (x[:1],))
    narrow = network.at((tuple(range(WIDTH)), tuple(range(WIDTH // 2))))
    double(narrow)
    kept, plan = halved(narrow)
    module = compensated(narrow, kept, Moments.of(narrow, [lambda live: live(x), lambda live: live(x)]))
    with torch.no_grad():
        wanted, found = narrow.module(unseen), Network.of(module, (x[:1],)).cut(plan).module(unseen)
        plain = narrow.cut(plan).module(unseen)
    assert float((found - wanted).norm()) < float((plain - wanted).norm())
