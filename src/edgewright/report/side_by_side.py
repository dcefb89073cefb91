"""What `bench` tells of a file and of what was made of it, side by side."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewright.profiling.bench import BenchReport


@dataclass(frozen=True)
class SideBySide:
    """Both files in turns: `ratio` is the new time over the old one, with its confidence interval."""

    before_s: float
    after_s: float
    ratio: float
    low: float
    high: float
    peak_before_bytes: int | None
    peak_after_bytes: int | None
    runtime_version: str
    processor: str


def side_by_side(report: "BenchReport") -> SideBySide:
    """The figures of a comparison of two files."""
    first, second = report.results
    ratio = second.ratio
    assert ratio is not None
    return SideBySide(
        first.median_s, second.median_s, ratio.value, ratio.low, ratio.high, first.peak_bytes, second.peak_bytes,
        report.runtime_version, report.processor,
    )  # fmt: skip
