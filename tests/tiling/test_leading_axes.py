"""Networks without space, cut along their leading axis: frames, words or a batch, each item by itself."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper
from tests.tiling.draws import plans
from tests.tiling.test_lower import check, names

from edgewright.formats.onnx import read
from edgewright.graph.axis_map import leading_axis
from edgewright.graph.geometry import input_regions, tileable
from edgewright.graph.types import Graph, Region
from edgewright.tiling.plan import FusedGroup, TilingPlan

Draw = Callable[[st.SearchStrategy[int]], int]


class Frames:
    """A network of frames of `a` x `b` numbers, one op behind the other; `skip` is an earlier tensor of that shape."""

    def __init__(self, count: int, a: int, b: int, outer: bool, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.lead = (1, count) if outer else (count,)
        self.shape = (*self.lead, a, b)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []
        self.last, self.skip = "x", ("", ())

    def model(self) -> ModelProto:
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.first)
        made = helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "frames", [given], [made], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def constant(self, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(value, f"c{len(self.constants)}"))
        return self.constants[-1].name

    def weight(self, *shape: int) -> str:
        return self.constant((self.random.standard_normal(shape) / max(shape[-1], 1) ** 0.5).astype(np.float32))

    def add(self, op_type: str, inputs: list[str], shape: tuple[int, ...], **attributes: object) -> None:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [name], name, **attributes))
        self.last, self.shape = name, shape

    def step(self, kind: str) -> None:
        """Adds an op of a kind."""
        {
            **dict.fromkeys(("right", "left", "both"), self.product),
            **dict.fromkeys(("turn", "flat", "window"), self.move),
            **dict.fromkeys(("bias", "softmax", "norm"), self.compute),
            **dict.fromkeys(("mark", "sum"), self.branch),
        }[kind](kind)

    def product(self, kind: str) -> None:
        *lead, a, b = self.shape
        if kind == "right":
            self.add("MatMul", [self.last, self.weight(b, b + 1)], (*lead, a, b + 1))
        elif kind == "left":
            self.add("MatMul", [self.weight(a, a), self.last], self.shape)
        else:
            given = self.last
            self.move("turn")
            self.add("MatMul", [given, self.last], (*lead, a, a))

    def move(self, kind: str) -> None:
        *lead, a, b = self.shape
        if kind == "turn":
            self.add("Transpose", [self.last], (*lead, b, a), perm=[*range(len(lead)), len(lead) + 1, len(lead)])
        elif kind == "flat":
            self.add("Reshape", [self.last, self.constant(np.array([*lead, b, a], np.int64))], (*lead, b, a))
        else:  # as of a spectrum: neighbours side by side
            self.window()

    def compute(self, kind: str) -> None:
        *_, a, b = self.shape
        if kind == "bias":
            self.add("Add", [self.last, self.weight(a, b)], self.shape)
        elif kind == "softmax":
            self.add("Softmax", [self.last], self.shape, axis=-1)
        else:
            self.add("LayerNormalization", [self.last, self.weight(b), self.weight(b)], self.shape, axis=-1)

    def branch(self, kind: str) -> None:
        if kind == "mark":
            self.skip = self.last, self.shape
        elif self.skip[1] == self.shape:
            self.add("Add", [self.last, self.skip[0]], self.shape)

    def window(self) -> None:
        """Each frame with the one behind it."""
        *lead, a, b = self.shape
        axis = len(lead) - 1
        given, count = self.last, lead[-1] - 1
        if count < 2:
            return
        parts = []
        for start in (0, 1):
            bounds = [self.constant(np.array([value], np.int64)) for value in (start, start + count, axis)]
            self.add("Slice", [given, *bounds], (*lead[:-1], count, a, b))
            parts.append(self.last)
        self.add("Concat", parts, (*lead[:-1], count, a, 2 * b), axis=axis + 2)


KINDS = ("right", "left", "both", "turn", "flat", "bias", "softmax", "norm", "window", "mark", "sum")


@st.composite
def frames(draw: Draw) -> ModelProto:
    net = Frames(draw(st.integers(2, 9)), draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.booleans()), 0)
    net.first = net.shape
    for kind in draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=8)):
        net.step(kind)
    assume(net.nodes)
    return net.model()


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(frames(), st.data())
def test_networks_of_frames(model: ModelProto, data: st.DataObject) -> None:
    graph = read(model)
    plan = data.draw(plans(graph))
    assume(plan.groups)
    check(model, graph, plan, 1e-5)


def spectrum() -> ModelProto:
    net = Frames(12, 4, 8, False, 1)
    net.first = net.shape
    for kind in ("window", "left", "mark", "bias", "sum", "turn", "flat", "right", "softmax"):
        net.step(kind)
    return net.model()


@pytest.mark.parametrize(("count", "halo"), ((3, "recompute"), (4, "carry")))
def test_a_whole_network_in_tiles(count: int, halo: str) -> None:
    """Every op of it is cut, and slices of frames are the cuts themselves."""
    model = spectrum()
    graph = read(model)
    tiled = check(model, graph, TilingPlan((FusedGroup(names(graph), (count, 1), halo),)), 1e-5)
    assert max(tensor.size_bytes for tensor in tiled.tensors.values() if not tensor.is_constant) == max(
        graph.tensors[name].size_bytes for name in (*graph.inputs, *graph.outputs)
    )
    if halo == "recompute":
        assert sum(op.kind == "slice" for op in tiled.ops) == 2 * count


def test_leading_axis() -> None:
    assert leading_axis((1, 62, 128)) == 1
    assert leading_axis((62, 32)) == 0
    assert leading_axis((1, 1, 128)) is None
    assert leading_axis((5,)) is None


def lone(op_type: str, shapes: list[tuple[int, ...]], weights: list[np.ndarray], **attributes: object) -> Graph:
    given = [helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, shape) for i, shape in enumerate(shapes)]
    constants = [numpy_helper.from_array(value, f"w{i}") for i, value in enumerate(weights)]
    inputs = [value.name for value in (*given, *constants)]
    node = helper.make_node(op_type, inputs, ["y"], "op", **attributes)
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "lone", given, [made], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return read(onnx.shape_inference.infer_shapes(model))


ONES = np.ones(6, np.float32)


@pytest.mark.parametrize(
    "graph",
    (
        lone("MatMul", [(6, 4, 5), (5, 3)], []),  # what all rows are multiplied by is an activation
        lone("Transpose", [(6, 4, 5)], [], perm=[1, 0, 2]),
        lone("Softmax", [(6, 4, 5)], [], axis=0),
        lone("Reshape", [(6, 4, 5)], [np.array([3, 8, 5])]),
        lone("BatchNormalization", [(1, 6, 4, 5)], [ONES] * 4),  # numbers for each channel, which lead here
        lone("DepthToSpace", [(1, 8, 4, 5)], [], blocksize=2),
        lone("LayerNormalization", [(1, 6, 4)], [np.ones((6, 4), np.float32)], axis=1),
        lone("Squeeze", [(6, 1, 5)], []),  # a tile of one row would lose it
    ),
    ids=lambda graph: graph.ops[0].kind,
)
def test_reads_across_the_leading_axis(graph: Graph) -> None:
    assert not tileable(graph.ops[0], graph)


def test_a_product_reads_its_rows() -> None:
    graph = lone("MatMul", [(1, 6, 5)], [np.ones((5, 3), np.float32)])
    field = input_regions(graph.ops[0], graph, Region(((2, 4),)))
    assert field.inputs == (Region(((2, 4),)), None)
