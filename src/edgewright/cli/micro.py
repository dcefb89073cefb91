"""The options of TensorFlow Lite Micro in `edgewright memory` and `edgewright tile`."""

import argparse
from pathlib import Path

from edgewright import api_micro
from edgewright.cli.output import console, print_json, progress

RUNTIME = "tflm"


def add_tile_options(command: argparse.ArgumentParser) -> None:
    """What `tile` takes for --runtime tflm."""
    group = command.add_argument_group("TensorFlow Lite Micro, with --runtime tflm")
    group.add_argument("--io", choices=("int8",), help="integers at the ends in the place of floats, exactly")
    group.add_argument(
        "--emit-c", type=Path, metavar="DIR", help="also write C++: the model, arena size, ops to register"
    )
    group.add_argument("--apart", action="store_true", help="no tensors share bytes, for kernels that can't bear it")


def run_memory(arguments: argparse.Namespace) -> int:
    """`edgewright memory --runtime tflm`"""
    view = api_micro.arena(arguments.model)
    if arguments.json:
        print_json(view)
    else:
        from edgewright.report.arena_terminal import draw_arena

        console().print(draw_arena(view))
    return 0


def run_tile(arguments: argparse.Namespace) -> int:
    """`edgewright tile --runtime tflm`"""
    if arguments.frontier or arguments.output is None:
        arguments.wrong_usage("--runtime tflm writes a model: say -o OUT, and --memory or --slowdown")
    with progress() as on_progress:
        view = api_micro.tile_arena(
            arguments.model,
            arguments.output,
            memory=arguments.memory,
            slowdown=arguments.slowdown,
            int8_io=arguments.io == "int8",
            share=not arguments.apart,
            check=not arguments.no_check,
            emit_c=arguments.emit_c,
            on_progress=on_progress,
        )
    if arguments.json:
        print_json(view)
    else:
        from edgewright.report.arena_terminal import draw_arena_tiling

        console().print(draw_arena_tiling(view))
    return 0
