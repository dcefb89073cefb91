"""Writes a model, whole or not at all."""

import filecmp
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
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
    if not out.parent.is_dir():
        raise ModelError(f"{out}: there is no folder {out.parent}")
    writes = {} if source is None else _weight_files(model, source.parent, out)
    writes[out] = partial(_write, data)
    _write_all(writes, out)


_Write = Callable[[Path], object]


def _weight_files(model: ModelProto, folder: Path, out: Path) -> dict[Path, _Write]:
    """How to make each file of weight data that is not beside `out` yet. Raises ModelError where another is there."""
    writes: dict[Path, _Write] = {}
    for name in external_files(model):
        origin, target = folder / name, out.parent / name
        if not target.exists():
            writes[target] = partial(shutil.copyfile, origin)
        elif not (target.samefile(origin) or filecmp.cmp(origin, target, shallow=False)):
            raise ModelError(f"{out}: its weight data would overwrite {target}")
    return writes


def _write(data: bytes, path: Path) -> None:
    path.write_bytes(data)


def _write_all(writes: Mapping[Path, _Write], out: Path) -> None:
    """Write each file under another name, then rename all; the last, `out`, makes the others count."""
    temporaries: dict[Path, Path] = {}
    placed: list[Path] = []
    try:
        for target, write in writes.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
            os.close(handle)
            temporaries[target] = Path(name)
            write(Path(name))
            Path(name).chmod(0o666 & ~_umask())
        for target, temporary in temporaries.items():
            temporary.replace(target)
            placed.append(target)
    except OSError as error:
        raise ModelError(f"{out}: {error.strerror or error}") from error
    finally:
        for leftover in (*temporaries.values(), *(placed if out not in placed else ())):
            leftover.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
