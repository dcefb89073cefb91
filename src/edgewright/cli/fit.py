"""edgewright fit"""

import argparse

from edgewright import api
from edgewright.cli.options import Commands, add_command, add_threads
from edgewright.cli.output import console, print_json, progress


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        "fit",
        run,
        "learn from measurements made elsewhere (a phone, a board, a lab's table)",
        "The CSV has a row a layer: kind, in_channels, out_channels, kernel_h, stride_h, in_height, in_width, ..., and "
        "one of time_us, time_ms and time_s.",
    )
    command.add_argument("measurements", metavar="MEASUREMENTS.csv")
    command.add_argument("--name", required=True, help="the name in the device store")
    command.add_argument("--runtime", default="", help="what the layers were run with, for the record")
    add_threads(command)


def run(arguments: argparse.Namespace) -> int:
    with progress() as on_progress:
        summary = api.fit(
            arguments.measurements,
            arguments.name,
            runtime=arguments.runtime,
            threads=arguments.threads,
            on_progress=on_progress,
        )
    if arguments.json:
        print_json(summary)
    else:
        from edgewright.report.tables import summary_table

        console().print(summary_table(summary))
    return 0
