"""What `read` finds in a model."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper
from tests.formats.onnx.build import ints, model, node, zeros
from tests.networks import feed, networks, run

from edgewright.errors import ModelError
from edgewright.formats.onnx import named, read
from edgewright.graph.types import KINDS, Graph, Op, Window

LIGHT = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))
SHARED = Path(__file__).parents[4] / "shared" / "models"
MAP = (1, 4, 9, 8)


def only(graph: Graph) -> Op:
    (op,) = graph.ops
    return op


@pytest.mark.parametrize("opset", [7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24])
def test_every_opset_is_read(opset: int) -> None:
    steering = {} if opset >= 13 else {"axes": [2, 3]}
    squeeze = node("Squeeze", "c axes" if opset >= 13 else "c", "d", **steering)
    nodes = [
        node("Conv", "x w", "a", strides=[2, 2]), node("BatchNormalization", "a v v v v", "b"),
        node("GlobalAveragePool", "b", "c"), squeeze, node("Gemm", "d u s", "y"),
    ]  # fmt: skip
    constants = {"w": zeros(6, 4, 3, 3), "v": zeros(6), "u": zeros(6, 5), "s": zeros(5), "axes": ints(2, 3)}
    graph = read(model(nodes, {"x": MAP}, "y", constants, opset))
    assert [op.kind for op in graph.ops] == ["conv", "normalization", "global_pool", "reshape", "fully_connected"]
    assert graph.tensors["a"].shape == (1, 6, 4, 3)
    assert graph.tensors["y"].shape == (1, 5)
    assert (graph.inputs, graph.outputs) == (("x",), ("y",))


ONE_OP: list[tuple[str, dict[str, Any], tuple[int, ...], dict[str, Any], tuple[str, str], dict[str, Any]]] = [
    # op, its attributes, shape of x, constants, (kind, variant), neutral attributes
    ("Relu", {}, MAP, {}, ("unary", "relu"), {}),
    ("LeakyRelu", {"alpha": 0.5}, MAP, {}, ("unary", "leaky_relu"), {"alpha": 0.5}),
    ("Clip", {}, MAP, {"lo": np.float32(0), "hi": np.float32(6)}, ("unary", "clip"), {"min": 0.0, "max": 6.0}),
    ("PRelu", {}, MAP, {"s": zeros(4, 1, 1)}, ("unary", "prelu"), {}),
    ("Add", {}, MAP, {"s": zeros(4, 1, 1)}, ("binary", "add"), {}),
    ("Sum", {}, MAP, {"s": zeros(4, 1, 1)}, ("binary", "add"), {}),
    ("Softmax", {}, MAP, {}, ("softmax", "softmax"), {"axes": (3,)}),
    ("ReduceMean", {"axes": [-1, 2]}, MAP, {}, ("reduction", "mean"), {"axes": (2, 3), "keepdims": True}),
    ("ReduceSum", {"keepdims": 0}, MAP, {"a": ints(1)}, ("reduction", "sum"), {"axes": (1,), "keepdims": False}),
    ("ReduceL2", {}, MAP, {}, ("reduction", "l2"), {"axes": (0, 1, 2, 3), "keepdims": True}),
    ("ArgMax", {"axis": -1}, MAP, {}, ("reduction", "arg_max"), {"axes": (3,), "keepdims": True}),
    ("Transpose", {}, MAP, {}, ("transpose", ""), {"perm": (3, 2, 1, 0)}),
    ("Slice", {}, MAP, {"b": ints(-3, 1), "e": ints(99, 3), "a": ints(3, 1)}, ("slice", ""),
     {"axes": (1, 3), "starts": (1, 5), "ends": (3, 8), "steps": (1, 1)}),
    ("Slice", {}, MAP, {"b": ints(-1), "e": ints(-99), "a": ints(2), "s": ints(-2)}, ("slice", ""),
     {"axes": (2,), "starts": (8,), "ends": (-1,), "steps": (-2,)}),
    ("Pad", {}, MAP, {"p": ints(0, 0, 1, 0, 0, 0, 2, 3), "v": np.float32(7)}, ("pad", "constant"),
     {"padding": ((0, 0), (0, 0), (1, 2), (0, 3)), "value": 7.0}),
    ("Pad", {"mode": "reflect"}, MAP, {"p": ints(0, 0, 1, 0, 0, 0, 2, 3)}, ("pad", "reflect"),
     {"padding": ((0, 0), (0, 0), (1, 2), (0, 3)), "value": 0.0}),
    ("Resize", {"mode": "linear"}, MAP, {"_": None, "s": np.array([1, 1, 2, 3], np.float32)}, ("resize", "linear"),
     {"scales": (1.0, 1.0, 2.0, 3.0), "coordinates": "half_pixel"}),
    ("Resize", {}, MAP, {"_": None, "__": None, "s": ints(1, 4, 18, 8)}, ("resize", "nearest"),
     {"scales": (1.0, 1.0, 2.0, 1.0), "coordinates": "half_pixel", "rounding": "round_prefer_floor"}),
    ("DepthToSpace", {"blocksize": 2, "mode": "CRD"}, MAP, {}, ("reorder", "depth_to_space"),
     {"block_size": 2, "mode": "crd"}),
    ("SpaceToDepth", {"blocksize": 3}, (1, 4, 9, 9), {}, ("reorder", "space_to_depth"), {"block_size": 3}),
    ("GlobalMaxPool", {}, MAP, {}, ("global_pool", "max"), {}),
    ("AveragePool", {"kernel_shape": [2, 2], "ceil_mode": 1}, MAP, {}, ("average_pool", ""),
     {"ceil_mode": True, "count_include_pad": False}),
    ("Gather", {"axis": -2}, MAP, {"i": ints(0, 2)}, ("gather", "gather"), {"axis": 2}),
    ("Expand", {}, (4, 1), {"s": ints(2, 4, 3)}, ("expand", "expand"), {}),
    ("Tile", {}, (4, 1), {"s": ints(2, 3)}, ("expand", "tile"), {}),
    ("Identity", {}, MAP, {}, ("copy", ""), {}),
    ("Dropout", {}, MAP, {}, ("copy", ""), {}),
    ("Cast", {"to": TensorProto.INT32}, MAP, {}, ("cast", ""), {}),
    ("Flatten", {}, MAP, {}, ("reshape", "flatten"), {}),
    ("Reshape", {}, MAP, {"s": ints(0, -1)}, ("reshape", "reshape"), {}),
    ("InstanceNormalization", {}, MAP, {"s": zeros(4), "b": zeros(4)}, ("normalization", "instance_normalization"),
     {"epsilon": pytest.approx(1e-5), "axes": (2, 3)}),
    ("LayerNormalization", {"axis": -2}, MAP, {"s": zeros(9, 8)}, ("normalization", "layer_normalization"),
     {"epsilon": pytest.approx(1e-5), "axes": (2, 3)}),
    ("LRN", {"size": 5}, MAP, {}, ("normalization", "lrn"),
     {"epsilon": pytest.approx(1e-5), "axes": (1,), "size": 5, "alpha": pytest.approx(1e-4), "beta": 0.75, "bias": 1}),
    ("MatMul", {}, (3, 4, 5), {"w": zeros(5, 7)}, ("fully_connected", ""),
     {"transpose_a": False, "transpose_b": False, "alpha": 1.0, "beta": 1.0, "fused": ()}),
    ("GRU", {"hidden_size": 6, "linear_before_reset": 1}, (7, 1, 4), {"w": zeros(1, 18, 4), "r": zeros(1, 18, 6)},
     ("gru", ""), {"hidden_size": 6, "direction": "forward", "layout": 0, "linear_before_reset": True}),
    ("LSTM", {"direction": "bidirectional", "hidden_size": 6}, (7, 1, 4), {"w": zeros(2, 24, 4), "r": zeros(2, 24, 6)},
     ("lstm", ""), {"hidden_size": 6, "direction": "bidirectional", "layout": 0, "linear_before_reset": False}),
    ("QuantizeLinear", {}, MAP, {"s": np.float32(0.5), "z": np.uint8(3)}, ("quantize", "quantize_linear"),
     {"operands": (0,), "output_scale": 0.5, "output_zero_point": 3}),
]  # fmt: skip


@pytest.mark.parametrize("case", ONE_OP, ids=lambda case: f"{case[0]}-{case[4][1]}")
def test_kind_variant_and_attributes(case: Any) -> None:
    op_type, attributes, shape, constants, (kind, variant), expected = case
    words = " ".join(["x", *("_" if value is None else name for name, value in constants.items())])
    constants = {name: value for name, value in constants.items() if value is not None}
    op = only(read(model([node(op_type, words, "y", **attributes)], {"x": shape}, "y", constants)))
    assert (op.kind, op.variant) == (kind, variant)
    assert dict(op.attributes) == expected
    assert op.kind in KINDS


def test_inputs_that_steer_are_attributes_and_no_operands() -> None:
    constants = {"b": ints(0), "e": ints(2), "w": zeros(5, 4, 1, 1)}
    graph = read(model([node("Slice", "x b e", "a"), node("Conv", "a w", "y")], {"x": (3, *MAP[1:])}, "y", constants))
    assert [op.inputs for op in graph.ops] == [("x",), ("a", "w")]
    assert set(graph.tensors) == {"x", "a", "w", "y"}


def test_split_has_the_sizes_of_its_outputs() -> None:
    op = only(read(model([node("Split", "x", "a b", axis=1)], {"x": MAP}, "a b", opset=11)))
    assert op.attributes == {"axis": 1, "sizes": (2, 2)}


@pytest.mark.parametrize(
    ("weight", "groups", "kind"),
    [((6, 4, 1, 1), 1, "conv"), ((6, 2, 1, 1), 2, "conv"), ((4, 1, 3, 3), 4, "depthwise_conv"),
     ((8, 1, 3, 3), 4, "depthwise_conv")],
)  # fmt: skip
def test_groups_tell_depthwise_convolutions(weight: tuple[int, ...], groups: int, kind: str) -> None:
    op = only(read(model([node("Conv", "x w", "y", group=groups)], {"x": MAP}, "y", {"w": zeros(*weight)})))
    assert op.kind == kind
    assert op.attributes == {"groups": groups, "fused": ()}
    assert op.window == Window(weight[2:], (1, 1), (1, 1), ((0, 0), (0, 0)))


def test_windows_of_one_axis_stay_so() -> None:
    nodes = [node("Conv", "x w", "y", pads=[2, 1], dilations=[2])]
    graph = read(model(nodes, {"x": (1, 3, 20)}, "y", {"w": zeros(5, 3, 3)}))
    assert only(graph).window == Window((3,), (1,), (2,), ((2, 1),))
    assert graph.tensors["x"].axes == graph.tensors["y"].axes == "NCW"


PADDED = settings(max_examples=40, deadline=None)


@PADDED
@given(st.data())
def test_auto_pad_is_the_same_as_the_padding_that_it_becomes(data: st.DataObject) -> None:
    op_type = data.draw(st.sampled_from(["Conv", "ConvTranspose", "MaxPool", "AveragePool"]))
    kernel = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    widest = kernel if "Pool" in op_type else (3, 3)  # the runtime refuses pools that leave items out
    attributes: dict[str, Any] = {
        "kernel_shape": kernel,
        "strides": data.draw(st.tuples(*(st.integers(1, most) for most in widest))),
        "auto_pad": data.draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"])),
    }
    if op_type == "ConvTranspose" and data.draw(st.booleans()):
        attributes["auto_pad"] = "NOTSET"
        pairs = zip((9, 8), attributes["strides"], attributes["kernel_shape"], strict=True)
        full = [(size - 1) * stride + kernel for size, stride, kernel in pairs]
        attributes["output_shape"] = [size - data.draw(st.integers(0, min(3, size - 1))) for size in full]
    weight = np.random.default_rng(0).standard_normal((2, 2, *attributes["kernel_shape"])).astype(np.float32)
    words, constants = ("x w", {"w": weight}) if "Conv" in op_type else ("x", {})
    automatic = model([node(op_type, words, "y", **attributes)], {"x": (1, 2, 9, 8)}, "y", constants)
    op = only(read(automatic))
    assert op.window is not None
    explicit = dict(attributes, pads=[pair[side] for side in (0, 1) for pair in op.window.padding])
    explicit = {key: value for key, value in explicit.items() if key not in {"auto_pad", "output_shape"}}
    if "output_padding" in op.attributes:
        explicit["output_padding"] = op.attributes["output_padding"]
    fixed = model([node(op_type, words, "y", **explicit)], {"x": (1, 2, 9, 8)}, "y", constants)
    np.testing.assert_array_equal(run(automatic, feed(fixed))[0], run(fixed, feed(fixed))[0])


def test_what_depends_on_constants_only_is_constant_and_no_op() -> None:
    nodes = [
        node("ConstantOfShape", "s", "w0"),
        node("Constant", "", "axes", value=helper.make_tensor("", TensorProto.INT64, [1], [0])),
        node("Unsqueeze", "w0 axes", "w"),
        node("MatMul", "x w", "y"),
    ]
    graph = read(model(nodes, {"x": (3, 4, 5)}, "y", {"s": ints(5, 70)}))
    assert [op.kind for op in graph.ops] == ["fully_connected"]
    assert graph.tensors["w"].is_constant
    assert graph.tensors["w"].shape == (1, 5, 70)
    assert set(graph.tensors) == {"x", "w", "y"}


def test_shape_arithmetic_is_folded() -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Slice", "s b e", "n"),
        node("Concat", "n m", "t", axis=0),
        node("Reshape", "x t", "y"),
    ]
    constants = {"b": ints(0), "e": ints(1), "m": ints(-1)}
    graph = read(model(nodes, {"x": ("N", 4, 5)}, "y", constants))
    assert [op.kind for op in graph.ops] == ["reshape"]
    assert graph.ops[0].inputs == ("x",)
    assert graph.tensors["y"].shape == (1, 20)


def test_a_large_constant_is_never_computed() -> None:
    nodes = [node("ConstantOfShape", "s", "w"), node("Add", "x w", "y")]
    graph = read(model(nodes, {"x": (1,)}, "y", {"s": ints(2**20, 2**20, 2**20)}))
    assert graph.tensors["w"].is_constant
    assert graph.tensors["y"].size_bytes == 2**62


def test_random_numbers_are_not_constant() -> None:
    nodes = [node("RandomNormal", "", "r", shape=[3]), node("Add", "x r", "y")]
    graph = read(model(nodes, {"x": (3,)}, "y"))
    assert [op.kind for op in graph.ops] == ["other", "binary"]
    assert not graph.tensors["r"].is_constant


def test_an_index_along_an_axis_of_one_is_known_but_not_constant() -> None:
    nodes = [
        node("ArgMax", "x", "zero", axis=1, keepdims=0),
        node("Add", "zero b", "starts"),
        node("Slice", "z starts e", "y"),
    ]
    graph = read(model(nodes, {"x": (1, 1), "z": (9, 2)}, "y", {"b": ints(4), "e": ints(7)}))
    assert [op.kind for op in graph.ops] == ["reduction", "binary", "slice"]
    assert graph.ops[2].inputs == ("z", "starts")
    assert graph.ops[2].attributes == {"axes": (0,), "starts": (4,), "ends": (7,), "steps": (1,)}
    assert graph.tensors["y"].shape == (3, 2)


def test_quantized_weights_keep_the_type_that_they_are_stored_in() -> None:
    nodes = [
        node("DequantizeLinear", "x s z", "a"), node("DequantizeLinear", "q s z", "w"),
        node("Conv", "a w", "b"), node("QuantizeLinear", "b s z", "y"),
    ]  # fmt: skip
    constants = {"s": np.float32(0.1), "z": np.int8(3), "q": np.zeros((5, 4, 1, 1), np.int8)}
    graph = read(model(nodes, {"x": MAP}, "y", constants, dtype=TensorProto.INT8))
    assert [op.kind for op in graph.ops] == ["dequantize", "conv", "quantize"]
    assert graph.tensors["w"] == graph.tensors["w"].__class__("w", (5, 4, 1, 1), "int8", "", True)
    assert graph.tensors["b"].dtype == "float32"
    assert graph.ops[0].attributes == {"operands": (0,), "input_scale": pytest.approx(0.1), "input_zero_point": 3}


def test_qlinear_ops_say_where_their_operands_are() -> None:
    nodes = [node("QLinearConv", "x s z w s wz s z", "y")]
    constants = {"s": np.float32(0.1), "z": np.uint8(3), "wz": np.int8(0), "w": np.zeros((4, 1, 3, 3), np.int8)}
    inner = model([*nodes, node("Identity", "y", "o")], {"x": MAP}, "o", constants, dtype=TensorProto.UINT8)
    inner.graph.node[0].attribute.append(helper.make_attribute("group", 4))
    op = read(inner).ops[0]
    assert (op.kind, op.variant) == ("depthwise_conv", "qlinear")
    assert op.operands == ("x", "w")
    assert op.attributes["output_zero_point"] == 3


def test_axes_flow_through_ops_that_keep_them() -> None:
    nodes = [
        node("Transpose", "x", "a", perm=[0, 3, 1, 2]), node("Conv", "a w", "b"), node("Relu", "b", "c"),
        node("Concat", "c a", "d", axis=1), node("Transpose", "d", "y", perm=[0, 2, 3, 1]),
    ]  # fmt: skip
    graph = read(model(nodes, {"x": (1, 9, 8, 4)}, "y", {"w": zeros(5, 4, 1, 1)}))
    assert {name: graph.tensors[name].axes for name in "xabcdyw"} == {
        "x": "NHWC", "a": "NCHW", "b": "NCHW", "c": "NCHW", "d": "NCHW", "y": "NHWC", "w": "",
    }  # fmt: skip


def test_ops_of_the_runtime_are_read() -> None:
    blocked, own = "com.microsoft.nchwc", "com.microsoft"
    nodes = [
        node("ReorderInput", "x", "a", domain=blocked),
        node("Conv", "a w b a", "c", domain=blocked, activation="Relu", pads=[1, 1, 1, 1]),
        node("MaxPool", "c", "d", domain=blocked, kernel_shape=[2, 2], strides=[2, 2]),
        node("Upsample", "d", "e", domain=blocked, scales=[1, 1, 2, 2], mode="nearest"),
        node("ReorderOutput", "e", "f", domain=blocked, channels=6, channels_last=1),
        node("FusedConv", "x v", "g", domain=own, activation="LeakyRelu"),
        node("Flatten", "g", "h"),
        node("FusedGemm", "h u s", "y", domain=own, activation="Relu"),
        node("FastGelu", "y", "z", domain=own),
        node("FusedMatMul", "z z", "t", domain=own, transA=1),
    ]
    weights = {"w": zeros(8, 8, 3, 3), "b": zeros(8), "v": zeros(2, 8, 9, 8), "u": zeros(2, 3), "s": zeros(3)}
    graph = read(model(nodes, {"x": (1, 8, 9, 8)}, "f t", weights))
    found = {op.outputs[0]: op for op in graph.ops}
    assert [found[name].kind for name in "acdef"] == ["reorder", "conv", "max_pool", "resize", "reorder"]
    assert found["c"].attributes["fused"] == ("add", "relu")
    assert found["g"].attributes["fused"] == ("leaky_relu",)
    assert found["y"].kind == "fully_connected"
    assert found["y"].attributes["fused"] == ("relu",)
    shapes = {"c": (1, 8, 9, 8), "d": (1, 8, 4, 4), "e": (1, 8, 8, 8), "f": (1, 8, 8, 6), "y": (1, 3), "t": (3, 3)}
    assert {name: graph.tensors[name].shape for name in shapes} == shapes


def test_channels_last_ops_have_axes_that_say_so() -> None:
    nodes = [node("NhwcMaxPool", "x", "y", domain="com.microsoft", kernel_shape=[2, 2], strides=[2, 2])]
    graph = read(model(nodes, {"x": (1, 9, 8, 5)}, "y", dtype=TensorProto.UINT8))
    assert graph.tensors["y"].shape == (1, 4, 4, 5)
    assert graph.tensors["y"].axes == "NHWC"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(["float", "qdq", "qlinear"]), st.data())
def test_what_the_runtime_makes_of_a_model_is_understood(
    tmp_path_factory: pytest.TempPathFactory, style: str, data: st.DataObject
) -> None:
    original = data.draw(networks(style=style))
    path = tmp_path_factory.mktemp("optimized") / "model.onnx"
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(original.SerializeToString(), options, providers=["CPUExecutionProvider"])
    graph, before = read(path), read(original)
    assert not [op for op in graph.ops if op.kind == "other"]
    assert {name: graph.tensors[name].shape for name in graph.outputs} == {
        name: before.tensors[name].shape for name in before.outputs
    }


def test_known_shapes_go_before_what_is_inferred() -> None:
    nodes = [node("Mystery", "x", "a", domain="elsewhere"), node("Relu", "a", "y")]
    unknown = read(model(nodes, {"x": MAP}, "y"))
    assert [op.kind for op in unknown.ops] == ["other", "other"]
    assert unknown.tensors["a"].size_bytes == 0
    known = read(model(nodes, {"x": MAP}, "y"), known_shapes={"a": (1, 3), "y": (1, 3)})
    assert known.ops[0].variant == "mystery"
    assert known.tensors["y"].shape == (1, 3)


def test_known_shapes_that_contradict_an_op_leave_its_type_known() -> None:
    proto = model([node("Reshape", "x", "a"), node("Relu", "a", "y")], {"x": MAP}, "y", {})
    proto.graph.node[0].input[:] = ["x", "to"]
    proto.graph.initializer.append(numpy_helper.from_array(np.array([-1, 7919], np.int64), "to"))
    graph = read(proto, known_shapes={"a": (1, 3), "y": (1, 3)})
    assert (graph.tensors["a"].shape, graph.tensors["a"].dtype) == ((1, 3), "float32")
    assert graph.tensors["y"].dtype == "float32"


def test_shapes_that_the_file_declares_are_used_where_nothing_better_is_known() -> None:
    proto = model([node("Mystery", "x", "a", domain="elsewhere"), node("Relu", "a", "y")], {"x": MAP}, "y")
    proto.graph.value_info.append(helper.make_tensor_value_info("a", TensorProto.FLOAT, [2, 3]))
    graph = read(proto)
    assert [op.kind for op in graph.ops] == ["other", "unary"]
    assert graph.tensors["y"].shape == (2, 3)


def test_declared_shapes_may_leave_the_batch_open() -> None:
    made = model([node("Relu", "x", "a"), node("Relu", "a", "b"), node("Relu", "b", "c"), node("Relu", "c", "y")],
                 {"x": MAP}, "y")  # fmt: skip
    for name, shape in {"a": MAP, "b": ("n", 4, 9, 8), "c": (1, 4, "h", 8)}.items():
        made.graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    assert read(made).declared == {"a", "b"}


def test_control_flow_is_kept() -> None:
    branch = helper.make_graph(
        [node("Add", "x k", "z")], "b", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, [3])]
    )
    nodes = [node("ReduceSum", "x", "s", keepdims=0), node("Cast", "s", "c", to=TensorProto.BOOL)]
    nodes += [helper.make_node("If", ["c"], ["y"], name="if", then_branch=branch, else_branch=branch)]
    graph = read(model(nodes, {"x": (3,), "k": (3,)}, "y"))
    assert graph.ops[-1].kind == "other"
    assert graph.ops[-1].inputs == ("c", "x", "k")
    assert graph.ops[-1].attributes == {"control_flow": True}
    assert graph.tensors["y"].shape == (3,)


def test_sequences_and_strings_are_tolerated() -> None:
    nodes = [node("SequenceConstruct", "x x", "s"), node("SequenceAt", "s i", "y"), node("StringNormalizer", "t", "u")]
    proto = model(nodes, {"x": (3,)}, "y u", {"i": np.int64(0)})
    proto.graph.input.append(helper.make_tensor_value_info("t", TensorProto.STRING, [2]))
    graph = read(proto)
    assert [op.kind for op in graph.ops] == ["other"] * 3
    assert graph.tensors["t"].size_bytes == 0
    assert graph.tensors["y"].shape == (3,)


def test_functions_of_the_model_are_inlined() -> None:
    function = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    proto = model([node("Twice", "x", "y", domain="mine")], {"x": MAP}, "y", functions=[function])
    assert [(op.kind, op.variant) for op in read(proto).ops] == [("binary", "add")]


def test_nodes_are_put_in_order_and_moved_no_further_than_they_must() -> None:
    nodes = [node("Relu", "b", "y"), node("Sigmoid", "x", "z"), node("Tanh", "x", "b"), node("Exp", "x", "a")]
    proto = model(nodes, {"x": MAP}, "y z a")
    assert [op.name for op in read(proto).ops] == ["z", "b", "y", "a"]


def test_named_gives_every_node_a_name_of_its_own() -> None:
    proto = model([node("Relu", "x", n, name="n") for n in "abc"], {"x": MAP}, "a b c")
    proto.graph.node[1].name = ""
    proto.graph.node.insert(0, node("Tanh", "x", "d", name="Relu_2"))
    names = [n.name for n in named(proto).graph.node]
    assert len(set(names)) == 4
    assert names[:2] == ["Relu_2", "n"]
    assert [n.name for n in named(proto).graph.node] == names
    assert [op.name for op in read(proto).ops] == names
    assert [n.name for n in proto.graph.node] == ["Relu_2", "n", "", "n"]


def test_named_leaves_a_model_with_names_alone() -> None:
    proto = model([node("Relu", "x", "y")], {"x": MAP}, "y")
    assert named(proto) is proto


def test_initializers_that_are_inputs_too_are_constant() -> None:
    proto = model([node("Conv", "x w", "y")], {"x": MAP, "w": (5, 4, 1, 1)}, "y", {"w": zeros(5, 4, 1, 1)})
    graph = read(proto)
    assert graph.inputs == ("x",)
    assert graph.tensors["w"].is_constant


def _with_every_tensor(proto: ModelProto, graph: Graph) -> ModelProto:
    """The model with every tensor that is computed as an output."""
    whole = ModelProto()
    whole.CopyFrom(named(proto))
    outputs = {value.name for value in whole.graph.output}
    for op in graph.ops:
        whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in op.outputs if name not in {*outputs, ""})
    return whole


def _assert_as_computed(proto: ModelProto, graph: Graph) -> None:
    whole = _with_every_tensor(proto, graph)
    random = np.random.default_rng(0)
    given_inputs = {
        name: np.asarray(random.random(graph.tensors[name].shape) * 3).astype(graph.tensors[name].dtype)
        for name in graph.inputs
    }
    for value, array in zip(whole.graph.output, run(whole, given_inputs), strict=True):
        tensor = graph.tensors[value.name]
        assert (tensor.shape, tensor.dtype) == (array.shape, array.dtype.name), value.name


def _assert_in_order(graph: Graph) -> None:
    there = {*graph.inputs, *(name for name, tensor in graph.tensors.items() if tensor.is_constant), ""}
    for op in graph.ops:
        assert set(op.inputs) <= there
        assert not set(op.outputs) & there - {""}
        there |= set(op.outputs)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(["float", "qdq", "qlinear"]), st.data())
def test_shapes_are_those_that_the_runtime_computes(style: str, data: st.DataObject) -> None:
    proto = data.draw(networks(style=style))
    graph = read(proto)
    assert not [op for op in graph.ops if op.kind == "other"]
    _assert_in_order(graph)
    _assert_as_computed(proto, graph)


FILES = [*LIGHT, *(sorted(SHARED.rglob("*.onnx")) if SHARED.exists() else [])]
OPEN_SHAPES = {"pnet": {"input_1": (1, 48, 47, 3)}, "model": {"audio": (1, 16000)}}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_real_networks(path: Path) -> None:
    graph = read(path, OPEN_SHAPES.get(path.stem))
    assert not [op for op in graph.ops if op.kind == "other"]
    _assert_in_order(graph)
    if path.stem not in {"light_vgg19", "light_bvlc_alexnet", "light_densenet121", "light_inception_v2"}:
        _assert_as_computed(onnx.load(path), graph)


def test_a_window_that_does_not_fit_is_named() -> None:
    nodes = [node("Conv", "x w", "y", name="conv1", kernel_shape=[3, 3, 3])]
    with pytest.raises(ModelError, match="'conv1'"):
        read(model(nodes, {"x": MAP}, "y", {"w": zeros(5, 4, 3, 3)}), known_shapes={"y": MAP})
