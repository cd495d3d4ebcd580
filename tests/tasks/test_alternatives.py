"""The next best forms, and the odds against them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sympy
import torch
from torch import Tensor

from helpers import is_one_sentence
from superpose.cli.regression_job import RegressionJob
from superpose.data import Dataset
from superpose.deadline import Deadline
from superpose.formulas import Finding, Formula, fit_formula
from superpose.tasks.regression import DiscoverOptions, Result, alternatives, findings
from superpose.tasks.regression.alternatives import Alternative, Alternatives
from superpose.tasks.regression.certainty import how_sure
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.reference import Reference, fit_reference
from superpose.tasks.regression.stability import Competitor
from superpose.train.history import History

DOUBLE = torch.float64
LIMIT = 300.0
x = sympy.Symbol("x", real=True)


def table(noise: float = 0.15, *, rows: int = 16) -> Dataset:
    """Two plus a logarithm, and noise."""
    generator = torch.Generator().manual_seed(2)
    values = torch.linspace(0.5, 5, rows, dtype=DOUBLE)
    y = 2 + values.log() + noise * torch.randn(rows, generator=generator, dtype=DOUBLE)
    return made(values, y)


def made(values: Tensor, y: Tensor) -> Dataset:
    return Dataset.from_arrays(values[:, None], y, feature_names=("x",), target_names=("y",), validation=0.0, test=0.0)


def context(data: Dataset) -> Context:
    return Context.start(data, DiscoverOptions(time_limit=LIMIT).checked(data), lambda event: None)


def found(run: Context, form: str) -> Finding:
    finding = findings.from_expressions(run, [fit_formula(run.data, form).formula.expression], {})
    assert finding is not None
    return finding


def compared(
    run: Context, forms: Sequence[Finding], reference: Reference | None = None, *, chosen: bool = False
) -> Alternatives:
    competitors = [Competitor(one, one.formula, chosen) for one in forms]
    own = alternatives.alternatives(run, run.data, reference, competitors, forms[0], deadline=Deadline(LIMIT))
    assert own is not None
    return own


LOG, ROOT, LINE, POWER = "p + q*log(x)", "p + q*sqrt(x)", "p + q*x", "p*x^q"


def test_odds_are_those_of_the_description_lengths() -> None:
    run = context(table())
    first, *others = (fit_formula(run.data, form) for form in (LOG, ROOT, POWER))
    own = compared(run, [found(run, form) for form in (LOG, ROOT, POWER)])
    assert own.compared == 2 and [one.odds for one in own.forms] == sorted(one.odds for one in own.forms)
    for other in others:
        # The forms have as many constants, and looked up they are equally probable beforehand.
        odds = (other.rmse / first.rmse) ** other.rows
        (alternative,) = (one for one in own.forms if one.odds == pytest.approx(odds, rel=1e-4))
        assert alternative.rmse == pytest.approx(other.rmse) and alternative.r2 == pytest.approx(other.r2)
    assert own.noise == pytest.approx(first.rmse * math.sqrt(16 / 14))


def test_a_constant_and_nodes_count_against_a_form() -> None:
    run = context(table())
    shape, larger = found(run, LOG), found(run, "p + q*log(x) + r*sin(7*x)*x")
    fit, other = (fit_formula(run.data, form) for form in (LOG, "p + q*log(x) + r*sin(7*x)*x"))
    # Three constants and the variance of 16 rows, by Akaike's criterion with its correction.
    cost = [2 * count + 2 * (count + 1) * (count + 2) / (14 - count) for count in (2, 3)]
    rows = (other.rmse / fit.rmse) ** 16 * math.exp((cost[1] - cost[0]) / 2)
    (known,) = compared(run, [shape, larger]).forms
    assert known.odds == pytest.approx(rows, rel=1e-4)
    # Made of symbols, each node beyond seven makes it less probable, by about one of seven.
    nodes = larger.formula.complexity - alternatives.RULES.nodes
    searched = compared(run, [shape, larger], chosen=True)
    assert nodes > 0 and (not searched.forms or searched.forms[0].odds == pytest.approx(rows * math.exp(2 * nodes)))


def test_forms_with_the_same_values_are_one_form() -> None:
    run = context(table())
    law = found(run, LOG)
    same = [found(run, "q*log(r*x)"), found(run, "p + q*log(x^2)"), found(run, LOG)]
    own = compared(run, [law, *same])
    assert own.forms == () and own.compared == 0
    assert own.sentences("y") == ["no other form was found that differs from it within the rows"]


def test_forms_beyond_a_thousand_to_one_are_not_listed() -> None:
    run = context(table(0.01))
    own = compared(run, [found(run, LOG), found(run, LINE)])
    assert own.forms == () and own.compared == 1
    assert "within odds of 1000 to 1" in own.sentences("y")[0]


def test_where_the_rows_do_not_tell_the_answer_names_a_row() -> None:
    run = context(table(0.3))
    forms = [found(run, form) for form in (LOG, ROOT, POWER, "p + q/x", "p*exp(-q/x)", "p + q*atan(x)")]
    own = compared(run, forms)
    assert len(own.forms) == alternatives.RULES.most < own.compared
    for alternative, line in zip(own.forms, own.sentences("y"), strict=True):
        close = 0.1 < alternative.odds < 10
        assert line.startswith("next: y = ") and is_one_sentence(line.capitalize() + ".")
        assert ("do not tell" in line) == close
        assert ("a measurement at x = " in line) == (close and alternative.telling is not None)
    assert any(one.telling is not None for one in own.forms)
    facts = own.facts("y")
    assert facts == json.loads(json.dumps(facts)) and facts["sentences"] == own.sentences("y")
    assert own.forms == compared(run, forms).forms


def test_structure_in_what_the_formula_leaves_is_said() -> None:
    data = table(0.02, rows=30)
    run = context(data)
    line, law = found(run, LINE), found(run, LOG)
    wrong, right = compared(run, [line, found(run, "p + q*x^2")]), compared(run, [law, line])
    assert wrong.structured == "x" and right.structured == ""
    assert "shows structure along x" in wrong.sentences("y")[-1]
    assert not any("structure" in one for one in right.sentences("y"))


def test_sentences_by_the_odds() -> None:
    law = Formula.from_expressions([2.0 * x], table())
    for odds, says in ((0.25, "the rows alone favour by 4 to 1"), (3.25, "odds 3.2 to 1"), (120.4, "odds 120 to 1")):
        assert says in Alternative(law, odds, 1.0, 0.5, None).line("y")
    assert "nor would a measurement" in Alternative(law, 3.0, 1.0, 0.5, None).line("y")
    assert "nor would" not in Alternative(law, 30.0, 1.0, 0.5, None).line("y")


def test_nothing_is_said_of_an_exact_law_or_without_a_formula() -> None:
    exact = context(table(0.0))
    forms = [Competitor(one, one.formula) for one in (found(exact, LOG), found(exact, LINE))]
    assert forms[0].finding.error < 1e-9
    assert alternatives.alternatives(exact, exact.data, None, forms, forms[0].finding) is None
    assert alternatives.alternatives(exact, exact.data, None, forms, None) is None
    few = context(table(rows=3))
    line = found(few, LINE)
    assert alternatives.alternatives(few, few.data, None, [Competitor(line, line.formula)], line) is None


def test_a_better_form_that_was_passed_over_is_no_alternative(monkeypatch: pytest.MonkeyPatch) -> None:
    run = context(table(0.1))
    reference = fit_reference(run)
    forms = [found(run, ROOT), found(run, LOG)]
    for near in (True, False):
        monkeypatch.setattr(alternatives, "comes_near", lambda *run, near=near, **options: near)
        own = compared(run, forms, reference)
        assert [one.odds < 1 for one in own.forms] == ([True] if near else [])


def test_weights_and_gross_rows_count() -> None:
    clean = table(0.3)
    y = clean.y[:, 0].clone()
    y[3] += 50
    spoilt = context(made(clean.x[:, 0], y))
    spoilt = replace(spoilt, gross=torch.tensor([3]))
    light = replace(clean, weights=torch.ones(16, dtype=DOUBLE).index_fill(0, torch.tensor([3]), 1e-12))
    odds = []
    for run in (spoilt, context(light), context(clean)):
        good = context(light)
        own = compared(run, [found(good, LOG), found(good, ROOT)])
        odds.append(own.forms[0].odds)
    # A row of no weight still counts as one of the rows.
    assert odds[0] ** (1 / 15) == pytest.approx(odds[1] ** (1 / 16), rel=1e-3) and odds[2] != odds[1]


def test_logarithms_are_compared_where_they_are_fitted() -> None:
    values = torch.linspace(1, 6, 20, dtype=DOUBLE)
    noise = 0.1 * torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    run = context(made(values, (2 * values + noise).exp()))
    reference = fit_reference(run)
    assert reference is not None
    forms = [found(run, "p*exp(q*x)"), found(run, "p*x^q")]
    relative = compared(run, forms, replace(reference, log=True))
    assert relative.relative and relative.noise == pytest.approx(0.1, rel=0.3)
    assert not compared(run, forms).relative


def test_a_run_says_what_comes_next(tmp_path: Path) -> None:
    run = context(table(0.3))
    log, root = found(run, LOG), found(run, ROOT)
    competitors = [Competitor(one, one.formula) for one in (log, root)]
    facts, forms = how_sure(run, run.data, None, competitors, [], log, complete=True)
    assert [str(one.formula) for one in forms] == [one["formula"] for one in facts["alternatives"]["forms"]]
    summary = {"network_rmse": 0.1, "formula_rmse": 0.1, "target_std": 1.0} | facts
    result = Result(log.model, log.model, log.formula, History(), run.data, summary, alternatives=forms)
    job = RegressionJob("t.csv", "y", None, {}, tmp_path, {}, False, True)
    assert list(job.lines(result, summary))[2:] == facts["alternatives"]["sentences"]
