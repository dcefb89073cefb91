"""Outputs of models on the same random inputs, compared."""

import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.errors import DeviceError
from edgewright.runtimes.client import HarnessClient

TOLERANCE = 1e-5
_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Outputs:
    """What a model gave: names, values, and whether all of them are finite."""

    names: tuple[str, ...]
    values: tuple[NDArray[Any], ...]
    finite: bool


@dataclass(frozen=True)
class OutputDifference:
    """How far outputs are from those of the first model: the largest difference, absolute and in relation to the
    largest value of its output; `same` where integers are equal and floats are within the tolerance.

    `reason` says why outputs can't be compared (another number of them, another shape or type), else it is empty.
    """

    same: bool
    max_absolute: float
    max_relative: float
    reason: str = ""


def outputs_of(client: HarnessClient, model: Path, arguments: Mapping[str, Any]) -> Outputs:
    """The outputs of a model on seeded random inputs. Raises RuntimeRefusedError, DeviceError."""
    with tempfile.TemporaryDirectory() as folder:
        remote = str(Path(folder) / "outputs.npz")
        answer = client.ask("outputs", _TIMEOUT_S, model=client.put(model), to=remote, **arguments)
        try:
            with np.load(client.get(remote)) as archive:
                values = tuple(archive[f"arr_{index}"] for index in range(len(answer["outputs"])))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DeviceError(f"{model}: its outputs did not come back whole ({error})") from error
    return Outputs(tuple(answer["outputs"]), values, answer["finite"])


def compare_outputs(first: Outputs, other: Outputs, tolerance: float = TOLERANCE) -> OutputDifference:
    """The difference of two models' outputs, taken in order."""
    if len(first.values) != len(other.values):
        return OutputDifference(False, np.inf, np.inf, f"{len(other.values)} outputs, not {len(first.values)}")
    found = [_difference(a, b, tolerance) for a, b in zip(first.values, other.values, strict=True)]
    return OutputDifference(
        all(part.same for part in found),
        max((part.max_absolute for part in found), default=0.0),
        max((part.max_relative for part in found), default=0.0),
        "; ".join(f"{name}: {part.reason}" for name, part in zip(first.names, found, strict=True) if part.reason),
    )


def _difference(first: NDArray[Any], other: NDArray[Any], tolerance: float) -> OutputDifference:
    if first.shape != other.shape or first.dtype != other.dtype:
        told = f"{_type(other)}, not {_type(first)}"
        return OutputDifference(False, np.inf, np.inf, told)
    if first.size == 0 or np.array_equal(first, other, equal_nan=first.dtype.kind == "f"):
        return OutputDifference(True, 0.0, 0.0)
    if first.dtype.kind not in "fiub":
        return OutputDifference(False, np.inf, np.inf, "values differ")
    a, b = first.astype(np.float64), other.astype(np.float64)
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return OutputDifference(False, np.inf, np.inf, "not finite at the same places")
    finite = np.isfinite(a)
    absolute = float(np.abs(a - b)[finite].max(initial=0.0))
    largest = float(np.abs(a)[finite].max(initial=0.0))
    relative = absolute / largest if largest else np.inf
    return OutputDifference(first.dtype.kind == "f" and relative <= tolerance, absolute, relative)


def _type(value: NDArray[Any]) -> str:
    return f"{value.dtype.name} {'x'.join(map(str, value.shape)) or 'scalar'}"
