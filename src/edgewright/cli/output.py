"""What commands print: one JSON document, or tables for people; progress goes to standard error."""

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 150
"""Columns where the output is no terminal, so that tables in files and pipes are not squeezed."""


def print_json(document: Any) -> None:
    """The one document of a command; what is infinite or no number becomes null."""
    print(json.dumps(_plain(document), indent=2, allow_nan=False))


def console() -> "Console":
    """Standard output for people."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE, highlight=False)


@contextmanager
def progress() -> Iterator[Callable[[str, float], None]]:
    """A bar on standard error while something takes its time; silent where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    errors = Console(stderr=True)
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bars:
        task = bars.add_task("", total=1.0)
        yield lambda told, share: bars.update(task, description=told, completed=share)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
