"""edgewright evaluate"""

import argparse

from edgewright import api
from edgewright.cli.options import Commands, add_command
from edgewright.cli.output import console, print_json, progress


def add(commands: Commands) -> None:
    command = add_command(
        commands, "evaluate", run, "held-out error for each kind of layer, beside the baselines (by cross-validation)"
    )
    command.add_argument("name", nargs="?", help="the device (local, or the only one)")
    command.add_argument(
        "--baselines",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="train what others predict with on the same splits (needs scikit-learn)",
    )


def run(arguments: argparse.Namespace) -> int:
    with progress() as on_progress:
        found = api.evaluate(arguments.name, baselines=arguments.baselines, on_progress=on_progress)
    if arguments.json:
        print_json(found)
    else:
        from edgewright.report.tables import evaluation_table

        console().print(evaluation_table(found))
    return 0
