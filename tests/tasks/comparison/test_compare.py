"""Methods are compared on the same folds, a failure stops nothing, and the sentence follows from the folds' errors."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas
import pytest
import torch

import superpose
from helpers import CountingClock, is_one_sentence
from superpose.choices import COMPARED
from superpose.deadline import Deadline
from superpose.errors import DataError, OptionError
from superpose.formulas import Formula
from superpose.tasks.comparison import CompareOptions, MethodComparison, compare, folds, methods, own, peers, perceptron
from superpose.tasks.comparison.choice import Choice, ChoiceRule, Losses, choose
from superpose.tasks.comparison.evaluation import Evaluation, Record
from superpose.tasks.comparison.fitted import Fits, FittedMethod, TrainingRows
from superpose.tasks.comparison.folds import plan
from superpose.tasks.comparison.methods import METHODS, Method
from superpose.tasks.comparison.sentence import sentence
from superpose.tasks.comparison.table import read

pytestmark = pytest.mark.usefixtures("untouched_globals")

QUICK = ("mean", "line", "ridge")


def table(rows: int = 40, noise: float = 0.3, seed: int = 0) -> pandas.DataFrame:
    """y = 2*a - b with noise."""
    generator = np.random.default_rng(seed)
    frame = pandas.DataFrame(generator.normal(size=(rows, 2)), columns=["a", "b"])
    return frame.assign(y=2 * frame.a - frame.b + noise * generator.normal(size=rows))


def classes(rows: int = 45) -> pandas.DataFrame:
    """Three classes that straight lines separate, but for noise."""
    frame = table(rows, noise=0.2)
    return frame.assign(y=["low" if y < -1 else "high" if y > 1 else "middle" for y in frame.y])


def stub(name: str, fit: Any, level: int = 3) -> Method:
    return Method(name, name, level, fit)


def constant(name: str, value: float) -> Any:
    return lambda rows: {name: FittedMethod(lambda x: np.full(len(x), value), 1)}


def evaluated(frame: pandas.DataFrame, made: list[Method], cv: int | None = None, limit: float = 1e6) -> list[Record]:
    data = read(frame, "y", None, None)
    return Evaluation(data, plan(data.y, cv, 0), made, 0, Deadline(limit), lambda event: None).run()


def records(losses: dict[str, list[float]], levels: dict[str, int]) -> list[Record]:
    """Methods that were judged with these losses on the folds of one drawing."""
    return [
        Record(stub(name, None, levels[name]), {(0, number): loss for number, loss in enumerate(values)}, sizes=[3])
        for name, values in losses.items()
    ]


def chosen(losses: dict[str, list[float]], levels: dict[str, int], **options: Any) -> Choice:
    count = len(next(iter(losses.values())))
    once = plan(np.arange(float(10 * count)), count, 0)
    once = replace(once, repetitions=once.repetitions[:1])
    return choose(Losses(records(losses, levels), once), **({"classes": False} | options))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers of few trees and steps, and folds that are drawn once."""
    monkeypatch.setattr(folds, "RULES", replace(folds.RULES, repetitions=1))
    monkeypatch.setattr(peers, "SETTINGS", replace(peers.SETTINGS, trees=20))
    monkeypatch.setattr(perceptron, "SETTINGS", replace(perceptron.SETTINGS, penalties=(1.0,), blocks=2))


# -- folds


def test_all_methods_see_the_same_folds_and_every_row_is_predicted_once() -> None:
    frame, seen = table(23), {}

    def watched(name: str) -> Any:
        def fit(rows: TrainingRows) -> Fits:
            def predict(x: np.ndarray) -> np.ndarray:
                seen.setdefault(name, []).append((rows.x[:, 0].tolist(), x[:, 0].tolist()))
                return np.zeros(len(x))

            return {name: FittedMethod(predict, 1)}

        return fit

    evaluated(frame, [stub("p", watched("p")), stub("q", watched("q"))], cv=4)
    assert seen["p"] == seen["q"]
    for train, test in seen["p"]:
        assert sorted(train + test) == sorted(frame.a)
    assert sorted(value for _, test in seen["p"][:4] for value in test) == sorted(frame.a)


