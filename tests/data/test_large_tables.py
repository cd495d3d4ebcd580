"""Tables are read block by block, stand in memory once, and keep their single precision until rows are used."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy
import pandas
import pytest
import torch

import superpose
from helpers import is_one_sentence
from superpose.data import Dataset, read_csv, read_features
from superpose.data.reading import arrow_files, read_table, text_blocks
from superpose.edit import combine
from superpose.errors import DataError
from superpose.formulas import find_laws
from superpose.tasks.relations.columns import read_columns

NUMBERS = numpy.random.default_rng(0).standard_normal((300, 5))
FRAME = pandas.DataFrame(NUMBERS, columns=["a", "b", "y", "c", "d"])


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_blocks, "_BLOCK", 256)
    monkeypatch.setattr(text_blocks, "_BLOCK_ROWS", 2)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("delimiter", "end"), [(",", "\n"), (";", "\r\n"), (" ", "\n"), (" ", "\r\n"), ("   ", "\r")])
def test_a_table_of_many_blocks_is_read_exactly(
    tmp_path: Path, small_blocks: None, delimiter: str, end: str, packed: bool
) -> None:
    lines = [delimiter.join(FRAME.columns), *(delimiter.join(map(repr, row)) for row in NUMBERS.tolist())]
    content = (end.join(lines) + end).encode()
    (tmp_path / "t").write_bytes(gzip.compress(content) if packed else content)
    table = read_table(tmp_path / "t")
    assert table.storage is not None
    assert numpy.array_equal(numpy.stack([table.numbers(name) for name in FRAME.columns], 1), NUMBERS)


def test_text_columns_of_many_blocks(tmp_path: Path, small_blocks: None) -> None:
    frame = FRAME.assign(kind=["left, or right" if row % 3 else "up" for row in range(300)])
    frame.to_csv(tmp_path / "t.csv", index=False)
    table = read_table(tmp_path / "t.csv")
    assert table.columns[5] == frame["kind"].tolist()
    # Equal cells are one object.
    assert len({id(cell) for cell in table.columns[5]}) == 2


def test_a_row_that_is_longer_than_a_block_is_read_all_the_same(tmp_path: Path, small_blocks: None) -> None:
    FRAME.assign(remark=["x" * (5000 if row == 100 else 1) for row in range(300)]).to_csv(tmp_path / "t", index=False)
    assert numpy.array_equal(read_csv(tmp_path / "t", target="y").y[:, 0].numpy(), NUMBERS[:, 2])


@pytest.mark.parametrize("features", [None, ["d", "a"], ["b"]])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_features_in_place_are_the_columns_that_were_asked_for(
    tmp_path: Path, kind: str, features: list[str] | None
) -> None:
    path = tmp_path / "t"
    FRAME.to_csv(path, index=False) if kind == "csv" else FRAME.to_parquet(path)
    data = read_csv(path, target="y", features=features)
    names = features or ["a", "b", "c", "d"]
    assert data.feature_names == tuple(names)
    assert numpy.array_equal(data.x.numpy(), FRAME[names].to_numpy())
    assert numpy.array_equal(data.y[:, 0].numpy(), FRAME["y"].to_numpy())
    assert torch.equal(data.rows("test")[0], data.x[data.test])


def test_single_precision_stays_until_rows_are_used(tmp_path: Path) -> None:
    frame = FRAME.astype(numpy.float32).assign(n=range(300), yes=[row % 2 == 0 for row in range(300)])
    frame.to_parquet(tmp_path / "t")
    data = read_csv(tmp_path / "t", target="y")
    assert data.x.dtype == torch.float32
    assert data.y.dtype == data.x_scale.scale.dtype == data.rows("all")[0].dtype == torch.float64
    assert data.rows("train")[0].dtype == read_features(data, ["a"]).dtype == torch.float64
    wanted = frame[list(data.feature_names)].to_numpy(dtype=numpy.float64)
    assert numpy.array_equal(data.rows("all")[0].numpy(), wanted)
    assert numpy.array_equal(data.to_frame()["a"].to_numpy(), frame["a"].to_numpy(dtype=numpy.float64))


@pytest.mark.parametrize("column", [[2**24 + 1] * 299 + [0], numpy.linspace(0, 1, 300)], ids=["integers", "doubles"])
def test_what_single_precision_does_not_hold_makes_all_features_double(tmp_path: Path, column: object) -> None:
    frame = FRAME.astype(numpy.float32).assign(e=column)
    frame.to_parquet(tmp_path / "t")
    data = read_csv(tmp_path / "t", target="y")
    assert data.x.dtype == torch.float64
    assert numpy.array_equal(data.x[:, 4].numpy(), frame["e"].to_numpy(dtype=numpy.float64))


def test_parquet_is_read_like_a_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_files, "_COLUMNS", 2)
    frame = FRAME.assign(
        day=pandas.date_range("2020-01-01", periods=300),
        kind=pandas.Categorical(["u", "v", "w"] * 100),
        count=pandas.array([*range(299), None], dtype="Int64"),
    ).set_index("a")
    frame.to_parquet(tmp_path / "t", row_group_size=70)
    table = read_table(tmp_path / "t")
    assert table.names == tuple(frame.columns)
    assert numpy.array_equal(table.numbers("d"), FRAME["d"])
    assert table.is_label("kind")
    assert table.is_label("day")
    with pytest.raises(DataError, match=r"row 300 .* column 'count' holds nan"):
        table.numbers("count")


def test_parquet_columns_of_one_name_are_an_error(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table([[1.0], [2.0]], names=["x", "x"]), tmp_path / "t")
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / "t")
    assert "two columns are named 'x'" in str(caught.value)
    assert is_one_sentence(str(caught.value))


X = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) + 1
SINGLE = replace(Dataset.from_arrays(X, X[:, 0].double() / X[:, 1].double()), x=X)
DOUBLE = replace(SINGLE, x=X.double())


@pytest.mark.usefixtures("counted_work")
def test_a_table_of_single_precision_is_learnt_like_one_of_double() -> None:
    networks = [superpose.KAN([2, 1], seed=0) for _ in range(2)]
    histories = [
        superpose.fit(network, data, grids=(3,), steps=5, progress=False)
        for network, data in zip(networks, (SINGLE, DOUBLE), strict=True)
    ]
    assert histories[0].validation_rmse == histories[1].validation_rmse
    assert numpy.array_equal(networks[0].predict(SINGLE), networks[1].predict(DOUBLE))
    laws = [find_laws(data, time_limit=5).best for data in (SINGLE, DOUBLE)]
    assert laws[0] is not None
    assert laws[1] is not None
    assert laws[0].expression == laws[1].expression
    assert laws[0].error == laws[1].error < 1e-12


def test_columns_of_single_precision_are_combined_and_related_in_double() -> None:
    for one, other in zip((SINGLE, DOUBLE), (DOUBLE, SINGLE), strict=True):
        assert torch.equal(combine(one, ["x1/x2"]).data.x, combine(other, ["x1/x2"]).data.x)
        assert torch.equal(read_columns(one, None).values, read_columns(other, None).values)
