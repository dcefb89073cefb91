"""What there is to measure energy with on this machine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgewright.energy import hwmon, nvml, rapl
from edgewright.energy.rail import Rail
from edgewright.errors import DeviceError

SOURCES: Mapping[str, Callable[[Path], tuple[Rail, ...]]] = {
    "rapl": rapl.rails,
    "hwmon": hwmon.rails,
    "nvml": lambda _: nvml.rails(),
}


@dataclass(frozen=True)
class Availability:
    """A source and its rails; without any, the `reason` why it is not available here."""

    source: str
    rails: tuple[str, ...]
    reason: str = ""

    @property
    def is_available(self) -> bool:
        return bool(self.rails)

    def __str__(self) -> str:
        return f"{self.source}: {', '.join(self.rails) if self.rails else f'not available here: {self.reason}'}"


def available(root: Path = Path("/")) -> tuple[Availability, ...]:
    """Every source, with its rails or with the reason why it is not available here; `root` is where /sys lies."""
    found = []
    for source in SOURCES:
        try:
            found.append(Availability(source, tuple(rail.name for rail in rails_of(source, root))))
        except DeviceError as error:
            found.append(Availability(source, (), str(error)))
    return tuple(found)


def rails_of(source: str, root: Path = Path("/")) -> tuple[Rail, ...]:
    """The rails of a source. Raises DeviceError where it is not available here, or unknown."""
    if source not in SOURCES:
        raise DeviceError(f"no source of energy {source!r}; there are {', '.join(SOURCES)}")
    return SOURCES[source](root)
