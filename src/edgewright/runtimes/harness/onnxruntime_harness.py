"""What runs on the device for ONNX Runtime: one file, needs only onnxruntime and numpy.

Jobs come as JSON lines on standard input, each is answered by one JSON line on standard output:

    {"job": "about"}
    {"job": "time", "model": PATH, ...}       end-to-end times of a model, without the profiler
    {"job": "layers", "model": PATH, ...}     the same, and the time of every node that the runtime executes
    {"job": "load", "model": PATH, ...}       opens a model and keeps it open, warm
    {"job": "round", ...}                     end-to-end times of the model that is kept open
    {"job": "outputs", "model": PATH, "to": NPZ, ...}   the outputs on random inputs

A job that fails is answered by {"error": TEXT}. A crash ends the process: the host starts another one.
"""

import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


def main():
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the runtime prints must not mix with the answers
    ort.set_default_logger_severity(4)
    for line in sys.stdin:
        try:
            job = json.loads(line)
            answer = JOBS[job.pop("job")](**job)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


def about():
    """What this device is."""
    name = ""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith(("model name", "hardware")):
                name = line.split(":", 1)[1].strip()
                break
    return {"processor": name, "cores": os.cpu_count(), "runtime_version": ort.__version__}


def time_model(model, threads=1, level="all", shapes=None, seed=0, cpu=None, **limits):
    """End-to-end samples of one model."""
    pin(cpu, threads)
    started = time.perf_counter()
    session = open_session(model, threads, level)
    loaded_s = time.perf_counter() - started
    run = bound_run(session, random_inputs(session, shapes or {}, seed))
    warmup_runs = warm_up(run, limits.get("warmup_s", 0.2))
    return {"samples_s": sample(run, **limits), "warmup_runs": warmup_runs, "load_s": loaded_s}


def layers(model, optimized=None, end_to_end=True, threads=1, level="all", shapes=None, seed=0, cpu=None, **limits):
    """End-to-end samples, then every executed node with its samples from the runtime's profiler.

    Runs with and without the profiler alternate, so that both see the same state of the machine; without
    `end_to_end` the profiler is always on.
    `optimized` is where the runtime writes the model that it really executes.
    """
    pin(cpu, threads)
    with tempfile.TemporaryDirectory() as folder:
        profiled = open_session(model, threads, level, profile=str(Path(folder) / "p"), optimized=optimized)
        inputs = random_inputs(profiled, shapes or {}, seed)
        run_profiled = bound_run(profiled, inputs)
        run = bound_run(open_session(model, threads, level), inputs) if end_to_end else None
        warmup_runs = warm_up(run or run_profiled, limits.get("warmup_s", 0.02))
        runs = [1 if run else warmup_runs]
        if run:
            run_profiled()
        rounds = limits.pop("rounds", 5)
        share = {**limits, "limit_s": limits.get("limit_s", 1.0) / (2 * rounds)}
        samples = []
        for _ in range(rounds):
            samples += sample(run, **share) if run else []
            runs.append(len(sample(run_profiled, **share)))
        nodes = node_samples(json.loads(Path(profiled.end_profiling()).read_text()), runs)
    return {"samples_s": samples, "warmup_runs": warmup_runs, "nodes": nodes}


def load(model, threads=1, level="all", shapes=None, seed=0, cpu=None, warmup_s=0.2):
    """Opens a model for rounds to come and warms it up; `run_s` is the time of a warm run."""
    pin(cpu, threads)
    started = time.perf_counter()
    session = open_session(model, threads, level)
    loaded_s = time.perf_counter() - started
    KEPT["run"] = bound_run(session, random_inputs(session, shapes or {}, seed))
    warmup_runs = warm_up(KEPT["run"], warmup_s)
    return {"load_s": loaded_s, "warmup_runs": warmup_runs, "run_s": timed(KEPT["run"])}


def time_round(limit_s=0.1, least=1, most=1000):
    """Samples of the model kept open; a run before them brings the caches back, which other processes have used."""
    timed(KEPT["run"])
    return {"samples_s": sample(KEPT["run"], precision=0, limit_s=limit_s, least=least, most=most)}


