"""edgewright bench"""

import argparse

from edgewright import api
from edgewright.cli.options import Commands, add_command, add_inputs, add_runtime, add_threads, seconds
from edgewright.cli.output import console, print_json, progress


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        "bench",
        run,
        "compare models honestly: interleaved rounds in fresh processes, time, memory and outputs",
        "Ratios are to the first model.",
    )
    command.add_argument("models", nargs="+", metavar="MODEL")
    command.add_argument(
        "--compare", action="store_true", help="check that all models give the same outputs on the same random inputs"
    )
    command.add_argument("--budget", type=seconds, metavar="TIME", help="timed runs of one model, in all (4s)")
    add_runtime(command)
    add_threads(command)
    add_inputs(command)


def run(arguments: argparse.Namespace) -> int:
    with progress() as on_progress:
        report = api.bench(
            arguments.models,
            runtime=arguments.runtime,
            threads=arguments.threads,
            level=arguments.level,
            compare=arguments.compare,
            budget_s=arguments.budget,
            input_shapes=dict(arguments.input),
            on_progress=on_progress,
        )
    if arguments.json:
        print_json({**vars(report), "failures": report.failures})
    else:
        from edgewright.report.tables import bench_table

        console().print(bench_table(report))
    return 1 if report.failures else 0
