"""The Python API does what the commands do, and says how far it is."""

from pathlib import Path

import pytest
from tests.cli.conftest import device, home, network  # noqa: F401
from tests.fakes import FakeClient

import edgewright as ew


@pytest.mark.usefixtures("device", "home")
def test_profile_explain_and_list(network: Path, tmp_path: Path) -> None:  # noqa: F811
    told: list[tuple[str, float]] = []
    summary = ew.profile([network], budget_s=1.0, on_progress=lambda what, share: told.append((what, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert ew.devices() == (summary,)
    explained = ew.explain(network)
    assert explained.measured_s is not None
    assert sum(layer.measured_s or 0.0 for layer in explained.layers) <= explained.measured_s * 1.0001
    assert [layer.ops[0] for layer in explained.layers] == ["stem", "head"]
    ew.write_page(explained, tmp_path / "page.html")
    ew.draw_stairs(explained, tmp_path / "stairs.png")
    assert (tmp_path / "stairs.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("home")
def test_a_machine_that_is_slower_than_when_it_was_profiled_says_so(device: FakeClient, network: Path) -> None:  # noqa: F811
    ew.profile([network], budget_s=1.0)
    assert ew.explain(network).notes == ()
    device.probe_s *= 1.5
    assert "1.50 times as long" in ew.explain(network).notes[0]


@pytest.mark.usefixtures("device", "home")
def test_bench_gives_a_report(network: Path) -> None:  # noqa: F811
    report = ew.bench([network, network], compare=True)
    assert report.results[1].ratio is not None
    assert report.results[1].ratio.value == 1.0
    assert report.failures == ()


@pytest.mark.usefixtures("home")
def test_errors_are_all_of_one_family(tmp_path: Path) -> None:
    for fail in (
        lambda: ew.explain(tmp_path / "no.onnx"),
        lambda: ew.fit(tmp_path / "no.csv", "x"),
        lambda: ew.evaluate("no"),
        lambda: ew.profile(name="../x"),
    ):
        with pytest.raises(ew.EdgewrightError):
            fail()
