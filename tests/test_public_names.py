"""The public names are a promise: adding or taking one away is a decision, written down here."""

import subprocess
import sys

import edgewright as ew

HEAVY = {"numpy", "scipy", "onnx", "onnxruntime", "rich", "sklearn", "matplotlib"}


def test_public_names() -> None:
    assert ew.__all__ == [
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
    assert all(getattr(ew, name).__doc__ for name in ew.__all__)


def test_the_function_profile_is_not_hidden_by_the_module() -> None:
    from edgewright.profile import Profile

    assert callable(ew.profile)
    assert Profile.__module__ == "edgewright.profile"


def test_nothing_heavy_is_imported_at_the_start() -> None:
    code = "import sys, edgewright.cli.main; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY.isdisjoint(loaded)
