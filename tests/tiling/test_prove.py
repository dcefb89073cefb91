"""The smallest plan that is measured to be fast enough is taken, whatever was predicted."""

from collections.abc import Callable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.profiling.stats import Ratio
from edgewright.tiling.prove import prove


class Track:
    """A track of which the true times are known; the first look is off by `blur`, the careful one by a tenth of it."""

    def __init__(self, ratio: Callable[[int], float], blur: float = 0.0) -> None:
        self.ratio, self.blur = ratio, blur
        self.raced: list[tuple[int, bool]] = []

    def __call__(self, plans: Sequence[int], careful: bool) -> Sequence[Ratio]:
        self.raced += [(plan, careful) for plan in plans]
        found = []
        for plan in plans:
            off = self.blur * (0.1 if careful else 1.0)
            ratio = self.ratio(plan) + (0 if careful else off * (-1) ** plan)
            found.append(Ratio(ratio, ratio - off, ratio + off))
        return found


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.floats(1.0, 1.5), st.floats(0.001, 0.1))
def test_the_smallest_of_plans_whose_times_fall(count: int, slowdown: float, step: float) -> None:
    track = Track(lambda plan: 1 + step * (count - plan))
    found = prove(range(count), slowdown, track)
    fast = [plan for plan in range(count) if 1 + step * (count - plan) <= slowdown]
    assert found.plan == (fast[0] if fast else None)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.8, 1.4), min_size=1, max_size=40), st.floats(0.0, 0.05))
def test_what_is_taken_is_proven_by_its_whole_interval(ratios: list[float], blur: float) -> None:
    track = Track(ratios.__getitem__, blur)
    found = prove(range(len(ratios)), 1.1, track)
    if found.plan is not None:
        assert found.ratio is not None
        assert ratios[found.plan] <= found.ratio.high <= 1.1
        assert (found.plan, True) in track.raced
    assert found.measured == len({plan for plan, _ in track.raced})


def test_a_plan_that_looked_fast_by_chance_gives_way_to_the_next() -> None:
    ratios = [1.2, 1.12, 1.05, 1.0]
    lucky = Track(ratios.__getitem__, 0.03)
    found = prove(range(4), 1.1, lucky)
    assert (1, True) in lucky.raced
    assert found.plan == 2


def test_a_plan_that_the_steps_passed_over_comes_before_larger_ones() -> None:
    """As VGG-16 raced: the smallest that looked fast was not, the next one had not raced, and a larger one was."""
    track = Track([1.6, 1.12, 1.05, 1.04, 1.02, 1.01].__getitem__, 0.03)
    found = prove(range(6), 1.1, track)
    assert (1, True) in track.raced and (2, False) not in track.raced
    assert found.plan == 2


def test_a_disturbed_race_is_run_again() -> None:
    calm = Track(lambda plan: 1.08 - plan / 100)
    disturbed = iter([True])

    def race(plans: Sequence[int], careful: bool) -> Sequence[Ratio]:
        found = calm(plans, careful)
        wide = careful and next(disturbed, False)
        return [Ratio(one.value, one.low - 0.1, one.high + 0.1) for one in found] if wide else found

    assert prove(range(3), 1.1, race).plan == 0


def test_nothing_to_measure() -> None:
    assert prove([], 1.1, Track(float)).plan is None
