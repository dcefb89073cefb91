"""An ONNX file as a ModelProto that is known to be whole, with every node named."""

from collections import Counter
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError, EncodeError
from onnx import ModelProto, TensorProto

from edgewright.errors import ModelError
from edgewright.formats.onnx.dtypes import bits_of
from edgewright.formats.onnx.external import check_external
from edgewright.formats.onnx.order import check_names
from edgewright.formats.onnx.reading import tensors_of

OLDEST_OPSET = 7


def load(path: Path) -> ModelProto:
    """The model in a file, checked; external weight data stays where it is. Raises ModelError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from error
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: not an ONNX model, or a broken one") from error
    check(model, str(path), path.parent)
    return model


def check(model: ModelProto, source: str, folder: Path | None) -> None:
    """Raise ModelError, which names `source`, where the model is not whole; `folder` has the external data."""
    if not model.HasField("graph") or not model.opset_import:
        raise ModelError(f"{source}: not an ONNX model, or a broken one (no graph or no operator set)")
    if opset_of(model) < OLDEST_OPSET:
        raise ModelError(f"{source}: operator set {opset_of(model)}, edgewright reads {OLDEST_OPSET} and newer")
    for tensor in tensors_of(model.graph):
        _check_size(tensor, source)
        if tensor.data_location == TensorProto.EXTERNAL and folder is not None:
            check_external(tensor, folder, source)
    check_names(model.graph, source)


def opset_of(model: ModelProto) -> int:
    """The version of ONNX's own operator set that the model imports; the newest where it uses none of it."""
    versions = [entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}]
    return max(versions, default=int(onnx.defs.onnx_opset_version()))


def _check_size(tensor: TensorProto, source: str) -> None:
    """Compare the data that a tensor declares with what it holds."""
    if any(dim < 0 for dim in tensor.dims):
        raise ModelError(f"{source}: tensor {tensor.name!r} has a negative dimension")
    bits = bits_of(tensor.data_type, source)
    if tensor.data_location == TensorProto.EXTERNAL or not bits:
        return
    items = 1
    for dim in tensor.dims:
        items *= dim
    if tensor.HasField("raw_data"):
        held, declared = len(tensor.raw_data), (items * bits + 7) // 8
    else:
        held = len(getattr(tensor, onnx.helper.tensor_dtype_to_field(tensor.data_type)))
        complex_parts = 2 if tensor.data_type in {TensorProto.COMPLEX64, TensorProto.COMPLEX128} else 1
        # Items of fewer than 8 bits share an entry.
        declared = -(-items * complex_parts * min(bits, 8) // 8)
    if held != declared:
        raise ModelError(f"{source}: tensor {tensor.name!r} holds {held} items or bytes, its shape says {declared}")


def named(model: ModelProto, source: str = "model") -> ModelProto:
    """The model with a unique name on every node of its graph, and the model's own functions inlined.

    Nodes that have a unique name keep it. Names are the same at every call, and those of the ops that `read` gives.
    Raises ModelError, which names `source`, where a function can't be inlined.
    """
    if model.functions:
        model = _inlined(model, source)
    names = [node.name for node in model.graph.node]
    if len(set(names)) == len(names) and "" not in names:
        return model
    copy = ModelProto()
    copy.CopyFrom(model)
    _name(copy.graph.node, Counter(names))
    return copy


def _name(nodes: Any, taken: Counter[str]) -> None:
    seen: set[str] = set()
    for index, node in enumerate(nodes):
        if not node.name or node.name in seen:
            base = f"{node.name or node.op_type}_{index}"
            name, number = base, 0
            while name in seen or taken[name]:
                number += 1
                name = f"{base}_{number}"
            node.name = name
        seen.add(node.name)


def _inlined(model: ModelProto, source: str) -> ModelProto:
    import onnx.inliner

    try:
        return onnx.inliner.inline_local_functions(model)
    except (RuntimeError, ValueError, EncodeError, DecodeError) as error:
        raise ModelError(f"{source}: the functions of the model can't be inlined: {error}") from error
