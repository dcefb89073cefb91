"""Products of two activations pack one of them on the stack; weights were packed when the network was loaded."""

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgewright.formats.onnx import read
from edgewright.memory.onnxruntime import predict_peak


def product(*inputs: str) -> ModelProto:
    weight = numpy_helper.from_array(np.ones((8, 8), np.float32), "w")
    nodes = [
        helper.make_node("Exp", ["x"], ["a"], "a"),
        helper.make_node("MatMul", list(inputs), ["y"], "b"),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [16, 8, 8])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [given], [made], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("inputs", (("w", "a"), ("a", "x")))
def test_packed_on_the_stack(inputs: tuple[str, str]) -> None:
    packed = predict_peak(read(product(*inputs)), "arena")
    known = predict_peak(read(product("a", "w")), "arena")
    assert packed.overhead_bytes == known.overhead_bytes + 56 * 1024
