"""Options that several commands share, and how their values are read."""

import argparse
from collections.abc import Callable
from typing import Any

from edgewright.errors import EdgewrightError
from edgewright.units import parse_seconds

Commands = Any
"""What argparse calls subparsers; its type has no public name."""


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    more: str = "",
    interrupted: Callable[[argparse.Namespace], str] = lambda _: "nothing was changed",
) -> argparse.ArgumentParser:
    """A command with its `run`, and what to say when it is interrupted; every command has --json."""
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=f"{summary[:1].upper()}{summary[1:]}. {more}".strip()
    )
    command.set_defaults(run=run, interrupted=interrupted)
    command.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    return command


def add_inputs(command: argparse.ArgumentParser) -> None:
    """--input, as often as needed."""
    command.add_argument(
        "--input",
        action="append",
        default=[],
        type=input_shape,
        metavar="NAME=SHAPE",
        help="the shape of an input with open dimensions, such as image=1x3x224x224; may be repeated",
    )


def add_threads(command: argparse.ArgumentParser) -> None:
    command.add_argument("--threads", type=count, default=1, metavar="N", help="threads of the runtime (1)")


def add_runtime(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--runtime", help="the runtime that executes models: onnxruntime, litert (by the files' format)"
    )
    command.add_argument(
        "--level",
        choices=("all", "extended", "basic", "none"),
        default="all",
        help="the runtime's graph optimization (all); with litert, all runs on XNNPACK and none without it",
    )


def add_settings(command: argparse.ArgumentParser, usual: str) -> None:
    """--settings of the runtime's memory."""
    command.add_argument(
        "--settings",
        choices=("default", "lean", "arena"),
        default=usual,
        help=f"the runtime's memory settings: its own, or those of edgewright.lean_session ({usual})",
    )


def input_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """`image=1x3x224x224` as the name and the shape; a scalar's shape is empty."""
    name, equals, sides = text.rpartition("=")
    parts = sides.lower().split("x") if sides else []
    if not equals or not name or not all(part.isdecimal() and 0 < int(part) < 2**31 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name and a shape, such as image=1x3x224x224")
    return name, tuple(map(int, parts))


def seconds(text: str) -> float:
    """`90s` or `5m` in seconds."""
    try:
        return parse_seconds(text)
    except EdgewrightError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def count(text: str) -> int:
    """A whole number above zero."""
    if not text.isdecimal() or not 0 < int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1024")
    return int(text)
