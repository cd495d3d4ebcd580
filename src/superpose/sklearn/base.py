"""What all estimators share: their options, importances, and how tables come in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, check_X_y

from superpose.checks import check_not_negative, check_positive, check_whole
from superpose.data import Affine, Dataset
from superpose.data.preparation import Preparation, PreparationOptions
from superpose.deadline import Deadline, counted_time
from superpose.edit import attribution_scores
from superpose.errors import DataError
from superpose.nn import KAN
from superpose.nn.uncertainty import required
from superpose.sklearn.columns import Prepared, checked, numbers_of, only_numbers, table_of
from superpose.sklearn.number_networks import NetworkOptions
from superpose.sklearn.rows import LEAST_ROWS, FloatArray, Rows, names_of
from superpose.sklearn.state import SafeState


class KANEstimator(SafeState, BaseEstimator):  # type: ignore[misc]
    """A fitted network of the columns that vary.

    Attributes:
        model_: the network, a :class:`superpose.KAN` of the columns that it reads.
        preparation_: how these are made of the columns of ``X``.
        left_out_: names of columns of ``X`` that hold nothing to learn from.
        columns_: numbers of the columns of ``X`` that are read.
        reason_: how it was found.
    """

    model_: KAN
    preparation_: Preparation
    left_out_: list[str]
    columns_: list[int]
    reason_: str
    effort: float
    time_limit: float | None
    random_state: Any
    missing: str
    categories: Any
    dates: Any

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._allow_nan
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    @property
    def _allow_nan(self) -> bool:
        return self.missing in ("median", "indicator")

    @contextmanager
    def _deadline(self) -> Iterator[Deadline]:
        """Until the fit ends: by work that is counted, or by the clock if a time limit is given."""
        check_positive("effort", self.effort, unit="seconds")
        check_positive("time_limit", self.time_limit, unit="seconds", optional=True)
        with counted_time(self.time_limit is None):
            yield Deadline(self.effort if self.time_limit is None else self.time_limit)

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _names(self) -> tuple[str, ...]:
        """Of the columns of ``X``."""
        return names_of(getattr(self, "feature_names_in_", None), self.n_features_in_)

    def _learnt_from(
        self, X: Any, y: Any, sample_weight: Any, **checks: Any
    ) -> tuple[FloatArray, np.ndarray, FloatArray | None]:
        """The columns of numbers ``[N, n]`` that ``X`` becomes, ``y`` and weights, all checked."""
        options = self._preparation_options()
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        cells, x = checked(self, X, reset=True, allow_nan=options.missing != "error")
        # The numbers were checked, so that only the rows are compared.
        _, y = check_X_y(np.zeros((len(x), 1)), y, estimator=self, ensure_min_samples=LEAST_ROWS, **checks)
        weights, names = weights_of(sample_weight, y), self._names()
        strange = [] if cells is None else [names[place] for place in sorted(cells.strange)]
        made = Prepared.fit(table_of(cells, x, names), options, weights, strange)
        self.preparation_, self.left_out_ = made.preparation, list(made.left_out)
        return made.x, y[made.kept], None if weights is None else weights[made.kept]

    def _preparation_options(self) -> PreparationOptions:
        categories = self.categories
        if categories is not None and not isinstance(categories, str):
            # Columns of arrays have no names but their numbers.
            categories = [one if isinstance(one, str) else f"x{one}" for one in categories]
        return PreparationOptions.read({"missing": self.missing, "categories": categories, "dates": self.dates})

    def _inputs(self, X: Any) -> FloatArray:
        """All columns of numbers ``[N, n]``."""
        check_is_fitted(self)
        cells, x = checked(self, X, reset=False, allow_nan=self.preparation_.missing != "error")
        return numbers_of(self.preparation_, cells, x, self._names())

    def _read(self, x: FloatArray, names: Sequence[str]) -> FloatArray:
        """Some of the columns ``x [N, n]``, by their names."""
        return np.ascontiguousarray(x[:, places_of(names, self.preparation_.names)])

    def _predicted(self, model: KAN, x: FloatArray) -> FloatArray:
        """``[N, n_out]`` of a model."""
        return model.predict(self._read(x, model.feature_names))

    def _dataset(self, rows: Rows, targets: Sequence[str], seed: int) -> Dataset:
        """The rows as a data set, none of which are held out for a test; see :meth:`.rows.Rows.dataset`."""
        made = rows.dataset(self.preparation_.names, targets, seed)
        plain = only_numbers(self.preparation_)
        return made if plain else replace(made, preparation=self.preparation_.only(made.feature_names))

    def _keep(self, model: KAN, reason: str, rows: Rows) -> None:
        """Take over what was fitted."""
        self.model_, self.reason_ = model, reason
        if not only_numbers(self.preparation_):
            model.preparation = self.preparation_.only(model.feature_names)
        names, raw = self._names(), self.preparation_.only(model.feature_names).raw_names
        self.columns_ = sorted(places_of(raw, names))
        self.feature_importances_ = self._importances(model, rows)

    def _importances(self, model: KAN, rows: Rows) -> FloatArray:
        """``[d]``, of sum 1: those of the columns of ``X``, each the sum over what it became."""
        found, names = np.zeros(self.n_features_in_), self._names()
        share = dict(zip(self.preparation_.names, importances(model, rows, self.preparation_.names), strict=True))
        for column in self.preparation_.columns:
            found[names.index(column.name)] = sum(share[name] for name in column.names)
        return found


def places_of(some: Sequence[str], names: Sequence[str]) -> list[int]:
    """The numbers of some columns among all."""
    place = {name: n for n, name in enumerate(names)}
    return [place[name] for name in some]


def importances(model: KAN, rows: Rows, names: Sequence[str]) -> FloatArray:
    """``[n]``, of sum 1: attribution scores of the columns; zeros where nothing depends on any, or the model is not
    finite."""
    found, columns = np.zeros(len(names)), places_of(model.feature_names, names)
    if len(rows.x) > 1:
        with suppress(DataError):
            scores = attribution_scores(model, torch.from_numpy(np.ascontiguousarray(rows.x[:, columns]))).inputs
            total = float(scores.sum())
            found[columns] = (scores / total if total > 0 else scores).numpy()
    return found


def weights_of(weights: Any, X: Any) -> FloatArray | None:
    """Weights ``[N]`` as scikit-learn takes them; None if none are given."""
    if weights is None:
        return None
    found: FloatArray = _check_sample_weight(weights, X, dtype=np.float64, ensure_non_negative=True)
    if not found.sum() > 0:
        raise ValueError("all weights in sample_weight are zero; give at least one row a positive weight")
    return found


class NetworkParameters(KANEstimator):
    """The parameters that networks for numbers and classes share."""

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
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.grid_size = grid_size
        self.degree = degree
        self.sparsity = sparsity
        self.max_steps = max_steps
        self.effort = effort
        self.time_limit = time_limit
        self.random_state = random_state
        self.missing = missing
        self.categories = categories
        self.dates = dates

    def _network_options(self, deadline: Deadline) -> NetworkOptions:
        hidden: tuple[Any, ...] | None = None
        if self.hidden_layer_sizes is not None:
            hidden = tuple(np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object)).tolist())
            for width in hidden:
                check_whole("hidden_layer_sizes", width)
        check_whole("grid_size", self.grid_size, optional=True)
        check_whole("degree", self.degree, least=0, most=5, optional=True)
        check_whole("max_steps", self.max_steps, optional=True)
        check_not_negative("sparsity", self.sparsity)
        return NetworkOptions(
            *(hidden, self.grid_size, self.degree, self.sparsity, self.max_steps, self._seed(), deadline)
        )


def mean_network(names: tuple[str, ...], targets: tuple[str, ...], value: FloatArray) -> KAN:
    """The network without edges whose outputs ``[n_out]`` are constants."""
    count, outputs = len(names), len(value)
    model = KAN([count, outputs], grid_size=1, feature_names=names, target_names=targets)
    model = model.with_mask([(0, i, o) for i in range(count) for o in range(outputs)], alive=False)
    model.set_scaling(
        Affine(torch.zeros(count, dtype=torch.float64), torch.ones(count, dtype=torch.float64)),
        Affine(torch.from_numpy(np.array(value, dtype=np.float64)), torch.ones(outputs, dtype=torch.float64)),
    )
    return model


def deviation(model: KAN, x: FloatArray) -> FloatArray:
    """``[N, n_out]``: standard deviations of new targets at rows, from the errors that intervals follow from."""
    known, rows = required(model.uncertainty, classifier=False), torch.from_numpy(np.ascontiguousarray(x))
    with torch.no_grad():
        prediction = model(rows)
    score = torch.where(prediction > 0, prediction, math.nan).log() if known.log else prediction
    found = known.residuals.square().mean(0).sqrt() * known.scale_at(rows, score)
    return (found * prediction.abs() if known.log else found).numpy()
