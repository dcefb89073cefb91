"""The command `edgewright`: parses, calls the API, prints.

Exit status: 0 done, 1 failed with a clear message, 2 wrong usage, 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from edgewright.cli import align, bench, compress, devices, evaluate, explain, fit, memory, profile, tile
from edgewright.cli.output import print_json
from edgewright.errors import EdgewrightError

COMMANDS = (profile, devices, fit, evaluate, explain, bench, memory, tile, align, compress)
DEBUG = "EDGEWRIGHT_DEBUG"


class Version(argparse.Action):
    """Prints the version; it is looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        from importlib.metadata import version

        print(f"edgewright {version('edgewright')}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; every command sets `run`."""
    top = argparse.ArgumentParser(
        prog="edgewright",
        description="Make a neural network run fast, and fit, on the device where it has to run.",
        epilog="edgewright COMMAND --help tells more. Start with: edgewright profile --for MODEL, then explain MODEL.",
    )
    top.add_argument("--version", action=Version, nargs=0, help="print the version and leave")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit status."""
    arguments = parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except EdgewrightError as error:
        return _failed(str(error), arguments)
    except KeyboardInterrupt:
        print(f"\ninterrupted; {arguments.interrupted(arguments)}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        told = f"unexpected {type(error).__name__}: {error}; please report it, with what {DEBUG}=1 prints"
        return _failed(" ".join(told.split()), arguments)


def _failed(told: str, arguments: argparse.Namespace) -> int:
    """One line on standard error, or with --json one document on standard output."""
    if arguments.json:
        print_json({"error": told})
    else:
        print(f"edgewright: {told}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
