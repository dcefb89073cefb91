"""edgewright: make a neural network run fast, and fit, on the device where it has to run.

import edgewright as ew

ew.profile(["model.onnx"])        # measure this machine, learn its execution-time model
ew.explain("model.onnx")          # where the time goes, layer by layer
"""

import edgewright.profile  # noqa: F401  # first: the submodule must not hide the function of the same name
from edgewright.api import (
    DeviceSummary,
    Evaluation,
    bench,
    devices,
    draw_stairs,
    evaluate,
    explain,
    fit,
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
    "profile",
    "write_page",
]
