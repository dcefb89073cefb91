"""What runs on the device for LiteRT: one file, needs only ai-edge-litert and numpy.

Jobs come as JSON lines on standard input, each is answered by one JSON line on standard output:

    {"job": "about"}
    {"job": "layers", "model": PATH, ...}     end-to-end times, by round too
    {"job": "delegates", "model": PATH, ...}  the parts of the model that XNNPACK has taken over
    {"job": "load", "model": PATH, ...}       opens a model and keeps it open, warm
    {"job": "round", ...}                     end-to-end times of the model that is kept open
    {"job": "outputs", "model": PATH, "to": NPZ, ...}   the outputs on random inputs
    {"job": "memory", "model": PATH, ...}     peak memory; the first job of its process

`level` is `all` (XNNPACK) or `none` (the kernels built in). A job that fails is answered by {"error": TEXT}. A crash
ends the process: the host starts another one.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import mmap
import os
import re
import struct
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["NUMPY_MADVISE_HUGEPAGE"] = "0"  # huge pages of freed arrays would be counted as the network's

import ai_edge_litert
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

Answer = dict[str, Any]
Array = np.ndarray[Any, Any]
Run = Callable[[], Any]
Clock = Callable[[], float]
Shapes = dict[str, list[int]]
LEVELS = {"all": OpResolverType.AUTO, "none": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
LIBRARY = max(Path(ai_edge_litert.__file__).parent.glob("*.so"), key=lambda path: path.stat().st_size)
FEWEST_CALM = 2
METER_ERROR_BYTES = 64 * 1024
"""Growth of resident memory is told to a few pages."""
TIMED_TOGETHER_S = 2e-5
"""A sample of a shorter run is the mean over as many runs as take this long, so that the clock weighs little."""


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the runtime prints must not mix with the answers
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
    return {"processor": name, "cores": os.cpu_count(), "runtime_version": version("ai-edge-litert")}


class Model:
    """An open model, its inputs filled."""

    def __init__(
        self, path: str, threads: int, level: str, shapes: Shapes | None = None, seed: int = 0, fill: bool = True
    ) -> None:
        if not Path(path).is_file():
            raise FileNotFoundError(path)
        if level not in LEVELS:
            raise ValueError(f"LiteRT has the levels {' and '.join(LEVELS)}, not {level}")
        OPENED.append(path)
        self.interpreter = Interpreter(path, num_threads=threads, experimental_op_resolver_type=LEVELS[level])
        self.bare = self.interpreter._interpreter
        for details in self.interpreter.get_input_details():
            shape = (shapes or {}).get(details["name"])
            if shape and list(details["shape"]) != list(shape):
                self.interpreter.resize_tensor_input(details["index"], shape)
        self.bare.AllocateTensors()
        self.random = np.random.default_rng(seed)
        if fill:
            self.inputs = [(d["index"], self.values(d)) for d in self.interpreter.get_input_details()]
            self.fill()

    def values(self, details: Answer) -> Array:
        """Seeded inputs: floats in (0, 1), 8-bit integers of all values, other integers 0 and 1."""
        dtype, shape = np.dtype(details["dtype"]), tuple(details["shape"])
        values: Array
        if dtype.kind == "f":
            values = self.random.random(shape, dtype=np.float32)
        elif dtype.itemsize == 1 and dtype.kind in "iu":
            values = self.random.integers(0, 256, shape)
        else:
            values = self.random.integers(0, 2, shape)
        return values.astype(dtype)

    def fill(self) -> None:
        for index, value in self.inputs:
            self.bare.SetTensor(index, value)

    def run(self) -> None:
        self.bare.Invoke(0)

    def outputs(self) -> list[tuple[str, Array]]:
        return [(d["name"], self.interpreter.get_tensor(d["index"])) for d in self.interpreter.get_output_details()]


def layers(
    model: str,
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
    """End-to-end samples, and their mean for each round; rounds that something disturbed are run again.

    The runtime tells no times of operators, so that a whole model is one node. `calm_s` is what the probe takes when
    nothing disturbs, where that is known, and `patience_s` how long a round waits for that.
    """
    pin(cpu, threads)
    PROBE.expect(calm_s)
    opened = Model(model, threads, level, shapes, seed)
    rounds = limits.pop("rounds", 5)
    share = {**limits, "limit_s": limits.get("limit_s", 1.0) / rounds}
    warmup_runs = warm_up(opened.run, limits.get("warmup_s", 0.004))
    whole, probe_s = calm_rounds(lambda: sample(opened.run, **share), rounds, patience_s)
    means = [round(middle_mean(found), 9) for found in whole]
    samples = [time_s for found in whole for time_s in found] if end_to_end else []
    return {
        "samples_s": samples,
        "warmup_runs": warmup_runs,
        "nodes": [{"name": "main", "level": level, "samples_s": means}],
        "probe_s": probe_s,
    }


def calm_rounds(
    run_round: Callable[[], list[float]], rounds: int, patience_s: float = 20.0
) -> tuple[list[list[float]], float]:
    """What so many rounds found in which nothing disturbed; all, of twice as many at most, where it comes to no rest.

    And how long the probe took beside them.
    """
    found: list[list[float]] = []
    calm: list[bool] = []
    probes: list[float] = []
    patient, is_calm = True, False
    while sum(calm) < rounds and len(calm) < (2 if any(calm) else 1) * rounds:
        if patient and not is_calm:
            patient = is_calm = PROBE.wait(patience_s)
        found.append(run_round())
        was_calm, is_calm = is_calm, PROBE.is_calm()
        calm.append(was_calm and is_calm)
        probes.append(PROBE.last_s)
    kept = calm if sum(calm) >= min(rounds, FEWEST_CALM) else [True] * len(calm)
    calmest = [(samples, seen) for samples, seen, keep in zip(found, probes, kept, strict=True) if keep]
    return [samples for samples, _ in calmest], float(np.median([seen for _, seen in calmest]))


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


def delegates(model: str, threads: int = 1, level: str = "all", shapes: Shapes | None = None) -> Answer:
    """What XNNPACK has taken over of the main subgraph: the names of the tensors that each part reads and makes."""
    opened = Model(model, threads, level, shapes, fill=False)
    names = {d["index"]: d["name"] for d in opened.interpreter.get_tensor_details()}
    found = [op for op in opened.interpreter._get_ops_details() if op["op_name"] == "DELEGATE"]
    return {
        "delegates": [
            {side: [names[index] for index in op[side] if index in names] for side in ("inputs", "outputs")}
            for op in found
        ]
    }


def load(
    model: str,
    threads: int = 1,
    level: str = "all",
    shapes: Shapes | None = None,
    seed: int = 0,
    cpu: int | None = None,
    warmup_s: float = 0.2,
    slot: str = "",
    **_: Any,
) -> Answer:
    """Opens a model for rounds to come and warms it up; `run_s` is the time of a warm run.

    A process keeps a model open in each `slot`.
    """
    pin(cpu, threads)
    started = time.perf_counter()
    opened = Model(model, threads, level, shapes, seed)
    loaded_s = time.perf_counter() - started
    KEPT[slot] = opened.run
    warmup_runs = warm_up(opened.run, warmup_s)
    return {"load_s": loaded_s, "warmup_runs": warmup_runs, "run_s": timed(opened.run)}


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
    opened = Model(model, threads, level, shapes, seed)
    opened.run()
    found = opened.outputs()
    with Path(to).open("wb") as file:
        np.savez(file, *(value for _, value in found))
    finite = all(np.isfinite(value).all() for _, value in found if value.dtype.kind == "f")
    return {"outputs": [name for name, _ in found], "finite": bool(finite)}


def memory(
    model: str,
    runs: int = 4,
    threads: int = 1,
    level: str = "all",
    shapes: Shapes | None = None,
    seed: int = 0,
    cpu: int | None = None,
    **_: Any,
) -> Answer:
    """The most memory that runs hold over the level after loading, inputs counted, and what loading took beside it.

    Tensors have their memory assigned while the model is loaded, but no page of it is there before it is written. So
    every block of 16 KiB or more is made to come from the system by itself, and the inputs are written within the
    first run. XNNPACK writes zeros all over its workspace while the model is loaded, so that no growth shows it: what
    it asked the allocator for is added, where that can be heard; and what LiteRT asked for its arena counts in the
    place of a growth that is the same to a few pages. `peak_bytes` is None where the system does not tell.
    """
    if OPENED:
        raise RuntimeError("peak memory needs a process of its own")
    if not PeakMeter.is_available():
        return {"peak_bytes": None, "reason": "needs /proc/self/clear_refs and smaps_rollup of Linux"}
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(-3, 16 * 1024)  # M_MMAP_THRESHOLD of glibc
    meter = PeakMeter()
    pin(min(os.sched_getaffinity(0)) if cpu is None else cpu, threads)
    before = meter.level()
    with Listener() as listener:
        opened = Model(model, threads, level, shapes, seed, fill=False)
    details = opened.interpreter.get_input_details()
    opened.inputs = [(d["index"], opened.values(d)) for d in details]
    inputs_bytes = sum(value.nbytes for _, value in opened.inputs)
    loaded = meter.level() - before - inputs_bytes
    zeros = listener.zeros()

    def run() -> None:
        opened.fill()
        opened.run()

    growths = [meter.growth(run) for _ in range(runs)]
    workspace_bytes = sum(size for address, size in zeros.items() if not is_zero(address, size))
    arena_bytes = sum(listener.arenas.values())
    is_told = arena_bytes > 0 and abs(max(growths) - arena_bytes) < METER_ERROR_BYTES
    return {
        "peak_bytes": (arena_bytes if is_told else max(growths)) + workspace_bytes,
        "arena_bytes": arena_bytes,
        "workspace_bytes": workspace_bytes,
        "growth_bytes": growths,
        "inputs_bytes": inputs_bytes,
        "loading_bytes": loaded,
        "settings": "default",
    }


class PeakMeter:
    """Growth of resident memory over a level, by the kernel's high-water mark.

    The kernel counts pages in batches for each CPU, and its high-water mark may be off by a batch of 32 or 64 pages.
    So the counters are flushed by giving back many pages at once, and each measurement is shifted by a few pages
    against the one before: the largest of some is right to those few pages. Several threads on several CPUs blur it.
    """

    STEP_PAGES, BATCH_PAGES = 16, 256

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None)
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
        else:
            self.kept.append(touched(self.STEP_PAGES))
        shift = len(self.kept) * self.STEP_PAGES * mmap.PAGESIZE
        self.flush()
        Path("/proc/self/clear_refs").write_text("5")
        run()
        peak = self.figure("/proc/self/status", "VmHWM")
        return max(peak, self.resident()) - self.base - shift

    def resident(self) -> int:
        return self.figure("/proc/self/smaps_rollup", "Rss")

    def flush(self) -> None:
        """Gives back so many pages at once, of memory and of a file, that no batch is left half counted."""
        touched(self.BATCH_PAGES).close()
        with LIBRARY.open("rb") as file:
            pages = mmap.mmap(file.fileno(), self.BATCH_PAGES * mmap.PAGESIZE, access=mmap.ACCESS_READ)
            sum(pages[:: mmap.PAGESIZE])
            pages.close()

    @staticmethod
    def figure(path: str, name: str) -> int:
        return 1024 * int(re.findall(rf"^{name}:\s+(\d+)", Path(path).read_text(), re.MULTILINE)[0])


class Listener:
    """Hears the aligned blocks that LiteRT's libraries ask the allocator for while this is entered.

    XNNPACK's are `blocks`, by their addresses, LiteRT's own `arenas`. The entries of the libraries' tables of addresses
    that lead to the functions of the allocator are made to lead here. Hears
    nothing where the libraries are not ELF files of 64 bits.
    """

    def __init__(self) -> None:
        self.blocks: dict[int, int] = {}
        self.arenas: dict[int, int] = {}
        self.before: dict[int, int] = {}
        libc = ctypes.CDLL(None)
        libc.free.argtypes, libc.aligned_alloc.restype = [ctypes.c_void_p], ctypes.c_void_p

        def memalign(where: int, alignment: int, size: int) -> int:
            failed = int(libc.posix_memalign(ctypes.c_void_p(where), ctypes.c_size_t(alignment), ctypes.c_size_t(size)))
            if not failed:
                self.blocks[ctypes.c_uint64.from_address(where).value] = size
            return failed

        def alloc(alignment: int, size: int) -> int | None:
            found: int | None = libc.aligned_alloc(ctypes.c_size_t(alignment), ctypes.c_size_t(size))
            self.arenas[found or 0] = size
            return found

        def free(address: int | None) -> None:
            self.blocks.pop(address or 0, None)
            self.arenas.pop(address or 0, None)
            libc.free(address)

        size, pointer = ctypes.c_size_t, ctypes.c_void_p
        self.callbacks: dict[str, Any] = {
            "posix_memalign": ctypes.CFUNCTYPE(ctypes.c_int, pointer, size, size)(memalign),
            "aligned_alloc": ctypes.CFUNCTYPE(pointer, size, size)(alloc),
            "free": ctypes.CFUNCTYPE(None, pointer)(free),
        }

    def __enter__(self) -> Listener:
        folder = str(LIBRARY.parent)
        starts: dict[str, int] = {}
        for start, _, file in PeakMeter.mappings():
            if file.startswith(folder):
                starts.setdefault(file, start)
        for file, start in starts.items():
            with contextlib.suppress(OSError, struct.error, ValueError):
                for slot, name in slots(Path(file), start, tuple(self.callbacks)):
                    self.before[slot] = write_address(slot, ctypes.cast(self.callbacks[name], ctypes.c_void_p).value)
        return self

    def __exit__(self, *_: object) -> None:
        for slot, address in self.before.items():
            write_address(slot, address)

    def zeros(self) -> dict[int, int]:
        """The blocks that hold nothing but zeros."""
        return {address: size for address, size in self.blocks.items() if is_zero(address, size)}


def slots(library: Path, start: int, names: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Where a library that is mapped from `start` on keeps the addresses of some functions (System V ABI)."""
    with library.open("rb") as file:
        head = file.read(64)
        if head[:5] != b"\x7fELF\x02":
            return
        table, size, count = *struct.unpack_from("<Q", head, 32), *struct.unpack_from("<HH", head, 54)
        file.seek(table)
        parts = [struct.unpack_from("<IIQQQQ", file.read(size)) for _ in range(count)]
        dynamic = next(part for part in parts if part[0] == 2)
        file.seek(dynamic[2])
        found = dict(struct.iter_unpack("<QQ", file.read(dynamic[5])))
    for where, length in ((found.get(23), found.get(2)), (found.get(7), found.get(8))):  # JMPREL and RELA
        for slot, kind, _ in struct.iter_unpack("<QQq", ctypes.string_at(start + (where or 0), length or 0)):
            if kind & 0xFFFFFFFF in (6, 7, 1025, 1026):  # addresses of functions on x86-64 and on AArch64
                (text,) = struct.unpack("<I", ctypes.string_at(start + found[6] + 24 * (kind >> 32), 4))
                name = ctypes.string_at(start + found[5] + text).decode("latin-1")
                if name in names:
                    yield start + slot, name


