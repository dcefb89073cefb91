"""A TFLite file as a ModelT that is known to be whole."""

import struct
from pathlib import Path

from edgewright.errors import ModelError
from edgewright.formats.tflite.schema import DTYPES, IDENTIFIER, Struct, schema
from edgewright.formats.tflite.tensors import has_data, indices, text
from edgewright.formats.tflite.verify import verify
from edgewright.graph.types import ITEM_BITS

_BROKEN = (struct.error, ValueError, TypeError, IndexError, AttributeError, AssertionError, OverflowError)
"""What reading a broken flatbuffer raises."""

VERSION = 3
MOST_AXES = 64


def read_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises ModelError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from error


def parse(data: bytes, source: str) -> Struct:
    """The model in the bytes of a file. Raises ModelError, which names `source`, where it is not whole."""
    if data[4:8] != IDENTIFIER:
        raise ModelError(f"{source}: not a TFLite model, or a broken one")
    try:
        verify(data)
        model = schema.ModelT.InitFromPackedBuf(data, 0)
        check(model, data, source)
    except _BROKEN as error:
        raise ModelError(f"{source}: not a TFLite model, or a broken one") from error
    return model


def check(model: Struct, data: bytes, source: str) -> None:
    """Raise ModelError where the parts of a model do not fit one another; `data` is the whole file."""
    if model.version != VERSION:
        raise ModelError(f"{source}: version {model.version} of the format, edgewright reads {VERSION}")
    if not model.subgraphs or not model.buffers:
        raise ModelError(f"{source}: not a TFLite model, or a broken one (no subgraph or no buffers)")
    for buffer in model.buffers:
        if buffer.size and not 0 <= buffer.offset <= buffer.offset + buffer.size <= len(data):
            raise ModelError(f"{source}: a buffer lies outside of the file")
    for entry in model.metadata or ():
        _inside(entry.buffer, len(model.buffers), "metadata", source)
    for subgraph in model.subgraphs:
        _check_subgraph(model, subgraph, source)
    for signature in model.signatureDefs or ():
        _inside(signature.subgraphIndex, len(model.subgraphs), "signature", source)
        tensors = model.subgraphs[signature.subgraphIndex].tensors
        for entry in (*(signature.inputs or ()), *(signature.outputs or ())):
            _inside(entry.tensorIndex, len(tensors or ()), "signature", source)


def _check_subgraph(model: Struct, subgraph: Struct, source: str) -> None:
    count = len(subgraph.tensors or ())
    for tensor in subgraph.tensors or ():
        _check_tensor(model, tensor, source)
    for index in (*indices(subgraph.inputs), *indices(subgraph.outputs)):
        _inside(index, count, "subgraph", source)
    for operator in subgraph.operators or ():
        _inside(operator.opcodeIndex, len(model.operatorCodes or ()), "operator", source)
        for index in (*indices(operator.inputs), *indices(operator.outputs), *indices(operator.intermediates)):
            _inside(index, count, "operator", source, least=-1)


def _check_tensor(model: Struct, tensor: Struct, source: str) -> None:
    """The data that a tensor declares, and what it holds."""
    _inside(tensor.buffer, len(model.buffers), "tensor", source)
    shape = [int(size) for size in indices(tensor.shape)[:MOST_AXES]]
    if any(size < 0 for size in shape) or len(indices(tensor.shape)) > MOST_AXES:
        raise ModelError(f"{source}: tensor {_name(tensor)} has a negative dimension, or too many of them")
    buffer = model.buffers[tensor.buffer]
    bits = ITEM_BITS.get(DTYPES.get(int(tensor.type), ""), 0)
    if tensor.sparsity is not None or not bits or not has_data(buffer):
        return
    items = 1
    for size in shape:
        items *= size
    held, declared = buffer.size or len(buffer.data), (items * bits + 7) // 8
    if held != declared:
        raise ModelError(f"{source}: tensor {_name(tensor)} holds {held} bytes, its shape says {declared}")


def _name(tensor: Struct) -> str:
    return repr(text(tensor.name))


def _inside(index: int, count: int, what: str, source: str, least: int = 0) -> None:
    if not least <= index < count:
        raise ModelError(f"{source}: not a TFLite model, or a broken one (a {what} points to index {index})")
