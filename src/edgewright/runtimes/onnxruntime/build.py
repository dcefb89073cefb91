"""Builds the ONNX model that measures layers: each in a branch of its own.

A branch is source -> layer -> sink. The source slices a shared random input, so that the layer reads what was
just written, as in a network; the sink keeps one item, so that no branch pays for an output of its own. Weights
are made by the runtime itself at loading (ConstantOfShape), which keeps the file small.
"""

from collections.abc import Sequence

import onnx
from onnx import TensorProto, helper

from edgewright.errors import RuntimeRefusedError
from edgewright.graph.types import LayerSpec
from edgewright.runtimes.onnxruntime.branch import SOURCE, Branch
from edgewright.runtimes.onnxruntime.operators import FLOAT, activate
from edgewright.runtimes.onnxruntime.quantized import QUANTIZED

OPSET, IR_VERSION = 18, 8
"""Average pools that are not blocked are several times slower from opset 19 on; files mostly are of older ones."""
SINK = "sink_"


def build(layers: Sequence[LayerSpec]) -> bytes:
    """The serialized model of all branches. Raises RuntimeRefusedError for a layer that can't be built."""
    nodes: list[onnx.NodeProto] = []
    outputs, items = [], 1
    for index, layer in enumerate(layers):
        branch = Branch(index)
        _finish(branch, layer, _write(branch, layer))
        nodes += branch.nodes
        items = max(items, branch.sources_items)
        outputs.append(helper.make_empty_tensor_value_info(f"{SINK}{index}"))
    source = helper.make_tensor_value_info(SOURCE, TensorProto.FLOAT, [items])
    graph = helper.make_graph(nodes, "layers", [source], outputs)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString())


def _write(branch: Branch, layer: LayerSpec) -> str:
    """Adds the op of a layer to its branch; the name of its output."""
    writers = {"float32": FLOAT, "int8": QUANTIZED, "uint8": QUANTIZED}.get(layer.dtype, {})
    if layer.kind not in writers:
        raise RuntimeRefusedError(f"a layer of kind {layer.kind} ({layer.dtype}) can't be measured alone")
    return writers[layer.kind](branch, layer)


def _finish(branch: Branch, layer: LayerSpec, output: str) -> None:
    """What is fused comes behind the layer, then the sink."""
    *before, last = layer.fused or ("",)
    if "add" in before or last == "add":
        other = branch.activation(layer.output)
        if layer.window is not None:  # a blocked layout folds the sum only where both sides are blocked
            channels = layer.output[1]
            ones = (1,) * (len(layer.output) - 2)
            with branch.sources():
                other = branch.node("Conv", [other, branch.constant((channels, 1, *ones))], group=channels)
        output = branch.node("Add", [output, other])
    if last and last != "add":
        output = activate(branch, last, output)
    # Flattened first: the runtime would move a transpose or a dequantization behind the cut.
    flat = branch.node("Reshape", [output, branch.integers(-1)])
    branch.node("Slice", [flat, branch.integers(0), branch.integers(1)], output=f"{SINK}{branch.index}")
