"""Which channel groups a module's own code lets change."""

from collections.abc import Mapping, Sequence

from torch import nn

from edgewright.errors import ModelError
from edgewright.formats.torch.apply import apply_widths
from edgewright.formats.torch.export import Inputs
from edgewright.formats.torch.read import Reading, understand
from edgewright.graph.channel_groups import find_groups
from edgewright.graph.channels import ChannelGroup
from edgewright.graph.width_edits import SetWidth


def changeable_groups(
    module: nn.Module, example_inputs: Inputs, reading: Reading | None = None
) -> tuple[tuple[ChannelGroup, ...], Mapping[str, str]]:
    """The groups that can be made narrower, and for each other one, by its name, why not.

    A number of channels that is written in the module's code (`x.view(-1, 512)`) shows only when the cut module runs,
    so that all groups are cut by a channel at once, and where that fails each by itself.
    """
    reading = reading or understand(module, example_inputs)
    groups = [group for group in find_groups(reading.graph) if group.width > 1]
    if _why_not(module, groups, example_inputs, reading) is None:
        return tuple(groups), {}
    found = {group.name: _why_not(module, [group], example_inputs, reading) for group in groups}
    refused = {name: why for name, why in found.items() if why is not None}
    return tuple(group for group in groups if group.name not in refused), refused


def _why_not(module: nn.Module, groups: Sequence[ChannelGroup], example_inputs: Inputs, reading: Reading) -> str | None:
    edits = [SetWidth(group, tuple(range(group.width - 1))) for group in groups]
    try:
        apply_widths(module, edits, example_inputs, reading=reading)
    except ModelError as error:
        return str(error)
    return None
