"""Receptive fields against brute force: each tile, computed by ONNX Runtime from just what it is said to need."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgewright.errors import UnsupportedModelError
from edgewright.formats.onnx import read
from edgewright.graph.geometry import full_region, input_regions, operand_axes, tileable, tiled_axes
from edgewright.graph.types import Graph, Region

SEED = 7


@dataclass
class Case:
    """One op on random inputs; constants are `weights`."""

    op_type: str
    inputs: dict[str, np.ndarray]
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    operands: tuple[str, ...] = ()
    outputs: int = 1
    opset: int = 17

    def model(self, attributes: dict[str, Any] | None = None, inputs: dict[str, np.ndarray] | None = None):
        inputs = inputs or self.inputs
        names = self.operands or (*self.inputs, *self.weights)
        made = [f"y{i}" for i in range(self.outputs)]
        node = helper.make_node(self.op_type, names, made, name="op", **(attributes or self.attributes))
        infos = [helper.make_tensor_value_info(n, dtype_of(a), a.shape) for n, a in inputs.items()]
        weights = {name: inputs.get(name, value) for name, value in self.weights.items()}
        graph = helper.make_graph(
            [node],
            "g",
            [info for info in infos if info.name not in weights],
            [helper.make_tensor_value_info(n, TensorProto.UNDEFINED, None) for n in made],
            [numpy_helper.from_array(value, name) for name, value in weights.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def dtype_of(array: np.ndarray) -> int:
    return helper.np_dtype_to_tensor_dtype(array.dtype)


def execute(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    inferred = onnx.shape_inference.infer_shapes(model)
    session = ort.InferenceSession(inferred.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = {value.name for value in session.get_inputs()}
    return session.run(None, {name: value for name, value in inputs.items() if name in wanted})


def graph_of(case: Case) -> Graph:
    """With axes named as in a network of convolutions, which a lone elementwise op can't say of itself."""
    graph = read(onnx.shape_inference.infer_shapes(case.model()))
    letters = {3: "NCW", 4: "NCHW", 5: "NCDHW"}
    tensors = {
        name: tensor
        if tensor.axes or tensor.is_constant
        else type(tensor)(name, tensor.shape, tensor.dtype, letters.get(len(tensor.shape), ""))
        for name, tensor in graph.tensors.items()
    }
    return Graph(graph.ops, tensors, graph.inputs, graph.outputs)


def compute_tile(case: Case, graph: Graph, region: Region) -> list[np.ndarray]:
    op = graph.ops[0]
    tile = input_regions(op, graph, region)
    everything = {**case.inputs, **case.weights}
    parts = dict(everything)
    for i, (name, part) in enumerate(zip(op.inputs, tile.inputs, strict=True)):
        if part is not None:
            parts[name] = cut(everything[name], operand_axes(op, graph, i), part)
    attributes = case.attributes | dict(tile.attributes)
    if tile.padding is not None and op.kind != "pad":
        attributes["pads"] = [pair[0] for pair in tile.padding] + [pair[1] for pair in tile.padding]
    if tile.padding is not None and op.kind == "pad":
        flat = [pair[0] for pair in tile.padding] + [pair[1] for pair in tile.padding]
        parts["pads"] = np.array(flat, np.int64)
    made = execute(case.model(attributes, parts), parts)
    output = graph.tensors[op.outputs[0]]
    shifted = Region(tuple((a - m, b - m) for (a, b), (m, _) in zip(region.ranges, tile.made.ranges, strict=True)))
    assert tile.made.contains(region)
    for array in made:
        assert tuple(array.shape[axis] for axis in tiled_axes(output)) == tile.made.shape
    return [cut(array, tiled_axes(output), shifted) for array in made]


def cut(array: np.ndarray, axes: tuple[int | None, ...], region: Region) -> np.ndarray:
    index = [slice(None)] * array.ndim
    for axis, (start, stop) in zip(axes, region.ranges, strict=True):
        if axis is not None and not (array.shape[axis] == 1 and (start, stop) == (0, 1)):
            index[axis] = slice(start, stop)
    return array[tuple(index)]


