"""The baselines learn on the same splits, and the tree is ahead of them on a staircase."""

import numpy as np
import pytest
from tests.timing.synthetic import noisy_profile, random_convs

from edgewright.timing import evaluate
from edgewright.timing.baselines import BASELINES, evaluate_baselines

pytest.importorskip("sklearn")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_all_baselines_answer_and_the_tree_is_ahead() -> None:
    profile = noisy_profile(random_convs(150))
    ours = evaluate(profile, max_leaves=6)["conv"]
    theirs = evaluate_baselines(profile)["conv"]
    assert set(theirs) == set(BASELINES)
    for errors in theirs.values():
        assert np.isfinite(errors.mape_percent)
        assert errors.n == ours.n
        assert errors.mape_percent > ours.mape_percent
