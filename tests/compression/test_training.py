"""Training: what was left goes on as if nothing had been, and a loss that is no number stops it."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tests.compression.tasks import Dense, plane, plane_task  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from edgewright.compression.task import Task, from_lightning, from_loader, load_task  # noqa: E402
from edgewright.compression.training import Settings, Training, distilled, evaluated, schedule  # noqa: E402
from edgewright.errors import DataError, TrainingError  # noqa: E402


class StopError(Exception):
    pass


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("adam", [False, True])
@pytest.mark.parametrize("stop_after", [3, 6, 10, 12])
def test_a_killed_run_goes_on_bit_for_bit(stop_after: int, adam: bool, tmp_path):
    """Six batches in a pass: killed within a pass and at its end, with dropout and noise from the global numbers."""
    torch.manual_seed(0)
    start = Dense(dropout=0.3)
    optimizer = (lambda parameters: torch.optim.Adam(parameters, 0.01)) if adam else None
    task, settings = plane_task(start, optimizer=optimizer), Settings(seed=5, checkpoint_steps=3)
    whole = deepcopy(start)
    Training(task, whole, 17, settings).run()
    kept: dict[str, Any] = {}

    def save(state: Any) -> None:
        torch.save(state, tmp_path / "state.pt")
        kept["step"] = state["step"]
        if state["step"] == stop_after:
            raise StopError

    killed = Training(task, deepcopy(start), 17, settings)
    if stop_after % 3 == 0:
        with pytest.raises(StopError):
            killed.run(save)
    else:

        def die(progress: Any) -> None:
            if progress.step == stop_after:
                raise StopError

        with pytest.raises(StopError):
            killed.run(lambda state: torch.save(state, tmp_path / "state.pt"), die)
    torch.randn(7)
    again = deepcopy(start)
    training = Training(task, again, 17, settings)
    training.load(torch.load(tmp_path / "state.pt", weights_only=False))
    training.run()
    assert training.step == 17 and len(training.losses) == 17
    assert same(whole, again)


def test_a_diverging_run_stops_and_leaves_the_last_good_state():
    start = Dense()
    own = plane_task(start)
    calls = []

    def loss(live: nn.Module, batch: Any) -> torch.Tensor:
        calls.append(1)
        return own.loss(live, batch) * (float("nan") if len(calls) == 8 else 1.0)

    saved = []
    training = Training(
        Task(start, own.example, own.evaluate, own.batches, loss), start, 20, Settings(checkpoint_steps=5)
    )
    with pytest.raises(TrainingError, match="diverged at step 8: the loss is nan"):
        training.run(saved.append)
    assert [state["step"] for state in saved] == [5]
    assert all(torch.isfinite(value).all() for value in saved[0]["module"].values())


def test_training_learns_and_stops_when_it_is_enough():
    torch.manual_seed(0)
    module = Dense()
    task = plane_task(module, learning_rate=0.1)
    seen = []
    training = Training(task, module, 300, Settings())
    training.run(on_progress=seen.append, is_enough=lambda live: evaluated(task, live) > 0.9, check_steps=20)
    assert training.step < 300
    assert evaluated(task, module) > 0.9
    assert seen[-1].left_s >= 0


def test_a_lightning_module_and_a_loader_train():
    class Lit(Dense):
        def training_step(self, batch: Any, index: int) -> dict[str, torch.Tensor]:
            return {"loss": nn.functional.cross_entropy(self(batch[0]), batch[1])}

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.Adam(self.parameters(), lr=0.03)
            return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 3)}

    x, y = plane()
    loader = DataLoader(TensorDataset(x, y), 16, shuffle=True)

    def accuracy(live: nn.Module) -> float:
        return float((live(x).argmax(1) == y).float().mean())

    torch.manual_seed(0)
    lit = from_lightning(Lit(), x[:1], loader, accuracy)
    plain = from_loader(Dense(), x[:1], loader, nn.functional.cross_entropy, accuracy, learning_rate=0.1)
    for task in (lit, plain):
        training = Training(task, deepcopy(task.module), 120, Settings())
        training.run()
        assert evaluated(task, training.module) > 0.9
    made = Training(lit, deepcopy(lit.module), 1, Settings()).optimizer
    assert isinstance(made, torch.optim.Adam) and made.param_groups[0]["lr"] == 0.03


def test_distillation_is_zero_between_equals_and_pulls_towards_the_teacher():
    x = torch.randn(5, 3)
    assert distilled(x, x) == pytest.approx(0.0, abs=1e-6)
    assert distilled(torch.randn(5, 3), x) > 0
    torch.manual_seed(0)
    teacher, student = Dense(), Dense()
    task = plane_task(student)
    batch = plane()[0]
    before = distilled(student(batch), teacher(batch)).item()
    Training(task, student, 100, Settings(distill=1.0), teacher).run()
    assert distilled(student(batch), teacher(batch)).item() < 0.3 * before


def test_the_teacher_sees_what_the_module_saw_and_nothing_runs_twice():
    torch.manual_seed(0)
    teacher, student, met = Dense().eval(), Dense(), []
    for module in (teacher, student):
        module.register_forward_pre_hook(lambda module, given: met.append((module, given[0])))
    task = plane_task(student)

    def loss(live, batch):
        return nn.functional.cross_entropy(live(batch[0] + torch.randn(batch[0].shape)), batch[1])

    Training(replace(task, loss=loss), student, 3, Settings(distill=0.5), teacher).run()
    assert [module for module, _ in met] == [student, teacher] * 3
    assert all(torch.equal(seen, told) for (_, seen), (_, told) in zip(met[::2], met[1::2], strict=True))


def test_the_learning_rate_rises_and_falls():
    rates = [schedule(step, 100) for step in range(100)]
    assert max(rates) <= 1.0 and rates.index(max(rates)) in (4, 5)
    assert rates[-1] < 0.01


def test_an_evaluation_that_is_no_number_is_refused():
    task = Task(Dense(), (torch.zeros(1, 4),), lambda _: float("nan"), train=lambda *_: None)
    with pytest.raises(DataError, match="evaluate gives nan"):
        evaluated(task, task.module)


TASK_FILE = """
import torch
from beside import WIDTH
from edgewright.compression.task import Task

def task():
    return Task(torch.nn.Linear(WIDTH, 2), (torch.zeros(1, WIDTH),), lambda _: 0.5, train=lambda m, s: None)

broken = 3
"""


def test_a_task_is_loaded_by_the_path_of_its_file(tmp_path):
    (tmp_path / "beside.py").write_text("WIDTH = 4")
    (tmp_path / "mine.py").write_text(TASK_FILE)
    assert load_task(f"{tmp_path}/mine.py:task").module.in_features == 4
    for where, why in (
        ("mine.py:missing", "no 'missing'"), ("mine.py:broken", r"broken\(\) failed"), ("none.py:task", "no such file"),
        ("mine.py", "FILE.py:NAME"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=why):
            load_task(f"{tmp_path}/{where}")