def test_folds_follow_the_seed_and_the_rows() -> None:
    y = np.arange(30.0)
    first, again, other = (plan(y, None, seed).folds for seed in (0, 0, 1))
    assert all(np.array_equal(a.test, b.test) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a.test, b.test) for a, b in zip(first, other, strict=True))
    # Drawn again, they are other folds.
    assert not np.array_equal(plan(y, None, 0).repetitions[0][0].test, plan(y, None, 0).repetitions[1][0].test)
    assert plan(np.arange(12.0), None, 0).count == 12 and plan(np.arange(12.0), 3, 0).count == 3
    assert plan(y, 50, 0).count == 30
    assert len(plan(np.arange(5000.0), None, 0).repetitions) == 1


def test_classes_are_spread_over_the_folds() -> None:
    y = np.repeat([0.0, 1.0], [40, 10])
    assert [int(y[fold.test].sum()) for fold in plan(y, 5, 0).repetitions[0]] == [2] * 5


def test_groups_and_times_of_a_data_set_are_kept() -> None:
    data = superpose.Dataset.from_frame(table(24), target="y", validation=0.0, test=0.0)
    groups = torch.arange(24) // 4
    for fold in plan(data.y[:, 0].numpy(), 3, 0, groups=groups).folds:
        assert not set(groups[fold.train].tolist()) & set(groups[fold.test].tolist())

    def grouped(rows: TrainingRows) -> Fits:
        assert rows.groups is not None and len(rows.groups) == len(rows.y) and len(rows.groups.unique()) < 6
        return constant("grouped", 0.0)(rows)

    whole = read(replace(data, groups=groups), None, None, None)
    once = plan(whole.y, 3, 0, groups=whole.groups)
    (record,) = Evaluation(whole, once, [stub("grouped", grouped)], 0, Deadline(), lambda event: None).run()
    assert not record.failure
    times = compare(replace(data, order=torch.arange(24)), options=CompareOptions(methods=("mean",), cv=3))
    assert times.repetitions == 1 and times.cv == 3


# -- failures


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        (lambda rows: 1 / 0, "ZeroDivisionError"),
        (lambda rows: {"bad": "no formula was found"}, "no formula was found (in fold 1 of 4)"),
        (constant("bad", math.nan), "no finite prediction for 6 of 6 rows (in fold 1 of 4)"),
        (constant("bad", 1e200), "too large"),
        (lambda rows: {"bad": FittedMethod(lambda x: x @ np.ones(7), 1)}, "ValueError"),
    ],
)
def test_a_method_that_fails_says_why_and_stops_nothing(fit: Any, words: str) -> None:
    bad, good = evaluated(table(24), [stub("bad", fit), METHODS["mean"]], cv=4)
    assert words in bad.failure and "\n" not in bad.failure
    assert not good.failure and len(good.losses) >= 4


def test_one_of_two_methods_of_a_fit_fails_alone() -> None:
    def fit(rows: TrainingRows) -> Fits:
        return {"network": FittedMethod(lambda x: np.zeros(len(x)), 5), "formula": own.NO_FORMULA}

    network, formula = evaluated(table(24), [replace(METHODS[n], fit=fit) for n in ("network", "formula")], cv=4)
    assert not network.failure and network.size == 5
    assert formula.failure.startswith(own.NO_FORMULA)


