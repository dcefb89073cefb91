"""Width edits on modules: attributes, optimizers, what the code of a module does not let change."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tests.formats.torch import networks  # noqa: E402
from tests.formats.torch.laws import check_all, cut_all, groups_of, outputs, randomized  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from edgewright.errors import ModelError, StoreError  # noqa: E402
from edgewright.formats.torch import (  # noqa: E402
    apply_widths,
    architecture,
    changeable_groups,
    load,
    read_module,
    rebuild,
    save,
)
from edgewright.graph.width_edits import SetWidth  # noqa: E402


class Written(nn.Module):
    """A number of channels is written in the code of the second group."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)
        self.fc = nn.Linear(5 * 16, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        return self.fc(y.view(-1, 5 * 16))


def only(module: nn.Module, inputs: Any, name: str, keep: int) -> list[SetWidth]:
    return [SetWidth(group, tuple(range(keep))) for group in groups_of(module, inputs) if group.name == name]


def test_attributes_follow() -> None:
    module = networks.MobileNet()
    cut = apply_widths(module, cut_all(groups_of(module, networks.image())), networks.image())
    depthwise = cut.block.depthwise
    assert (depthwise.in_channels, depthwise.out_channels, depthwise.groups) == (6, 6, 6)
    assert cut.block.norm.num_features == 6
    assert (cut.fc.in_features, cut.fc.out_features) == (3, 4)
    assert module.block.depthwise.groups == 12


def test_equal_hidden_sizes_keep_torchs_class() -> None:
    module, example = networks.DeepSense(), networks.window()
    groups = [group for group in groups_of(module, example) if group.name.startswith("gru")]
    assert [group.width for group in groups] == [7, 7]
    alike = apply_widths(module, [SetWidth(group, (0, 2, 5)) for group in groups], example)
    assert type(alike.gru) is nn.GRU
    assert (alike.gru.hidden_size, alike.gru.input_size) == (3, 12)
    unlike = apply_widths(module, [SetWidth(groups[0], (0, 2, 5))], example)
    assert unlike.gru.hidden_sizes == (3, 7)
    assert isinstance(unlike.gru, nn.GRU)
    again = apply_widths(unlike, only(unlike, example, groups[1].name, 3), example)
    assert type(again.gru) is nn.GRU


def test_whole_heads_go() -> None:
    module, example = networks.Transformer(), networks.words()
    (group,) = [group for group in groups_of(module, example) if group.width == 3]
    cut = apply_widths(module, [SetWidth(group, (0, 2))], example)
    assert (cut.attention.num_heads, cut.attention.head_dim, cut.attention.embed_dim) == (2, 4, 12)
    assert cut.attention.in_proj_weight.shape == (24, 12)


@pytest.mark.parametrize("make", [torch.optim.Adam, lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)])
def test_the_optimizer_goes_on(make: Any) -> None:
    """A step of the cut module with its carried state is the step of the whole one, where that has no gradient."""
    torch.manual_seed(0)
    module, x = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2)), torch.randn(5, 3)
    optimizer = make(module.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        module(x).square().sum().backward()
        optimizer.step()
    wanted = {name: tensor.clone() for name, tensor in module.named_parameters()}
    momenta = {k: v.clone() for k, v in optimizer.state[module[0].weight].items() if getattr(v, "ndim", 0) == 2}
    (group,) = groups_of(module, x)
    cut = apply_widths(module, [SetWidth(group, (1, 4), 1)], x, optimizer=optimizer)
    assert {id(p) for g in optimizer.param_groups for p in g["params"]} == {id(p) for p in cut.parameters()}
    state = optimizer.state[cut[0].weight]
    assert momenta
    for key, value in momenta.items():
        assert torch.equal(state[key], torch.cat([value[[1, 4]], torch.zeros(1, 3)]))
    assert torch.equal(cut[0].weight[:2], wanted["0.weight"][[1, 4]])
    optimizer.zero_grad()
    cut(x).square().sum().backward()
    optimizer.step()
    assert not torch.equal(cut[0].weight[:2], wanted["0.weight"][[1, 4]])


def test_tied_parameters_stay_tied() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.out = nn.Embedding(9, 6), nn.Linear(6, 9, bias=False)
            self.out.weight = self.words.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.out(torch.tanh(self.words(x)))

    module, x = randomized(Tied()), torch.arange(4)[None]
    cut = apply_widths(module, cut_all(groups_of(module, x)), x)
    assert cut.out.weight is cut.words.weight
    assert cut.out.weight.shape == (9, 3)
    assert (cut.words.embedding_dim, cut.out.in_features) == (3, 3)
    assert cut(x).shape == (1, 4, 9)


def test_a_number_in_the_code_is_named() -> None:
    module, x = Written(), networks.image()
    groups = {group.name: group for group in groups_of(module, x)}
    with pytest.raises(ModelError, match=r"does not run at .*test_apply.py, line \d+ .*view\(-1, 5 \* 16\)"):
        apply_widths(module, [SetWidth(groups["conv2"], (0, 1))], x)
    usable, refused = changeable_groups(module, x)
    assert [group.name for group in usable] == ["conv1"]
    assert list(refused) == ["conv2"]


def test_a_module_that_can_not_be_exported_is_named() -> None:
    class Branches(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(
        ModelError, match=r"Branches: .*test_apply.py, line \d+.*depends on a tensor's values"
    ) as caught:
        read_module(Branches(), torch.ones(2))
    assert "\n" not in str(caught.value)


def test_a_module_that_does_not_run_is_named() -> None:
    with pytest.raises(ModelError, match=r"Sequential: .*does not run on these inputs.*mat1 and mat2"):
        read_module(nn.Sequential(nn.Linear(3, 4)), torch.ones(2, 5))


class Shared(nn.Module):
    """The same slopes, and the same recurrent layer, in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.act = nn.Conv1d(4, 6, 1), nn.Conv1d(4, 6, 1), nn.PReLU(6)
        self.gru, self.last = nn.GRU(6, 6), nn.Conv1d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([self.act(self.conv1(x)), self.act(self.conv2(x * 2))], 2)
        return self.last(self.gru(self.gru(y.permute(2, 0, 1))[0])[0].permute(1, 2, 0))


def test_layers_in_two_places() -> None:
    check_all(Shared(), networks.frames())
    assert len(groups_of(Shared(), networks.frames())) == 1


class Steps(nn.Module):
    """A cell, step by step, from zeros of its size."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.fc = nn.GRUCell(5, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.size(0), self.cell.hidden_size)
        for step in range(x.size(1)):
            h = self.cell(x[:, step], h)
        return self.fc(h)


class Masked(nn.Module):
    """Attention with both masks, and a bound on its output."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.fc = nn.MultiheadAttention(6, 2, batch_first=True), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        later = torch.triu(torch.full((x.size(1), x.size(1)), float("-inf")), 1)
        padding = torch.arange(x.size(1))[None] >= torch.tensor([[4], [3]])
        y = self.attention(x, x, x, padding, attn_mask=later)[0]
        return self.fc(torch.where(y > 0, y, torch.zeros_like(y)))


class Numbered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(5, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.fc1(x) * torch.arange(6.0))


class Weighted(nn.Module):
    """A weight that is computed of two parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 6, 1))
        self.last = nn.Conv1d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.conv(x))


