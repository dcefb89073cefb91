"""The ratio of two models' times with a confidence interval, from interleaved rounds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """A ratio of times, and the interval that holds the true one with 95 % confidence."""

    value: float
    low: float
    high: float


def ratio_of(time_s: Array, first_s: Array, resamples: int = 4000, seed: int = 0) -> Ratio:
    """How much longer `time_s` is than `first_s`, both medians by (process, round) of rounds run side by side.

    The median over all pairs of a round, its interval by bootstrap over processes and over the rounds in each, since
    the samples of one process are alike (Kalibera and Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013).
    Resampling n processes underestimates their variance by (n - 1) / n, which is made good for. Shape: (processes,
    rounds).
    """
    logs = np.log(time_s / first_s)
    processes, rounds = logs.shape
    random = np.random.default_rng(seed)
    process = random.integers(processes, size=(resamples, processes, 1))
    drawn = logs[process, random.integers(rounds, size=(resamples, processes, rounds))]
    medians = np.median(drawn.reshape(resamples, -1), axis=1)
    middle = float(np.median(logs))
    widening = (processes / max(processes - 1, 1)) ** 0.5
    low, high = middle + widening * (np.percentile(medians, (2.5, 97.5)) - middle)
    return Ratio(float(np.exp(middle)), float(np.exp(min(low, middle))), float(np.exp(max(high, middle))))
