"""What a profile says of energy: the same trees, learned from joules instead of seconds."""

from dataclasses import replace

from edgewright.errors import DataError
from edgewright.profile import Profile
from edgewright.timing.fit import fit
from edgewright.timing.model import ExecutionTimeModel


def fit_energy(profile: Profile, *, max_leaves: int = 30, seed: int = 0) -> ExecutionTimeModel:
    """The model of a profile's energy: wherever it says seconds, joules of one run are meant.

    Raises DataError where the energy of no layer was measured.
    """
    return fit(in_joules(profile), max_leaves=max_leaves, seed=seed)


def in_joules(profile: Profile) -> Profile:
    """The measurements that hold energy, with the joules of a run as their sample. Raises DataError without any.

    Their probes tell of the seconds, which were measured at another time.
    """
    found = tuple(
        replace(m, samples_s=(m.energy_j,), probe_s=None)
        for m in profile.comparable.measurements
        if m.energy_j is not None
    )
    if not found:
        raise DataError(f"{profile.device}: its profile holds no energy")
    return replace(profile, measurements=found)


def holds_energy(profile: Profile) -> bool:
    """Whether the energy of any layer was measured."""
    return any(m.energy_j is not None for m in profile.measurements)
