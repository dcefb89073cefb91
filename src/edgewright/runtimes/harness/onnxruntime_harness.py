"""What runs on the device for ONNX Runtime: one file, needs only onnxruntime and numpy.

Jobs come as JSON lines on standard input, each is answered by one JSON line on standard output:

    {"job": "about"}
    {"job": "layout"}                         the channels of a block of the runtime's blocked layout
    {"job": "layers", "model": PATH, ...}     end-to-end times, and the time of every node that the runtime executes
    {"job": "load", "model": PATH, ...}       opens a model and keeps it open, warm
    {"job": "round", ...}                     end-to-end times of the model that is kept open
    {"job": "outputs", "model": PATH, "to": NPZ, ...}   the outputs on random inputs
    {"job": "memory", "model": PATH, "settings": "default", ...}   peak memory; the first job of its process

A job that fails is answered by {"error": TEXT}. A crash ends the process: the host starts another one.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import mmap
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

os.environ["NUMPY_MADVISE_HUGEPAGE"] = "0"  # huge pages of freed arrays would be counted as the network's

import numpy as np
import onnxruntime as ort

Answer = dict[str, Any]
Array = np.ndarray[Any, Any]
Run = Callable[[], Any]
Clock = Callable[[], float]
Shapes = dict[str, list[int]]
DTYPES: dict[str, Any] = {
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


def main() -> None:
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


def about() -> Answer:
    """What this device is."""
    name = ""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith(("model name", "hardware")):
                name = line.split(":", 1)[1].strip()
                break
    return {"processor": name, "cores": os.cpu_count(), "runtime_version": ort.__version__}


def layers(
    model: str,
    optimized: str | None = None,
    end_to_end: bool = True,
    threads: int = 1,
    level: str = "all",
    shapes: Shapes | None = None,
    seed: int = 0,
    cpu: int | None = None,
    calm_s: float = 0.0,
    patience_s: float = 20.0,
    **limits: Any,
) -> Answer:
    """End-to-end samples, then every executed node with its samples from the runtime's profiler.

    Runs with and without the profiler alternate, so that both see the same state of the machine; without
    `end_to_end` the profiler is always on.
    `optimized` is where the runtime writes the model that it really executes; `calm_s` is what the probe takes when
    nothing disturbs, where that is known, and `patience_s` how long a round waits for that.
    """
    pin(cpu, threads)
    PROBE.expect(calm_s)
    with tempfile.TemporaryDirectory() as folder:
        profiled = open_session(model, threads, level, profile=str(Path(folder) / "p"), optimized=optimized)
        inputs = random_inputs(profiled, shapes or {}, seed)
        run_profiled = bound_run(profiled, inputs)
        run = bound_run(open_session(model, threads, level), inputs) if end_to_end else None
        warmup_runs = warm_up(run or run_profiled, limits.get("warmup_s", 0.001))
        runs = [1 if run else warmup_runs]
        if run:
            run_profiled()
        rounds = limits.pop("rounds", 5)
        share = {**limits, "limit_s": limits.get("limit_s", 1.0) / (2 * rounds)}
        samples: list[list[float]] = []
        calm: list[bool] = []
        probes: list[float] = []
        patient, is_calm = True, False
        while not enough(calm, rounds):
            if patient and not is_calm:
                patient = is_calm = PROBE.wait(patience_s)
            samples.append(sample(run, **share) if run else [])
            profiled_s = sample(run_profiled, **share)
            runs.append(len(profiled_s))
            if min(profiled_s) > rounds * share["limit_s"]:
                rounds = min(rounds, FEWEST_ROUNDS)
            was_calm, is_calm = is_calm, PROBE.is_calm()
            calm.append(was_calm and is_calm)
            probes.append(PROBE.last_s)
        kept = calm if sum(calm) >= min(rounds, FEWEST_CALM) else [True] * len(calm)
        nodes = node_samples(kernel_events(Path(profiled.end_profiling()).read_text()), runs, kept)
    end_to_end_s = [time_s for found, keep in zip(samples, kept, strict=True) if keep for time_s in found]
    probe_s = float(np.median([seen for seen, keep in zip(probes, kept, strict=True) if keep]))
    return {"samples_s": end_to_end_s, "warmup_runs": warmup_runs, "nodes": nodes, "probe_s": probe_s}


FEWEST_CALM = 2
FEWEST_ROUNDS = 3
"""So many rounds do where a single run takes longer than all rounds should."""


def enough(calm: list[bool], rounds: int) -> bool:
    """Whether there are so many rounds in which nothing disturbed, or twice as many in all, or as many without any."""
    return sum(calm) >= rounds or len(calm) >= (2 if any(calm) else 1) * rounds


class Probe:
    """Tells from a few short computations, always the same, whether something slows the machine down right now.

    Neighbours on a shared machine do so for a part of a second or for half a minute on end, and then everything takes
    longer. The machine is calm while the computations take no longer than in the best tenth of the last minute, but for
    a few per cent; or no longer than was told, as when the machine was profiled.
    """

    SLOWER, CALMEST, APART_S, FIRST, REMEMBERED, RENEWED = 1.08, 0.1, 0.02, 40, 3000, 16
    PAUSE_S = 0.0002

    def __init__(self) -> None:
        self.first, self.second, self.product = (np.full(1024, 1.5, np.float32) for _ in range(3))
        self.seen: list[float] = []
        self.last_s = self.longest_s = self.told_s = 0.0
        self.seen_at_s = float("-inf")

    def time(self) -> float:
        for _ in range(10):
            np.multiply(self.first, self.second, out=self.product)
        start = time.perf_counter()
        for _ in range(60):
            np.multiply(self.first, self.second, out=self.product)
        return time.perf_counter() - start

    def is_calm(self) -> bool:
        """Whether the computations take about as long as they do when nothing disturbs; `last_s` is how long."""
        while len(self.seen) < self.FIRST:
            self.seen.append(self.time())
        self.last_s, now_s = self.time(), time.perf_counter()
        if now_s - self.seen_at_s > self.APART_S:
            self.seen_at_s = now_s
            self.seen.append(self.last_s)
            if not self.longest_s or len(self.seen) % self.RENEWED == 0:
                del self.seen[: -self.REMEMBERED]
                self.longest_s = self.SLOWER * (self.told_s or float(np.quantile(self.seen, self.CALMEST)))
        return self.last_s < self.longest_s

    def expect(self, calm_s: float) -> None:
        """Takes for calm what took so long when the machine was profiled; 0: what is seen here."""
        if calm_s != self.told_s:
            self.told_s, self.longest_s, self.seen_at_s = calm_s, 0.0, float("-inf")

    def wait(self, patience_s: float = 20.0) -> bool:
        """Until nothing disturbs; False where that takes too long."""
        until_s = time.perf_counter() + patience_s
        while not self.is_calm():
            if time.perf_counter() > until_s:
                return False
            time.sleep(self.PAUSE_S)
        return True


PROBE = Probe()


def load(
    model: str,
    threads: int = 1,
    level: str = "all",
    shapes: Shapes | None = None,
    seed: int = 0,
    cpu: int | None = None,
    warmup_s: float = 0.2,
    settings: str = "default",
    arena_bytes: int = 0,
    slot: str = "",
) -> Answer:
    """Opens a model for rounds to come and warms it up; `run_s` is the time of a warm run.

    A process keeps a model open in each `slot`.
    """
    pin(cpu, threads)
    started = time.perf_counter()
    session = open_session(model, threads, level, settings=settings, arena_bytes=arena_bytes)
    loaded_s = time.perf_counter() - started
    KEPT[slot] = bound_run(session, random_inputs(session, shapes or {}, seed, smooth=True))
    warmup_runs = warm_up(KEPT[slot], warmup_s)
    return {"load_s": loaded_s, "warmup_runs": warmup_runs, "run_s": timed(KEPT[slot])}


def time_round(
    limit_s: float = 0.1, least: int = 1, most: int = 1000, slot: str = "", warm: bool = True, own_time: bool = False
) -> Answer:
    """Samples of the model kept open; where it is to be `warm`, a run before them brings the caches back, which others
    have used meanwhile. `own_time` counts what the calling thread computed, not what it waited for its core."""
    if warm:
        timed(KEPT[slot])
    clock = time.thread_time if own_time else time.perf_counter
    return {"samples_s": sample(KEPT[slot], precision=0, limit_s=limit_s, least=least, most=most, clock=clock)}


def outputs(
    model: str, to: str, threads: int = 1, level: str = "all", shapes: Shapes | None = None, seed: int = 0
) -> Answer:
    """The outputs on seeded random inputs, written as an npz file in the order of the model's outputs."""
    session = open_session(model, threads, level)
    values = session.run(None, random_inputs(session, shapes or {}, seed))
    with Path(to).open("wb") as file:
        np.savez(file, *values)
    finite = all(np.isfinite(v).all() for v in values if v.dtype.kind == "f")
    return {"outputs": [o.name for o in session.get_outputs()], "finite": bool(finite)}


