"""Estimators for scikit-learn: networks and formulas behind ``fit`` and ``predict``.

They follow scikit-learn's conventions in full, so that pipelines, searches over parameters, cross-validation and
inspection take them as they take any other estimator.

>>> import numpy
>>> x = numpy.linspace(-1, 1, 80)[:, None]
>>> regressor = KANRegressor().fit(x, numpy.sin(3 * x[:, 0]))
>>> regressor.score(x, numpy.sin(3 * x[:, 0])) > 0.9999
True
"""

from __future__ import annotations

import importlib.util

from superpose.errors import OptionError


class _MissingPackage(OptionError, ImportError):
    """Also an ImportError, which programs expect where a package is missing."""


if importlib.util.find_spec("sklearn") is None:
    raise _MissingPackage(
        "superpose.sklearn needs scikit-learn, which is not installed; pip install 'superpose[sklearn]' adds it"
    )

from superpose.sklearn.formulas import FormulaClassifier, FormulaRegressor  # noqa: E402
from superpose.sklearn.networks import KANClassifier, KANRegressor  # noqa: E402
from superpose.sklearn.transformer import KANTransformer  # noqa: E402

__all__ = ["FormulaClassifier", "FormulaRegressor", "KANClassifier", "KANRegressor", "KANTransformer"]
