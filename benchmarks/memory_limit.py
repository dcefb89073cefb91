"""A memory limit with swap space: a control group of the kernel (version 1 or 2), a swap file, and a process inside.

Both need root. What was set up is taken down again at the end, whatever happens.
"""

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_NO_LIMIT = {1: "-1", 2: "max"}


class UnavailableError(Exception):
    """Memory can't be limited here; says why."""


@dataclass(frozen=True)
class Hierarchy:
    """Where control groups that limit memory are made: the version, and the folder of the kernel's file system."""

    version: int
    root: Path

    @property
    def limit_file(self) -> str:
        return "memory.limit_in_bytes" if self.version == 1 else "memory.max"


@dataclass(frozen=True)
class MemoryGroup:
    """A control group; a process that writes its id to `members` belongs to it."""

    hierarchy: Hierarchy
    folder: Path

    @property
    def members(self) -> Path:
        return self.folder / "cgroup.procs"

    def limit(self, size_bytes: int | None) -> None:
        """Memory that its processes may hold together, files read by them included; None for all there is."""
        text = _NO_LIMIT[self.hierarchy.version] if size_bytes is None else str(size_bytes)
        (self.folder / self.hierarchy.limit_file).write_text(text)


def hierarchy(mounts: Path = Path("/proc/mounts")) -> Hierarchy:
    """Where memory can be limited. Raises UnavailableError."""
    found = []
    for line in mounts.read_text().splitlines() if mounts.exists() else ():
        _, folder, kind, options, *_ = line.split()
        if kind == "cgroup" and "memory" in options.split(","):
            found.append(Hierarchy(1, Path(folder)))
        elif kind == "cgroup2" and "memory" in _words(Path(folder) / "cgroup.controllers"):
            found.append(Hierarchy(2, Path(folder)))
    if not found:
        raise UnavailableError("no control groups that limit memory are mounted")
    return found[0]


@contextmanager
def memory_group(where: Hierarchy) -> Iterator[MemoryGroup]:
    """A control group of its own, removed at the end. Raises UnavailableError where it can't be made."""
    folder = where.root / f"edgewright-{uuid.uuid4().hex[:8]}"
    control = where.root / "cgroup.subtree_control"
    passes_on = where.version == 1 or "memory" in _words(control)
    try:
        if not passes_on:
            control.write_text("+memory")
        folder.mkdir()
    except OSError as error:
        raise UnavailableError(f"no control group can be made in {where.root}: {error.strerror}") from error
    try:
        yield MemoryGroup(where, folder)
    finally:
        folder.rmdir()
        if not passes_on:
            control.write_text("-memory")


@contextmanager
def swap_file(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Swap space in a file, in use until the end. Raises UnavailableError where the system allows none."""
    path = folder / f"edgewright-{uuid.uuid4().hex[:8]}.swap"
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size_bytes)
        path.chmod(0o600)
        _run("mkswap", str(path))
        _run("swapon", str(path))
    except (OSError, subprocess.CalledProcessError) as error:
        path.unlink(missing_ok=True)
        told = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise UnavailableError(f"no swap file: {told}") from error
    try:
        yield path
    finally:
        _run("swapoff", str(path))
        path.unlink()


@contextmanager
def limited_memory(folder: Path, swap_bytes: int = 1 << 30) -> Iterator[MemoryGroup]:
    """A control group and swap space for it. Raises UnavailableError."""
    if os.geteuid() != 0:
        raise UnavailableError("limits and swap files need root")
    with swap_file(folder, swap_bytes), memory_group(hierarchy()) as group:
        yield group


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _words(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []
