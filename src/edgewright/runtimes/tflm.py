"""TensorFlow Lite Micro on this machine: what its interpreter allocates, and whether two models agree in it."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from edgewright import transports
from edgewright.errors import DeviceError, MeasurementError, RuntimeRefusedError
from edgewright.runtimes.client import HarnessClient

HARNESS = Path(__file__).parent / "harness" / "tflm_harness.py"


@dataclass(frozen=True)
class MeasuredArena:
    """Bytes of the arena that the interpreter used; `records` has those of each kind that its allocator tells apart."""

    head_bytes: int
    tail_bytes: int
    records: Mapping[str, int]

    @property
    def used_bytes(self) -> int:
        return self.head_bytes + self.tail_bytes


@dataclass(frozen=True)
class Comparison:
    """Two models on the same random inputs: `distinct` counts outputs that were not alike, of so many `runs`."""

    runs: int
    differing: int
    largest_difference: float
    distinct: int


def measured_arena(model: Path, arena_bytes: int = 0) -> MeasuredArena:
    """What the interpreter allocates for a model; `arena_bytes` is the arena that it is given (0: as large as needed).

    Raises RuntimeRefusedError where it does not run the model, or not in that arena, and MeasurementError.
    """
    with _harness(model) as client:
        answer = client.ask("memory", model=str(model), arena_bytes=arena_bytes)
    records = {name: used for name, (used, _, _) in answer["records"].items()}
    return MeasuredArena(answer["head_bytes"], answer["tail_bytes"], records)


def compared(first: Path, second: Path, runs: int = 100, arena_bytes: tuple[int, int] = (0, 0)) -> Comparison:
    """Two models on random inputs; where one takes integers and the other floats, those that the integers stand for.

    Raises RuntimeRefusedError where one of them does not run, and MeasurementError.
    """
    with _harness(second) as client:
        sizes = list(arena_bytes)
        answer = client.ask("compare", 600.0, models=[str(first), str(second)], count=runs, arena_bytes=sizes)
    return Comparison(answer["runs"], answer["differing"], answer["largest_difference"], answer["distinct"])


@contextmanager
def _harness(model: Path) -> Iterator[HarnessClient]:
    if find_spec("tflite_micro") is None:
        raise MeasurementError("TensorFlow Lite Micro is not installed: pip install 'edgewright[micro]'")
    try:
        with HarnessClient(transports.open("local"), HARNESS, sys.executable) as client:
            yield client
    except (RuntimeRefusedError, DeviceError) as error:
        raise type(error)(f"{model}: {error}") from error
