"""Small networks with names that tests can speak of."""

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper


def chain(
    *layers: tuple[int, int] | str, channels: int = 4, size: int = 24, seed: int = 0, rank: int = 2
) -> ModelProto:
    """Convolutions (kernel, stride) with `c0`, `c1`, ... for names, and poolings ("pool")."""
    nodes, weights, name = [], [], "x"
    random = np.random.default_rng(seed)
    for i, layer in enumerate(layers):
        if isinstance(layer, str):
            nodes.append(
                helper.make_node("MaxPool", [name], [f"y{i}"], f"p{i}", kernel_shape=[2] * rank, strides=[2] * rank)
            )
        else:
            kernel, stride = layer
            values = random.standard_normal((channels, channels, *[kernel] * rank), dtype=np.float32) / kernel / 2
            weights.append(numpy_helper.from_array(values, f"w{i}"))
            window = {"strides": [stride] * rank, "pads": [kernel // 2] * (2 * rank)}
            nodes.append(helper.make_node("Conv", [name, f"w{i}"], [f"y{i}"], f"c{i}", **window))
        name = f"y{i}"
    return _model(nodes, [name], weights, channels, size, rank)


def residual(channels: int = 4, size: int = 20, pooled: bool = False) -> ModelProto:
    """c0, r0 (relu), c1, sum (of r0 and c1), c2 with stride 2; and `pooled`, a global pooling behind it."""
    random = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(random.standard_normal((channels, channels, 3, 3), dtype=np.float32) / 6, f"w{i}")
        for i in range(3)
    ]
    same: dict[str, Any] = {"pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["t0"], "c0", **same),
        helper.make_node("Relu", ["t0"], ["t1"], "r0"),
        helper.make_node("Conv", ["t1", "w1"], ["t2"], "c1", **same),
        helper.make_node("Add", ["t1", "t2"], ["t3"], "sum"),
        helper.make_node("Conv", ["t3", "w2"], ["y"], "c2", strides=[2, 2], **same),
    ]
    if pooled:
        nodes.append(helper.make_node("GlobalAveragePool", ["y"], ["z"], "pooled"))
    return _model(nodes, ["z" if pooled else "y"], weights, channels, size)


def quantized(dtype: type[np.generic], layers: int = 3, channels: int = 4, size: int = 16) -> ModelProto:
    """3x3 convolutions between quantize and dequantize ops, activations of this type; `q0` reads `x`."""
    random = np.random.default_rng(0)
    scalars = {"s": np.float32(0.05), "z": dtype(0 if dtype is np.int8 else 128), "ws": np.float32(0.01),
               "wz": np.int8(0)}  # fmt: skip
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in scalars.items()]
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q0"], "q0")]
    for i in range(layers):
        weights = random.integers(-40, 40, (channels, channels, 3, 3)).astype(np.int8)
        constants.append(numpy_helper.from_array(weights, f"w{i}"))
        nodes += [
            helper.make_node("DequantizeLinear", [f"q{i}", "s", "z"], [f"d{i}"], f"d{i}"),
            helper.make_node("DequantizeLinear", [f"w{i}", "ws", "wz"], [f"v{i}"], f"v{i}"),
            helper.make_node("Conv", [f"d{i}", f"v{i}"], [f"c{i}"], f"c{i}", pads=[1, 1, 1, 1]),
            helper.make_node("QuantizeLinear", [f"c{i}", "s", "z"], [f"q{i + 1}"], f"q{i + 1}"),
        ]
    nodes.append(helper.make_node("DequantizeLinear", [f"q{layers}", "s", "z"], ["y"], "y"))
    return _model(nodes, ["y"], constants, channels, size)


def _model(
    nodes: list[NodeProto], outputs: list[str], weights: list[TensorProto], channels: int, size: int, rank: int = 2
) -> ModelProto:
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, *[size] * rank])
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "small", [given], made, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
