"""The comparison of models: rounds are interleaved, the interval holds the truth, outputs are told apart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cli.conftest import write_network
from tests.fakes import FakeClient

from edgewright.errors import DeviceError, RuntimeRefusedError
from edgewright.profiling.bench import BenchReport, BenchResult, BenchSetup, bench
from edgewright.profiling.outputs import Outputs, compare_outputs
from edgewright.profiling.stats import ratio_of


def rounds(random: np.random.Generator, true: float, processes: int = 5, count: int = 10) -> Any:
    """Times that drift together, and vary by process and by round."""
    drift = 1 + 0.2 * np.cumsum(random.random((processes, count)), axis=1)
    first = drift * np.exp(0.01 * random.standard_normal((processes, count)))
    process = np.exp(0.02 * random.standard_normal((processes, 1)))
    other = true * drift * process * np.exp(0.01 * random.standard_normal((processes, count)))
    return other, first


def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says() -> None:
    random, hits = np.random.default_rng(1), 0
    for trial in range(100):
        found = ratio_of(*rounds(random, 1.1), resamples=400, seed=trial)
        hits += found.low <= 1.1 <= found.high
    assert 85 <= hits <= 100


def test_the_interval_narrows_with_more_processes() -> None:
    random = np.random.default_rng(2)
    few, many = (ratio_of(*rounds(random, 1.3, processes)) for processes in (3, 40))
    assert many.high - many.low < (few.high - few.low) / 2
    assert abs(many.value / 1.3 - 1) < 0.02


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 8), st.floats(0.1, 10))
def test_ratio_is_inside_its_interval_and_scales(processes: int, count: int, factor: float) -> None:
    other, first = rounds(np.random.default_rng(processes), 1.0, processes, count)
    found, scaled = ratio_of(other, first, 100), ratio_of(other * factor, first, 100)
    assert found.low <= found.value <= found.high
    assert scaled.value == pytest.approx(found.value * factor)


class Recording(FakeClient):
    """Writes down which process did what."""

    def __init__(self, log: list[tuple[int, str]], number: int, slow: Callable[[], float] = lambda: 1.0) -> None:
        super().__init__()
        self.log, self.number, self.slow = log, number, slow

    def ask(self, job: str, timeout_s: float = 120.0, **arguments: Any) -> dict[str, Any]:
        self.log.append((self.number, job))
        answer = super().ask(job, timeout_s, **arguments)
        if job == "round":
            return {"samples_s": [sample * self.slow() for sample in answer["samples_s"]]}
        return answer


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    return [write_network(tmp_path / f"{width}.onnx", channels=width) for width in (8, 16)]


def test_rounds_are_interleaved_in_fresh_processes(models: list[Path]) -> None:
    log: list[tuple[int, str]] = []
    started = iter(range(100))
    report = bench(lambda: Recording(log, next(started)), models, BenchSetup(generations=3))  # type: ignore[arg-type,return-value]
    for generation in range(3):
        a, b = 4 + 2 * generation, 5 + 2 * generation
        own = [entry for entry in log if entry[0] in (a, b)]
        assert own == [(a, "load"), (b, "load")] + [(a, "round"), (b, "round")] * 10
    assert report.rounds == 10
    assert report.results[0].samples == 3 * 10 * 5


def test_a_drifting_machine_meets_both_alike(models: list[Path]) -> None:
    log: list[tuple[int, str]] = []

    def slower_and_slower() -> float:
        return 1.0 + len(log) / 100

    steady = bench(lambda: Recording([], 0), models, BenchSetup()).results[1].ratio  # type: ignore[arg-type,return-value]
    drifting = bench(lambda: Recording(log, 0, slower_and_slower), models, BenchSetup())  # type: ignore[arg-type,return-value]
    assert steady is not None
    assert drifting.results[1].ratio is not None
    assert drifting.results[1].ratio.value == pytest.approx(steady.value, rel=0.02)
    assert drifting.results[0].p95_s > 1.3 * drifting.results[0].median_s


@pytest.mark.parametrize("error", [RuntimeRefusedError, DeviceError])
def test_what_fails_names_the_model(models: list[Path], error: type[Exception]) -> None:
    refuse = {RuntimeRefusedError: "refuses", DeviceError: "crashes"}[error]
    wide = {refuse: lambda layer: layer.output[1] == 16 and layer.window.kernel == (3, 3)}
    with pytest.raises(error, match=r"16\.onnx"):
        bench(lambda: FakeClient(**wide), models, BenchSetup())  # type: ignore[arg-type,return-value]


def outputs(*values: Any) -> Outputs:
    return Outputs(tuple(f"out{index}" for index in range(len(values))), values, True)


FLOATS = np.array([1.0, -2.0, 0.5], np.float32)


@pytest.mark.parametrize(
    ("first", "other", "same", "reason"),
    [
        ([FLOATS], [FLOATS], True, ""),
        ([FLOATS], [FLOATS * (1 + 2e-6)], True, ""),
        ([FLOATS], [FLOATS * (1 + 1e-4)], False, ""),
        ([FLOATS * 0], [FLOATS * 0], True, ""),
        ([FLOATS * 0], [FLOATS * 1e-9], False, ""),
        ([FLOATS], [FLOATS, FLOATS], False, "2 outputs, not 1"),
        ([FLOATS], [FLOATS[:2]], False, "float32 2, not float32 3"),
        ([FLOATS], [FLOATS.astype(np.float64)], False, "float64 3, not float32 3"),
        ([np.array([1, 2], np.int8)], [np.array([1, 2], np.int8)], True, ""),
        ([np.array([1, 2], np.int8)], [np.array([1, 3], np.int8)], False, ""),
        ([np.array([np.nan, 1])], [np.array([np.nan, 1])], True, ""),
        ([np.array([np.nan, 1])], [np.array([1, np.nan])], False, "not finite"),
        ([np.zeros((0, 3), np.float32)], [np.zeros((0, 3), np.float32)], True, ""),
        ([], [], True, ""),
    ],
)
def test_outputs_compared(first: list[Any], other: list[Any], same: bool, reason: str) -> None:
    found = compare_outputs(outputs(*first), outputs(*other))
    assert found.same == same
    assert reason in found.reason
    assert found.same == (found.max_relative <= 1e-5)


def test_what_is_not_finite_in_both_alike_is_a_failure_but_no_difference() -> None:
    gap, number = np.array([np.nan, 1.0], np.float32), np.array([0.5, 1.0], np.float32)

    def result(values: Any) -> BenchResult:
        made = outputs(values)
        difference = compare_outputs(outputs(gap), made)
        return BenchResult("m.onnx", 1.0, 1.0, 1, 0.0, None, 0, bool(np.isfinite(values).all()), difference=difference)

    def report(values: Any) -> BenchReport:
        return BenchReport("here", "onnxruntime", "1", "x", 1, True, 1, 1, (result(gap), result(values)))

    assert len(report(gap).failures) == 2
    assert report(gap).differences == ()
    assert "not finite at the same places" in report(number).differences[0]
