"""Estimators: what they learn, what they are given, and what scikit-learn's tools do with them."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas
import polars
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.inspection import PartialDependenceDisplay, permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import superpose
from helpers import EXAMPLES, run_python
from superpose.sklearn import FormulaClassifier, FormulaRegressor, KANClassifier, KANRegressor, KANTransformer
from superpose.sklearn.rows import Rows

QUICK = 0.1


def table(rows: int = 150, columns: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (rows, columns))


def numbers(x: np.ndarray, noise: float = 0.05, seed: int = 1) -> np.ndarray:
    return np.sin(3 * x[:, 0]) + x[:, 1] ** 2 + noise * np.random.default_rng(seed).normal(size=len(x))


def classes(x: np.ndarray) -> np.ndarray:
    return np.array(["low", "middle", "high"])[np.digitize(x[:, 0] + x[:, 1] ** 2, [0.0, 0.6])]


def test_a_regressor_learns_a_sum_and_says_how_far_it_errs() -> None:
    x, new = table(200), table(200, seed=5)
    found = KANRegressor(effort=0.3).fit(x, numbers(x))
    prediction, deviation = found.predict(new, return_std=True)
    y = numbers(new, seed=6)
    assert np.sqrt(np.mean((prediction - y) ** 2)) < 0.08
    assert deviation.shape == (200,) and (deviation > 0.02).all() and np.median(deviation) < 0.1
    ends = found.predict_interval(new, coverage=0.8)
    inside = (ends[:, 0] <= y) & (y <= ends[:, 1])
    assert ends.shape == (200, 2) and 0.65 < inside.mean() < 0.95
    importances = found.feature_importances_
    assert importances.sum() == pytest.approx(1) and importances.argmin() == 2
    assert isinstance(found.model_, superpose.KAN)


def test_a_classifier_learns_a_boundary() -> None:
    x, new = table(200), table(200, seed=5)
    found = KANClassifier(effort=0.2).fit(x, classes(x))
    assert found.score(new, classes(new)) > 0.9
    scores, shares = found.decision_function(new), found.predict_proba(new)
    assert (found.classes_[scores.argmax(1)] == found.predict(new)).all()
    assert np.allclose(shares, np.exp(scores) / np.exp(scores).sum(1, keepdims=True))
    two = KANClassifier(effort=QUICK).fit(x, x[:, 0] > 0)
    assert ((two.decision_function(new) > 0) == two.predict(new)).all()


def test_formulas_are_found_and_written() -> None:
    x = table(100, 2) + 2
    found = FormulaRegressor(effort=1.0).fit(pandas.DataFrame(x, columns=["a", "b"]), 3 * x[:, 0] / x[:, 1])
    assert str(found.sympy()) == "3*a/b" and "\\frac{3 a}{b}" in found.latex()
    again = pickle.loads(pickle.dumps(found))  # noqa: S301
    assert again.sympy() == found.sympy()
    frame = pandas.DataFrame(x[:5], columns=["a", "b"])
    assert np.allclose(found.predict(frame), 3 * x[:5, 0] / x[:5, 1])
    assert (again.predict(frame) == found.predict(frame)).all()


def test_without_a_formula_the_network_predicts() -> None:
    x = table(40)
    found = FormulaRegressor(effort=0.01).fit(x, np.random.default_rng(3).normal(size=40))
    if found.formula_ is None:
        with pytest.raises(superpose.OptionError, match="no formula was found"):
            found.sympy()
    assert np.isfinite(found.predict(x)).all()
    # A row where the formula has no value.
    found = FormulaRegressor(effort=1.0, functions=["log"]).fit(x + 2, np.log(x[:, 0] + 2))
    assert "log" in str(found.sympy()) and np.isfinite(found.predict([[-1.0, 1.0, 1.0]])).all()


def test_formulas_of_classes_are_found() -> None:
    x = table(200, 2)
    y = 3 * x[:, 0] + np.random.default_rng(1).logistic(size=200) > 0
    found = FormulaClassifier(effort=1.0).fit(x, y)
    assert found.score(x, y) > 0.75 and "x0" in str(found.sympy())
    again = pickle.loads(pickle.dumps(found))  # noqa: S301
    assert (again.predict_proba(x) == found.predict_proba(x)).all()


def test_a_fit_is_the_same_whatever_the_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    x = table(80)
    first = KANRegressor(effort=QUICK).fit(x, numbers(x))
    # A machine on which every look at the clock takes a minute.
    seconds = iter(range(0, 10**9, 60))
    looks = []

    def minutes() -> float:
        looks.append(sys._getframe(1).f_globals["__name__"])
        return float(next(seconds))

    monkeypatch.setattr("superpose.deadline.time.monotonic", minutes)
    assert (KANRegressor(effort=QUICK).fit(x, numbers(x)).predict(x) == first.predict(x)).all()
    FormulaRegressor(effort=QUICK).fit(x, numbers(x))
    # Libraries may look; no deadline does.
    assert "superpose.deadline" not in looks
    slow = KANRegressor(time_limit=300.0).fit(x, numbers(x))
    assert np.isfinite(slow.predict(x)).all()
    assert "superpose.deadline" in looks


def test_rows_that_repeat_are_rows_of_larger_weight_in_any_order() -> None:
    x, y = table(30, 2), numbers(table(30, 2))[:, None]
    counts = np.random.default_rng(2).integers(0, 4, 30)
    order = np.random.default_rng(3).permutation(int(counts.sum()))
    one = Rows.of(x, y, counts.astype(float))
    other = Rows.of(np.repeat(x, counts, 0)[order], np.repeat(y, counts, 0)[order], None)
    assert (one.x == other.x).all() and (one.y == other.y).all() and one.weights is not None
    assert other.weights is not None and np.allclose(one.weights, other.weights)


def test_rows_of_little_weight_have_little_influence() -> None:
    x = table(100, 1)
    y = np.where(np.arange(100) % 2 == 0, x[:, 0], -x[:, 0])
    weights = np.where(np.arange(100) % 2 == 0, 1.0, 1e-4)
    found = KANRegressor(effort=QUICK).fit(x, y, weights)
    assert np.abs(found.predict(x) - x[:, 0]).max() < 0.1


def test_several_targets_and_a_column_of_one() -> None:
    x = table(120, 2)
    both = np.stack([x[:, 0] ** 2, np.sin(2 * x[:, 1])], 1)
    found = KANRegressor(effort=0.5).fit(x, pandas.DataFrame(both, columns=["u", "v"]))
    assert found.predict(x).shape == (120, 2) and found.score(x, both) > 0.99
    assert found.model_.target_names == ("u", "v")
    assert found.predict_interval(x[:3]).shape == (3, 2, 2)
    one = KANRegressor(effort=QUICK).fit(x, both[:, :1])
    assert one.predict(x).shape == (120, 1) and one.predict_interval(x[:3]).shape == (3, 1, 2)


@pytest.mark.parametrize("frame", [pandas.DataFrame, polars.DataFrame])
def test_frames_give_columns_their_names(frame: Any) -> None:
    x = table(60)
    given = frame(dict(zip("abc", x.T, strict=True)))
    found = KANRegressor(effort=QUICK).fit(given, numbers(x))
    assert list(found.feature_names_in_) == ["a", "b", "c"] and found.model_.feature_names == ("a", "b", "c")
    assert (found.predict(given) == KANRegressor(effort=QUICK).fit(x, numbers(x)).predict(x)).all()
    with pytest.raises(ValueError, match="feature names"):
        found.predict(given[["b", "a", "c"]])
    transformer = KANTransformer(effort=QUICK).set_output(transform="pandas" if frame is pandas.DataFrame else "polars")
    made = transformer.fit(given, numbers(x)).transform(given)
    assert isinstance(made, frame) and list(made.columns) == ["a_edge0", "b_edge0", "c_edge0"]


def test_columns_that_say_nothing_do_no_harm() -> None:
    x = np.hstack([table(60, 2), np.full((60, 1), 4.0)])
    found = KANRegressor(effort=QUICK).fit(x, numbers(x))
    assert found.columns_ == [0, 1] and found.feature_importances_[2] == 0
    x[:, 2] = 7.0
    assert np.isfinite(found.predict(x)).all()
    flat = KANRegressor().fit(np.ones((5, 2)), np.arange(5.0))
    assert flat.predict([[3.0, 4.0]]) == pytest.approx(2.0)
    same = KANClassifier().fit(np.ones((4, 2)), ["a", "a", "b", "a"])
    assert same.predict_proba([[0.0, 0.0]]) == pytest.approx(np.array([[0.75, 0.25]]))
    for one in (flat, same):
        assert (pickle.loads(pickle.dumps(one)).predict(np.ones((2, 2))) == one.predict(np.ones((2, 2)))).all()  # noqa: S301


def test_a_given_form_is_kept() -> None:
    x = table(100, 2)
    found = KANRegressor((3,), grid_size=4, degree=2, max_steps=10).fit(x, numbers(x))
    assert found.model_.widths == [2, 3, 1] and found.model_.layer(0).grid_size == 4
    assert found.model_.layer(0).degree == 2 and found.predict_interval(x[:2]).shape == (2, 2)
    sparse = KANRegressor((3,), grid_size=4, degree=2, max_steps=10, sparsity=1e-2).fit(x, numbers(x))
    size = [one.model_.layer(0).coefficients.detach().abs().sum().item() for one in (found, sparse)]
    assert size[1] < size[0]
    assert KANClassifier((2,), grid_size=3, max_steps=5).fit(x, x[:, 0] > 0).model_.widths == [2, 2, 1]
    nodes = KANTransformer((3,), features="nodes", grid_size=3, max_steps=5).fit(x, numbers(x))
    assert nodes.transform(x).shape == (100, 3)
    assert nodes.get_feature_names_out().tolist() == ["layer1_node0", "layer1_node1", "layer1_node2"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"effort": 0}, "effort must be a positive"),
        ({"time_limit": -1}, "time_limit must be a positive"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes must be a whole number"),
        ({"grid_size": 0}, "grid_size must be a whole number"),
        ({"degree": 9}, "degree must be a whole number"),
        ({"sparsity": -1}, "sparsity must be"),
    ],
)
def test_a_parameter_without_sense_is_named(options: dict[str, Any], sentence: str) -> None:
    x = table(20)
    with pytest.raises(superpose.OptionError, match=sentence):
        KANRegressor(**options).fit(x, numbers(x))


def test_pickles_hold_model_files_and_plain_values(tmp_path: Path) -> None:
    x = table(60)
    found = KANClassifier(effort=QUICK).fit(pandas.DataFrame(x, columns=["a", "b", "c"]), classes(x))
    state = found.__getstate__()
    (data,) = state["model_"].values()
    (tmp_path / "model.safetensors").write_bytes(data)
    assert superpose.load(tmp_path / "model.safetensors").widths == found.model_.widths
    json.dumps({name: value for name, value in state.items() if name != "model_"})
    joblib.dump(found, tmp_path / "model.joblib")
    for again in (joblib.load(tmp_path / "model.joblib"), copy.deepcopy(found)):
        frame = pandas.DataFrame(x, columns=["a", "b", "c"])
        assert (again.predict(frame) == found.predict(frame)).all()
        assert (again.feature_importances_ == found.feature_importances_).all()
    data = data[:-8]
    with pytest.raises(superpose.FileError):
        KANClassifier().__setstate__(state | {"model_": {"superpose model file": data}})


def test_tools_of_scikit_learn_take_them() -> None:
    x = table(60)
    pipeline = make_pipeline(StandardScaler(), KANRegressor(effort=0.02))
    search = GridSearchCV(pipeline, {"kanregressor__hidden_layer_sizes": [None, ()]}, cv=2, n_jobs=2)
    search.fit(x, numbers(x))
    assert search.best_score_ > 0.8
    best = search.best_estimator_
    assert len(cross_val_score(clone(best), x, numbers(x), cv=2)) == 2
    importance = permutation_importance(best, x, numbers(x), n_repeats=2, random_state=0).importances_mean
    assert importance.argmin() == 2
    display = PartialDependenceDisplay.from_estimator(best, x, [0], grid_resolution=5)
    assert len(display.pd_results) == 1
    calibrated = CalibratedClassifierCV(KANClassifier(effort=0.02), cv=2).fit(x, classes(x))
    assert calibrated.score(x, classes(x)) > 0.7


def test_the_example_runs() -> None:
    finished = run_python("-W", "error", str(EXAMPLES / "scikit_learn.py"))
    assert finished.returncode == 0, finished.stderr
    assert "best:" in finished.stdout


def test_superpose_alone_does_not_load_scikit_learn_and_says_what_is_missing() -> None:
    script = (
        "import sys, superpose; assert 'sklearn' not in sys.modules\n"
        "import importlib.util; find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'sklearn' else find(name, *more)\n"
        "try:\n    superpose.sklearn\nexcept ImportError as error:\n    print(error)"
    )
    finished = run_python("-c", script)
    assert finished.returncode == 0, finished.stderr
    assert "pip install 'superpose[sklearn]'" in finished.stdout
