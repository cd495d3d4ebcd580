"""How often the form of the formula is chosen again when the rows are drawn again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sympy
import torch

from helpers import is_one_sentence
from superpose.cli.regression_job import RegressionJob
from superpose.data import Dataset
from superpose.deadline import Deadline
from superpose.formulas.recommendation import Finding
from superpose.tasks.regression import DiscoverOptions, Result, findings, stability
from superpose.tasks.regression.certainty import how_sure
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.reference import Reference, fit_reference
from superpose.tasks.regression.stability import STABILITY, Competitor, Stability
from superpose.train.history import History

DOUBLE = torch.float64
LIMIT = 300.0
a, b = sympy.symbols("a b", real=True)


def table(rows: int = 60, *, low: float = 1.0, high: float = 3.0, noise: float = 0.2, power: float = 2.0) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    x = low + (high - low) * torch.rand(rows, 2, generator=generator, dtype=DOUBLE)
    y = x[:, 0] ** power + noise * torch.randn(rows, generator=generator, dtype=DOUBLE)
    return Dataset.from_arrays(x, y, feature_names=("a", "b"), target_names=("y",), validation=0.0, test=0.0)


def context(data: Dataset, seed: int = 0, limit: float = LIMIT) -> Context:
    return Context.start(data, DiscoverOptions(time_limit=limit, seed=seed).checked(data), lambda event: None)


def fitted(run: Context, *terms: sympy.Expr) -> Finding:
    """The sum of some terms, each with a factor, by least squares with the rows' weights."""
    data = run.data
    columns = [sympy.lambdify((a, b), term, "numpy") for term in terms]
    x = data.x.numpy()
    matrix = torch.stack([torch.as_tensor(one(*x.T), dtype=DOUBLE).expand(len(x)) for one in columns], -1)
    roots = torch.ones(len(x), dtype=DOUBLE) if data.weights is None else data.weights.sqrt()
    factors = torch.linalg.lstsq(matrix * roots[:, None], data.y * roots[:, None]).solution[:, 0]
    found = findings.from_expressions(
        run, [sympy.Add(*(sympy.Float(float(c)) * t for c, t in zip(factors, terms, strict=True)))], {}
    )
    assert found is not None
    return found


def shares(
    run: Context, found: Sequence[Finding], reference: Reference | None = None, *, noise: bool = True
) -> Stability:
    competitors = [Competitor(one, one.formula) for one in found]
    own = stability.stability(run, reference, competitors, found[0], noise=noise, deadline=Deadline(LIMIT))
    assert own is not None
    return own


def test_a_clear_law_is_chosen_nearly_always() -> None:
    run = context(table())
    found = shares(run, [fitted(run, a**2), fitted(run, a, b, 1 + 0 * a), fitted(run, b**2)], fit_reference(run))
    facts = found.facts()
    assert facts["resamples"] == STABILITY.resamples == found.planned
    assert facts["forms"][0]["recommended"] and facts["forms"][0]["share"] > 0.95
    assert facts == json.loads(json.dumps(facts))
    assert sum(one["share"] for one in facts["forms"]) == pytest.approx(1.0)
    assert is_one_sentence(facts["sentence"].capitalize() + ".") and "100 resamples" in facts["sentence"]


def test_forms_that_the_rows_cannot_tell_apart_share() -> None:
    run = context(table(low=1.0, high=1.2, noise=0.4))
    found = shares(run, [fitted(run, a**2), fitted(run, a**3)])
    assert len(found.forms) == 2 and all(0.1 < count / found.drawn < 0.9 for _, count in found.forms)
    assert "; next: " in found.sentence()


def test_a_form_with_other_constants_is_the_same_form() -> None:
    run = context(table())
    law = fitted(run, a**2)
    again = findings.from_expressions(run, [sympy.Float(float(law.formula.expression.args[0]) + 1e-6) * a**2], {})
    assert again is not None
    assert len(shares(run, [law, again, fitted(run, b)]).forms) == 1


def test_the_seed_decides_the_shares() -> None:
    data = table(low=1.0, high=1.2, noise=0.4)
    counts = []
    for seed in (0, 0, 1):
        run = context(data, seed)
        counts.append([count for _, count in shares(run, [fitted(run, a**2), fitted(run, a**3)]).forms])
    assert counts[0] == counts[1] != counts[2]


class Ticking(Deadline):
    """Passes when it was asked so many times."""

    def __init__(self, asked: int) -> None:
        super().__init__(None)
        self.asked = asked

    def passed(self) -> bool:
        self.asked -= 1
        return self.asked < 0


def test_fewer_resamples_are_drawn_where_the_time_is_over() -> None:
    run = context(table())
    forms = [fitted(run, a**2), fitted(run, a, 1 + 0 * a)]
    drawn = set()
    for asked in range(20):
        competitors = [Competitor(one, one.formula) for one in forms]
        found = stability.stability(run, None, competitors, forms[0], noise=True, deadline=Ticking(asked))
        if found is not None:
            drawn.add(found.drawn)
            assert ("there was no time for all 100" in found.sentence()) == (found.drawn < 100)
    # Without time for one block, or for looking at all forms, nothing is said.
    assert {10, 50, 100} <= drawn and min(drawn) > 0
    assert stability.stability(run, None, competitors, forms[0], noise=True, deadline=Deadline(0)) is None


