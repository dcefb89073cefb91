"""A network is narrowed to a share of its energy, as the device's profile tells it."""

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tests.compression.tasks import Dense, plane_task  # noqa: E402

import edgewright as ew  # noqa: E402
from edgewright import api_compress  # noqa: E402
from edgewright.errors import StoreError  # noqa: E402
from edgewright.graph.cost import layer_cost  # noqa: E402
from edgewright.graph.types import LayerSpec  # noqa: E402
from edgewright.profile import Measurement, Profile  # noqa: E402
from edgewright.store import open_store  # noqa: E402
from edgewright.timing.measurements_csv import write_csv  # noqa: E402


def layers() -> list[LayerSpec]:
    dense = [LayerSpec("fully_connected", ((1, a),), ((1, b),)) for a in range(4, 68, 8) for b in range(2, 66, 8)]
    return dense + [LayerSpec("unary", ((1, a),), ((1, a),), variant="relu") for a in range(4, 68, 4)]


def profile() -> Profile:
    """Time is nearly the same whatever the layer; energy goes with the operations."""
    measured = [
        Measurement(layer, (1e-4 + 1e-12 * index,), energy_j=1e-4 + 1e-6 * float(layer_cost(layer).macs))
        for index, layer in enumerate(layers())
    ]
    return Profile("board", "", "", 1, tuple(measured))


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "home"))
    path = tmp_path / "board.csv"
    path.write_text(write_csv(profile()))
    return path


def test_half_of_the_energy(table: Path) -> None:
    ew.fit(table, "board")
    task = plane_task(Dense(width=64))
    found = api_compress.compress(task, device="board", energy=0.5, steps=4)
    energy = open_store().energy_model("board")
    before, after = (
        sum(energy.predict([LayerSpec("fully_connected", ((1, a),), ((1, b),)) for a, b in ((4, width), (width, 2))]))
        for width in (64, found.module.first.out_features)
    )
    assert found.module.first.out_features < 64
    assert 0.3 * before < after <= 0.51 * before


def test_a_profile_without_energy(table: Path) -> None:
    times = replace(profile(), measurements=tuple(replace(m, energy_j=None) for m in profile().measurements))
    table.write_text(write_csv(times))
    ew.fit(table, "board")
    with pytest.raises(StoreError, match="device 'board' has no energy"):
        api_compress.compress(plane_task(Dense(width=64)), device="board", energy=0.5, steps=4)
