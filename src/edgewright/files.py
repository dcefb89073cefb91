"""Files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgewright.errors import StoreError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file by way of a temporary one beside it, so that nobody ever meets half of it. Raises StoreError."""
    data = content.encode() if isinstance(content, str) else content
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_mode(path))
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise StoreError(f"can't write {path}: {error.strerror or error}") from error


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """A hidden folder for files that are not finished, gone afterwards. Raises StoreError."""
    try:
        folder = tempfile.TemporaryDirectory(dir=beside, prefix=".edgewright-")
    except OSError as error:
        raise StoreError(f"can't write to {beside}: {error.strerror or error}") from error
    with folder as name:
        yield Path(name)


def _mode(path: Path) -> int:
    """The permissions of the file that is replaced, or those of any new file."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
