"""Relations are found where there are some, and only there, whatever the units and the kinds of columns."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import sympy
import torch

import superpose
from helpers import EXAMPLES, CountingClock, is_one_sentence
from superpose import Dataset, Formula, cli
from superpose.deadline import Deadline
from superpose.plot import relations_chart
from superpose.report import relations as pages
from superpose.tasks.relations import directed
from superpose.tasks.relations.acceptance import Acceptance
from superpose.tasks.relations.additive import SplineCovariance, additive_relations
from superpose.tasks.relations.candidates import CandidateRelation
from superpose.tasks.relations.columns import read_columns
from superpose.tasks.relations.confirm import _nearer
from superpose.tasks.relations.directed import _unexplained, _with_further, fewest, learn, predictions
from superpose.tasks.relations.redundancy import is_redundant
from superpose.tasks.relations.result import Relation
from superpose.tasks.relations.settings import SearchClock, SearchSettings

pytestmark = pytest.mark.usefixtures("untouched_globals", "short_trainings")


@pytest.fixture
def short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the optimiser steps, enough for functions of few columns: for tests of what surrounds the networks."""
    monkeypatch.setattr(directed, "_NETWORKS", replace(directed._NETWORKS, steps=12, starts=1))


def uniform(columns: int, rows: int = 600, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (rows, columns))


def table(rows: int = 400, **made: Any) -> pandas.DataFrame:
    """Columns a, b, c, d, independent and uniform, and those made of them."""
    frame = pandas.DataFrame(uniform(4, rows), columns=list("abcd"))
    for name, make in made.items():
        frame[name] = make(frame)
    return frame


def groups(frame: Any, **options: Any) -> set[frozenset[str]]:
    found = superpose.relations(frame, formulas=False, seeds=1, **options)
    return {frozenset(relation.columns) for relation in found}


def test_both_groups_of_the_six_columns_and_not_the_sixth() -> None:
    x = uniform(6, 400)
    x[:, 2], x[:, 4] = np.exp(np.sin(x[:, 0]) + x[:, 1] ** 2), x[:, 3] ** 3
    found = superpose.relations(x, formulas=False)
    assert [relation.columns for relation in found] == [("x4", "x5"), ("x1", "x2", "x3")]
    assert found.unrelated == ("x6",)
    assert all(relation.exact and relation.seeds_agreeing == relation.seeds == 3 for relation in found)
    assert all(relation.separation > 0.99 for relation in found)
    (one,) = (relation for relation in found if len(relation.columns) == 3)
    assert [inner.name.replace("cos", "sin") for inner in one.inner] == ["sin", "x^2", "log"]


def test_formulas_stand_in_the_result(tmp_path: Path) -> None:
    frame = table(e=lambda t: t.a * 3 - 1)[["a", "b", "e"]]
    found = superpose.relations(frame, time_limit=600)
    assert [relation.equation for relation in found] == ["e = 3*a - 1"]
    assert found[0].error is not None and found[0].error < 1e-9
    assert found[0].target == "e"
    assert found.to_frame().formula.tolist() == ["e = 3*a - 1"]
    assert "e = 3*a - 1" in str(found)


def test_formulas_of_few_rows_are_judged_by_leave_one_out() -> None:
    frame = table(100, e=lambda t: t.a * 3 - 1)[["a", "b", "e"]]
    found = superpose.relations(frame, time_limit=600)
    assert [relation.equation for relation in found] == ["e = 3*a - 1"]
    assert found[0].error is not None and found[0].error < 1e-9


@pytest.mark.parametrize(("rows", "seed"), [(40, 0), (40, 1), (150, 2), (600, 3)])
def test_independent_columns_have_no_relation(rows: int, seed: int) -> None:
    found = superpose.relations(uniform(5, rows, seed), formulas=False, seed=seed)
    assert len(found) == 0
    assert found.unrelated == found.columns
    assert "no relation" in str(found)


