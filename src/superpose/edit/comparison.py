"""Comparison of models and formulas by their size and their errors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from superpose.data import Dataset, Split
from superpose.errors import DataError, OptionError
from superpose.formulas.expressions.formula import Formula
from superpose.nn.model import KAN
from superpose.notebook_html import html_table
from superpose.short_repr import brief

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class ComparisonRow:
    """One model of a :class:`Comparison`.

    Attributes:
        name: of the model.
        shape: nodes of each layer, as :attr:`superpose.KAN.shape`; None for a formula.
        parameters: free constants; None for a formula.
        edges: edges that were not removed, and how many of them are ``symbolic``; None for a formula.
        train, validation, test: root mean squared errors in the target's units; NaN where a split has no rows.
        nodes: of the formula's tree, as the model writes it out, a spline counting as one function.
    """

    name: str
    shape: list[Any] | None
    parameters: int | None
    edges: int | None
    symbolic: int | None
    train: float
    validation: float
    test: float
    nodes: int


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` returns: one row for each model, in their order.

    Attributes:
        rows: see :class:`ComparisonRow`.
    """

    __repr__ = brief

    rows: tuple[ComparisonRow, ...]

    def __iter__(self) -> Iterator[ComparisonRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> ComparisonRow:
        """The row of a model by its name."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def to_frame(self) -> pandas.DataFrame:
        """The rows as a data frame, indexed by the models' names."""
        import pandas

        return pandas.DataFrame([asdict(row) for row in self.rows]).set_index("name")

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        head = ("", "shape", "parameters", "edges", "symbolic", "train", "validation", "test", "nodes")
        return html_table(head, [tuple(vars(row).values()) for row in self.rows])

    def __str__(self) -> str:
        head = ("", "shape", "parameters", "edges", "symbolic", "train", "validation", "test", "nodes")
        lines = [head, *(tuple(_cell(value) for value in vars(row).values()) for row in self.rows)]
        widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
        texts = []
        for line in lines:
            first, *others = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            texts.append("  ".join([first, *others]).rstrip())
        return "\n".join(texts)


def compare(models: Mapping[str, KAN | Formula] | Sequence[KAN | Formula], data: Dataset) -> Comparison:
    """A table of models and formulas with their sizes and their errors on each split.

    Args:
        models: by name, or a list, whose names are ``1``, ``2`` and so on.
        data: the table; its columns are those of the models.

    Raises:
        OptionError: if there is nothing to compare.
        DataError: if a model has other columns.

    >>> x = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None]
    >>> data = Dataset.from_arrays(x, x**2)
    >>> one = KAN([1, 1], feature_names=["x1"], seed=0)
    >>> [(row.name, row.parameters) for row in compare({"line": one, "finer": one.refine(9)}, data)]
    [('line', 9), ('finer', 13)]
    """
    named = models if isinstance(models, Mapping) else {str(n): model for n, model in enumerate(models, start=1)}
    if not named:
        raise OptionError("there is nothing to compare; give models, such as {'before': one, 'after': other}")
    return Comparison(tuple(_compared(str(name), model, data) for name, model in named.items()))


def _compared(name: str, model: KAN | Formula, data: Dataset) -> ComparisonRow:
    if not isinstance(model, KAN | Formula):
        raise OptionError(f"{name!r} is a {type(model).__name__}, and compare takes models and formulas")
    if tuple(model.feature_names) != tuple(data.feature_names) or len(model.target_names) != data.n_targets:
        raise DataError(
            f"{name!r} gives {', '.join(model.target_names)} from {', '.join(model.feature_names)}, but the table has "
            f"{', '.join(data.target_names)} from {', '.join(data.feature_names)}; compare models of the same columns"
        )
    splits: tuple[Split, ...] = ("train", "validation", "test")
    train, validation, test = (_error(model, data, split) for split in splits)
    if isinstance(model, Formula):
        return ComparisonRow(name, None, None, None, None, train, validation, test, model.complexity)
    symbolic = sum(len(layer.symbolic_table()) for layer in model.kan_layers())
    nodes = Formula.of(model).complexity
    edges = len(model.active_edges())
    return ComparisonRow(name, model.shape, model.parameter_count(), edges, symbolic, train, validation, test, nodes)


@torch.no_grad()
def _error(model: KAN | Formula, data: Dataset, split: Split) -> float:
    x = data.rows(split)[0]
    values = model(x.to(model.input_center.device)).double().cpu() if isinstance(model, KAN) else model.torch(x)
    return data.rmse(values, split)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        # There is no error on a split without rows.
        return "-" if math.isnan(value) else f"{value:.3g}"
    return str(value)