def check_tile(case: Case, region: Region) -> None:
    graph = graph_of(case)
    assert tileable(graph.ops[0], graph)
    expected = execute(case.model(), case.inputs)
    axes = tiled_axes(graph.tensors[graph.ops[0].outputs[0]])
    for whole, tile in zip(expected, compute_tile(case, graph, region), strict=True):
        np.testing.assert_allclose(tile, cut(whole, axes, region), rtol=2e-5, atol=2e-5)


def check_everywhere(case: Case, data: st.DataObject) -> None:
    graph = graph_of(case)
    shape = full_region(graph.tensors[graph.ops[0].outputs[0]]).shape
    assume(min(shape) > 0)
    check_tile(case, data.draw(regions(shape)))


@st.composite
def regions(draw: st.DrawFn, shape: tuple[int, ...]) -> Region:
    ranges = []
    for size in shape:
        start = draw(st.integers(0, size - 1))
        ranges.append((start, draw(st.integers(start + 1, size))))
    return Region(tuple(ranges))


@st.composite
def windows(draw: st.DrawFn, rank: int, dilated: bool = True, pooling: bool = False) -> dict[str, Any]:
    """Kernel, stride, dilation, and padding below the window's extent (pooling: its kernel), each side of its own."""

    def some(least: int, most: int) -> list[int]:
        return [draw(st.integers(least, most)) for _ in range(rank)]

    kernel, stride = some(1, 4), some(1, 3)
    dilation = some(1, 3) if dilated else [1] * rank
    extent = kernel if pooling else [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    pads = [draw(st.integers(0, e - 1)) for e in extent * 2]
    found = {"kernel_shape": kernel, "strides": stride, "pads": pads}
    return found | ({"dilations": dilation} if dilated else {})


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(SEED).standard_normal(shape, dtype=np.float32)


@st.composite
def feature_maps(draw: st.DrawFn, channels: int, rank: int = 2) -> np.ndarray:
    return random(1, channels, *(draw(st.integers(3, 13)) for _ in range(rank)))


def fits(x: np.ndarray, window: dict[str, Any]) -> bool:
    rank = x.ndim - 2
    dilation = window.get("dilations", [1] * rank)
    return all(
        x.shape[2 + i] + window["pads"][i] + window["pads"][rank + i]
        >= (window["kernel_shape"][i] - 1) * dilation[i] + 1
        for i in range(rank)
    )


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_convolution(data: st.DataObject) -> None:
    rank = data.draw(st.sampled_from((1, 2, 2, 2, 3)))
    groups = data.draw(st.sampled_from((1, 2, 4)))
    window, x = data.draw(windows(rank)), data.draw(feature_maps(4, rank))
    assume(fits(x, window))
    weights = {"w": random(8, 4 // groups, *window["kernel_shape"]), "b": random(8)}
    check_everywhere(Case("Conv", {"x": x}, weights, window | {"group": groups}), data)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_pooling(data: st.DataObject) -> None:
    op_type = data.draw(st.sampled_from(("MaxPool", "AveragePool")))
    window, x = data.draw(windows(2, op_type == "MaxPool", pooling=True)), data.draw(feature_maps(3))
    assume(fits(x, window))
    attributes = window | {"ceil_mode": data.draw(st.integers(0, 1))}
    if op_type == "AveragePool":
        attributes["count_include_pad"] = data.draw(st.integers(0, 1))
    case = Case(op_type, {"x": x}, {}, attributes)
    graph = graph_of(case)
    assume(attributes["ceil_mode"] == 0 or tileable(graph.ops[0], graph))
    check_everywhere(case, data)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_transposed_convolution(data: st.DataObject) -> None:
    window, x = data.draw(windows(2)), data.draw(feature_maps(4))
    most = [max(s, d) - 1 for s, d in zip(window["strides"], window["dilations"], strict=True)]
    extra = [data.draw(st.integers(0, min(m, s - 1))) for m, s in zip(most, window["strides"], strict=True)]
    weights = {"w": random(4, 3, *window["kernel_shape"]), "b": random(3)}
    case = Case("ConvTranspose", {"x": x}, weights, window | {"output_padding": extra})
    for i in range(2):
        kernel, stride, dilation = (window[key][i] for key in ("kernel_shape", "strides", "dilations"))
        size = (x.shape[2 + i] - 1) * stride + (kernel - 1) * dilation + 1 + extra[i]
        assume(size > window["pads"][i] + window["pads"][2 + i])
    try:
        check_everywhere(case, data)
    except UnsupportedModelError as error:
        assert "nothing but padding" in str(error)
        assume(False)


X = random(1, 8, 6, 9)
POINTWISE = {
    "relu": Case("Relu", {"x": X}),
    "prelu of channels": Case("PRelu", {"x": X}, {"slope": random(8, 1, 1)}),
    "prelu of space": Case("PRelu", {"x": X}, {"slope": random(8, 6, 9)}),
    "add": Case("Add", {"x": X, "z": X[:, ::-1].copy()}),
    "add to itself": Case("Add", {"x": X}, operands=("x", "x")),
    "add of a row": Case("Add", {"x": X}, {"b": random(1, 8, 1, 9)}),
    "add of a column": Case("Add", {"x": X}, {"b": random(6, 1)}),
    "a gate": Case("Mul", {"x": X, "gate": random(1, 8, 1, 1)}),
    "a number": Case("Div", {"x": X}, {"b": np.float32(3)}),
    "a map of one channel": Case("Mul", {"x": X, "map": random(1, 1, 6, 9)}),
    "batch norm": Case("BatchNormalization", {"x": X}, {n: random(8) ** 2 + 1 for n in "sbmv"}),
    "lrn": Case("LRN", {"x": X}, {}, {"size": 3}),
    "softmax of channels": Case("Softmax", {"x": X}, {}, {"axis": 1}),
    "mean of channels": Case("ReduceMean", {"x": X}, {}, {"axes": [1]}),
    "concat": Case("Concat", {"x": X, "z": random(1, 3, 6, 9)}, {}, {"axis": 1}),
    "split": Case("Split", {"x": X}, {"split": np.array([3, 5])}, {"axis": 1}, outputs=2),
    "slice": Case("Slice", {"x": X}, {"starts": np.array([6]), "ends": np.array([1]), "axes": np.array([1]),
                                      "steps": np.array([-2])}),
    "cast": Case("Cast", {"x": X}, {}, {"to": TensorProto.INT32}),
    "quantize": Case("QuantizeLinear", {"x": X}, {"s": np.float32(0.1), "z": np.uint8(128)}),
    "quantize channels": Case("QuantizeLinear", {"x": random(1, 9, 6, 9)}, {"s": np.full(9, 0.1, np.float32),
                              "z": np.zeros(9, np.int8)}, {"axis": 1}),
    "pad": Case("Pad", {"x": X}, {"pads": np.array([0, 1, 2, 1, 0, 0, 1, 3]), "value": np.float32(-1)}),
    "crop": Case("Pad", {"x": X}, {"pads": np.array([0, 0, -2, 1, 0, 0, 1, -3])}),
    "repeat rows": Case("Resize", {"x": X}, {"scales": np.array([1, 1, 2, 2], np.float32)}, {"mode": "nearest"},
                        ("x", "", "scales")),
    "repeat thrice": Case("Resize", {"x": X}, {"scales": np.array([1, 1, 3, 3], np.float32)},
                          {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
                          ("x", "", "scales")),
    "linear": Case("Resize", {"x": X}, {"scales": np.array([1, 1, 2, 2], np.float32)}, {"mode": "linear"},
                   ("x", "", "scales")),
    "linear by four": Case("Resize", {"x": X}, {"scales": np.array([1, 1, 4, 4], np.float32)},
                           {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}, ("x", "", "scales")),
    "depth to space": Case("DepthToSpace", {"x": X}, {}, {"blocksize": 2, "mode": "CRD"}),
    "space to depth": Case("SpaceToDepth", {"x": random(1, 2, 6, 9 * 2)}, {}, {"blocksize": 2}),
}  # fmt: skip


@pytest.mark.parametrize("name", POINTWISE)
def test_every_region_of(name: str) -> None:
    case = POINTWISE[name]
    graph = graph_of(case)
    height, width = full_region(graph.tensors[graph.ops[0].outputs[0]]).shape
    rng = np.random.default_rng(SEED)
    picks = [((0, height), (0, width))]
    for _ in range(12):
        (top, bottom), (left, right) = (sorted(rng.choice(size + 1, 2, replace=False)) for size in (height, width))
        picks.append(((int(top), int(bottom)), (int(left), int(right))))
    for ranges in picks:
        try:
            check_tile(case, Region(ranges))
        except UnsupportedModelError:
            assert name in {"pad", "crop"}
            assert ranges != picks[0]


UNTILEABLE = {
    "global pooling": Case("GlobalAveragePool", {"x": X}),
    "softmax over space": Case("Softmax", {"x": X}, {}, {"axis": 3}),
    "mean over space": Case("ReduceMean", {"x": X}, {}, {"axes": [2, 3]}),
    "instance norm": Case("InstanceNormalization", {"x": X}, {"s": random(8), "b": random(8)}),
    "reflection": Case("Pad", {"x": X}, {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])}, {"mode": "reflect"}),
    "fractions": Case("Resize", {"x": X}, {"scales": np.array([1, 1, 1.5, 2], np.float32)}, {}, ("x", "", "scales")),
    "two factors": Case("Resize", {"x": X}, {"scales": np.array([1, 1, 3, 2], np.float32)}, {}, ("x", "", "scales")),
    "corners": Case("Resize", {"x": X}, {"scales": np.array([1, 1, 2, 2], np.float32)},
                    {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, ("x", "", "scales")),
    "cubic": Case("Resize", {"x": X}, {"scales": np.array([1, 1, 2, 2], np.float32)}, {"mode": "cubic"},
                  ("x", "", "scales")),
    "shifted": Case("Resize", {"x": X}, {"scales": np.array([1, 1, 4, 4], np.float32)},
                    {"mode": "nearest", "coordinate_transformation_mode": "asymmetric",
                     "nearest_mode": "round_prefer_floor"}, ("x", "", "scales")),
    "flatten": Case("Flatten", {"x": X}),
    "concat of rows": Case("Concat", {"x": X, "z": X}, {}, {"axis": 2}),
    "every second row": Case("Slice", {"x": X}, {"starts": np.array([1]), "ends": np.array([4]), "axes": np.array([2]),
                                                "steps": np.array([2])}),
    "cut of rows and channels": Case("Slice", {"x": X}, {"starts": np.array([1, 1]), "ends": np.array([4, 4]),
                                                        "axes": np.array([1, 2])}),
}  # fmt: skip


@pytest.mark.parametrize("name", UNTILEABLE)
def test_ends_a_group(name: str) -> None:
    graph = graph_of(UNTILEABLE[name])
    assert not tileable(graph.ops[0], graph)
    with pytest.raises(UnsupportedModelError, match="'op'"):
        input_regions(graph.ops[0], graph, Region(((0, 1), (0, 1))))


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_no_input_beyond_the_region_matters_and_its_border_does(data: st.DataObject) -> None:
    window, x = data.draw(windows(2, dilated=False)), data.draw(feature_maps(1))
    assume(fits(x, window))
    case = Case("Conv", {"x": x}, {"w": np.ones((1, 1, *window["kernel_shape"]), np.float32)}, window)
    graph = graph_of(case)
    region = data.draw(regions(full_region(graph.tensors["y0"]).shape))
    needed = input_regions(graph.ops[0], graph, region).inputs[0]
    assert needed is not None
    before = cut(execute(case.model(), case.inputs)[0], (2, 3), region)
    for row, column in np.ndindex(*x.shape[2:]):
        moved = x.copy()
        moved[0, 0, row, column] += 100.0
        after = cut(execute(case.model(), {"x": moved})[0], (2, 3), region)
        inside = needed.contains(Region(((row, row + 1), (column, column + 1))))
        assert inside or np.array_equal(before, after)
    whole = full_region(graph.tensors["y0"])
    for axis in (axis for axis in (0, 1) if region.ranges[axis] != whole.ranges[axis]):
        for edge in (needed.ranges[axis][0], needed.ranges[axis][1] - 1):
            moved = x.copy()
            np.moveaxis(moved, 2 + axis, 0)[edge] += 100.0
            assert not np.array_equal(before, cut(execute(case.model(), {"x": moved})[0], (2, 3), region))
