"""The policy gradient against the gradient of an expectation over all 64 masks of a network of 6 units."""

from itertools import product

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from torch import nn  # noqa: E402

from edgewright.compression.deepiot.compressor import Compressor, unit_weights  # noqa: E402
from edgewright.compression.deepiot.play import Network  # noqa: E402
from edgewright.compression.deepiot.policy import Critic, draw, log_likelihood, surrogate  # noqa: E402
from edgewright.graph.channels import ChannelGroup, Member  # noqa: E402

UNITS = 6
MASKS = torch.tensor(list(product((0.0, 1.0), repeat=UNITS)))
GROUPS = (
    ChannelGroup("a", 4, (Member("0.weight", 0), Member("0.bias", 0), Member("2.weight", 1))),
    ChannelGroup("b", 2, (Member("2.weight", 0), Member("2.bias", 0), Member("4.weight", 1))),
)
ALIVE = torch.ones(UNITS, dtype=torch.bool)


@pytest.fixture
def game():
    """A compressor of a network of 4 and 2 hidden units, its weights as it reads them, and the loss of every mask."""
    torch.manual_seed(3)
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.Tanh(), nn.Linear(2, 1))
    batch = torch.randn(16, 3), torch.randn(16, 1)
    network = Network.of(module, GROUPS, lambda live, given: nn.functional.mse_loss(live(given[0]), given[1]))
    weights = unit_weights(GROUPS, dict(module.named_parameters()))
    losses = network.losses(MASKS, batch)
    assert len(losses.unique()) > 16  # no mask of the first layer matters where both units of the second are gone
    return Compressor(weights, 0.7, size=5), weights, losses


def gradient(scalar, compressor):
    compressor.zero_grad()
    scalar.backward()
    return torch.cat([one.grad.reshape(-1) for one in compressor.parameters()])


def exact(compressor, weights, losses, alive=ALIVE):
    likely = log_likelihood(compressor(weights)[alive], MASKS[:, alive]).exp()
    reached = (MASKS[:, ~alive] == 0).all(dim=1)
    return gradient((likely * losses)[reached].sum(), compressor)


def expected(compressor, weights, losses, critic, draws, alive=ALIVE):
    """The expectation of the estimate over all tuples of masks that can be drawn."""
    logits = compressor(weights)
    likely = log_likelihood(logits[alive], MASKS[:, alive]).exp().detach()
    reached = (MASKS[:, ~alive] == 0).all(dim=1).nonzero().reshape(-1).tolist()
    total = 0.0
    for rows in map(list, product(reached, repeat=draws)):
        total = total + likely[rows].prod() * surrogate(logits, MASKS[rows], losses[rows], critic, alive)
    return gradient(total, compressor) * critic.scale


CRITICS = {
    "no baseline": Critic.of(UNITS),
    "baseline": Critic(torch.zeros(UNITS), torch.zeros(UNITS), mean=1.3, variance=0.04),
    "slopes": Critic(torch.arange(6.0), torch.ones(UNITS), mean=0.9, variance=0.5, product=2.0, square=10.0),
}


@pytest.mark.parametrize("critic", CRITICS.values(), ids=CRITICS)
def test_estimate_is_unbiased(game, critic):
    compressor, weights, losses = game
    torch.testing.assert_close(
        expected(compressor, weights, losses, critic, 1), exact(compressor, weights, losses), rtol=1e-3, atol=1e-6
    )


def test_estimate_of_two_draws_is_unbiased(game):
    compressor, weights, losses = game
    found = expected(compressor, weights, losses, CRITICS["slopes"], 2)
    torch.testing.assert_close(found, exact(compressor, weights, losses), rtol=1e-3, atol=1e-6)


def test_estimate_is_unbiased_where_units_are_gone(game):
    compressor, weights, losses = game
    alive = torch.tensor([True, False, True, True, True, False])
    found = expected(compressor, weights, losses, CRITICS["slopes"], 1, alive)
    torch.testing.assert_close(found, exact(compressor, weights, losses, alive), rtol=1e-3, atol=1e-6)


def test_a_baseline_that_knew_the_mask_would_be_seen(game):
    compressor, weights, losses = game
    wrong = expected(compressor, weights, 0 * losses + 1, CRITICS["baseline"], 1)
    assert (wrong - exact(compressor, weights, losses)).abs().max() > 1e-3


def test_right_slopes_leave_no_variance():
    logits = torch.linspace(-1, 2, UNITS, requires_grad=True)
    slopes = -torch.arange(1.0, 7.0)
    critic = Critic(-slopes, torch.ones(UNITS), mean=0.4, variance=1.0, product=1.0, square=1.0)
    found = []
    for mask in MASKS:
        loss = 2.0 + ((mask - torch.sigmoid(logits)) @ slopes).detach() - 1.6
        (made,) = torch.autograd.grad(surrogate(logits, mask[None], loss[None], critic, ALIVE), logits)
        found.append(made)
    assert torch.stack(found).std(dim=0).max() < 1e-5


def test_draws_follow_the_probabilities():
    probabilities = torch.tensor([0.0, 0.1, 0.5, 0.95, 1.0])
    masks = draw(probabilities, 20_000, torch.Generator().manual_seed(0))
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(masks.mean(dim=0), probabilities, rtol=0, atol=0.02)


def test_a_critic_finds_the_slopes_behind_the_losses():
    """Losses that fall with the scores of the units that are kept, and the factor between them."""
    generator = torch.Generator().manual_seed(0)
    derivatives = torch.linspace(0.1, 1.0, UNITS)
    critic = Critic.of(UNITS)
    for _ in range(200):
        masks = draw(torch.full((UNITS,), 0.6), 4, generator)
        noise = 0.05 * torch.randn(4, generator=generator)
        critic = critic.after(masks, 5 - 3 * masks @ derivatives.square() + noise, 0.95)
        critic = critic.learns(masks[0], derivatives * masks[0], 0.95)
    torch.testing.assert_close(critic.slopes, -3 * derivatives.square(), rtol=0.1, atol=0.02)
    assert abs(critic.mean - float(5 - 3 * 0.6 * derivatives.square().sum())) < 0.3
