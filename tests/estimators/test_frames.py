"""Frames with categories, gaps and dates, as people have them, in the estimators."""

from __future__ import annotations

import json
import pickle
import warnings
from typing import Any

import numpy as np
import pandas
import polars
import pytest
import torch
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import superpose
from superpose.data.tables import table_from_frame
from superpose.sklearn import FormulaClassifier, FormulaRegressor, KANClassifier, KANRegressor, KANTransformer

QUICK = 0.02
NAMES = ["size", "kind", "good", "grade", "sold"]


def frame(rows: int = 120, seed: int = 0) -> pandas.DataFrame:
    """Numbers with gaps, text, truth values with gaps, ordered levels, and dates."""
    chance = np.random.default_rng(seed)
    size = chance.uniform(0, 10, rows)
    size[chance.uniform(size=rows) < 0.1] = np.nan
    good = chance.choice(np.array([True, False, None], dtype=object), rows, p=[0.45, 0.45, 0.1])
    grade = pandas.Categorical(chance.choice(["low", "high"], rows), categories=["low", "high"], ordered=True)
    sold = pandas.Timestamp("2024-01-01") + pandas.to_timedelta(chance.integers(0, 100, rows), unit="D")
    kind = chance.choice(["cat", "dog", "owl"], rows)
    return pandas.DataFrame(dict(zip(NAMES, (size, kind, good, grade, sold), strict=True)))


def target(table: pandas.DataFrame) -> np.ndarray:
    kind = table["kind"].map({"cat": 0.0, "dog": 5.0, "owl": 9.0}).to_numpy(dtype=float)
    good = np.array([{True: 3.0, False: 0.0}.get(one, 1.0) for one in table["good"]])
    days = (table["sold"] - pandas.Timestamp("2024-01-01")).dt.days.to_numpy()
    size = table["size"].to_numpy()
    return np.where(np.isnan(size), 7.0, size) + kind + good + 0.1 * days + 2.0 * (table["grade"] == "high").to_numpy()


@pytest.fixture(scope="module")
def fitted() -> KANRegressor:
    return KANRegressor(effort=0.2).fit(frame(), target(frame()))


def test_every_kind_of_column_is_learnt_from(fitted: KANRegressor) -> None:
    new = frame(seed=1)
    assert fitted.score(new, target(new)) > 0.97
    assert fitted.preparation_.names == (
        *("size", "size is missing", "kind = cat", "kind = dog", "kind = owl", "good", "good is missing"),
        *("rank of grade", "sold (days since 2024-01-03)"),
    )
    assert list(fitted.feature_names_in_) == NAMES and fitted.n_features_in_ == 5 and fitted.left_out_ == []
    assert fitted.columns_ == [0, 1, 2, 3, 4]
    importances = fitted.feature_importances_
    assert importances.shape == (5,) and importances.sum() == pytest.approx(1) and (importances > 0.02).all()
    assert fitted.predict_interval(new).shape == (120, 2)


def test_the_network_takes_the_same_frames(fitted: KANRegressor) -> None:
    new = frame(seed=1)
    # A network of a search, a sum of smooth functions, and a constant.
    few = KANRegressor(effort=QUICK).fit(frame(40), target(frame(40)))
    flat = KANRegressor().fit(frame(40), np.ones(40))
    for found in (fitted, few, flat):
        assert np.allclose(found.model_.predict(new)[:, 0], found.predict(new))


def test_importances_of_a_category_are_the_sum_over_its_levels(fitted: KANRegressor) -> None:
    x = np.column_stack(fitted.preparation_.apply(table_from_frame(frame(), "X")).numbers_only())
    scores = superpose.edit.attribution_scores(fitted.model_, torch.from_numpy(x)).inputs.numpy()
    share = dict(zip(fitted.model_.feature_names, scores / scores.sum(), strict=True))
    levels = sum(value for name, value in share.items() if name.startswith("kind"))
    # Rows that repeat are put together, and none do here.
    assert fitted.feature_importances_[1] == pytest.approx(levels)


def test_a_polars_frame_is_the_same_frame(fitted: KANRegressor) -> None:
    given = polars.DataFrame(
        {name: column.astype(object).where(column.notna(), None).tolist() for name, column in frame().items()},
        schema_overrides={"grade": polars.Categorical, "good": polars.Boolean},
    )
    found = KANRegressor(effort=QUICK).fit(given, target(frame()))
    again = KANRegressor(effort=QUICK).fit(frame().astype({"grade": str}), target(frame()))
    assert found.preparation_ == again.preparation_ and list(found.feature_names_in_) == NAMES
    assert np.allclose(found.predict(given), again.predict(frame()))


def test_an_array_of_objects_has_columns_by_number() -> None:
    table = frame()[["size", "kind", "good"]]
    array = table.to_numpy(dtype=object)
    found = KANRegressor(effort=QUICK).fit(array, target(frame()))
    assert found.preparation_.names[:3] == ("x0", "x0 is missing", "x1 = cat") and not hasattr(
        found, "feature_names_in_"
    )
    named = KANRegressor(effort=QUICK).fit(table, target(frame()))
    assert np.allclose(found.predict(array), named.predict(table))
    again = KANRegressor(effort=QUICK).fit(array.tolist(), target(frame()))
    assert np.allclose(found.predict(array), again.predict(array.tolist()))


