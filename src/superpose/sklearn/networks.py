"""KANRegressor and KANClassifier."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets

from superpose.nn.likelihood import Head
from superpose.sklearn.base import KANEstimator, NetworkParameters, deviation, mean_network
from superpose.sklearn.class_networks import fit_classes, head_of
from superpose.sklearn.number_networks import fit_numbers
from superpose.sklearn.rows import FloatArray, Rows, target_names_of

NOTHING_VARIES = "nothing varies that could be learnt: a constant"


class Regressor(RegressorMixin, KANEstimator):  # type: ignore[misc]
    """What regressors share."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predictions for the rows of ``X [N, d]``.

        Args:
            return_std: whether also the standard deviations of new targets about the predictions are returned.

        Returns:
            ``[N]``, or ``[N, n_outputs]`` where ``y`` had several columns; with ``return_std`` a pair of these.

        Raises:
            OptionError: with ``return_std``, if too few rows were there to measure errors on.
        """
        x = self._inputs(X)
        found = self._flattened(self._values(x))
        if not return_std:
            return found
        return found, self._flattened(deviation(self.model_, self._read(x, self.model_.feature_names)))

    def predict_interval(self, X: Any, coverage: float = 0.9) -> FloatArray:
        """Intervals that hold the targets of new rows with a probability; see :meth:`superpose.KAN.predict_interval`.

        Returns:
            ``[N, 2]``, lower and upper ends, or ``[N, n_outputs, 2]``.

        Raises:
            OptionError: for a coverage that is no probability, or if too few rows were there to measure errors on.
        """
        x = self._read(self._inputs(X), self.model_.feature_names)
        found = self.model_.predict_interval(x, coverage)
        return self._flattened(np.stack([found.low, found.high], -1))

    def _values(self, x: FloatArray) -> FloatArray:
        """Predictions ``[N, n_outputs]`` at ``x [N, d]``."""
        return self._predicted(self.model_, x)

    def _flattened(self, values: FloatArray) -> FloatArray:
        """Without the second axis where ``y`` had one."""
        return values[:, 0] if self.n_outputs_ == 1 and self._flat else values

    def _rows(self, X: Any, y: Any, sample_weight: Any) -> tuple[Rows, tuple[str, ...]]:
        """The rows that are fitted, and names of the targets."""
        given = y
        x, y, weights = self._learnt_from(X, y, sample_weight, multi_output=True, y_numeric=True)
        self._flat: bool = y.ndim == 1
        y = np.asarray(y, dtype=np.float64).reshape(len(x), -1)
        self.n_outputs_: int = y.shape[1]
        return Rows.of(x, y, weights), target_names_of(given, y.shape[1], self.preparation_.names)


class Classifier(ClassifierMixin, KANEstimator):  # type: ignore[misc]
    """What classifiers share."""

    @property
    def _head(self) -> Head:
        head = self.model_.head
        assert head is not None
        return head

    def _scores(self, X: Any) -> torch.Tensor:
        """``[N, n_scores]``."""
        return torch.from_numpy(self._values(self._inputs(X)))

    def _values(self, x: FloatArray) -> FloatArray:
        """Scores ``[N, n_scores]`` at ``x [N, d]``."""
        return self._predicted(self.model_, x)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable classes ``[N]`` of the rows of ``X [N, d]``."""
        scores = self._scores(X)
        found: np.ndarray = self.classes_[self._head.indices(scores).numpy()]
        return found

    def predict_proba(self, X: Any) -> FloatArray:
        """Probabilities ``[N, K]`` of ``classes_``."""
        scores = self._scores(X)
        return self._head.probabilities(scores).numpy()

    def decision_function(self, X: Any) -> FloatArray:
        """The scores whose logistic or softmax function the probabilities are.

        Returns:
            ``[N]`` for two classes, positive for the second; ``[N, K]`` for more.
        """
        scores = self._scores(X).numpy()
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def _rows(self, X: Any, y: Any, sample_weight: Any) -> tuple[Rows, tuple[str, ...]]:
        """The rows that are fitted, classes by their numbers, and names of the classes."""
        x, y, weights = self._learnt_from(X, y, sample_weight)
        check_classification_targets(y)
        if weights is not None:
            x, y, weights = x[weights > 0], y[weights > 0], weights[weights > 0]
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs rows of two classes or more, and all have the class {self.classes_[0]!r}"
            )
        names = tuple(str(one) for one in self.classes_.tolist())
        if len(set(names)) < len(names) or not all(names):
            names = tuple(f"class {n}" for n in range(len(names)))
        return Rows.of(x, numbers.reshape(-1, 1).astype(np.float64), weights), names


