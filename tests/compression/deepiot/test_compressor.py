"""The compressor reads layers of any kind and size, and gives a probability for each unit."""

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from torch import nn  # noqa: E402

from edgewright.compression.deepiot.compressor import Compressor, unit_weights  # noqa: E402
from edgewright.graph.channels import ChannelGroup, Member  # noqa: E402


def test_the_weights_of_a_unit_are_found_wherever_they_lie():
    """Two gates of three hidden units, flattened maps of two items for each unit, and what reads them."""
    gates, columns = torch.arange(12.0).reshape(6, 2), torch.arange(100.0, 118.0).reshape(3, 6)
    group = ChannelGroup(
        "h",
        3,
        (Member("gates", 0, repeats=2, period=3), Member("columns", 1, block=2), Member("activation", 2)),
    )
    (found,) = unit_weights([group], {"gates": gates, "columns": columns})
    assert found.shape == (3, 4 + 6)
    one = torch.cat([gates[1], gates[4]]), columns[:, 2:4].T.reshape(-1)
    torch.testing.assert_close(
        found[1, :4] / one[0], (found[:, :4].square().mean() / gates.square().mean()).sqrt().expand(4)
    )
    torch.testing.assert_close(found[1, 4:] * columns.square().mean().sqrt(), one[1])
    torch.testing.assert_close(found[:, :4].square().mean(), torch.tensor(1.0))


def test_parameters_that_are_zero_are_read_as_zero():
    group = ChannelGroup("h", 2, (Member("bias", 0),))
    (found,) = unit_weights([group], {"bias": torch.zeros(2)})
    assert found.tolist() == [[0.0], [0.0]]


def compressor_of(sizes=((4, 7), (9, 30), (2, 1))):
    torch.manual_seed(0)
    weights = [torch.randn(size) for size in sizes]
    return Compressor(weights, start=0.9, size=8), weights


def test_at_first_units_are_kept_with_the_probability_of_the_start():
    compressor, weights = compressor_of()
    found = torch.sigmoid(compressor(weights))
    assert found.shape == (15,)
    assert (found - 0.9).abs().max() < 0.1


def test_every_parameter_is_learned():
    compressor, weights = compressor_of()
    compressor(weights).square().sum().backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in compressor.parameters())


def test_later_layers_know_of_earlier_ones():
    compressor, weights = compressor_of()
    before = compressor(weights)
    weights[0] = weights[0] + 1
    after = compressor(weights)
    assert (before != after)[4:].all()
    weights[2] = weights[2] + 1
    assert (compressor(weights) == after)[:13].all()


def test_any_probabilities_can_be_learned():
    compressor, weights = compressor_of()
    wanted = (torch.arange(15) % 3 > 0).float()
    optimizer = torch.optim.Adam(compressor.parameters(), 0.05)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(compressor(weights), wanted).backward()
        optimizer.step()
    assert ((compressor(weights) > 0) == (wanted > 0)).all()