def write_address(slot: int, address: int | None) -> int:
    """Puts an address into a table that may be protected; returns the one before."""
    libc, page = ctypes.CDLL(None), slot - slot % mmap.PAGESIZE
    libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(mmap.PAGESIZE), mmap.PROT_READ | mmap.PROT_WRITE)
    entry = ctypes.c_uint64.from_address(slot)
    before, entry.value = entry.value, address or 0
    return before


def is_zero(address: int, size: int) -> bool:
    return ctypes.string_at(address, size).count(0) == size


def touched(pages: int) -> mmap.mmap:
    """Private memory of so many pages, all written."""
    memory = mmap.mmap(-1, pages * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(pages):
        memory[page * mmap.PAGESIZE] = 1
    return memory


def warm_up(run: Run, warmup_s: float) -> int:
    """Run until `warmup_s` has passed and the last runs are no longer getting faster; returns the runs made."""
    end = time.perf_counter() + warmup_s
    times: list[float] = []
    while time.perf_counter() < end or len(times) < 2:
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
    runs = max(round(TIMED_TOGETHER_S / max(timed(run), 1e-7)), 1)
    while len(samples) < most and (len(samples) < least or time.perf_counter() < end):
        samples.append(timed(run, runs, clock))
        if len(samples) >= max(least, 10) and len(samples) % 5 == 0 and precise(samples, precision):
            break
    return samples


def precise(samples: list[float], precision: float) -> bool:
    low, middle, high = np.percentile(samples, (25, 50, 75))
    return bool(0.93 * (high - low) / len(samples) ** 0.5 < precision * middle)


def timed(run: Run, runs: int = 1, clock: Clock = time.perf_counter) -> float:
    """Seconds of a run, the mean of several."""
    if runs == 1:
        start = clock()
        run()
        return clock() - start
    start = clock()
    for _ in range(runs):
        run()
    return (clock() - start) / runs


def middle_mean(durations: list[float]) -> float:
    """The mean of the middle half."""
    ordered, n = sorted(durations), len(durations)
    return float(np.mean(ordered[n // 4 : n - n // 4]))


def pin(cpu: int | None, threads: int) -> None:
    """Keeps a single thread on one core and, where the system allows it, lets nobody else interrupt it there."""
    if cpu is not None and threads == 1 and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {cpu})
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


PROBE = Probe()
KEPT: dict[str, Run] = {}
OPENED: list[str] = []
JOBS: dict[str, Callable[..., Answer]] = {
    "about": about,
    "layers": layers,
    "delegates": delegates,
    "load": load,
    "round": time_round,
    "outputs": outputs,
    "memory": memory,
}

if __name__ == "__main__":
    main()
