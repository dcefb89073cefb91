"""What edgewright does about networks that are retrained, as a function; like `api`, of which this is a part."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.api import File, OnProgress
from edgewright.api_align import learned_device
from edgewright.errors import BudgetError, DataError, EdgewrightError, MeasurementError, StoreError

if TYPE_CHECKING:
    from edgewright.compression.aim import Device
    from edgewright.compression.compress import Compressed
    from edgewright.compression.task import Task
    from edgewright.graph.types import LayerSpec
    from edgewright.profiling.bench import BenchReport
    from edgewright.report.compress_figures import Asked
    from edgewright.report.compress_view import CompressView

STEPS, BATCHES = 1000, 50
METHODS, STEERS = ("taylor", "deepiot"), ("time", "energy", "operations", "parameters")
ONNX, WEIGHTS, REPORT, CHECKPOINT = "model.onnx", "model.pt", "report.json", "checkpoint.pt"
_PROOF_S = 4.0


@dataclass(frozen=True)
class Result:
    """The narrower network, an ordinary nn.Module on the CPU in evaluation mode, and what was done."""

    module: Any
    view: "CompressView"


def compress(
    model: Any,
    example_input: Any = None,
    device: str | None = None,
    *,
    time: float | str | None = None,
    energy: float | None = None,
    train: Callable[[Any, int], Any] | None = None,
    evaluate: Callable[[Any], float] | None = None,
    batches: Callable[[int], Any] | None = None,
    loss: Callable[[Any, Any], Any] | None = None,
    out: File | None = None,
    max_drop: float | None = None,
    memory: int | str | None = None,
    method: str = "taylor",
    steer: str = "time",
    steps: int = STEPS,
    rounds: int | None = None,
    score_batches: int = BATCHES,
    distill: float = 0.0,
    seed: int = 0,
    torch_device: str = "cpu",
    resume: bool = False,
    log_folder: File | None = None,
    checkpoint_steps: int = 100,
    on_progress: OnProgress = lambda _, __: None,
) -> Result:
    """A narrower network, retrained, that takes less time on a device.

    `model` is a task (`compression.task.Task`), the name of one (`FILE.py:NAME`), or a module with its
    `example_input`, `evaluate(module)`, and `train(module, steps)` or `batches(seed)` with `loss(module, batch)`.
    `time` is a share of what the network takes now (0.5), or a time ("4ms"); `energy` is a share of its energy instead,
    where the device's profile has any; with `steer` the share is of the operations or the parameters. `max_drop` is in
    points: the network is cut in `rounds` (2 then, else 1) as far as it holds the accuracy. `steps` of training are
    those of all rounds together. `out` is a folder for the ONNX file, the weights and the report; a killed run goes on
    from there with `resume`. The time of the ONNX file is measured, where the device is this machine, and the widths
    are corrected by it before the network is trained. Raises ModelError, DataError, BudgetError, TrainingError,
    StoreError, MeasurementError.
    """
    if method not in METHODS or steer not in STEERS:
        raise BudgetError(f"methods are {', '.join(METHODS)}, and steering is by {', '.join(STEERS)}")
    if (time is None) == (energy is None):
        raise BudgetError("give a target: either time, such as 0.5 or 4ms, or energy, such as 0.5")
    steer = steer if energy is None else "energy"
    value, is_absolute = _target(energy if time is None else time, steer)
    rounds = rounds if rounds is not None else 1 if max_drop is None else 2
    if steps < 0 or rounds < 1 or score_batches < 1 or not 0 <= distill <= 1:
        raise BudgetError("steps can't be below 0, rounds and score batches not below 1, and distill is from 0 to 1")
    task, name = _task(model, example_input, train, evaluate, batches, loss)
    from edgewright.compression.aim import Aim
    from edgewright.compression.compress import Compression
    from edgewright.compression.training import Settings
    from edgewright.report.compress_figures import Asked
    from edgewright.units import parse_bytes

    memory_bytes = parse_bytes(memory) if isinstance(memory, str) else memory
    aim = Aim(value, is_absolute, steer, method, max_drop, memory_bytes, steps, rounds, score_batches)
    settings = Settings(
        seed, torch_device, distill, checkpoint_steps=checkpoint_steps,
        log_folder=None if log_folder is None else str(log_folder),
    )  # fmt: skip
    folder = None if out is None else _folder(Path(out))
    with _on_device(task, device, steer, on_progress) as (chosen, here):
        journal = None if folder is None else folder / CHECKPOINT
        done = Compression(task, aim, here.device, settings, journal, resume, on_progress).run()
        on_progress("proving", 1.0)
        return _written(done, here, Asked(name, None if folder is None else str(folder), chosen, aim, seed))


def load_compressed(model: Any, example_input: Any, path: File) -> Any:
    """The narrower module of a `model.pt`, from a module built as the uncompressed one was. Raises ModelError."""
    from edgewright.compression.saving import load_network

    return load_network(model, example_input, Path(path))


@dataclass
class _Here:
    """The device, and this machine as far as it is that device: files of networks, and what they take."""

    device: "Device"
    folder: Path
    threads: int
    runs: bool

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.onnx"

    def seconds(self, module: Any, example: Any, before_s: float | None) -> float:
        """Seconds of the first network (module None), or of another one: its measured ratio to the first's."""
        from edgewright.formats.torch import export_onnx
        from edgewright.profiling.local import core, start
        from edgewright.profiling.race import RaceSetup, race

        files = [self.file("before")]
        if module is not None:
            export_onnx(module, example, self.file("after"))
            files.append(self.file("after"))
        setup = RaceSetup(self.threads, cpu=core(self.threads))
        found = race(lambda: start("onnxruntime"), files, setup)
        return found.ratios[0].value * (before_s or found.first_s) if found.ratios else found.first_s

    def layers(self, module: Any, example: Any) -> dict["LayerSpec", float]:
        """Seconds of each layer of the first network (module None), or of another one, in that network."""
        from statistics import median

        from edgewright.formats.torch import export_onnx
        from edgewright.profiling.local import network_run, workplace
        from edgewright.report.view import shared_out

        if module is not None:
            export_onnx(module, example, self.file("after"))
        with workplace("onnxruntime", self.threads) as here:
            run = network_run(here, self.file("before" if module is None else "after"), {})
        whole_s = max(median(run.samples_s) - self.device.overhead_s, 0.0)
        times_s = shared_out([one.time_s for one in run.layers], whole_s)
        found: dict[LayerSpec, list[float]] = {}
        for one, time_s in zip(run.layers, times_s, strict=True):
            found.setdefault(one.layer, []).append(time_s)
        return {layer: median(own) for layer, own in found.items()}

    def proof(self) -> "BenchReport":
        """Both files in fresh processes. Raises EdgewrightError."""
        from edgewright.profiling.bench import BenchSetup, bench
        from edgewright.profiling.local import core, start

        setup = BenchSetup(threads=self.threads, cpu=core(self.threads), budget_s=_PROOF_S)
        report = bench(lambda: start("onnxruntime"), [self.file("before"), self.file("after")], setup, False)
        if report.failures:
            raise MeasurementError(f"the narrower network can't be measured: {report.failures[0]}")
        return report


