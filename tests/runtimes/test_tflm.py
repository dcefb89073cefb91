"""TensorFlow Lite Micro itself: its arena is what was predicted, to the byte, and it honours offsets."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.formats.tflite.build import Sketch
from tests.micro_networks import vision
from tests.tflite_networks import networks

from edgewright import transports
from edgewright.errors import EdgewrightError, MeasurementError, RuntimeRefusedError, UnsupportedModelError
from edgewright.formats.tflite import apply, read
from edgewright.formats.tflite.micro import micro_graph
from edgewright.formats.tflite.offline import read_offsets, tensor_names, write_offsets
from edgewright.graph.padding import same_or_valid
from edgewright.memory.tflm import HOST, ArenaPrediction, predict_arena
from edgewright.memory.tflm.offline import plan_offsets
from edgewright.runtimes.client import HarnessClient
from edgewright.runtimes.tflm import HARNESS, compared, measured_arena
from edgewright.tiling.lower import lower
from edgewright.tiling.plan import FusedGroup, TilingPlan

pytest.importorskip("tflite_micro")


@pytest.fixture(scope="module")
def harness() -> Iterator[HarnessClient]:
    with HarnessClient(transports.open("local"), HARNESS, sys.executable) as client:
        yield client


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tflm")


def predicted(path: Path) -> ArenaPrediction:
    return predict_arena(micro_graph(path), HOST, offsets=read_offsets(path), tensors=len(tensor_names(path)))


def measured(harness: HarnessClient, path: Path, arena_bytes: int = 0) -> tuple[int, int]:
    answer = harness.ask("memory", model=str(path), arena_bytes=arena_bytes)
    return answer["head_bytes"], answer["tail_bytes"]


@pytest.mark.parametrize("style", ["int8", "float", "int16"])
def test_the_arena_of_random_networks(harness: HarnessClient, folder: Path, style: str) -> None:
    compares = []

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(networks(style))
    def check(model: bytes) -> None:
        path = folder / f"{style}.tflite"
        path.write_bytes(model)
        try:
            found = predicted(path)
            real = measured(harness, path, found.arena_bytes)
        except (UnsupportedModelError, RuntimeRefusedError) as error:
            assert "Failed to" not in str(error)  # it would be too small
            return
        assert real == (found.head_bytes, found.tail_bytes)
        compares.append(real)

    check()
    assert len(compares) > 10


def test_the_arena_is_just_what_must_be_given(folder: Path) -> None:
    path = folder / "vision.tflite"
    path.write_bytes(vision())
    found = predicted(path)
    assert measured_arena(path, found.arena_bytes).used_bytes == found.used_bytes
    with pytest.raises(RuntimeRefusedError, match=r"vision\.tflite"):
        measured_arena(path, found.arena_bytes - 16)


def test_random_tiled_networks_with_shared_bytes_are_exact(harness: HarnessClient, folder: Path) -> None:
    compares = []

    @settings(max_examples=15, suppress_health_check=list(HealthCheck))
    @given(networks("int8"), st.integers(0, 3), st.integers(1, 6), st.integers(2, 4))
    def check(model: bytes, start: int, length: int, count: int) -> None:
        path, edited, out = folder / "model.tflite", folder / "edited.tflite", folder / "out.tflite"
        path.write_bytes(model)
        graph = read(model)
        names = tuple(op.name for op in graph.ops[start % len(graph.ops) :][:length])
        try:
            plan = TilingPlan((FusedGroup(names, (count, 1), "carry"),))
            edits = lower(graph, plan, ordered=False, expresses=same_or_valid)
            apply(path, edits, edited)
            offsets = plan_offsets(read(edited), share=True, climb_steps=20).offsets
            write_offsets(edited, out, offsets)
            found = predicted(out)
            real = measured(harness, out, found.arena_bytes)
        except EdgewrightError as error:
            assert "Failed to" not in str(error)
            return
        assert real == (found.head_bytes, found.tail_bytes)
        answer = harness.ask("compare", models=[str(path), str(out)], count=5)
        assert answer["differing"] == 0
        compares.append(answer)

    check()
    assert len(compares) > 3


def test_variables_live_in_the_tail(harness: HarnessClient, folder: Path) -> None:
    sketch, path = Sketch(), folder / "state.tflite"
    x, state, y = (sketch.tensor(name, (1, 4, 4, 3)) for name in ("x", "state", "y"))
    sketch.graph.tensors[state].isVariable = True
    sketch.op("ADD", [x, state], [y], schema.AddOptionsT(potScaleInt16=False))
    path.write_bytes(sketch.finish([x], [y]))
    found = predicted(path)
    assert measured(harness, path, found.arena_bytes) == (found.head_bytes, found.tail_bytes)
    assert dict(found.tail)["variables"] >= 4 * 4 * 3 * 4


def test_a_model_that_is_another_one_differs(folder: Path) -> None:
    one, other = folder / "one.tflite", folder / "other.tflite"
    one.write_bytes(vision(seed=1))
    other.write_bytes(vision(seed=2))
    assert compared(one, one, 10).differing == 0
    found = compared(one, other, 10)
    assert found.differing > 0
    assert found.largest_difference > 0
    assert found.distinct > 1


def test_integers_beside_the_floats_that_they_stand_for(folder: Path) -> None:
    from edgewright.formats.tflite.int8_io import int8_io

    floats, integers = folder / "floats.tflite", folder / "integers.tflite"
    floats.write_bytes(vision(float_input=True, float_output=True))
    integers.write_bytes(int8_io(floats)[0])
    found = compared(floats, integers, 20)
    assert (found.differing, found.largest_difference) == (0, 0.0)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr("edgewright.runtimes.tflm.find_spec", lambda _: None)
    with pytest.raises(MeasurementError, match="micro"):
        measured_arena(folder / "any.tflite")
