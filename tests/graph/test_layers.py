"""Layers of a network: canonical shapes, and what is folded."""

from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.graph.canonical import broadcast, permuted, reduced
from edgewright.graph.layers import layer_of, layers_of
from edgewright.graph.types import Graph, LayerSpec, Op, Shape, Tensor, Window

WINDOW = Window((3, 3), (2, 2), (1, 1), ((1, 1), (0, 1)))


def _layer(
    kind: str,
    inputs: list[Shape],
    output: Shape,
    weights: tuple[Shape, ...] = (),
    dtype: str = "float32",
    axes: str = "",
    **fields: Any,
) -> LayerSpec:
    names = [f"x{i}" for i in range(len(inputs))]
    constants = [f"w{i}" for i in range(len(weights))]
    tensors = {name: Tensor(name, shape, dtype, axes) for name, shape in zip(names, inputs, strict=True)}
    tensors |= {name: Tensor(name, shape, dtype, "", True) for name, shape in zip(constants, weights, strict=True)}
    tensors["y"] = Tensor("y", output, fields.pop("made", dtype), axes)
    op = Op("op", kind, (*names, *constants), ("y",), **fields)
    return layer_of(op, Graph((op,), tensors, tuple(names), ("y",)))


def test_windowed_layers_have_channels_second() -> None:
    expected = LayerSpec("conv", ((1, 4, 9, 8),), ((1, 6, 5, 4),), WINDOW, 2)
    attributes = {"groups": 2}
    first = _layer("conv", [(1, 4, 9, 8)], (1, 6, 5, 4), ((6, 2, 3, 3),), axes="NCHW", window=WINDOW,
                   attributes=attributes)  # fmt: skip
    last = _layer("conv", [(1, 9, 8, 4)], (1, 5, 4, 6), ((6, 2, 3, 3),), axes="NHWC", window=WINDOW,
                  attributes=attributes)  # fmt: skip
    assert first == last == expected


def test_depthwise_layers_have_a_group_for_each_channel() -> None:
    layer = _layer("depthwise_conv", [(1, 4, 9, 8)], (1, 8, 5, 4), window=WINDOW, attributes={"groups": 8})
    assert (layer.groups, layer.kind) == (4, "depthwise_conv")


def test_fused_ops_are_named() -> None:
    layer = _layer("conv", [(1, 4, 9, 8), (1, 6, 5, 4)], (1, 6, 5, 4), window=WINDOW,
                   attributes={"groups": 1, "fused": ("add", "relu")})  # fmt: skip
    assert layer.fused == ("add", "relu")
    assert layer.inputs == ((1, 4, 9, 8),)


@pytest.mark.parametrize(
    ("dtype", "variant", "expected"),
    [
        ("float32", "", "float32"),
        ("uint8", "qlinear", "int8"),
        ("int8", "integer", "int8"),
        ("float32", "dynamic", "int8"),
    ],
)
def test_products_of_integers_are_int8_layers(dtype: str, variant: str, expected: str) -> None:
    for kind, weight in (("conv", (6, 4, 3, 3)), ("fully_connected", (8, 4))):
        output = (1, 6, 5, 4) if kind == "conv" else (1, 4, 9, 4)
        layer = _layer(kind, [(1, 4, 9, 8)], output, (weight,), dtype=dtype, variant=variant,
                       window=WINDOW if kind == "conv" else None)  # fmt: skip
        assert layer.dtype == expected


def test_pools() -> None:
    layer = _layer("average_pool", [(1, 4, 9, 8)], (1, 4, 5, 4), window=WINDOW,
                   attributes={"ceil_mode": False, "count_include_pad": True})  # fmt: skip
    assert layer == LayerSpec("average_pool", ((1, 4, 9, 8),), ((1, 4, 5, 4),), WINDOW, variant="count_include_pad")
    layer = _layer("global_pool", [(1, 9, 8, 4)], (1, 1, 1, 4), axes="NHWC", variant="max")
    assert layer == LayerSpec("global_pool", ((1, 4, 9, 8),), ((1, 4, 1, 1),), variant="max")


