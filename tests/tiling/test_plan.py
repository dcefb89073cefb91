"""The JSON form of plans."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.errors import StoreError
from edgewright.tiling.plan import HALOS, FusedGroup, TilingPlan, dump_plan, load_plan

GROUPS = st.builds(
    FusedGroup,
    st.lists(st.text(min_size=1), min_size=1).map(tuple),
    st.tuples(st.integers(1, 99), st.integers(1, 99)),
    st.sampled_from(HALOS),
)
PLANS = st.builds(
    TilingPlan,
    st.lists(GROUPS).map(tuple),
    st.lists(st.text()).map(tuple),
    st.integers(0, 2**40),
    st.floats(0, 1e6),
    st.integers(0, 2**40),
)


@given(PLANS)
def test_json_round_trip(plan: TilingPlan) -> None:
    assert load_plan(dump_plan(plan)) == plan


@pytest.mark.parametrize(
    "change",
    (
        {"schema_version": 99},
        {"schema_version": "1"},
        {"groups": [{"op_names": ["a"], "grid": [2], "halo": "carry"}]},
        {"groups": [{"op_names": ["a"], "grid": [2, 1], "halo": "borrow"}]},
        {"groups": 7},
        {"surprise": 1},
    ),
)
def test_what_is_no_plan_is_refused(change: dict[str, object]) -> None:
    record = json.loads(dump_plan(TilingPlan((FusedGroup(("a",), (2, 1)),)))) | change
    with pytest.raises(StoreError, match=r"^plan\.json"):
        load_plan(json.dumps(record), "plan.json")


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(StoreError, match="not a tiling plan"):
        load_plan("no plan at all")
