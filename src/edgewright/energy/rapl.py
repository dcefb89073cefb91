"""RAPL: energy counters of Intel and AMD processors, which Linux shows under /sys/class/powercap.

Zones that lie within others are told by themselves and left out of the total, but for `dram`, which the package's
counter does not hold. `psys`, the whole platform, counts only where there is nothing else. See the powercap page of
the Linux kernel's documentation.
"""

import re
from pathlib import Path

from edgewright.energy.rail import Rail, number_in, scaled, text_in
from edgewright.errors import DeviceError

_FOLDER = Path("sys/class/powercap")
_ZONE = re.compile(r"intel-rapl(:\d+)+")
_J = 1e-6


def rails(root: Path = Path("/")) -> tuple[Rail, ...]:
    """The zones. Raises DeviceError, which says why there are none or why they can't be read."""
    folder = root / _FOLDER
    if not folder.is_dir():
        raise DeviceError(f"there is no {folder}: no Linux, or a virtual machine that does not pass RAPL on")
    zones = sorted(zone for zone in folder.iterdir() if _ZONE.fullmatch(zone.name))
    zones = [zone for zone in zones if (zone / "energy_uj").exists()]
    if not zones:
        raise DeviceError(f"{folder} holds no zone of RAPL")
    names = {zone: text_in(zone / "name", zone.name) for zone in zones}
    for zone in zones:
        number_in(zone / "energy_uj")
    has_package = any(_is_total(zone, name, False) for zone, name in names.items())
    return tuple(_rail(zone, names, _is_total(zone, names[zone], not has_package)) for zone in zones)


def _is_total(zone: Path, name: str, alone: bool) -> bool:
    if name == "psys":
        return alone
    return zone.name.count(":") == 1 or name == "dram"


def _rail(zone: Path, names: dict[Path, str], in_total: bool) -> Rail:
    above = next((other for other in names if zone.name.rpartition(":")[0] == other.name), None)
    name = f"{names[above]}/{names[zone]}" if above else names[zone]
    limit = zone / "max_energy_range_uj"
    wraps_at_j = number_in(limit) * _J if limit.exists() else None
    return Rail(name, scaled(zone / "energy_uj", _J), True, wraps_at_j, in_total)
