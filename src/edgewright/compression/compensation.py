"""Weights that make up for channels that go: what is left takes over as much of them as it can, without training.

What reads channels is linear in them: a convolution, a linear layer, the gates of a recurrent one. Where a channel that
goes is close to a sum of those that stay, `x_gone = A x_kept`, the columns that read it are added to theirs in these
shares. `A` is fitted to what the channels are on batches of the task, by least squares with a ridge: the closed form of
what He et al. (Channel Pruning, ICCV 2017, section 3.1) do for one convolution after the other. How large a ridge each
layer takes, or whether it is better left alone, is judged on batches that are held back: a wide layer has more columns
than a few batches have rows, and would learn these by heart.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from edgewright.compression.importance import to_device
from edgewright.compression.network import Network
from edgewright.compression.task import Task
from edgewright.widths.plan import WidthPlan

_RIDGES = (0.001, 0.01, 0.1, 1.0)
"""Added to the mean squares, in shares of their mean. Where few rows tell of many columns it takes more."""
_HELD = 4
"""Each so many-th batch is held back, to judge by."""
_MOST_COLUMNS = 4096
"""A layer with more columns is left alone: its products would take too much memory."""

Run = Callable[[nn.Module], Any]
"""Runs a module on one batch."""

Read = Callable[[str, Tensor], None]
"""Is told what a parameter is multiplied with: rows of samples, a column for each position on its axis 1."""


@dataclass(frozen=True)
class Moments:
    """Sums of the products of what the columns of each parameter read, over most batches and over those held back."""

    fitted: Mapping[str, Tensor]
    held: Mapping[str, Tensor]

    @classmethod
    def of(cls, network: Network, calls: Iterable[Run]) -> "Moments":
        """Of the parameters that read channels of the network's groups; each of `calls` runs a module on a batch."""
        module = deepcopy(network.module).eval()
        reading = {one.tensor for group in network.stored for one in group.members if one.axis == 1}
        fitted: dict[str, Tensor] = {}
        held: dict[str, Tensor] = {}
        runs = 0

        def read(name: str, rows: Tensor) -> None:
            if name in reading and rows.shape[1] <= _MOST_COLUMNS:
                rows = rows.float()
                squares = held if runs % _HELD == 1 else fitted
                squares[name] = squares.get(name, 0) + rows.T @ rows

        handles = [handle for prefix, part in module.named_modules() for handle in _watched(prefix, part, read)]
        try:
            with torch.no_grad():
                for call in calls:
                    call(module)
                    runs += 1
        finally:
            for handle in handles:
                handle.remove()
        return cls(fitted, {**fitted, **held})


def moments_of(task: Task, network: Network, batches: int, seed: int) -> Moments:
    """Of so many batches of a task."""
    assert task.batches is not None and task.loss is not None
    loss, device = task.loss, next(network.module.parameters()).device

    def on(batch: Any) -> Run:
        return lambda module: loss(module, to_device(batch, device))

    return Moments.of(network, map(on, islice(task.batches(seed), batches)))


def compensated_cut(network: Network, plan: WidthPlan, moments: Moments) -> Network:
    """The network at the widths of a plan, its weights making up for what went."""
    return replace(network, module=compensated(network, plan.kept, moments)).cut(plan)


def compensated(network: Network, kept: Mapping[str, Sequence[int]], moments: Moments) -> nn.Module:
    """A copy of the network's module that reads of each group the channels that are `kept` alone, and makes up for the
    others; groups that are not named are kept whole."""
    module = deepcopy(network.module).eval()
    parameters = dict(module.named_parameters(remove_duplicate=False))
    with torch.no_grad():
        for name, gone in _gone(network, kept).items():
            if name in moments.fitted:
                _take_over(parameters[name], moments.fitted[name], moments.held[name], gone)
    return module


def _gone(network: Network, kept: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """The positions on axis 1 of each parameter that hold channels that go."""
    found: dict[str, list[int]] = {}
    for group in network.stored:
        lost = sorted(set(range(group.width)) - set(kept.get(group.name, range(group.width))))
        for member in group.members:
            if member.axis == 1 and lost:
                found.setdefault(member.tensor, []).extend(member.positions(lost))
    return found


def _take_over(weight: Tensor, fitted: Tensor, held: Tensor, gone: Sequence[int]) -> None:
    """Adds the columns that go to those that stay, with the ridge at which what the weight makes of the batches that
    were held back comes out best; `fitted` and `held` are the sums of products of what its columns read."""
    lost = torch.tensor(sorted(gone), device=weight.device)
    stays = torch.ones(len(fitted), dtype=torch.bool, device=weight.device)
    stays[lost] = False
    left = stays.nonzero()[:, 0]
    columns = weight.movedim(1, -1)
    missed = columns[..., lost].reshape(-1, len(lost)).double()

    def off(shares: Tensor) -> float:
        """The square of what the weight makes of `x_lost - x_left @ shares`."""
        seen = held.double()
        between = shares.T @ seen[left][:, lost]
        rest = seen[lost][:, lost] - between - between.T + shares.T @ seen[left][:, left] @ shares
        return float(((missed @ rest) * missed).sum())

    none = torch.zeros(len(left), len(lost), dtype=torch.float64, device=weight.device)
    shares = min((none, *_shares(fitted.double(), left, lost)), key=off).to(weight.dtype)
    columns[..., left] += columns[..., lost] @ shares.T
    columns[..., lost] = 0


def _shares(squares: Tensor, left: Tensor, lost: Tensor) -> Iterator[Tensor]:
    """What each column that stays takes over of each that goes, by least squares with each ridge."""
    for ridge in _RIDGES:
        own = squares[left][:, left]
        own.diagonal().add_(ridge * own.diagonal().mean().clamp_min(torch.finfo(torch.float32).tiny))
        yield torch.linalg.solve(own, squares[left][:, lost])


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
    kind = nn.GRU if isinstance(part, nn.GRU) else nn.LSTM  # layers that were cut may differ in their hidden sizes
    for layer in range(part.num_layers):
        hidden_size = getattr(part, f"weight_hh_l{layer}").shape[1]
        one = kind(given.shape[-1], hidden_size, 1, part.bias, part.batch_first, bidirectional=part.bidirectional).to(
            given
        )
        own = {name: value for name, value in part.named_parameters() if name.endswith(_ends(layer))}
        one.load_state_dict({name.replace(f"_l{layer}", "_l0"): value for name, value in own.items()})
        states = one(given)[0]
        for direction, hidden in zip(directions, states.chunk(len(directions), -1), strict=True):
            yield f"weight_ih_l{layer}{direction}", given.reshape(-1, given.shape[-1])
            yield f"weight_hh_l{layer}{direction}", hidden.reshape(-1, hidden.shape[-1])
        given = states


def _ends(layer: int) -> tuple[str, str]:
    return f"_l{layer}", f"_l{layer}_reverse"