@contextmanager
def _on_device(task: "Task", name: str | None, steer: str, on_progress: OnProgress) -> "Iterator[tuple[str, _Here]]":
    """The name of the device and what is known of it, for as long as its scratch folder is there."""
    import tempfile

    from edgewright.compression.aim import Device
    from edgewright.formats.torch import export_onnx
    from edgewright.profiling.local import block_channels
    from edgewright.store import open_store

    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch:
        first = Path(scratch) / "before.onnx"
        on_progress("exporting the network", 0.0)
        export_onnx(task.module, task.example, first)
        refusal = "; compress writes what onnxruntime runs"
        chosen, learned = learned_device(first, "onnxruntime", name, refusal, None, on_progress)
        store = open_store()
        overhead_s = store.profile(chosen).run_overhead_s
        energy = store.energy_model(chosen) if steer == "energy" else None
        here = _Here(Device(learned, block_channels(), overhead_s, energy), Path(scratch), learned.threads, False)
        if learned.runtime_version:
            here = _measuring(here, task)
        yield chosen, here


def _measuring(here: _Here, task: "Task") -> _Here:
    """The same, measuring on this machine."""
    from dataclasses import replace

    found: dict[str, float] = {}

    def measure(module: Any) -> float:
        seconds = here.seconds(module, task.example, found.get("before"))
        if module is None:
            found["before"] = seconds
        return seconds

    def layers(module: Any) -> dict["LayerSpec", float]:
        return here.layers(module, task.example)

    return replace(here, device=replace(here.device, measure=measure, layers=layers), runs=True)


def _target(value: float | str | None, steer: str) -> tuple[float, bool]:
    """A share of what is, or seconds and True."""
    from edgewright.units import parse_seconds

    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            if steer != "time":
                raise BudgetError(f"steering by {steer} takes a share, such as 0.5, not {value!r}") from None
            return parse_seconds(str(value)), True
    if value is None or not 0 < value < 1:
        raise BudgetError(f"a share of the {steer} is between 0 and 1, such as 0.5; a time has a unit, such as 4ms")
    return float(value), False


def _task(model: Any, example: Any, train: Any, evaluate: Any, batches: Any, loss: Any) -> "tuple[Task, str]":
    """The task that is meant, and what it is called."""
    try:
        from edgewright.compression.task import Task, load_task
    except ImportError as error:
        raise EdgewrightError("compress needs the extra torch: pip install 'edgewright[torch]'") from error
    if isinstance(model, str):
        return load_task(model), model
    if isinstance(model, Task):
        return model, type(model.module).__name__
    if example is None or evaluate is None:
        raise DataError("task: a module comes with its example_input and evaluate")
    given = example if isinstance(example, tuple) else (example,)
    return Task(model, given, evaluate, batches, loss, train), type(model).__name__


def _folder(out: Path) -> Path:
    """The folder to write to, made if need be. Raises StoreError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"can't write to {out}: {error.strerror or error}") from error
    return out


def _written(done: "Compressed", here: _Here, asked: "Asked") -> Result:
    """The files, each written whole, the report last; then the checkpoint has served."""
    import json
    from dataclasses import asdict

    from edgewright.compression.saving import save_network
    from edgewright.files import write_atomically
    from edgewright.formats.torch import export_onnx
    from edgewright.report.compress_figures import compress_view

    network = done.network
    module = network.module.cpu().eval()
    example = tuple(value.cpu() if hasattr(value, "cpu") else value for value in network.example)
    export_onnx(module, example, here.file("after"))
    view = compress_view(done, here.proof() if here.runs else None, asked)
    if asked.out is not None:
        folder = Path(asked.out)
        write_atomically(folder / ONNX, here.file("after").read_bytes())
        save_network(network, folder / WEIGHTS)
        write_atomically(folder / REPORT, json.dumps(asdict(view), indent=2) + "\n")
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return Result(module, view)
