"""Fake trees of sysfs."""

from pathlib import Path


def write(root: Path, files: dict[str, object]) -> Path:
    for name, content in files.items():
        path = root / "sys/class" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


def rapl(root: Path) -> Path:
    """Two packages with what lies within them, and the platform; 60 J, 61 J, 20 J, 7 J and 500 J so far."""
    zones = {
        "intel-rapl:0": ("package-0", 60), "intel-rapl:0:0": ("core", 30), "intel-rapl:0:1": ("dram", 20),
        "intel-rapl:1": ("package-1", 61), "intel-rapl:1:0": ("dram", 7), "intel-rapl:2": ("psys", 500),
        "intel-rapl-mmio:0": ("package-0", 60),
    }  # fmt: skip
    files: dict[str, object] = {"powercap/intel-rapl/enabled": 1}
    for zone, (name, joules) in zones.items():
        files |= {f"powercap/{zone}/name": name, f"powercap/{zone}/energy_uj": joules * 10**6}
        files[f"powercap/{zone}/max_energy_range_uj"] = 100 * 10**6
    return write(root, files)


def jetson(root: Path) -> Path:
    """An INA3221 with three rails, the first of which feeds the board at 5 V and 2 A, and a chip of temperatures."""
    files: dict[str, object] = {"hwmon/hwmon0/name": "cpu_thermal", "hwmon/hwmon0/temp1_input": 40_000}
    files["hwmon/hwmon1/name"] = "ina3221"
    for index, (label, millivolts, milliamperes) in enumerate(
        [("VDD_IN", 5000, 2000), ("VDD_CPU_GPU_CV", 5000, 800), ("VDD_SOC", 5000, 300)], 1
    ):
        files[f"hwmon/hwmon1/in{index}_label"] = label
        files[f"hwmon/hwmon1/in{index}_input"] = millivolts
        files[f"hwmon/hwmon1/curr{index}_input"] = milliamperes
        files[f"hwmon/hwmon1/in{index + 3}_input"] = 1
    return write(root, files)