@pytest.mark.parametrize(
    ("make", "group"),
    [
        (lambda t: t.a + t.b, "abe"),
        (lambda t: t.a * t.b + t.c, "abce"),
        (lambda t: 1e8 + 1e-3 * t.a, "ae"),
        (lambda t: 1e-30 * (t.a + t.b) ** 2, "abe"),
        (lambda t: np.round(3 * t.a), "ae"),
        (lambda t: (t.a + t.b > 0).astype(int), "abe"),
    ],
)
def test_a_made_column_is_found_with_what_it_was_made_of(make: Any, group: str) -> None:
    assert groups(table(200, e=make)[sorted({*group, "d"})]) == {frozenset(group)}


def test_noise_lowers_the_strength_and_keeps_the_group() -> None:
    noise = 0.3 * np.random.default_rng(1).normal(size=600)
    frame = table(600, e=lambda t: t.a + t.b + noise)[["a", "b", "c", "e"]]
    (relation,) = superpose.relations(frame, formulas=False, seeds=1)
    truth = 1 - 0.09 / (2 / 3 + 0.09)
    assert relation.columns == ("a", "b", "e") and not relation.exact
    assert abs(relation.strength - truth) < 0.04
    assert len(superpose.relations(frame, formulas=False, seeds=1, threshold=0.95)) == 0


def test_a_circle_is_a_relation_without_a_function() -> None:
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 400)
    frame = table(x=lambda t: 2 + np.cos(angle), y=lambda t: np.sin(angle))
    found = superpose.relations(frame, time_limit=600)
    assert [relation.columns for relation in found] == [("x", "y")]
    assert found[0].implicit and found[0].exact
    assert found[0].equation == "(x - 2)**2 = 1 - y**2"


def test_what_follows_from_stronger_relations_is_not_told_again() -> None:
    frame = table(200, e=lambda t: t.a**3, f=lambda t: t.a + t.b)[["a", "b", "e", "f"]]
    assert groups(frame) == {frozenset("ae"), frozenset("abf")}
    assert is_redundant({0, 1, 2}, [{0, 1}]) and not is_redundant({1, 2}, [{0, 1}])


def test_columns_without_numbers_are_left_out_and_named() -> None:
    frame = table(100, e=lambda t: t.a, text=lambda t: ["word"] * len(t), one=lambda t: 7.0)
    found = superpose.relations(frame, formulas=False, seeds=1)
    assert found.left_out == ("text", "one")
    assert [relation.columns for relation in found] == [("a", "e")]


def test_units_and_order_change_nothing() -> None:
    frame = table(e=lambda t: t.a * t.b)
    columns = read_columns(frame, None)
    scaled = read_columns(frame * [1e-9, 1e6, 1, -1, 5] + [0, 1e7, 0, 3, 0], None)
    (first,) = SplineCovariance(columns, 0).evaluate([(0, 1, 4)])
    (second,) = SplineCovariance(scaled, 0).evaluate([(0, 1, 4)])
    assert second.unexplained == pytest.approx(first.unexplained, rel=1e-3)


def test_what_a_sum_leaves_of_normal_columns_is_one_less_the_square_of_their_correlation() -> None:
    """For jointly normal columns the straight line is the best of all functions (H. Lancaster, 1957)."""
    first, second = np.random.default_rng(0).normal(size=(2, 20_000))
    frame = pandas.DataFrame({"x": first, "y": 0.8 * first + 0.6 * second})
    (found,) = SplineCovariance(read_columns(frame, None), 0).evaluate([(0, 1)])
    assert found.unexplained == pytest.approx(0.36, abs=0.02)


