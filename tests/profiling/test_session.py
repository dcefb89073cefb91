"""Campaigns: what was measured is kept, and one that was interrupted equals one that was not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import sleep

import pytest
from tests.fakes import FakeClient, FakeRuntime, fake_seconds

from edgewright.errors import DeviceError, RuntimeRefusedError, StoreError
from edgewright.graph.cost import layer_bytes
from edgewright.graph.types import LayerSpec
from edgewright.profile import Measurement, Profile
from edgewright.profiling.batch import (
    Circumstances,
    Overheads,
    Workplace,
    measure,
)
from edgewright.profiling.plan import GeneralPlan, NetworkPlan, Plan, anchors, batch_number, plan_of
from edgewright.profiling.session import campaign, load, spent_s

HEADER = Profile("here", "fake", "0", 1, settings="all")


def place(client: FakeClient | None = None, node_s: float = 0.0) -> Workplace:
    return Workplace(client or FakeClient(), FakeRuntime(), Circumstances(), Overheads(node_s=node_s))


@dataclass
class UpTo:
    """A plan that ends before a batch."""

    plan: Plan
    end: int

    @property
    def name(self) -> str:
        return self.plan.name

    def batch(self, number: int, measured: Sequence[Measurement]) -> list[LayerSpec]:
        return self.plan.batch(number, measured) if number < self.end else []

    def together(self, number: int) -> bool:
        return self.plan.together(number)


class Busy(FakeClient):
    """Takes its time, and notes whether it was asked while it was at work."""

    def __init__(self, pause_s: float = 0.002) -> None:
        super().__init__()
        self.pause_s, self.working, self.overlapped = pause_s, False, False

    def ask(self, job: str, timeout_s: float = 120.0, **arguments: object) -> dict[str, object]:
        self.overlapped = self.overlapped or self.working
        self.working = True
        sleep(self.pause_s)
        answer = super().ask(job, timeout_s, **arguments)
        self.working = False
        return answer


class Killed(BaseException):
    """What ends a campaign from outside."""


def run(path: Path, end: int, client: FakeClient | None = None) -> Profile:
    return campaign([place(client)], path, HEADER, UpTo(GeneralPlan(adapt_every=20), end), 1e6)


def timeless(profile: Profile) -> Profile:
    return replace(profile, measurements=tuple(replace(m, started_s=0.0) for m in profile.measurements))


@pytest.mark.parametrize("stop", [1, 7, 21])
def test_an_interrupted_campaign_equals_one_that_was_not(tmp_path: Path, stop: int) -> None:
    whole = run(tmp_path / "whole.jsonl", 23)
    run(tmp_path / "parts.jsonl", stop)
    assert timeless(run(tmp_path / "parts.jsonl", 23)) == timeless(whole)
    assert max(map(batch_number, whole.measurements)) == 22


def test_a_budget_that_is_spent_before_anything_was_measured_pays_for_the_first_batch(tmp_path: Path) -> None:
    found = campaign([place()], tmp_path / "profile.jsonl", HEADER, GeneralPlan(), 1e-9)
    assert set(map(batch_number, found.measurements)) == {0}
    assert campaign([place()], tmp_path / "profile.jsonl", HEADER, GeneralPlan(), 1e-9) == found


def test_a_kill_in_the_middle_of_a_batch_loses_no_finished_batch(tmp_path: Path) -> None:
    class Dying(FakeClient):
        def ask(self, job: str, timeout_s: float = 120.0, **arguments: object) -> dict[str, object]:
            if len(self.batches) == 200:
                raise Killed
            return super().ask(job, timeout_s, **arguments)

    path = tmp_path / "profile.jsonl"
    with pytest.raises(Killed):
        run(path, 20, Dying())
    kept = load(path)
    assert 2 < max(map(batch_number, kept.measurements)) < 19
    assert timeless(run(path, 20)) == timeless(run(tmp_path / "whole.jsonl", 20))


def test_a_torn_last_line_is_cut_off_and_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "profile.jsonl"
    run(path, 3)
    content = path.read_text()
    path.write_text(content + '{"layer": {"kind": "conv", "inp')
    assert len(run(path, 3).measurements) == content.count("\n") - 1
    assert path.read_text() == content


def test_the_anchors_come_back_every_twentieth_batch() -> None:
    plan = GeneralPlan()
    assert plan.batch(0, []) == plan.batch(40, []) == anchors()
    assert plan.batch(1, []) != plan.batch(2, [])
    assert plan.batch(1, []) == GeneralPlan().batch(1, [])


def test_unstable_layers_are_measured_again(tmp_path: Path) -> None:
    profile = run(tmp_path / "profile.jsonl", 3)
    shaky = [replace(m, stable=False) for m in profile.measurements if batch_number(m) == 1]
    assert GeneralPlan().batch(10, shaky) == list(dict.fromkeys(m.layer for m in shaky))[:48]
    assert GeneralPlan().batch(10, profile.measurements) != [m.layer for m in shaky]


def test_a_networks_own_layers_all_come_and_the_others_lie_beside_them(tmp_path: Path) -> None:
    layers = tuple(dict.fromkeys(layer for number in (1, 2, 3) for layer in GeneralPlan().batch(number, [])))
    plan = NetworkPlan("net", layers)
    own = [layer for number in range(0, 30, 3) for layer in plan.batch(number, [])]
    assert set(own) == set(layers)
    assert {layer.family for layer in plan.batch(1, [])} <= {layer.family for layer in layers}


def test_a_refused_and_a_crashing_layer_cost_only_themselves() -> None:
    layers = GeneralPlan().batch(1, [])
    client = FakeClient(refuses=lambda layer: layer == layers[3], crashes=lambda layer: layer == layers[7])
    made = measure([place(client)], layers, "test/0")
    assert {m.layer for m in made} == set(layers) - {layers[3], layers[7]}


def test_a_layer_that_no_model_can_be_built_for_costs_only_itself() -> None:
    class Unable(FakeRuntime):
        def build(self, layers: Sequence[LayerSpec]) -> bytes:
            if layers[0] in refused:
                raise RuntimeRefusedError("can't be measured alone")
            return super().build(layers)

    layers = GeneralPlan().batch(1, [])
    refused = layers[2:4]
    made = measure([Workplace(FakeClient(), Unable(), Circumstances())], layers, "test/0")
    assert {m.layer for m in made} == set(layers) - set(refused)
    both = measure([Workplace(FakeClient(), Unable(), Circumstances())], layers, "test/0", together=True)
    assert {m.layer for m in both if not m.alone} == set(layers) - set(refused)
    assert measure([Workplace(FakeClient(), Unable(), Circumstances())], refused, "test/0", together=True) == []


def test_layers_are_measured_alone_or_together_and_say_so() -> None:
    layers = GeneralPlan().batch(1, [])
    client = FakeClient()
    assert all(m.alone for m in measure([place(client)], layers, "t/0"))
    assert all(len(batch) == 1 for batch in client.batches)
    both = measure([place(client)], layers, "t/0", together=True)
    assert [m.alone for m in both] == [True] * len(layers) + [False] * len(layers)
    assert layers in client.batches
    refusing = FakeClient(refuses=lambda layer: layer == layers[3])
    assert all(m.alone for m in measure([place(refusing)], layers, "t/0", together=True))


def test_several_places_share_a_batch_and_tell_of_it_in_order() -> None:
    batches = (GeneralPlan().batch(number, []) for number in range(1, 20))
    layers = next(batch for batch in batches if any(layer_bytes(layer) > 2**24 for layer in batch))
    clients = [Busy(), Busy()]
    made = measure([place(client) for client in clients], layers, "t/0")
    asked = list(dict.fromkeys(layers))
    streaming = [
        layer for layer in asked if layer_bytes(layer) > 2**24
    ]  # last, on the first place, nothing beside them
    assert [m.layer for m in made] == [layer for layer in asked if layer not in streaming] + streaming
    first, second = (len(client.batches) for client in clients)
    assert min(first, second) > 0 and first + second == len(made)
    assert {batch[0] for batch in clients[0].batches[-len(streaming) :]} == set(streaming)
    assert not any(client.overlapped for client in clients)


def test_how_many_places_there_are_does_not_change_a_campaign(tmp_path: Path) -> None:
    alone = run(tmp_path / "alone.jsonl", 23)
    plan = UpTo(GeneralPlan(adapt_every=20), 12)
    several = [place(Busy(0.0)) for _ in range(3)]
    campaign(several, tmp_path / "several.jsonl", HEADER, plan, 1e6)
    assert timeless(campaign([place()], tmp_path / "several.jsonl", HEADER, replace(plan, end=23), 1e6)) == timeless(
        alone
    )


def test_a_harness_that_does_not_start_again_ends_the_campaign() -> None:
    class Gone(FakeClient):
        def ask(self, job: str, timeout_s: float = 120.0, **arguments: object) -> dict[str, object]:
            raise DeviceError("gone")

    with pytest.raises(DeviceError, match="gone"):
        measure([place(Gone()), place()], GeneralPlan().batch(1, []), "t/0")


def test_some_batches_are_measured_together_in_both_ways(tmp_path: Path) -> None:
    profile = run(tmp_path / "profile.jsonl", 8)
    both = {m.batch for m in profile.measurements if not m.alone}
    assert both == {m.batch for m in profile.measurements if GeneralPlan().together(batch_number(m))}
    for batch in both:
        there = [m for m in profile.measurements if m.batch == batch]
        assert {m.layer for m in there if not m.alone} <= {m.layer for m in there if m.alone}


def test_overheads_of_the_profiler_are_taken_off() -> None:
    layers = GeneralPlan().batch(1, [])
    made = measure([place(FakeClient(lambda _: 2e-5), 5e-6)], layers, "test/0")
    assert all(abs(m.median_s - 1.5e-5) < 3e-7 for m in made)


def test_a_widely_spread_measurement_is_marked() -> None:
    class Shaky(FakeClient):
        def _samples(self, layer: LayerSpec) -> list[float]:
            return [fake_seconds(layer) * factor for factor in (1, 1.5, 2, 2.5, 3)]

    layers = GeneralPlan().batch(1, [])
    assert not any(m.stable for m in measure([place(Shaky())], layers, "t/0"))
    assert all(m.stable for m in measure([place()], layers, "t/0"))


def test_a_profile_of_other_circumstances_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "profile.jsonl"
    run(path, 2)
    other = replace(HEADER, threads=4)
    with pytest.raises(StoreError, match="4 threads"):
        campaign([place()], path, other, UpTo(GeneralPlan(), 3), 1e6)


def test_pauses_do_not_count_as_time_spent() -> None:
    layer = GeneralPlan().batch(1, [])[0]
    times = [Measurement(layer, (1e-5,), batch=f"p/{i}", started_s=s) for i, s in enumerate((0.0, 2.0, 5000.0))]
    assert spent_s(times) < 60
    assert plan_of(times[0]) == "p"