def test_when_the_time_is_over_all_are_judged_on_the_folds_that_all_have(counted_time: CountingClock) -> None:
    def slow(rows: TrainingRows) -> Fits:
        counted_time.now += 10.0
        return constant("slow", 0.0)(rows)

    slow_one, mean = evaluated(table(30), [stub("slow", slow), METHODS["mean"]], cv=5, limit=35.0)
    assert slow_one.losses.keys() == mean.losses.keys() == {(0, 0), (0, 1), (0, 2)}
    slow_one, mean = evaluated(table(30), [stub("slow", slow), METHODS["mean"]], cv=5, limit=5.0)
    assert "the time was over" in slow_one.failure and "the time was over" in mean.failure


def test_the_time_that_one_method_leaves_goes_to_the_next(counted_time: CountingClock) -> None:
    allowed = []

    def greedy(rows: TrainingRows) -> Fits:
        allowed.append(rows.deadline.left())
        counted_time.now += allowed[-1]
        return constant("greedy", 0.0)(rows)

    evaluated(table(30), [METHODS["mean"], METHODS["line"], stub("greedy", greedy)], cv=5, limit=150.0)
    assert len(allowed) == 5 and sum(allowed) < 150
    # An even share would be 10 s; the others need next to nothing.
    assert all(20 < seconds < 32 for seconds in allowed)


def test_an_interruption_keeps_whole_folds() -> None:
    calls = []

    def interrupt(rows: TrainingRows) -> Fits:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return constant("last", 0.0)(rows)

    data = read(table(30), "y", None, None)
    run = Evaluation(data, plan(data.y, 5, 0), [METHODS["mean"], stub("last", interrupt)], 0, Deadline(), print)
    mean, last = run.run()
    assert run.interrupted and mean.losses.keys() == last.losses.keys() == {(0, 0), (0, 1), (0, 2)}
    calls[:] = [1, 1, 1]
    with pytest.raises(KeyboardInterrupt):
        evaluated(table(30), [METHODS["mean"], stub("last", interrupt)])


def test_side_by_side_gives_what_one_after_another_gives() -> None:
    """With threads in the place of processes, which a test of sweeps has."""
    import joblib

    def fails_once(rows: TrainingRows) -> Fits:
        if rows.x[0, 0] != data.x[0, 0]:
            raise ValueError("the first row is missing")
        return constant("last", 0.0)(rows)

    data = read(table(30), "y", None, None)
    methods = [METHODS["mean"], stub("last", fails_once), METHODS["line"]]
    one, other = (
        Evaluation(data, plan(data.y, 5, 0), methods, 0, Deadline(), lambda event: None, count) for count in (1, 2)
    )
    with joblib.parallel_config(backend="threading"):
        pairs = list(zip(one.run(), other.run(), strict=True))
    for first, second in pairs:
        assert (first.losses, first.failure, first.sizes) == (second.losses, second.failure, second.sizes)
    assert "the first row is missing (in fold" in pairs[1][0].failure and len(pairs[0][0].losses) > 5


# -- the choice


def test_a_simpler_method_within_the_uncertainty_is_named() -> None:
    levels = {"gp": 3, "line": 1}
    equal = {"gp": [1.0, 1.2, 0.8, 1.0], "line": [1.05, 1.15, 0.85, 1.0]}
    assert chosen(equal, levels) == Choice("line", "gp", ())
    # The same means, but worse on every fold.
    assert chosen({"gp": [1.0, 1.2, 0.8, 1.0], "line": [1.012, 1.213, 0.812, 1.013]}, levels).named == "gp"
    # Within the uncertainty, but the error is more than the margin larger.
    wide = {"gp": [1.0, 2.0, 0.5, 1.0], "line": [1.4, 1.9, 0.9, 0.9]}
    assert chosen(wide, levels).named == "gp"
    assert chosen(wide, levels, rule=ChoiceRule(margin=0.1)).named == "line"