def layout() -> Answer:
    """How many channels a block of the blocked layout has here (1: no such layout).

    What a convolution of one channel really makes tells it.
    """
    options = ort.SessionOptions()
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "p")
        session = ort.InferenceSession(bytes.fromhex(ONE_CONVOLUTION), options, providers=["CPUExecutionProvider"])
        session.run(None, {"x": np.ones((1, 1, 1, 1), np.float32)})
        events = json.loads(Path(session.end_profiling()).read_text())
    made = [event["args"]["output_type_shape"] for event in events if event["args"].get("op_name") == "Conv"]
    return {"block_channels": max(shape[1] for shapes in made for typed in shapes for shape in typed.values())}


ONE_CONVOLUTION = (  # y = Conv(x, w), all of shape 1x1x1x1, as an ONNX model
    "08063a630a0f0a01780a01771201792204436f6e761201672a130801080108010801100122040000803f4201775a1b0a017812160a1408"
    "0112100a0208010a0208010a0208010a020801621b0a017912160a14080112100a0208010a0208010a0208010a02080142040a00100b"
)


def memory(
    model: str,
    settings: str = "default",
    arena_bytes: int = 0,
    runs: int = 5,
    threads: int = 1,
    level: str = "all",
    shapes: Shapes | None = None,
    seed: int = 0,
    cpu: int | None = None,
) -> Answer:
    """The most memory that runs hold over the level after loading, inputs counted, and what loading took beside it.

    The two largest growths of four and more are left out: a thread of the runtime's own may come and go beside them.

    Nothing that loading freed may hide growth: the heap is trimmed and the high-water mark of resident memory reset
    first, and pages of code are read in beforehand. `peak_bytes` is None where the system does not tell.
    """
    if OPENED:
        raise RuntimeError("peak memory needs a process of its own")
    if not PeakMeter.is_available():
        return {"peak_bytes": None, "reason": "needs /proc/self/clear_refs and smaps_rollup of Linux"}
    meter = PeakMeter(maps_all=settings == "lean")
    pin(min(os.sched_getaffinity(0)) if cpu is None else cpu, threads)
    before = meter.level()
    map_by_themselves(128 * 1024)
    session = open_session(model, threads, level, settings=settings, arena_bytes=arena_bytes)
    inputs = random_inputs(session, shapes or {}, seed)
    inputs_bytes = sum(value.nbytes for value in inputs.values())
    loaded = meter.level() - before - inputs_bytes
    growths = [meter.growth(lambda: session.run(None, inputs)) for _ in range(runs)]
    return {
        "peak_bytes": inputs_bytes + sorted(growths)[-3 if runs > 3 else -1],
        "growth_bytes": growths,
        "inputs_bytes": inputs_bytes,
        "loading_bytes": loaded,
        "settings": settings,
    }


