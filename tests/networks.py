"""Random small networks as ONNX models: hypothesis strategies that the tests share.

`networks()` draws float networks, `networks(style="qdq")` int8 ones between QuantizeLinear and DequantizeLinear,
`networks(style="qlinear")` ones of QLinear ops. They are directed acyclic graphs with residual sums and branches,
odd sizes, strides, dilations, padding on one side, groups, ceil_mode, several outputs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Shape = tuple[int, ...]
Draw = Callable[[st.SearchStrategy[Any]], Any]
OPSETS = (9, 11, 13, 18, 21)


@dataclass
class Sketch:
    """A model while it is drawn: its activations by name with their shapes, the last ones last."""

    draw: Draw
    opset: int
    style: str
    random: np.random.Generator
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    weights: dict[str, Shape] = field(default_factory=dict)
    """Shapes of constants that nodes make."""

    def pick(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def integer(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    def constant(self, value: npt.NDArray[Any]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, *shape: int) -> str:
        """Random weights that keep activations near 1; in int8 networks through DequantizeLinear."""
        fan_in = max(int(np.prod(shape[1:])), 1)
        if self.style == "float":
            return self.constant((self.random.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32))
        stored = self.constant(self.random.integers(-127, 128, shape).astype(np.int8))
        scale, zero = self.constant(np.float32(0.02 / np.sqrt(fan_in))), self.constant(np.int8(0))
        return self.made_weight(self.node("DequantizeLinear", [stored, scale, zero]), shape)

    def made_weight(self, name: str, shape: Sequence[int]) -> str:
        """Takes in a constant that a node makes."""
        self.weights[name] = tuple(shape)
        return name

    def node(self, op_type: str, inputs: Sequence[str], outputs: int = 1, domain: str = "", **attributes: Any) -> str:
        """Adds a node; the name of its first output."""
        index = len(self.nodes)
        names = [f"t{index}"] + [f"t{index}_{i}" for i in range(1, outputs)]
        attributes = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(op_type, inputs, names, name=f"n{index}", domain=domain, **attributes))
        return names[0]

    def made(self, name: str) -> None:
        """Takes an activation in, with the shape that ONNX infers; in QDQ networks behind a quantization."""
        shape = self._inferred(name)
        if len(shape) < 2 or min(shape) < 1 or np.prod(shape) > 20_000:
            self.nodes.pop()
            return
        self.shapes[self.requantized(name) if self.style == "qdq" else name] = shape

    def requantized(self, name: str) -> str:
        scale, zero = self.constant(np.float32(self.pick(0.02, 0.05))), self.constant(np.uint8(self.pick(0, 128, 117)))
        quantized = self.node("QuantizeLinear", [name, scale, zero])
        return self.node("DequantizeLinear", [quantized, scale, zero])

    def _inferred(self, name: str) -> Shape:
        node = next(node for node in self.nodes if name in node.output)
        graph = helper.make_graph([node], "node", [self.value(i) for i in node.input if i in self.shapes], [])
        graph.initializer.extend(tensor for tensor in self.constants if tensor.name in node.input)
        for weight in (name for name in node.input if name in self.weights):
            graph.input.append(helper.make_tensor_value_info(weight, TensorProto.FLOAT, list(self.weights[weight])))
        model = helper.make_model(graph, opset_imports=self.opsets(), ir_version=8)
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        found = {value.name: value.type.tensor_type.shape.dim for value in inferred.graph.value_info}
        return tuple(dim.dim_value for dim in found.get(name, ()))

    def value(self, name: str) -> onnx.ValueInfoProto:
        kind = TensorProto.UINT8 if self.style == "qlinear" else TensorProto.FLOAT
        return helper.make_tensor_value_info(name, kind, list(self.shapes[name]))

    def opsets(self) -> list[onnx.OperatorSetIdProto]:
        foreign = [helper.make_opsetid("com.microsoft", 1)] if self.style == "qlinear" else []
        return [helper.make_opsetid("", self.opset), *foreign]

    def map(self) -> str:
        """A feature map: mostly the last."""
        maps = [name for name, shape in self.shapes.items() if len(shape) == 4]
        return maps[-1] if self.draw(st.booleans()) else self.pick(*maps)

    def like(self, name: str, axis: int | None = None) -> list[str]:
        """Other feature maps of the same shape, or of one that differs on an axis."""

        def rest(shape: Shape) -> Shape:
            return shape if axis is None else (*shape[:axis], *shape[axis + 1 :])

        shape = self.shapes[name]
        return [
            other
            for other, its in self.shapes.items()
            if other != name and len(its) == len(shape) and rest(its) == rest(shape)
        ]


def _window(sketch: Sketch, space: Shape, dilations: bool = True, largest: int = 4) -> dict[str, list[int]] | None:
    """A window that fits a map, with padding that may be on one side only."""
    kernel = [sketch.integer(1, largest) for _ in space]
    dilation = [sketch.pick(1, 1, 2) if dilations else 1 for _ in space]
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    same = [(e - 1) // 2 for e in extent]
    if sketch.draw(st.booleans()):
        pads = [*same, *same]
    else:
        pads = [sketch.integer(0, min(e, k) - 1) for e, k in zip(extent * 2, kernel * 2, strict=True)]
    spans = [size + pads[i] + pads[i + len(space)] - extent[i] for i, size in enumerate(space)]
    if min(spans) < 0:
        return None
    found = {"kernel_shape": kernel, "strides": [sketch.pick(1, 1, 2, 3) for _ in space], "pads": pads}
    return found | ({"dilations": dilation} if dilations else {})


def _groups(sketch: Sketch, channels: int) -> tuple[int, int]:
    """Groups and output channels: ordinary, depthwise with a multiplier, or grouped."""
    style = sketch.pick("full", "full", "depthwise", "grouped")
    if style == "depthwise":
        return channels, channels * sketch.pick(1, 1, 2)
    groups = 2 if style == "grouped" and channels % 2 == 0 else 1
    return groups, groups * sketch.integer(1, 6)


def _conv(sketch: Sketch) -> None:
    name = sketch.map()
    _, channels, *space = sketch.shapes[name]
    window = _window(sketch, tuple(space))
    if window is None:
        return
    if sketch.integer(0, 5) == 0:
        window = {key: value for key, value in window.items() if key != "pads"}
        window["auto_pad"] = sketch.pick("SAME_UPPER", "SAME_LOWER", "VALID")
        window["dilations"] = [1] * len(space)
        if window["auto_pad"] == "VALID" and any(k > s for k, s in zip(window["kernel_shape"], space, strict=True)):
            return
    groups, made = _groups(sketch, channels)
    weight = sketch.weight(made, channels // groups, *window["kernel_shape"])
    if sketch.style == "qlinear":
        _qlinear_conv(sketch, name, made, channels // groups, window, groups)
        return
    bias = [sketch.weight(made)] if sketch.style == "float" and sketch.draw(st.booleans()) else []
    sketch.made(sketch.node("Conv", [name, weight, *bias], group=groups, **window))


def _qlinear_conv(sketch: Sketch, name: str, made: int, depth: int, window: dict[str, Any], groups: int) -> None:
    weight = sketch.constant(sketch.random.integers(-127, 128, (made, depth, *window["kernel_shape"])).astype(np.int8))
    scale, zero = sketch.constant(np.float32(0.02)), sketch.constant(np.uint8(117))
    w_scale, w_zero = sketch.constant(np.float32(0.002)), sketch.constant(np.int8(0))
    inputs = [name, scale, zero, weight, w_scale, w_zero, scale, zero]
    sketch.made(sketch.node("QLinearConv", inputs, group=groups, **window))


def _transposed(sketch: Sketch) -> None:
    name = sketch.map()
    _, channels, *space = sketch.shapes[name]
    window = _window(sketch, tuple(space), largest=4)
    if window is None or sketch.style != "float":
        return
    groups = channels if sketch.integer(0, 3) == 0 else 1
    made = groups * sketch.integer(1, 4 if groups == 1 else 1)
    extra = [sketch.integer(0, stride - 1) for stride in window["strides"]]
    weight = sketch.weight(channels, made // groups, *window["kernel_shape"])
    sketch.made(sketch.node("ConvTranspose", [name, weight], group=groups, output_padding=extra, **window))


def _pool(sketch: Sketch) -> None:
    name = sketch.map()
    is_max = sketch.style != "float" or sketch.draw(st.booleans())
    window = _window(sketch, sketch.shapes[name][2:], dilations=is_max and sketch.opset >= 10, largest=3)
    if window is None:
        return
    attributes: dict[str, Any] = {}
    if sketch.opset >= 10 and not _begins_behind(sketch.shapes[name][2:], window):
        attributes["ceil_mode"] = sketch.integer(0, 1)
    if not is_max:
        attributes["count_include_pad"] = sketch.integer(0, 1)
    sketch.made(sketch.node("MaxPool" if is_max else "AveragePool", [name], **window, **attributes))


def _begins_behind(space: Shape, window: dict[str, list[int]]) -> bool:
    """Whether ceil_mode would add a window that begins behind the map: ONNX Runtime does not agree with itself then."""
    for i, size in enumerate(space):
        extent = (window["kernel_shape"][i] - 1) * window.get("dilations", [1, 1])[i] + 1
        before, after = window["pads"][i], window["pads"][i + len(space)]
        windows = -(-(size + before + after - extent) // window["strides"][i])
        if windows * window["strides"][i] >= size + before:
            return True
    return False


def _activation(sketch: Sketch) -> None:
    name = sketch.map()
    channels, *space = sketch.shapes[name][1:]
    chosen = sketch.pick("Relu", "LeakyRelu", "Sigmoid", "Clip", "PRelu", "Tanh")
    if chosen == "PRelu":
        slope = sketch.pick((channels, 1, 1), (1,), (channels, *space))
        sketch.made(sketch.node("PRelu", [name, sketch.weight(*slope)]))
    elif chosen == "Clip" and sketch.opset >= 11:
        bounds = [sketch.constant(np.float32(0)), sketch.constant(np.float32(6))]
        sketch.made(sketch.node("Clip", [name, *bounds]))
    else:
        sketch.made(sketch.node(chosen, [name], **({"min": 0.0, "max": 6.0} if chosen == "Clip" else {})))


def _batch_normalization(sketch: Sketch) -> None:
    name = sketch.map()
    channels = sketch.shapes[name][1]
    vectors = [sketch.random.uniform(0.5, 1.5, channels).astype(np.float32) for _ in range(4)]
    sketch.made(sketch.node("BatchNormalization", [name, *map(sketch.constant, vectors)]))


def _sum(sketch: Sketch) -> None:
    """A residual sum where there is another map of that shape, else a sum or product with a constant."""
    name = sketch.map()
    others = sketch.like(name)
    if sketch.style == "qlinear":
        if others:
            scale, zero = sketch.constant(np.float32(0.02)), sketch.constant(np.uint8(117))
            inputs = [name, scale, zero, sketch.pick(*others), scale, zero, scale, zero]
            sketch.nodes.append(
                helper.make_node("QLinearAdd", inputs, [f"t{len(sketch.nodes)}"], f"n{len(sketch.nodes)}",
                                 domain="com.microsoft")
            )  # fmt: skip
            sketch.shapes[sketch.nodes[-1].output[0]] = sketch.shapes[name]
        return
    channels, *space = sketch.shapes[name][1:]
    shape = sketch.pick((channels, 1, 1), (1,), (1, channels, *space), (1, *space), (space[-1],))
    other = sketch.pick(*others) if others else sketch.weight(*shape)
    sketch.made(sketch.node(sketch.pick("Add", "Mul") if not others else "Add", [name, other]))


def _concat(sketch: Sketch) -> None:
    name = sketch.map()
    others = sketch.like(name, axis=1)
    if others:
        sketch.made(sketch.node("Concat", [name, sketch.pick(*others)], axis=sketch.pick(1, -3)))


def _resize(sketch: Sketch) -> None:
    if sketch.opset < 11 or sketch.style == "qlinear":
        return
    name, factor = sketch.map(), sketch.pick(2, 2, 3)
    if sketch.draw(st.booleans()):
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    else:
        how = {"mode": "linear", "coordinate_transformation_mode": sketch.pick("half_pixel", "asymmetric")}
    empty = sketch.constant(np.zeros(0, np.float32))
    if sketch.draw(st.booleans()):
        scales = sketch.constant(np.array([1, 1, factor, factor], np.float32))
        sketch.made(sketch.node("Resize", [name, empty, scales], **how))
        return
    batch, channels, *space = sketch.shapes[name]
    sizes = sketch.constant(np.array([batch, channels, *(factor * size for size in space)], np.int64))
    sketch.made(sketch.node("Resize", [name, empty, empty, sizes], **how))


def _channel_slice(sketch: Sketch) -> None:
    name = sketch.map()
    channels = sketch.shapes[name][1]
    start = sketch.integer(0, channels - 1)
    end = sketch.integer(start + 1, channels)
    if sketch.opset < 10:
        sketch.made(sketch.node("Slice", [name], starts=[start], ends=[end], axes=[1]))
        return
    parts = [sketch.constant(np.array([part], np.int64)) for part in (start, end, 1)]
    sketch.made(sketch.node("Slice", [name, *parts]))


def _split(sketch: Sketch) -> None:
    name = sketch.map()
    channels = sketch.shapes[name][1]
    if channels < 2 or sketch.style == "qdq":
        return
    sizes = [channels // 2, channels - channels // 2]
    if sketch.opset < 13:
        first = sketch.node("Split", [name], 2, axis=1, split=sizes)
    else:
        first = sketch.node("Split", [name, sketch.constant(np.array(sizes, np.int64))], 2, axis=1)
    shape = sketch.shapes[name]
    for output, size in zip((first, f"{first}_1"), sizes, strict=True):
        sketch.shapes[output] = (shape[0], size, *shape[2:])


def _pad(sketch: Sketch) -> None:
    if sketch.style == "qlinear":
        return
    name = sketch.map()
    pads = [0, 0, *(sketch.integer(0, 2) for _ in range(2)), 0, 0, *(sketch.integer(0, 2) for _ in range(2))]
    if sketch.opset < 11:
        sketch.made(sketch.node("Pad", [name], mode="constant", pads=pads, value=0.5))
        return
    value = sketch.constant(np.float32(0.5))
    sketch.made(sketch.node("Pad", [name, sketch.constant(np.array(pads, np.int64)), value]))


def _depth_to_space(sketch: Sketch) -> None:
    name = sketch.map()
    if sketch.style == "float" and sketch.shapes[name][1] % 4 == 0:
        sketch.made(sketch.node("DepthToSpace", [name], blocksize=2))


def _softmax(sketch: Sketch) -> None:
    if sketch.opset >= 13:
        sketch.made(sketch.node("Softmax", [sketch.map()], axis=1))


_FLOAT_STEPS = (
    _conv, _conv, _conv, _pool, _activation, _sum, _sum, _concat, _transposed, _batch_normalization, _resize,
    _channel_slice, _split, _pad, _depth_to_space, _softmax,
)  # fmt: skip
_STEPS = {
    "float": _FLOAT_STEPS,
    "qdq": (_conv, _conv, _pool, _sum, _concat, _resize, _pad, _channel_slice),
    "qlinear": (_conv, _conv, _pool, _sum, _concat, _channel_slice),
}


@st.composite
def networks(draw: Draw, style: str = "float", most_ops: int = 8, opsets: Sequence[int] = OPSETS) -> ModelProto:
    """A random network with feature maps of about 10x10, one or two inputs, and every unread map as an output."""
    newest = [opset for opset in opsets if opset >= (13 if style != "float" else 0)]
    opset = draw(st.sampled_from(newest))
    sketch = Sketch(draw, opset, style, np.random.default_rng(draw(st.integers(0, 2**16))))
    space = (draw(st.integers(5, 13)), draw(st.integers(5, 13)))
    inputs = []
    for index in range(draw(st.sampled_from((1, 1, 1, 2)))):
        inputs.append(f"x{index}")
        sketch.shapes[f"x{index}"] = (1, draw(st.integers(1, 4)), *space)
    declared = [sketch.value(name) for name in inputs]
    for _ in range(draw(st.integers(1, most_ops))):
        sketch.pick(*_STEPS[style])(sketch)
    if not any(node.op_type != "DequantizeLinear" for node in sketch.nodes):
        _conv_of_ones(sketch)
    return finished(sketch, declared)


def _conv_of_ones(sketch: Sketch) -> None:
    """At least one op."""
    sketch.made(sketch.node("MaxPool", [sketch.map()], kernel_shape=[2, 2]))


def finished(sketch: Sketch, inputs: list[onnx.ValueInfoProto]) -> ModelProto:
    """The model, without nodes whose result is thrown away."""
    given = {value.name for value in inputs}
    read = {name for node in sketch.nodes for name in node.input}
    outputs = [name for name in sketch.shapes if name not in read and name not in given]
    inner = [name for name in sketch.shapes if name in read and name not in given]
    if inner and sketch.integer(0, 3) == 0:
        outputs.append(sketch.pick(*inner))
    needed, nodes = set(outputs), []
    for node in reversed(sketch.nodes):
        if needed & set(node.output):
            needed |= set(node.input)
            nodes.append(node)
    constants = [tensor for tensor in sketch.constants if tensor.name in needed]
    if sketch.draw(st.booleans()):
        for node in nodes:
            node.ClearField("name")
    graph = helper.make_graph(
        nodes[::-1], "random", inputs, [sketch.value(name) for name in dict.fromkeys(outputs)], constants
    )
    model = helper.make_model(graph, opset_imports=sketch.opsets(), ir_version=8, producer_name="tests")
    onnx.checker.check_model(model)
    return model


def feed(model: ModelProto, seed: int = 0) -> dict[str, npt.NDArray[Any]]:
    """Random inputs of a model whose shapes are all fixed."""
    random = np.random.default_rng(seed)
    constants = {tensor.name for tensor in model.graph.initializer}
    found: dict[str, npt.NDArray[Any]] = {}
    for value in model.graph.input:
        if value.name in constants:
            continue
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        if value.type.tensor_type.elem_type == TensorProto.UINT8:
            found[value.name] = random.integers(0, 256, shape).astype(np.uint8)
        else:
            found[value.name] = random.standard_normal(shape).astype(np.float32)
    return found


def run(model: ModelProto, inputs: dict[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    """The outputs of a model on ONNX Runtime, without graph optimization: the oracle of the tests."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))
