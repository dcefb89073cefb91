"""Networks of the field: every channel group cut and grown."""

import pytest

torch = pytest.importorskip("torch")

from tests.formats.torch.laws import check_all  # noqa: E402
from tests.formats.torch.networks import NETWORKS  # noqa: E402


@pytest.mark.parametrize("name", NETWORKS)
def test_the_laws_hold(name: str) -> None:
    make, inputs, least = NETWORKS[name]
    check_all(make(), inputs(), least)
