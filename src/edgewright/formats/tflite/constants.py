"""The values of a TFLite model's constants."""

from collections.abc import Mapping
from pathlib import Path

from edgewright.formats.tflite.read import understand
from edgewright.formats.tflite.stored import real_value
from edgewright.formats.tflite.tensors import Array
from edgewright.graph.types import Shape


def constants(source: Path | bytes, input_shapes: Mapping[str, Shape] | None = None) -> Mapping[str, Array]:
    """The constants that the ops read, by name, in real numbers (quantized ones in steps); others are left out.

    Raises ModelError for a file that is missing or broken.
    """
    reading = understand(source, input_shapes)
    found = {
        name: real_value(reading, reading.tensors.by_name[name])
        for name, tensor in reading.graph.tensors.items()
        if tensor.is_constant
    }
    return {name: value for name, value in found.items() if value is not None}
