"""Operations and items of layers of every kind, counted by hand or by brute force."""

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.graph.cost import cost, dimensions, form_of, is_plain, layer_bytes, layer_cost
from edgewright.graph.types import KINDS, LayerSpec, Window

ONE = Window((1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)))


def conv(channels: int, made: int, side: int, kernel: int, groups: int = 1, kind: str = "conv") -> LayerSpec:
    pad = kernel // 2
    window = Window((kernel, kernel), (1, 1), (1, 1), ((pad, pad), (pad, pad)))
    return LayerSpec(kind, ((1, channels, side, side),), ((1, made, side, side),), window, groups)


def test_convolution() -> None:
    needs = layer_cost(conv(32, 64, 56, 3))
    assert needs.macs == 64 * 56 * 56 * 32 * 9
    assert (needs.input_items, needs.output_items) == (32 * 56 * 56, 64 * 56 * 56)
    assert needs.parameter_items == 64 * 32 * 9
    assert needs.unrolled_items == 32 * 9 * 56 * 56


def test_groups_divide_operations_and_parameters() -> None:
    whole, grouped = layer_cost(conv(32, 64, 14, 3)), layer_cost(conv(32, 64, 14, 3, groups=4))
    assert grouped.macs * 4 == whole.macs
    assert grouped.parameter_items * 4 == whole.parameter_items
    assert grouped.unrolled_items == whole.unrolled_items


def test_depthwise_convolution() -> None:
    needs = layer_cost(conv(24, 24, 10, 3, groups=24, kind="depthwise_conv"))
    assert (needs.macs, needs.parameter_items) == (24 * 100 * 9, 24 * 9)


def test_transposed_convolution_counts_every_product_of_an_input_item() -> None:
    window = Window((4, 4), (2, 2), (1, 1), ((1, 1), (1, 1)))
    needs = layer_cost(LayerSpec("transposed_conv", ((1, 8, 5, 5),), ((1, 6, 10, 10),), window))
    assert needs.macs == 8 * 25 * 6 * 16
    assert needs.unrolled_items == 6 * 16 * 25


def test_other_forms() -> None:
    dense = layer_cost(LayerSpec("fully_connected", ((7, 100),), ((7, 30),)))
    assert (dense.macs, dense.parameter_items, dense.output_items) == (21000, 3000, 210)
    product = layer_cost(LayerSpec("matmul", ((2, 3, 4), (2, 4, 5)), ((2, 3, 5),)))
    assert (product.macs, product.operand_items, product.parameter_items) == (2 * 3 * 4 * 5, 40, 0)
    gru = layer_cost(LayerSpec("gru", ((10, 2, 8),), ((10, 1, 2, 16),)))
    assert gru.macs == 10 * 2 * 3 * 16 * (8 + 16)
    pool = layer_cost(
        LayerSpec("max_pool", ((1, 8, 6, 6),), ((1, 8, 3, 3),), Window((2, 2), (2, 2), (1, 1), ((0, 0),) * 2))
    )
    assert (pool.macs, pool.parameter_items) == (8 * 9 * 4, 0)
    mean = layer_cost(LayerSpec("global_pool", ((1, 8, 6, 5),), ((1, 8, 1, 1),)))
    assert mean.macs == 8 * 30
    added = layer_cost(LayerSpec("binary", ((1, 8, 4, 4), (1, 8, 1, 1)), ((1, 8, 4, 4),)))
    assert (added.macs, added.operand_items) == (128, 8)
    parts = layer_cost(LayerSpec("split", ((1, 8, 4),), ((1, 6, 4), (1, 2, 4))))
    assert (parts.macs, parts.input_items, parts.output_items) == (0, 32, 32)


def test_fewer_and_more_spatial_axes() -> None:
    line = Window((3,), (2,), (1,), ((1, 1),))
    dims = dimensions(LayerSpec("conv", ((1, 4, 9),), ((1, 8, 5),), line))
    assert (dims["in_height"], dims["in_width"], dims["kernel_h"], dims["kernel_w"]) == (1, 9, 1, 3)
    assert (dims["stride_w"], dims["pad_top"], dims["pad_left"]) == (2, 0, 1)
    cube = Window((3, 3, 3), (1, 1, 1), (1, 1, 1), ((1, 1),) * 3)
    assert layer_cost(LayerSpec("conv", ((1, 4, 5, 6, 7),), ((1, 8, 5, 6, 7),), cube)).macs == 8 * 210 * 4 * 27


def test_bytes_follow_the_dtype() -> None:
    floats = conv(8, 8, 4, 1)
    bytes_float32 = 4 * (128 + 128 + 64)
    assert layer_bytes(floats) == bytes_float32
    assert layer_bytes(LayerSpec("conv", floats.inputs, floats.outputs, ONE, dtype="int8")) == bytes_float32 // 4


shapes = st.lists(st.integers(0, 9), max_size=5).map(tuple)


@given(
    st.sampled_from([kind for kind in KINDS if is_plain(kind)]),
    st.lists(shapes, max_size=3),
    st.lists(shapes, max_size=3),
)
def test_plain_layers_of_any_shape_count_all_their_items(kind: str, inputs: list, outputs: list) -> None:
    layer = LayerSpec(kind, tuple(inputs), tuple(outputs))
    needs = layer_cost(layer)
    if inputs:
        assert needs.input_items + needs.operand_items == sum(map(prod, inputs))
    if outputs:
        assert needs.output_items == sum(map(prod, outputs))


sizes = st.integers(1, 64)


@given(
    st.sampled_from(["conv", "transposed_conv", "max_pool", "fully_connected", "matmul", "lstm", "unary"]), st.data()
)
def test_columns_agree_with_single_layers(kind: str, data: st.DataObject) -> None:
    names = form_of(kind).names
    rows = [{name: data.draw(sizes) for name in names} | {"groups": 1} for _ in range(3)]
    together = cost(kind, {name: np.array([row[name] for row in rows]) for name in rows[0]})
    for index, row in enumerate(rows):
        alone = cost(kind, row)
        for name in ("macs", "input_items", "operand_items", "output_items", "parameter_items", "unrolled_items"):
            assert getattr(together, name)[index] == getattr(alone, name)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_row_as_long_as_its_names(kind: str) -> None:
    layer = LayerSpec(kind, ((1, 4, 6, 6),), ((1, 4, 6, 6),), ONE)
    assert len(form_of(kind).row(layer)) == len(form_of(kind).names)
