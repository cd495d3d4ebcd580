"""What scikit-learn demands of every estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from superpose.sklearn import FormulaClassifier, FormulaRegressor, KANClassifier, KANRegressor, KANTransformer

# So little is tried in each of some sixty checks; what a fit does otherwise, the other tests see.
EFFORT = 0.01


@parametrize_with_checks(
    [
        KANRegressor(effort=EFFORT),
        KANClassifier(effort=EFFORT),
        KANTransformer(effort=EFFORT),
        FormulaRegressor(effort=EFFORT),
        FormulaClassifier(effort=EFFORT),
    ]
)
def test_an_estimator_passes_the_checks_of_scikit_learn(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
