"""Seconds, bytes and counts as text, and back; used only where a person reads or writes."""

import re

from edgewright.errors import BudgetError

_BYTES = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Zµ]*)\s*")


def parse_bytes(text: str) -> int:
    """Bytes of `16MB`, `256 KiB` or `4096`; kB, MB and GB are decimal. Raises BudgetError."""
    return round(_parse(text, _BYTES, "a size such as 16MB or 256KiB"))


def parse_seconds(text: str) -> float:
    """Seconds of `5m`, `90s` or `4ms`; a unit must be given. Raises BudgetError."""
    return _parse(text, _SECONDS, "a time such as 90s, 5m or 4ms")


def _parse(text: str, units: dict[str, float] | dict[str, int], wanted: str) -> float:
    match = _QUANTITY.fullmatch(text)
    unit = match[2].lower().replace("µ", "u") if match else ""
    if match is None or unit not in units:
        raise BudgetError(f"{text!r} is not {wanted}")
    value = float(match[1]) * units[unit]
    if value <= 0:
        raise BudgetError(f"{text!r} must be more than zero")
    return value


def format_seconds(value_s: float) -> str:
    """Three significant digits in the unit that fits: `12.3 us`, `4.56 ms`, `7.89 s`."""
    for limit, scale, unit in ((1e-3, 1e6, "us"), (1.0, 1e3, "ms")):
        if abs(value_s) < limit * 0.9995:
            return f"{_digits(value_s * scale)} {unit}"
    if abs(value_s) < 120:
        return f"{_digits(value_s)} s"
    return f"{value_s / 60:.1f} min"


def format_bytes(value_bytes: float) -> str:
    """Three significant digits in decimal units: `512 B`, `12.6 MB`."""
    for limit, scale, unit in ((1e3, 1.0, "B"), (1e6, 1e3, "kB"), (1e9, 1e6, "MB")):
        if abs(value_bytes) < limit:
            return f"{_digits(value_bytes / scale) if scale > 1 else int(value_bytes)} {unit}"
    return f"{_digits(value_bytes / 1e9)} GB"


def format_count(value: float) -> str:
    """Three significant digits with k, M, G or T: `1.23 G`."""
    for limit, scale, unit in ((1e3, 1.0, ""), (1e6, 1e3, " k"), (1e9, 1e6, " M"), (1e12, 1e9, " G")):
        if abs(value) < limit:
            return f"{_digits(value / scale) if scale > 1 else round(value)}{unit}"
    return f"{_digits(value / 1e12)} T"


def _digits(value: float) -> str:
    magnitude = abs(value)
    decimals = 2 if magnitude < 9.995 else 1 if magnitude < 99.95 else 0
    return f"{value:.{decimals}f}"
