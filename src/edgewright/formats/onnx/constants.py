"""The values of a model's constants."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from edgewright.formats.onnx.external import read_external
from edgewright.formats.onnx.read import Reading, understand
from edgewright.formats.onnx.values import Array
from edgewright.graph.types import Shape

_NUMBERS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE})


def constants(path: Path, input_shapes: Mapping[str, Shape] | None = None) -> Mapping[str, Array]:
    """The stored constants of floating point that the ops of a file read, by name; others are left out.

    Raises ModelError for a file that is missing or broken.
    """
    return dict(_stored(understand(path, input_shapes), path))


def _stored(reading: Reading, path: Path) -> Iterator[tuple[str, Array]]:
    values = reading.values
    for name, tensor in reading.graph.tensors.items():
        stored = values.stored(name) if tensor.is_constant else None
        if stored is not None and stored.data_type in _NUMBERS and name not in values.stored_as:
            is_apart = stored.data_location == TensorProto.EXTERNAL
            whole = read_external(stored, path.parent, str(path)) if is_apart else stored
            yield name, np.asarray(onnx.numpy_helper.to_array(whole))
