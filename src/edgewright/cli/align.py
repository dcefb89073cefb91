"""edgewright align"""

import argparse
from pathlib import Path

from edgewright import api_align
from edgewright.cli.options import Commands, add_command, add_inputs, seconds
from edgewright.cli.output import console, print_json, progress


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        "align",
        run,
        "make layers wider where wider runs faster, outputs unchanged",
        "Channels are added with zero weights; no data and no training is needed. What is proposed is measured here, "
        "and nothing is written where nothing proves to be faster.",
        lambda _: "nothing was written",
    )
    command.add_argument("model", metavar="MODEL")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the file to write")
    command.add_argument(
        "--device",
        metavar="NAME",
        help="whose execution-time model proposes widths (local, local-litert for .tflite files, or the only one)",
    )
    command.add_argument(
        "--max-growth",
        type=growth,
        default=api_align.MAX_GROWTH,
        metavar="RATIO",
        help=f"weights may grow to so many times what they are ({api_align.MAX_GROWTH})",
    )
    command.add_argument(
        "--max-memory-growth",
        type=growth,
        default=api_align.MAX_MEMORY_GROWTH,
        metavar="RATIO",
        help=f"peak memory, as predicted, may grow to so many times what it is ({api_align.MAX_MEMORY_GROWTH:g})",
    )
    command.add_argument(
        "--budget", type=seconds, default=api_align.BUDGET_S, metavar="TIME", help="how long to measure plans (1m)"
    )
    add_inputs(command)


def growth(text: str) -> float:
    """A ratio of 1 or more."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 1 <= found <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a ratio from 1 on, such as 1.25")
    return found


def run(arguments: argparse.Namespace) -> int:
    with progress() as on_progress:
        view = api_align.align(
            arguments.model,
            arguments.output,
            device=arguments.device,
            max_growth=arguments.max_growth,
            max_memory_growth=arguments.max_memory_growth,
            budget_s=arguments.budget,
            input_shapes=dict(arguments.input),
            on_progress=on_progress,
        )
    if arguments.json:
        print_json(view)
    else:
        from edgewright.report.align_terminal import draw_alignment

        console().print(draw_alignment(view))
    return 0
