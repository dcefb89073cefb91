"""edgewright compress"""

import argparse
from pathlib import Path

from edgewright import api_compress
from edgewright.cli.options import Commands, add_command
from edgewright.cli.output import console, print_json, progress


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        "compress",
        run,
        "retrain a narrower PyTorch network that takes less time on a device",
        "A task is a compression.task.Task, or a function that makes one: the network, an example of its input, how it "
        "is trained and how it is judged.",
        lambda arguments: (
            f"go on with the same command and --resume, from {arguments.output / api_compress.CHECKPOINT}"
        ),
    )
    command.add_argument("task", metavar="FILE.py:TASK")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the folder to write to")
    command.add_argument("--device", metavar="NAME", help="whose execution-time model steers (local, or the only one)")
    _add_target(command)
    _add_training(command)


def _add_target(command: argparse.ArgumentParser) -> None:
    command.add_argument("--time", metavar="TARGET", help="a share of what it takes now, such as 0.5, or a time: 4ms")
    command.add_argument(
        "--energy", type=float, metavar="SHARE", help="a share of its energy, where the profile has it"
    )
    command.add_argument("--max-drop", type=float, metavar="POINTS", help="how far the accuracy may fall (any)")
    command.add_argument("--memory", metavar="BYTES", help="peak memory of the activations, such as 2MB (any)")
    command.add_argument(
        "--method", choices=api_compress.METHODS, default="taylor",
        help="how channels are chosen: by Taylor scores and a knapsack, or by DeepIoT's compressor (taylor)",
    )  # fmt: skip
    command.add_argument(
        "--steer", choices=("time", "operations", "parameters"), default="time", help="what the share is of (time)"
    )


def _add_training(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--steps", type=int, default=api_compress.STEPS, metavar="N",
        help=f"steps of training, of all rounds together ({api_compress.STEPS})",
    )  # fmt: skip
    command.add_argument(
        "--rounds", type=int, metavar="N", help="the network is cut and trained so many times (1; 2 with --max-drop)"
    )  # fmt: skip
    command.add_argument(
        "--distill", type=float, default=0.0, metavar="SHARE", help="of the loss, from the uncompressed network (0)"
    )
    command.add_argument("--seed", type=int, default=0, metavar="N")
    command.add_argument("--on", default="cpu", metavar="DEVICE", help="where to train: cpu or cuda (cpu)")
    command.add_argument("--resume", action="store_true", help="go on with a run that was interrupted or killed")
    command.add_argument("--log", type=Path, metavar="FOLDER", help="log for TensorBoard, where it is installed")


def run(arguments: argparse.Namespace) -> int:
    with progress() as on_progress:
        view = api_compress.compress(
            arguments.task,
            device=arguments.device,
            time=arguments.time,
            energy=arguments.energy,
            out=arguments.output,
            max_drop=arguments.max_drop,
            memory=arguments.memory,
            method=arguments.method,
            steer=arguments.steer,
            steps=arguments.steps,
            rounds=arguments.rounds,
            distill=arguments.distill,
            seed=arguments.seed,
            torch_device=arguments.on,
            resume=arguments.resume,
            log_folder=arguments.log,
            on_progress=on_progress,
        ).view
    if arguments.json:
        print_json(view)
    else:
        from edgewright.report.compress_terminal import draw_compression

        console().print(draw_compression(view))
    return 0
