"""What tables say besides figures."""

import pytest
from rich.console import Console

from edgewright.report.devices import DeviceSummary
from edgewright.report.tables import summary_table


@pytest.mark.parametrize(("noise_percent", "warns"), [(3.0, False), (30.0, True)])
def test_a_disturbed_campaign_is_told_of(noise_percent: float, warns: bool) -> None:
    device = DeviceSummary("here", "cpu", "onnxruntime", "1", 1, 9, 9, 0, 0, noise_percent, -7.4, 0, {})
    console = Console(width=120)
    with console.capture() as told:
        console.print(summary_table(device))
    assert ("--fresh" in told.get()) == warns
