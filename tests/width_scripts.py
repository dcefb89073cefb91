"""Random width edits of a network, for the laws of every format."""

from collections.abc import Callable
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from edgewright.graph.channel_groups import find_groups
from edgewright.graph.types import Graph
from edgewright.graph.width_edits import SetWidth

Draw = Callable[[st.SearchStrategy[Any]], Any]


@st.composite
def additions(draw: Draw, graph: Graph) -> list[SetWidth]:
    """New channels for some of the groups that may grow."""
    groups = [group for group in find_groups(graph) if group.growable]
    assume(groups)
    chosen = draw(st.lists(st.sampled_from(groups), min_size=1, max_size=4, unique_by=lambda group: group.name))
    return [SetWidth(group, tuple(range(group.width)), draw(st.integers(1, 4))) for group in chosen]


@st.composite
def removals(draw: Draw, graph: Graph) -> list[SetWidth]:
    """Some groups with channels gone, the others in any order."""
    groups = [group for group in find_groups(graph) if group.growable]
    assume(groups)
    chosen = draw(st.lists(st.sampled_from(groups), min_size=1, max_size=4, unique_by=lambda group: group.name))
    return [
        SetWidth(group, tuple(draw(st.permutations(range(group.width)))[: draw(st.integers(1, group.width))]))
        for group in chosen
    ]


@st.composite
def changes(draw: Draw, graph: Graph) -> list[SetWidth]:
    """Some groups, those that may not grow too, with channels gone, in another order, and new."""
    groups = find_groups(graph)
    assume(groups)
    script = []
    for group in draw(st.lists(st.sampled_from(groups), min_size=1, max_size=4, unique_by=lambda group: group.name)):
        kept = tuple(draw(st.permutations(range(group.width)))[: draw(st.integers(0, group.width))])
        script.append(SetWidth(group, kept, draw(st.integers(0 if kept else 1, 2))))
    return script
