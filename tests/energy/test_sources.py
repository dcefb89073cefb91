import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.energy.sysfs import jetson, rapl, write

from edgewright.energy import EnergyMeter, available, hwmon, nvml
from edgewright.energy.rapl import rails
from edgewright.errors import DeviceError


def test_nothing_is_here_and_every_source_says_why(tmp_path: Path) -> None:
    found = {one.source: one for one in available(tmp_path)}
    assert set(found) == {"rapl", "hwmon", "nvml"}
    assert not found["rapl"].is_available
    assert str(found["rapl"]).startswith("rapl: not available here: there is no ")
    assert "holds no sensor of power" in str(found["hwmon"])


def test_without_any_source_the_meter_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "_imported", lambda: (_ for _ in ()).throw(DeviceError("no GPU")))
    with pytest.raises(DeviceError, match=r"can't be measured here; rapl: .*; nvml: not available here: no GPU"):
        EnergyMeter.open(root=tmp_path)


def test_rapl_counts_packages_and_memory_once(tmp_path: Path) -> None:
    found = {rail.name: rail for rail in rails(rapl(tmp_path))}
    assert set(found) == {
        "package-0", "package-0/core", "package-0/dram", "package-1", "package-1/dram", "psys"
    }  # fmt: skip
    total = {name for name, rail in found.items() if rail.in_total}
    assert total == {"package-0", "package-0/dram", "package-1", "package-1/dram"}
    assert found["package-1/dram"].read() == pytest.approx(7)
    assert found["psys"].wraps_at_j == pytest.approx(100)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_counter_that_may_not_be_read(tmp_path: Path) -> None:
    (rapl(tmp_path) / "sys/class/powercap/intel-rapl:0/energy_uj").chmod(0)
    with pytest.raises(DeviceError, match="permission denied"):
        rails(tmp_path)


def test_a_counter_that_is_gone(tmp_path: Path) -> None:
    found = rails(rapl(tmp_path))
    (tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj").unlink()
    with pytest.raises(DeviceError, match="can't be read"):
        found[0].read()


def test_the_rail_that_feeds_a_jetson_is_its_total(tmp_path: Path) -> None:
    found = {rail.name: rail for rail in hwmon.rails(jetson(tmp_path))}
    assert set(found) == {"ina3221/VDD_IN", "ina3221/VDD_CPU_GPU_CV", "ina3221/VDD_SOC"}
    assert found["ina3221/VDD_IN"].read() == pytest.approx(10.0)
    assert [name for name, rail in found.items() if rail.in_total] == ["ina3221/VDD_IN"]


def test_powers_and_counters_of_other_chips(tmp_path: Path) -> None:
    write(tmp_path, {
        "hwmon/hwmon0/name": "amdgpu", "hwmon/hwmon0/power1_average": 25_000_000, "hwmon/hwmon0/power1_label": "PPT",
        "hwmon/hwmon1/name": "amd_energy", "hwmon/hwmon1/energy1_input": 3_000_000,
        "hwmon/hwmon2/name": "acpitz", "hwmon/hwmon2/in1_input": 5000, "hwmon/hwmon2/curr1_input": 1000,
    })  # fmt: skip
    found = {rail.name: rail for rail in hwmon.rails(tmp_path)}
    assert set(found) == {"amdgpu/PPT", "amd_energy/energy1"}
    assert found["amdgpu/PPT"].read() == pytest.approx(25)
    assert found["amd_energy/energy1"].counts
    with pytest.raises(DeviceError, match=r"which rails make up the total\? there are amdgpu/PPT, amd_energy/energy1"):
        EnergyMeter.open("hwmon", root=tmp_path)
    meter = EnergyMeter.open("hwmon", rails=["amdgpu/PPT"], root=tmp_path)
    assert [rail.name for rail in meter.rails if rail.in_total] == ["amdgpu/PPT"]
    with pytest.raises(DeviceError, match="no rail 'ppt'"):
        EnergyMeter.open("hwmon", rails=["ppt"], root=tmp_path)


def test_chips_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    for index in (0, 1):
        write(tmp_path, {f"hwmon/hwmon{index}/name": "ina226", f"hwmon/hwmon{index}/power1_input": 10**6 * (index + 1)})
    assert [rail.name for rail in hwmon.rails(tmp_path)] == ["hwmon0/ina226/power1", "hwmon1/ina226/power1"]


def test_older_jetsons(tmp_path: Path) -> None:
    device = tmp_path / "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    device.mkdir(parents=True)
    (device / "in_power0_input").write_text("2300\n")
    (device / "rail_name_0").write_text("POM_5V_IN\n")
    (rail,) = hwmon.rails(tmp_path)
    assert (rail.name, rail.read(), rail.in_total) == ("ina3221x/POM_5V_IN", pytest.approx(2.3), True)


class NVMLError(Exception):
    pass


def fake_nvml(has_counter: bool) -> SimpleNamespace:
    def total(handle: int) -> int:
        if not has_counter:
            raise NVMLError("Not Supported")
        return 5000 + handle

    return SimpleNamespace(
        NVMLError=NVMLError, nvmlInit=lambda: None, nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: index, nvmlDeviceGetTotalEnergyConsumption=total,
        nvmlDeviceGetPowerUsage=lambda handle: 70_000,
    )  # fmt: skip


def test_nvml_counts_where_the_gpu_does_and_else_samples() -> None:
    counters, gauges = nvml.rails(fake_nvml(True)), nvml.rails(fake_nvml(False))
    assert [(rail.name, rail.counts) for rail in counters] == [("gpu 0", True), ("gpu 1", True)]
    assert counters[1].read() == pytest.approx(5.001)
    assert not gauges[0].counts
    assert gauges[0].read() == pytest.approx(70)


def test_nvml_without_a_driver() -> None:
    library = fake_nvml(True)

    def fails() -> None:
        raise NVMLError("Driver Not Loaded")

    library.nvmlInit = fails
    with pytest.raises(DeviceError, match="Driver Not Loaded"):
        nvml.rails(library)
