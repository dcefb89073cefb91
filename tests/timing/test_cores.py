"""Jobs on other cores give what they give here, whatever becomes of the workers."""

import importlib
import math
import os
import sys

import pytest
from tests.fakes import fake_seconds

from edgewright.graph.types import LayerSpec
from edgewright.profile import Measurement, Profile
from edgewright.profiling.plan import GeneralPlan
from edgewright.timing.cores import Job, run_jobs

learning = importlib.import_module("edgewright.timing.fit")  # the package has a function of that name
LONG = 10_000
"""Rows of a job that is worth a worker."""


def test_results_come_in_the_order_of_the_jobs_from_processes_of_their_own() -> None:
    assert run_jobs([Job(math.factorial, (n,), LONG + n) for n in range(7)], 2) == [1, 1, 2, 6, 24, 120, 720]
    assert os.getpid() not in run_jobs([Job(os.getpid, (), LONG)] * 2, 2)


def test_little_work_and_a_single_core_stay_here() -> None:
    assert run_jobs([Job(os.getpid, (), 1)] * 2, 2) == [os.getpid()] * 2
    assert run_jobs([Job(os.getpid, (), LONG)] * 2, 1) == [os.getpid()] * 2
    assert run_jobs([], 2) == []


def test_what_a_job_raises_is_raised_here() -> None:
    with pytest.raises(ValueError, match=r"domain|nonnegative"):
        run_jobs([Job(math.sqrt, (-1.0,), LONG), Job(math.sqrt, (4.0,), LONG)], 2)


def in_a_worker_ends_it(caller: int) -> int:
    if os.getpid() != caller:
        os._exit(1)
    return caller


def test_a_job_whose_worker_dies_or_does_not_start_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    here = os.getpid()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    assert run_jobs([Job(in_a_worker_ends_it, (here,), LONG)] * 3, 2) == [here] * 3
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert run_jobs([Job(os.getpid, (), LONG)] * 3, 2) == [here] * 3


def profile_of(layers: list[LayerSpec]) -> Profile:
    made = tuple(Measurement(layer, (fake_seconds(layer),)) for layer in layers)
    return Profile("here", "fake", "0", 1, made)


def test_what_is_learned_does_not_depend_on_the_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [layer for number in range(1, 13) for layer in GeneralPlan().batch(number, [])]
    profile = profile_of([layer for layer in drawn if layer.family in ("unary", "fully_connected")])
    asked = []

    def on(workers: int) -> object:
        def run(jobs: list[Job]) -> list[object]:
            asked.append(len(jobs))
            return run_jobs([Job(job.function, job.arguments, LONG) for job in jobs], workers)

        monkeypatch.setattr(learning, "run_jobs", run)
        return learning.fit(profile, max_leaves=3)

    assert on(2) == on(1)
    assert asked and min(asked) > 5