def test_differences_are_paired() -> None:
    """The folds differ far more than the methods do, and a difference that is the same on every fold is certain."""
    hard = np.array([1.0, 100.0, 3.0, 50.0])
    made = records({"a": list(hard), "b": list(1.01 * hard + 0.2)}, {"a": 3, "b": 1})
    drawn = plan(np.arange(40.0), 4, 0)
    losses = Losses(made, replace(drawn, repetitions=drawn.repetitions[:1]))
    apart = losses.difference("b", "a")
    assert apart.mean == pytest.approx(0.2 + 0.01 * hard.mean())
    # 1/J + 1/(K - 1), and not 1/J: the training rows overlap.
    assert apart.standard_error == pytest.approx(math.sqrt((0.01 * hard).var(ddof=1) * (1 / 4 + 1 / 3)))
    assert losses.standard_error("a") > 30 * apart.standard_error


def test_black_boxes_give_way_to_readable_methods_only() -> None:
    levels = {"gp": 3, "forest": 3, "network": 2, "formula": 1}
    losses = {"gp": [1.0, 1.2], "forest": [1.1, 1.11], "network": [1.1, 1.11], "formula": [1.11, 1.11]}
    assert chosen(losses, levels) == Choice("formula", "gp", ("network", "forest"))
    assert chosen({name: losses[name] for name in ("gp", "forest")}, levels) == Choice("gp", "gp", ("forest",))


def test_errors_of_rounding_are_no_errors() -> None:
    losses = {"gp": [1e-22, 1e-22], "line": [1e-15, 1e-15], "mean": [1.0, 1.0]}
    assert chosen(losses, {"gp": 3, "line": 1, "mean": 0}) == Choice("line", "gp", ())


def test_methods_of_fewer_folds_are_judged_by_how_hard_these_folds_are() -> None:
    y = np.arange(20.0)
    drawn = replace(plan(y, 2, 0), repetitions=plan(y, 2, 0).repetitions[:2])
    both = {(0, 0): 1.0, (0, 1): 1.0, (1, 0): 3.0, (1, 1): 3.0}
    made = [Record(stub("a", None), both), Record(stub("b", None), {(0, 0): 1.1, (0, 1): 1.1})]
    assert Losses(made, drawn).means == pytest.approx({"a": 2.0, "b": 2.2})


@pytest.mark.parametrize(
    ("named", "best", "ties", "words"),
    [
        ("gp", "gp", (), ("use the Gaussian process", "it has the least error in cross-validation, without a tie")),
        ("gp", "gp", ("forest",), ("use the Gaussian process", "but the random forest is as good")),
        ("line", "gp", (), ("use the straight line", "11 constants", "the Gaussian process has the least error, 54,")),
        ("line", "gp", ("forest", "ridge"), ("the random forest and ridge regression are as good",)),
        ("mean", "gp", (), ("use the mean", "look for other features")),
    ],
)
def test_the_sentence_says_which_and_why(named: str, best: str, ties: tuple[str, ...], words: tuple[str, ...]) -> None:
    from superpose.tasks.comparison import MethodResult

    sizes = {"line": 11, "mean": 1}
    results = [
        MethodResult(name, METHODS[name].label, score=0.5, rmse=54.0, size=sizes.get(name))
        for name in ("gp", "forest", "line", "ridge", "mean")
    ]
    said = sentence(results, Choice(named, best, ties), "y")
    assert all(word in said for word in words) and is_one_sentence(said)
    assert "every one failed" in sentence(results, None, "y")
    assert "only method" in sentence(results[:1], Choice("gp", "gp", ()), "y")


# -- compare


def test_the_straight_line_is_named_for_a_straight_line() -> None:
    found = superpose.compare(table(60), "y", options=CompareOptions(methods=(*QUICK, "boosting")))
    assert isinstance(found, MethodComparison) and found.named == "line" and len(found) == 4
    line, mean = found["line"], found["mean"]
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert line.size == 3 and mean.size == 1 and line.rmse == pytest.approx(0.3, rel=0.3)
    assert line.error_low < line.rmse < line.error_high and abs(mean.score) < 0.2
    assert line.folds == len(line.losses) == found.cv * found.repetitions
    # R2 and RMSE are of the same predictions.
    assert line.rmse == pytest.approx(math.sqrt(1 - line.score) * table(60).y.std(ddof=0))
    assert list(found.to_frame().name) == [one.name for one in found]


