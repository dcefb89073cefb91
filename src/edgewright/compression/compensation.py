"""Weights that make up for channels that go: what is left takes over as much of them as it can, without training.

What reads channels is linear in them: a convolution, a linear layer, the gates of a recurrent one. Where a channel that
goes is close to a sum of those that stay, `x_gone = A x_kept`, the columns that read it are added to theirs in these
shares. `A` is fitted to what the channels are on batches of the task, by least squares with a small ridge: the closed
form of what He et al. (Channel Pruning, ICCV 2017, section 3.1) do for one convolution after the other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from edgewright.compression.importance import to_device
from edgewright.compression.network import Network
from edgewright.compression.task import Task
from edgewright.widths.plan import WidthPlan

_RIDGE = 0.01
"""Added to the mean squares, in shares of their mean."""

Read = Callable[[str, Tensor], None]
"""Is told what a parameter is multiplied with: rows of samples, a column for each position on its axis 1."""


def compensated_cut(task: Task, network: Network, plan: WidthPlan, batches: int, seed: int) -> Network:
    """The network at the widths of a plan, its weights making up for what went, from so many batches of a task."""
    assert task.batches is not None and task.loss is not None
    given, loss = task.batches, task.loss
    device = next(network.module.parameters()).device
    kept: dict[str, Sequence[int]] = {group.name: range(group.width) for group in network.groups}
    kept.update({change.group.name: change.kept for change in plan.changes})

    def run(module: nn.Module) -> None:
        for batch in islice(given(seed), batches):
            loss(module, to_device(batch, device))

    return replace(network, module=compensated(network, kept, run)).cut(plan)


def compensated(network: Network, kept: Mapping[str, Sequence[int]], run: Callable[[nn.Module], Any]) -> nn.Module:
    """A copy of the network's module that reads of each group the channels that are `kept` alone, and makes up for the
    others; `run` runs it on some batches."""
    module = deepcopy(network.module).eval()
    gone = _gone(network, kept)
    squares: dict[str, Tensor] = {}

    def read(name: str, rows: Tensor) -> None:
        if name in gone:
            rows = rows.float()
            squares[name] = squares.get(name, 0) + rows.T @ rows

    handles = [handle for prefix, part in module.named_modules() for handle in _watched(prefix, part, read)]
    try:
        with torch.no_grad():
            run(module)
    finally:
        for handle in handles:
            handle.remove()
    parameters = dict(module.named_parameters(remove_duplicate=False))
    with torch.no_grad():
        for name, found in squares.items():
            _take_over(parameters[name], found, gone[name])
    return module


def _gone(network: Network, kept: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """The positions on axis 1 of each parameter that hold channels that go."""
    found: dict[str, list[int]] = {}
    for group in network.stored:
        lost = sorted(set(range(group.width)) - set(kept[group.name]))
        for member in group.members:
            if member.axis == 1 and lost:
                found.setdefault(member.tensor, []).extend(member.positions(lost))
    return found


def _take_over(weight: Tensor, squares: Tensor, gone: Sequence[int]) -> None:
    """Adds the columns that go to those that stay; `squares` are the sums of products of what they read."""
    lost = torch.tensor(sorted(gone), device=weight.device)
    stays = torch.ones(len(squares), dtype=torch.bool, device=weight.device)
    stays[lost] = False
    left = stays.nonzero()[:, 0]
    own = squares[left][:, left].double()
    own.diagonal().add_(_RIDGE * own.diagonal().mean().clamp_min(torch.finfo(torch.float32).tiny))
    shares = torch.linalg.solve(own, squares[left][:, lost].double()).to(weight.dtype)
    columns = weight.movedim(1, -1)
    columns[..., left] += columns[..., lost] @ shares.T
    columns[..., lost] = 0


def _watched(prefix: str, part: nn.Module, read: Read) -> Iterator[Any]:
    """Hooks that tell of every input of a layer that has columns for it."""
    start = f"{prefix}." if prefix else ""
    if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d) and getattr(part, "groups", 1) == 1:
        axis = -1 if isinstance(part, nn.Linear) else 1

        def before(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            given = inputs[0].movedim(axis, -1)
            read(f"{start}weight", given.reshape(-1, given.shape[-1]))

        yield part.register_forward_pre_hook(before)
    if isinstance(part, nn.GRU | nn.LSTM) and not part.proj_size:

        def after(_: nn.Module, inputs: tuple[Any, ...], __: Any) -> None:
            for name, rows in _recurrent(part, inputs[0]):
                read(f"{start}{name}", rows)

        yield part.register_forward_hook(after)


def _recurrent(part: nn.GRU | nn.LSTM, given: Tensor) -> Iterator[tuple[str, Tensor]]:
    """What each weight of a recurrent layer is multiplied with, stacked layers being run one by one."""
    directions = ("", "_reverse") if part.bidirectional else ("",)
    for layer in range(part.num_layers):
        one = type(part)(
            given.shape[-1], part.hidden_size, 1, part.bias, part.batch_first, bidirectional=part.bidirectional
        ).to(given)
        own = {name: value for name, value in part.named_parameters() if name.endswith(_ends(layer))}
        one.load_state_dict({name.replace(f"_l{layer}", "_l0"): value for name, value in own.items()})
        states = one(given)[0]
        for direction, hidden in zip(directions, states.chunk(len(directions), -1), strict=True):
            yield f"weight_ih_l{layer}{direction}", given.reshape(-1, given.shape[-1])
            yield f"weight_hh_l{layer}{direction}", hidden.reshape(-1, hidden.shape[-1])
        given = states


def _ends(layer: int) -> tuple[str, str]:
    return f"_l{layer}", f"_l{layer}_reverse"
