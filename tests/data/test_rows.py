"""Which rows train and which judge, how they are divided, and how much each counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers import is_one_sentence
from superpose.data import Dataset, read_csv
from superpose.data.splitting import HOLD_OUT
from superpose.errors import DataError, OptionError, SuperposeError
from superpose.tasks.classification import ClassificationDataset


def table(rows: int = 60, **more: Any) -> pandas.DataFrame:
    """Two features, a time that does not ascend, a group of one to ten rows, and a target."""
    position = numpy.arange(rows)
    frame = pandas.DataFrame(
        {
            "x": numpy.sin(position),
            "z": position % 7.0,
            "day": (position * 37) % rows,
            "site": [f"s{int(row**0.5)}" for row in position],
            "f": numpy.cos(position) + position % 3,
        }
    )
    return frame.assign(**more)


def counts(data: Dataset) -> tuple[int, int, int]:
    return len(data.train), len(data.validation), len(data.test)


# ---------------------------------------------------------------- what is held out


def test_few_rows_all_train_and_many_are_held_out() -> None:
    most = HOLD_OUT.rows - 1
    assert counts(Dataset.from_frame(table(most), target="f")) == (most, 0, 0)
    assert counts(Dataset.from_frame(table(HOLD_OUT.rows), target="f")) == (350, 75, 75)
    # What is said counts, and only that.
    assert counts(Dataset.from_frame(table(60), target="f", test=0.2)) == (48, 0, 12)
    assert counts(Dataset.from_frame(table(60), target="f", validation=0.1, test=0.2)) == (42, 6, 12)
    assert counts(Dataset.from_frame(table(600), target="f", test=0)) == (510, 90, 0)


def test_three_rows_are_a_table_and_two_are_not() -> None:
    assert counts(Dataset.from_arrays([[0.0], [1.0], [2.0]], [0.0, 1.0, 4.0])) == (3, 0, 0)
    with pytest.raises(DataError, match="has 2 rows; at least 3 are needed"):
        Dataset.from_arrays([[0.0], [1.0]], [0.0, 1.0])
    with pytest.raises(OptionError, match="leave 2 of 3 rows for training; at least 3 are needed"):
        Dataset.from_arrays([[0.0], [1.0], [2.0]], [0.0, 1.0, 4.0], test=0.4)


def test_errors_are_reported_on_the_test_or_on_all_rows() -> None:
    for options, split in (({}, "all"), ({"test": 0.2}, "test"), ({"validation": 0.2}, "all")):
        data = Dataset.from_frame(table(), target="f", **options)  # type: ignore[arg-type]
        assert data.evaluation_split == split
        y = data.rows(data.evaluation_split)[1]
        assert data.target_std == pytest.approx(float(y.std(correction=0)))


# ---------------------------------------------------------------- time and groups


@given(validation=st.floats(0.05, 0.4), test=st.floats(0.05, 0.4), seed=st.integers(0, 50))
def test_no_group_is_in_two_parts(validation: float, test: float, seed: int) -> None:
    frame = table()
    data = Dataset.from_frame(frame, target="f", split="group:site", validation=validation, test=test, seed=seed)
    assert data.feature_names == ("x", "z", "day") and data.groups is not None
    parts = [set(frame["site"][part.numpy()]) for part in (data.train, data.validation, data.test)]
    assert all(parts) and sum(map(len, parts)) == frame["site"].nunique()
    assert torch.cat([data.train, data.validation, data.test]).sort().values.tolist() == list(range(60))
    # Off by less than the largest group, which has 15 rows.
    assert abs(len(data.test) - test * 60) < 15


@given(validation=st.floats(0.0, 0.4), test=st.floats(0.0, 0.4))
def test_the_last_rows_in_time_are_the_test(validation: float, test: float) -> None:
    frame = table()
    features = ["x", "z"]
    data = Dataset.from_frame(frame, target="f", features=features, split="time:day", validation=validation, test=test)
    assert data.feature_names == ("x", "z") and data.order is not None
    days = torch.tensor(frame["day"].to_numpy())
    expected = days.argsort()
    parts = torch.cat([part[days[part].argsort()] for part in (data.train, data.validation, data.test)])
    assert torch.equal(parts, expected)
    assert len(data.test) == round(test * 60) and len(data.validation) == round(validation * 60)


def test_rows_of_one_time_stay_together() -> None:
    frame = table(day=numpy.arange(60) // 7)
    data = Dataset.from_frame(frame, target="f", split="time:day", validation=0.2, test=0.2)
    days = [set(frame["day"][part.numpy()]) for part in (data.train, data.validation, data.test)]
    assert days == [set(range(5)), {5, 6}, {7, 8}]


def test_dates_are_times() -> None:
    numbers = Dataset.from_frame(table(), target="f", split="time:day", test=0.2)
    dates = pandas.Timestamp("2023-12-20") + pandas.to_timedelta(table()["day"], unit="D")
    for written in (dates, dates.dt.strftime("%Y-%m-%d"), dates.dt.strftime("%Y-%m-%dT%H:%M:%S+02:00")):
        data = Dataset.from_frame(table(day=written), target="f", split="time:day", test=0.2, categories="none")
        assert torch.equal(data.test, numbers.test) and data.left_out == ("site",)


def test_a_dividing_column_is_a_feature_if_it_is_named() -> None:
    data = Dataset.from_frame(table(), target="f", features=["x", "day"], split="time:day")
    assert data.feature_names == ("x", "day")
    x = table()[["x", "day"]]
    assert Dataset.from_arrays(x, table()["f"], split="time:day").feature_names == ("x",)


def test_the_future_has_no_part_in_the_scale() -> None:
    frame = table(x=numpy.arange(60.0), day=numpy.arange(60))
    data = Dataset.from_frame(frame, target="f", features=["x"], split="time:day", test=0.5)
    assert data.x_scale.apply(data.rows("train")[0]).abs().max() == 1
    random = Dataset.from_frame(frame, target="f", features=["x"], test=0.5)
    assert random.x_scale.apply(random.x).abs().max() == 1


# ---------------------------------------------------------------- a table for the test


def test_a_table_of_its_own_is_the_test(tmp_path: Path) -> None:
    frame, later = table(), table(8) + {"x": 5.0, "z": 0, "day": 0, "site": "", "f": 0.0}
    frame.to_csv(tmp_path / "train.csv", index=False)
    # Columns are found by name, and further ones do not matter.
    later[["f", "z", "day", "x"]].assign(note="-").to_csv(tmp_path / "test.csv", index=False)
    features = ["x", "z"]
    from_file = read_csv(tmp_path / "train.csv", target="f", features=features, test=tmp_path / "test.csv")
    from_frame = Dataset.from_frame(frame, target="f", features=features, test=later)
    pair = (later[features], later["f"])
    from_arrays = Dataset.from_arrays(frame[features], frame["f"], test=pair)
    for data in (from_file, from_frame, from_arrays):
        assert counts(data) == (60, 0, 8) and data.test.tolist() == list(range(60, 68)) and not data.notes
        assert numpy.allclose(data.rows("test")[0].numpy(), later[features].to_numpy(dtype=float))
        assert numpy.allclose(data.rows("test")[1][:, 0].numpy(), later["f"].to_numpy(dtype=float))
        # The scale is that of the table to learn from, whatever the test holds.
        assert data.x_scale.apply(data.x[:60]).abs().max() == 1 and data.x_scale.apply(data.x[60:]).abs().max() > 5


def test_rows_of_the_test_that_are_known_are_reported() -> None:
    frame = table()
    data = Dataset.from_frame(
        frame, target="f", features=["x", "z", "day"], test=pandas.concat([frame[3:5], table(70)[65:]])
    )
    (note,) = data.notes
    assert note.startswith("2 of 7 rows of the test data frame are in the data frame too, the first in row 1")
    assert is_one_sentence(note)
    # Other measurements at the same place are no copies.
    assert not Dataset.from_frame(frame, target="f", test=frame.assign(f=frame["f"] + 1)).notes


def test_a_test_that_is_not_later_is_reported() -> None:
    early = Dataset.from_frame(table(), target="f", split="time:day", test=table(2).assign(x=9.0))
    assert "2 rows of the test data frame are no later than the last row" in early.notes[0]
    late = Dataset.from_frame(table(), target="f", split="time:day", test=table(2).assign(x=9.0, day=[90, 91]))
    assert not late.notes and late.order is not None
    assert late.order[late.test].min() > late.order[late.train].max()


def test_groups_of_a_test_are_others() -> None:
    later = table(6).assign(site=["a", "a", "b", "b", "b", "a"], x=7.0)
    data = Dataset.from_frame(table(), target="f", split="group:site", test=later)
    assert data.groups is not None
    names = [*table()["site"], *later["site"]]
    assert len(set(zip(names, data.groups.tolist(), strict=True))) == len(set(names)) == int(data.groups.max()) + 1


def test_a_known_label_is_asked_of_the_rows_of_a_test() -> None:
    frame = table().assign(f=["low", "high", "high"] * 20)
    later = table(9).assign(f="low", x=7.0)
    data = ClassificationDataset.from_frame(frame, target="f", test=later)
    assert data.classes == ("high", "low") and data.data.rows("test")[1].flatten().tolist() == [1.0] * 9
    with pytest.raises(DataError, match=r"row 3 .*holds the label 'mid', which the table to learn from does not"):
        ClassificationDataset.from_frame(frame, target="f", test=later.assign(f=["low", "low", "mid"] * 3))


# ---------------------------------------------------------------- weights


def test_weights_are_relative_and_error_bars_are_squared() -> None:
    bars = 0.5 + numpy.arange(60) % 4
    frame = table(bar=bars, w=10 / bars**2)
    options: dict[str, Any] = {"target": "f", "test": 0.2}
    first, second = (Dataset.from_frame(frame.drop(columns=drop), **options, **kind) for drop, kind in (
        ("bar", {"weights": "w"}), ("w", {"sigma": "bar"})))  # fmt: skip
    third = Dataset.from_arrays(frame[["x", "z"]], frame["f"], sigma=bars, test=0.2)
    for data in (first, second, third):
        assert data.weights is not None and "w" not in data.feature_names and "bar" not in data.feature_names
        assert float(data.weights[data.train].mean()) == pytest.approx(1.0)
        assert torch.allclose(data.weights * data.weights.new_tensor(bars) ** 2, data.weights[0] * bars[0] ** 2)
        assert data.weights_of("test") is not None and len(data.weights_of("test")) == 12  # type: ignore[arg-type]


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    x, y = numpy.arange(6.0), numpy.array([0.0, 3.0, 1.0, 5.0, 2.0, 2.5])
    twice = [0, 1, 1, 2, 3, 4, 5]
    weighted = Dataset.from_arrays(x[:, None], y, weights=[1, 2, 1, 1, 1, 1])
    repeated = Dataset.from_arrays(x[twice, None], y[twice])
    assert torch.allclose(weighted.y_scale.center, repeated.y_scale.center)
    assert torch.allclose(weighted.y_scale.scale, repeated.y_scale.scale)
    assert weighted.target_std == pytest.approx(repeated.target_std)
    predicted = torch.arange(6.0)[:, None]
    for measure in ("rmse", "r2"):
        expected = getattr(repeated, measure)(predicted[twice], "train")
        assert getattr(weighted, measure)(predicted, "train") == pytest.approx(expected)


def test_r2_is_that_of_the_textbooks() -> None:
    from sklearn.metrics import r2_score

    data = Dataset.from_frame(table(), target=["f", "z"], test=0.3)
    predicted = data.y + torch.sin(torch.arange(120.0)).reshape(60, 2)
    y, guess = data.rows("test")[1], predicted[data.test]
    spread = (y - y.mean(0)).square().sum()
    assert data.r2(guess, "test") == pytest.approx(float(1 - (y - guess).square().sum() / spread))
    one = Dataset.from_frame(table(), target="f")
    assert one.r2(one.y * 0.7, "all") == pytest.approx(r2_score(one.y.numpy(), 0.7 * one.y.numpy()))
    assert numpy.isnan(one.r2(one.y[:0], "test"))


def test_rows_of_a_test_keep_the_units_of_the_weights() -> None:
    frame, later = table(w=2.0), table(4).assign(w=8.0, x=7.0)
    data = Dataset.from_frame(frame, target="f", weights="w", test=later)
    assert data.weights is not None and torch.allclose(data.weights[60:], torch.tensor(4.0, dtype=torch.float64))


# ---------------------------------------------------------------- mistakes

MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("rule", {"split": "tme:day"}, "split is 'tme:day' and must be random, time:COLUMN or group:COLUMN"),
    ("rule without column", {"split": "time:"}, "must be random, time:COLUMN or group:COLUMN"),
    ("rule of another type", {"split": 3}, "must be random, time:COLUMN or group:COLUMN"),
    ("unknown column", {"split": "time:dya"}, "no column 'dya' for the split; did you mean 'day'?"),
    ("no time", {"split": "time:site"}, "row 1 (counting from 1): column 'site' holds 's0', which is no time"),
    ("time is the target", {"split": "time:f"}, "column 'f' is the target, and cannot weigh or divide the rows too"),
    ("one group", {"split": "group:one"}, "column 'one' has one value only, so rows cannot be divided by it"),
    ("an empty group", {"split": "group:hole"}, "row 3 (counting from 1): column 'hole' is empty, so the row"),
    ("two groups", {"split": "group:two", "validation": 0.2, "test": 0.2}, "2 groups cannot be divided into 3 parts"),
    ("unknown weights", {"weights": "v"}, "there is no column 'v' for weights"),
    ("weights of zero", {"weights": "day"}, "row 1 (counting from 1): column 'day' holds 0, and must be above 0"),
    ("negative bars", {"sigma": "negative"}, "column 'negative' holds -1, and must be"),
    ("text as weights", {"weights": "site"}, "column 'site' holds 's0', which is not a number"),
    ("missing weights", {"weights": "hole"}, "row 3 (counting from 1): column 'hole' is empty"),
    ("both", {"weights": "z", "sigma": "z"}, "weights and sigma both say how much each row counts"),
    ("weights as target", {"weights": "f"}, "column 'f' is the target, and cannot weigh"),
    ("weights as feature", {"weights": "w", "features": ["x", "w"]}, "column 'w' weighs the rows and is a feature"),
    ("few weights", {"weights": [1.0, 2.0]}, "weights has 2 numbers for 60 rows; give one each"),
    ("far apart", {"sigma": "far"}, "column 'far' has values from 1e-200 to 1e+200, too far apart to weigh rows by"),
    ("a test that is no table", {"test": [1]}, "test is of type list; it is a share of the rows, a path"),
    ("a test without a column", {"test": table(5).drop(columns="x")}, "no column 'x' for a feature, as in the t"),
    ("a test without the target", {"test": table(5).drop(columns="f")}, "no column 'f' for the target, as in t"),
    ("a test with text", {"test": table(5, x="a")}, "the test data frame, row 1 (counting from 1): column 'x' ho"),
    ("a missing test", {"test": "nowhere.csv"}, "'nowhere.csv' does not exist"),
    ("groups in both", {"split": "group:site", "test": table(3)}, "the group 's0' of column 'site' is in the d"),
    ("unknown option", {"tset": 0.2}, "from_frame has no option 'tset'; did you mean 'test'?"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "expected"), [pytest.param(*case[1:], id=case[0]) for case in MISTAKES])
def test_each_mistake_gets_one_plain_sentence(options: dict[str, Any], expected: str) -> None:
    frame = table(one=1, negative=-1.0, two=["a", "b"] * 30, w=2.0, far=[1e-200, 1e200] * 30, hole=["1", "2", ""] * 20)
    usual = {"target": "f", "features": ["x", "z"]}
    with pytest.raises(SuperposeError) as caught:
        Dataset.from_frame(frame, **(usual | options))
    assert expected in str(caught.value) and is_one_sentence(str(caught.value))
