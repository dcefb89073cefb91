"""What a width of a group costs in loss, measured: each group alone at a few widths, while all others are whole.

Scores of single channels say which of them should go first, but not what is lost when many go together, nor what the
others make good (`compensation`). So the loss is taken at a few widths of each group, on the same few batches for all
of them, normalizations taking their statistics from the batch at hand, as they will when the network is trained again
(Li et al., EagleEye, ECCV 2020). Between these widths it is interpolated.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from math import inf, isfinite
from typing import Any

import numpy as np
import torch
from torch import nn

from edgewright.compression.compensation import Moments, compensated
from edgewright.compression.importance import to_device
from edgewright.compression.masks import Masking, masks_that_keep
from edgewright.compression.network import Network
from edgewright.compression.task import Task

_SHARES = (1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4)
PASSES = 8
"""All measurements together take about as many batches as these passes over the batches that scores are taken from."""
_TOLD = 0.02
"""The weight of what scores tell, which is for widths between which no difference is measured."""


def measured_losses(
    task: Task,
    network: Network,
    ranked: Mapping[str, Sequence[int]],
    moments: Moments,
    told: Sequence[Sequence[float]],
    batches: int,
    seed: int,
) -> list[list[float]]:
    """For each group, what is lost at each number of its best channels (`ranked`), from 0 on.

    In shares of what the network has learned: of the loss that the narrowest network has more than the whole one.
    `told` is what scores say of the same widths, and `batches` how many these were taken from.
    """
    assert task.batches is not None
    count = min(max(PASSES * batches // (len(network.groups) * len(_SHARES)), 1), batches)
    device = next(network.module.parameters()).device
    given = [to_device(batch, device) for batch in islice(task.batches(seed), count)]
    masking = Masking.of(network.module, network.stored)

    def loss(widths: Mapping[str, int]) -> float:
        kept = {name: ranked[name][:width] for name, width in widths.items()}
        module = compensated(network, kept, moments)
        masking.apply(module, masks_that_keep(network.stored, kept))
        return _loss(task, module, given)

    whole = loss({})
    places = [sorted({max(round(share * group.width), 1) for share in _SHARES} - {group.width})
              for group in network.groups]  # fmt: skip
    more = [[max(loss({group.name: width}) - whole, 0.0) for width in widths]
            for group, widths in zip(network.groups, places, strict=True)]  # fmt: skip
    none = loss({group.name: 1 for group in network.groups}) - whole
    learned = max([1e-12, *(lost for lost in (none, *chain(*more)) if isfinite(lost))])
    found = []
    for group, widths, own, hints in zip(network.groups, places, more, told, strict=True):
        curve = _curve(widths, [min(lost, learned) / learned for lost in own], group.width)
        found.append([measured + _TOLD * hint for measured, hint in zip(curve, hints, strict=True)])
    return found


def _curve(widths: Sequence[int], lost: Sequence[float], whole: int) -> list[float]:
    """From 0 to the whole width: what is measured, never less at fewer channels, interpolated."""
    falling = np.maximum.accumulate([0.0, *reversed(lost)])[::-1]
    at = [0, *widths, whole]
    nothing = max(1.0, 2 * float(falling[0]))
    return [float(one) for one in np.interp(range(whole + 1), at, [nothing, *falling])]


def _loss(task: Task, module: nn.Module, given: Sequence[Any]) -> float:
    """The mean loss over some batches, infinite where it is no number, normalizations taking the statistics of each;
    where a batch has too few examples for that, those that they have."""
    assert task.loss is not None
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.train()
    with torch.no_grad():
        try:
            losses = [float(task.loss(module, batch)) for batch in given]
        except ValueError:  # torch: more than one value for each channel is needed
            module.eval()
            losses = [float(task.loss(module, batch)) for batch in given]
    found = sum(losses) / max(len(losses), 1)
    return found if isfinite(found) else inf
