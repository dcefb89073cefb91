"""How much each channel matters: accumulated first-order Taylor scores.

With a mask m of ones on what reads a channel, the loss without the channel is, to first order, L - dL/dm; and dL/dm is
the sum of weight times gradient over everything that reads the channel (Molchanov et al., Importance Estimation for
Neural Network Pruning, CVPR 2019: the first-order score at a gate). The score is the root of its mean square over
batches. Whatever the layers are, convolutional, dense or recurrent, it takes the gradients of the parameters alone.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from edgewright.compression.masks import Masking
from edgewright.compression.network import in_module
from edgewright.compression.task import Task
from edgewright.errors import DataError
from edgewright.formats.torch.storage import Storage
from edgewright.graph.channels import ChannelGroup, Member
from edgewright.graph.cost import GATES
from edgewright.graph.types import Graph

Importance = Mapping[str, Tensor]
"""For each group, by its name, a score of each of its channels; none is negative."""


@dataclass
class TaylorScores:
    """Scores as they add up; `masking` knows where the channels are read, `sums` lie end to end as its masks do."""

    masking: Masking
    sums: Tensor
    batches: int = 0

    @classmethod
    def of(
        cls, module: nn.Module, graph: Graph, groups: Sequence[ChannelGroup], storage: Storage | None = None
    ) -> "TaylorScores":
        """Of a module and the groups of its Graph, whose constants lie in it as `storage` says, or have the names of
        its parameters."""
        readers = [reading(graph, group) for group in groups]
        masking = Masking.of(module, readers if storage is None else [in_module(one, storage) for one in readers])
        return cls(masking, torch.zeros(sum(group.width for group in groups) + 1))

    def add(self, products: Mapping[str, Tensor]) -> None:
        """Takes in a batch: for each parameter by name, weight times gradient, item by item."""
        batch = torch.zeros_like(self.sums)
        for name, axes in self.masking.places.items():
            if name in products:
                for axis, index in axes.items():
                    product = products[name].detach().float().cpu()
                    others = [other for other in range(product.dim()) if other != axis]
                    batch.index_add_(0, index, product.sum(others) if others else product)
        self.sums += batch.square()
        self.batches += 1

    def importance(self) -> Importance:
        """The root of the mean of each score over the batches, so that what several channels are worth adds up as what
        their absence does to the loss. Raises DataError where a score is not finite."""
        widths = [group.width for group in self.masking.groups]
        means = self.sums[:-1] / max(self.batches, 1)
        if not bool(torch.isfinite(means).all()):
            raise DataError("task: the loss has gradients that are not finite, so nothing can be said of its channels")
        names = [group.name for group in self.masking.groups]
        return dict(zip(names, means.sqrt().split(widths), strict=True))


def reading(graph: Graph, group: ChannelGroup) -> ChannelGroup:
    """The group with those of its members alone that read its channels: columns of weights, a recurrent state's too.

    Where nothing that has weights reads them, all of its members.
    """
    makers_and_readers = graph.consumers()
    lies_on: dict[str, set[int]] = {}
    for member in group.members:
        lies_on.setdefault(member.tensor, set()).add(member.axis)
    found = [
        member
        for member in group.members
        if graph.tensors[member.tensor].is_constant
        and any(
            lies_on.keys().isdisjoint(op.outputs) or (op.kind in GATES and _is_state(graph, member, lies_on))
            for op in makers_and_readers[member.tensor]
        )
    ]
    return replace(group, members=tuple(found)) if found else group


def _is_state(graph: Graph, member: Member, lies_on: Mapping[str, set[int]]) -> bool:
    """Whether a member is the columns of a recurrent layer's weights of its own state."""
    last = len(graph.tensors[member.tensor].shape) - 1
    return member.axis == last > 0 and len(lies_on[member.tensor]) > 1


def taylor(
    task: Task,
    module: nn.Module,
    graph: Graph,
    groups: Sequence[ChannelGroup],
    batches: int,
    seed: int,
    storage: Storage | None = None,
) -> Importance:
    """Scores of a module from so many batches of a task; the module stays as it is.

    A task that trains itself is let train a copy for so many steps, and the gradients of its steps are taken.
    Raises DataError where the task gives no batches.
    """
    scores = TaylorScores.of(module, graph, groups, storage)
    if task.batches is not None and task.loss is not None:
        _from_batches(task, module, scores, batches, seed)
    elif task.train is not None:
        _from_training(task.train, module, scores, batches)
    if not scores.batches:
        raise DataError("task: it trained on no batch, so nothing can be said of its channels")
    return scores.importance()


def _from_batches(task: Task, module: nn.Module, scores: TaylorScores, batches: int, seed: int) -> None:
    assert task.batches is not None and task.loss is not None
    device = next(module.parameters()).device
    was_training = module.training
    module.eval()
    for part in module.modules():  # cuDNN takes gradients of recurrent layers in training mode alone
        part.training = isinstance(part, nn.RNNBase) and device.type == "cuda"
    done = 0
    while done < batches:
        before = done
        for batch in islice(task.batches(seed + done), batches - done):
            module.zero_grad(set_to_none=True)
            task.loss(module, to_device(batch, device)).backward()
            scores.add(_products(module))
            done += 1
        if done == before:
            break
    module.zero_grad(set_to_none=True)
    module.train(was_training)


def _products(module: nn.Module) -> dict[str, Tensor]:
    """Weight times gradient of every parameter that has one."""
    named = module.named_parameters(remove_duplicate=False)
    return {name: value * value.grad for name, value in named if value.grad is not None}


def _from_training(train: Callable[[nn.Module, int], Any], module: nn.Module, scores: TaylorScores, steps: int) -> None:
    """Trains a copy, each of whose backward passes is one batch: it ends when a parameter is met that it had met."""
    copy = deepcopy(module)
    products: dict[str, Tensor] = {}

    def hook(name: str, parameter: Tensor) -> Callable[[Tensor], None]:
        def met(gradient: Tensor) -> None:
            if name in products:
                scores.add(products)
                products.clear()
            products[name] = parameter.detach() * gradient

        return met

    for name, parameter in copy.named_parameters(remove_duplicate=False):
        if parameter.requires_grad:
            parameter.register_hook(hook(name, parameter))
    train(copy.train(), steps)
    if products:
        scores.add(products)


def to_device(batch: Any, device: torch.device) -> Any:
    """A batch with all its tensors on a device, whatever tuples, lists and dicts they lie in."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(one, device) for one in batch))
    if isinstance(batch, tuple | list):
        return type(batch)(to_device(one, device) for one in batch)
    return batch
