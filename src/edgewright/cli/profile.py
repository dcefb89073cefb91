"""edgewright profile"""

import argparse

from edgewright import api
from edgewright.cli.options import Commands, add_command, add_inputs, add_runtime, add_threads, seconds
from edgewright.cli.output import console, print_json, progress


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        "profile",
        run,
        "measure this machine and learn its execution-time model",
        "Interrupted, it goes on where it stopped when it is called again.",
        _interrupted,
    )
    command.add_argument(
        "--for",
        nargs="+",
        action="extend",
        default=[],
        dest="models",
        metavar="MODEL",
        help="measure the layers of these networks and those beside them, instead of layers of every kind",
    )
    command.add_argument(
        "--budget", type=seconds, metavar="TIME", help="how long to measure, in all (7m; 60s with --for)"
    )
    command.add_argument("--name", help="the name in the device store (local; local-litert with that runtime)")
    command.add_argument(
        "--energy",
        nargs="?",
        const="any",
        choices=("any", "rapl", "hwmon", "nvml"),
        help="measure the energy of layers too, for as long again, from this source (any that is here)",
    )
    command.add_argument("--fresh", action="store_true", help="forget what was measured under this name before")
    add_runtime(command)
    add_threads(command)
    add_inputs(command)


def run(arguments: argparse.Namespace) -> int:
    with progress() as on_progress:
        summary = api.profile(
            arguments.models,
            name=arguments.name,
            runtime=arguments.runtime,
            threads=arguments.threads,
            level=arguments.level,
            budget_s=arguments.budget,
            input_shapes=dict(arguments.input),
            fresh=arguments.fresh,
            energy=arguments.energy,
            on_progress=on_progress,
        )
    if arguments.json:
        print_json(summary)
    else:
        from edgewright.report.tables import summary_table

        console().print(summary_table(summary))
    return 0


def _interrupted(arguments: argparse.Namespace) -> str:
    return "what was measured is kept; the same command goes on from there"
