"""What holds for every module after width edits."""

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from edgewright.formats.torch import Reading, apply_widths, architecture, locations, rebuild, understand
from edgewright.graph import edits
from edgewright.graph.channel_groups import find_groups
from edgewright.graph.channels import ChannelGroup
from edgewright.graph.width_edits import SetWidth


def randomized(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module in eval mode, with statistics and affine parameters that are not those of a new one."""
    torch.manual_seed(seed)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_floating_point():
            tensor.data = torch.rand_like(tensor) + 0.5 if "var" in name else torch.randn_like(tensor) * 0.5
    return module.eval()


def outputs(module: nn.Module, inputs: Any) -> list[torch.Tensor]:
    args = inputs if isinstance(inputs, tuple) else (inputs,)
    with torch.no_grad():
        return [leaf for leaf in torch.utils._pytree.tree_leaves(module(*args)) if isinstance(leaf, torch.Tensor)]


def assert_close(found: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor]) -> None:
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        scale = max(float(other.abs().max()), 1e-6)
        assert float((one - other).abs().max()) <= 1e-5 * scale + 1e-7


def groups_of(module: nn.Module, inputs: Any) -> tuple[ChannelGroup, ...]:
    return find_groups(understand(module, inputs).graph)


def masked(module: nn.Module, reading: Reading, script: Sequence[SetWidth]) -> nn.Module:
    """A copy whose parameters are zero wherever removed channels lie, the places where they are read too."""
    found = copy.deepcopy(module)
    tensors = dict(found.named_parameters()) | dict(found.named_buffers())
    for edit in script:
        gone = [channel for channel in range(edit.group.width) if channel not in edit.kept]
        for place in locations(edit.group.members, gone, reading.storage):
            if "running_var" not in place.parameter:
                places = torch.tensor(place.positions, dtype=torch.long)
                tensors[place.parameter].data.index_fill_(place.axis, places, 0.0)
    return found


def check(module: nn.Module, inputs: Any, script: Sequence[SetWidth], reading: Reading) -> nn.Module:
    """The module after the script: its Graph is that of the script, its outputs those of the masked module.

    The outputs where no group is one that a mean or the like is taken over, so that removed channels count.
    """
    cut = apply_widths(module, script, inputs, reading=reading)
    after = understand(cut, inputs).graph
    wanted = edits.apply(reading.graph, script)
    assert after.ops == wanted.ops
    assert after == wanted
    check_rebuilt(module, cut, inputs)
    if all(edit.group.growable for edit in script):
        assert_close(outputs(cut, inputs), outputs(masked(module, reading, script), inputs))
    return cut


def check_rebuilt(module: nn.Module, cut: nn.Module, inputs: Any) -> None:
    """The state dict loads into a fresh instance of the architecture, which computes the same."""
    made = rebuild(module, json.loads(json.dumps(architecture(cut))))
    made.load_state_dict(cut.state_dict())
    assert all(torch.equal(one, other) for one, other in zip(outputs(made, inputs), outputs(cut, inputs), strict=True))
    assert architecture(made) == architecture(cut)
    assert repr(made) == repr(cut)


def cut_all(groups: Sequence[ChannelGroup], keep: float = 0.5) -> list[SetWidth]:
    """Every group to about this part of its channels, those at odd places going first."""
    script = []
    for group in groups:
        count = max(1, round(group.width * keep))
        order = [*range(0, group.width, 2), *range(1, group.width, 2)]
        script.append(SetWidth(group, tuple(sorted(order[:count]))))
    return script


def check_all(module: nn.Module, inputs: Any, least: int = 1) -> None:
    """Cut and grow all groups at once; those whose removal is exact, and where there are others all cut together."""
    randomized(module)
    reading = understand(module, inputs)
    groups = find_groups(reading.graph)
    assert len(groups) >= least, [group.name for group in groups]
    exact = [group for group in groups if group.growable]
    if len(exact) < len(groups):
        check(module, inputs, cut_all(groups), reading)
    if exact:
        check(module, inputs, [replace(edit, added=2) for edit in cut_all(exact)], reading)
