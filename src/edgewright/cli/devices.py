"""edgewright devices"""

import argparse

from edgewright import api
from edgewright.cli.options import Commands, add_command
from edgewright.cli.output import console, print_json


def add(commands: Commands) -> None:
    add_command(commands, "devices", run, "list what has been learned so far, with held-out errors")


def run(arguments: argparse.Namespace) -> int:
    found = api.devices()
    if arguments.json:
        print_json({"devices": found})
    else:
        from edgewright.report.tables import devices_table

        console().print(devices_table(found))
    return 0
