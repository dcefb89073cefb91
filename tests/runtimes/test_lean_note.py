"""Notes of memory settings in ONNX files."""

from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tiling.models import chain

from edgewright.runtimes.lean import lean_session
from edgewright.runtimes.lean_note import KEY, LeanNote, add_note, read_note


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made = chain((3, 1), (1, 1), size=8)
    made.metadata_props.add(key="author", value="somebody {1}")
    onnx.save(made, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def test_a_note_is_metadata_and_there_is_one(model: Path) -> None:
    assert read_note(model) is None
    before = onnx.load(model)
    for note in (LeanNote("lean"), LeanNote("arena", 123_456_789)):
        add_note(model, note)
        assert read_note(model) == note
    after = onnx.load(model)
    assert [entry.key for entry in after.metadata_props] == ["author", KEY]
    del after.metadata_props[1:]
    assert after == before


def test_a_session_takes_the_settings_of_the_note(model: Path) -> None:
    assert not lean_session(model).get_session_options().enable_cpu_mem_arena
    add_note(model, LeanNote("arena", 1 << 20))
    assert lean_session(model).get_session_options().enable_cpu_mem_arena
    assert not lean_session(model, "lean").get_session_options().enable_cpu_mem_arena


@given(st.binary(max_size=60))
def test_what_is_no_model_has_no_note(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.onnx"
    path.write_bytes(data)
    assert read_note(path) is None
