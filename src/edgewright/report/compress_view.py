"""What `compress` did, as data."""

from dataclasses import dataclass

from edgewright.report.side_by_side import SideBySide


@dataclass(frozen=True)
class CutView:
    """A channel group that was cut: `removed` of its channels are gone, and `added` are new, as wider is faster.

    `ops` make or read its channels; `saves` is the share of the predicted time that this cut alone would save.
    """

    group: str
    ops: tuple[str, ...]
    before: int
    after: int
    removed: int
    added: int
    saves: float


@dataclass(frozen=True)
class RoundView:
    """A round: what was aimed at (in what steers), the times of the cut network, and its accuracy after training.

    `kept` is the share that the cut keeps, before training, of what the network has learned (as losses measured for its
    groups tell, or their scores), and `bound` the most that any widths could keep at this time.
    """

    target: float
    predicted_s: float | None
    measured_s: float | None
    kept: float | None
    bound: float | None
    steps: int
    accuracy: float | None


@dataclass(frozen=True)
class CompressView:
    """What came out. Accuracies are what the task's `evaluate` gives, `drop_points` in its points.

    `out` is the folder, None where nothing was written; `onnx`, `weights` and `report` are the files in it.
    `is_stopped` tells that the accuracy allowed no more, so that the target was not reached.
    """

    task: str
    out: str | None
    device: str
    method: str
    steer: str
    target: float
    is_absolute: bool
    accuracy_before: float
    accuracy_after: float
    drop_points: float
    parameters_before: int
    parameters_after: int
    macs_before: int
    macs_after: int
    peak_before_bytes: int
    peak_after_bytes: int
    predicted_before_s: float
    predicted_after_s: float
    is_stopped: bool
    cuts: tuple[CutView, ...]
    rounds: tuple[RoundView, ...]
    proof: SideBySide | None
    seed: int
    notes: tuple[str, ...] = ()

    @property
    def target_s(self) -> float | None:
        """Seconds that were aimed at, where time steers."""
        if self.steer != "time":
            return None
        before_s = self.proof.before_s if self.proof is not None else self.predicted_before_s
        return self.target if self.is_absolute else self.target * before_s
