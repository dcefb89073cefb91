"""What a comparison of two measured times is to those who decide by it."""

from typing import Protocol


class Interval(Protocol):
    """A measured ratio of times and its confidence interval."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
