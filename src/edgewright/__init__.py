"""edgewright: make a neural network run fast, and fit, on the device where it has to run.

import edgewright as ew

ew.profile(["model.onnx"])        # measure this machine, learn its execution-time model
ew.explain("model.onnx")          # where the time goes, layer by layer
ew.memory("model.onnx")           # peak memory, and who holds it
ew.tile("model.onnx", "small.onnx", memory="16MB")
ew.align("model.onnx", "fast.onnx")  # wider layers where wider is faster, outputs unchanged
ew.compress(task, time=0.5, out="small")  # a narrower PyTorch network, retrained
"""

import edgewright.memory  # first: submodules must not hide functions of the same names
import edgewright.profile  # noqa: F401
from edgewright.api import (
    bench,
    devices,
    draw_stairs,
    evaluate,
    explain,
    fit,
    profile,
    write_page,
)
from edgewright.api_align import align
from edgewright.api_compress import compress, load_compressed
from edgewright.api_memory import draw_frontier, frontier, memory, tile
from edgewright.errors import EdgewrightError
from edgewright.report.devices import DeviceSummary, Evaluation
from edgewright.runtimes.lean import lean_session

__all__ = [
    "DeviceSummary",
    "EdgewrightError",
    "Evaluation",
    "align",
    "bench",
    "compress",
    "devices",
    "draw_frontier",
    "draw_stairs",
    "evaluate",
    "explain",
    "fit",
    "frontier",
    "lean_session",
    "load_compressed",
    "memory",
    "profile",
    "tile",
    "write_page",
]
