"""Channel groups of convolutional networks, against those that torch-pruning finds."""

import pytest

torch = pytest.importorskip("torch")
pruning = pytest.importorskip("torch_pruning")

from tests.formats.torch.laws import groups_of  # noqa: E402
from tests.formats.torch.networks import NETWORKS  # noqa: E402
from torch import nn  # noqa: E402

Coupled = set[frozenset[str]]


def ours(module: nn.Module, inputs: torch.Tensor) -> Coupled:
    """For each group the layers whose outputs are in it."""
    layers = {name: part for name, part in module.named_modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d)}
    layers |= {name: part for name, part in module.named_modules() if isinstance(part, nn.Linear)}
    found = set()
    for group in groups_of(module, inputs):
        rows = {(member.tensor, member.axis) for member in group.members}
        found.add(
            frozenset(
                name
                for name, part in layers.items()
                if (f"{name}.weight", int(isinstance(part, nn.ConvTranspose2d))) in rows
            )
        )
    return found


def theirs(module: nn.Module, inputs: torch.Tensor, last: nn.Module) -> Coupled:
    graph = pruning.DependencyGraph().build_dependency(module, example_inputs=inputs)
    names = {part: name for name, part in module.named_modules()}
    found = set()
    for group in graph.get_all_groups(ignored_layers=[last]):
        coupled = frozenset(
            names[dep.target.module]
            for dep, _ in group
            if dep.target.module in names
            and graph.is_out_channel_pruning_fn(dep.handler)
            and isinstance(dep.target.module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        )
        found.add(coupled)
    return found


@pytest.mark.parametrize("name", ["vgg", "resnet", "mobilenet", "densenet", "decoder"])
def test_the_same_layers_go_together(name: str) -> None:
    make, inputs, _ = NETWORKS[name]
    module = make().eval()
    last = [part for part in module.modules() if isinstance(part, nn.Conv2d | nn.Linear)][-1]
    assert ours(module, inputs()) == theirs(module, inputs(), last)
