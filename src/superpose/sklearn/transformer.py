"""KANTransformer: what a fitted network computes inside, as features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.base import TransformerMixin
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from superpose.errors import OptionError
from superpose.nn import KAN
from superpose.sklearn.base import NetworkParameters
from superpose.sklearn.networks import KANClassifier, KANRegressor
from superpose.sklearn.rows import FloatArray

_FEATURES = ("edges", "nodes")
# What the fitted network's estimator knows.
_TAKEN_OVER = (
    *("n_features_in_", "feature_names_in_", "preparation_", "left_out_"),
    *("model_", "columns_", "reason_", "feature_importances_"),
)


class KANTransformer(TransformerMixin, NetworkParameters):  # type: ignore[misc]
    """Features that a network learns from a target: functions of single columns, or activations of hidden nodes.

    Args:
        hidden_layer_sizes: as for :class:`KANRegressor`.
        features: ``"edges"`` for the functions on the edges of the first layer, each of one column; ``"nodes"`` for
            the activations of the hidden nodes, of which a network without hidden layers has none: there they are the
            edges too.
        grid_size, degree, sparsity, max_steps: as for :class:`KANRegressor`.
        effort, time_limit, random_state: as for :class:`KANRegressor`.
        missing, categories, dates: as for :class:`KANRegressor`.

    Attributes:
        estimator_: the :class:`KANRegressor` of continuous targets or :class:`KANClassifier` of classes that was
            fitted; integers and text are classes.
        model_: its network.
        preparation_, columns_, left_out_, reason_, feature_importances_: as of :class:`KANRegressor`.
        n_features_in_, feature_names_in_: as of all estimators.

    >>> import numpy
    >>> x = numpy.random.default_rng(0).uniform(-1, 1, (100, 2))
    >>> found = KANTransformer().fit(x, numpy.sin(3 * x[:, 0]) + x[:, 1])
    >>> found.get_feature_names_out().tolist()
    ['x0_edge0', 'x1_edge0']
    """

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] | None = None,
        *,
        features: str = "edges",
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
        self.features = features
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> KANTransformer:
        """Fit the network; the arguments are those of :meth:`KANRegressor.fit` or :meth:`KANClassifier.fit`."""
        if self.features not in _FEATURES:
            raise OptionError(f"features must be one of {', '.join(_FEATURES)}, not {self.features!r}")
        options = {name: value for name, value in self.get_params(deep=False).items() if name != "features"}
        kind = "unknown" if y is None else type_of_target(np.asarray(y), raise_unknown=False)
        numbers = kind.startswith(("continuous", "multi", "unknown")) and kind != "multiclass"
        self.estimator_ = (KANRegressor if numbers else KANClassifier)(**options)
        self.estimator_.fit(X, y, sample_weight)
        for name in _TAKEN_OVER:
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    @torch.no_grad()
    def transform(self, X: Any) -> FloatArray:
        """``[N, n_features_out]``, in the network's units."""
        check_is_fitted(self)
        x = self._read(self._inputs(X), self.model_.feature_names)
        trace = self.model_.trace(torch.from_numpy(x))
        if self._nodes():
            return torch.cat([layer.outputs for layer in trace.layers[:-1]], 1).numpy()
        edges = _edges(self.model_)
        if not edges:
            return np.zeros((len(x), 1))
        return torch.stack([trace.layers[0].edges[:, i, o] for i, o in edges], 1).numpy()

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names such as ``x0_edge2``, of the edge from the column to the sum 2, or ``layer1_node0``."""
        check_is_fitted(self)
        given = dict(zip(self._names(), _check_feature_names_in(self, input_features), strict=True))
        if self._nodes():
            widths = self.model_.widths[1:-1]
            names = [f"layer{n}_node{k}" for n, width in enumerate(widths, start=1) for k in range(width)]
        else:
            made = {
                name: new
                for column in self.preparation_.columns
                for name, new in zip(column.names, replace(column, name=given[column.name]).names, strict=True)
            }
            read = self.model_.feature_names
            names = [f"{made[read[i]]}_edge{o}" for i, o in _edges(self.model_)] or ["constant"]
        return np.array(names, dtype=object)

    def _nodes(self) -> bool:
        return self.features == "nodes" and len(self.model_.widths) > 2


def _edges(model: KAN) -> list[tuple[int, int]]:
    """Input and sum of the edges of the first layer that were not removed."""
    return [(i, o) for n, i, o in model.active_edges() if n == 0]
