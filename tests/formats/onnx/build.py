"""Small ONNX models for tests, a line each."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Dims = Sequence[int | str | None]


def node(op_type: str, inputs: str, outputs: str, name: str = "", domain: str = "", **attributes: Any) -> NodeProto:
    """A node; inputs and outputs are words, `_` an absent one."""
    names = [[word if word != "_" else "" for word in words.split()] for words in (inputs, outputs)]
    return helper.make_node(op_type, *names, name=name or outputs.split(maxsplit=1)[0], domain=domain, **attributes)


def model(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, Dims | None],
    outputs: str,
    constants: Mapping[str, npt.NDArray[Any]] | None = None,
    opset: int = 17,
    dtype: int = TensorProto.FLOAT,
    **more: Any,
) -> ModelProto:
    """A model whose outputs are declared without a shape."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, dtype, dims) for name, dims in inputs.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs.split()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )
    domains = dict.fromkeys(n.domain for n in nodes if n.domain)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, **more)


def zeros(*shape: int) -> npt.NDArray[np.float32]:
    return np.zeros(shape, np.float32)


def ints(*values: int) -> npt.NDArray[np.int64]:
    return np.array(values, np.int64)