@pytest.mark.parametrize(
    ("given_shape", "weight", "output", "attributes", "expected"),
    [
        ((5, 8), (8, 3), (5, 3), {}, ((5, 8), (5, 3))),
        ((2, 5, 8), (8, 3), (2, 5, 3), {}, ((10, 8), (10, 3))),
        ((8, 5), (3, 8), (5, 3), {"transpose_a": True, "transpose_b": True}, ((5, 8), (5, 3))),
        ((2, 8), (8,), (2,), {}, ((2, 8), (2, 1))),
        ((8,), (8, 3), (3,), {}, ((1, 8), (1, 3))),
    ],
)
def test_fully_connected_is_rows_by_features(
    given_shape: Shape, weight: Shape, output: Shape, attributes: dict[str, bool], expected: tuple[Shape, Shape]
) -> None:
    layer = _layer("fully_connected", [given_shape], output, (weight,), attributes=attributes)
    assert (layer.input, layer.output) == expected


@pytest.mark.parametrize(
    ("left", "right", "attributes", "expected"),
    [
        ((2, 3, 4, 5), (2, 3, 5, 6), {}, ((6, 4, 5), (6, 5, 6), (6, 4, 6))),
        ((3, 4, 5), (5, 6), {}, ((3, 4, 5), (1, 5, 6), (3, 4, 6))),
        ((4, 5), (5,), {}, ((1, 4, 5), (1, 5, 1), (1, 4, 1))),
        ((5,), (5, 6), {}, ((1, 1, 5), (1, 5, 6), (1, 1, 6))),
        ((3, 5, 4), (3, 6, 5), {"transpose_a": True, "transpose_b": True}, ((3, 4, 5), (3, 5, 6), (3, 4, 6))),
    ],
)
def test_matmul_flattens_the_batch(left: Shape, right: Shape, attributes: dict[str, bool], expected: Any) -> None:
    a = np.zeros(left).swapaxes(-1, -2) if attributes else np.zeros(left)
    b = np.zeros(right).swapaxes(-1, -2) if attributes else np.zeros(right)
    layer = _layer("matmul", [left, right], (a @ b).shape, attributes=attributes)
    assert (*layer.inputs, layer.output) == expected


@pytest.mark.parametrize(
    ("shapes", "output", "expected"),
    [
        ([(1, 4, 9, 8), (1, 4, 9, 8)], (1, 4, 9, 8), [(288,), (288,), (288,)]),
        ([(1, 4, 9, 8), (4, 1, 1)], (1, 4, 9, 8), [(4, 72), (4, 1), (4, 72)]),
        ([(2, 4, 9, 8), (4, 1, 1)], (2, 4, 9, 8), [(2, 4, 72), (1, 4, 1), (2, 4, 72)]),
        ([(1, 4, 9, 8), ()], (1, 4, 9, 8), [(288,), (1,), (288,)]),
        ([(9, 1), (1, 8)], (9, 8), [(9, 1), (1, 8), (9, 8)]),
        ([(1, 1), (1, 1)], (1, 1), [(1,), (1,), (1,)]),
    ],
)
def test_binary_merges_axes_that_are_broadcast_alike(shapes: list[Shape], output: Shape, expected: list[Shape]) -> None:
    layer = _layer("binary", shapes, output, variant="add")
    assert [*layer.inputs, layer.output] == expected


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((1, 4, 9, 8), (3,), ((36, 8), (36, 1), "mean-inner")),
        ((1, 4, 9, 8), (2, 3), ((4, 72), (4, 1), "mean-inner")),
        ((1, 4, 9, 8), (0, 1), ((4, 72), (1, 72), "mean-outer")),
        ((2, 4, 9, 8), (1,), ((2, 4, 72), (2, 1, 72), "mean-mixed")),
        ((4, 9), (0, 1), ((1, 36), (1, 1), "mean-inner")),
        ((4, 9), (), ((1, 36), (1, 36), "mean-inner")),
        ((4, 1), (1,), ((1, 4), (1, 4), "mean-inner")),
    ],
)
def test_reductions_say_where_they_reduce(shape: Shape, axes: Shape, expected: Any) -> None:
    made = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    layer = _layer("reduction", [shape], made, variant="mean", attributes={"axes": axes, "keepdims": True})
    assert (layer.input, layer.output, layer.variant) == expected


