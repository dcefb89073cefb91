"""Parameters and buffers cut and grown along their axes, and the optimizer state that belongs to them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from edgewright.errors import ModelError
from edgewright.formats.torch.storage import Storage, pieces_of
from edgewright.graph.axis_layout import NEW, Part, axis_sources
from edgewright.graph.types import Shape
from edgewright.graph.width_edits import SetWidth


@dataclass(frozen=True)
class Resize:
    """What happens to one axis of a parameter: the source of each item, `NEW` for one that holds `fill`."""

    axis: int
    sources: tuple[int, ...]
    fill: float

    def of(self, value: Any, fill: float | None = None) -> Any:
        """A tensor with the axis resized."""
        index = torch.tensor([max(source, 0) for source in self.sources], dtype=torch.long, device=value.device)
        found = value.detach().index_select(self.axis, index)
        new = [place for place, source in enumerate(self.sources) if source == NEW]
        if new:
            places = torch.tensor(new, dtype=torch.long, device=value.device)
            found.index_fill_(self.axis, places, self.fill if fill is None else fill)
        return found


Resizes = Mapping[str, tuple[Resize, ...]]
"""What happens to each parameter or buffer that changes, by its name."""


def resizes(edits: Sequence[SetWidth], storage: Storage, shapes: Mapping[str, Shape]) -> Resizes:
    """What a script does to parameters and buffers, whose shapes before it are `shapes`.

    Raises ModelError where the script does not fit them.
    """
    parts: defaultdict[tuple[str, int], list[Part]] = defaultdict(list)
    for edit in edits:
        for member in edit.group.members:
            for piece, axis, part in pieces_of(member, storage):
                parts[piece.parameter, axis].append(Part(part, edit.group.width, edit.kept, edit.added))
    found: defaultdict[str, list[Resize]] = defaultdict(list)
    for (name, axis), its in sorted(parts.items()):
        size = shapes[name][axis]
        sources = axis_sources(size, its)
        if sources != tuple(range(size)):
            found[name].append(Resize(axis, sources, its[0].member.fill))
    return {name: tuple(its) for name, its in found.items()}


def named_tensors(module: nn.Module) -> dict[str, Any]:
    """Parameters and buffers by name, those under several names under each of them."""
    found = dict(module.named_parameters(remove_duplicate=False))
    return found | dict(module.named_buffers(remove_duplicate=False))


def resize(module: nn.Module, changes: Resizes) -> None:
    """Cut and grow parameters and buffers of a module in place; one that has several names under all of them."""
    tensors = named_tensors(module)
    for name, its in changes.items():
        if name not in tensors:
            raise ModelError(f"{type(module).__name__}: the module has no parameter {name!r}")
        old = tensors[name]
        value = old
        for change in its:
            value = change.of(value)
        new = nn.Parameter(value, old.requires_grad) if isinstance(old, nn.Parameter) else value
        for alias, tensor in tensors.items():
            if tensor is old:
                put(module, alias, new)


def put(module: nn.Module, name: str, value: Any) -> None:
    """Let a name of a module stand for another tensor."""
    path, _, last = name.rpartition(".")
    setattr(module.get_submodule(path), last, value)


def carry_over(optimizer: torch.optim.Optimizer, old: nn.Module, new: nn.Module, changes: Resizes) -> None:
    """Let an optimizer of the old module go on with the new one: its state is cut and grown like the parameters.

    What is new starts with a state of 0. Parameters that are of neither module stay as they are.
    """
    before, after = dict(old.named_parameters()), dict(new.named_parameters())
    names = {id(parameter): name for name, parameter in before.items()}
    state: dict[Any, Any] = {}
    for group in optimizer.param_groups:
        for place, parameter in enumerate(group["params"]):
            name = names.get(id(parameter))
            target = parameter if name is None else after[name]
            group["params"][place] = target
            if parameter in optimizer.state:
                its = changes.get(name or "", ())
                state[target] = {
                    key: _resized(value, parameter, its) for key, value in optimizer.state[parameter].items()
                }
    optimizer.state.clear()
    optimizer.state.update(state)


def _resized(value: Any, parameter: Any, changes: tuple[Resize, ...]) -> Any:
    if not isinstance(value, torch.Tensor) or value.shape != parameter.shape:
        return value
    for change in changes:
        value = change.of(value, fill=0.0)
    return value
