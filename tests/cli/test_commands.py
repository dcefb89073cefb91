"""Every command does its work, prints tables for people, and one JSON document for machines."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Outcome, Run, write_network
from tests.fakes import FakeClient

CSV = "kind,in_channels,out_channels,kernel_h,stride_h,in_height,in_width,time_ms\n"


def table(path: Path, rows: int = 30) -> Path:
    random = np.random.default_rng(0)
    lines = [CSV]
    for _ in range(rows):
        given, made, side = (int(random.integers(4, 65)) for _ in range(3))
        lines.append(
            f"conv,{given},{made},3,1,{side},{side},{0.01 + 1e-6 * given * -(-made // 16) * 16 * side * side:.5f}\n"
        )
    path.write_text("".join(lines))
    return path


def profiled(run: Run, network: Path, *more: object) -> Outcome:
    done = run("profile", "--for", network, "--budget", "1s", *more)
    assert done.status == 0, done.err
    return done


@pytest.mark.usefixtures("device")
def test_profile_then_explain(run: Run, network: Path) -> None:
    assert "conv" in profiled(run, network).out
    told = run("explain", network)
    assert told.status == 0
    assert "net.onnx on local" in told.out
    assert "stem" in told.out
    assert "head" in told.out
    assert re.search(r"predicted [\d.]+ us, measured", told.out)
    assert told.err == ""


@pytest.mark.usefixtures("device")
def test_explain_json(run: Run, network: Path) -> None:
    profiled(run, network, "--json")
    found = run("explain", network, "--json", "--rules").json
    assert [layer["ops"] for layer in found["layers"]] == [["stem", "activation"], ["head"]]
    assert sum(layer["share"] for layer in found["layers"]) == pytest.approx(1, abs=0.2)
    assert found["measured_s"] > 0
    assert found["miss_percent"] == pytest.approx(100 * (found["predicted_s"] / found["measured_s"] - 1))
    assert found["macs"] == 24 * 24 * (9 * 27 + 16 * 9)
    assert "multiple" in found["rules"] or "ms" in found["rules"]


@pytest.mark.usefixtures("device")
def test_profile_json_and_devices(run: Run, network: Path) -> None:
    made = profiled(run, network, "--json", "--name", "mine").json
    assert made["name"] == "mine"
    assert made["runtime_version"] == "0"
    assert made["measurements"] >= made["layers"] > 2
    listed = run("devices", "--json").json["devices"]
    assert [found["name"] for found in listed] == ["mine"]
    assert set(listed[0]["kinds"]["conv"]) == {"mape_percent", "within_5_percent", "within_10_percent", "n", "leaves"}
    assert "mine" in run("devices").out


def test_devices_of_an_empty_store(run: Run) -> None:
    assert run("devices", "--json").json == {"devices": []}
    assert "edgewright profile" in run("devices").out


@pytest.mark.usefixtures("device")
def test_a_campaign_goes_on_where_it_stopped(run: Run, network: Path, home: Path) -> None:
    first = profiled(run, network, "--json").json["measurements"]
    again = run("profile", "--for", network, "--budget", "1500ms", "--json").json["measurements"]
    assert again >= first
    lines = (home / "devices" / "local" / "profile.jsonl").read_text().count("\n")
    assert lines == again + 1
    assert run("profile", "--for", network, "--budget", "200ms", "--fresh", "--json").json["measurements"] < again


def test_an_interrupted_campaign_says_how_to_go_on(run: Run, network: Path, device: FakeClient) -> None:
    ask, store = device.ask, Path(os.environ["EDGEWRIGHT_HOME"])

    def interrupted(job: str, timeout_s: float = 1.0, **arguments: object) -> dict[str, object]:
        if any(len(path.read_text().splitlines()) > 1 for path in store.rglob("profile.jsonl")):
            raise KeyboardInterrupt
        return ask(job, timeout_s, **arguments)

    device.ask = interrupted  # type: ignore[method-assign,assignment]
    stopped = run("profile", "--for", network, "--budget", "20s")
    assert stopped.status == 130
    assert "the same command goes on" in stopped.err
    device.ask = ask  # type: ignore[method-assign]
    assert "goes on with it" in run("explain", network).err
    assert profiled(run, network, "--json").json["measurements"] > 0


def test_fit_then_explain_what_can_not_be_run(run: Run, network: Path, tmp_path: Path) -> None:
    made = run("fit", table(tmp_path / "phone.csv"), "--name", "phone", "--json")
    assert made.json["layers"] > 25
    assert made.json["noise_percent"] is None
    told = run("explain", network, "--json").json
    assert told["measured_s"] is None
    assert [layer["ops"] for layer in told["layers"]] == [["stem"], ["head"]]
    assert "learned from a table" in told["notes"][0]
    assert "predicted" in run("explain", network, "--device", "phone").out


@pytest.mark.parametrize("flags", [(), ("--no-baselines",)])
def test_evaluate(run: Run, tmp_path: Path, flags: tuple[str, ...]) -> None:
    run("fit", table(tmp_path / "phone.csv"), "--name", "phone")
    found = run("evaluate", "phone", "--json", *flags).json
    assert found["kinds"]["conv"]["n"] > 25
    assert found["kinds"]["conv"]["mape_percent"] < 25
    assert bool(found["baselines"]) == (not flags)
    assert "conv" in run("evaluate", "--no-baselines").out


def test_steps_are_found_and_drawn(run: Run, tmp_path: Path) -> None:
    rows = [f"conv,16,{made},3,1,32,32,{0.2 if made % 8 == 0 else 0.4}\n" for made in range(9, 97)]
    (tmp_path / "steps.csv").write_text(CSV + "".join(rows))
    run("fit", tmp_path / "steps.csv", "--name", "steps")
    network = write_network(tmp_path / "odd.onnx", channels=15)
    found = run("explain", network, "--json", "--layer", "stem").json
    advice = found["layers"][0]["advice"]
    assert (advice["width"], advice["faster_width"]) == (15, 16)
    assert advice["saves_s"] == pytest.approx(advice["time_s"] - advice["faster_s"])
    assert found["stairs"]["faster"] == 16
    told = run("explain", network, "--plot", tmp_path / "stairs.svg", "--html", tmp_path / "page.html").out
    assert "bad step" in told
    assert "15 output channels" in told
    assert (tmp_path / "stairs.svg").read_text().lstrip().startswith("<?xml")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<svg") >= 2
    assert "odd.onnx" in page
    assert "http" not in page.replace("http://www.w3.org", "")


@pytest.mark.usefixtures("device")
def test_bench(run: Run, network: Path, tmp_path: Path) -> None:
    wide = write_network(tmp_path / "wide.onnx", channels=64)
    found = run("bench", network, wide, "--compare", "--json")
    assert found.status == 0
    slim, broad = found.json["results"]
    assert slim["ratio"] is None
    assert broad["ratio"]["low"] <= broad["ratio"]["value"] <= broad["ratio"]["high"]
    assert broad["ratio"]["value"] > 1.2
    assert slim["weights_bytes"] == 4 * (9 * 27 + 16 * 9)
    assert slim["peak_bytes"] == 2000
    assert broad["difference"]["same"]
    assert "wide.onnx" in run("bench", network, wide).out


def test_bench_tells_other_outputs(run: Run, network: Path, tmp_path: Path, device: FakeClient) -> None:
    other = write_network(tmp_path / "other.onnx")
    device.outputs = lambda path: np.full(3, 1.0 if path == network else 1.01, np.float32)
    found = run("bench", network, other, "--compare", "--json")
    assert found.status == 1
    assert "outputs differ" in found.json["failures"][0]
    assert not found.json["results"][1]["difference"]["same"]
    device.outputs = lambda _: np.full(3, np.nan, np.float32)
    found = run("bench", network)
    assert found.status == 1
    assert "not finite" in found.out


def test_version_and_help(run: Run) -> None:
    assert re.fullmatch(r"edgewright \d+\.\d+\.\d+\n", run("--version").out)
    for command in ("profile", "devices", "fit", "evaluate", "explain", "bench", "memory", "tile"):
        told = run(command, "--help")
        assert told.status == 0
        assert "--json" in told.out
