"""What nothing refers to any more, taken out of a model: tensors, buffers, operator codes."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from edgewright.formats.tflite.schema import Struct
from edgewright.formats.tflite.tensors import indices, text

OFFLINE_PLAN = "OfflineMemoryAllocation"
"""The metadata that gives every tensor of a model its place in the arena of TFLite Micro."""


class References:
    """What the parts of a model refer to: tensors of its first subgraph, operator codes, buffers."""

    def __init__(self, model: Struct) -> None:
        self.tensors = {index for vector in _vectors(model) for index in indices(vector[0]) if index >= 0}
        self.tensors |= {entry.tensorIndex for entry in signature_entries(model)}
        self.codes = {operator.opcodeIndex for graph in model.subgraphs for operator in graph.operators or ()}
        self.buffers = Counter(tensor.buffer for graph in model.subgraphs for tensor in graph.tensors or ())
        self.buffers.update(entry.buffer for entry in model.metadata or ())
        self.buffers.update(int(index) for index in indices(model.metadataBuffer))


def drop_unread(model: Struct, before: References, is_changed: bool) -> None:
    """Take out what was referred to `before` and is not any more; what nothing ever referred to stays.

    `is_changed` says whether tensors came or went, so that an offline memory plan is void.
    """
    if is_changed and model.metadata:
        model.metadata = [entry for entry in model.metadata if text(entry.name) != OFFLINE_PLAN]
    _drop_tensors(model, before.tensors - References(model).tensors)
    after = References(model)
    for index in before.buffers.keys() - after.buffers.keys() - {0}:
        model.buffers[index].data, model.buffers[index].offset, model.buffers[index].size = None, 0, 0
    gone = before.codes - after.codes
    places = _places(len(model.operatorCodes or ()), gone)
    if gone:
        model.operatorCodes = [code for index, code in enumerate(model.operatorCodes) if index not in gone]
        for graph in model.subgraphs:
            for operator in graph.operators or ():
                operator.opcodeIndex = places[operator.opcodeIndex]


def _drop_tensors(model: Struct, gone: set[int]) -> None:
    if not gone:
        return
    graph = model.subgraphs[0]
    places = _places(len(graph.tensors), gone)
    graph.tensors = [tensor for index, tensor in enumerate(graph.tensors) if index not in gone]
    for vector, write in list(_vectors(model)):
        if vector is not None:
            write(np.array([places[int(index)] if index >= 0 else -1 for index in vector], np.int32))
    for entry in signature_entries(model):
        entry.tensorIndex = places[entry.tensorIndex]


def _places(count: int, gone: set[int]) -> dict[int, int]:
    """Where each index goes when some are taken out."""
    kept = (index for index in range(count) if index not in gone)
    return {index: place for place, index in enumerate(kept)}


def _vectors(model: Struct) -> Iterator[tuple[Any, Callable[[object], None]]]:
    """Every vector of tensors in the first subgraph, and how to replace it."""
    graph = model.subgraphs[0]
    for name in ("inputs", "outputs"):
        yield getattr(graph, name), _setter(graph, name)
    for operator in graph.operators or ():
        for name in ("inputs", "outputs", "intermediates"):
            yield getattr(operator, name), _setter(operator, name)


def _setter(owner: Struct, name: str) -> Callable[[object], None]:
    return lambda value: setattr(owner, name, value)


def signature_entries(model: Struct) -> Iterator[Struct]:
    """Inputs and outputs of the first subgraph by the names of a signature."""
    for signature in model.signatureDefs or ():
        if signature.subgraphIndex == 0:
            yield from (*(signature.inputs or ()), *(signature.outputs or ()))