@pytest.mark.parametrize("methods_of_task", [COMPARED["regression"][:7], COMPARED["classification"][:6]])
def test_every_peer_of_scikit_learn_predicts(methods_of_task: tuple[str, ...], small: None) -> None:
    task = "regression" if "mean" in methods_of_task else "classification"
    frame = table(45) if task == "regression" else classes()
    options = CompareOptions(methods=methods_of_task, cv=2, time_limit=600)
    found = compare(frame, "y", task=task, options=options)
    assert {one.name for one in found} == set(methods_of_task)
    assert all(one.failure == "" and one.size > 0 for one in found)
    base = found["mean" if task == "regression" else "majority"]
    assert all(one.score > base.score + 0.1 for one in found if one is not base)


@pytest.mark.parametrize("task", list(COMPARED))
def test_peers_of_large_tables_predict(task: str, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "SETTINGS", replace(peers.SETTINGS, histogram_rows=20))
    monkeypatch.setattr(perceptron, "SETTINGS", replace(perceptron.SETTINGS, large=20, epochs=60))
    frame = table(120) if task == "regression" else classes(120)
    found = compare(frame, "y", task=task, options=CompareOptions(methods=("boosting", "mlp"), cv=2, time_limit=600))
    assert all(one.score > 0.5 and one.size > 0 for one in found)


def test_units_of_columns_and_target_change_no_score(small: None) -> None:
    options = CompareOptions(methods=("ridge", "gp", "mlp"), cv=2, time_limit=600)
    frame = table(30)
    scaled = frame.assign(a=1e6 * frame.a + 1e3, b=1e-4 * frame.b, y=1e250 * frame.y)
    again = compare(scaled, "y", options=options)
    for one in compare(frame, "y", options=options):
        assert again[one.name].score == pytest.approx(one.score, abs=0.02)


def test_the_gaussian_process_takes_a_sample_of_many_rows_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from superpose.tasks.comparison import gaussian_process as gp

    monkeypatch.setattr(gp, "SETTINGS", replace(gp.SETTINGS, rows=20))
    found = compare(table(60), "y", options=CompareOptions(methods=("gp",), cv=3))
    assert found["gp"].note == "fitted to 20 of 40 rows" and found["gp"].size == 20 + 4
    assert "gp: fitted to 20 of 40 rows" in found.notes()


def test_superposes_own_methods_are_those_of_discover(monkeypatch: pytest.MonkeyPatch) -> None:
    """discover itself is tested elsewhere; here a network and a formula that are known take its place."""
    limits = []

    def discover(data: superpose.Dataset, options: superpose.DiscoverOptions) -> Any:
        limits.append(options.time_limit)
        assert len(data.test) == 0
        network = superpose.KAN([data.n_features, 1], feature_names=data.feature_names, seed=0)
        a = Formula.from_expressions([], data).symbols[data.feature_names.index("a")]
        formula = Formula.from_expressions([2.5 * a], data) if data.n_features > 1 else None
        return superpose.Result(network, None, formula, superpose.train.History(), data, {"stop": "converged"})

    monkeypatch.setattr(own, "discover", discover)
    frame = table(30).assign(c=[0.0] * 29 + [1.0])
    found = compare(frame, "y", options=CompareOptions(methods=("network", "formula"), cv=3, time_limit=600))
    assert found["formula"].size == 1 and found["network"].size > 10
    expected = float(np.square(2.5 * frame.a - frame.y).mean())
    assert found["formula"].rmse == pytest.approx(math.sqrt(expected))
    # One run for both methods, and no more time than the default options give.
    assert all(limit <= superpose.DiscoverOptions().time_limit for limit in limits)
    assert len(limits) == len(found["network"].losses)


