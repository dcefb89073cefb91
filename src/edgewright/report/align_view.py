"""What `align` changed, what was predicted of it and what was measured, as data."""

from dataclasses import dataclass

from edgewright.report.side_by_side import SideBySide


@dataclass(frozen=True)
class RivalView:
    """A whole plan that was considered: its growth of the weights, and its time in relation to the network as it is.

    `measured` and its interval are None where it was not run, as it does not keep to the bounds.
    """

    name: str
    weights_growth: float
    predicted: float
    measured: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ChangeView:
    """A channel group that changed: `removed` channels were dead. What it saves, in shares of the time without it: as
    predicted, and as measured where it was tried alone."""

    group: str
    before: int
    after: int
    removed: int
    added: int
    predicted_saving: float
    measured_saving: float | None


@dataclass(frozen=True)
class TrialView:
    """A plan that was measured against another one: times in relation to it, predicted and measured, with the interval;
    `changed` is how many groups differ."""

    changed: int
    predicted: float
    measured: float
    low: float
    high: float


@dataclass(frozen=True)
class AlignProofView(SideBySide):
    """Both files side by side, and how far outputs differ; `max_relative` is to an output's largest value."""

    outputs_equal: bool
    max_relative: float

    @property
    def is_faster(self) -> bool:
        return self.high < 1


@dataclass(frozen=True)
class AlignView:
    """What `align` found; `out` is None, and nothing was written, where nothing proved to be faster.

    `groups` is how many channel groups the network has, `trials` all that was measured on the way.
    """

    model: str
    out: str | None
    device: str
    max_growth: float
    groups: int
    trials: tuple[TrialView, ...]
    changes: tuple[ChangeView, ...]
    rivals: tuple[RivalView, ...]
    weights_growth: float
    weights_before_bytes: int
    weights_after_bytes: int
    predicted_before_s: float
    predicted_after_s: float
    proof: AlignProofView | None
    notes: tuple[str, ...] = ()
