"""Operators for the ops that an edit script inserts."""

from collections.abc import Mapping, Sequence
from copy import copy
from math import isinf
from typing import Any

import numpy as np

from edgewright.errors import UnsupportedModelError
from edgewright.formats.tflite.ops import operands_of
from edgewright.formats.tflite.parts import Parts
from edgewright.formats.tflite.read import Reading
from edgewright.formats.tflite.schema import NUMPY, Struct, schema
from edgewright.formats.tflite.windows import SAME, VALID, cropping_of, mode_of, padding_of
from edgewright.graph.edits import CloneOp, Concat, Pad, Slice
from edgewright.graph.types import Graph, Op, Shape

_LEAST = {"float32": -np.inf, "float16": -np.inf, "int8": -128, "uint8": 0, "int16": -32768}


class Builder:
    """Makes the operators, tensors and constants of edits; `after` is the graph with the whole script.

    Tensors keep their quantization through ops that only move data, and clones have those of their source.
    """

    def __init__(self, reading: Reading, after: Graph) -> None:
        self.reading = reading
        self.parts = Parts(reading)
        self.before = {op.name: op for op in reading.graph.ops}
        self.after = {op.name: op for op in after.ops}
        self.graph = after

    def slice(self, edit: Slice) -> Struct | None:
        """SLICE; or, of a constant that is known, the constant, and no operator."""
        if edit.after:
            raise UnsupportedModelError(
                f"{self.reading.source}: slice {edit.name!r} can't wait for {edit.after!r}: TFLite runs in file order"
            )
        given = self.parts.index(edit.input)
        cuts = {axis: (lo, hi) for axis, lo, hi in zip(edit.axes, edit.starts, edit.ends, strict=True)}
        shape = self.parts.shape(given)
        made = tuple(cuts[axis][1] - cuts[axis][0] if axis in cuts else size for axis, size in enumerate(shape))
        value = self.reading.tensors.value(given) if given < len(self.reading.tensors.stored) else None
        if value is not None:
            part = value[tuple(slice(*cuts.get(axis, (0, size))) for axis, size in enumerate(shape))]
            self.parts.add_constant(edit.output, given, part)
            return None
        begins = [cuts.get(axis, (0, 0))[0] for axis in range(len(shape))]
        sizes = [made[axis] if axis in cuts else -1 for axis in range(len(shape))]
        inputs = [given, self.parts.integers(begins), self.parts.integers(sizes)]
        return self._operator("SLICE", inputs, [self.parts.like(edit.output, given, made)], schema.SliceOptionsT())

    def pad(self, edit: Pad) -> Struct:
        """PAD where the value is zero, or stands for it; else PADV2."""
        given = self.parts.index(edit.input)
        pairs = [item for pair in edit.padding for item in pair]
        inputs = [given, self.parts.integers(pairs, (len(edit.padding), 2))]
        sizes = zip(self.parts.shape(given), edit.padding, strict=True)
        made = self.parts.like(edit.output, given, tuple(size + before + after for size, (before, after) in sizes))
        if edit.value == 0:
            return self._operator("PAD", inputs, [made], schema.PadOptionsT())
        op = self.after.get(edit.name)
        value = edit.value if op is None else op.attributes["value"]
        return self._operator("PADV2", [*inputs, self._filler(given, value)], [made], schema.PadV2OptionsT())

    def concat(self, edit: Concat) -> Struct:
        inputs = [self.parts.index(name) for name in edit.inputs]
        shapes = [self.parts.shape(index) for index in inputs]
        length = sum(shape[edit.axis] for shape in shapes)
        made = self.parts.like(edit.output, inputs[0], (*shapes[0][: edit.axis], length, *shapes[0][edit.axis + 1 :]))
        if len({self.parts.quantization(index) for index in (*inputs, made)}) > 1:
            raise UnsupportedModelError(f"{self.reading.source}: {edit.output!r} would be joined of different scales")
        return self._operator("CONCATENATION", inputs, [made], schema.ConcatenationOptionsT(axis=edit.axis))

    def clone(self, edit: CloneOp) -> Struct:
        """A copy of the source with its own operands, padding mode and sizes."""
        source = self.reading.operators[edit.source]
        inputs = list(source.inputs)
        for position, name in zip(operands_of(source), edit.inputs, strict=True):
            inputs[position] = self.parts.index(name) if name else -1
        operator = copy(source.proto)
        outputs = [
            self.parts.like(name, old, self._shape(name, old)) if name else -1
            for name, old in zip(edit.outputs, source.outputs, strict=True)
        ]
        op = self.after.get(edit.name)
        if op is not None:
            _Resized(self, operator, op, self.before[edit.source], source.builtin).set(inputs)
        elif edit.padding is not None or edit.attributes:
            raise UnsupportedModelError(f"{self.reading.source}: op {edit.source!r} would be padded as a constant")
        operator.inputs = np.array(inputs, np.int32)
        operator.outputs = np.array(outputs, np.int32)
        return operator

    def _shape(self, name: str, source: int) -> Shape:
        tensor = self.graph.tensors.get(name)
        return tensor.shape if tensor is not None else self.parts.shape(source)

    def _filler(self, like: int, value: float) -> int:
        dtype = self.parts.dtype(like)
        number = _LEAST[dtype] if isinf(value) and value < 0 else value
        return self.parts.constant(np.array([number], NUMPY[dtype]), like)

    def _operator(self, builtin: str, inputs: Sequence[int], outputs: Sequence[int], options: Struct) -> Struct:
        """A new operator; its version is what its first input's type and rank ask for."""
        version = _version(builtin, self.parts.dtype(inputs[0]), len(self.parts.shape(inputs[0])))
        return schema.OperatorT(
            opcodeIndex=self.parts.code(builtin, version),
            inputs=np.array(inputs, np.int32),
            outputs=np.array(outputs, np.int32),
            builtinOptionsType=getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T")),
            builtinOptions=options,
        )