class KANRegressor(NetworkParameters, Regressor):
    """A Kolmogorov-Arnold network for one number or several.

    Without parameters it is the sum of smooth functions of single columns and of pairs that predicts best in
    leave-one-out, or a network that a search finds, if that predicts held-out rows better by more than chance.

    Args:
        hidden_layer_sizes: widths of the hidden layers, such as ``(5,)``, ``()`` for none; None chooses.
        grid_size: intervals of the splines' grids; None doubles them while that helps.
        degree: of the splines; None for 3, or what :func:`superpose.search` takes.
        sparsity: strength of the penalty on edges; see :class:`superpose.FitSettings`.
        max_steps: most optimiser steps on each grid, where ``hidden_layer_sizes`` is given.
        effort: seconds of work, which is counted and not measured: the same fit on every machine.
        time_limit: seconds by the clock, in place of ``effort``; results may then depend on the machine's speed.
        random_state: of every random choice.
        missing: what is done with gaps: ``"indicator"`` fills them with the median or the most frequent level of the
            rows of the fit, and adds a column of 0 and 1 that says where; ``"median"`` only fills them; ``"drop"``
            leaves such rows out of the fit, and refuses them in predictions; ``"error"`` refuses them.
        categories: names of columns that are categories whatever they hold, or their numbers in arrays; ``"none"``
            leaves columns of text out, of which those with few levels are categories otherwise.
        dates: parts of columns of dates that are columns too, such as ``{"sold": ["weekday"]}``, or ``"none"``; as in
            :class:`superpose.data.RowOptions`.
        log_target: whether the logarithm of a single positive target is fitted, so that errors count in proportion;
            None decides by the rows. Not with a given form.

    Attributes:
        model_: the network, a :class:`superpose.KAN` of the columns that it reads.
        preparation_: how these are made of the columns of ``X``, a :class:`superpose.data.Preparation`.
        columns_: the numbers of the columns of ``X`` that are read; constant ones are left out, and of more than 30
            those without influence.
        left_out_: names of the columns of ``X`` that hold free text, a single level or nothing; a warning names them.
        reason_: what the network is.
        feature_importances_: ``[d]`` attribution scores of the columns of ``X``, of sum 1.
        n_outputs_: number of targets.
        n_features_in_, feature_names_in_: as of all estimators.

    >>> import numpy
    >>> x = numpy.linspace(-1, 1, 80)[:, None]
    >>> found = KANRegressor().fit(x, x[:, 0] ** 2)
    >>> bool(abs(found.predict([[0.5]])[0] - 0.25) < 1e-3)
    True
    >>> import pandas
    >>> table = pandas.DataFrame({"size": x[:, 0], "kind": ["cat", "dog"] * 40})
    >>> KANRegressor(effort=0.1).fit(table, x[:, 0]).preparation_.names
    ('size', 'kind = dog')
    """

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] | None = None,
        *,
        grid_size: int | None = None,
        degree: int | None = None,
        sparsity: float = 0.0,
        max_steps: int | None = None,
        effort: float = 2.0,
        time_limit: float | None = None,
        random_state: Any = 0,
        missing: str = "indicator",
        categories: Any = None,
        dates: Any = None,
        log_target: bool | None = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            grid_size=grid_size,
            degree=degree,
            sparsity=sparsity,
            max_steps=max_steps,
            effort=effort,
            time_limit=time_limit,
            random_state=random_state,
            missing=missing,
            categories=categories,
            dates=dates,
        )
        self.log_target = log_target

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> KANRegressor:
        """Fit the network.

        Args:
            X: ``[N, d]``, an array, or a frame of pandas or polars with numbers, text, categories, truth values and
                dates.
            y: ``[N]`` or ``[N, n_outputs]``.
            sample_weight: ``[N]``; a row of weight 2 counts as two equal rows, and one of weight 0 as none.

        Raises:
            OptionError: for a parameter that makes no sense.
            DataError: for a cell that cannot be used, or if no column holds anything to learn from.
            ValueError: for tables that scikit-learn's estimators refuse.
        """
        rows, targets = self._rows(X, y, sample_weight)
        names = self.preparation_.names
        with self._deadline() as deadline:
            options = replace(self._network_options(deadline), log_target=self.log_target)
            model, reason = mean_network(names, targets, rows.mean), NOTHING_VARIES
            if rows.learnable:
                model, reason = fit_numbers(self._dataset(rows, targets, options.seed), options)
        self._keep(model, reason, rows)
        return self


class KANClassifier(NetworkParameters, Classifier):
    """A Kolmogorov-Arnold network for classes.

    Without parameters its scores are the sums of smooth functions of single columns and of pairs that predict best in
    leave-one-out, or a network that a search finds, if that predicts held-out rows better by more than chance.

    Args:
        hidden_layer_sizes, grid_size, degree, sparsity, max_steps: as for :class:`KANRegressor`.
        effort, time_limit, random_state: as for :class:`KANRegressor`.
        missing, categories, dates: as for :class:`KANRegressor`.

    Attributes:
        classes_: ``[K]``.
        model_: the network with its head, a :class:`superpose.KAN` of the columns that it reads.
        preparation_, columns_, left_out_, reason_, feature_importances_: as of :class:`KANRegressor`.
        n_features_in_, feature_names_in_: as of all estimators.

    >>> import numpy
    >>> x = numpy.linspace(-1, 1, 80)[:, None]
    >>> found = KANClassifier().fit(x, numpy.where(abs(x[:, 0]) < 0.5, "in", "out"))
    >>> found.predict([[0.1], [0.9]]).tolist()
    ['in', 'out']
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> KANClassifier:
        """Fit the network.

        Args:
            X: ``[N, d]``; see :meth:`KANRegressor.fit`.
            y: ``[N]`` classes.
            sample_weight: ``[N]``; a row of weight 2 counts as two equal rows, and one of weight 0 as none.

        Raises:
            OptionError: for a parameter that makes no sense.
            ValueError: for tables that scikit-learn's estimators refuse, or a single class.
        """
        rows, classes = self._rows(X, y, sample_weight)
        names = self.preparation_.names
        with self._deadline() as deadline:
            options = self._network_options(deadline)
            if rows.learnable:
                model, reason = fit_classes(self._dataset(rows, ("class",), options.seed), classes, options)
            else:
                head = head_of(classes)
                model, reason = mean_network(names, head.score_names, frequency_scores(rows)), NOTHING_VARIES
                model.head = head
        self._keep(model, reason, rows)
        return self


def frequency_scores(rows: Rows) -> FloatArray:
    """The scores under which the classes have the probabilities of their shares of the rows."""
    logs = np.log(np.bincount(rows.y[:, 0].astype(int), rows.weights))
    found: FloatArray = logs[1:] - logs[:1] if len(logs) == 2 else logs
    return found
