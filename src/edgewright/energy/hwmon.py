"""Sensors of power on the board, which Linux shows under /sys/class/hwmon: the INA chips of a Jetson and others.

A sensor tells microwatts (`power1_input`), a counter of microjoules (`energy1_input`), or millivolts and milliamperes
(`in1_input`, `curr1_input`) that belong together in chips of the INA family. Older Jetsons show theirs as
`iio:device*` of the driver ina3221x, in milliwatts. The rails of a board lie within one another, so there is a total
only where the rail that feeds the board is known, or where there is only one.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from edgewright.energy.rail import Rail, number_in, scaled, text_in
from edgewright.errors import DeviceError

_FOLDER = Path("sys/class/hwmon")
_OLDER = Path("sys/bus/i2c/drivers/ina3221x")
BOARD_INPUTS = frozenset({"VDD_IN", "POM_5V_IN", "VDD_5V_IN"})
"""Labels of the rails that feed a whole Jetson module (Nano, TX2, Xavier NX, Orin Nano and NX)."""


def rails(root: Path = Path("/")) -> tuple[Rail, ...]:
    """The sensors that can be read. Raises DeviceError, which says why there are none."""
    chips = sorted((root / _FOLDER).glob("hwmon*"))
    devices = sorted((root / _OLDER).glob("*/iio:device*"))
    told = [(chip, rail) for chip in chips for rail in _of_chip(chip)]
    told += [(device, rail) for device in devices for rail in _of_older(device)]
    if not told:
        why = f"{len(chips)} chips, none of power" if chips else "no such folder, or empty"
        raise DeviceError(f"{root / _FOLDER} holds no sensor of power ({why})")
    names = [rail.name for _, rail in told]
    found = _readable(
        rail if names.count(rail.name) == 1 else replace(rail, name=f"{where.name}/{rail.name}") for where, rail in told
    )
    inputs = {rail.name for rail in found if rail.name.rpartition("/")[2] in BOARD_INPUTS}
    total = inputs or ({found[0].name} if len(found) == 1 else set())
    return tuple(replace(rail, in_total=rail.name in total) for rail in found)


def _readable(rails: Iterable[Rail]) -> list[Rail]:
    """The rails that answer; a channel that is switched off does not. Raises DeviceError where none does."""
    found, failures = [], []
    for rail in rails:
        try:
            rail.read()
            found.append(rail)
        except DeviceError as error:
            failures.append(error)
    if not found:
        raise failures[0]
    return found


def _of_chip(chip: Path) -> Iterator[Rail]:
    name = text_in(chip / "name", chip.name)
    powers: dict[int, Path] = {}
    for pattern in ("power*_average", "power*_input"):
        powers |= {_index(path): path for path in sorted(chip.glob(pattern))}
    for index, path in sorted(powers.items()):
        label = text_in(chip / f"power{index}_label") or text_in(chip / f"in{index}_label", f"power{index}")
        yield Rail(f"{name}/{label}", scaled(path, 1e-6), False)
    for path in sorted(chip.glob("energy*_input")):
        label = text_in(chip / f"energy{_index(path)}_label", f"energy{_index(path)}")
        yield Rail(f"{name}/{label}", scaled(path, 1e-6), True)
    if name.startswith("ina") and not powers:
        yield from _of_pairs(chip, name)


def _of_pairs(chip: Path, name: str) -> Iterator[Rail]:
    """Voltage times current of the same channel; a channel that is switched off is left out."""
    for path in sorted(chip.glob("in*_input")):
        index = _index(path)
        current = chip / f"curr{index}_input"
        if current.exists() and text_in(chip / f"in{index}_enable", "1") != "0":
            label = text_in(chip / f"in{index}_label", f"channel {index}")
            yield Rail(f"{name}/{label}", _product(path, current), False)


def _of_older(device: Path) -> Iterator[Rail]:
    for path in sorted(device.glob("in_power*_input")):
        label = text_in(device / f"rail_name_{_index(path)}", f"channel {_index(path)}")
        yield Rail(f"ina3221x/{label}", scaled(path, 1e-3), False)


def _product(voltage: Path, current: Path) -> Callable[[], float]:
    return lambda: number_in(voltage) * number_in(current) * 1e-6


def _index(path: Path) -> int:
    found = re.search(r"\d+", path.name)
    return int(found.group()) if found else 0
