"""Whether the logarithm of the target is fitted, where a person says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import superpose
from superpose import Dataset, DiscoverOptions
from superpose.sklearn import FormulaRegressor, KANRegressor
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.reference import fit_reference


def table(low: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Targets within a factor of 2 with equal errors, for which nothing suggests a logarithm."""
    chance = np.random.default_rng(0)
    x = chance.uniform(0, 1, (24, 1))
    return x, low + x[:, 0] + 0.02 * chance.normal(size=24)


def reference(log_target: bool | None) -> Any:
    data = Dataset.from_arrays(*table())
    options = DiscoverOptions(time_limit=20, cv=2, log_target=log_target).checked(data)
    return fit_reference(Context.start(data, options, lambda event: None))


def test_what_was_said_is_fitted() -> None:
    assert not reference(None).log and not reference(False).log
    found = reference(True)
    assert found.log and all(one.settings.log_target for one in found.choice.tried)
    # Also where the rows speak for the logarithm.
    x, _ = table()
    y = np.exp(12 * x[:, 0] + 0.3 * np.random.default_rng(1).normal(size=24))
    automatic, plain = (KANRegressor(effort=0.02, log_target=one).fit(x, y) for one in (None, False))
    known = [one.model_.uncertainty for one in (automatic, plain)]
    assert known[0] is not None and known[0].log and known[1] is not None and not known[1].log


def test_it_stands_in_the_model_file() -> None:
    found = KANRegressor(effort=0.02, log_target=True).fit(*table())
    again = superpose.files.from_bytes(superpose.files.to_bytes(found.model_))
    for model in (found.model_, again):
        assert model.uncertainty is not None and model.uncertainty.log


@pytest.mark.parametrize(
    ("y", "options", "sentence"),
    [
        (table(-0.5)[1], {"log_target": True}, "the target 'y' has no logarithm in [0-9]+ rows: it is -"),
        (table()[1], {"log_target": "yes"}, "log_target must be True, False or None"),
        (table()[1], {"log_target": True, "shape": (2, 1)}, "with a network whose form is searched for"),
        (np.stack([table()[1]] * 2, 1), {"log_target": False}, "log_target is of one target"),
    ],
)
def test_what_cannot_be_fitted_is_an_error(y: np.ndarray, options: dict[str, Any], sentence: str) -> None:
    data = Dataset.from_arrays(table()[0], y)
    with pytest.raises(superpose.SuperposeError, match=sentence):
        DiscoverOptions(**options).checked(data)


def test_estimators_refuse_it_too() -> None:
    x, y = table(-0.5)
    for estimator in (KANRegressor(log_target=True), FormulaRegressor(log_target=True)):
        with pytest.raises(superpose.DataError, match="has no logarithm"):
            estimator.fit(x, y)
    with pytest.raises(superpose.OptionError, match="form is searched for"):
        KANRegressor((2,), log_target=True).fit(*table())