def test_sums_vary_on_permuted_rows_as_their_parts_do_together() -> None:
    """Why an eigenvector does what the paper trains a network for."""
    frame = table(2000, e=lambda t: np.exp(t.a + t.b))
    columns = read_columns(frame, None)
    covariance = SplineCovariance(columns, 0)
    values = covariance.curves((0, 1, 4), columns.values)
    generator = torch.Generator().manual_seed(0)
    permuted = torch.stack([v[torch.randperm(len(v), generator=generator)] for v in values.T], -1)
    parts = values.var(0).sum()
    assert float(permuted.sum(-1).var()) == pytest.approx(float(parts), rel=0.1)
    assert values.sum(-1).var() < 1e-4 * parts
    assert [one.columns for one in additive_relations(covariance, range(5), 0.5)] == [(0, 1, 4)]


def test_the_same_seed_gives_the_same_relations() -> None:
    frame = table(60, e=lambda t: t.a * t.b)[["a", "b", "e"]]
    first, second = (superpose.relations(frame, formulas=False, seeds=1, seed=3).to_dict() for _ in range(2))
    assert first | {"seconds": 0} == second | {"seconds": 0}


def test_interrupting_keeps_what_was_found() -> None:
    frame = table(e=lambda t: t.a * t.b, f=lambda t: t.c**3)

    def interrupt(event: str) -> None:
        if "explained" in event:
            raise KeyboardInterrupt

    found = superpose.relations(frame, listener=interrupt)
    assert found.interrupted and "interrupted" in found.reason
    assert [relation.columns for relation in found] == [("c", "f")]

    def at_once(event: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        superpose.relations(frame, listener=at_once)


def test_the_time_limit_is_kept(counted_time: CountingClock) -> None:
    frame = pandas.DataFrame(uniform(12, 100))
    found = superpose.relations(frame, time_limit=1.0)
    assert found.seconds < 3 and found.reason == "the time was over"


@pytest.mark.parametrize(
    ("frame", "options", "words"),
    [
        (uniform(3, 20), {}, "has 20 rows"),
        (uniform(1, 100), {}, "a relation needs two"),
        (table(), {"threshold": 1.5}, "below 1"),
        (table(), {"threshold": "much"}, "positive finite number"),
        (table(), {"time_limit": 0}, "positive finite number"),
        (table(), {"seeds": 0}, "seeds must be"),
        (table(), {"seed": -1}, "seed must be"),
        (table(), {"columns": ["a", "bb"]}, "no column 'bb'"),
        (table(e=lambda t: t.a.where(t.a > 0)), {}, "row"),
        ("nowhere.csv", {}, "does not exist"),
    ],
)
def test_mistakes_are_one_sentence(frame: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(superpose.SuperposeError) as caught:
        superpose.relations(frame, **options)
    assert words in str(caught.value) and is_one_sentence(str(caught.value))


def test_knots_cusp_volume() -> None:
    names = ["chern_simons", "cusp_volume", "longitude", "meridian_im"]
    knots = pandas.read_csv(EXAMPLES / "data/knots.csv")[names].iloc[::16]
    (found,) = superpose.relations(knots, formulas=False, seeds=1)
    assert set(found.columns) == {"cusp_volume", "meridian_im", "longitude"}
    assert found.exact and found.target == "cusp_volume"


def test_knots_signature_and_not_the_volume_that_tells_of_the_meridian_too() -> None:
    names = ["meridian_re", "meridian_im", "longitude", "volume", "signature"]
    knots = read_columns(pandas.read_csv(EXAMPLES / "data/knots.csv")[names].iloc[::8], None)
    found = fewest(knots, 4, [0, 1, 2, 3], whole=None, min_explained=0.5, seed=0, deadline=Deadline(600))
    assert found is not None and {0, 2} <= set(found.features) <= {0, 1, 2}
    assert 0.92 < 1 - found.unexplained < 0.97


def test_command_writes_its_files_and_prints_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "table.csv", tmp_path / "out"
    frame = table(60, e=lambda t: 2 * t.a).rename(columns={"a": "a|$x_1$", "e": "<b>"})
    frame.to_csv(path, index=False)
    command = ["relations", str(path), "--out", str(out), "--no-formulas", "--seeds", "1"]
    assert cli.main([*command, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [one["columns"] for one in printed["relations"]] == [["a|$x_1$", "<b>"]]
    assert printed["unrelated"] == ["b", "c", "d"]
    assert sorted(p.name for p in out.iterdir()) == sorted(pages.FILES)
    assert json.loads((out / "relations.json").read_text()) == {k: v for k, v in printed.items() if k != "out"}
    assert "a\\|$x_1$" in (out / "relations.md").read_text()
    assert "a|$x_1$" in (out / "relations.svg").read_text()
    assert cli.main(command) == 0
    assert "<b> depends on a|$x_1$" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--threshold", "2"], "share of the variance"),
        (["--seeds", "none"], "whole number"),
        (["--time-limit", "-1"], "seconds above 0"),
        (["--columns", "a,"], "empty name"),
    ],
)
def test_command_answers_a_mistake_in_an_option(
    option: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["relations", "table.csv", *option]) == 2
    assert words in capsys.readouterr().err


def test_picture_of_no_relation_and_of_many_columns() -> None:
    found = superpose.relations(uniform(3, 60), formulas=False, seeds=1)
    for relations in (found, superpose.Relations((), tuple(f"column {n}" for n in range(200)), (), 10, 0.5, "")):
        assert relations_chart.draw(relations).get_size_inches()[0] < 40
    assert "No relation explains 50% of a column." in pages.page(found)


def test_columns_beyond_what_squares_can_hold_are_functions_too() -> None:
    frame = table(200, e=lambda t: t.a + t.b)[["a", "b", "e"]] * 1e300
    (relation,) = superpose.relations(frame, formulas=False, seeds=1)
    assert relation.exact and not relation.implicit and relation.target == "e"


def test_clusters_hang_together_directly_or_through_others() -> None:
    def relation(columns: str) -> superpose.tasks.relations.Relation:
        return superpose.tasks.relations.Relation(
            tuple(columns), columns[0], False, 1.0, 0.0, None, None, None, 1.0, 1, 1
        )

    found = superpose.Relations(tuple(map(relation, ("ab", "de", "bc", "gd"))), tuple("abcdefgh"), (), 50, 0.5, "")
    assert found.clusters == [("a", "b", "c"), ("d", "e", "g")]
    assert found.unrelated == ("f", "h")


def test_how_often_a_real_row_is_nearer_is_counted_in_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    real, permuted = torch.randint(-4, 5, (2, 300), generator=generator).double()
    share, significant = _nearer(real, 2 * permuted)
    pairs = real.abs()[:, None] - 2 * permuted.abs()
    assert share == pytest.approx(float((pairs < 0).double().mean() + (pairs == 0).double().mean() / 2))
    assert significant and not _nearer(real, permuted)[1]
    assert _nearer(real, real)[0] == pytest.approx(0.5)


def test_what_a_basis_leaves_of_each_column() -> None:
    x = torch.from_numpy(uniform(3))
    basis = torch.stack([torch.ones(600, dtype=torch.float64), x[:, 0], x[:, 1]], 1)
    left = _unexplained(basis, torch.stack([x[:, 0] - 2 * x[:, 1], x[:, 2]], 1))
    assert left[0] < 1e-8 and left[1] == pytest.approx(1, abs=0.02)


def test_a_function_is_judged_on_rows_held_out_and_predicts_near_its_range_only() -> None:
    columns = read_columns(table(e=lambda t: np.exp(2 * t.a) + t.b)[["a", "b", "c", "e"]], None)
    found = learn(columns, 3, [2, 0, 1], seed=0, deadline=Deadline(6000))
    assert found is not None and found.features == (0, 1, 2) and found.columns == (0, 1, 2, 3)
    errors, total, count = found.residuals
    assert found.unexplained == errors / total < 1e-3 and count == len(found.data.test) == 80
    # Without a column that matters more is left, without an idle one no more.
    assert found.importances[0] > found.importances[1] > 0.05 > 10 * found.importances[2]
    y = found.data.y[found.data.train]
    far = predictions(found.model, 1e6 * torch.eye(3, dtype=torch.float64), found.data)
    assert bool((far <= y.max() + 0.11 * (y.max() - y.min())).all())


def test_rows_of_a_large_table_that_no_network_sees_judge_it() -> None:
    frame = table(rows=5000, e=lambda t: np.exp(t.a) + 0.1 * t.b)
    columns = read_columns(frame, None)
    found = learn(columns, 4, [0, 1], seed=3, deadline=Deadline(6000))
    assert found is not None and found.residuals[2] == 600 + 2000 == len(found.held_out[1])
    trained = {tuple(row) for row in found.data.x[found.data.train].tolist()}
    assert not trained & {tuple(row) for row in found.held_out[0].tolist()}
    x, y = found.held_out
    torch.testing.assert_close(torch.exp(x[:, 0]) + 0.1 * x[:, 1], y)


def test_a_function_gets_the_further_column_that_adds_most() -> None:
    # The fifth column is the second with noise: both tell of the target, and one is enough.
    noise = 0.3 * np.random.default_rng(1).normal(size=400)
    frame = table(copy=lambda t: t.b + noise, y=lambda t: np.sin(2 * t.a) + t.b**3)
    columns, deadline = read_columns(frame, None), Deadline(600)
    first = learn(columns, 5, [0], seed=0, deadline=deadline)
    assert first is not None
    more = _with_further(columns, first, [4, 0, 2, 1, 3], seed=0, deadline=deadline)
    assert more.features == (0, 1)
    assert _with_further(columns, first, [2, 3], seed=0, deadline=deadline) is first


@pytest.mark.parametrize(("larger", "told"), [(0.09, {(0, 1, 2)}), (0.05, {(0, 1, 2, 3)})])
def test_a_column_more_that_adds_little_is_not_told(larger: float, told: set[tuple[int, ...]]) -> None:
    noise = 0.25 * np.random.default_rng(2).normal(size=400)
    columns = read_columns(table(c=lambda t: t.a + 0.5 * t.b + noise), None)
    deadline = Deadline(600)
    candidates = []
    for target, features, left in ((2, [0, 1], 0.1), (0, [1, 2, 3], larger)):
        found = learn(columns, target, features, seed=0, deadline=deadline)
        assert found is not None
        total = found.residuals[1]
        shares = tuple(1.0 for _ in features)
        found = replace(found, unexplained=left, residuals=(left * total, total, 80), importances=shares)
        candidates.append(CandidateRelation(found.columns, None, [found]))
    settings = SearchSettings(0.5, 1, 60.0, False, 0)
    acceptance = Acceptance(columns, settings, SearchClock(settings), lambda event: None)
    acceptance.accept_strongest_first(candidates)
    assert {one.columns for one in acceptance.accepted} == told


def test_columns_that_a_formula_leaves_out_are_named() -> None:
    x = torch.linspace(1, 2, 50, dtype=torch.float64)
    data = Dataset.from_arrays(torch.stack([x, x.flip(0)], -1), 2 * x, feature_names=["a", "b"], target_names=["c"])
    formula = Formula.from_expressions([2 * sympy.Symbol("a", real=True)], data)
    relation = Relation(("a", "b", "c"), "c", False, 0.9, 0.1, formula, 0.3, "c = 2*a", 0.9, 3, 3)
    assert relation.omitted_features == ("b",)
    assert str(relation) == "c = 2*a  (90.0% explained; the formula leaves out b)"
    assert str(replace(relation, columns=("a", "c"))) == "c = 2*a  (90.0% explained)"
    assert str(replace(relation, formula=None, equation=None)) == "c depends on a, b  (90.0% explained)"
