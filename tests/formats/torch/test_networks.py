"""Networks of the field: every channel group cut and grown."""

import pytest

torch = pytest.importorskip("torch")

from tests.formats.torch.laws import check, check_all, groups_of, randomized  # noqa: E402
from tests.formats.torch.networks import NETWORKS  # noqa: E402

from edgewright.formats.torch import understand  # noqa: E402
from edgewright.graph.width_edits import SetWidth  # noqa: E402


@pytest.mark.parametrize("name", NETWORKS)
def test_the_laws_hold(name: str) -> None:
    make, inputs, least = NETWORKS[name]
    check_all(make(), inputs(), least)


@pytest.mark.parametrize("name", ["decoder", "speech zeros", "transformer"])
def test_down_to_a_single_channel(name: str) -> None:
    make, inputs, _ = NETWORKS[name]
    module, example = randomized(make()), inputs()
    script = [SetWidth(group, (group.width - 1,)) for group in groups_of(module, example)]
    check(module, example, script, understand(module, example))
