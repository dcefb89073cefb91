"""A masked module computes what the module computes with these channels cut out."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from edgewright.compression.masks import Masking, apply_masks, masked_call  # noqa: E402
from edgewright.errors import ModelError  # noqa: E402
from edgewright.graph.channels import ChannelGroup, Member  # noqa: E402


class Chain(nn.Module):
    """Two linear layers with a normalization between: one group of 6 units."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(4, width), nn.BatchNorm1d(width), nn.Linear(width, 3)

    def forward(self, x):
        return self.last(torch.relu(self.norm(self.first(x))))


GROUP = ChannelGroup(
    "hidden",
    6,
    (Member("first.weight", 0), Member("first.bias", 0), Member("norm.weight", 0), Member("norm.bias", 0),
     Member("norm.running_mean", 0), Member("last.weight", 1)),
)  # fmt: skip


def test_masked_is_cut():
    torch.manual_seed(0)
    whole = Chain(6).eval()
    whole.norm.running_mean.normal_()
    kept = [0, 2, 5]
    cut = Chain(3).eval()
    state = {
        name: value if value.dim() == 0 or name in ("last.bias",) else value[:, kept] if name == "last.weight"
        else value[kept]
        for name, value in whole.state_dict().items()
    }  # fmt: skip
    cut.load_state_dict(state)
    mask = torch.zeros(6)
    mask[kept] = 1
    x = torch.randn(5, 4)
    assert torch.allclose(masked_call(whole, [GROUP], {"hidden": mask}, x), cut(x), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(whole(x), cut(x), rtol=1e-2)
    apply_masks(whole, [GROUP], {"hidden": mask})
    assert torch.allclose(whole(x), cut(x), rtol=1e-5, atol=1e-6)


def test_stacked_recurrent_layers_with_masked_units():
    torch.manual_seed(0)
    whole, cut = nn.GRU(3, 4, 2), nn.GRU(3, 2, 2)
    gates = [gate * 4 + unit for gate in range(3) for unit in (1, 3)]
    rows = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    group = [
        ChannelGroup(f"layer{k}", 4, (
            *(Member(f"{name}_l{k}", 0, repeats=3, period=4) for name in rows),
            Member(f"weight_hh_l{k}", 1), *((Member("weight_ih_l1", 1),) if k == 0 else ()),
        )) for k in range(2)
    ]  # fmt: skip
    state = {
        name: value[gates][:, [1, 3]] if value.dim() == 2 and name != "weight_ih_l0" else value[gates]
        for name, value in whole.state_dict().items()
    }
    cut.load_state_dict(state)
    mask = torch.tensor([0.0, 1.0, 0.0, 1.0])
    x = torch.randn(7, 2, 3)
    masked = masked_call(whole, group, {"layer0": mask, "layer1": mask}, x)[0]
    assert torch.allclose(masked[..., [1, 3]], cut(x)[0], rtol=1e-5, atol=1e-6)
    assert torch.equal(masked[..., [0, 2]], torch.zeros(7, 2, 2))


def test_gradients_reach_masks_and_parameters_through_any_loss():
    torch.manual_seed(0)
    module = Chain(6)
    mask = torch.ones(6, requires_grad=True)
    masking = Masking.of(module, [GROUP])
    loss = masking.loss(module, {"hidden": mask}, lambda live, batch: live(batch).square().sum(), torch.randn(5, 4))
    loss.backward()
    assert mask.grad is not None and mask.grad.abs().min() > 0
    assert module.first.weight.grad is not None


def test_masks_that_do_not_fit_are_refused():
    with pytest.raises(ModelError, match="has 6 channels"):
        masked_call(Chain(6), [GROUP], {"hidden": torch.ones(5)}, torch.randn(2, 4))
    with pytest.raises(ModelError, match="no channel group 'other'"):
        masked_call(Chain(6), [GROUP], {"other": torch.ones(6)}, torch.randn(2, 4))