def test_losses_are_those_of_fits_without_the_row() -> None:
    data = table(rows=12)
    data = replace(data, weights=torch.linspace(0.5, 1.5, 12, dtype=DOUBLE))
    run = context(data)
    rows = stability._Table.of(run, None)
    form = stability._Form.of(rows, Competitor(one := fitted(run, a, 1 + 0 * a), one.formula), Deadline(LIMIT))
    assert form is not None
    counts = rows.resamples(3, torch.Generator().manual_seed(5))
    assert bool((counts.sum(-1) == 12).all()) and bool((counts > 1).any()) and bool((counts == 0).any())
    losses = form.losses(rows, counts)
    assert data.weights is not None
    matrix = torch.stack([data.x[:, 0], torch.ones(12, dtype=DOUBLE)], -1)
    for times, own in zip(counts, losses, strict=True):
        for row in range(12):
            weights = times * data.weights
            weights[row] = 0.0
            roots = weights.sqrt()[:, None]
            line = torch.linalg.lstsq(matrix * roots, data.y * roots).solution
            residual = float(data.y[row] - matrix[row] @ line)
            assert float(own[row]) == pytest.approx(residual**2 * float(data.weights[row]), rel=1e-6)


def test_rows_of_a_group_are_drawn_together() -> None:
    data = table(rows=12)
    data = replace(data, groups=torch.arange(12) // 4)
    counts = stability._Table.of(context(data), None).resamples(5, torch.Generator().manual_seed(0))
    assert bool((counts.view(5, 3, 4) == counts.view(5, 3, 4)[:, :, :1]).all()) and float(counts.max()) > 1


def test_constants_that_a_resample_does_not_determine_win_nothing() -> None:
    # Resamples of 6 rows have four different ones on average: five constants go through all of them.
    run = context(table(rows=6, noise=0.1))
    found = shares(run, [fitted(run, a**2), fitted(run, a, b, a * b, b**2, 1 + 0 * a)], noise=False)
    assert found.recommended == 0 and found.forms[0][1] > 0.9 * found.drawn


def test_logarithms_are_compared_where_they_are_fitted() -> None:
    data = table(noise=0.0)
    data = Dataset.from_arrays(data.x, -data.y, feature_names=("a", "b"), target_names=("y",))
    positive = replace(data, y=data.y.abs())
    run = context(positive)
    rows = replace(stability._Table.of(run, None), log=True)
    for one, wanted in ((fitted(run, a**2), True), (fitted(context(data), a**2), False)):
        form = stability._Form.of(rows, Competitor(one, one.formula), Deadline(LIMIT))
        # A formula with negative values has no logarithm.
        assert (form is not None) == wanted
        if form is not None:
            # The logarithm changes by as much on every row.
            assert float(form.basis.abs().max() - form.basis.abs().min()) < 1e-12


def test_a_form_that_was_passed_over_on_the_table_does_not_compete(monkeypatch: pytest.MonkeyPatch) -> None:
    run = context(table())
    reference = fit_reference(run)
    forms = [fitted(run, a, b, 1 + 0 * a), fitted(run, a**2), fitted(run, b**2)]
    competitors = [Competitor(one, one.formula) for one in forms]
    texts = []
    for near in (True, False):
        monkeypatch.setattr(stability, "comes_near", lambda *run, near=near, **options: near)
        found = stability.stability(run, reference, competitors, forms[0], noise=True, deadline=Deadline(LIMIT))
        assert found is not None
        texts.append([str(formula) for formula, _ in found.forms])
    assert str(forms[1].formula) in texts[0] and texts[1] == [str(forms[0].formula)]


def test_nothing_is_said_of_a_law_that_gives_every_row() -> None:
    run = context(table(noise=0.0))
    law = fitted(run, a**2)
    assert law.error < 1e-9
    forms = [Competitor(one, one.formula) for one in (law, fitted(run, b))]
    assert stability.stability(run, None, forms, law, noise=True) is None


def test_a_run_says_how_stable_its_formula_is(tmp_path: Path) -> None:
    run = context(table(noise=0.5))
    law, line = fitted(run, a**2), fitted(run, a, 1 + 0 * a)
    competitors = [Competitor(line, line.formula, False), Competitor(law, law.formula)]
    facts, _ = how_sure(run, run.data, None, competitors, [], law, complete=True)
    first = facts["stability"]["forms"][0]
    assert first["formula"] == str(law.formula) and first["recommended"] and first["share"] > 0.5
    # Without any time left it takes a little more.
    late = replace(run, deadline=Deadline(0))
    assert "stability" in how_sure(late, run.data, None, competitors, [], law, complete=True)[0]
    summary = {"network_rmse": 0.1, "formula_rmse": 0.1, "target_std": 1.0} | facts
    result = Result(law.model, law.model, law.formula, History(), run.data, summary)
    job = RegressionJob("t.csv", "y", None, {}, tmp_path, {}, False, True)
    assert list(job.lines(result, summary))[1:2] == [facts["stability"]["sentence"]]
