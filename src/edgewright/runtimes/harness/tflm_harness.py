"""What runs TensorFlow Lite Micro on this machine: one file, needs only tflite-micro and numpy.

Jobs come as JSON lines on standard input, each is answered by one JSON line on standard output:

    {"job": "about"}
    {"job": "memory", "model": PATH, ...}           what the interpreter allocates: head, tail, and its own records
    {"job": "compare", "models": [PATH, PATH], ...} whether two models give the same outputs on random inputs

A job that fails is answered by {"error": TEXT}. A crash ends the process: the host starts another one.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from tflite_micro.python.tflite_micro import runtime

Answer = dict[str, Any]
Array = np.ndarray[Any, Any]
FIRST_ARENA_BYTES = 1 << 20
LARGEST_ARENA_BYTES = 1 << 30
RECORD = re.compile(r"'(.+)' used (\d+) bytes with alignment overhead \(requested (\d+) bytes for (\d+)")
TOTAL = re.compile(r"Arena allocation (total|head|tail) (\d+) bytes")


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
    return {"runtime_version": version("tflite_micro")}


def memory(model: str, arena_bytes: int = 0) -> Answer:
    """Bytes of head and tail after a run, and the records of the allocator: bytes used and requested, and a count."""
    interpreter = opened(model, arena_bytes)
    with said() as printed:
        interpreter.invoke()
        interpreter.print_allocations()
    text = printed()
    answer: Answer = {f"{name}_bytes": int(size) for name, size in TOTAL.findall(text)}
    found = RECORD.findall(text)
    answer["records"] = {name: [int(used), int(asked), int(count)] for name, used, asked, count in found}
    return answer


def compare(models: list[str], count: int = 100, arena_bytes: tuple[int, int] = (0, 0), seed: int = 0) -> Answer:
    """Runs two models on the same random inputs: how many outputs differ, and by how much at the most.

    Where one takes integers and the other floats, the floats are what the integers stand for, and so for outputs.
    """
    first, second = (opened(model, size) for model, size in zip(models, arena_bytes, strict=True))
    random = np.random.default_rng(seed)
    inputs = len(details(first, "input"))
    if inputs != len(details(second, "input")) or len(details(first, "output")) != len(details(second, "output")):
        raise ValueError("the models have other inputs or outputs than one another")
    differing, largest, distinct = 0, 0.0, set()
    for _ in range(count):
        for index in range(inputs):
            give(first, second, index, random)
        first.invoke()
        second.invoke()
        same = True
        for index in range(len(details(first, "output"))):
            one, other = real(first, index), real(second, index)
            same &= one.shape == other.shape and np.array_equal(one, other, equal_nan=True)
            if one.shape == other.shape and one.size:
                largest = max(largest, float(np.nanmax(np.abs(one.astype(np.float64) - other))))
            distinct.add(one.tobytes())
        differing += not same
    return {"runs": count, "differing": differing, "largest_difference": largest, "distinct": len(distinct)}


def opened(model: str, arena_bytes: int) -> Any:
    """An interpreter with an arena of so many bytes; 0 takes more and more until they are enough."""
    data = Path(model).read_bytes()
    size = arena_bytes or FIRST_ARENA_BYTES
    while True:
        with said() as printed:
            try:
                return runtime.Interpreter.from_bytes(data, arena_size=size)
            except RuntimeError as error:
                text = printed()
                is_too_small = re.search(r"[Ff]ailed to (resize|allocate)|Too many buffers|missing: \d+", text)
                if arena_bytes or not is_too_small or size >= LARGEST_ARENA_BYTES:
                    raise RuntimeError(" ".join(text.split()) or str(error)) from error
        size *= 4


@contextmanager
def said() -> Iterator[Any]:
    """What the runtime writes to standard error meanwhile, as a function that reads it."""
    sys.stderr.flush()
    before = os.dup(2)
    file = tempfile.TemporaryFile()  # noqa: SIM115  closed by whoever reads it
    os.dup2(file.fileno(), 2)

    def read() -> str:
        with file:
            file.seek(0)
            return file.read().decode(errors="replace")

    try:
        yield read
    finally:
        os.dup2(before, 2)
        os.close(before)


def details(interpreter: Any, side: str) -> list[Any]:
    """Details of all inputs or outputs."""
    found: list[Any] = []
    get = getattr(interpreter, f"get_{side}_details")
    while True:
        try:
            with said():
                found.append(get(len(found)))
        except (IndexError, RuntimeError, ValueError):
            return found


def give(first: Any, second: Any, index: int, random: np.random.Generator) -> None:
    """One random input for both, in the range of integers or between -1 and 1, of any brightness and contrast."""
    both = [interpreter.get_input_details(index) for interpreter in (first, second)]
    whole = next((detail for detail in both if np.issubdtype(detail["dtype"], np.integer)), None)
    shape = [int(size) for size in both[0]["shape"]]
    if whole is None:
        value: Array = noise(shape, random).astype(both[0]["dtype"])
    else:
        limits = np.iinfo(whole["dtype"])
        middle, reach = (limits.min + limits.max) / 2, (int(limits.max) - limits.min) / 2
        value = np.rint(middle + reach * noise(shape, random)).astype(whole["dtype"])
    for interpreter, detail in zip((first, second), both, strict=True):
        given = value if detail["dtype"] == value.dtype else dequantized(value, whole).astype(detail["dtype"])
        interpreter.set_input(np.ascontiguousarray(given), index)


def noise(shape: list[int], random: np.random.Generator) -> Array:
    """Noise between -1 and 1: networks saturate at noise of full contrast, so that outputs would say little."""
    contrast = random.uniform(0.02, 1)
    return random.uniform(contrast - 1, 1 - contrast) + contrast * random.uniform(-1, 1, shape)


def real(interpreter: Any, index: int) -> Array:
    """One output as real numbers where it is quantized by one scale."""
    value = interpreter.get_output(index)
    return dequantized(value, interpreter.get_output_details(index))


def dequantized(value: Array, detail: Any) -> Array:
    """The float32 numbers that quantized ones stand for; other values as they are."""
    scales = np.asarray(detail["quantization_parameters"]["scales"], np.float32)
    if not np.issubdtype(value.dtype, np.integer) or scales.size != 1:
        return value
    zero_point = int(np.asarray(detail["quantization_parameters"]["zero_points"])[0])
    return np.float32(scales[0]) * (value.astype(np.int32) - zero_point).astype(np.float32)


JOBS: dict[str, Callable[..., Answer]] = {"about": about, "memory": memory, "compare": compare}

if __name__ == "__main__":
    main()
