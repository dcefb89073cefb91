"""Offsets that are planned offline, as the metadata of a TFLite file that TensorFlow Lite Micro honours.

The metadata `OfflineMemoryAllocation` names a buffer of 32-bit integers: a version, the subgraph, the count of tensors,
and the offset of each, -1 for one that the runtime places itself.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgewright.errors import UnsupportedModelError
from edgewright.formats.tflite.load import parse, read_bytes
from edgewright.formats.tflite.save import packed, save
from edgewright.formats.tflite.schema import Struct, schema
from edgewright.formats.tflite.tensors import Tensors, text

_NAME = b"OfflineMemoryAllocation"
_VERSION = 1
_ONLINE = -1


def tensor_names(path: Path) -> tuple[str, ...]:
    """The tensors of a file's first subgraph in its order, constants among them, by the names that `read` gives them.

    Raises ModelError.
    """
    model = parse(read_bytes(path), str(path))
    return tuple(Tensors(model, model.subgraphs[0], str(path)).names)


def read_offsets(path: Path) -> dict[str, int]:
    """The offsets that a file has for its tensors; none where it has no plan. Raises ModelError."""
    model = parse(read_bytes(path), str(path))
    names = Tensors(model, model.subgraphs[0], str(path)).names
    entry = _entry(model)
    if entry is None:
        return {}
    data = model.buffers[entry.buffer].data
    numbers = np.frombuffer(bytes(data) if data is not None else b"", np.int32)
    return {name: int(offset) for name, offset in zip(names, numbers[3:], strict=False) if offset != _ONLINE}


def write_offsets(path: Path, target: Path, offsets: Mapping[str, int]) -> None:
    """Write a model with these offsets for its tensors in the place of any that it had; others are left to the runtime.

    Raises UnsupportedModelError for a model of several subgraphs, whose tensors the runtime counts together, and
    ModelError.
    """
    data = read_bytes(path)
    model = parse(data, str(path))
    if len(model.subgraphs) != 1:
        raise UnsupportedModelError(f"{path}: offsets can't be planned for {len(model.subgraphs)} subgraphs")
    names = Tensors(model, model.subgraphs[0], str(path)).names
    numbers = [_VERSION, 0, len(names), *(offsets.get(name, _ONLINE) for name in names)]
    entry = _entry(model)
    if entry is None:
        entry = schema.MetadataT()
        entry.name, entry.buffer = _NAME, len(model.buffers)
        model.buffers.append(schema.BufferT())
        model.metadata = [*(model.metadata or ()), entry]
    model.buffers[entry.buffer].data = np.frombuffer(np.array(numbers, np.int32).tobytes(), np.uint8)
    save(packed(model, data, str(path)), target, None)


def _entry(model: Struct) -> Struct | None:
    return next((entry for entry in model.metadata or () if text(entry.name) == _NAME.decode()), None)
