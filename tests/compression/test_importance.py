"""Scores against exact derivatives, and a network half of whose units are useless."""

import pytest

torch = pytest.importorskip("torch")

from tests.compression.tasks import Dense, dense_graph, plane_task  # noqa: E402
from torch import nn  # noqa: E402

from edgewright.compression.importance import reading, taylor  # noqa: E402
from edgewright.compression.masks import Masking  # noqa: E402
from edgewright.compression.task import Task  # noqa: E402
from edgewright.errors import DataError  # noqa: E402


def test_scores_are_the_derivatives_of_the_mask_on_what_reads_the_channel():
    torch.manual_seed(0)
    module = Dense().eval()
    graph, groups = dense_graph(module)
    task = plane_task(module)
    found = taylor(task, module, graph, groups, batches=1, seed=3)["a"]
    assert [member.tensor for member in reading(graph, groups[0]).members] == ["last.weight"]
    mask = torch.ones(8, requires_grad=True)
    torch.manual_seed(3)
    masking = Masking.of(module, [reading(graph, groups[0])])
    batch = next(iter(task.batches(3)))
    torch.manual_seed(0)
    again = taylor(Task(module, task.example, task.evaluate, lambda _: [batch], task.loss), module, graph, groups, 1, 0)
    masking.loss(module, {"a": mask}, task.loss, batch).backward()
    assert torch.allclose(again["a"], mask.grad.abs(), rtol=1e-4)
    assert found.shape == (8,)


def test_useless_units_score_zero_and_all_others_more():
    torch.manual_seed(0)
    module = Dense()
    with torch.no_grad():
        module.last.weight[:, ::2] = 0.0
    graph, groups = dense_graph(module)
    found = taylor(plane_task(module), module, graph, groups, batches=6, seed=0)["a"]
    assert torch.equal(found[::2], torch.zeros(4))
    assert found[1::2].min() > 0


def test_a_task_that_trains_itself_is_scored_on_a_copy():
    torch.manual_seed(0)
    module = Dense()
    graph, groups = dense_graph(module)
    own = plane_task(module)
    before = {name: value.clone() for name, value in module.state_dict().items()}

    def train(live: nn.Module, steps: int) -> None:
        optimizer = torch.optim.SGD(live.parameters(), 0.0)
        for _, batch in zip(range(steps), own.batches(5), strict=False):
            optimizer.zero_grad()
            own.loss(live, batch).backward()
            optimizer.step()

    found = taylor(Task(module, own.example, own.evaluate, train=train), module, graph, groups, batches=4, seed=0)["a"]
    wanted = torch.zeros(8)
    torch.manual_seed(0)
    for _, batch in zip(range(4), own.batches(5), strict=False):
        module.zero_grad()
        own.loss(module, batch).backward()
        wanted += (module.last.weight * module.last.weight.grad).sum(0).square() / 4
    assert torch.allclose(found, wanted.detach().sqrt(), rtol=0.1)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_loss_without_finite_gradients_is_refused():
    module = Dense()
    graph, groups = dense_graph(module)
    own = plane_task(module)
    task = Task(module, own.example, own.evaluate, own.batches, lambda live, batch: live(batch[0]).sum() * float("nan"))
    with pytest.raises(DataError, match="not finite"):
        taylor(task, module, graph, groups, 2, 0)
