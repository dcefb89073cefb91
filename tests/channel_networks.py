"""Small networks of known architectures, whose channel groups the tests pin."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Shape = Sequence[int]


class Builder:
    """Nodes one behind the other; an op's name is that of its output, and weights are random."""

    def __init__(self, **inputs: Shape) -> None:
        self.random = np.random.default_rng(0)
        self.inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, s) for name, s in inputs.items()]
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def op(self, op_type: str, output: str, *inputs: str, **attributes: Any) -> str:
        names = output.split()
        self.nodes.append(helper.make_node(op_type, inputs, names, names[0], **attributes))
        return names[0]

    def weight(self, name: str, *shape: int) -> str:
        value = self.random.uniform(0.2, 1.0, shape) * self.random.choice([-1, 1], shape) / max(np.prod(shape[1:]), 1)
        return self.constant(name, value.astype(np.float32))

    def positive(self, name: str, *shape: int) -> str:
        return self.constant(name, self.random.uniform(0.5, 1.5, shape).astype(np.float32))

    def constant(self, name: str, value: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def integers(self, name: str, *items: int) -> str:
        return self.constant(name, np.array(items, np.int64))

    def conv(self, output: str, x: str, made: int, given: int, kernel: int = 1, **attributes: Any) -> str:
        groups = attributes.get("group", 1)
        names = self.weight(f"{output}.w", made, given // groups, kernel, kernel), self.weight(f"{output}.b", made)
        pads = [kernel // 2] * 4
        return self.op("Conv", output, x, *names, kernel_shape=[kernel] * 2, pads=pads, **attributes)

    def normalized(self, output: str, x: str, channels: int) -> str:
        vectors = [self.positive(f"{output}.{part}", channels) for part in ("scale", "bias", "mean", "var")]
        return self.op("BatchNormalization", output, x, *vectors)

    def dense(self, output: str, x: str, made: int, given: int) -> str:
        return self.op("Gemm", output, x, self.weight(f"{output}.w", made, given), self.weight(f"{output}.b", made),
                       transB=1)  # fmt: skip

    def linear(self, output: str, x: str, made: int, given: int) -> str:
        return self.op("MatMul", output, x, self.weight(f"{output}.w", given, made))

    def reshape(self, output: str, x: str, *shape: int) -> str:
        return self.op("Reshape", output, x, self.integers(f"{output}.shape", *shape))

    def model(self, *outputs: str, opset: int = 21) -> ModelProto:
        made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "net", self.inputs, made, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
        return onnx.shape_inference.infer_shapes(model)


def inverted_residual() -> ModelProto:
    """MobileNetV2 (Sandler et al., arXiv 1801.04381): expand, depthwise, project, with a residual sum."""
    net = Builder(x=(1, 3, 8, 8))
    a = net.conv("stem", "x", 6, 3, 3)
    b = net.op("Clip", "expand.a", net.conv("expand", a, 12, 6), net.constant("zero", np.float32(0)))
    b = net.conv("deep", b, 12, 12, 3, group=12)
    a = net.op("Add", "sum", a, net.conv("project", b, 6, 12))
    return net.model(net.conv("head", a, 4, 6))


def squeeze_and_excitation() -> ModelProto:
    """Hu et al., arXiv 1709.01507, with the gate behind a hard sigmoid, and a spatial gate."""
    net = Builder(x=(1, 3, 6, 6))
    a = net.conv("stem", "x", 8, 3, 3)
    y = net.op("ReduceMean", "pool", a, net.integers("space", 2, 3))
    y = net.op("Relu", "squeeze.a", net.conv("squeeze", y, 2, 8))
    y = net.op("HardSigmoid", "gate", net.conv("excite", y, 8, 2))
    a = net.op("Mul", "scaled", a, y)
    a = net.op("Mul", "where", a, net.op("Sigmoid", "spatial.a", net.conv("spatial", a, 1, 8)))
    return net.model(net.conv("head", a, 4, 8))


def shuffled() -> ModelProto:
    """ShuffleNet V2 (Ma et al., arXiv 1807.11164): two branches joined and shuffled."""
    net = Builder(x=(1, 3, 4, 4))
    a, b = (net.conv(name, "x", 6, 3) for name in ("left", "right"))
    y = net.reshape("parts", net.op("Concat", "joined", a, b, axis=1), 1, 2, 6, 4, 4)
    y = net.reshape("whole", net.op("Transpose", "turned", y, perm=[0, 2, 1, 3, 4]), 1, 12, 4, 4)
    return net.model(net.conv("head", y, 4, 12))


def shuffled_groups() -> ModelProto:
    """ShuffleNet (Zhang et al., arXiv 1707.01083): shuffled between grouped convolutions of 2 and of 3 groups."""
    net = Builder(x=(1, 4, 4, 4))
    y = net.conv("first", "x", 12, 4, group=2)
    y = net.op("Transpose", "turned", net.reshape("parts", y, 1, 2, 6, 16), perm=[0, 2, 1, 3])
    y = net.conv("deep", net.reshape("whole", y, 1, 12, 4, 4), 12, 12, 3, group=12)
    return net.model(net.conv("second", y, 6, 12, group=3))


def dense_block() -> ModelProto:
    """DenseNet (Huang et al., arXiv 1608.06993): every layer reads all before it."""
    net = Builder(x=(1, 3, 6, 6))
    a, channels = net.conv("stem", "x", 5, 3), 5
    for i in range(2):
        b = net.op("Relu", f"relu{i}", net.normalized(f"norm{i}", a, channels))
        a = net.op("Concat", f"joined{i}", a, net.conv(f"grow{i}", b, 4, channels), axis=1)
        channels += 4
    return net.model(net.conv("head", a, 3, channels))


def conv_gru() -> ModelProto:
    """A convolution, a bidirectional GRU on its columns, another GRU, a fully connected layer."""
    net = Builder(x=(1, 1, 4, 10))
    y = net.op("Relu", "relu", net.conv("conv", "x", 3, 1, 3))
    y = net.op("Transpose", "steps", net.reshape("rows", y, 1, 12, 10), perm=[2, 0, 1])
    w = net.weight("g1.w", 2, 15, 12), net.weight("g1.r", 2, 15, 5), net.weight("g1.b", 2, 30)
    net.op("GRU", "g1 g1.last", y, *w, hidden_size=5, direction="bidirectional")
    y = net.reshape("both", net.op("Transpose", "g1.t", "g1", perm=[0, 2, 1, 3]), 10, 1, 10)
    w = net.weight("g2.w", 1, 12, 10), net.weight("g2.r", 1, 12, 4), net.weight("g2.b", 1, 24)
    net.op("GRU", "g2 g2.last", y, *w, hidden_size=4)
    return net.model(net.dense("head", net.reshape("last", "g2.last", 1, 4), 2, 4))


def lstm() -> ModelProto:
    """An LSTM with peepholes and an initial state that is the same for every unit."""
    net = Builder(x=(7, 2, 3))
    w = net.weight("l.w", 1, 16, 3), net.weight("l.r", 1, 16, 4), net.weight("l.b", 1, 32)
    start = net.op("Expand", "start", "scalar", net.integers("start.shape", 1, 2, 4))
    net.constant("scalar", np.full((1, 1, 1), 0.5, np.float32))
    net.op("LSTM", "l l.h l.c", "x", *w, "", start, start, net.weight("l.p", 1, 12), hidden_size=4)
    y = net.op("Squeeze", "steps", "l", net.integers("axis", 1))
    return net.model(net.linear("head", net.op("Add", "sum", y, "l.c"), 3, 4))


def transformer() -> ModelProto:
    """A block of Vaswani et al., arXiv 1706.03762: 3 heads of 2 channels, and a wide layer."""
    net = Builder(x=(1, 5, 4))
    x = net.linear("embed", "x", 6, 4)
    a = net.op("LayerNormalization", "norm1", x, net.positive("n1.scale", 6), net.positive("n1.bias", 6))
    y = net.op("Add", "qkv.sum", net.linear("qkv", a, 18, 6), net.weight("qkv.b", 18))
    y = net.op("Transpose", "qkv.t", net.reshape("qkv.parts", y, 1, 5, 3, 3, 2), perm=[2, 0, 3, 1, 4])
    net.op("Split", "q k v", y, axis=0, num_outputs=3)
    q, k, v = (net.op("Squeeze", f"{n}.s", n, net.integers(f"{n}.axis", 0)) for n in ("q", "k", "v"))
    scores = net.op("Softmax", "scores", net.op("MatMul", "products",
                    q, net.op("Transpose", "k.t", k, perm=[0, 1, 3, 2])), axis=-1)  # fmt: skip
    y = net.op("Transpose", "mixed.t", net.op("MatMul", "mixed", scores, v), perm=[0, 2, 1, 3])
    x = net.op("Add", "sum1", x, net.linear("out", net.reshape("merged", y, 1, 5, 6), 6, 6))
    y = net.op("Gelu", "wide.a", net.linear("wide", x, 10, 6))
    x = net.op("Add", "sum2", x, net.linear("narrow", y, 6, 10))
    return net.model(net.linear("head", x, 3, 6))


def group_normalized() -> ModelProto:
    """Group normalization (Wu and He, arXiv 1803.08494) as an op, and as exporters write it."""
    net = Builder(x=(1, 3, 4, 4))
    y = net.conv("first", "x", 8, 3)
    y = net.op("GroupNormalization", "norm1", y, net.positive("n1.scale", 8), net.positive("n1.bias", 8), num_groups=4)
    y = net.conv("second", net.op("Relu", "relu", y), 6, 8)
    y = net.op("InstanceNormalization", "norm2", net.reshape("rows", y, 1, 3, -1), net.constant("ones", np.ones(
        3, np.float32)), net.constant("zeros", np.zeros(3, np.float32)))  # fmt: skip
    y = net.op("Mul", "scaled", net.reshape("map", y, 1, 6, 4, 4), net.positive("n2.scale", 6, 1, 1))
    return net.model(net.conv("head", net.op("Add", "moved", y, net.positive("n2.bias", 6, 1, 1)), 2, 6))


def flattened() -> ModelProto:
    """Maps flattened with channels first and last, and a channel multiplier."""
    net = Builder(x=(1, 2, 3, 3))
    a = net.conv("deep", net.conv("stem", "x", 3, 2), 6, 3, 3, group=3)
    first = net.dense("first", net.op("Flatten", "flat", a), 5, 54)
    last = net.reshape("rows", net.op("Transpose", "last", a, perm=[0, 2, 3, 1]), 1, -1)
    y = net.op("PRelu", "slopes", first, net.positive("slope", 1, 5))
    return net.model(net.op("Add", "sum", net.dense("one", y, 2, 5), net.dense("other", last, 2, 54)))


def transposed() -> ModelProto:
    """Transposed convolutions: plain, in groups, depthwise; and pixel shuffle (Shi et al., arXiv 1609.05158)."""
    net = Builder(x=(1, 2, 3, 3))
    y = net.conv("stem", "x", 4, 2)
    y = net.op("ConvTranspose", "up", y, net.weight("up.w", 4, 6, 2, 2), net.weight("up.b", 6))
    y = net.op("ConvTranspose", "parts", y, net.weight("p.w", 6, 4, 2, 2), net.weight("p.b", 8), group=2)
    y = net.op("ConvTranspose", "deep", y, net.weight("d.w", 8, 1, 2, 2), group=8)
    y = net.op("DepthToSpace", "space", net.conv("many", y, 12, 8), blocksize=2, mode="CRD")
    y = net.op("DepthToSpace", "space2", net.conv("more", y, 8, 3), blocksize=2)
    return net.model(net.conv("head", y, 1, 2))


def joined_and_cut() -> ModelProto:
    """Concatenation with an input and twice with itself, slices, a gate of halves, channels of zeros put behind."""
    net = Builder(x=(1, 3, 4, 4))
    a = net.conv("a", "x", 4, 3)
    y = net.op("Concat", "joined", a, "x", a, axis=1)
    net.op("Split", "halves halves.2", net.conv("gated", y, 10, 11), axis=1, num_outputs=2)
    y = net.op("Mul", "gate", "halves", net.op("Sigmoid", "halves.a", "halves.2"))
    y = net.op("Pad", "wider", y, net.integers("pads", 0, 1, 0, 0, 0, 2, 0, 0))
    y = net.op("Add", "sum", y, net.conv("b", "x", 8, 3))
    part = net.op("Slice", "part", y, *(net.integers(f"part.{i}", i) for i in (1, 6, 1)))
    return net.model(net.conv("head", y, 2, 8), net.conv("head2", part, 2, 5))


def mixing() -> ModelProto:
    """Ops that look across channels: these groups can't grow. One can: a sum of squares takes zeros."""
    net = Builder(x=(1, 3, 4, 4))
    maps = {name: net.conv(name, "x", 4, 3) for name in ("mean", "softmax", "lrn", "log", "squares", "divisor")}
    axis = net.integers("axis", 1)
    ends = [
        net.op("ReduceMean", "mean.r", maps["mean"], axis),
        net.conv("softmax.h", net.op("Softmax", "softmax.r", maps["softmax"], axis=1), 1, 4),
        net.conv("lrn.h", net.op("LRN", "lrn.r", maps["lrn"], size=3), 1, 4),
        net.conv("log.h", net.op("Log", "log.r", net.op("Exp", "log.exp", maps["log"])), 1, 4),
        net.op("ReduceSumSquare", "squares.r", maps["squares"], axis),
        net.conv("divisor.h", net.op("Div", "divisor.r", "whole", net.op("Exp", "divisor.exp", maps["divisor"])), 1, 4),
    ]
    net.constant("whole", np.float32(1))
    return net.model(net.op("Sum", "end", *ends))


def constants() -> ModelProto:
    """Vectors with an item for each channel: a divisor, slopes, scale and shift, a vector that two ops read."""
    net = Builder(x=(1, 3, 4, 4))
    y = net.normalized("norm", net.conv("stem", "x", 5, 3), 5)
    y = net.op("Div", "div", y, net.positive("divisor", 5, 1, 1))
    y = net.op("PRelu", "slopes", y, net.positive("slope", 5, 1, 1))
    vector = net.positive("vector", 1, 5, 1, 1)
    y = net.op("Mul", "mul", net.op("Add", "add", y, vector), vector)
    return net.model(net.conv("head", net.op("Mul", "half", y, net.constant("half.c", np.float32(0.5))), 2, 5))


NETWORKS: Mapping[str, Callable[[], ModelProto]] = {
    function.__name__: function
    for function in (
        inverted_residual, squeeze_and_excitation, shuffled, shuffled_groups, dense_block, conv_gru, lstm, transformer,
        group_normalized, flattened, transposed, joined_and_cut, mixing, constants,
    )
}  # fmt: skip
