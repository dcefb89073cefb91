"""The device store: names stay inside it, files are whole, and what is broken or newer is refused in one line."""

import errno
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.timing.synthetic import noisy_profile, random_convs

from edgewright.errors import StoreError
from edgewright.files import write_atomically
from edgewright.store import DeviceStore, open_store
from edgewright.timing import fit

PROFILE = noisy_profile(random_convs(40))


@pytest.fixture
def store(tmp_path: Path) -> DeviceStore:
    return DeviceStore(tmp_path / "home")


def test_what_is_written_is_read_again(store: DeviceStore) -> None:
    model = fit(PROFILE, max_leaves=2)
    store.write_profile("pi-4", PROFILE)
    store.write_model("pi-4", model)
    assert store.profile("pi-4") == PROFILE
    assert store.model("pi-4") == model
    assert store.names() == ("pi-4",)
    assert sorted(path.name for path in (store.root / "devices" / "pi-4").iterdir()) == ["model.json", "profile.jsonl"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "...", "../x", "a/b", "/etc/passwd", "a\\b", "-rf", "a b", "a\n", "ä", "x" * 65, "a\0"]
)
def test_names_that_are_none(store: DeviceStore, name: str) -> None:
    for refuse in (store.profile, store.model, store.choose, store.profile_path):
        with pytest.raises(StoreError, match="can't name a device"):
            refuse(name)


@given(st.text(max_size=80))
def test_no_name_leaves_the_store(name: str) -> None:
    store = DeviceStore(Path("/home/store"))
    try:
        path = store.profile_path(name)
    except StoreError as error:
        assert "\n" not in str(error)
    else:
        assert Path(path).resolve().parent.parent == Path("/home/store/devices")


def test_choosing(store: DeviceStore) -> None:
    with pytest.raises(StoreError, match="edgewright profile"):
        store.choose(None)
    store.write_profile("phone", PROFILE)
    assert store.choose(None) == "phone"
    store.write_profile("board", PROFILE)
    with pytest.raises(StoreError, match="board, phone"):
        store.choose(None)
    with pytest.raises(StoreError, match="no device 'tablet'"):
        store.choose("tablet")
    assert store.choose("board") == "board"
    store.write_profile("local", PROFILE)
    assert store.choose(None) == "local"


def test_empty_and_foreign_folders_are_no_devices(store: DeviceStore) -> None:
    assert store.names() == ()
    (store.root / "devices" / "empty").mkdir(parents=True)
    (store.root / "devices" / "note.txt").write_text("")
    assert store.names() == ()


def test_a_newer_store_is_refused(store: DeviceStore) -> None:
    path = store.write_profile("new", PROFILE)
    header, *rest = path.read_text().splitlines(keepends=True)
    path.write_text(json.dumps(json.loads(header) | {"schema_version": 99}) + "\n" + "".join(rest))
    with pytest.raises(StoreError, match="schema version 99"):
        store.profile("new")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"{", b"[]\n", b'{"schema_version": 1, "x": 2}\n'])
def test_broken_files_are_refused(store: DeviceStore, content: bytes) -> None:
    for path, read in ((store.profile_path("b"), store.profile), (store.model_path("b"), store.model)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        with pytest.raises(StoreError, match=path.name.replace(".", r"\.")):
            read("b")


def test_what_is_missing_names_the_command(store: DeviceStore) -> None:
    store.write_profile("half", PROFILE)
    with pytest.raises(StoreError, match="edgewright profile --name half"):
        store.model("half")


def test_a_full_disk_leaves_the_old_file(store: DeviceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store.write_profile("full", PROFILE)
    before = path.read_bytes()

    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(StoreError, match=r"can't write .*profile\.jsonl: No space left on device"):
        store.write_profile("full", noisy_profile(random_convs(3)))
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["profile.jsonl"]


def test_the_home_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path))
    assert open_store().root == tmp_path
    monkeypatch.setenv("EDGEWRIGHT_HOME", "")
    assert open_store().root.name == "edgewright"


@pytest.mark.parametrize("content", ["text\n", b"\x00\x01"])
def test_atomic_writing_keeps_permissions(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    write_atomically(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(StoreError, match="No such file"):
        write_atomically(tmp_path / "nowhere" / "file", "x")
