"""What a format can pad, and what lowering makes of the rest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tiling.models import chain

from edgewright.errors import UnsupportedModelError
from edgewright.formats.onnx import read
from edgewright.graph.edits import CloneOp, Pad, Slice, apply
from edgewright.graph.padding import any_padding, can_be_cut, filler, same_or_valid, same_padding
from edgewright.graph.types import Op, Window
from edgewright.tiling.lower import lower
from edgewright.tiling.outline import outline
from edgewright.tiling.plan import FusedGroup, TilingPlan


def op(kind: str, window: Window | None, **attributes: object) -> Op:
    return Op("op", kind, ("x",), ("y",), window, "", attributes)


def window(kernel: int = 3, stride: int = 1, dilation: int = 1, before: int = 1, after: int = 1) -> Window:
    return Window((kernel,) * 2, (stride,) * 2, (dilation,) * 2, ((before, after),) * 2)


@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 4), st.integers(1, 3))
def test_same_gives_the_size_by_the_stride(size: int, kernel: int, stride: int, dilation: int) -> None:
    found = window(kernel, stride, dilation)
    ((before, after), _) = same_padding(found, (size, size))
    assert after - before in (0, 1)
    extent = found.extent[0]
    if before + after:  # without padding the last window may leave rows over
        assert (size + before + after - extent) % stride == 0
    assert (size + before + after - extent) // stride + 1 >= -(-size // stride)


@pytest.mark.parametrize(
    ("padding", "expressed"),
    [(((1, 1), (1, 1)), True), (((0, 0), (0, 0)), True), (((1, 0), (1, 1)), False), (((0, 0), (1, 1)), False)],
)
def test_same_or_valid(padding: tuple[tuple[int, int], ...], expressed: bool) -> None:
    assert same_or_valid(op("conv", window()), (8, 8), padding) is expressed
    assert any_padding(op("conv", window()), (8, 8), padding)


def test_what_can_be_padded_by_an_op_of_its_own() -> None:
    assert filler(op("conv", window())) == 0.0
    assert filler(op("max_pool", window())) == -np.inf
    assert filler(op("average_pool", window(), count_include_pad=True)) == 0.0
    averages = op("average_pool", window(), count_include_pad=False)
    assert filler(averages) is None
    assert not can_be_cut(averages, same_or_valid)
    assert can_be_cut(averages, any_padding)
    assert can_be_cut(op("average_pool", window(before=0, after=0)), same_or_valid)
    assert not can_be_cut(op("transposed_conv", window(before=0, after=0)), same_or_valid)
    assert can_be_cut(op("unary", None), same_or_valid)


@pytest.mark.parametrize(("halo", "grid"), [("recompute", (3, 1)), ("carry", (3, 1)), ("recompute", (2, 2))])
def test_tiles_are_padded_by_ops(halo: str, grid: tuple[int, int]) -> None:
    """The same network, with no window that pads on one side."""
    graph = read(chain((3, 1), (3, 1), size=14))
    names = tuple(op.name for op in graph.ops)
    script = lower(graph, TilingPlan((FusedGroup(names, grid, halo),)), False, same_or_valid)
    after = apply(graph, script)
    assert any(isinstance(edit, Pad) for edit in script)
    for one in after.ops:
        if one.window is not None:
            assert same_or_valid(one, after.tensors[one.inputs[0]].shape[2:], one.window.padding)
    assert {name: after.tensors[name].shape for name in graph.outputs} == {
        name: graph.tensors[name].shape for name in graph.outputs
    }


def test_nothing_waits_and_nothing_asks_without_order() -> None:
    graph = read(chain((3, 1), (3, 1), size=14))
    names = tuple(op.name for op in graph.ops)
    script = lower(graph, TilingPlan((FusedGroup(names, (3, 1), "carry"),)), False, same_or_valid)
    slices = [edit for edit in script if isinstance(edit, Slice)]
    assert slices
    assert not any(edit.after or edit.starts == edit.ends for edit in slices)


def test_what_the_format_can_not_pad_is_not_cut() -> None:
    graph = read(chain((3, 1), "pool", size=14))
    pool = next(one for one in graph.ops if "pool" in one.kind)
    padded = Op(pool.name, "average_pool", pool.inputs, pool.outputs, window(3, 1), "", {"count_include_pad": False})
    ops = tuple(padded if one is pool else one for one in graph.ops)
    tensors = {**graph.tensors, pool.outputs[0]: graph.tensors[pool.inputs[0]]}
    graph = type(graph)(ops, tensors, graph.inputs, graph.outputs)
    assert [step.tileable for step in outline(graph, {}).steps] == [True] * len(ops)
    found = [step.tileable for step in outline(graph, {}, same_or_valid).steps]
    assert found == [one is not padded for one in ops]
    with pytest.raises(UnsupportedModelError, match="can't pad"):
        lower(graph, TilingPlan((FusedGroup((padded.name,), (2, 1)),)), False, same_or_valid)
    assert any(isinstance(edit, CloneOp) for edit in lower(graph, TilingPlan((FusedGroup((padded.name,), (2, 1)),))))
