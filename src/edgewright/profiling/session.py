"""The campaign: batch after batch of layers, appended to the profile as they end, until the budget is spent.

Which layers a batch holds follows from the plan, the batch's number and the measurements before it, so a campaign
that was interrupted goes on as if it had not been. A batch is written in one piece: what was measured is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from time import monotonic

from edgewright.errors import StoreError
from edgewright.profile import Measurement, Profile, dump_header, dump_measurement, load_profile
from edgewright.profiling.batch import Workplace, calibrated, measure
from edgewright.profiling.plan import Plan, batch_number, plan_of

_LONGEST_BATCH_S = 30.0


@dataclass(frozen=True)
class Progress:
    """How far a campaign is: seconds spent of its budget, and measurements so far."""

    spent_s: float
    budget_s: float
    measurements: int


def campaign(
    places: Sequence[Workplace],
    path: Path,
    header: Profile,
    plan: Plan,
    budget_s: float,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Profile:
    """Measures until the plan has had `budget_s` in all, earlier sessions included; returns the profile at `path`.

    Its first batch is measured however short the budget is, so that there is something to learn from.
    All `places` measure layers of the same batch at the same time, so that what the next one holds does not depend on
    how many they are.

    Raises StoreError where the file belongs to another device, runtime or setting or can't be written, DeviceError
    where the harness can't be started.
    """
    started = monotonic()
    places = list(map(calibrated, places))
    profile = _opened(path, replace(header, measurements=(), run_overhead_s=places[0].overheads.run_s))
    measured = list(profile.measurements)
    own = [m for m in measured if plan_of(m) == plan.name]
    number = 1 + max(map(batch_number, own), default=-1)
    before_s = spent_s(own)
    while (spent := before_s + monotonic() - started) < budget_s or number == 0:
        on_progress(Progress(spent, budget_s, len(measured)))
        layers = plan.batch(number, measured)
        if not layers:
            break
        name = f"{plan.name}/{number}"
        made = measure(places, layers, name, plan.together(number))
        _append(path, "".join(f"{dump_measurement(m)}\n" for m in made))
        measured += made
        number += 1
    on_progress(Progress(budget_s, budget_s, len(measured)))
    return load(path)


def load(path: Path) -> Profile:
    """The profile in a file. Raises StoreError."""
    try:
        with path.open(encoding="utf-8") as lines:
            return load_profile(lines, str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"can't read {path}: {error}") from error


def spent_s(measured: Sequence[Measurement]) -> float:
    """Seconds that measuring took, from the times at which the batches were started; pauses are left out."""
    starts = sorted({m.started_s for m in measured})
    return sum(min(later - earlier, _LONGEST_BATCH_S) for earlier, later in pairwise(starts))


def _opened(path: Path, header: Profile) -> Profile:
    """The profile that is there, of the same circumstances, its torn end cut off; or a new one."""
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"can't write {path}: {error.strerror or error}") from error
        _append(path, dump_header(header) + "\n")
        return header
    found = load(path)
    if _circumstances(found) != _circumstances(header):
        raise StoreError(
            f"{path} holds a profile of {_circumstances(found)}, not of {_circumstances(header)}; choose another name"
        )
    text = path.read_bytes()
    if not text.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(text.rfind(b"\n") + 1)
    return found


def _circumstances(profile: Profile) -> str:
    threads = f"{profile.threads} thread{'s' if profile.threads != 1 else ''}"
    return ", ".join((profile.device, f"{profile.runtime} {profile.runtime_version}", threads, profile.settings))


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise StoreError(f"can't write {path}: {error.strerror or error}") from error
