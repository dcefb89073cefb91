"""What an edit script leaves as it was in an ONNX model, and what it writes."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper
from tests.formats.onnx.build import ints, model, node
from tests.networks import feed, run

from edgewright.errors import ModelError, UnsupportedModelError
from edgewright.formats.onnx import edited, named, read
from edgewright.graph import edits
from edgewright.graph.edits import CloneOp, Concat, Edit, Pad, RemoveOp, Slice

MAP = (1, 4, 9, 8)


def network(opset: int = 17, dims: tuple[int | str, ...] = MAP, **attributes: Any) -> ModelProto:
    """x -> conv -> relu -> y with a 3x3 convolution."""
    weight = np.random.default_rng(0).standard_normal((5, 4, 3, 3)).astype(np.float32)
    how = attributes or {"pads": [1, 1, 1, 1]}
    nodes = [node("Conv", "x w", "a", name="conv", **how), node("Relu", "a", "y", name="relu")]
    return model(nodes, {"x": dims}, "y", {"w": weight}, opset)


def strips(after: str = "") -> list[Edit]:
    return [
        RemoveOp("conv"),
        RemoveOp("relu"),
        Slice("cut0", "x", "x0", (2,), (0,), (6,)),
        CloneOp("conv0", "conv", ("x0", "w"), ("a0",), ((1, 0), (1, 1))),
        CloneOp("relu0", "relu", ("a0",), ("y0",)),
        Slice("cut1", "x", "x1", (2,), (4,), (9,), after),
        CloneOp("conv1", "conv", ("x1", "w"), ("a1",), ((0, 1), (1, 1))),
        CloneOp("relu1", "relu", ("a1",), ("y1",)),
        Concat("join", ("y0", "y1"), "y", 2),
    ]


def check(proto: ModelProto, script: list[Edit], **shapes: Any) -> ModelProto:
    """The model after the script, for which the law and the equality of outputs hold."""
    graph, result = read(proto, **shapes), edited(proto, script, **shapes)
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(result), full_check=True)
    assert read(result, **shapes) == edits.apply(graph, script)
    random = np.random.default_rng(0)
    inputs = {name: random.standard_normal(graph.tensors[name].shape).astype(np.float32) for name in graph.inputs}
    for before, after in zip(run(proto, inputs), run(result, inputs), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)
    return result


def _dims(proto: ModelProto) -> list[int]:
    return [dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim]


@pytest.mark.parametrize("opset", [7, 9, 10, 11, 13, 17, 21])
def test_every_opset(opset: int) -> None:
    check(network(opset), strips())


@pytest.mark.parametrize("opset", [7, 9, 10, 11, 12, 13, 17, 21])
def test_a_slice_can_wait(opset: int) -> None:
    result = check(network(opset), strips(after="y0"))
    assert result.opset_import[0].version == max(opset, 11)


def test_a_model_that_can_not_be_brought_to_a_newer_operator_set_is_refused() -> None:
    proto = network(9)
    proto.graph.node.append(node("Strange", "y", "z"))
    proto.graph.output.append(helper.make_empty_tensor_value_info("z"))
    with pytest.raises(UnsupportedModelError, match="operator set 11"):
        edited(proto, strips(after="y0"))


def test_in_old_files_constants_are_no_inputs() -> None:
    proto = network(9)
    proto.ir_version = 3
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (5, 4, 3, 3)))
    result = check(proto, strips(after="y0"))
    assert result.ir_version == 3
    assert [value.name for value in result.graph.input] == ["x", "w"]


def test_nodes_stand_in_the_order_of_the_script() -> None:
    result = edited(network(), strips())
    names = ["cut0", "conv0", "relu0", "cut1", "conv1", "relu1", "join"]
    assert [n.name for n in result.graph.node] == names


def test_the_original_is_left_alone() -> None:
    proto = network()
    before = proto.SerializeToString()
    edited(proto, strips())
    assert proto.SerializeToString() == before


def test_weights_are_shared() -> None:
    result = edited(network(), strips())
    weights = [tensor.name for tensor in result.graph.initializer if tensor.data_type == TensorProto.FLOAT]
    assert weights == ["w"]


def test_what_the_script_does_not_touch_stays() -> None:
    proto = network()
    proto.producer_name, proto.doc_string, proto.domain, proto.model_version = "me", "doc", "mine", 3
    helper.set_model_props(proto, {"author": "me"})
    proto.graph.node.append(node("Mystery", "y", "z", domain="elsewhere", strange=7))
    proto.graph.output.append(helper.make_empty_tensor_value_info("z"))
    proto.opset_import.append(helper.make_opsetid("elsewhere", 2))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(ints(1), "unread"))
    result = edited(proto, strips())
    for field in ("producer_name", "doc_string", "domain", "model_version", "ir_version"):
        assert getattr(result, field) == getattr(proto, field)
    assert result.metadata_props == proto.metadata_props
    assert result.opset_import == proto.opset_import
    assert result.graph.input == proto.graph.input
    assert result.graph.output == proto.graph.output
    assert result.graph.node[-1] == proto.graph.node[-1]
    assert "unread" in {tensor.name for tensor in result.graph.initializer}


def test_nodes_without_names_get_those_of_the_graph() -> None:
    proto = network()
    for n in proto.graph.node:
        n.name = ""
    conv, relu = (op.name for op in read(proto).ops)
    script = [RemoveOp(relu), CloneOp("again", relu, ("a",), ("y",))]
    assert [n.name for n in edited(proto, script).graph.node] == [conv, "again"]
    assert [n.name for n in named(proto).graph.node] == [conv, relu]


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
def test_automatic_padding_becomes_explicit(auto_pad: str) -> None:
    result = check(network(auto_pad=auto_pad), strips())
    clone = next(n for n in result.graph.node if n.name == "conv0")
    found = {attribute.name: helper.get_attribute_value(attribute) for attribute in clone.attribute}
    assert found["pads"] == [1, 1, 0, 1]
    assert "auto_pad" not in found


def test_an_open_batch_stays_open() -> None:
    result = check(network(dims=("N", 4, 9, 8)), strips())
    assert result.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    first = np.random.default_rng(0).standard_normal((3, 4, 9, 8)).astype(np.float32)
    original = network(dims=("N", 4, 9, 8))
    np.testing.assert_allclose(run(result, {"x": first})[0], run(original, {"x": first})[0], rtol=1e-5, atol=1e-5)


def test_shapes_that_were_given_are_fixed() -> None:
    result = check(network(dims=("N", 4, "H", "W")), strips(), input_shapes={"x": MAP})
    assert tuple(_dims(result)) == MAP
    assert read(result).tensors["x"].shape == MAP


def _with_shape_of(tensor: str) -> ModelProto:
    """The network with a reshape to the shape of one of its tensors."""
    proto = network(dims=("N", 4, 9, 8))
    proto.graph.node.extend([
        node("Shape", tensor, "s"), node("Slice", "s zero one", "n", name="head"),
        node("Concat", "n rest", "t", axis=0), node("Reshape", "y t", "flat", name="flatten"),
    ])  # fmt: skip
    for name, value in (("zero", 0), ("one", 1), ("rest", -1)):
        proto.graph.initializer.append(onnx.numpy_helper.from_array(ints(value), name))
    proto.graph.output[0].name = "flat"
    return proto


def test_shape_arithmetic_stays_where_its_source_stays() -> None:
    result = check(_with_shape_of("x"), strips())
    assert "Shape" in {n.op_type for n in result.graph.node}
    assert result.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


def test_the_shape_of_a_tensor_that_is_gone_becomes_a_constant() -> None:
    result = check(_with_shape_of("a"), strips())
    assert "Shape" not in {n.op_type for n in result.graph.node}
    assert tuple(_dims(result)) == MAP


def test_constants_that_only_removed_nodes_read_go_too() -> None:
    nodes = [node("Clip", "x lo hi", "a", name="clip"), node("Constant", "", "hi", value_float=6.0),
             node("Relu", "a", "y")]  # fmt: skip
    proto = model([nodes[1], nodes[0], nodes[2]], {"x": MAP, "lo": ()}, "y", {"lo": np.float32(0)})
    script = [RemoveOp("clip"), CloneOp("tanh", "y", ("x",), ("a",))]
    result = edited(proto, script)
    assert [n.op_type for n in result.graph.node] == ["Relu", "Relu"]
    assert not result.graph.initializer
    assert [value.name for value in result.graph.input] == ["x"]


def test_what_was_declared_of_tensors_that_are_gone_goes_too() -> None:
    proto = network()
    for name in ("a", "y"):
        proto.graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 5, 9, 8)))
    assert [value.name for value in edited(proto, strips()).graph.value_info] == ["y"]


@pytest.mark.parametrize("opset", [9, 11, 13, 21])
def test_padding_by_an_op(opset: int) -> None:
    script = [
        RemoveOp("conv"),
        Pad("pad", "x", "p", ((0, 0), (0, 0), (1, 1), (1, 1))),
        CloneOp("conv0", "conv", ("p", "w"), ("a",), ((0, 0), (0, 0))),
    ]
    check(network(opset), script)


def test_padding_of_a_quantized_tensor() -> None:
    weight = np.random.default_rng(0).integers(-127, 128, (5, 4, 3, 3)).astype(np.int8)
    constants = {"s": np.float32(0.05), "z": np.uint8(117), "t": np.float32(0.01), "o": np.int8(0), "w": weight}
    nodes = [
        node("QuantizeLinear", "x s z", "q", name="q"),
        node("QLinearConv", "q s z w t o s z", "a", name="conv", pads=[1, 1, 1, 1]),
        node("DequantizeLinear", "a s z", "y"),
    ]
    proto = model(nodes, {"x": MAP}, "y", constants, 13)
    script = [
        RemoveOp("conv"),
        Pad("pad", "q", "p", ((0, 0), (0, 0), (1, 1), (1, 1))),
        CloneOp("conv0", "conv", ("p", *"szwtosz"), ("a",), ((0, 0), (0, 0))),
    ]
    result = check(proto, script)
    np.testing.assert_array_equal(run(result, feed(proto))[0], run(proto, feed(proto))[0])


def test_clones_of_ops_that_pad_and_resize() -> None:
    pads, sizes = ints(0, 0, 2, 1, 0, 0, 1, 0), ints(1, 4, 24, 18)
    nodes = [node("Pad", "x pads v", "a", name="pad"), node("Resize", "a _ _ sizes", "y", name="resize",
                                                            coordinate_transformation_mode="asymmetric",
                                                            nearest_mode="floor")]  # fmt: skip
    proto = model(nodes, {"x": MAP}, "y", {"pads": pads, "sizes": sizes, "v": np.float32(0.5)})
    script: list[Edit] = [RemoveOp("pad"), RemoveOp("resize")]
    for i, (start, end, padding) in enumerate([(0, 4, (2, 0)), (4, 9, (0, 1))]):
        script += [
            Slice(f"cut{i}", "x", f"x{i}", (2,), (start,), (end,)),
            CloneOp(f"pad{i}", "pad", (f"x{i}",), (f"a{i}",), ((0, 0), (0, 0), padding, (1, 0))),
            CloneOp(f"resize{i}", "resize", (f"a{i}",), (f"y{i}",)),
        ]
    check(proto, [*script, Concat("join", ("y0", "y1"), "y", 2)])


def test_control_flow_that_reads_from_outside_keeps_its_sources() -> None:
    branch = helper.make_graph(
        [node("Add", "y c", "z")], "b", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)]
    )
    proto = network()
    proto.graph.node.extend([
        node("Constant", "", "c", value_float=2.0), node("Constant", "", "yes", value=_boolean(True)),
        helper.make_node("If", ["yes"], ["out"], name="if", then_branch=branch, else_branch=branch),
    ])  # fmt: skip
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("out", TensorProto.FLOAT, None))
    result = edited(proto, strips())
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(result), full_check=True)
    np.testing.assert_allclose(run(result, feed(proto))[0], run(proto, feed(proto))[0], rtol=1e-5, atol=1e-5)


def _boolean(value: bool) -> TensorProto:
    return onnx.numpy_helper.from_array(np.array(value))


def test_names_that_the_model_has_already_are_not_taken() -> None:
    proto = network()
    proto.graph.initializer.append(onnx.numpy_helper.from_array(ints(1), "cut0_0"))
    result = check(proto, strips())
    names = [tensor.name for tensor in result.graph.initializer]
    assert len(set(names)) == len(names)


def test_a_script_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ModelError, match="no op 'none'"):
        edited(network(), [RemoveOp("none")])


def test_a_subgraph_that_reads_what_is_gone_is_refused() -> None:
    branch = helper.make_graph(
        [node("Identity", "a", "z")], "b", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)]
    )
    proto = network()
    proto.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    proto.graph.node.append(helper.make_node("If", ["c"], ["out"], name="if", then_branch=branch, else_branch=branch))
    proto.graph.output.append(helper.make_tensor_value_info("out", TensorProto.FLOAT, None))
    with pytest.raises(ModelError, match="'a'"):
        edited(proto, strips())