@pytest.mark.parametrize("make", [Steps, Masked])
def test_constants_that_the_code_makes(make: Any) -> None:
    check_all(make(), torch.randn(2, 4, 5 if make is Steps else 6, generator=torch.Generator().manual_seed(3)))


def test_constants_whose_items_differ_can_not_be_cut() -> None:
    module, x = Numbered(), torch.ones(2, 5)
    (group,) = groups_of(module, x)
    with pytest.raises(ModelError, match="also that of 'arange', which the module's code makes"):
        apply_widths(module, [SetWidth(group, (1, 2))], x)
    assert list(changeable_groups(module, x)[1]) == [group.name]


def test_computed_weights_keep_their_width() -> None:
    assert groups_of(Weighted(), networks.frames()) == ()


def test_saved_and_loaded(tmp_path: Path) -> None:
    module, example = randomized(networks.Speech(zeros=True)), networks.frames()
    cut = apply_widths(module, cut_all(groups_of(module, example)), example)
    path = tmp_path / "small.pt"
    save(cut, path)
    made = load(networks.Speech(zeros=True), path).eval()
    assert all(
        torch.equal(one, other) for one, other in zip(outputs(made, example), outputs(cut, example), strict=True)
    )
    with pytest.raises(StoreError, match="built in another way"):
        load(networks.Vgg(), path)
    with pytest.raises(StoreError, match="no such file"):
        load(module, tmp_path / "none.pt")
    (tmp_path / "broken.pt").write_bytes(b"no")
    with pytest.raises(StoreError, match="not a module"):
        load(module, tmp_path / "broken.pt")
    with pytest.raises(StoreError, match="version"):
        rebuild(module, {**architecture(cut), "schema_version": 99})


def test_what_is_not_understood_is_kept() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(torch.cumsum(self.a(x), -1))

    graph = read_module(Odd(), torch.ones(2, 4))
    assert [(op.kind, op.variant) for op in graph.ops][1] == ("other", "cumsum")
    assert graph.tensors["cumsum"].shape == (2, 6)
    assert groups_of(Odd(), torch.ones(2, 4)) == ()
