"""Model file formats; `open` finds the one that a file is in."""

from pathlib import Path

from edgewright.errors import ModelError
from edgewright.formats.base import Format

__all__ = ["Format", "open"]


def open(path: str | Path) -> Format:  # noqa: A001
    """The format of a file, by its suffix, else by its first bytes. Raises ModelError where it is none we know."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from error
    if path.suffix.lower() == ".onnx" or _looks_like_onnx(head):
        from edgewright.formats.onnx import OnnxFormat

        return OnnxFormat()
    if path.suffix.lower() == ".tflite" or head[4:8] == b"TFL3":
        from edgewright.formats.tflite import TfliteFormat

        return TfliteFormat()
    raise ModelError(f"{path}: not a model in a format that edgewright knows (ONNX, TFLite)")


def _looks_like_onnx(head: bytes) -> bool:
    """A ModelProto starts with field 1, the IR version, as a small integer."""
    return len(head) > 2 and head[0] == 0x08 and 1 <= head[1] <= 32 and head[2] & 0x07 in (0, 2)
