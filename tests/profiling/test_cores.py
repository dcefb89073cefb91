"""Cores are measured on at the same time only where that changes nothing."""

from tests.fakes import FakeClient, FakeRuntime, fake_seconds

from edgewright.graph.types import LayerSpec
from edgewright.profiling.batch import Circumstances, Workplace
from edgewright.profiling.cores import _LAYERS, _REPEATS, undisturbed
from edgewright.profiling.local import cores


class Shared(FakeClient):
    """Takes `factor` times as long while the others are at work too: in every trial, after it was measured alone."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.alone = len(_LAYERS) * _REPEATS
        self.seconds = lambda layer: fake_seconds(layer) * (factor if len(self.batches) // self.alone % 2 else 1)


def place(client: FakeClient) -> Workplace:
    return Workplace(client, FakeRuntime(), Circumstances())  # type: ignore[arg-type]


def test_cores_that_do_not_disturb_one_another_are_all_used() -> None:
    places = [place(Shared(1.0)) for _ in range(3)]
    assert undisturbed(places) == places


def test_cores_that_slow_one_another_down_leave_one() -> None:
    places = [place(Shared(1.3)), place(Shared(1.3))]
    assert undisturbed(places) == places[:1]


def test_a_core_of_another_speed_is_left_out() -> None:
    def slower(layer: LayerSpec) -> float:
        return 1.5 * fake_seconds(layer)

    places = [place(FakeClient()), place(FakeClient(slower)), place(FakeClient())]
    assert undisturbed(places) == [places[0], places[2]]


def test_several_threads_choose_no_core() -> None:
    assert cores(4) == [None]
    assert len(cores(1)) >= 1 and len(set(cores(1))) == len(cores(1))