def test_normalizations() -> None:
    def shape_of(variant: str, **attributes: Any) -> tuple[Shape, str]:
        shape = (2, 4, 9, 8)
        layer = _layer("normalization", [shape], shape, variant=variant, attributes=attributes)
        return layer.input, layer.variant

    assert shape_of("batch_normalization", axes=()) == ((2, 4, 72), "batch_normalization")
    assert shape_of("instance_normalization", axes=(2, 3)) == ((8, 72), "instance_normalization")
    assert shape_of("group_normalization", axes=(1, 2, 3), groups=2) == ((4, 144), "group_normalization")
    assert shape_of("layer_normalization", axes=(3,)) == ((72, 8), "layer_normalization-inner")
    assert shape_of("lp_normalization", axes=(1,)) == ((2, 4, 72), "lp_normalization-mixed")


@pytest.mark.parametrize(
    ("kind", "given_shape", "output", "expected"),
    [
        ("slice", (1, 4, 9, 8), (1, 4, 5, 8), ((4, 9, 8), (4, 5, 8))),
        ("slice", (1, 4, 9, 8), (1, 4, 5, 6), ((4, 9, 8), (4, 5, 6))),
        ("slice", (2, 4, 9, 8), (2, 3, 9, 8), ((2, 4, 72), (2, 3, 72))),
        ("pad", (1, 4, 9, 8), (1, 4, 11, 10), ((4, 9, 8), (4, 11, 10))),
        ("slice", (4, 9), (4, 9), ((36,), (36,))),
    ],
)
def test_slice_and_pad_keep_the_axes_that_change(kind: str, given_shape: Shape, output: Shape, expected: Any) -> None:
    layer = _layer(kind, [given_shape], output)
    assert (layer.input, layer.output) == expected


def test_strided_slices_are_their_own_variant() -> None:
    assert _layer("slice", [(4, 9)], (4, 5), attributes={"steps": (2,)}).variant == "strided"


def test_concat_split_and_gather_lie_around_an_axis() -> None:
    layer = _layer("concat", [(2, 4, 9, 8), (2, 3, 9, 8)], (2, 7, 9, 8), attributes={"axis": 1})
    assert (layer.inputs, layer.output) == (((2, 4, 72), (2, 3, 72)), (2, 7, 72))
    layer = _layer("split", [(6, 5)], (6, 2), attributes={"axis": 1})
    assert (layer.input, layer.outputs) == ((6, 5, 1), ((6, 2, 1),))
    layer = _layer("gather", [(6, 5), (3, 2)], (3, 2, 5), variant="gather", attributes={"axis": 0})
    assert (layer.inputs, layer.output) == (((1, 6, 5), (6,)), (1, 6, 5))


