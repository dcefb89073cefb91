"""What others predict execution times with, on the same layers and the same splits (scikit-learn, a dev extra)."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.errors import EdgewrightError
from edgewright.profile import Profile
from edgewright.timing.columns import Table, tabulate
from edgewright.timing.fit import folds_of
from edgewright.timing.model import HeldOut, held_out_errors
from edgewright.timing.observations import FEWEST, Observations, observations
from edgewright.timing.tree import Seconds

Array = NDArray[np.float64]
LEAST_S = 1e-9


def evaluate_baselines(profile: Profile, *, seed: int = 0) -> dict[str, dict[str, HeldOut]]:
    """The held-out errors of every baseline for every family; their `leaves` count leaves or parameters.

    Raises EdgewrightError where scikit-learn is not installed.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise EdgewrightError("the baselines need scikit-learn: pip install scikit-learn") from error
    found: dict[str, dict[str, HeldOut]] = {}
    for name, family in sorted(observations(profile).items()):
        if len(family.layers) >= FEWEST:
            table = tabulate(family.layers)
            found[name] = {title: _evaluate(make, table, family, seed) for title, make in BASELINES.items()}
    return found


def features(table: Table) -> Array:
    """nn-Meter's features (Zhang et al., MobiSys 2021): the configuration, the operations and the parameters."""
    named = [mask.astype(np.float64) for mask in table.named.values()]
    needs = [table.needs.macs, table.needs.parameter_items]
    return np.array([*table.columns.values(), *needs, *named]).T


class Baseline:
    """A regressor with what its inputs and its target are turned into; `size` counts what it learned."""

    def __init__(self, regressor: Any, size: Callable[[Any], int], logarithmic: bool) -> None:
        self._regressor, self._size, self._logarithmic = regressor, size, logarithmic

    def fit(self, inputs: Array, seconds: Seconds) -> None:
        self._regressor.fit(inputs, np.log(seconds) if self._logarithmic else seconds)

    def predict(self, inputs: Array) -> Seconds:
        predicted: Array = np.asarray(self._regressor.predict(inputs), np.float64)
        return np.exp(np.clip(predicted, -30, 10)) if self._logarithmic else np.maximum(predicted, LEAST_S)

    @property
    def size(self) -> int:
        return self._size(self._regressor)


class LinearOnOperations:
    """Seconds = constant + rate x operations, by least squares on relative error."""

    size = 2

    def fit(self, inputs: Array, seconds: Seconds) -> None:
        design = np.array([inputs[:, 0], np.ones(len(seconds))]).T / seconds[:, None]
        self._weights = np.linalg.lstsq(design, np.ones(len(seconds)), rcond=None)[0]

    def predict(self, inputs: Array) -> Seconds:
        predicted: Array = inputs[:, 0] * self._weights[0] + self._weights[1]
        return np.maximum(predicted, LEAST_S)


def _evaluate(make: Callable[[int], Any], table: Table, family: Observations, seed: int) -> HeldOut:
    seconds, certain = family.seconds, family.certainty >= 1
    inputs = table.needs.macs[:, None] if make is _linear else features(table)
    unseen, sizes = np.empty(table.size), []
    for learned, tested in folds_of(table.size, seed):
        baseline = make(seed)
        baseline.fit(inputs[learned], seconds[learned])
        unseen[tested] = baseline.predict(inputs[tested])
        sizes.append(baseline.size)
    return held_out_errors(unseen[certain], seconds[certain], round(float(np.mean(sizes))))


def _linear(_: int) -> LinearOnOperations:
    return LinearOnOperations()


def _forest(seed: int) -> Baseline:
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(n_estimators=100, random_state=seed)
    return Baseline(forest, lambda fitted: sum(tree.get_n_leaves() for tree in fitted.estimators_), False)


def _boosting(seed: int) -> Baseline:
    from sklearn.ensemble import GradientBoostingRegressor

    boosting = GradientBoostingRegressor(n_estimators=300, max_depth=5, learning_rate=0.1, random_state=seed)
    return Baseline(boosting, lambda fitted: sum(tree.get_n_leaves() for tree in fitted.estimators_[:, 0]), True)


def _support_vectors(_: int) -> Baseline:
    from sklearn.svm import SVR

    return Baseline(_on_logarithms(SVR(C=100, epsilon=0.01)), lambda fitted: len(fitted[-1].support_), True)


def _network(seed: int) -> Baseline:
    from sklearn.neural_network import MLPRegressor

    network = MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=800, random_state=seed)
    return Baseline(_on_logarithms(network), lambda fitted: sum(weights.size for weights in fitted[-1].coefs_), True)


def _on_logarithms(regressor: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    return make_pipeline(FunctionTransformer(np.log1p), StandardScaler(), regressor)


BASELINES: Mapping[str, Callable[[int], Any]] = {
    "linear on operations": _linear,
    "random forest": _forest,
    "gradient boosting": _boosting,
    "support vectors": _support_vectors,
    "neural network": _network,
}
