"""The law of the edit script on ONNX: reading after applying is editing after reading, and no output changes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from tests.networks import feed, networks, run

from edgewright.errors import UnsupportedModelError
from edgewright.formats.onnx import edited, read
from edgewright.graph import edits
from edgewright.graph.edits import CloneOp, Concat, Edit, RemoveOp, Slice
from edgewright.graph.geometry import full_region, input_regions, operand_axes, tileable, tiled_axes
from edgewright.graph.types import Graph, Op, Region

Draw = Callable[[st.SearchStrategy[Any]], Any]
LAW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def tilings(draw: Draw, graph: Graph) -> list[Edit]:
    """One or two ops of a network in strips or columns, some slices waiting for the tile before."""
    candidates = [op for op in graph.ops if len(op.outputs) == 1 and tileable(op, graph)]
    assume(candidates)
    waits = draw(st.booleans())
    script: list[Edit] = []
    for op in draw(st.lists(st.sampled_from(candidates), min_size=1, max_size=2, unique_by=lambda op: op.name)):
        output = graph.tensors[op.outputs[0]]
        region = full_region(output)
        axis = draw(st.integers(0, len(region.ranges) - 1))
        size = region.shape[axis]
        cut = draw(st.integers(1, size - 1)) if size > 1 else size
        tiles = [part for part in ((0, cut), (cut, size)) if part[0] < part[1]]
        script += [RemoveOp(op.name), *_tiled(op, graph, axis, tiles, waits)]
    return script


def _tiled(op: Op, graph: Graph, axis: int, tiles: list[tuple[int, int]], waits: bool) -> list[Edit]:
    output = graph.tensors[op.outputs[0]]
    script: list[Edit] = []
    parts: list[str] = []
    for number, tile in enumerate(tiles):
        ranges = list(full_region(output).ranges)
        ranges[axis] = tile
        wanted = Region(tuple(ranges))
        try:
            field = input_regions(op, graph, wanted)
        except UnsupportedModelError:
            assume(False)
        base = f"{op.name}/{number}"
        inputs = list(op.inputs)
        for index, region in enumerate(field.inputs):
            if region is not None:
                inputs[index] = f"{base}/in{index}"
                after = parts[-1] if parts and waits else ""
                script += _cut(op, graph, index, region, f"{base}/slice{index}", inputs[index], after)
        made = f"{base}/made"
        script.append(CloneOp(base, op.name, tuple(inputs), (made,), field.padding, field.attributes))
        if field.made != wanted:
            pairs = zip(wanted.ranges, field.made.ranges, strict=True)
            starts, ends = zip(*((a - begin, b - begin) for (a, b), (begin, _) in pairs), strict=True)
            made = f"{base}/cropped"
            script.append(Slice(f"{base}/crop", f"{base}/made", made, tiled_axes(output), starts, ends))
        parts.append(made)
    script.append(Concat(f"{op.name}/concat", tuple(parts), op.outputs[0], tiled_axes(output)[axis]))
    return script


def _cut(op: Op, graph: Graph, index: int, region: Region, name: str, output: str, after: str) -> list[Edit]:
    places = zip(operand_axes(op, graph, index), region.ranges, strict=True)
    axes, ranges = zip(*((axis, part) for axis, part in places if axis is not None), strict=True)
    starts, ends = zip(*ranges, strict=True)
    return [Slice(name, op.inputs[index], output, axes, starts, ends, after)]


def _check_law(model: ModelProto, script: list[Edit], tolerance: float) -> None:
    graph = read(model)
    result = edited(model, script)
    onnx.checker.check_model(result, full_check=True)
    assert read(result) == edits.apply(graph, script)
    given_inputs = feed(model)
    for before, after in zip(run(model, given_inputs), run(result, given_inputs), strict=True):
        if tolerance:
            np.testing.assert_allclose(after, before, rtol=tolerance, atol=tolerance)
        else:
            np.testing.assert_array_equal(after, before)


@LAW
@given(networks(), st.data())
def test_law_on_float_networks(model: ModelProto, data: st.DataObject) -> None:
    if data.draw(st.booleans(), "shapes are declared"):
        model = onnx.shape_inference.infer_shapes(model)
    _check_law(model, data.draw(tilings(read(model))), 1e-5)


@LAW
@given(networks(style="qdq"), st.data())
def test_law_on_qdq_networks(model: ModelProto, data: st.DataObject) -> None:
    _check_law(model, data.draw(tilings(read(model))), 1e-5)


@LAW
@given(networks(style="qlinear"), st.data())
def test_law_on_qlinear_networks(model: ModelProto, data: st.DataObject) -> None:
    _check_law(model, data.draw(tilings(read(model))), 0)


@pytest.mark.parametrize("name", ["light_squeezenet", "light_resnet50"])
def test_law_on_real_networks(name: str) -> None:
    model = onnx.load(Path(onnx.__file__).parent / "backend/test/data/light" / f"{name}.onnx")
    graph = read(model)
    script: list[Edit] = []
    for op in [op for op in graph.ops if tileable(op, graph)][::20]:
        size = full_region(graph.tensors[op.outputs[0]]).shape[0]
        script += [RemoveOp(op.name), *_tiled(op, graph, 0, [(0, size // 2), (size // 2, size)], waits=True)]
    _check_law(model, script, 1e-5)
