"""The part of the network in DeepIoT: it is trained under drawn masks, and its loss under masks is the critic."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from edgewright.compression.masks import Masking
from edgewright.compression.task import Batches, Loss
from edgewright.errors import DataError, TrainingError
from edgewright.graph.channels import ChannelGroup

_LARGEST_GRADIENT = 5.0
"""As in all training: gradients are scaled down to this norm."""


@dataclass(frozen=True)
class Network:
    """A live module, where the units of its groups lie, and its loss on a batch."""

    module: nn.Module
    masking: Masking
    loss: Loss

    @classmethod
    def of(cls, module: nn.Module, groups: Sequence[ChannelGroup], loss: Loss) -> "Network":
        return cls(module, Masking.of(module, groups), loss)

    @property
    def device(self) -> torch.device:
        """Where the module is; masks and losses lie on the CPU."""
        found: torch.device = next(self.module.parameters()).device
        return found

    def train(self, mask: Tensor, batch: Any, optimizer: torch.optim.Optimizer) -> tuple[float, Tensor]:
        """One step of training under a mask of all units; the loss before it, and its derivatives by the mask.

        Raises TrainingError where the loss is no number.
        """
        self.module.train()
        optimizer.zero_grad(set_to_none=True)
        mask = mask.clone().requires_grad_()
        loss = self.masked_loss(mask, batch)
        value = float(loss.detach())
        if not isfinite(value):
            raise TrainingError(f"DeepIoT: training under masks diverged, the loss is {value}")
        loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), _LARGEST_GRADIENT)
        optimizer.step()
        assert mask.grad is not None
        return value, mask.grad

    def masked_loss(self, mask: Tensor, batch: Any) -> Tensor:
        """The loss under a mask of all units, one group after the other."""
        groups = self.masking.groups
        parts = mask.split([group.width for group in groups])
        masks = {group.name: part for group, part in zip(groups, parts, strict=True)}
        return self.masking.loss(self.module, masks, self.loss, batch)

    def losses(self, masks: Tensor, batch: Any) -> Tensor:
        """The loss under each mask, as it is in training; nothing of the network changes."""
        self.module.train()
        kept = [buffer.clone() for buffer in self.module.buffers()]
        with torch.no_grad():
            found = torch.stack([self.masked_loss(mask, batch).float().cpu() for mask in masks])
            for buffer, value in zip(self.module.buffers(), kept, strict=True):
                buffer.copy_(value)
        return found


class Stream:
    """Batches without end: one pass after the other, each with a seed of its own; where it stands can be stored."""

    def __init__(self, batches: Batches, seed: int, passed: int = 0, taken: int = 0) -> None:
        self.batches, self.seed, self.passed, self.taken = batches, seed, passed, taken
        self._now = self._begun()
        for _ in range(taken):
            next(self._now)

    def _begun(self) -> Iterator[Any]:
        return iter(self.batches(self.seed + self.passed))

    def __next__(self) -> Any:
        for batch in self._now:
            self.taken += 1
            return batch
        self.passed, self.taken = self.passed + 1, 0
        self._now = self._begun()
        for batch in self._now:
            self.taken = 1
            return batch
        raise DataError("task: its batches are none")