def test_gaps_in_an_array_of_numbers() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (80, 2))
    y = x[:, 0] + x[:, 1]
    whole = KANRegressor(effort=QUICK).fit(x, y)
    assert whole.model_.preparation is None and whole.model_.feature_names == ("x0", "x1")
    x[:10, 0], y[:10] = np.nan, 4.0
    found = KANRegressor(effort=QUICK).fit(x, y)
    assert found.preparation_.names == ("x0", "x0 is missing", "x1")
    assert found.predict([[np.nan, 0.0]]) == pytest.approx(4.0, abs=0.3)
    filled = KANRegressor(effort=QUICK, missing="median").fit(x, y)
    with warnings.catch_warnings():
        # As was asked for, so nothing is said.
        warnings.simplefilter("error")
        at_median = filled.predict([[np.nan, 0.0]])
    assert at_median == filled.predict([[np.nanmedian(x[:, 0]), 0.0]])
    dropped = KANRegressor(effort=QUICK, missing="drop").fit(x, y)
    assert dropped.predict([[0.5, 0.25]]) == pytest.approx(0.75, abs=0.1)
    with pytest.raises(superpose.DataError, match="column 'x0' has no value, and rows cannot be left out"):
        dropped.predict([[0.0, 0.0], [np.nan, 0.0]])
    for estimator in (whole, found):
        with pytest.raises(ValueError, match="infinity"):
            estimator.predict([[np.inf, 0.0]])
    with pytest.raises(ValueError, match="NaN"):
        KANRegressor(missing="error").fit(x, y)
    with pytest.raises(ValueError, match="infinity"):
        KANRegressor().fit(np.where(np.isnan(x), np.inf, x), y)
    with pytest.raises(superpose.OptionError, match="missing is 'mean'"):
        KANRegressor(missing="mean").fit(x, y)
    with pytest.raises(superpose.DataError, match="gap in every row"):
        KANRegressor(missing="drop").fit(np.where(np.eye(2, dtype=bool)[np.arange(80) % 2], np.nan, x), y)


def test_tags_say_what_is_taken() -> None:
    for estimator in (KANRegressor(), KANClassifier(), KANTransformer(), FormulaRegressor(), FormulaClassifier()):
        tags = estimator.__sklearn_tags__().input_tags
        assert tags.categorical and tags.string and tags.allow_nan
        for missing, allowed in (("error", False), ("drop", False), ("median", True)):
            assert estimator.set_params(missing=missing).__sklearn_tags__().input_tags.allow_nan is allowed


def test_levels_and_gaps_that_were_never_seen_are_told(fitted: KANRegressor) -> None:
    new = frame(seed=2).iloc[:3].assign(kind=["emu", "cat", "cat"])
    with pytest.warns(superpose.DataWarning, match="'emu' in 1 row, which the model was not fitted to"):
        assert np.isfinite(fitted.predict(new)).all()
    new = frame(seed=2).iloc[:3].assign(kind=[None, "cat", "cat"])
    with pytest.warns(superpose.DataWarning, match="'kind' has 1 row without a value, filled with the most frequent"):
        assert np.isfinite(fitted.predict(new)).all()
    wrong = frame(seed=2).iloc[:3].assign(grade=["low", "medium", "high"])
    with pytest.raises(superpose.DataError, match="'medium', which is none of its levels"):
        fitted.predict(wrong)
    with pytest.raises(ValueError, match="minimum of 1"):
        fitted.predict(frame().iloc[:0])
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame()[NAMES[::-1]])


def test_columns_without_use_are_left_out_with_a_warning() -> None:
    table = frame(60)[["size", "kind"]].assign(
        name=[f"n{row}" for row in range(60)], empty=np.nan, odd=[{}, *range(59)]
    )
    with pytest.warns(superpose.DataWarning, match="the columns 'odd', 'name', 'empty' hold names"):
        found = KANRegressor(effort=QUICK).fit(table, target(frame(60)))
    assert sorted(found.left_out_) == ["empty", "name", "odd"] and found.columns_ == [0, 1]
    assert (found.feature_importances_[2:] == 0).all()
    assert np.isfinite(found.predict(table)).all()
    with pytest.raises(superpose.DataError, match="no column to learn from"):
        KANRegressor().fit(table[["name"]], target(frame(60)))