class _Resized:
    """What a clone says of sizes in its own way: padding modes, and constants among its inputs."""

    def __init__(self, builder: Builder, operator: Struct, op: Op, source: Op, builtin: str) -> None:
        self.builder, self.parts = builder, builder.parts
        self.operator, self.op, self.source, self.builtin = operator, op, source, builtin

    def set(self, inputs: list[int]) -> None:
        """Write them. Raises UnsupportedModelError for padding that is neither SAME nor VALID."""
        if self.op.kind == "transposed_conv":
            self._crop(inputs)
        elif self.op.window is not None:
            space = self.parts.shape(inputs[0])[1:-1]
            self._set_mode(mode_of(self.op.window.padding, self.op.window, space))
        elif self.op.kind == "resize":
            self._replace(inputs, 1, self.builder.graph.tensors[self.op.outputs[0]].shape[1:-1])
        elif self.builtin == "RESHAPE":
            self._set_target(inputs)
        elif self.op.attributes == self.source.attributes:
            return
        elif self.op.kind == "pad":
            pairs = self.op.attributes["padding"]
            self._replace(inputs, 1, [item for pair in pairs for item in pair], (len(pairs), 2))
        elif self.op.kind == "slice":
            self._cut(inputs)

    def _set_mode(self, mode: int | None) -> None:
        if mode is None:
            assert self.op.window is not None
            raise UnsupportedModelError(
                f"{self.builder.reading.source}: op {self.op.name!r} pads {self.op.window.padding}, "
                "and TFLite knows SAME and VALID only"
            )
        if int(self.operator.builtinOptions.padding) != mode and self._differs(mode):
            self.operator.builtinOptions = copy(self.operator.builtinOptions)
            self.operator.builtinOptions.padding = mode

    def _differs(self, mode: int) -> bool:
        """Whether the source's mode would pad in another way; SAME and VALID may be the same."""
        window = self.op.window
        assert window is not None
        if self.op.kind == "transposed_conv" or mode == SAME:
            return True
        space = self.builder.graph.tensors[self.op.inputs[0]].shape[1:-1]
        return padding_of(int(self.operator.builtinOptions.padding), window, space) != window.padding

    def _crop(self, inputs: list[int]) -> None:
        assert self.op.window is not None
        made = self.builder.graph.tensors[self.op.outputs[0]].shape
        wanted = self.op.window.padding, tuple(self.op.attributes["output_padding"])
        space = self.parts.shape(inputs[2])[1:-1]
        modes = (mode for mode in (VALID, SAME) if cropping_of(mode, self.op.window, space, made[1:-1]) == wanted)
        self._set_mode(next(modes, None))
        self._replace(inputs, 0, made)

    def _set_target(self, inputs: list[int]) -> None:
        """The shape that a reshape makes, where it is another one than its source makes."""
        graph, made = self.builder.reading.graph, self.builder.graph.tensors[self.op.outputs[0]].shape
        if made == graph.tensors[self.source.outputs[0]].shape:
            return
        if len(inputs) > 1:
            self._replace(inputs, 1, made)
        if self.operator.builtinOptions is not None and self.operator.builtinOptions.newShape is not None:
            self.operator.builtinOptions = copy(self.operator.builtinOptions)
            self.operator.builtinOptions.newShape = np.array(made, np.int32)

    def _cut(self, inputs: list[int]) -> None:
        found: Mapping[str, Any] = self.op.attributes
        starts, ends = (dict(zip(found["axes"], found[key], strict=True)) for key in ("starts", "ends"))
        old = [list(self.builder.reading.tensors.value(index).reshape(-1)) for index in inputs[1:3]]  # type: ignore[union-attr]
        begins = [starts.get(axis, int(item)) for axis, item in enumerate(old[0])]
        if self.builtin == "SLICE":
            stops = [ends[axis] - begins[axis] if axis in ends else int(item) for axis, item in enumerate(old[1])]
        else:
            stops = [ends.get(axis, int(item)) for axis, item in enumerate(old[1])]
        self._replace(inputs, 1, begins)
        self._replace(inputs, 2, stops)

    def _replace(self, inputs: list[int], position: int, items: Sequence[int], shape: Shape | None = None) -> None:
        """Other integers in the place of a constant input, where they are others."""
        index = inputs[position]
        value = self.builder.reading.tensors.value(index)
        if value is not None and value.reshape(-1).tolist() == list(items):
            return
        dtype = self.parts.dtype(index)
        inputs[position] = self.parts.integers(items, shape, dtype)


def _version(builtin: str, dtype: str, rank: int) -> int:
    """The first version of an operator that takes this element type and rank, as TFLite counts them."""
    if builtin == "SLICE":
        return 5 if rank > 5 else {"int8": 2, "int16": 4}.get(dtype, 1)
    if builtin in {"PAD", "PADV2"} and rank > 4:
        return 4
    return {"int8": 2, "int16": 3}.get(dtype, 1)