class PeakMeter:
    """Growth of resident memory over a level, by the kernel's high-water mark.

    The kernel counts pages in batches for each CPU, and its high-water mark may be off by a batch of 32 or 64 pages.
    So the counters are flushed by giving back many pages at once, and each measurement is shifted by a few pages
    against the one before: larger ones are right to those few pages. Several threads on several CPUs blur it.

    Where runs map and unmap every tensor (`maps_all`), they flush the counters themselves, each time at the same place,
    and no shift helps. There the most that was mapped for a while counts, which is exact, with the pages that stayed.
    """

    STEP_PAGES, BATCH_PAGES = 16, 256

    def __init__(self, maps_all: bool = False) -> None:
        self.libc = ctypes.CDLL(None)
        self.maps_all = maps_all
        self.kept: list[mmap.mmap] = []
        self.base: int | None = None
        for start, end, file in self.mappings():
            if file.startswith("/"):
                self.libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), 22)  # MADV_POPULATE_READ
        allowed = os.sched_getaffinity(0)
        for cpu in allowed:
            os.sched_setaffinity(0, {cpu})
            self.flush()
        os.sched_setaffinity(0, allowed)

    @staticmethod
    def is_available() -> bool:
        return os.access("/proc/self/clear_refs", os.W_OK) and os.access("/proc/self/smaps_rollup", os.R_OK)

    @staticmethod
    def mappings() -> Iterator[tuple[int, int, str]]:
        for line in Path("/proc/self/maps").read_text().splitlines():
            fields = line.split(maxsplit=5)
            if len(fields) == 6 and fields[1].startswith("r"):
                start, end = (int(part, 16) for part in fields[0].split("-"))
                yield start, end, fields[5]

    def level(self) -> int:
        """Resident bytes, garbage and the heap's free pages given back."""
        gc.collect()
        if hasattr(self.libc, "malloc_trim"):
            self.libc.malloc_trim(0)
        return self.resident()

    def growth(self, run: Callable[[], Any]) -> int:
        """The most that was resident during a run, and since the first one, over the level before the first one."""
        if self.base is None:
            self.flush()
            self.base = self.level()
            if self.maps_all:  # what the meter itself takes of the heap is no growth
                self.mapped_for_a_while(lambda: None)
                self.base = self.level()
        else:
            self.kept.append(touched(self.STEP_PAGES))
        shift = len(self.kept) * self.STEP_PAGES * mmap.PAGESIZE
        self.flush()
        Path("/proc/self/clear_refs").write_text("5")
        if self.maps_all:
            return self.mapped_for_a_while(run) + self.resident() - self.base - shift
        run()
        peak = self.figure("/proc/self/status", "VmHWM")
        return max(peak, self.resident()) - self.base - shift

    def mapped_for_a_while(self, run: Callable[[], Any]) -> int:
        """The most that was mapped during a run and no more behind it, the heap apart.

        What else is mapped brings the size of the process above its highest one so far, so that every page shows.
        """
        heap = self.heap_bytes()
        spare = self.figure("/proc/self/status", "VmPeak") - self.mapped_bytes()
        filled = mmap.mmap(-1, spare + mmap.PAGESIZE, prot=0)
        before = self.mapped_bytes()
        run()
        after = self.mapped_bytes()
        peak = self.figure("/proc/self/status", "VmPeak")
        grown = max(self.heap_bytes() - heap, 0)
        filled.close()
        return max(peak - before - grown, 0) - max(after - before - grown, 0)

    @staticmethod
    def mapped_bytes() -> int:
        """All that is mapped, read without a buffer, which would be mapped then."""
        file = os.open("/proc/self/statm", os.O_RDONLY)
        try:
            return mmap.PAGESIZE * int(os.read(file, 64).split()[0])
        finally:
            os.close(file)

    @staticmethod
    def heap_bytes() -> int:
        found = re.search(rb"^(\w+)-(\w+) .*\[heap\]$", Path("/proc/self/maps").read_bytes(), re.MULTILINE)
        return int(found[2], 16) - int(found[1], 16) if found else 0

    def resident(self) -> int:
        return self.figure("/proc/self/smaps_rollup", "Rss")

    def flush(self) -> None:
        """Gives back so many pages at once, of memory and of a file, that no batch is left half counted."""
        touched(self.BATCH_PAGES).close()
        with Path(ort.capi.onnxruntime_pybind11_state.__file__).open("rb") as file:
            pages = mmap.mmap(file.fileno(), self.BATCH_PAGES * mmap.PAGESIZE, access=mmap.ACCESS_READ)
            sum(pages[:: mmap.PAGESIZE])
            pages.close()

    @staticmethod
    def figure(path: str, name: str) -> int:
        return 1024 * int(re.findall(rf"^{name}:\s+(\d+)", Path(path).read_text(), re.MULTILINE)[0])


