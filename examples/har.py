"""Human activities from the accelerometer and the gyroscope of a phone:

EXAMPLE_DATA=DIR edgewright compress examples/har.py:task --device NAME --time 0.5 -o small
"""

import example_data
import example_networks
import example_training

from edgewright.compression.task import Task

HAR = example_training.Recipe(
    "har", lambda: example_networks.DeepSense(3, 64, 120, 8, 6), example_data.har, 1000, 0.003, 500, 1.0, adam=True
)


def task() -> Task:
    return example_training.task(HAR, HAR.data())
