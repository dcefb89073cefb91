"""What is kept is what measures faster, whatever was predicted."""

from collections.abc import Callable, Sequence
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.profiling.stats import Ratio
from edgewright.widths.places import Widths
from edgewright.widths.prove import prove


class Track:
    """Races on a track of which the true times are known; the interval is half a per cent either way."""

    def __init__(self, seconds: Callable[[Widths], float]) -> None:
        self.seconds = seconds
        self.raced: list[Widths] = []

    def __call__(self, plans: Sequence[Widths]) -> Sequence[Ratio]:
        first, *others = plans
        self.raced += others
        ratios = [self.seconds(plan) / self.seconds(first) for plan in others]
        return [Ratio(ratio, 0.995 * ratio, 1.005 * ratio) for ratio in ratios]


def around(plan: Widths) -> list[Widths]:
    """Each group at each of the other widths from 7 to 9."""
    return [(*plan[:i], w, *plan[i + 1 :]) for i in range(len(plan)) for w in (7, 8, 9) if w != plan[i]]


def anything(_: Widths) -> bool:
    return True


def stepped(weights: Sequence[float], best: Widths) -> Callable[[Widths], float]:
    """Each group takes its weight longer where it does not have its best width."""
    return lambda plan: 1 + sum(w for w, own, good in zip(weights, plan, best, strict=True) if own != good)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.05, 0.2]), min_size=2, max_size=4), st.data())
def test_the_fastest_is_found_and_never_a_slower_one(weights: list[float], data: st.DataObject) -> None:
    best = tuple(data.draw(st.sampled_from([7, 8, 9])) for _ in weights)
    seconds = stepped(weights, best)
    original, start = (7,) * len(weights), (8,) * len(weights)
    proven = prove(original, [start], around, Track(seconds), anything, lambda: True)
    assert seconds(proven.widths) <= seconds(original)
    if seconds(start) < 0.99 * seconds(original):
        assert seconds(proven.widths) <= min(map(seconds, product((7, 8, 9), repeat=len(weights)))) * 1.003


def test_nothing_faster_leaves_the_network_as_it_is() -> None:
    track = Track(lambda plan: 1 + sum(plan))
    proven = prove((7, 7), [(8, 8), (9, 9), (8, 8)], around, track, anything, lambda: True)
    assert proven.widths == (7, 7)
    assert track.raced == [(8, 8), (9, 9)]
    assert [trial.against for trial in proven.trials] == [(7, 7)] * 2


def test_changes_that_bring_nothing_are_dropped() -> None:
    seconds = stepped([0.3, 0.0, 0.0], (8, 8, 8))
    assert prove((7, 7, 7), [(8, 8, 8)], around, Track(seconds), anything, lambda: True).widths == (8, 7, 7)


def test_what_does_not_fit_is_not_even_measured() -> None:
    track = Track(stepped([0.3, 0.3], (9, 9)))
    proven = prove((7, 7), [(9, 9), (9, 7)], around, track, lambda plan: plan != (9, 9), lambda: True)
    assert proven.widths == (9, 7)
    assert (9, 9) not in [trial.widths for trial in proven.trials if trial.against == (7, 7)]


def test_without_time_the_best_whole_plan_is_taken() -> None:
    seconds = stepped([0.3, 0.3], (9, 9))
    proven = prove((7, 7), [(9, 8), (8, 8)], around, Track(seconds), anything, lambda: False)
    assert proven.widths == (9, 8)
