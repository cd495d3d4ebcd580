"""Features for a prediction, picked from every kind of table."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
import torch
from table_cases import X, Y, written

from helpers import is_one_sentence
from superpose.data import Dataset, read_features
from superpose.errors import DataError


def test_features_are_picked_by_name_from_every_kind_of_table(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"b": [1.0, 2.0], "name": ["u", "v"], "a": [3.0, 4.0]})
    expected = torch.tensor([[3.0, 1.0], [4.0, 2.0]], dtype=torch.float64)
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    for table in (frame, tmp_path / "t.csv", str(tmp_path / "t.parquet")):
        assert torch.equal(read_features(table, ["a", "b"]), expected)
    for array in (expected.numpy(), expected, expected.tolist()):
        assert torch.equal(read_features(array, ["a", "b"]), expected)
    data = Dataset.from_arrays(X, Y, feature_names=["a", "b"])
    assert torch.equal(read_features(data, ["b", "a"]), data.x[:, [1, 0]])
    assert torch.equal(read_features(data, ["y"]), data.y)


def test_one_row_and_one_column_are_enough_for_a_prediction(tmp_path: Path) -> None:
    assert read_features(written(tmp_path, "x\n0.5\n"), ["x"]).tolist() == [[0.5]]
    assert read_features([[0.5]], ["x"]).tolist() == [[0.5]]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (pandas.DataFrame({"a": [1.0]}), "there is no column 'length' for a feature of the model"),
        (pandas.DataFrame({"a": [1.0], "lenght": [1.0]}), "did you mean 'lenght'"),
        (pandas.DataFrame({"a": [1.0], "length": ["x"]}), r"row 1 .*column 'length' holds 'x'"),
        (numpy.ones((3, 1)), "the array has 1 column, but the model was trained on 2: 'a', 'len"),
        (numpy.ones((3, 3)), "the array has 3 columns, but the model was trained on 2"),
        (torch.ones(2), r"the array has shape \[2\] .* reshape\(1, -1\) one row"),
        ([[1.0, math.nan]], r"the array, row 1 .*column 'length' holds nan"),
        (Dataset.from_arrays(X, Y), "there is no column 'a' for a feature of the model"),
        (None, "the array holds elements of type object"),
    ],
)
def test_tables_that_the_model_was_not_trained_on(table: Any, expected: str) -> None:
    with pytest.raises(DataError, match=expected) as caught:
        read_features(table, ["a", "length"])
    assert is_one_sentence(str(caught.value))
