"""From classes of tied items to channel groups: classes that lie at the same places in the same order."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edgewright.graph.channel_classes import Classes
from edgewright.graph.channel_ties import Flags, Items
from edgewright.graph.channels import Member
from edgewright.graph.types import Graph


@dataclass(frozen=True)
class Place:
    """An axis of a tensor, and where its items begin."""

    tensor: str
    axis: int
    start: int


def fitted(graph: Graph, classes: Classes) -> Iterator[tuple[int, tuple[Member, ...]]]:
    """Width and members of each group, the places of activations first, in order of execution."""
    places = places_of(graph)
    starts = np.array([place.start for place in places], np.int64)
    for axes, rows in _alike(classes, places, starts):
        items = rows + starts[axes]
        columns = [np.flatnonzero(axes == axis) for axis in dict.fromkeys(axes.tolist())]
        blocks = np.stack([_block(items[:, part], classes.cuts) for part in columns], axis=1)
        for first, last in _sequences(items, columns, blocks, classes.cuts):
            members = [
                member
                for part, block in zip(columns, blocks[first].tolist(), strict=True)
                for member in _members(places[axes[part[0]]], rows[first : last + 1, part], block)
            ]
            yield last + 1 - first, tuple(members)


def places_of(graph: Graph) -> tuple[Place, ...]:
    """All axes: those of activations in order of execution, then those of constants in the order they are read."""
    starts, count = {}, 0
    for name, tensor in graph.tensors.items():
        starts[name] = count
        count += sum(tensor.shape)
    read = [name for op in graph.ops for name in op.inputs if name]
    made = [*graph.inputs, *(name for op in graph.ops for name in op.outputs if name)]
    order = [*made, *read, *graph.tensors]
    found = []
    for name in dict.fromkeys(order):
        start = starts[name]
        for axis, size in enumerate(graph.tensors[name].shape):
            found.append(Place(name, axis, start))
            start += size
    return tuple(found)


def _alike(classes: Classes, places: tuple[Place, ...], starts: Items) -> Iterator[tuple[Items, Items]]:
    """Classes with equally many items on the same axes: the axis of each column, and a row of positions for each class.

    Rows are in the order of their first column. Classes of constants alone are left out.
    """
    stored = np.flatnonzero(~classes.fixed[: classes.ties.stored])
    by_start = np.argsort(starts, kind="stable")
    sizes = np.diff(np.append(starts[by_start], classes.ties.stored))
    by_start = by_start[sizes > 0]
    axes = by_start[np.searchsorted(starts[by_start], stored, side="right") - 1]
    labels = classes.labels[stored]
    order = np.lexsort((stored, axes, labels))
    stored, axes, labels = stored[order], axes[order], labels[order]
    bounds = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)] if len(labels) else [0]
    tensors = classes.ties.graph.tensors
    found: defaultdict[bytes, list[Items]] = defaultdict(list)
    for first, last in pairwise(bounds):
        if not tensors[places[axes[first]].tensor].is_constant:
            found[axes[first:last].tobytes()].append(stored[first:last])
    for key, rows in found.items():
        columns = np.frombuffer(key, axes.dtype)
        positions = np.stack(rows) - starts[columns]
        yield columns, positions[np.argsort(positions[:, 0], kind="stable")]


def _block(items: Items, cuts: Flags) -> Items:
    """How many items of each class lie in a row on an axis, where every row of them is equally long; else 0."""
    if items.shape[1] == 1:
        return np.ones(len(items), np.int64)
    begins = np.ones(items.shape, np.bool_)
    begins[:, 1:] = (np.diff(items, axis=1) != 1) | cuts[items[:, 1:]]
    count = items.shape[1]
    lengths = count // begins.sum(axis=1)
    even = np.arange(count)[None, :] % lengths[:, None] == 0
    return np.where((begins == even).all(axis=1), lengths, 0)


def _sequences(items: Items, columns: list[Items], blocks: Items, cuts: Flags) -> Iterator[tuple[int, int]]:
    """First and last row of each run of classes that follow one behind the other on every axis."""
    if len(items) == 1:
        if items.shape[1] == len(columns):
            yield 0, 0
        return
    follows = (blocks[1:] > 0).all(axis=1) & (blocks[1:] == blocks[:-1]).all(axis=1)
    single = [part[0] for part in columns if len(part) == 1]
    follows &= ((np.diff(items[:, single], axis=0) == 1) & ~cuts[items[1:, single]]).all(axis=1)
    for index, part in enumerate(columns):
        if len(part) == 1:
            continue
        step = np.diff(items[:, part], axis=0)
        follows &= (step == blocks[1:, index, None]).all(axis=1)
        begins = items[1:, part][np.arange(len(items) - 1)[:, None], _first_of_blocks(part, blocks[1:, index])]
        follows &= ~cuts[begins].any(axis=1)
    first = 0
    for row in range(1, len(items) + 1):
        if row == len(items) or not follows[row - 1]:
            if row - first > 1:
                yield first, row - 1
            first = row


def _first_of_blocks(part: Items, blocks: Items) -> Items:
    """For each row the columns at which its blocks begin, padded with the first."""
    columns = np.arange(len(part))
    sizes = np.maximum(blocks, 1)
    return columns[None, :] // sizes[:, None] * sizes[:, None]


def _members(place: Place, positions: Items, block: int) -> Iterator[Member]:
    """The places of the channels on one axis, as one member where they repeat evenly."""
    starts = positions[0, ::block].tolist()
    steps = {after - before for before, after in pairwise(starts)}
    if len(steps) == 1:
        yield Member(place.tensor, place.axis, starts[0], block, len(starts), steps.pop())
    else:
        for start in starts:
            yield Member(place.tensor, place.axis, start, block)
