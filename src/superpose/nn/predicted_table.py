"""A table with what a model predicts for its rows, as further columns, and as the bytes of a file."""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass, field
from typing import Any

import numpy
import torch
from torch import Tensor

from superpose.data.tables import Table
from superpose.nn.model import KAN
from superpose.nn.uncertainty import Intervals


@dataclass(frozen=True)
class PredictedTable:
    """A table with predictions.

    Attributes:
        columns: those of the table, then the predictions, by names that are free there.
        x: the inputs of the model.
        predictions: its outputs ``[N, n_out]``.
        intervals: of the predictions, if they were wanted.
        notes: sentences on what may be wrong with the rows.
    """

    columns: dict[str, Any] = field(repr=False)
    x: Tensor = field(repr=False)
    predictions: Any = field(repr=False)
    intervals: Intervals | None = None
    notes: tuple[str, ...] = ()

    def to_bytes(self, name: str) -> bytes:
        """The content of a file of this name: ``.csv``, ``.tsv``, either with ``.gz``, or ``.parquet``."""
        import pandas

        frame = pandas.DataFrame(self.columns)
        if name.endswith(".parquet"):
            buffer = io.BytesIO()
            frame.to_parquet(buffer, index=False)
            return buffer.getvalue()
        plain = name.removesuffix(".gz")
        separator = "\t" if plain.endswith(".tsv") else ","
        text = frame.to_csv(index=False, sep=separator, lineterminator="\n").encode("utf-8", errors="surrogateescape")
        # Without a time inside, the same table gives the same bytes.
        return gzip.compress(text, mtime=0) if plain != name else text


def predicted_table(
    model: KAN, table: Table, *, level: float | None = None, probabilities: bool = False
) -> PredictedTable:
    """The table with the predictions of a model.

    Args:
        model: a network; its columns are found by name.
        table: what :func:`superpose.data.read_table` returned.
        level: of intervals, which add three more columns: their ends, and whether a row lies outside the data that the
            model was fitted to.
        probabilities: for a classifier, whether a column for the probability of each class is added.

    Raises:
        DataError: if the table lacks a column.
        OptionError: for intervals of a model whose errors are not known.
    """
    notes: list[str] = []
    x = model.features(table, notes=notes)
    intervals = None if level is None else model.intervals(x, level)
    predictions = model.values(x) if intervals is None else intervals.prediction
    columns: dict[str, Any] = dict(zip(table.names, map(_as_written, table.columns), strict=True))
    found = _classes(model, predictions, probabilities) if model.head is not None else {}
    for name, values in (found or dict(zip(model.target_names, predictions.T, strict=True))).items():
        columns[_free_name(name, columns)] = values
    if intervals is not None:
        for name, low, high in zip(model.target_names, intervals.low.T, intervals.high.T, strict=True):
            columns |= {_free_name(f"{name}_low", columns): low, _free_name(f"{name}_high", columns): high}
        columns[_free_name("outside", columns)] = intervals.outside.astype(int)
    return PredictedTable(columns, x, predictions, intervals, tuple(notes))


def _classes(model: KAN, scores: Any, probabilities: bool) -> dict[str, Any]:
    """What is added for a classifier: labels, and the probability of each class if wanted."""
    head = model.head
    assert head is not None
    found: dict[str, Any] = {head.name: head.labels(scores)}
    if probabilities:
        shares = head.probabilities(torch.from_numpy(scores)).numpy()
        found |= {f"P({head.name} = {name})": shares[:, k] for k, name in enumerate(head.classes)}
    return found


def _as_written(column: Any) -> Any:
    """A column as a person would write it: whole numbers without a decimal point."""
    if isinstance(column, numpy.ndarray) and bool((abs(column) < 2**53).all()):
        whole = column.astype(numpy.int64)
        return whole if bool((whole == column).all()) else column
    return column


def _free_name(name: str, taken: dict[str, Any]) -> str:
    candidate, count = name, 1
    while candidate in taken:
        candidate = f"{name}_predicted" if count == 1 else f"{name}_predicted_{count}"
        count += 1
    return candidate
