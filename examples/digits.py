"""Spoken digits, alone (`task`) or while four others talk (`babble`):

EXAMPLE_DATA=DIR edgewright compress examples/digits.py:task --device NAME --time 0.5 -o small
"""

from dataclasses import replace

import example_data
import example_networks
import example_training

from edgewright.compression.task import Task

DIGITS = example_training.Recipe(
    "digits", lambda: example_networks.Speech(40, 32, 96, 64, 10), example_data.digits, 800, 0.003, 400, 1.0, adam=True
)

BABBLE = replace(DIGITS, name="babble", data=lambda: example_data.digits(babble_db=6.0))


def task() -> Task:
    return example_training.task(DIGITS, DIGITS.data())


def babble() -> Task:
    return example_training.task(BABBLE, BABBLE.data())
