"""What width edits leave as it was in an ONNX model, and what they write."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from tests.formats.onnx.build import ints, model, node
from tests.networks import feed, run

from edgewright.errors import ModelError, UnsupportedModelError
from edgewright.formats.onnx import apply, edited, read
from edgewright.graph import edits
from edgewright.graph.channel_groups import find_groups
from edgewright.graph.channels import ChannelGroup, Member
from edgewright.graph.edits import RemoveOp
from edgewright.graph.types import Shape
from edgewright.graph.width_edits import SetWidth

Array = npt.NDArray[Any]


def draw(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def chain(opset: int = 17, dims: Sequence[int | str] = (1, 3, 6, 5), middle: str = "Relu") -> ModelProto:
    """x -> conv to 5 channels -> relu -> conv -> y."""
    nodes = [node("Conv", "x w1 b1", "a"), node(middle, "a", "r"), node("Conv", "r w2", "y")]
    constants = {"w1": draw(5, 3, 1, 1), "b1": draw(5), "w2": draw(4, 5, 1, 1)}
    return model(nodes, {"x": dims}, "y", constants, opset)


def widened(proto: ModelProto, added: int = 3, **shapes: Shape) -> list[SetWidth]:
    """Every group that may grow wider by so much."""
    groups = find_groups(read(proto, shapes or None))
    return [SetWidth(group, tuple(range(group.width)), added) for group in groups if group.growable]


def check(proto: ModelProto, script: Sequence[SetWidth], exact: bool = False, **shapes: Shape) -> ModelProto:
    """The model after a script that only adds, for which the law and the equality of outputs hold."""
    assert script
    before = proto.SerializeToString()
    result = edited(proto, script, shapes or None)
    assert proto.SerializeToString() == before
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(result, strict_mode=True), full_check=True)
    assert read(result, shapes or None) == edits.apply(read(proto, shapes or None), script)
    if not shapes:
        inputs = feed(proto)
        for first, second in zip(run(proto, inputs), run(result, inputs), strict=True):
            np.testing.assert_allclose(second, first, rtol=0, atol=0 if exact else 1e-5)
    return result


def stored(proto: ModelProto, name: str) -> Array:
    return np.asarray(next(numpy_helper.to_array(t) for t in proto.graph.initializer if t.name == name))


def values(proto: ModelProto) -> dict[str, list[int]]:
    return {v.name: [dim.dim_value for dim in v.type.tensor_type.shape.dim] for v in proto.graph.value_info}


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 18, 21])
def test_weights_get_zeros_on_both_sides(opset: int) -> None:
    proto = chain(opset, middle="Sigmoid")
    result = check(proto, widened(proto))
    for name, rows, axis in (("w1", 5, 0), ("b1", 5, 0), ("w2", 5, 1)):
        new = np.moveaxis(stored(result, name), axis, 0)
        np.testing.assert_array_equal(new[:rows], np.moveaxis(stored(proto, name), axis, 0))
        assert new.shape[0] == 8
        assert not new[rows:].any()


def test_channels_are_kept_in_the_order_of_the_script() -> None:
    proto = chain()
    (group,) = find_groups(read(proto))
    result = edited(proto, [SetWidth(group, (4, 0), 1)])
    np.testing.assert_array_equal(stored(result, "b1"), [*stored(proto, "b1")[[4, 0]], 0])
    np.testing.assert_array_equal(stored(result, "w2")[:, :2], stored(proto, "w2")[:, [4, 0]])


def test_what_the_script_does_not_touch_stays() -> None:
    proto = chain()
    proto.producer_name, proto.doc_string, proto.domain, proto.model_version = "me", "doc", "mine", 3
    helper.set_model_props(proto, {"author": "me"})
    proto.graph.doc_string = "graph"
    proto.graph.node[1].doc_string = "node"
    proto.graph.initializer.append(numpy_helper.from_array(ints(1), "unread"))
    result = check(proto, widened(proto))
    del proto.graph.initializer[:], result.graph.initializer[:]
    assert result == proto


def test_declared_shapes_follow_and_open_ones_stay_open() -> None:
    proto = chain(dims=("batch", 3, "height", 5))
    declared = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("batch", 5, None, 5)) for name in ("a", "r")]
    proto.graph.value_info.extend(declared)
    result = check(proto, widened(proto, x=(1, 3, 6, 5)), x=(1, 3, 6, 5))
    assert values(result) == {"a": [0, 8, 0, 5], "r": [0, 8, 0, 5]}
    assert result.graph.input == proto.graph.input
    for batch in (1, 2):
        inputs = {"x": draw(batch, 3, 7, 5)}
        np.testing.assert_allclose(run(result, inputs)[0], run(proto, inputs)[0], atol=1e-5)


def test_constants_that_are_inputs_too() -> None:
    proto = chain(9)
    proto.ir_version = 3
    shapes = {"w1": (5, 3, 1, 1), "b1": (5,), "w2": (4, 5, 1, 1)}
    proto.graph.input.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items())
    result = check(proto, widened(proto))
    assert [[d.dim_value for d in v.type.tensor_type.shape.dim] for v in result.graph.input[1:]] == [
        [8, 3, 1, 1], [8], [4, 8, 1, 1],
    ]  # fmt: skip


def test_constants_that_nodes_make_stay_with_them() -> None:
    nodes = [
        node("Constant", "", "w1", value=numpy_helper.from_array(draw(5, 3, 1, 1))),
        node("Transpose", "t2", "w2", perm=[1, 0, 2, 3]),
        node("Conv", "x w1", "a"),
        node("Conv", "a w2", "y"),
    ]
    proto = model(nodes, {"x": (1, 3, 6, 5)}, "y", {"t2": draw(5, 4, 1, 1)})
    result = check(proto, widened(proto))
    assert [n.op_type for n in result.graph.node] == ["Constant", "Transpose", "Conv", "Conv"]
    assert stored(result, "t2").shape == (8, 4, 1, 1)


def test_a_constant_that_another_op_reads_otherwise_becomes_two() -> None:
    nodes = [
        node("Transpose", "t", "w2", perm=[1, 0, 2, 3]),
        node("Conv", "x w1", "a"),
        node("Conv", "a w2", "y"),
        node("Identity", "t", "i"),
        node("Conv", "x5 i", "z"),
    ]
    proto = model(
        nodes, {"x": (1, 3, 6, 5), "x5": (1, 4, 6, 5)}, "y z", {"w1": draw(5, 3, 1, 1), "t": draw(5, 4, 1, 1)}
    )
    result = check(proto, widened(proto))
    assert sorted(t.dims[0] for t in result.graph.initializer if t.name != "w1") == [5, 8]


def test_a_constant_that_is_computed_otherwise_is_stored() -> None:
    nodes = [node("Mul", "u s", "w1"), node("Conv", "x w1", "a"), node("Conv", "a w2", "y")]
    constants = {"u": draw(5, 3, 1, 1), "s": draw(5, 1, 1, 1), "w2": draw(4, 5, 1, 1)}
    proto = model(nodes, {"x": (1, 3, 6, 5)}, "y", constants)
    result = check(proto, widened(proto))
    assert [n.op_type for n in result.graph.node] == ["Constant", "Conv", "Conv"]
    assert [t.name for t in result.graph.initializer] == ["w2"]


@pytest.mark.parametrize("computed", [False, True])
def test_an_open_batch_stays_open_behind_a_reshape(computed: bool) -> None:
    nodes = [node("Conv", "x w1", "a")]
    if computed:
        nodes += [
            node("Shape", "a", "s"),
            node("Gather", "s zero", "n", axis=0),
            node("Concat", "n rest", "target", axis=0),
        ]
    nodes += [node("Reshape", "a target", "f"), node("MatMul", "f w2", "y")]
    constants = {"w1": draw(5, 3, 1, 1), "w2": draw(5 * 30, 4), "zero": ints(0), "rest": ints(150)}
    constants |= {} if computed else {"target": ints(0, 150)}
    proto = model(nodes, {"x": ("n", 3, 6, 5)}, "y", constants)
    result = edited(proto, widened(proto))
    inputs = {"x": draw(3, 3, 6, 5)}
    np.testing.assert_allclose(run(result, inputs)[0], run(proto, inputs)[0], atol=1e-5)


@pytest.mark.parametrize("how", ["ConstantOfShape", "Expand"])
def test_an_open_batch_stays_open_in_initial_states(how: str) -> None:
    """The state begins as zeros whose shape is computed from that of the input."""
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s one", "n", axis=0),
        node("Concat", "one n five", "target", axis=0),
        node(how, "target" if how == "ConstantOfShape" else "start target", "h"),
        node("GRU", "x w r b _ h", "g _", hidden_size=5),
        node("Squeeze", "g one", "q"),
        node("MatMul", "q v", "y"),
    ]
    constants = {"w": draw(1, 15, 3), "r": draw(1, 15, 5), "b": draw(1, 30), "v": draw(5, 2)}
    constants |= {"one": ints(1), "five": ints(5), "start": np.zeros((1, 1, 5), np.float32)}
    proto = model(nodes, {"x": (6, "n", 3)}, "y", constants)
    result = edited(proto, widened(proto, x=(6, 1, 3)), {"x": (6, 1, 3)})
    for batch in (1, 4):
        inputs = {"x": draw(6, batch, 3)}
        np.testing.assert_allclose(run(result, inputs)[0], run(proto, inputs)[0], atol=1e-5)


def test_quantized_ops_of_the_runtime() -> None:
    random = np.random.default_rng(0)
    constants: dict[str, Array] = {"s": np.float32(0.02), "z": np.uint8(117), "wz": np.uint8(121)}
    constants |= {
        f"w{i}": random.integers(0, 256, shape).astype(np.uint8) for i, shape in enumerate(((4, 6), (6, 5), (3, 5)))
    }
    constants |= {"ws": random.uniform(0.01, 0.02, 6).astype(np.float32), "wzs": np.full(6, 121, np.uint8)}
    constants["b"] = random.integers(-500, 500, 6).astype(np.int32)
    nodes = [
        node("QGemm", "x s z w0 ws wzs b s z", "a", domain="com.microsoft"),
        node("QLinearMatMul", "a s z w1 s wz s z", "c"),
        node("QGemm", "c s z w2 s wz _ s z", "y", domain="com.microsoft", transB=1),
    ]
    proto = model(nodes, {"x": (2, 4)}, "y", constants, dtype=TensorProto.UINT8)
    script = widened(proto)
    assert len(script) == 2
    result = edited(proto, script)
    assert read(result) == edits.apply(read(proto), script)
    inputs = feed(proto)
    np.testing.assert_array_equal(run(result, inputs)[0], run(proto, inputs)[0])


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_sizes_of_a_split(opset: int) -> None:
    """Only one part grows, so that parts which were equal are not any more."""
    more = {"num_outputs": 2} if opset == 18 else {}
    nodes = [
        node("Conv", "x w", "a"),
        node("Split", "a", "b c", axis=1, **more),
        node("Conv", "b w2", "d"),
        node("Relu", "c", "y"),
        node("Relu", "d", "z"),
    ]
    proto = model(nodes, {"x": (1, 3, 4, 4)}, "y z", {"w": draw(6, 3, 1, 1), "w2": draw(2, 3, 1, 1)}, opset)
    result = check(proto, widened(proto))
    assert [v.shape for name, v in read(result).tensors.items() if name in "bc"] == [(1, 6, 4, 4), (1, 3, 4, 4)]


@pytest.mark.parametrize("opset", [9, 10, 17])
def test_bounds_of_a_slice(opset: int) -> None:
    how: dict[str, Any] = {"starts": [0], "ends": [2**31], "axes": [1]} if opset < 10 else {}
    later: dict[str, Any] = {"starts": [2], "ends": [5], "axes": [1]} if opset < 10 else {}
    names = ("", "") if opset < 10 else (" zero far one", " two five one")
    nodes = [
        node("Conv", "x w", "a"),
        node("Slice", f"a{names[0]}", "b", **how),
        node("Slice", f"a{names[1]}", "c", **later),
        node("Conv", "b w2", "y"),
        node("Conv", "c w3", "z"),
    ]
    constants = {"w": draw(5, 3, 1, 1), "w2": draw(2, 5, 1, 1), "w3": draw(2, 3, 1, 1)}
    constants |= (
        {} if opset < 10 else {"zero": ints(0), "one": ints(1), "two": ints(2), "five": ints(5), "far": ints(2**31)}
    )
    check(proto := model(nodes, {"x": (1, 3, 4, 4)}, "y z", constants, opset), widened(proto))


def test_sizes_of_a_resize() -> None:
    nodes = [node("Conv", "x w", "a"), node("Resize", "a _ _ sizes", "b"), node("Conv", "b w2", "y")]
    constants = {"w": draw(5, 3, 1, 1), "w2": draw(2, 5, 1, 1), "sizes": ints(1, 5, 8, 8)}
    check(proto := model(nodes, {"x": (1, 3, 4, 4)}, "y", constants), widened(proto))


def quantized(zero: int = 3) -> ModelProto:
    """x -> conv -> conv -> y in int8 between QuantizeLinear and DequantizeLinear, a scale for each channel."""
    random = np.random.default_rng(0)
    constants: dict[str, Array] = {"s": np.float32(0.02), "z": np.uint8(117)}
    nodes = []
    for layer, (made, given) in enumerate(((5, 3), (4, 5))):
        constants |= {
            f"w{layer}": random.integers(-127, 128, (made, given, 3, 3)).astype(np.int8),
            f"ws{layer}": random.uniform(0.001, 0.003, made).astype(np.float32),
            f"wz{layer}": np.full(made, zero, np.int8),
            f"b{layer}": random.integers(-500, 500, made).astype(np.int32),
            f"bs{layer}": random.uniform(1e-4, 2e-4, made).astype(np.float32),
        }
        x = "x" if layer == 0 else "q1"
        nodes += [
            node("QuantizeLinear", f"{x} s z", f"qx{layer}"),
            node("DequantizeLinear", f"qx{layer} s z", f"dx{layer}"),
            node("DequantizeLinear", f"w{layer} ws{layer} wz{layer}", f"dw{layer}", axis=0),
            node("DequantizeLinear", f"b{layer} bs{layer}", f"db{layer}", axis=0),
            node("Conv", f"dx{layer} dw{layer} db{layer}", f"q{layer + 1}" if layer == 0 else "y"),
        ]
    return model(nodes, {"x": (1, 3, 8, 8)}, "y", constants)


@pytest.mark.parametrize("optimized", [False, True])
def test_quantized_weights_get_zero_points_and_finite_scales(optimized: bool) -> None:
    import onnxruntime

    proto = quantized()
    result = check(proto, widened(proto), exact=True)
    assert (stored(result, "w0")[5:] == 3).all()
    assert (stored(result, "w1")[:, 5:] == 3).all()
    assert (stored(result, "b0")[5:] == 0).all()
    for name in ("ws0", "bs0"):
        assert np.isfinite(stored(result, name)).all()
        assert (stored(result, name)[5:] > 0).all()
    level = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimized else level.ORT_DISABLE_ALL
    found = [
        onnxruntime.InferenceSession(p.SerializeToString(), options).run(None, feed(proto)) for p in (proto, result)
    ]
    np.testing.assert_array_equal(*found)


def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    proto, path, out = chain(), tmp_path / "m.onnx", tmp_path / "out" / "m.onnx"
    out.parent.mkdir()
    onnx.save(proto, path, save_as_external_data=True, location="weights", size_threshold=0, convert_attribute=True)
    apply(path, widened(chain()), out)
    inputs = feed(chain())
    np.testing.assert_allclose(run(onnx.load(out), inputs)[0], run(chain(), inputs)[0], atol=1e-5)
    assert read(out) == edits.apply(read(path), widened(chain()))


def bad_scripts() -> dict[str, list[Any]]:
    (group,) = find_groups(read(chain()))
    whole = tuple(range(5))
    partial = ChannelGroup("a", 5, tuple(m for m in group.members if m.tensor != "w2"))
    return {
        "two widths": [SetWidth(group, whole, 1), SetWidth(group, whole, 2)],
        "no tensor 'q'": [SetWidth(ChannelGroup("q", 5, (Member("q", 0),)), whole, 1)],
        "no axis 7": [SetWidth(ChannelGroup("a", 5, (Member("a", 7),)), whole, 1)],
        "are no channels": [SetWidth(group, (9,), 0)],
        "would have no channels": [SetWidth(group, (), 0)],
        "do not fit an axis": [SetWidth(ChannelGroup("a", 9, group.members), tuple(range(9)), 0)],
        "at op 'y'": [SetWidth(partial, whole, 1)],
        "beside edits of ops": [SetWidth(group, whole, 1), RemoveOp("y")],
    }


@pytest.mark.parametrize("message", bad_scripts())
def test_scripts_that_do_not_fit_are_refused(message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        edited(chain(), bad_scripts()[message])
    assert "\n" not in str(caught.value)


def test_a_weight_in_blocks_is_refused() -> None:
    nodes = [
        node("DequantizeLinear", "q s", "w", axis=1, block_size=2),
        node("MatMul", "x w", "a"),
        node("MatMul", "a v", "y"),
    ]
    constants = {"q": np.ones((4, 6), np.int8), "s": np.ones((4, 3), np.float32), "v": draw(6, 2)}
    proto = model(nodes, {"x": (1, 4)}, "y", constants, 21)
    with pytest.raises(UnsupportedModelError, match="'w'"):
        edited(proto, widened(proto))


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet"])
def test_real_topologies(name: str) -> None:
    proto = onnx.load(Path(onnx.__file__).parent / "backend/test/data/light" / f"light_{name}.onnx")
    groups = find_groups(read(proto))
    script = [SetWidth(group, tuple(range(1, group.width)), 3 if group.growable else 0) for group in groups]
    result = edited(proto, script)
    onnx.checker.check_model(result)
    assert read(result) == edits.apply(read(proto), script)
