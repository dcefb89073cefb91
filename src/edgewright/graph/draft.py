"""A network while an edit script is applied to it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgewright.errors import ModelError
from edgewright.graph.ordering import stable_order
from edgewright.graph.types import Graph, Op, Tensor


class Draft:
    """The ops and tensors so far, and the place where the next op is inserted."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.sources = {op.name: op for op in graph.ops}
        self.tensors = dict(graph.tensors)
        self._places = {op.name: place for place, op in enumerate(graph.ops)}
        self._removed: set[str] = set()
        self._inserted: list[list[Op]] = [[] for _ in range(len(graph.ops) + 1)]
        self._names = set(self.sources)
        self._makers = {name: op for op in graph.ops for name in op.outputs if name}
        self._cursor = -1

    def read(self, name: str) -> Tensor:
        """A tensor that may be read. Raises ModelError where there is none of that name."""
        if name not in self.tensors:
            raise ModelError(f"edit script: there is no tensor {name!r}")
        return self.tensors[name]

    def source(self, name: str) -> Op:
        """An op of the network before the script. Raises ModelError where there is none of that name."""
        if name not in self.sources:
            raise ModelError(f"edit script: there is no op {name!r}")
        return self.sources[name]

    def ops(self) -> Iterator[Op]:
        """Every op so far, removed ones too."""
        yield from self.graph.ops
        for ops in self._inserted:
            yield from ops

    def remove(self, name: str) -> None:
        """Take an op out and move the place of insertion to where it was."""
        op = self.source(name)
        if name in self._removed:
            raise ModelError(f"edit script: op {name!r} is removed twice")
        self._removed.add(name)
        self._cursor = self._places[name]
        for output in op.outputs:
            self._makers.pop(output, None)

    def define(self, tensor: Tensor) -> None:
        """Add a constant."""
        if tensor.name in self.tensors:
            raise ModelError(f"edit script: tensor {tensor.name!r} exists already")
        self.tensors[tensor.name] = tensor

    def insert(self, op: Op, outputs: Sequence[Tensor]) -> None:
        """Add an op that makes these tensors; one that reads constants alone makes constants, and is no op.

        Raises ModelError where the op's name is taken, or something else makes one of the tensors.
        """
        if op.name in self._names:
            raise ModelError(f"edit script: there are two ops {op.name!r}")
        self._names.add(op.name)
        is_constant = all(self.read(name).is_constant for name in op.inputs if name)
        for tensor in outputs:
            earlier = self.tensors.get(tensor.name)
            if tensor.name in self._makers or tensor.name in self.graph.inputs or (earlier and earlier.is_constant):
                raise ModelError(f"edit script: tensor {tensor.name!r} is made twice")
            if earlier is not None and (earlier.shape, earlier.dtype) != (tensor.shape, tensor.dtype):
                raise ModelError(f"edit script: tensor {tensor.name!r} changes from {earlier.shape} to {tensor.shape}")
            axes = "" if is_constant else earlier.axes if earlier is not None else tensor.axes
            self.tensors[tensor.name] = Tensor(tensor.name, tensor.shape, tensor.dtype, axes, is_constant)
            if not is_constant:
                self._makers[tensor.name] = op
        if not is_constant:
            self._inserted[self._cursor + 1].append(op)

    def result(self) -> Graph:
        """The network with every op in its place. Raises ModelError for a tensor that is read and not made."""
        ops = list(self._inserted[0])
        for op, inserted in zip(self.graph.ops, self._inserted[1:], strict=True):
            ops += ([] if op.name in self._removed else [op]) + inserted
        for name in (name for op in ops for name in op.inputs if name):
            self._check_made(name)
        for name in self.graph.outputs:
            self._check_made(name)
        order = stable_order([op.inputs for op in ops], [op.outputs for op in ops])
        if len(order) < len(ops):
            raise ModelError("edit script: the network would have a cycle")
        ops = [ops[index] for index in order]
        used = (name for op in ops for name in (*op.inputs, *op.outputs))
        names = dict.fromkeys(filter(None, (*self.graph.inputs, *used, *self.graph.outputs)))
        tensors = {name: self.tensors[name] for name in names}
        return replace(self.graph, ops=tuple(ops), tensors=tensors, declared=self.graph.declared & tensors.keys())

    def _check_made(self, name: str) -> None:
        tensor = self.tensors[name]
        is_there = tensor.is_constant or tensor.is_variable or name in self.graph.inputs
        if name not in self._makers and not is_there:
            raise ModelError(f"edit script: tensor {name!r} is read, and nothing makes it any more")