@pytest.mark.parametrize(
    ("shape", "perm", "expected"),
    [
        ((1, 9, 8, 4), (0, 3, 1, 2), ((72, 4), "1-0")),
        ((2, 9, 8, 4), (0, 3, 1, 2), ((2, 72, 4), "0-2-1")),
        ((2, 3, 4), (1, 0, 2), ((2, 3, 4), "1-0-2")),
        ((2, 3, 4), (2, 1, 0), ((2, 3, 4), "2-1-0")),
        ((1, 1, 4), (2, 0, 1), ((4,), "0")),
        ((1, 1), (1, 0), ((1,), "0")),
    ],
)
def test_transposes_drop_and_merge_axes(shape: Shape, perm: Shape, expected: tuple[Shape, str]) -> None:
    layer = _layer("transpose", [shape], tuple(shape[axis] for axis in perm), attributes={"perm": perm})
    assert (layer.input, layer.variant) == expected


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5).flatmap(
    lambda shape: st.tuples(st.just(tuple(shape)), st.permutations(range(len(shape))))
))  # fmt: skip
def test_a_canonical_transpose_moves_items_as_the_original_does(case: tuple[Shape, list[int]]) -> None:
    shape, perm = case
    merged, canonical = permuted(shape, perm)
    data = np.arange(prod(shape))
    expected = data.reshape(shape).transpose(perm).reshape(-1)
    assert np.array_equal(data.reshape(merged).transpose(canonical).reshape(-1), expected)
    assert all(b != a + 1 for a, b in pairwise(canonical))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5).flatmap(
    lambda shape: st.tuples(st.just(tuple(shape)), st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
))  # fmt: skip
def test_canonical_operands_broadcast_as_the_originals_do(case: tuple[Shape, list[bool]]) -> None:
    shape, kept = case
    other = tuple(size if keep else 1 for size, keep in zip(shape, kept, strict=True))
    (first, second), output = broadcast([shape, other], shape)
    data, more = np.arange(prod(shape)), np.arange(prod(other))
    expected = (data.reshape(shape) + more.reshape(other)).reshape(-1)
    made = data.reshape(first) + more.reshape(second)
    assert made.shape == output
    assert np.array_equal(made.reshape(-1), expected)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5).flatmap(
    lambda shape: st.tuples(st.just(tuple(shape)), st.sets(st.integers(0, len(shape) - 1)))
))  # fmt: skip
def test_a_canonical_reduction_sums_as_the_original_does(case: tuple[Shape, set[int]]) -> None:
    shape, axes = case
    given_shape, made, _ = reduced(shape, sorted(axes))
    data = np.arange(prod(shape))
    over = tuple(axis for axis, size in enumerate(made) if size != given_shape[axis])
    canonical = data.reshape(given_shape).sum(axis=over)
    assert np.array_equal(canonical.reshape(-1), data.reshape(shape).sum(axis=tuple(axes)).reshape(-1))


def test_flat_kinds() -> None:
    assert _layer("unary", [(2, 3, 4)], (2, 3, 4), variant="relu") == LayerSpec(
        "unary", ((1, 24),), ((1, 24),), variant="relu"
    )
    assert _layer("cast", [(2, 3)], (2, 3), made="int64").variant == "float32-int64"


def test_the_slopes_of_prelu_are_broadcast() -> None:
    layer = _layer("unary", [(1, 4, 9, 8)], (1, 4, 9, 8), ((4, 1, 1),), variant="prelu")
    assert (layer.kind, layer.inputs) == ("binary", ((4, 72), (4, 1)))


def test_quantization_by_tensor_and_by_channel() -> None:
    layer = _layer("quantize", [(2, 4, 9)], (2, 4, 9), made="uint8", variant="quantize_linear")
    assert (layer.input, layer.dtype) == ((1, 72), "uint8")
    layer = _layer("dequantize", [(2, 4, 9)], (2, 4, 9), dtype="int8", made="float32", attributes={"axis": 1})
    assert (layer.input, layer.dtype) == ((2, 4, 9), "int8")


def test_recurrent_layers_count_steps_first() -> None:
    attributes = {"hidden_size": 6, "direction": "bidirectional", "layout": 1}
    layer = _layer("gru", [(3, 7, 4)], (3, 7, 2, 6), attributes=attributes)
    assert layer == LayerSpec("gru", ((7, 3, 4),), ((7, 2, 3, 6),), variant="bidirectional")


def test_reorders_to_and_from_channels_last_say_so() -> None:
    tensors = {"x": Tensor("x", (1, 9, 8, 4), axes="NHWC"), "y": Tensor("y", (1, 4, 9, 8), axes="NCHW")}
    op = Op("op", "reorder", ("x",), ("y",), variant="to_blocked")
    layer = layer_of(op, Graph((op,), tensors, ("x",), ("y",)))
    assert layer == LayerSpec("reorder", ((1, 4, 9, 8),), ((1, 4, 9, 8),), variant="to_blocked-last")


def test_what_is_not_known_keeps_its_sizes() -> None:
    layer = _layer("other", [(2, 3), (4,)], (5,), ((9, 9),), variant="mystery")
    assert layer == LayerSpec("other", ((2, 3), (4,)), ((5,),), variant="mystery")


