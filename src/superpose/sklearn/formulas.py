"""FormulaRegressor and FormulaClassifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from superpose.checks import check_seed
from superpose.deadline import Deadline
from superpose.errors import OptionError
from superpose.formulas.expressions.formula import Formula
from superpose.nn import KAN
from superpose.sklearn.base import KANEstimator, mean_network
from superpose.sklearn.class_networks import head_of, table_of
from superpose.sklearn.networks import NOTHING_VARIES, Classifier, Regressor, frequency_scores
from superpose.sklearn.number_networks import LEAST_SECONDS
from superpose.sklearn.rows import FloatArray, Rows
from superpose.tasks.classification import ClassifyOptions, classify
from superpose.tasks.regression import DiscoverOptions, discover
from superpose.tasks.result import TaskResult

if TYPE_CHECKING:
    import sympy


class FormulaEstimator(KANEstimator):
    """What estimators of formulas share.

    Attributes:
        formula_: None if none predicts about as well as the network.
        network_: the network beside it.
    """

    formula_: Formula | None
    network_: KAN

    def sympy(self) -> Any:
        """The formula as a SymPy expression, or a list of them, one for each target or score.

        Raises:
            OptionError: if no formula was found.
        """
        found: list[sympy.Expr] = list(self._formula().expressions)
        return found[0] if len(found) == 1 else found

    def latex(self) -> str:
        """The formula as LaTeX, each target's or score's on a line of its own.

        Raises:
            OptionError: if no formula was found.
        """
        return self._formula().latex()

    def _formula(self) -> Formula:
        check_is_fitted(self)
        if self.formula_ is None:
            raise OptionError("no formula was found that predicts about as well as the network; use model_")
        return self.formula_

    @torch.no_grad()
    def _values(self, x: FloatArray) -> FloatArray:
        """Values of the formula ``[N, n_out]`` at ``x [N, d]``; those of the network where it has none."""
        if self.formula_ is None:
            return self._predicted(self.network_, x)
        values: FloatArray = self.formula_.torch(torch.from_numpy(self._read(x, self.formula_.feature_names))).numpy()
        undefined = ~np.isfinite(values).all(1)
        if undefined.any():
            values[undefined] = self._predicted(self.network_, x[undefined])
        return values

    def _keep_found(self, result: TaskResult, rows: Rows) -> None:
        """Take over what a run found."""
        self.formula_, self.network_ = result.formula, result.network
        self._keep(result.model, str(result.metrics["reason"]), rows)
        if not self.feature_importances_.any():
            self.feature_importances_ = self._importances(result.network, rows)

    def _keep_mean(self, model: KAN, rows: Rows) -> None:
        """Take over a constant."""
        self.formula_, self.network_ = None, model
        self._keep(model, NOTHING_VARIES, rows)


class FormulaRegressor(FormulaEstimator, Regressor):
    """A formula for one number or several: the one that :func:`superpose.discover` recommends.

    Where it recommends none, the network that it found predicts, and ``formula_`` is None. So it does for rows at which
    the formula has no value.

    Args:
        functions: names of the functions that formulas may hold beside sums and products; any if None.
        effort: seconds of work, which is counted and not measured: the same formula on every machine.
        time_limit: seconds by the clock, in place of ``effort``; results may then depend on the machine's speed.
        random_state: of every random choice.
        missing, categories, dates: as for :class:`~superpose.sklearn.KANRegressor`.
        log_target: whether the logarithm of a single positive target is fitted, so that errors count in proportion;
            None decides by the rows.

    Attributes:
        formula_: a :class:`superpose.Formula`, or None.
        model_: the formula as a network, a :class:`superpose.KAN`; ``network_`` where there is no formula.
        network_: the spline network.
        preparation_, columns_, left_out_, reason_, feature_importances_: as of
            :class:`~superpose.sklearn.KANRegressor`.
        n_features_in_, feature_names_in_: as of all estimators.

    >>> import numpy
    >>> x = numpy.random.default_rng(0).uniform(1, 2, (100, 2))
    >>> FormulaRegressor(effort=1.0).fit(x, 3 * x[:, 0] / x[:, 1]).sympy()
    3*x0/x1
    """

    def __init__(
        self,
        *,
        functions: Sequence[str] | None = None,
        effort: float = 10.0,
        time_limit: float | None = None,
        random_state: Any = 0,
        missing: str = "indicator",
        categories: Any = None,
        dates: Any = None,
        log_target: bool | None = None,
    ) -> None:
        self.log_target = log_target
        self.functions = functions
        self.effort = effort
        self.time_limit = time_limit
        self.random_state = random_state
        self.missing = missing
        self.categories = categories
        self.dates = dates

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> FormulaRegressor:
        """Search for a formula; the arguments are those of :meth:`superpose.sklearn.KANRegressor.fit`."""
        rows, targets = self._rows(X, y, sample_weight)
        names, seed = self.preparation_.names, check_seed(self._seed())
        if not rows.learnable:
            self._keep_mean(mean_network(names, targets, rows.mean), rows)
            return self
        with self._deadline() as deadline:
            options = DiscoverOptions(
                time_limit=_limit(deadline),
                seed=seed,
                functions=None if self.functions is None else tuple(self.functions),
                log_target=self.log_target,
            )
            found = discover(self._dataset(rows, targets, seed), options, deadline=deadline)
        self._keep_found(found, rows)
        return self


class FormulaClassifier(FormulaEstimator, Classifier):
    """Formulas of the scores of classes: those that :func:`superpose.classify` recommends.

    Where it recommends none, the network that it found predicts, and ``formula_`` is None.

    Args:
        effort, time_limit, random_state: as for :class:`FormulaRegressor`.
        missing, categories, dates: as for :class:`~superpose.sklearn.KANRegressor`.

    Attributes:
        classes_: ``[K]``.
        formula_: a :class:`superpose.Formula` of the score of the second of two classes, or of one score for each of
            more; None without one.
        model_: the formula as a network with its head, a :class:`superpose.KAN`; ``network_`` where there is none.
        network_: the spline network.
        preparation_, columns_, left_out_, reason_, feature_importances_: as of
            :class:`~superpose.sklearn.KANRegressor`.
        n_features_in_, feature_names_in_: as of all estimators.

    >>> import numpy
    >>> chance = numpy.random.default_rng(0)
    >>> x = chance.uniform(-1, 1, (200, 2))
    >>> found = FormulaClassifier(effort=1.0).fit(x, 3 * x[:, 0] + chance.logistic(size=200) > 0)
    >>> {str(symbol) for symbol in found.sympy().free_symbols} >= {"x0"}
    True
    """

    def __init__(
        self,
        *,
        effort: float = 10.0,
        time_limit: float | None = None,
        random_state: Any = 0,
        missing: str = "indicator",
        categories: Any = None,
        dates: Any = None,
    ) -> None:
        self.effort = effort
        self.time_limit = time_limit
        self.random_state = random_state
        self.missing = missing
        self.categories = categories
        self.dates = dates

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> FormulaClassifier:
        """Search for formulas; the arguments are those of :meth:`superpose.sklearn.KANClassifier.fit`."""
        rows, classes = self._rows(X, y, sample_weight)
        names, seed, head = self.preparation_.names, check_seed(self._seed()), head_of(classes)
        if not rows.learnable:
            model = mean_network(names, head.score_names, frequency_scores(rows))
            model.head = head
            self._keep_mean(model, rows)
            return self
        table = table_of(self._dataset(rows, ("class",), seed), classes)
        with self._deadline() as deadline:
            found = classify(table, ClassifyOptions(time_limit=_limit(deadline), seed=seed), deadline=deadline)
        self._keep_found(found, rows)
        return self


def _limit(deadline: Deadline) -> float:
    return max(deadline.left(), LEAST_SECONDS)