def touched(pages: int) -> mmap.mmap:
    """Private memory of so many pages, all written."""
    memory = mmap.mmap(-1, pages * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(pages):
        memory[page * mmap.PAGESIZE] = 1
    return memory


def open_session(
    model: str,
    threads: int,
    level: str,
    profile: str | None = None,
    optimized: str | None = None,
    settings: str = "default",
    arena_bytes: int = 0,
) -> ort.InferenceSession:
    OPENED.append(model)
    options = ort.SessionOptions()
    apply_memory_settings(options, settings, arena_bytes)
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


def apply_memory_settings(options: ort.SessionOptions, settings: str, arena_bytes: int) -> None:
    """`lean`: all tensors by themselves, given back at once. `arena`: an arena with a first region of that size."""
    if settings not in ("default", "lean", "arena"):
        raise ValueError(f"unknown memory settings {settings!r}")
    if settings == "default":
        return
    options.enable_mem_reuse = False
    options.enable_mem_pattern = False
    if settings == "lean":
        options.enable_cpu_mem_arena = False
        map_by_themselves(1024)
        keep_no_spare_heap()
    else:
        arena = {
            "max_mem": 0,
            "arena_extend_strategy": 0,
            "initial_chunk_size_bytes": int(arena_bytes) or -1,
            "max_dead_bytes_per_chunk": 256,  # a larger chunk than is asked for is always split
            "initial_growth_chunk_size_bytes": -1,
        }
        place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
        ort.create_and_register_allocator(place, ort.OrtArenaCfg(arena))
        options.add_session_config_entry("session.use_env_allocators", "1")


def map_by_themselves(least_bytes: int) -> None:
    """Blocks of so much and more get fresh pages from the system, none of those that loading has freed.

    glibc raises this size with every such block that is freed, and would give an arena a region of used pages.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(-3, least_bytes)  # M_MMAP_THRESHOLD


def keep_no_spare_heap() -> None:
    """The heap's end is no larger than what is asked for; what is free there would take tensors in and keep pages."""
    with contextlib.suppress(AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(-2, 0)  # M_TOP_PAD
        libc.mallopt(-1, 0)  # M_TRIM_THRESHOLD


LEVELS = {"all": "ENABLE_ALL", "extended": "ENABLE_EXTENDED", "basic": "ENABLE_BASIC", "none": "DISABLE_ALL"}


MOST_DRAWN = 1 << 18


def random_inputs(session: ort.InferenceSession, shapes: Shapes, seed: int, smooth: bool = False) -> dict[str, Array]:
    """Seeded inputs: floats in (0, 1), small integers; a dynamic axis without a given shape is 1.

    Large ones repeat themselves, as drawing millions of numbers takes longer than most layers. `smooth` has inputs
    that may be images vary from place to place as photographs do: kernels that branch by sign guess right more often
    than on noise.
    """
    found: dict[str, Array] = {}
    for index, wanted in enumerate(session.get_inputs()):
        shape = shapes.get(wanted.name) or [d if isinstance(d, int) else 1 for d in wanted.shape]
        dtype = DTYPES[wanted.type]
        if smooth and np.issubdtype(dtype, np.floating) and may_be_image(shape):
            found[wanted.name] = smooth_values(seed, index, tuple(shape)).astype(dtype, copy=False)
            continue
        drawn = min(int(np.prod(shape)), MOST_DRAWN)
        values = drawn_values(seed, index, np.issubdtype(dtype, np.floating))[:drawn].astype(dtype, copy=False)
        found[wanted.name] = values.reshape(shape) if drawn == int(np.prod(shape)) else np.resize(values, shape)
    return found


@lru_cache(8)
def drawn_values(seed: int, index: int, floating: bool) -> Array:
    """The values of the input of that number, as many as are ever drawn."""
    random = np.random.default_rng((seed, index))
    return random.random(MOST_DRAWN, dtype=np.float32) if floating else random.integers(0, 2, MOST_DRAWN)


LEAST_SIDE = 16
FINEST_PIXELS = 2


def may_be_image(shape: list[int]) -> bool:
    """Whether two axes of a batch of maps are sides of that many pixels; channels stand first or last."""
    return len(shape) == 4 and sorted(shape[1:])[1] >= LEAST_SIDE


@lru_cache(8)
def smooth_values(seed: int, index: int, shape: tuple[int, ...]) -> Array:
    """Floats in (0, 1) with the same contrast in every octave, as photographs have it (Field, JOSA A 1987), but for
    the finest one."""
    random = np.random.default_rng((seed, index))
    sides = sorted(sorted(range(1, 4), key=lambda axis: shape[axis])[1:])
    channels = next(axis for axis in range(1, 4) if axis not in sides)
    height, width = (shape[axis] for axis in sides)
    found = np.zeros((shape[0], shape[channels], height, width), np.float32)
    pixels = FINEST_PIXELS
    while pixels < max(height, width):
        down, across = between(height, pixels), between(width, pixels)
        coarse = random.random((*found.shape[:2], down.shape[1], across.shape[1]), dtype=np.float32)
        found += down @ coarse @ across.T
        pixels *= 2
    found = (found - found.min()) / (found.max() - found.min())
    return np.ascontiguousarray(np.moveaxis(found, (1, 2, 3), (channels, *sides)))


def between(size: int, pixels: int) -> Array:
    """The weights that draw a line of `size` through values so many pixels apart, as (size, values)."""
    place = np.arange(size) / pixels
    before = place.astype(int)
    weights = np.zeros((size, before[-1] + 2), np.float32)
    weights[np.arange(size), before] = 1 - (place - before)
    weights[np.arange(size), before + 1] = place - before
    return weights


def bound_run(session: ort.InferenceSession, inputs: dict[str, Array]) -> Run:
    """A call that runs the session once, without copying inputs or outputs."""
    binding = session.io_binding()
    for name, value in inputs.items():
        binding.bind_cpu_input(name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name, "cpu")
    return lambda: session.run_with_iobinding(binding)


LONG_WARMUPS = 5


def warm_up(run: Run, warmup_s: float) -> int:
    """Run until `warmup_s` has passed and the last runs are no longer getting faster; returns the runs made.

    At least two, or a single one that took many times as long.
    """
    end = time.perf_counter() + warmup_s
    times: list[float] = []
    while time.perf_counter() < end or (len(times) < 2 and sum(times) < LONG_WARMUPS * warmup_s):
        times.append(timed(run))
        if len(times) >= 20 and min(times[-5:]) > 0.99 * min(times[:-5]):
            break
    return len(times)


def sample(
    run: Run,
    precision: float = 0.01,
    limit_s: float = 1.0,
    least: int = 3,
    most: int = 1000,
    clock: Clock = time.perf_counter,
    **_: Any,
) -> list[float]:
    """Samples until the standard error of the median is below `precision`, or the time is up."""
    samples: list[float] = []
    end = time.perf_counter() + limit_s
    while len(samples) < most and (len(samples) < least or time.perf_counter() < end):
        samples.append(timed(run, clock))
        if len(samples) >= max(least, 10) and len(samples) % 5 == 0 and precise(samples, precision):
            break
    return samples


def precise(samples: list[float], precision: float) -> bool:
    ordered, n = sorted(samples), len(samples)
    return bool(0.93 * (ordered[3 * n // 4] - ordered[n // 4]) < precision * ordered[n // 2] * n**0.5)


def timed(run: Run, clock: Clock = time.perf_counter) -> float:
    start = clock()
    run()
    return clock() - start


KERNEL = re.compile(r'\{"cat" : "Node",.*?"dur" :(\d+),"ts" :(\d+),"ph" : "X","name" :"[^"]*_kernel_time"')


def kernel_events(profile: str) -> list[tuple[int, int, str]]:
    """When each kernel that ran started, how long it took (microseconds), and its event as JSON.

    A profile has one event a line, and reading all as JSON would take longer than running most layers.
    """
    found = []
    for line in profile.splitlines():
        told = KERNEL.match(line)
        if told:
            found.append((int(told[2]), int(told[1]), line.rstrip(",")))
    return found or [
        (event["ts"], event["dur"], json.dumps(event))
        for event in json.loads(profile)
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
    ]


def node_samples(kernels: list[tuple[int, int, str]], runs: list[int], kept: list[bool]) -> list[Answer]:
    """Each executed node in execution order: its shapes and one sample for each round that is kept.

    `runs` are those of all rounds, with a warming one before them that is left out.

    A node's time is from its start to the next one's. The profiler cuts starts to whole microseconds, so that the
    mean over runs is finer than that, which the mean of its durations, cut too, is not.
    """
    count = len(kernels) // sum(runs)
    kernels = kernels[: count * sum(runs)]
    starts = np.array([start for start, _, _ in kernels], dtype=float).reshape(sum(runs), count)
    last = np.array([took + 0.5 for _, took, _ in kernels]).reshape(sum(runs), count)[:, -1:]
    durations = np.concatenate([np.diff(starts, axis=1), last], axis=1) * 1e-6
    rounds = np.split(durations, np.cumsum(runs)[:-1])[1:]
    samples = np.array([middle_mean(r) for r, keep in zip(rounds, kept, strict=True) if keep])
    nodes = []
    for position, (_, _, line) in enumerate(kernels[:count]):
        event = json.loads(line)
        nodes.append(
            {
                "name": event["name"].removesuffix("_kernel_time"),
                "output_shapes": shapes_of(event["args"].get("output_type_shape", [])),
                "samples_s": [round(float(s), 9) for s in samples[:, position]],
            }
        )
    return nodes


def middle_mean(durations: Array) -> Array:
    """The mean of the middle half of each column."""
    ordered, n = np.sort(durations, axis=0), len(durations)
    found: Array = ordered[n // 4 : n - n // 4].mean(axis=0)
    return found


def shapes_of(typed: list[dict[str, list[int]]]) -> list[list[int]]:
    return [shape for item in typed for shape in item.values()]


def pin(cpu: int | None, threads: int) -> None:
    """Keeps a single thread on one core and, where the system allows it, lets nobody else interrupt it there."""
    if cpu is not None and threads == 1 and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {cpu})
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


KEPT: dict[str, Run] = {}
OPENED: list[str] = []
JOBS: dict[str, Callable[..., Answer]] = {
    "about": about,
    "layout": layout,
    "layers": layers,
    "load": load,
    "round": time_round,
    "outputs": outputs,
    "memory": memory,
}

if __name__ == "__main__":
    main()
