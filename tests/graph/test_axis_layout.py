"""Sources of the items of an axis after width edits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.errors import ModelError
from edgewright.graph.axis_layout import NEW, Part, axis_sources
from edgewright.graph.channels import Member


def test_kept_in_order_then_added_in_every_repeat() -> None:
    member = Member("t", 0, offset=1, block=2, repeats=2, period=7)
    sources = axis_sources(15, [Part(member, 3, (2, 0), 1)])
    assert sources == (0, 5, 6, 1, 2, NEW, NEW, 7, 12, 13, 8, 9, NEW, NEW, 14)


def test_parts_of_one_axis_do_not_disturb_each_other() -> None:
    first, second = Member("t", 1), Member("t", 1, offset=3)
    sources = axis_sources(5, [Part(second, 2, (1,), 0), Part(first, 3, (0, 1, 2), 1)])
    assert sources == (0, 1, 2, NEW, 4)


def test_a_part_given_twice_counts_once() -> None:
    part = Part(Member("t", 0), 2, (0,), 0)
    assert axis_sources(2, [part, part]) == (0,)


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        (2, [Part(Member("t", 0), 3, (0,), 0)]),
        (4, [Part(Member("t", 0), 3, (0,), 0), Part(Member("t", 0, offset=2), 2, (0,), 0)]),
        (3, [Part(Member("t", 0), 3, (3,), 0)]),
        (3, [Part(Member("t", 0), 3, (1, 1), 0)]),
        (3, [Part(Member("t", 0), 3, (1,), -1)]),
    ],
)
def test_what_does_not_fit_is_an_error(size: int, parts: list[Part]) -> None:
    with pytest.raises(ModelError, match="edit script"):
        axis_sources(size, parts)


@given(st.data())
def test_members_say_where_kept_channels_were(data: st.DataObject) -> None:
    width, block, repeats = (data.draw(st.integers(1, 4)) for _ in range(3))
    member = Member("t", 0, data.draw(st.integers(0, 3)), block, repeats, width * block + data.draw(st.integers(0, 2)))
    size = max(member.positions(range(width))) + 1 + data.draw(st.integers(0, 2))
    kept = tuple(data.draw(st.permutations(range(width)))[: data.draw(st.integers(0, width))])
    added = data.draw(st.integers(0, 3))
    sources = axis_sources(size, [Part(member, width, kept, added)])
    assert [source for source in sources if source in set(member.positions(range(width)))] == list(
        member.positions(kept)
    )
    assert sources.count(NEW) == added * block * repeats
    assert len(sources) == size + (len(kept) + added - width) * block * repeats