class _Network:
    """A graph in the making: every activation is (1, 4, 9, 8), or (1, 8) behind `features`."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.tensors = {"x": Tensor("x", (1, 4, 9, 8), axes="NCHW")}

    def add(self, output: str, kind: str, *inputs: str, dtype: str = "float32", **fields: Any) -> None:
        for name in inputs:
            self.tensors.setdefault(name, Tensor(name, (4,), is_constant=True))
        shape = (1, 8) if kind == "fully_connected" else self.tensors[inputs[0]].shape
        self.tensors[output] = Tensor(output, shape, dtype)
        self.ops.append(Op(output, kind, inputs, (output,), **fields))

    def conv(self, output: str, given_name: str) -> None:
        window = Window((1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)))
        self.tensors.setdefault("w", Tensor("w", (4, 4, 1, 1), is_constant=True))
        self.add(output, "conv", given_name, "w", window=window, attributes={"groups": 1})

    def layers(self, *outputs: str) -> list[tuple[str, str, tuple[str, ...], str]]:
        graph = Graph(tuple(self.ops), self.tensors, ("x",), outputs)
        return [(name, layer.kind, layer.fused, layer.dtype) for name, layer in layers_of(graph)]


def test_normalization_and_activation_go_into_the_convolution() -> None:
    network = _Network()
    network.conv("a", "x")
    network.add("b", "normalization", "a", "v", variant="batch_normalization", attributes={"axes": ()})
    network.add("c", "unary", "b", variant="relu")
    network.add("d", "unary", "c", variant="relu")
    assert network.layers("d") == [("a", "conv", ("relu",), "float32"), ("d", "unary", (), "float32")]


@pytest.mark.parametrize("second", ["reader", "output"])
def test_nothing_is_folded_where_another_needs_what_is_between(second: str) -> None:
    network = _Network()
    network.conv("a", "x")
    network.add("b", "unary", "a", variant="relu")
    if second == "reader":
        network.add("c", "unary", "a", variant="exp")
    outputs = ("b", "c") if second == "reader" else ("b", "a")
    assert ("a", "conv", (), "float32") in network.layers(*outputs)


def test_a_bias_goes_into_the_fully_connected_layer() -> None:
    network = _Network()
    network.tensors["m"] = Tensor("m", (288, 8), is_constant=True)
    network.tensors["bias"] = Tensor("bias", (8,), is_constant=True)
    network.add("a", "fully_connected", "x", "m")
    network.add("b", "binary", "a", "bias", variant="add")
    network.add("c", "unary", "b", variant="relu")
    assert network.layers("c") == [("a", "fully_connected", ("relu",), "float32")]


def test_reshapes_and_copies_cost_nothing() -> None:
    network = _Network()
    network.add("a", "reshape", "x")
    network.add("b", "copy", "a")
    network.add("c", "unary", "b", variant="exp")
    assert [name for name, *_ in network.layers("c")] == ["c"]


def _between_quantizations(network: _Network) -> None:
    network.add("q", "quantize", "x", "s", dtype="uint8", attributes={"operands": (0,)})
    network.add("a", "dequantize", "q", "s", attributes={"operands": (0,)})
    network.conv("b", "a")
    network.add("c", "unary", "b", variant="relu")
    network.add("d", "quantize", "c", "s", dtype="uint8", attributes={"operands": (0,)})
    network.add("e", "dequantize", "d", "s", attributes={"operands": (0,)})


def test_an_op_between_quantizations_runs_on_integers() -> None:
    network = _Network()
    _between_quantizations(network)
    assert network.layers("e") == [
        ("q", "quantize", (), "uint8"), ("b", "conv", ("relu",), "int8"), ("e", "dequantize", (), "uint8"),
    ]  # fmt: skip


def test_an_op_whose_result_is_also_read_as_float_does_not() -> None:
    network = _Network()
    _between_quantizations(network)
    network.add("f", "unary", "c", variant="exp")
    assert ("b", "conv", ("relu",), "float32") in network.layers("e", "f")
