"""Rivals of the compression benchmark: each narrows a trained network to a share of a cost, and trains what is left.

All of them get the same number of training steps. What DeepIoT spends on its compressor and edgewright on its scores
comes out of these steps; uncompressed networks are trained for as many more.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from torch import nn

from edgewright.compression.aim import Aim, Device
from edgewright.compression.compress import Compression
from edgewright.compression.objective import Objective
from edgewright.compression.sensitivity import PASSES
from edgewright.compression.task import Task
from edgewright.compression.training import Settings, Training
from edgewright.errors import BudgetError
from edgewright.formats.torch import understand
from edgewright.graph.cost import layer_cost
from edgewright.graph.layers import layers_of

_SCORED = 16
"""Batches in a round that importance is taken from; each counts as a step."""
_MEASURED = PASSES * _SCORED // 3
"""Steps for the losses of widths that are measured: about so many batches, forward alone, a third of a step each."""
_DISTILLED = 3
"""A step that also runs the uncompressed network forward costs four thirds: so many steps are done in place of four."""
_ROUNDS = 1
_RATIOS = 64


@dataclass(frozen=True)
class Place:
    """A trained network with its task, what is known of a device, steps of training and their seed."""

    task: Task
    device: Device
    steps: int
    seed: int

    def settings(self) -> Settings:
        return Settings(seed=self.seed, checkpoint_steps=10**9)

    def predicted_s(self, module: nn.Module) -> float:
        """What the execution-time model says of any module."""
        device = self.device
        graph = understand(module, self.task.example).graph
        return Objective.of(graph, (), device.model, device.block, "time", device.overhead_s).cost(())

    def operations(self, module: nn.Module) -> float:
        """Multiply-accumulates of any module."""
        graph = understand(module, self.task.example).graph
        return float(sum(layer_cost(layer).macs for _, layer in layers_of(graph)))


Method = Callable[[Place, float], nn.Module]
"""Narrows the network of a place to a share of a cost, and trains the rest; the network itself stays as it is."""


def uncompressed(place: Place, _: float) -> nn.Module:
    """The network as it is, or trained for as long as all others, whichever is better."""
    further = _trained(place, copy.deepcopy(place.task.module))
    return max((place.task.module, further), key=place.task.evaluate)


def ours(place: Place, share: float, distill: float = 0.0) -> nn.Module:
    """Taylor scores, the widths that lose least within a predicted time, weights that make up for what went; what
    batches are seen before training, for the scores, the weights and the losses, is taken off the training."""
    steps = max(place.steps - _ROUNDS * (2 * _SCORED + _MEASURED), 0)
    if distill:
        steps = _DISTILLED * steps // 4
    return _compressed(place, Aim(share, steps=steps, rounds=_ROUNDS, batches=_SCORED), distill)


def distilled(place: Place, share: float) -> nn.Module:
    """The same where half of the loss is to give what the uncompressed network gives."""
    return ours(place, share, distill=0.5)


def by_deepiot(steer: str) -> Method:
    """DeepIoT, steered by a cost; by time widths are moved to local minima of it besides, as in FastDeepIoT."""
    return lambda place, share: _compressed(place, Aim(share, steer=steer, method="deepiot", steps=place.steps))


def by_pruner(round_to: int) -> Method:
    """torch-pruning's magnitude pruner at the smallest ratio that leaves no more than a share of the operations.

    Ratios are tried one by one: a layer whose rounded width would be nothing stays whole, so more may be left of a
    larger ratio.
    """

    def method(place: Place, share: float) -> nn.Module:
        for step in range(_RATIOS):
            module, left = _pruned(place, step / _RATIOS, round_to)
            if left <= share:
                return _trained(place, module)
        raise BudgetError(f"torch-pruning leaves more than {share:g} of the operations at every ratio")

    return method


def _compressed(place: Place, aim: Aim, distill: float = 0.0) -> nn.Module:
    """The result is judged by the ladder, for all methods alike, and nothing is judged before."""
    task = replace(place.task, evaluate=lambda _: 0.0)
    settings = replace(place.settings(), distill=distill)
    return Compression(task, aim, place.device, settings).run().network.module.eval()


def _pruned(place: Place, ratio: float, round_to: int) -> tuple[nn.Module, float]:
    """The network with this share of the channels of every layer gone, and the share of operations left."""
    import torch_pruning as tp

    module, example = copy.deepcopy(place.task.module), place.task.example[0]
    before, _ = tp.utils.count_ops_and_params(module, example)
    last = [part for part in module.modules() if isinstance(part, nn.Linear)][-1]
    importance = tp.importance.GroupMagnitudeImportance(p=2)
    tp.pruner.BasePruner(
        module, example, importance, pruning_ratio=ratio, round_to=round_to, ignored_layers=[last]
    ).step()
    after, _ = tp.utils.count_ops_and_params(module, example)
    return module, after / before


def _trained(place: Place, module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        parameter.grad = None
    Training(place.task, module, place.steps, place.settings()).run()
    return module.eval()


METHODS: Mapping[str, Method] = {
    "uncompressed": uncompressed,
    "edgewright": ours,
    "edgewright, distilled": distilled,
    "DeepIoT, size": by_deepiot("parameters"),
    "DeepIoT, FLOPs": by_deepiot("operations"),
    "FastDeepIoT": by_deepiot("time"),
    "torch-pruning, 8": by_pruner(8),
    "torch-pruning, 16": by_pruner(16),
}
CONVOLUTIONAL = ("torch-pruning, 8", "torch-pruning, 16")
"""Methods that fail on recurrent layers."""


def parameters_of(module: nn.Module) -> int:
    """Items of all parameters."""
    return sum(parameter.numel() for parameter in module.parameters())
