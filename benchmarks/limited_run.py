"""One model in a process that joins a control group: the program behind `benchmarks.swap`.

    python -m benchmarks.limited_run MEMBERS MODEL SETTINGS ARENA_BYTES RUNS

MEMBERS is the file that lists the processes of the group. Interpreter and runtime are loaded before this one joins, so
that the limit is on the model alone: session, weights and activations. Prints "loaded", then the seconds of each run.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

from edgewright.runtimes.harness.onnxruntime_harness import bound_run, open_session, random_inputs


def main(members: str, model: str, settings: str, arena_bytes: str, runs: str) -> None:
    np.ones(1000).sum()
    Path(members).write_text(str(os.getpid()))
    session = open_session(model, 1, "all", settings=settings, arena_bytes=int(arena_bytes))
    run = bound_run(session, random_inputs(session, {}, 0))
    print("loaded", flush=True)
    for _ in range(int(runs)):
        start = time.perf_counter()
        run()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    ort.set_default_logger_severity(3)
    main(*sys.argv[1:])
