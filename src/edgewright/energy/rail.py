"""A rail: one thing that a device tells the energy or the power of."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgewright.errors import DeviceError


@dataclass(frozen=True)
class Rail:
    """A counter of joules (`counts`), or a gauge of watts; `read` gives its value now and raises DeviceError.

    A counter begins anew at `wraps_at_j` joules; None where it never does. What is not `in_total` lies within another
    rail, or beside what is asked for.
    """

    name: str
    read: Callable[[], float]
    counts: bool
    wraps_at_j: float | None = None
    in_total: bool = True


def number_in(path: Path) -> float:
    """The number that a file of sysfs holds. Raises DeviceError, which says why it can't be read."""
    try:
        return float(path.read_text(encoding="ascii"))
    except PermissionError as error:
        raise DeviceError(f"{path} can't be read: permission denied; as root it can, or after `chmod o+r`") from error
    except OSError as error:
        raise DeviceError(f"{path} can't be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DeviceError(f"{path} holds no number") from error


def text_in(path: Path, default: str = "") -> str:
    """The one line of a file of sysfs, or `default` where there is none."""
    try:
        return path.read_text(encoding="utf-8").strip() or default
    except (OSError, UnicodeDecodeError):
        return default


def scaled(path: Path, scale: float) -> Callable[[], float]:
    """Reads a file of sysfs, in the unit of the rail."""
    return lambda: number_in(path) * scale
