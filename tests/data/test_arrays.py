"""Data sets from arrays and frames."""

from __future__ import annotations

import math
from typing import Any

import numpy
import pandas
import pytest
import torch
from table_cases import X, Y

from helpers import is_one_sentence
from superpose.data import Dataset
from superpose.errors import DataError


@pytest.mark.parametrize(
    "x",
    [X, X.astype(numpy.float32), torch.tensor(X, requires_grad=True), X.tolist(), tuple(X),
     pandas.DataFrame(X, columns=["x1", "x2"]), (X * 100).astype(int), X > 0.1,
     pandas.DataFrame((X * 100).round(), columns=["x1", "x2"]).astype("Int64")],
)  # fmt: skip
@pytest.mark.parametrize(
    "y",
    [Y, Y[:, None], Y[None, :], Y.tolist(), torch.tensor(Y), torch.tensor(Y)[:, None],
     torch.tensor(Y)[None, :], pandas.Series(Y), pandas.Series(Y, name="y")],
)  # fmt: skip
def test_y_as_list_column_or_row_vector_is_one_target(x: Any, y: Any) -> None:
    data = Dataset.from_arrays(x, y)
    assert data.x.shape == (20, 2) and data.x.dtype == torch.float64
    assert data.y.shape == (20, 1) and data.y.dtype == torch.float64
    assert data.feature_names == ("x1", "x2") and data.target_names == ("y",)
    assert torch.equal(data.y[:, 0], torch.tensor(Y))


def test_several_targets() -> None:
    data = Dataset.from_arrays(X, numpy.column_stack([Y, 1 - Y**2]))
    assert data.target_names == ("y1", "y2") and data.n_targets == 2
    frame = data.to_frame()
    again = Dataset.from_frame(frame, target=["y2", "y1"], features=["x2", "x1"])
    assert torch.equal(again.y, data.y[:, [1, 0]]) and torch.equal(again.x, data.x[:, [1, 0]])


def nan_at(array: numpy.ndarray, row: int, column: int, value: float) -> numpy.ndarray:
    array = array.copy()
    array[row, column] = value
    return array


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (X, Y[:19], r"y has shape \[19\], but x has 20 rows; y needs shape \[20\]"),
        (X, Y[None, :19], r"y has shape \[1, 19\], but x has 20 rows"),
        (X, Y[:1], r"y has shape \[1\], but x has 20 rows"),
        (X, 1.0, r"y has shape \[\], but x has 20 rows"),
        (X, Y.reshape(2, 10), r"y has shape \[2, 10\], but x has 20 rows"),
        (X, Y[:, None, None], r"y has shape \[20, 1, 1\]"),
        (X, numpy.zeros((20, 0)), r"y has shape \[20, 0\]"),
        (Y, Y, r"x has shape \[20\] .* reshape\(-1, 1\) makes it one feature"),
        (X[None], Y, r"x has shape \[1, 20, 2\] .* one row"),
        (numpy.zeros((0, 2)), [], r"x has shape \[0, 2\]"),
        (X.astype(complex), Y, "x holds elements of type complex128"),
        (torch.tensor(X, dtype=torch.complex64), Y, "x holds elements of type complex64"),
        (X.astype(object) + 1j, Y, r"column 'x1' holds text such as '\(-1\+1j\)'"),
        ([[1.0, 2.0], [3.0]], Y, "x is no rectangular array"),
        (nan_at(X, 6, 1, math.nan), Y, r"row 7 \(counting from 1\): column 'x2' holds nan"),
        (X, nan_at(Y[:, None], 6, 0, math.inf), r"row 7 \(counting from 1\): column 'y' holds inf"),
        (X * [0, 1], Y, "feature 'x1' is constant, 0 in every row; leave it out"),
        (X, Y * 0, "target 'y' is constant, 0 in every row"),
        (0.1 + 0.2 * (X > 0) - 0.2 * (X > 0), Y, "feature 'x1' is constant"),
        (X, numpy.eye(20)[0], "target 'y' is constant on all 14 training rows"),
        (X[:2], Y[:2], "has 2 rows; at least 3"),
        (pandas.DataFrame(X, index=range(20, 40)), pandas.Series(Y), "different row labels"),
        (pandas.DataFrame(X, columns=["a", "y"]), Y, "two columns are named 'y'"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(x: Any, y: Any, expected: str) -> None:
    # Seed 0 holds row 0 out, the only one in which the nearly constant target differs.
    with pytest.raises(DataError, match=expected) as caught:
        Dataset.from_arrays(x, y, validation=0.15, test=0.15, seed=0)
    assert is_one_sentence(str(caught.value))


def test_names_have_to_match_the_columns() -> None:
    with pytest.raises(DataError, match="feature_names has 1 name, but x has 2 columns"):
        Dataset.from_arrays(X, Y, feature_names=["a"])
    with pytest.raises(DataError, match="target_names has 2 names, but y has 1 column;"):
        Dataset.from_arrays(X, Y, target_names=["a", "b"])


def test_frames_with_missing_or_foreign_cells() -> None:
    frame = pandas.DataFrame({"x": range(20), "f": range(20)}, dtype=object)
    frame.loc[6, "x"] = None
    with pytest.raises(DataError, match=r"row 7 \(counting from 1\): column 'x' is empty"):
        Dataset.from_frame(frame, target="f")
    frame.loc[6, "x"] = 1 + 2j
    with pytest.raises(DataError, match=r"row 7 .*column 'x' holds '\(1\+2j\)'"):
        Dataset.from_frame(frame, target="f")
    frame["x"] = X[:, 0] + 1j
    with pytest.raises(DataError, match=r"column 'x' holds text such as '\(-1\+1j\)', 20 values in 20 rows"):
        Dataset.from_frame(frame, target="f", features=["x"])
    with pytest.raises(DataError, match=r"needs a pandas\.DataFrame, not a ndarray"):
        Dataset.from_frame(X, target="f")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="the data frame has no rows"):
        Dataset.from_frame(frame[:0], target="f")
