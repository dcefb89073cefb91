"""The garbage collector is left as it was."""

import gc

import pytest

from edgewright.tiling.uncollected import uncollected


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_as_before_even_after_an_error(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(ValueError), uncollected():
            assert not gc.isenabled()
            raise ValueError
        assert gc.isenabled() == enabled
    finally:
        gc.enable()
