"""Learning on all cores: jobs handed to worker processes, each a fresh interpreter."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Event
from typing import IO, Any

_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_FEWEST_ROWS = 1000
"""Less work than this is done before a worker has started."""


@dataclass(frozen=True)
class Job:
    """A call of a module's function; `rows` are what it learns from, and tell how long it takes."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    rows: int

    def run(self) -> Any:
        return self.function(*self.arguments)


def run_jobs(jobs: Sequence[Job], workers: int | None = None) -> list[Any]:
    """The results of all jobs, in their order; the longest are begun first.

    On as many worker processes as there are cores to use (`workers`), here where there is one or little to do. A job
    whose worker can't be started, or dies, is done here too.
    """
    count = min(_usable_cores() if workers is None else workers, len(jobs))
    if count < 2 or sum(job.rows for job in jobs) < _FEWEST_ROWS:
        return [job.run() for job in jobs]
    order = sorted(range(len(jobs)), key=lambda index: -jobs[index].rows)
    started = [_started() for _ in range(count)]
    free, stopped = list(started), Event()

    def run(index: int) -> Any:
        worker = free.pop()
        try:
            return _asked(worker, jobs[index], stopped)
        finally:
            free.append(worker)

    with ThreadPoolExecutor(count) as threads:
        try:
            found = dict(zip(order, threads.map(run, order), strict=True))
        finally:  # an interrupt does not wait for the jobs at hand
            stopped.set()
            threads.shutdown(wait=False, cancel_futures=True)
            for worker in started:
                _end(worker)
    return [found[index] for index in range(len(jobs))]


def main() -> None:
    """Answers jobs on standard input, until it ends, on standard output."""
    with suppress(AttributeError, OSError):  # learning must not take turns with what is measured
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            job: Job = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = True, job.run()
        except Exception as error:
            answer = False, error
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _started() -> subprocess.Popen[bytes] | None:
    """A worker: not forked from this process, which has threads, nor importing the program that called (`spawn`)."""
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ONE_THREAD},
        )
    except OSError:
        return None


def _asked(worker: subprocess.Popen[bytes] | None, job: Job, stopped: Event) -> Any:
    """The result of a job from a worker, or from here where it fails to answer."""
    if worker is None:
        return job.run()
    try:
        succeeded, result = _exchanged(worker.stdin, worker.stdout, job)
    except (OSError, EOFError, ValueError, pickle.UnpicklingError):
        return None if stopped.is_set() else job.run()
    if not succeeded:
        raise result
    return result


def _exchanged(jobs: IO[bytes] | None, answers: IO[bytes] | None, job: Job) -> tuple[bool, Any]:
    assert jobs is not None and answers is not None
    pickle.dump(job, jobs, pickle.HIGHEST_PROTOCOL)
    jobs.flush()
    found: tuple[bool, Any] = pickle.load(answers)
    return found


def _end(worker: subprocess.Popen[bytes] | None) -> None:
    if worker is not None:
        worker.kill()
        worker.wait()
