"""edgewright explain"""

import argparse
from pathlib import Path

from edgewright import api
from edgewright.cli.options import Commands, add_command, add_inputs
from edgewright.cli.output import console, print_json, progress


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        "explain",
        run,
        "tell where a network's time goes, and which nearby widths would be faster",
    )
    command.add_argument("model", metavar="MODEL")
    command.add_argument("--device", metavar="NAME", help="a device of the store (local, or the only one)")
    command.add_argument("--rules", action="store_true", help="print the rules that predict its layers, in words")
    command.add_argument("--all", action="store_true", help="print every layer, not only those that take long")
    command.add_argument("--layer", metavar="NAME", help="draw the staircase of this layer")
    command.add_argument("--plot", type=Path, metavar="FILE", help="draw the staircase to a .png, .svg or .pdf file")
    command.add_argument("--html", type=Path, metavar="FILE", help="write all of it as one page")
    add_inputs(command)


def run(arguments: argparse.Namespace) -> int:
    with progress() as on_progress:
        explained = api.explain(
            arguments.model,
            device=arguments.device,
            rules=arguments.rules,
            layer=arguments.layer,
            input_shapes=dict(arguments.input),
            on_progress=on_progress,
        )
    if arguments.plot:
        api.draw_stairs(explained, arguments.plot)
    if arguments.html:
        api.write_page(explained, arguments.html)
    if arguments.json:
        print_json(explained)
    else:
        from edgewright.report.terminal import draw

        console().print(draw(explained, arguments.all))
    return 0
