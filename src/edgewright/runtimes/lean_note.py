"""A note in an ONNX file of the memory settings that its promise of peak memory needs.

It is an entry of the file's metadata. Entries may stand anywhere in the file, so a note is put behind all else, and it
is found by hopping from field to field: nothing is loaded, and neither way needs the package onnx.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO

KEY = "edgewright.memory"
_LENGTH = 64
"""Notes have the same length, so that one can be written over another: a key may not come twice."""
_METADATA, _ENTRY_KEY, _ENTRY_VALUE = 14, 1, 2
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class LeanNote:
    """Memory settings (`lean`, `arena`) and the first region of the arena."""

    settings: str
    arena_bytes: int = 0


def add_note(path: Path, note: LeanNote) -> None:
    """Puts a note at the end of an ONNX file, or over the one that it has. Raises OSError."""
    value = json.dumps(asdict(note)).ljust(_LENGTH).encode()
    entry = _field(_METADATA, _field(_ENTRY_KEY, KEY.encode()) + _field(_ENTRY_VALUE, value))
    found = _find(path)
    with path.open("r+b") as file:
        if found is None:
            file.seek(0, SEEK_END)
            file.write(entry)
        else:
            file.seek(found[0] - _LENGTH)
            file.write(value)


def read_note(path: Path) -> LeanNote | None:
    """The note of a file; None where there is none, or where the file is no ONNX file. Raises OSError."""
    found = _find(path)
    return None if found is None else found[1]


def _find(path: Path) -> tuple[int, LeanNote] | None:
    """The place in the file where the note ends, and the note."""
    with path.open("rb") as file:
        try:
            for entry in _fields(file, path.stat().st_size, _METADATA):
                if KEY.encode() in entry[: len(KEY) + 4]:
                    told = json.loads(entry[-_LENGTH:])
                    return file.tell(), LeanNote(str(told["settings"]), int(told["arena_bytes"]))
        except (ValueError, KeyError, TypeError):
            pass
    return None


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last byte have the highest bit set."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _fields(file: BinaryIO, end: int, wanted: int) -> Iterator[bytes]:
    """The contents of all fields of one number at the top of a message. Raises ValueError for what is no message."""
    while file.tell() < end:
        number, kind = divmod(_read_varint(file), 8)
        if kind == _VARINT:
            _read_varint(file)
            continue
        size = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(kind) or (_read_varint(file) if kind == _BYTES else -1)
        if not 0 <= size <= end - file.tell():
            raise ValueError("no message")
        if number == wanted:
            yield file.read(size)
        else:
            file.seek(size, 1)


def _read_varint(file: BinaryIO) -> int:
    value, shift = 0, 0
    while byte := file.read(1):
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
        shift += 7
    raise ValueError("no message")
