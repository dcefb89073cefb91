"""edgewright tile"""

import argparse
from pathlib import Path

from edgewright import api_memory
from edgewright.cli import micro
from edgewright.cli.options import Commands, add_command, add_inputs, add_settings
from edgewright.cli.output import console, print_json, progress


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        "tile",
        run,
        "fuse and tile layers so that a network fits in memory, outputs unchanged",
        "The result is a plain ONNX or TFLite file. Exit status 1, and nothing written, where the budget can't be met.",
        lambda _: "nothing was written",
    )
    command.add_argument("model", metavar="MODEL")
    command.add_argument("-o", "--output", type=Path, metavar="OUT", help="the file to write")
    wanted = command.add_mutually_exclusive_group(required=True)
    wanted.add_argument(
        "--memory", metavar="SIZE", help="the fastest plan predicted to stay inside, such as 16MB; weights apart"
    )
    wanted.add_argument(
        "--slowdown",
        type=float,
        metavar="RATIO",
        help="the least memory at so many times the time, such as 1.1, as measured here",
    )
    wanted.add_argument("--frontier", action="store_true", help="print all plans that none beats in memory and time")
    command.add_argument("--plot", type=Path, metavar="FILE", help="draw the frontier to a .png, .svg or .pdf file")
    command.add_argument("--device", metavar="NAME", help="whose execution-time model tells the times (as in explain)")
    command.add_argument("--no-check", action="store_true", help="run nothing: predicted times decide")
    add_settings(command, "arena, else lean")
    add_inputs(command)
    command.add_argument(
        "--runtime",
        choices=("onnxruntime", "litert", micro.RUNTIME),
        help="by the file: onnxruntime or litert; tflm: a .tflite file for TensorFlow Lite Micro",
    )
    micro.add_tile_options(command)
    command.set_defaults(wrong_usage=command.error, settings=None)


def run(arguments: argparse.Namespace) -> int:
    if arguments.runtime == micro.RUNTIME:
        return micro.run_tile(arguments)
    if arguments.frontier:
        return _frontier(arguments)
    if arguments.output is None:
        arguments.wrong_usage("-o OUT says where to write the tiled model")
    if arguments.plot is not None:
        arguments.wrong_usage("--plot draws a frontier: add --frontier in the place of --memory or --slowdown")
    with progress() as on_progress:
        view = api_memory.tile(
            arguments.model,
            arguments.output,
            memory=arguments.memory,
            slowdown=arguments.slowdown,
            settings=arguments.settings,
            device=arguments.device,
            runtime=arguments.runtime,
            check=not arguments.no_check,
            input_shapes=dict(arguments.input),
            on_progress=on_progress,
        )
    if arguments.json:
        print_json(view)
    else:
        from edgewright.report.tiling_terminal import draw_tiling

        console().print(draw_tiling(view))
    return 0


def _frontier(arguments: argparse.Namespace) -> int:
    if arguments.output is not None:
        arguments.wrong_usage("--frontier writes no model: leave -o out")
    with progress() as on_progress:
        view = api_memory.frontier(
            arguments.model,
            settings=arguments.settings,
            device=arguments.device,
            runtime=arguments.runtime,
            input_shapes=dict(arguments.input),
            on_progress=on_progress,
        )
    if arguments.plot is not None:
        api_memory.draw_frontier(view, arguments.plot)
    if arguments.json:
        print_json(view)
    else:
        from edgewright.report.tiling_terminal import draw_frontier

        console().print(draw_frontier(view))
    return 0
