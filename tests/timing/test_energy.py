from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.timing.synthetic import noisy_profile, random_convs

from edgewright.errors import DataError, StoreError
from edgewright.store import open_store
from edgewright.timing.energy import fit_energy, holds_energy, in_joules
from edgewright.timing.measurements_csv import read_csv, write_csv


def test_the_same_tree_learns_energy() -> None:
    """Every layer takes 3 W, and 5 W where its input channels are no multiple of 4."""
    layers = random_convs(240)
    timed = noisy_profile(layers, 0.0, 0.0)
    watts = np.array([3.0 if layer.input[1] % 4 == 0 else 5.0 for layer in layers])
    both = replace(
        timed, measurements=tuple(
            replace(m, energy_j=m.median_s * power) for m, power in zip(timed.measurements, watts, strict=True)
        )
    )  # fmt: skip
    learned = fit_energy(both)
    joules = np.array([m.energy_j for m in both.measurements])
    assert np.median(np.abs(learned.predict(layers) / joules - 1)) < 0.1


def test_only_what_was_measured_counts(tmp_path: Path) -> None:
    profile = noisy_profile(random_convs(3))
    assert not holds_energy(profile)
    with pytest.raises(DataError, match="synthetic: its profile holds no energy"):
        in_joules(profile)
    first, *others = profile.measurements
    some = replace(profile, measurements=(replace(first, energy_j=0.5), *others))
    assert [m.samples_s for m in in_joules(some).measurements] == [(0.5,)]
    store = open_store(tmp_path)
    store.write_profile("phone", some)
    with pytest.raises(StoreError, match="device 'phone' has no energy"):
        store.energy_model("phone")


def test_energy_in_a_table() -> None:
    text = "kind,in_channels,out_channels,in_height,in_width,kernel_h,time_ms,energy_mj\n"
    profile = read_csv((text + "conv,8,8,14,14,3,1,20\nconv,8,16,14,14,3,2,\n").splitlines(True), "t.csv", "phone")
    assert [m.energy_j for m in profile.measurements] == [pytest.approx(0.02), None]
    again = read_csv(write_csv(profile).splitlines(True), "t.csv", "phone")
    assert [m.energy_j for m in again.measurements] == [pytest.approx(0.02), None]
    with pytest.raises(DataError, match="column energy_mj: not an energy above zero"):
        read_csv((text + "conv,8,8,14,14,3,1,-2\n").splitlines(True), "t.csv", "phone")
