"""Tiny tasks for the tests of compression."""

from typing import Any

import torch
from torch import Tensor, nn

from edgewright.compression.task import Task, supervised
from edgewright.graph.channels import ChannelGroup, Member
from edgewright.graph.types import Graph, Op
from edgewright.graph.types import Tensor as Value


class Dense(nn.Module):
    """Two linear layers with one group of hidden units."""

    def __init__(self, given: int = 4, width: int = 8, classes: int = 2, dropout: float = 0.0) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(given, width), nn.Dropout(dropout), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(torch.relu(self.first(x))))


def dense_graph(module: Dense) -> tuple[Graph, tuple[ChannelGroup, ...]]:
    """The network of a Dense module as data, and its group."""
    given, width, classes = module.first.in_features, module.first.out_features, module.last.out_features
    constants = {
        "first.weight": (width, given), "first.bias": (width,), "last.weight": (classes, width), "last.bias": (classes,)
    }  # fmt: skip
    tensors = {name: Value(name, shape, is_constant=True) for name, shape in constants.items()}
    for name, shape in {"x": (1, given), "a": (1, width), "b": (1, width), "y": (1, classes)}.items():
        tensors[name] = Value(name, shape, axes="NC")
    ops = (
        Op("first", "fully_connected", ("x", "first.weight", "first.bias"), ("a",), attributes={"weight_axes": "OI"}),
        Op("relu", "unary", ("a",), ("b",), variant="relu"),
        Op("last", "fully_connected", ("b", "last.weight", "last.bias"), ("y",), attributes={"weight_axes": "OI"}),
    )
    places = (("first.weight", 0), ("first.bias", 0), ("a", 1), ("b", 1), ("last.weight", 1))
    group = ChannelGroup("a", width, tuple(Member(*place) for place in places))
    return Graph(ops, tensors, ("x",), ("y",)), (group,)


def plane(rows: int = 96, given: int = 4) -> tuple[Tensor, Tensor]:
    """Points of two classes that a plane divides."""
    x = torch.randn(rows, given, generator=torch.Generator().manual_seed(1))
    return x, (x[:, 0] + x[:, 1] > 0).long()


def plane_task(module: nn.Module, given: int = 4, **settings: Any) -> Task:
    """Tells the sides of a plane apart, in batches of 16; augmented by noise from the global random numbers."""
    x, y = plane(given=given)

    def accuracy(live: nn.Module) -> float:
        return float((live(x).argmax(1) == y).float().mean())

    return supervised(
        module, x, y, accuracy, batch_size=16, augment=lambda rows: rows + 0.01 * torch.randn(rows.shape), **settings
    )
