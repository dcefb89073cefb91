"""edgewright: make a neural network run fast, and fit, on the device where it has to run.

import edgewright as ew

ew.profile(["model.onnx"])        # measure this machine, learn its execution-time model
ew.explain("model.onnx")          # where the time goes, layer by layer
ew.memory("model.onnx")           # peak memory, and who holds it
"""

import edgewright.memory  # first: submodules must not hide functions of the same names
import edgewright.profile  # noqa: F401
from edgewright.api import (
    DeviceSummary,
    Evaluation,
    bench,
    devices,
    draw_stairs,
    evaluate,
    explain,
    fit,
    memory,
    profile,
    write_page,
)
from edgewright.errors import EdgewrightError
from edgewright.runtimes.lean import lean_session

__all__ = [
    "DeviceSummary",
    "EdgewrightError",
    "Evaluation",
    "bench",
    "devices",
    "draw_stairs",
    "evaluate",
    "explain",
    "fit",
    "lean_session",
    "memory",
    "profile",
    "write_page",
]
