"""Whatever is wrong ends in one clear line and its exit status: no traceback, nothing half-written."""

import errno
import json
from pathlib import Path

import onnx
import pytest
from onnx import external_data_helper
from tests.cli.conftest import Outcome, Run, write_network
from tests.fakes import FakeClient

TABLE = "kind,in_channels,out_channels,kernel_h,in_height,in_width,time_ms\nconv,3,8,3,9,9,1\n"


def one_line(outcome: Outcome, *told: str) -> None:
    assert outcome.status == 1
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("edgewright: ")
    for part in told:
        assert part in outcome.err


@pytest.fixture
def broken(tmp_path: Path, network: Path) -> dict[str, Path]:
    """Files that are no models, by what is wrong with them."""
    whole = network.read_bytes()
    files = {"truncated": whole[: len(whole) // 2], "empty": b"", "noise": bytes(range(256)) * 50, "text": b"hello\n"}
    for name, content in files.items():
        (tmp_path / f"{name}.onnx").write_bytes(content)
    (tmp_path / "folder.onnx").mkdir()
    model = onnx.load(network)
    external_data_helper.convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    onnx.save(model, tmp_path / "external.onnx")
    (tmp_path / "weights.bin").unlink()
    return {path.stem: path for path in tmp_path.glob("*.onnx")} | {"missing": tmp_path / "missing.onnx"}


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("wrong", ["truncated", "empty", "noise", "text", "folder", "external", "missing"])
def test_files_that_are_no_models(run: Run, broken: dict[str, Path], network: Path, home: Path, wrong: str) -> None:
    path = broken[wrong]
    one_line(run("profile", "--for", path, "--budget", "1s"), str(path))
    one_line(run("bench", network, path), str(path))
    assert not home.exists()
    assert run("profile", "--for", network, "--budget", "300ms").status == 0
    one_line(run("explain", path), str(path))


@pytest.mark.usefixtures("device")
def test_a_dynamic_shape_that_is_not_given(run: Run, tmp_path: Path, network: Path) -> None:
    model = onnx.load(network)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    onnx.save(model, tmp_path / "open.onnx")
    one_line(run("bench", tmp_path / "open.onnx"), "image", "--input")
    one_line(run("bench", tmp_path / "open.onnx", "--input", "photo=1x3x24x24"), "photo")


def test_a_layer_that_the_runtime_refuses(run: Run, network: Path, device: FakeClient) -> None:
    device.refuses = lambda _: True
    one_line(run("bench", network), str(network), "no such op")
    one_line(run("profile", "--for", network, "--budget", "1s"), str(network), "no such op")


def test_a_runtime_that_crashes(run: Run, network: Path, device: FakeClient) -> None:
    device.crashes = lambda _: True
    one_line(run("bench", network), str(network), "crashed")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("kind,in_channels\nconv,3\n", "time_us, time_ms and time_s"),
        ("in_channels,time_ms\n3,1\n", "no column kind"),
        ("kind,in_channels,out_channels,kernel_h,in_height,in_width,time_ms\nconv,3,8,3,9,9,1\nconv,3,8,x,9,9,1\n",
         "line 3, column kernel_h"),
        ("kind,in_channels,out_channels,kernel_h,in_height,in_width,time_ms\nconv,3,8,3,9,9,-1\n",
         "line 2, column time_ms"),
        ("kind,time_ms\nwarp,1\n", "line 2, column kind"),
        ("kind,time_ms\n", "no row"),
        ("", "line 1"),
    ],
)  # fmt: skip
def test_a_table_with_a_bad_row(run: Run, tmp_path: Path, home: Path, content: str, told: str) -> None:
    (tmp_path / "bad.csv").write_text(content)
    one_line(run("fit", tmp_path / "bad.csv", "--name", "x"), "bad.csv", told)
    assert not home.exists()


def test_a_table_that_is_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "noise.csv").write_bytes(b"\xff\xfe\x00\x01" * 100)
    one_line(run("fit", tmp_path / "noise.csv", "--name", "x"), "noise.csv")
    one_line(run("fit", tmp_path / "missing.csv", "--name", "x"), "missing.csv", "No such file")
    one_line(run("fit", tmp_path, "--name", "x"), "Is a directory")


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("name", ["../../etc", "a/b", "..", "", "a b", "x" * 100])
def test_names_that_lead_out_of_the_store(run: Run, network: Path, tmp_path: Path, home: Path, name: str) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    one_line(run("fit", tmp_path / "t.csv", f"--name={name}"), "can't name a device")
    one_line(run("profile", "--for", network, "--budget", "1s", f"--name={name}"), "can't name a device")
    one_line(run("explain", network, f"--device={name}"), "can't name a device")
    one_line(run("evaluate", "--", name), "can't name a device")
    assert not home.exists()


