"""edgewright memory"""

import argparse

from edgewright import api_memory
from edgewright.cli import micro
from edgewright.cli.options import Commands, add_command, add_inputs, add_settings
from edgewright.cli.output import console, print_json


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        "memory",
        run,
        "predict a network's peak memory, who holds it, and how it goes from op to op",
        "Nothing is run; inputs and outputs count, and weights are told apart.",
    )
    command.add_argument("model", metavar="MODEL")
    command.add_argument(
        "--runtime",
        choices=("onnxruntime", "litert", micro.RUNTIME),
        help="tflm: the tensor arena of TensorFlow Lite Micro",
    )
    add_settings(command, "default")
    add_inputs(command)


def run(arguments: argparse.Namespace) -> int:
    if arguments.runtime == micro.RUNTIME:
        return micro.run_memory(arguments)
    view = api_memory.memory(arguments.model, settings=arguments.settings, input_shapes=dict(arguments.input))
    if arguments.json:
        print_json(view)
    else:
        from edgewright.report.memory_terminal import draw_memory

        console().print(draw_memory(view))
    return 0
