"""Writes a model, whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from google.protobuf.message import EncodeError
from onnx import ModelProto

from edgewright.errors import ModelError
from edgewright.formats.onnx.external import external_files


def save(model: ModelProto, out: Path, source: Path | None) -> None:
    """Write the model to `out`, and copies of the files with its weight data from beside `source`.

    Everything is written under another name first and then renamed. Raises ModelError where `out` is the source, or
    can't be written; then nothing is left behind.
    """
    if source is not None and out.exists() and out.resolve() == source.resolve():
        raise ModelError(f"{out}: the output would overwrite the model that is read")
    try:
        data = model.SerializeToString()
    except (EncodeError, ValueError) as error:
        raise ModelError(f"{out}: the model is too large for one file ({error})") from error
    writes: list[tuple[Path, Callable[[Path], object]]] = []
    if source is not None:
        for name in external_files(model):
            origin, target = source.parent / name, out.parent / name
            if not target.exists() or not target.samefile(origin):
                writes.append((target, partial(shutil.copyfile, origin)))
    writes.append((out, partial(_write, data)))
    _write_all(writes, out)


def _write(data: bytes, path: Path) -> None:
    path.write_bytes(data)


def _write_all(writes: list[tuple[Path, Callable[[Path], object]]], out: Path) -> None:
    pending: list[tuple[Path, Path]] = []
    try:
        for target, write in writes:
            if not target.parent.is_dir():
                raise ModelError(f"{out}: there is no folder {target.parent}")
            handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
            os.close(handle)
            pending.append((Path(name), target))
            write(Path(name))
            Path(name).chmod(0o666 & ~_umask())
        while pending:
            temporary, target = pending[0]
            temporary.replace(target)
            pending.pop(0)
    except OSError as error:
        raise ModelError(f"{out}: {error.strerror or error}") from error
    finally:
        for temporary, _ in pending:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