def test_options_say_what_columns_are() -> None:
    table = pandas.DataFrame(
        {"month": np.tile(np.arange(1.0, 5.0), 30), "day": frame()["sold"].to_numpy(), "kind": "a"}
    )
    table.loc[::2, "kind"] = "b"
    y = np.tile([3.0, 1.0, 4.0, 1.0], 30)
    found = KANRegressor(effort=QUICK, categories=["month"], dates={"day": "weekday"}).fit(table, y)
    assert "month = 3" in found.preparation_.names and "day = Monday" in found.preparation_.names
    by_number = KANRegressor(effort=QUICK, categories=[0]).fit(table[["month"]].to_numpy(), y)
    assert by_number.preparation_.names == ("x0 = 1", "x0 = 2", "x0 = 3", "x0 = 4")
    numbers = KANRegressor(effort=QUICK, categories="none", dates="none").fit(table, y)
    assert numbers.preparation_.names == ("month",) and numbers.left_out_ == ["day", "kind"]
    with pytest.raises(superpose.DataError, match="no column 'monht'"):
        KANRegressor(categories=["monht"]).fit(table, y)


def test_levels_are_counted_by_whole_weights_as_by_repeated_rows() -> None:
    table = pandas.DataFrame({"kind": ["a"] * 30 + ["b"] * 28 + ["c"] * 2, "size": np.linspace(0, 1, 60)})
    y, weights = np.linspace(0, 1, 60) ** 2, np.r_[np.ones(58), 4.0, 4.0]
    weighted = KANRegressor(effort=QUICK).fit(table, y, weights)
    repeated = table.loc[table.index.repeat(weights.astype(int))]
    again = KANRegressor(effort=QUICK).fit(repeated, np.repeat(y, weights.astype(int)))
    assert "kind = c" in weighted.preparation_.names and weighted.preparation_ == again.preparation_
    assert np.allclose(weighted.predict(table), again.predict(table))
    none = KANRegressor(effort=QUICK).fit(table, y, np.r_[np.ones(58), 0.0, 0.0])
    assert none.preparation_.names == ("kind = b", "size")


def test_classes_of_frames_and_their_pickles() -> None:
    table = frame()
    y = np.where(target(table) > np.median(target(table)), "dear", "cheap")
    found = KANClassifier(effort=QUICK).fit(table, y)
    assert found.score(table, y) > 0.9
    state = found.__getstate__()
    json.dumps({name: value for name, value in state.items() if name != "model_"})
    again = pickle.loads(pickle.dumps(found))  # noqa: S301
    assert again.preparation_ == found.preparation_ and again.model_.preparation == found.model_.preparation
    assert np.array_equal(again.predict_proba(frame(seed=3)), found.predict_proba(frame(seed=3)))
    damaged = state["preparation_"]["superpose preparation"] | {"missing": "nothing"}
    with pytest.raises(superpose.FileError):
        KANClassifier().__setstate__(state | {"preparation_": {"superpose preparation": damaged}})


def test_formulas_of_frames() -> None:
    table = frame(40)[["size", "kind"]].assign(size=np.random.default_rng(1).uniform(1, 2, 40))
    y = 3.0 / table["size"] + 2.0 * (table["kind"] == "dog")
    found = FormulaRegressor(effort=2.0).fit(table, y)
    assert {str(one) for one in found.sympy().free_symbols} >= {"size", "kind = dog"} and "dog" in found.latex()
    again = pickle.loads(pickle.dumps(found))  # noqa: S301
    for values in (found.predict(table), again.predict(table), found.formula_.predict(table)[:, 0]):
        assert np.allclose(values, y)
    assert found.feature_importances_.shape == (2,) and (found.feature_importances_ > 0).all()
    y = np.random.default_rng(2).uniform(size=40) < np.where(table["kind"] == "dog", 0.9, 0.1)
    classes = FormulaClassifier(effort=QUICK).fit(table, y)
    assert classes.predict_proba(table).shape == (40, 2) and classes.score(table, y) > 0.7


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_a_transformer_names_what_it_makes_of_levels(output: str) -> None:
    transformer = KANTransformer(effort=QUICK).set_output(transform=output)
    made = transformer.fit(frame(), target(frame())).transform(frame(seed=1))
    assert isinstance(made, pandas.DataFrame if output == "pandas" else polars.DataFrame)
    assert "kind = dog_edge0" in list(made.columns)
    array = frame()[["size", "kind"]].to_numpy(dtype=object)
    found = KANTransformer(effort=QUICK).fit(array, target(frame()))
    assert "b = dog_edge0" in found.get_feature_names_out(["a", "b"])


def test_tools_of_scikit_learn_take_frames(fitted: KANRegressor) -> None:
    table, y = frame(), target(frame())
    pipeline = make_pipeline(FunctionTransformer(), KANRegressor(effort=QUICK))
    assert cross_val_score(pipeline, table, y, cv=2).min() > 0.8
    lost = permutation_importance(fitted, table, y, n_repeats=1, random_state=0).importances_mean
    assert lost.shape == (5,) and (lost > 0).all()
    kinds: Any = partial_dependence(fitted, table, ["kind"], categorical_features=["kind"])
    average = dict(zip(kinds["grid_values"][0], kinds["average"][0], strict=True))
    assert average["dog"] - average["cat"] == pytest.approx(5.0, abs=0.5)
    grades: Any = partial_dependence(fitted, table, ["grade"], categorical_features=["grade"])
    assert abs(np.ptp(grades["average"][0])) == pytest.approx(2.0, abs=0.5)
