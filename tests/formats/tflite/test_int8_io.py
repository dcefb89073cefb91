"""Integers at the ends: the same numbers, with the rounding left to the caller."""

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.tflite.build import Sketch, conv_relu, packed, unpacked
from tests.tflite_networks import run

from edgewright.errors import UnsupportedModelError
from edgewright.formats.tflite import QuantizedEnd, int8_io, read


def between_floats(
    scale: float = 0.05, zero: int = 3, dtype: str = "int8", readers: int = 1, other_scale: float | None = None
) -> Sketch:
    """x -> QUANTIZE -> RELU -> DEQUANTIZE -> y, the first op as often as is said."""
    sketch, shape = Sketch(), (1, 4, 4, 2)
    x, y = sketch.tensor("x", shape), sketch.tensor("y", shape)
    made = []
    for number in range(readers):
        scales = other_scale if number and other_scale else scale
        stored = sketch.tensor(f"q{number}", shape, dtype, scales, zero)
        sketch.op("QUANTIZE", [x], [stored], schema.QuantizeOptionsT())
        made.append(sketch.tensor(f"r{number}", shape, dtype, scales, zero))
        sketch.op("RELU", [stored], [made[-1]], None, 2)
    total = made[0]
    if readers > 1:
        total = sketch.tensor("sum", shape, dtype, scale, zero)
        sketch.op("ADD", made, [total], schema.AddOptionsT(), 2)
    sketch.op("DEQUANTIZE", [total], [y], schema.DequantizeOptionsT(), 2)
    sketch.finish([x], [y])
    return sketch


def as_integers(value: np.ndarray[Any, Any], end: QuantizedEnd) -> np.ndarray[Any, Any]:
    limits = np.iinfo(end.dtype)
    stored = np.round(value / np.float32(end.scale)) + end.zero_point
    return np.clip(stored, limits.min, limits.max).astype(end.dtype)


@settings(max_examples=25)
@given(
    scale=st.floats(2.0**-10, 1.0, width=32), zero=st.integers(-128, 127), readers=st.integers(1, 2),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_the_numbers_are_the_same(scale: float, zero: int, readers: int, seed: int) -> None:
    model = packed(between_floats(scale, zero, readers=readers).model)
    result, (given_end, made_end) = int8_io(model)
    assert given_end == QuantizedEnd("x", True, "int8", scale, zero)
    assert (made_end.name, made_end.is_input, made_end.zero_point) == ("y", False, zero)
    stored = np.random.default_rng(seed).integers(-128, 128, (1, 4, 4, 2)).astype(np.int8)
    real = (stored.astype(np.float32) - zero) * np.float32(scale)
    np.testing.assert_array_equal(as_integers(real, given_end), stored)
    for kernels in ("reference", "xnnpack"):
        (before,), (after,) = run(model, [real], kernels), run(result, [stored], kernels)
        np.testing.assert_array_equal((after.astype(np.float32) - zero) * np.float32(made_end.scale), before)


def test_the_ops_and_the_floats_are_gone() -> None:
    sketch = between_floats()
    maps = [schema.TensorMapT("image", 0)], [schema.TensorMapT("classes", 1)]
    sketch.model.signatureDefs = [schema.SignatureDefT(*maps, "serving_default", 0)]
    result, _ = int8_io(packed(sketch.model))
    graph = read(result)
    assert [op.kind for op in graph.ops] == ["unary"]
    assert {graph.tensors[name].dtype for name in (*graph.inputs, *graph.outputs)} == {"int8"}
    assert (graph.inputs, graph.outputs) == (("x",), ("y",))
    model = unpacked(result)
    assert len(model.subgraphs[0].tensors) == 2
    assert {code.builtinCode for code in model.operatorCodes} == {schema.BuiltinOperator.RELU}
    (signature,) = model.signatureDefs
    assert [signature.inputs[0].tensorIndex, signature.outputs[0].tensorIndex] == [
        int(model.subgraphs[0].inputs[0]), int(model.subgraphs[0].outputs[0]),
    ]  # fmt: skip


def test_an_input_of_two_scales_stays_a_float() -> None:
    result, ends = int8_io(packed(between_floats(readers=2, other_scale=0.1).model))
    assert [end.name for end in ends] == ["y"]
    graph = read(result)
    assert graph.tensors["x"].dtype == "float32"


def test_an_input_that_is_read_as_a_float_too_stays_one() -> None:
    sketch = between_floats()
    z = sketch.tensor("z", (1, 4, 4, 2))
    sketch.op("ABS", [0], [z])
    _, ends = int8_io(sketch.finish([0], [1, z]))
    assert [end.name for end in ends] == ["y"]


def test_one_tensor_is_one_output() -> None:
    """Two outputs of the same integers: the second keeps its DEQUANTIZE."""
    sketch = between_floats()
    z = sketch.tensor("z", (1, 4, 4, 2))
    last = sketch.graph.operators[-1]
    sketch.op("DEQUANTIZE", [int(last.inputs[0])], [z], schema.DequantizeOptionsT(), 2)
    result, ends = int8_io(sketch.finish([0], [1, z]))
    assert [end.name for end in ends] == ["x", "y"]
    assert [read(result).tensors[name].dtype for name in read(result).outputs] == ["int8", "float32"]


def test_a_network_of_floats_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="no float input or output"):
        int8_io(conv_relu())