def test_a_real_network_and_formula_of_classes(counted_time: CountingClock) -> None:
    frame = table(60, noise=0.0)
    frame = frame.assign(y=np.where(frame.y > 0, "up", "down"))
    options = CompareOptions(methods=("network", "formula"), cv=2, time_limit=6)
    found = compare(frame, "y", task="classification", options=options)
    assert found["network"].score > 0.7 and found["network"].size > 2


def test_an_interrupted_run_of_superpose_ends_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    def discover(data: superpose.Dataset, options: superpose.DiscoverOptions) -> Any:
        network = superpose.KAN([data.n_features, 1], seed=0)
        return superpose.Result(network, None, None, superpose.train.History(), data, {"stop": "interrupted"})

    monkeypatch.setattr(own, "discover", discover)
    with pytest.raises(KeyboardInterrupt):
        compare(table(30), "y", options=CompareOptions(methods=("network",)))


# -- what is not there


def without(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == package else real(name, *more))


def test_without_scikit_learn_one_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    without("sklearn", monkeypatch)
    with pytest.raises(OptionError, match=r"pip install 'superpose\[compare\]'") as caught:
        compare(table(), "y")
    assert is_one_sentence(str(caught.value))
    assert compare(table(), "y", options=CompareOptions(methods=("mean",))).named == "mean"


def test_packages_that_no_extra_brings_are_left_out_with_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("interpret", "tabpfn"):
        without(package, monkeypatch)
    kept, missing = methods.installed_methods("regression", None)
    assert [one.name for one in missing] == ["ebm", "tabpfn"] and len(kept) == len(COMPARED["regression"]) - 2
    with pytest.raises(OptionError, match="leave out tabpfn"):
        methods.installed_methods("regression", ("mean", "tabpfn"))
    found = replace(compare(table(), "y", options=CompareOptions(methods=("mean",))), not_installed=("ebm", "tabpfn"))
    assert "not installed, and left out: ebm, tabpfn" in found.notes()


def test_every_name_has_a_method() -> None:
    assert set(METHODS) == set(COMPARED["regression"]) | set(COMPARED["classification"])


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (table(), {"target": None}, "target is missing"),
        (table(), {"target": "z"}, "no column 'z'"),
        (table(), {"target": "y", "task": "ranking"}, "task must be one of"),
        (table(), {"target": "y", "options": CompareOptions(cv=1)}, "cv must be"),
        (table(), {"target": "y", "options": CompareOptions(seed=-1)}, "seed must be"),
        (table(), {"target": "y", "options": CompareOptions(time_limit=0)}, "time_limit must be"),
        (table(), {"target": "y", "options": CompareOptions(methods=("logistic",))}, "logistic is for classification"),
        (table(), {"target": "y", "options": CompareOptions(methods=("gpp",))}, "did you mean 'gp'"),
        (table(), {"target": "y", "options": CompareOptions(methods=("gp", "gp"))}, "a name twice"),
        (table(), {"target": "y", "options": CompareOptions(methods="gp")}, "is a list of names"),
        ([[1.0, 2.0]], {"target": "y"}, "Dataset.from_arrays"),
        (superpose.Dataset.from_frame(table(), target="y"), {"target": "y"}, "leave out target"),
        (superpose.Dataset.from_frame(table(), target=["y", "b"]), {}, "one target at a time"),
        (superpose.Dataset.from_frame(table(), target="y"), {"task": "classification"}, "is not for classification"),
        ("nowhere.csv", {"target": "y"}, "does not exist"),
    ],
)
def test_mistakes_are_one_sentence(data: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises((OptionError, DataError, superpose.FileError)) as caught:
        compare(data, **options)
    assert words in str(caught.value) and is_one_sentence(str(caught.value))
