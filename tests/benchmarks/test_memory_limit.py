"""Memory limits: found, set, and taken down again; the kernel's files are a folder here."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from benchmarks.memory_limit import Hierarchy, UnavailableError, hierarchy, memory_group, swap_file

from benchmarks import memory_limit


def mounts(folder: Path, *lines: str) -> Path:
    path = folder / "mounts"
    path.write_text("".join(f"{line}\n" for line in ("/dev/vda / ext4 rw 0 0", *lines)))
    return path


def test_version_1_is_found_by_its_mount(tmp_path: Path) -> None:
    lines = ("cgroup /cg/cpu cgroup rw,cpu 0 0", "cgroup /cg/memory cgroup rw,memory 0 0")
    assert hierarchy(mounts(tmp_path, *lines)) == Hierarchy(1, Path("/cg/memory"))


def test_version_2_is_found_where_it_limits_memory(tmp_path: Path) -> None:
    line = f"cgroup2 {tmp_path} cgroup2 rw 0 0"
    with pytest.raises(UnavailableError, match="no control groups"):
        hierarchy(mounts(tmp_path, line))
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids")
    assert hierarchy(mounts(tmp_path, line)) == Hierarchy(2, tmp_path)


@pytest.mark.parametrize(("version", "file", "none"), [(1, "memory.limit_in_bytes", "-1"), (2, "memory.max", "max")])
def test_limits_are_written_as_each_version_wants_them(tmp_path: Path, version: int, file: str, none: str) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("memory")
    with memory_group(Hierarchy(version, tmp_path)) as group:
        assert group.members == group.folder / "cgroup.procs"
        group.limit(32_000_000)
        assert (group.folder / file).read_text() == "32000000"
        group.limit(None)
        assert (group.folder / file).read_text() == none
        (group.folder / file).unlink()  # the kernel's files go with their folder
    assert not group.folder.exists()


def test_version_2_passes_the_controller_on_only_for_as_long_as_needed(tmp_path: Path) -> None:
    control = tmp_path / "cgroup.subtree_control"
    control.write_text("cpu")
    with memory_group(Hierarchy(2, tmp_path)):
        assert control.read_text() == "+memory"
    assert control.read_text() == "-memory"


def test_groups_that_can_not_be_made_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="No such file"), memory_group(Hierarchy(1, tmp_path / "none")):
        pass


def test_a_swap_file_is_in_use_until_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []

    def run(command: Sequence[str], **_: Any) -> None:
        commands.append(command[0])
        assert Path(command[1]).stat().st_size == 4096

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(RuntimeError), swap_file(tmp_path, 4096) as path:
        assert path.stat().st_mode & 0o777 == 0o600
        raise RuntimeError
    assert commands == ["mkswap", "swapon", "swapoff"]
    assert not path.exists()


def test_a_system_without_swap_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: Sequence[str], **_: Any) -> None:
        if command[0] == "swapon":
            raise subprocess.CalledProcessError(255, command, stderr="swapon: not permitted\n")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(UnavailableError, match="not permitted"), swap_file(tmp_path, 4096):
        pass
    assert list(tmp_path.iterdir()) == []


def test_who_is_not_root_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_limit.os, "geteuid", lambda: 1000)
    with pytest.raises(UnavailableError, match="root"), memory_limit.limited_memory(tmp_path):
        pass
