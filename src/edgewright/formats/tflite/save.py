"""Packs a model into bytes, and writes them, whole or not at all."""

import io
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from edgewright.errors import ModelError
from edgewright.formats.tflite.schema import IDENTIFIER, Struct, flatbuffers, schema
from edgewright.formats.tflite.tensors import text

ALIGNMENT = 16
"""Weights begin at multiples of this, as the schema asks for and microcontrollers need."""

_MODEL_METADATA = "TFLITE_METADATA"
_MOST_ATTACHED_BYTES = 1 << 28
_OPTIONS = {value for value in vars(schema.BuiltinOptions).values() if isinstance(value, int)}
_OPTIONS_2 = {value for value in vars(schema.BuiltinOptions2).values() if isinstance(value, int)}


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
    """A builder that aligns bytes as the schema says (`force_align`), which generated Python code leaves out."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:  # noqa: N802, N803
        """The start of a vector; those of bytes are aligned."""
        return int(super().StartVector(elemSize, numElems, ALIGNMENT if elemSize == 1 else alignment))


def packed(model: Struct, data: bytes, source: str) -> bytes:
    """The model as a file; `data` is the file that it was read from, in which buffers behind the flatbuffer lie.

    Buffers that lay behind the flatbuffer do so again, and files attached to the model (a zip archive at its end) are
    attached again. Raises ModelError, which names `source`, for what can't be written.
    """
    for graph in model.subgraphs:
        for operator in graph.operators or ():
            if operator.builtinOptionsType not in _OPTIONS or operator.builtinOptions2Type not in _OPTIONS_2:
                raise ModelError(f"{source}: the options of an operator are newer than the installed ai-edge-litert")
    outside = [(*place, data[place[2] : place[2] + place[3]]) for place in _outside(model)]
    _set_places(outside, 1)
    found = _flatbuffer(model, source)
    if outside:
        _set_places(outside, len(found))
        found = _flatbuffer(model, source)
        for _, _, _, _, content in outside:
            found += bytes(-len(found) % ALIGNMENT) + content
    return found + _attached(model, data, found, source)


def _flatbuffer(model: Struct, source: str) -> bytes:
    builder = _Builder(1 << 16)
    try:
        builder.Finish(model.Pack(builder), IDENTIFIER)
    except (flatbuffers.builder.BuilderSizeError, ValueError, TypeError) as error:
        raise ModelError(f"{source}: the model can't be written as one flatbuffer ({error})") from error
    return bytes(builder.Output())


def _outside(model: Struct) -> Iterator[tuple[Struct, tuple[str, str], int, int]]:
    """What lies behind the flatbuffer: its owner, the names of its place and size, and both."""
    for buffer in model.buffers:
        if buffer.size:
            yield buffer, ("offset", "size"), buffer.offset, buffer.size
    for graph in model.subgraphs:
        for operator in graph.operators or ():
            if operator.largeCustomOptionsSize:
                names = ("largeCustomOptionsOffset", "largeCustomOptionsSize")
                yield operator, names, operator.largeCustomOptionsOffset, operator.largeCustomOptionsSize


def _set_places(outside: list[tuple[Struct, tuple[str, str], int, int, bytes]], end: int) -> None:
    """Places one after the other behind `end`; all are above 0, so that the flatbuffer keeps its size."""
    for owner, names, _, _, content in outside:
        end += -end % ALIGNMENT
        setattr(owner, names[0], end)
        setattr(owner, names[1], len(content))
        end += len(content)


def _attached(model: Struct, data: bytes, before: bytes, source: str) -> bytes:
    """The archive of files that the model's metadata speaks of, to be put behind `before`."""
    if not any(text(entry.name) == _MODEL_METADATA for entry in model.metadata or ()):
        return b""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return b""
    out = io.BytesIO(before)
    out.seek(0, io.SEEK_END)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as given, zipfile.ZipFile(out, "a") as made:
            if sum(entry.file_size for entry in given.infolist()) > _MOST_ATTACHED_BYTES:
                raise ModelError(f"{source}: the files attached to the model are too large")
            for entry in given.infolist():
                made.writestr(entry, given.read(entry))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise ModelError(f"{source}: the files attached to the model can't be read ({error})") from error
    return out.getvalue()[len(before) :]


def save(data: bytes, out: Path, source: Path | None) -> None:
    """Write a file under another name first, then rename it.

    Raises ModelError where `out` is the source, or can't be written; then nothing is left behind.
    """
    if source is not None and out.exists() and out.resolve() == source.resolve():
        raise ModelError(f"{out}: the output would overwrite the model that is read")
    if not out.parent.is_dir():
        raise ModelError(f"{out}: there is no folder {out.parent}")
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(out)
    except OSError as error:
        raise ModelError(f"{out}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