def outputs(model, to, threads=1, level="all", shapes=None, seed=0):
    """The outputs on seeded random inputs, written as an npz file in the order of the model's outputs."""
    session = open_session(model, threads, level)
    values = session.run(None, random_inputs(session, shapes or {}, seed))
    with Path(to).open("wb") as file:
        np.savez(file, *values)
    finite = all(np.isfinite(v).all() for v in values if v.dtype.kind == "f")
    return {"outputs": [o.name for o in session.get_outputs()], "finite": bool(finite)}


def open_session(model, threads, level, profile=None, optimized=None):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_{LEVELS[level]}")
    options.log_severity_level = 4
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    if optimized:
        options.optimized_model_filepath = optimized
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


LEVELS = {"all": "ENABLE_ALL", "extended": "ENABLE_EXTENDED", "basic": "ENABLE_BASIC", "none": "DISABLE_ALL"}


def random_inputs(session, shapes, seed):
    """Seeded inputs: floats in (0, 1), small integers; a dynamic axis without a given shape is 1."""
    random = np.random.default_rng(seed)
    found = {}
    for wanted in session.get_inputs():
        shape = shapes.get(wanted.name) or [d if isinstance(d, int) else 1 for d in wanted.shape]
        dtype = DTYPES[wanted.type]
        if np.issubdtype(dtype, np.floating):
            found[wanted.name] = random.random(shape, dtype=np.float32).astype(dtype)
        else:
            found[wanted.name] = random.integers(0, 2, shape).astype(dtype)
    return found


def bound_run(session, inputs):
    """A call that runs the session once, without copying inputs or outputs."""
    binding = session.io_binding()
    for name, value in inputs.items():
        binding.bind_cpu_input(name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name, "cpu")
    return lambda: session.run_with_iobinding(binding)


def warm_up(run, warmup_s):
    """Run until `warmup_s` has passed and the last runs are no longer getting faster; returns the runs made."""
    end, times = time.perf_counter() + warmup_s, []
    while time.perf_counter() < end or len(times) < 2:
        times.append(timed(run))
        if len(times) >= 20 and min(times[-5:]) > 0.99 * min(times[:-5]):
            break
    return len(times)


def sample(run, precision=0.01, limit_s=1.0, least=3, most=1000, **_):
    """Samples until the standard error of the median is below `precision`, or the time is up."""
    samples, end = [], time.perf_counter() + limit_s
    while len(samples) < most and (len(samples) < least or time.perf_counter() < end):
        samples.append(timed(run))
        if len(samples) >= max(least, 10) and len(samples) % 5 == 0 and precise(samples, precision):
            break
    return samples


def precise(samples, precision):
    low, middle, high = np.percentile(samples, (25, 50, 75))
    return 0.93 * (high - low) / len(samples) ** 0.5 < precision * middle


def timed(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def node_samples(events, runs):
    """Each executed node in execution order: its shapes and one sample a round, the first (warming) round left out.

    The profiler counts whole microseconds; the mean over the middle half of a round's runs is finer and robust.
    """
    kernels = [e for e in events if e.get("cat") == "Node" and e["name"].endswith("_kernel_time")]
    count = len(kernels) // sum(runs)
    durations = np.array([e["dur"] for e in kernels[: count * sum(runs)]]).reshape(sum(runs), count) * 1e-6
    rounds = np.split(durations, np.cumsum(runs)[:-1])[1:]
    samples = np.array([middle_mean(r) for r in rounds])
    nodes = []
    for position, event in enumerate(kernels[:count]):
        args = event["args"]
        nodes.append(
            {
                "name": event["name"].removesuffix("_kernel_time"),
                "output_shapes": shapes_of(args.get("output_type_shape", [])),
                "samples_s": [round(float(s), 9) for s in samples[:, position]],
            }
        )
    return nodes


def middle_mean(durations):
    """The mean of the middle half of each column."""
    ordered, n = np.sort(durations, axis=0), len(durations)
    return ordered[n // 4 : n - n // 4].mean(axis=0)


def shapes_of(typed):
    return [shape for item in typed for shape in item.values()]


def pin(cpu, threads):
    if cpu is not None and threads == 1 and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {cpu})


KEPT = {}
JOBS = {"about": about, "time": time_model, "layers": layers, "load": load, "round": time_round, "outputs": outputs}

if __name__ == "__main__":
    main()
