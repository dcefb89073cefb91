"""Every kind of layer alone, and drawn together: the laws of width edits."""

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from tests.formats.torch.laws import check_all  # noqa: E402
from tests.formats.torch.layers import LAYERS, Net  # noqa: E402

FIXED = {"mean of channels", "softmax of channels"}
"""Layers that let no group, or none exactly, change when they stand alone."""


def example() -> torch.Tensor:
    return torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", LAYERS)
def test_alone(name: str) -> None:
    check_all(Net((name,)), example(), least=name not in FIXED)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.sampled_from(sorted(LAYERS)), min_size=2, max_size=3))
def test_together(names: list[str]) -> None:
    check_all(Net(tuple(names)), example(), least=0)
