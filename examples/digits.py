"""Spoken digits:

EXAMPLE_DATA=DIR edgewright compress examples/digits.py:task --device NAME --time 0.5 -o small
"""

import example_data
import example_networks
import example_training

from edgewright.compression.task import Task

DIGITS = example_training.Recipe(
    "digits", lambda: example_networks.Speech(40, 32, 96, 64, 10), example_data.digits, 800, 0.003, 400, 1.0, adam=True
)


def task() -> Task:
    return example_training.task(DIGITS, DIGITS.data())
