"""The public names are a promise: adding or taking one away is a decision, written down here."""

import subprocess
import sys

import edgewright as ew

HEAVY = {"numpy", "scipy", "onnx", "onnxruntime", "rich", "sklearn", "matplotlib", "torch"}


def test_public_names() -> None:
    assert ew.__all__ == [
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
    assert all(getattr(ew, name).__doc__ for name in ew.__all__)


def test_functions_are_not_hidden_by_modules() -> None:
    from edgewright.memory import liveness
    from edgewright.profile import Profile

    assert callable(ew.profile)
    assert callable(ew.memory)
    assert liveness.__name__ == "edgewright.memory.liveness"
    assert Profile.__module__ == "edgewright.profile"


def test_nothing_heavy_is_imported_at_the_start() -> None:
    code = "import sys, edgewright.cli.main; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY.isdisjoint(loaded)
