"""Raw columns: categories, answers, shares in percent and gaps, and the columns of numbers made of them."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import is_one_sentence
from superpose.data import Dataset, describe, read_csv, read_features
from superpose.data.preparation import CategoryColumn, Preparation
from superpose.data.preparation.cells import as_text
from superpose.data.preparation.dates import moment
from superpose.data.tables import Table, table_from_frame
from superpose.errors import DataError, DataWarning, OptionError
from superpose.tasks.classification import ClassificationDataset

N = 60


def frame(**more: Any) -> pandas.DataFrame:
    """Measurements of birds: numbers, three species, an answer, shares, names, and a target."""
    row = numpy.arange(N)
    made = pandas.DataFrame(
        {
            "species": numpy.array(["Adelie", "Chinstrap", "Gentoo"])[row * 7 % 11 % 3],
            "sex": numpy.array(["male", "female"])[row % 2],
            "mass": 3000.0 + row * 37 % 50,
            "ringed": numpy.array(["yes", "no"])[row % 5 % 2],
            "fat": [f"{10 + n % 7}%" for n in row],
            "name": [f"bird {n}" for n in row],
        }
    )
    made["f"] = made["mass"] / 100 + 5 * (made["species"] == "Gentoo") + 2 * (made["sex"] == "male")
    return made.assign(**more)


def with_gaps() -> pandas.DataFrame:
    made = frame()
    made.loc[[3, 4], "mass"] = numpy.nan
    made.loc[5, "species"] = None
    made.loc[6, "ringed"] = None
    return made


FEATURES = ("species = Adelie", "species = Chinstrap", "species = Gentoo", "sex = male", "mass", "ringed", "fat")


def test_each_kind_of_column_becomes_numbers() -> None:
    data, raw = Dataset.from_frame(frame(), target="f"), frame()
    assert data.feature_names == FEATURES and data.left_out == ("name",)
    made = data.to_frame()
    for level in ("Adelie", "Chinstrap", "Gentoo"):
        assert (made[f"species = {level}"] == (raw["species"] == level)).all()
    assert (made["sex = male"] == (raw["sex"] == "male")).all()
    assert (made["ringed"] == (raw["ringed"] == "yes")).all()
    assert (made["fat"] == raw["fat"].str.rstrip("%").astype(float)).all()
    assert (made["mass"] == raw["mass"]).all()


def test_tables_of_numbers_are_taken_as_they_are() -> None:
    data = Dataset.from_frame(frame()[["mass", "f"]], target="f")
    assert data.preparation is None
    assert Dataset.from_frame(frame()[["mass", "f"]], target="f", missing="median").preparation is not None


@pytest.mark.parametrize("rule", ["median", "indicator", "drop"])
def test_the_same_rows_get_the_same_numbers_again(rule: str) -> None:
    raw = with_gaps()
    data = Dataset.from_frame(raw, target="f", missing=rule)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        x = read_features(raw, data.feature_names, data.preparation)
    if rule == "drop":
        assert data.n_rows == N - 4 and x.isnan().any(1).nonzero().flatten().tolist() == [3, 4, 5, 6]
        x = x[~x.isnan().any(1)]
    assert torch.equal(x, data.x)


def test_gaps_are_refused_filled_marked_or_dropped() -> None:
    raw = with_gaps()
    with pytest.raises(DataError, match=r"column 'species' is empty .1 row without a value.*--missing drop") as caught:
        Dataset.from_frame(raw, target="f")
    assert is_one_sentence(str(caught.value))
    median = Dataset.from_frame(raw, target="f", missing="median")
    assert median.feature_names == FEATURES and len(median.notes) == 3
    assert all(is_one_sentence(note) for note in median.notes)
    assert (median.to_frame()["mass"][[3, 4]] == raw["mass"].median()).all()
    assert median.to_frame()["ringed"][6] == (raw["ringed"] == "yes").mean().round()
    frequent = raw["species"].mode()[0]
    assert median.to_frame()[f"species = {frequent}"][5] == 1
    marked = Dataset.from_frame(raw, target="f", missing="indicator").to_frame()
    for name in ("mass", "species", "ringed"):
        assert (marked[f"{name} is missing"] == raw[name].isna()).all()
    assert "sex is missing" not in marked
    dropped = Dataset.from_frame(raw, target="f", missing="drop")
    assert dropped.table_rows(torch.tensor([2, 3, 4])).tolist() == [2, 7, 8]
    assert median.table_rows(torch.tensor([2, 3, 4])).tolist() == [2, 3, 4]
    assert dropped.notes == (
        "4 of 60 rows of the data frame have missing cells and are left out, the first in row 4 (counting from 1)",
    )


def test_answers_dates_and_gaps_in_other_languages() -> None:
    days = ["31. März 2024", "1. Mai 2024", "3 août 2024", "24 Dez 2024", "2 de"]
    raw = pandas.DataFrame(
        {
            "aktiv": ["ja", "nein", "JA", "k. A.", "nein"],
            "ok": ["WAHR", "FALSCH", "WAHR", "WAHR", "FALSCH"],
            "day": [*days[:4], "1 enero 2025"],
            "word": ["on", "no", "oui", "ja", "si"],
            "f": [1.0, 2.0, 3.0, 4.0, 5.0],
        }
    )
    data = Dataset.from_frame(raw, target="f", missing="drop")
    assert data.feature_names[:3] == ("aktiv", "ok", "day (days since 2024-03-31)")
    assert data.x[:, :3].tolist() == [[1, 1, 0], [0, 0, 31], [1, 1, 125], [0, 0, 276]]
    assert "word" not in data.feature_names
    assert moment(days[4], None) is None


def test_a_column_whose_gaps_cost_many_rows_is_named_where_rows_are_dropped() -> None:
    count = numpy.arange(40.0)
    gaps = numpy.where(count % 3 == 0, numpy.nan, count**2)
    few = numpy.where(count == 3, numpy.nan, numpy.cos(count))
    raw = pandas.DataFrame({"a": count, "sparse": gaps, "few": few, "f": count**0.5})
    rows, costly = Dataset.from_frame(raw, target="f", missing="drop").notes
    assert rows.startswith("14 of 40 rows") and is_one_sentence(costly)
    assert costly.startswith("13 of the rows left out miss only the cell of column 'sparse'; without that column")
    assert not Dataset.from_frame(raw[["a", "f"]], target="f", missing="drop").notes


def test_gaps_in_categories_get_the_most_frequent_level() -> None:
    table = Table("'t'", ("kind",), (["a", "a", "b", "b", "b", "c", "c", ""],))
    made = Preparation.fit(table, missing="median").apply(table, notes=[])
    assert [float(column[-1]) for column in made.numbers_only()] == [0.0, 1.0, 0.0]


def test_a_gap_in_a_later_table_is_refused_where_nothing_is_said_of_gaps() -> None:
    preparation = Preparation.fit(Table("'t'", ("size", "kind"), (numpy.arange(4.0), ["a", "b", "a", "b"])))
    for columns in ((numpy.array([1.0, numpy.nan]), ["a", "b"]), (numpy.arange(2.0), ["", "b"])):
        with pytest.raises(DataError, match="1 row without a value"):
            preparation.apply(Table("'later'", ("size", "kind"), columns))


def test_the_median_is_that_of_the_training_rows() -> None:
    raw = pandas.DataFrame({"x": numpy.arange(20.0), "t": numpy.arange(20), "f": numpy.arange(20.0) ** 2})
    raw.loc[0, "x"] = numpy.nan
    data = Dataset.from_frame(raw, target="f", features=["x"], split="time:t", test=0.5, missing="median")
    assert data.x[0, 0] == numpy.median(numpy.arange(1.0, 10))


def test_missing_targets_are_dropped_only_if_that_is_wanted() -> None:
    raw = frame()
    raw.loc[7, "f"] = numpy.nan
    for rule in ("error", "median", "indicator"):
        with pytest.raises(DataError, match=r"row 8 .*column 'f' holds nan.*--missing drop leaves out such rows"):
            Dataset.from_frame(raw, target="f", missing=rule)
    assert Dataset.from_frame(raw, target="f", missing="drop").n_rows == N - 1


def test_weights_follow_the_rows_that_are_left() -> None:
    raw, weights = with_gaps(), numpy.arange(1.0, N + 1)
    given = Dataset.from_frame(raw, target="f", missing="drop", weights=weights)
    column = Dataset.from_frame(raw.assign(w=weights), target="f", missing="drop", weights="w")
    assert given.weights is not None and column.weights is not None
    assert torch.allclose(given.weights, column.weights)


@settings(max_examples=10)
@given(st.permutations(range(N)), st.permutations(["species", "sex", "mass", "ringed", "fat", "name", "f"]))
def test_the_order_of_rows_and_columns_does_not_matter(rows: list[int], names: list[str]) -> None:
    raw = with_gaps()
    data = Dataset.from_frame(raw, target="f", missing="indicator")
    other = Dataset.from_frame(raw.iloc[rows][names], target="f", missing="indicator")
    one, two = data.to_frame().iloc[rows].reset_index(drop=True), other.to_frame()
    assert set(one.columns) == set(two.columns)
    pandas.testing.assert_frame_equal(one, two[list(one.columns)])


def test_a_file_and_a_frame_give_the_same_data_set(tmp_path: Path) -> None:
    raw = with_gaps().assign(flag=numpy.arange(N) % 3 == 0, day=DAYS)
    raw.to_csv(tmp_path / "birds.csv", index=False, na_rep="NA")
    raw.to_parquet(tmp_path / "birds.parquet")
    data = Dataset.from_frame(raw, target="f", missing="indicator")
    for name in ("birds.csv", "birds.parquet"):
        read = read_csv(tmp_path / name, target="f", missing="indicator")
        assert read.feature_names == data.feature_names and read.preparation == data.preparation
        assert torch.equal(read.x, data.x)


@pytest.mark.parametrize("mark", ["", "NA", "nan", "n/a", "NULL", "?", ".", "-", "--", "None"])
def test_the_usual_marks_are_gaps_among_numbers(tmp_path: Path, mark: str) -> None:
    text = "x,z,f\n" + "".join(f"{n},{mark if n == 4 else n * n},{n % 7}\n" for n in range(20))
    (tmp_path / "t.csv").write_text(text)
    data = read_csv(tmp_path / "t.csv", target="f", missing="indicator")
    assert data.to_frame()["z is missing"].tolist() == [float(n == 4) for n in range(20)]
    with pytest.raises(DataError, match=r"line 6: column 'z' .*1 row without a value") as caught:
        read_csv(tmp_path / "t.csv", target="f")
    assert is_one_sentence(str(caught.value))


def test_a_sign_may_be_a_level() -> None:
    raw = frame(sign=numpy.array(["+", "-"])[numpy.arange(N) % 2])
    assert "sign = -" in Dataset.from_frame(raw, target="f").feature_names


# ---------------------------------------------------------------- categories


def test_rare_levels_are_one_and_names_are_left_out() -> None:
    cells = ["a"] * 40 + ["b"] * 30 + [f"c{n}" for n in range(9)]
    column = CategoryColumn.of("x", cells)
    assert column is not None and column.value_names == ("x = a", "x = b", "x = other")
    few = CategoryColumn.of("x", ["a"] * 40 + ["b"] * 30 + ["c"])
    # A single row is none of both, and no level of its own.
    assert few is not None and few.value_names == ("x = a", "x = b")
    assert CategoryColumn.of("x", [f"c{n}" for n in range(100)]) is None
    assert CategoryColumn.of("x", [f"c{n % 60}" for n in range(6000)]) is None
    forced = CategoryColumn.of("x", [f"c{n % 60}" for n in range(6000)], forced=True)
    assert forced is not None and len(forced.names) == 60


def test_levels_that_were_never_seen_are_named_once() -> None:
    raw = frame()
    data = Dataset.from_frame(raw, target="f")
    assert data.preparation is not None
    later = raw.assign(species=["Rockhopper"] * 2 + list(raw["species"][2:]), sex=["unknown", *raw["sex"][1:]])
    with pytest.warns(DataWarning) as caught:
        x = read_features(later, data.feature_names, data.preparation)
    assert [is_one_sentence(str(one.message)) for one in caught] == [True, True]
    assert "the level 'Rockhopper' in 2 rows" in str(caught[0].message)
    assert "it is counted as 'female'" in str(caught[1].message)
    assert x[0, :4].tolist() == [0, 0, 0, 0] and torch.equal(x[2:], data.x[2:])
    rare = Dataset.from_frame(raw.assign(species=["Emu"] * 3 + ["Kiwi"] * 3 + list(raw["species"][6:])), target="f")
    assert rare.preparation is not None and "species = other" in rare.feature_names
    with pytest.warns(DataWarning, match="counted as 'other'"):
        other = read_features(later.assign(sex="male"), rare.feature_names, rare.preparation)
    assert other[0, rare.feature_names.index("species = other")] == 1


def test_columns_are_categories_if_that_is_wanted() -> None:
    raw = frame(month=numpy.arange(N) % 4 + 1)
    data = Dataset.from_frame(raw, target="f", categories=["month"])
    assert [name for name in data.feature_names if "month" in name] == [f"month = {n}" for n in (1, 2, 3, 4)]
    text = read_features(raw.assign(month=raw["month"].astype(str)), data.feature_names, data.preparation)
    assert torch.equal(text, data.x)
    none = Dataset.from_frame(raw, target="f", categories="none")
    assert none.feature_names == ("mass", "ringed", "fat", "month") and none.left_out == ("species", "sex", "name")
    with pytest.raises(DataError, match="there is no column 'moth' for categories; did you mean 'month'"):
        Dataset.from_frame(raw, target="f", categories=["moth"])
    with pytest.raises(DataError, match="column 'name' holds text such as 'bird 0', 60 values in 60 rows"):
        Dataset.from_frame(raw, target="f", features=["name"])
    for options in ({"missing": "mean"}, {"categories": [3]}):
        with pytest.raises(OptionError) as caught:
            Dataset.from_frame(raw, target="f", **options)  # type: ignore[arg-type]
        assert is_one_sentence(str(caught.value))


def test_ordered_levels_are_ranks() -> None:
    cells = numpy.array(["L", "S", "M"])[numpy.arange(N) % 3]
    size = pandas.Categorical(cells, categories=["S", "M", "L"], ordered=True)
    data = Dataset.from_frame(frame(size=size), target="f")
    assert data.to_frame()["rank of size"].tolist() == [[3.0, 1.0, 2.0][n % 3] for n in range(N)]
    assert torch.equal(read_features(frame(size=cells), data.feature_names, data.preparation), data.x)
    with pytest.raises(DataError, match="holds 'XL', which is none of its levels 'S', 'M', 'L'"):
        read_features(frame(size="XL"), data.feature_names, data.preparation)


# ---------------------------------------------------------------- dates


def dated(written: Any, **more: Any) -> pandas.DataFrame:
    return frame().assign(day=written, **more)


DAYS = pandas.Timestamp("2024-01-31") + pandas.to_timedelta(numpy.arange(N) * 7 % 59, unit="D")


@pytest.mark.parametrize(
    "form",
    [None, "%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d %b %Y", "%B %d, %Y", "%d-%b-%Y",
     "%Y%m%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S+02:00", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p"],
)  # fmt: skip
def test_dates_are_the_days_that_have_passed(form: str | None) -> None:
    data = Dataset.from_frame(dated(DAYS if form is None else DAYS.strftime(form)), target="f")
    (name,) = (one for one in data.feature_names if one.startswith("day"))
    assert name == ("day (days since 2024-01-30)" if form and "+02" in form else "day (days since 2024-01-31)")
    days = data.to_frame()[name].to_numpy()
    assert numpy.allclose(days - days.min(), numpy.arange(N) * 7 % 59)
    assert data.preparation is not None and "day" in data.preparation.raw_names


def test_numbers_of_eight_digits_are_days_where_all_are() -> None:
    days = DAYS.strftime("%Y%m%d").astype(float).to_numpy(copy=True)
    data = Dataset.from_frame(dated(days), target="f")
    assert "day (days since 2024-01-31)" in data.feature_names
    row = data.preparation.apply(
        table_from_frame(pandas.DataFrame({"day": [20240207.0]}), "one row"), ["day (days since 2024-01-31)"]
    )
    assert row.columns[0].tolist() == [7.0]
    assert "day" in Dataset.from_frame(dated(days), target="f", dates="none").left_out
    days[0] = 20240230
    assert "day" in Dataset.from_frame(dated(days), target="f").feature_names


def test_a_number_that_may_mean_a_missing_value_is_told_of() -> None:
    frame = dated(DAYS).drop(columns="day")
    assert not any("missing" in note for note in Dataset.from_frame(frame, target="f").notes)
    for name in ("mass", "f"):
        odd = frame.copy()
        odd.loc[[3, 11], name] = -999.0
        (note,) = Dataset.from_frame(odd, target="f").notes
        assert f"column '{name}' holds -999 in 2 rows" in note and is_one_sentence(note)
        (column,) = (one for one in describe(odd, "f").columns if one.name == name)
        assert column.code == (-999.0, 2) and column.low == frame[name].drop([3, 11]).min()


def test_the_unit_of_time_follows_the_span() -> None:
    for step, name in (("h", "hours since 2024-01-31 00:00"), ("min", "minutes since 2024-01-31 00:00"),
                       ("s", "seconds since 2024-01-31 00:00:00")):  # fmt: skip
        times = pandas.Timestamp("2024-01-31") + pandas.to_timedelta(numpy.arange(N), unit=step)
        data = Dataset.from_frame(dated(times), target="f")
        assert data.to_frame()[f"day ({name})"].tolist() == list(range(N))


def test_day_and_month_that_cannot_be_told_apart() -> None:
    raw = dated([f"{1 + n % 12:02}/{1 + n % 7:02}/2024" for n in range(N)])
    data = Dataset.from_frame(raw, target="f")
    assert "day" in data.left_out and is_one_sentence(data.notes[0]) and "--dates day:day-first" in data.notes[0]
    with pytest.raises(DataError, match="of which day or month may come first") as caught:
        Dataset.from_frame(raw, target="f", features=["mass", "day"])
    assert is_one_sentence(str(caught.value))
    first, second = (
        Dataset.from_frame(raw, target="f", dates=f"day:{which}").to_frame() for which in ("day-first", "month-first")
    )
    assert first["day (days since 2024-01-01)"][7] == 7 and second["day (days since 2024-01-01)"][7] == 213
    mixed = dated(["31/01/2024", "01/31/2024"] * (N // 2))
    with pytest.raises(DataError, match=r"row 2 .*holds '01/31/2024', which is no date"):
        Dataset.from_frame(mixed, target="f", dates="day")


def test_parts_of_dates_that_return() -> None:
    times = pandas.Timestamp("2023-12-25") + pandas.to_timedelta(numpy.arange(N) * 11.0, unit="h")
    data = Dataset.from_frame(dated(times), target="f", dates=["day:hour,weekday,month"])
    made = data.to_frame()
    hours = numpy.asarray(times.hour)
    assert numpy.allclose(made["day hour sine"], numpy.sin(2 * numpy.pi * hours / 24))
    assert numpy.allclose(made["day hour cosine"], numpy.cos(2 * numpy.pi * hours / 24))
    for number, day in enumerate(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")):
        assert (made[f"day = {day}"] == (times.day_of_week == number)).all()
    year = (times.day_of_year - 1 + hours / 24) / 365.2425
    assert numpy.allclose(made["day month sine"], numpy.sin(2 * numpy.pi * year))
    assert torch.equal(read_features(dated(times), data.feature_names, data.preparation), data.x)


def test_dates_with_gaps_and_wrong_cells() -> None:
    written = list(DAYS.strftime("%Y-%m-%d"))
    written[3] = "NA"
    with pytest.raises(DataError, match=r"row 4 .*column 'day' holds 'NA' .1 row without a value"):
        Dataset.from_frame(dated(written), target="f")
    data = Dataset.from_frame(dated(written), target="f", missing="median")
    days = data.to_frame()["day (days since 2024-01-31)"]
    assert days[3] == days.drop(index=3).median()
    written[5] = "tomorrow"
    with pytest.raises(DataError, match=r"row 6 .*holds 'tomorrow', which is no date"):
        read_features(dated(written), data.feature_names, data.preparation)
    with pytest.raises(DataError, match=r"row 6 .*holds 'tomorrow', which is no date"):
        Dataset.from_frame(dated(written), target="f", missing="median", dates="day")
    for options in ({"dates": "day:hours"}, {"dates": 3}):
        with pytest.raises(OptionError) as caught:
            Dataset.from_frame(frame(), target="f", **options)  # type: ignore[arg-type]
        assert is_one_sentence(str(caught.value))
    with pytest.raises(DataError, match="column 'mass' holds numbers and no dates"):
        Dataset.from_frame(frame(), target="f", dates="mass")


def test_two_columns_of_one_name_are_refused() -> None:
    raw = frame()
    raw["species = Gentoo"] = numpy.arange(N)
    with pytest.raises(DataError, match="two columns would be named 'species = Gentoo'"):
        Dataset.from_frame(raw, target="f")


# ---------------------------------------------------------------- other ways in and out


def test_arrays_of_objects_are_tables() -> None:
    raw = frame()[["species", "mass", "ringed"]]
    cells = raw.to_numpy(dtype=object)
    cells[3, 1] = None
    data = Dataset.from_arrays(cells, frame()["f"].to_numpy(), missing="indicator")
    assert data.feature_names == (
        "x1 = Adelie", "x1 = Chinstrap", "x1 = Gentoo", "x2", "x2 is missing", "x3",
    )  # fmt: skip
    assert torch.equal(read_features(cells, data.feature_names, data.preparation), data.x)
    assert torch.equal(read_features(data.x, data.feature_names, data.preparation), data.x)
    with pytest.raises(DataError, match=r"has 2 columns, .* trained on 6: .*made of 3: 'x1', 'x2', 'x3'"):
        read_features(cells[:, :2], data.feature_names, data.preparation)


def test_a_data_set_that_was_prepared_is_taken_as_it_is() -> None:
    data = Dataset.from_frame(with_gaps(), target="f", missing="indicator")
    assert torch.equal(read_features(data, data.feature_names, data.preparation), data.x)
    assert torch.equal(read_features(data.to_frame(), data.feature_names, data.preparation), data.x)


def test_a_test_table_is_prepared_alike() -> None:
    raw = with_gaps()
    data = Dataset.from_frame(raw, target="f", test=raw[:10].assign(species="Emu"), missing="indicator")
    assert torch.equal(data.x[N:, 4:], data.x[:10, 4:]) and not data.x[N:, :3].any()
    assert any("the level 'Emu' in 10 rows" in note for note in data.notes)
    dropped = Dataset.from_frame(raw, target="f", test=raw[:10], missing="drop")
    assert len(dropped.test) == 6
    with pytest.raises(DataError, match="no column 'sex' for a feature, as in the table to learn from"):
        Dataset.from_frame(raw, target="f", test=raw.drop(columns="sex"), missing="median")


def test_only_the_columns_that_are_needed_have_to_be_there() -> None:
    data = Dataset.from_frame(frame(), target="f")
    few = read_features(frame()[["mass", "species"]], ["mass", "species = Gentoo"], data.preparation)
    assert torch.equal(few, data.x[:, [4, 2]])
    with pytest.raises(DataError, match="there is no column 'species' for a feature of the model"):
        read_features(frame()[["mass"]], ["mass", "species = Gentoo"], data.preparation)


def test_a_preparation_by_itself() -> None:
    table = table_from_frame(with_gaps().drop(columns="name"), "birds")
    preparation = Preparation.fit(table, missing="median")
    assert preparation.raw_names == ("species", "sex", "mass", "ringed", "fat", "f")
    notes: list[str] = []
    made = preparation.apply(table, notes=notes)
    assert isinstance(made, Table) and made.names == preparation.names and len(notes) == 3
    assert set(preparation.meanings) == set(preparation.names)
    assert preparation.meanings["sex = male"].startswith("1 where sex is male, else 0")
    assert preparation.meanings["mass"].endswith("missing cells count as the median 3024.5")


def test_a_target_in_percent_is_a_number() -> None:
    raw = frame()
    data = Dataset.from_frame(raw, target="fat")
    assert data.y[:, 0].tolist() == [10.0 + n % 7 for n in range(N)]
    assert any("in percent" in note for note in data.notes)


def test_cells_are_levels_alike_from_numbers_and_from_text() -> None:
    text = "a,b\n1,x\n2.50,y\n10,z\n"
    numbers = pandas.read_csv(io.StringIO(text))["a"].to_numpy()
    assert as_text(numbers) == as_text(["1", "2.50", "10"]) == ["1", "2.5", "10"]


def test_classes_are_learnt_from_categories() -> None:
    raw = with_gaps()
    raw.loc[9, "sex"] = None
    data = ClassificationDataset.from_frame(raw, target="sex", missing="drop")
    assert data.classes == ("female", "male") and data.data.n_rows == N - 5
    assert data.data.feature_names[:3] == FEATURES[:3]
    assert any(note.startswith("5 of 60 rows") for note in data.data.notes)
    filled = ClassificationDataset.from_frame(raw.drop(index=9), target="sex", missing="median")
    assert filled.data.n_rows == N - 1 and filled.data.preparation is not None