def test_a_device_that_is_not_there(run: Run, network: Path) -> None:
    one_line(run("explain", network), "edgewright profile")
    one_line(run("evaluate", "phone"), "no device 'phone'")


@pytest.mark.usefixtures("device")
def test_a_store_of_a_newer_version(run: Run, network: Path, home: Path) -> None:
    run("profile", "--for", network, "--budget", "300ms")
    model, profile = (home / "devices" / "local" / name for name in ("model.json", "profile.jsonl"))
    model.write_text(json.dumps(json.loads(model.read_text()) | {"schema_version": 99}))
    one_line(run("explain", network), "model.json", "schema version 99")
    header, _, rest = profile.read_text().partition("\n")
    profile.write_text(json.dumps(json.loads(header) | {"schema_version": 99}) + "\n" + rest)
    one_line(run("evaluate"), "profile.jsonl", "schema version 99")
    one_line(run("profile", "--for", network, "--budget", "2s"), "profile.jsonl", "schema version 99")


@pytest.mark.usefixtures("device")
def test_a_full_disk(run: Run, network: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("profile", "--for", network, "--budget", "300ms")
    before = (home / "devices" / "local" / "model.json").read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    one_line(run("profile", "--for", network, "--budget", "600ms"), "No space left on device")
    one_line(run("explain", network, "--html", tmp_path / "page.html"), "page.html: No space left on device")
    assert (home / "devices" / "local" / "model.json").read_bytes() == before
    assert not (tmp_path / "page.html").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.usefixtures("device")
def test_outputs_that_can_not_be_written(run: Run, network: Path, tmp_path: Path) -> None:
    run("profile", "--for", network, "--budget", "300ms")
    one_line(run("explain", network, "--html", tmp_path / "no" / "page.html"), "No such file")
    one_line(run("explain", network, "--plot", tmp_path / "no" / "stairs.png"), "No such file")
    one_line(run("explain", network, "--plot", tmp_path / "stairs.doc"), ".png")
    one_line(run("explain", network, "--layer", "nothing"), "no layer or op 'nothing'")


def test_an_unknown_runtime(run: Run, network: Path) -> None:
    one_line(run("bench", network, "--runtime", "magic"), "runtime 'magic' is not known")


def test_measured_here_is_not_replaced_by_a_table(run: Run, network: Path, tmp_path: Path, device: FakeClient) -> None:
    run("profile", "--for", network, "--budget", "300ms")
    (tmp_path / "t.csv").write_text(TABLE)
    one_line(run("fit", tmp_path / "t.csv", "--name", "local"), "choose another --name")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("explain",),
        ("bench",),
        ("fit", "t.csv"),
        ("profile", "--budget", "5"),
        ("profile", "--budget", "0s"),
        ("profile", "--threads", "0"),
        ("profile", "--threads", "many"),
        ("explain", "m.onnx", "--input", "1x3"),
        ("explain", "m.onnx", "--input", "x=1xtwo"),
        ("explain", "m.onnx", "--input", "x=1x0"),
    ],
)
def test_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    outcome = run(*arguments)
    assert outcome.status == 2
    assert "usage:" in outcome.err
    assert outcome.out == ""


def test_errors_as_json(run: Run, tmp_path: Path) -> None:
    outcome = run("explain", tmp_path / "missing.onnx", "--json")
    assert outcome.status == 1
    assert set(outcome.json) == {"error"}
    assert outcome.err == ""


def test_a_fault_of_our_own(run: Run, network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object, **__: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr("edgewright.api.bench", faulty)
    one_line(run("bench", network), "unexpected IndexError", "please report")
    monkeypatch.setenv("EDGEWRIGHT_DEBUG", "1")
    with pytest.raises(IndexError):
        run("bench", network)


def test_files_with_dynamic_batch_are_run_at_one(run: Run, tmp_path: Path, device: FakeClient) -> None:
    network = write_network(tmp_path / "batch.onnx", batch="N")
    assert run("bench", network, "--json").status == 0


@pytest.mark.usefixtures("device")
def test_a_store_that_can_not_be_made(run: Run, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "file"))
    one_line(run("profile", "--for", network, "--budget", "300ms"), "Not a directory")
    one_line(run("devices"), "Not a directory")
