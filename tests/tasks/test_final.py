"""Which network is handed out, and which formulas beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import sympy
import torch

from superpose.data import Dataset
from superpose.formulas.recommendation import Finding
from superpose.tasks.regression import DiscoverOptions, choice, final, findings, search
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.final import choose_network
from superpose.tasks.regression.judging import comes_near, judge, loo_predictions, nearly_exact
from superpose.tasks.regression.networks import Networks
from superpose.tasks.regression.reference import RULES, Reference, fit_reference, is_plausible

DOUBLE = torch.float64
SYMBOLS = A, B = sympy.symbols("a b", real=True)


def context(rows: int = 60) -> Context:
    """A law that sums of smooth functions of two columns follow badly: its curves are products of both."""
    generator = torch.Generator().manual_seed(0)
    x = 1 + torch.rand(rows, 2, generator=generator, dtype=DOUBLE)
    y = torch.sin(6 * x[:, 0] * x[:, 1]) + 0.01 * torch.randn(rows, generator=generator, dtype=DOUBLE)
    data = Dataset.from_arrays(x, y, feature_names=("a", "b"), target_names=("y",))
    return Context.start(data, DiscoverOptions().checked(data), lambda event: None)


def made(run: Context, expressions: Sequence[sympy.Expr]) -> tuple[Reference, list[Finding]]:
    reference = fit_reference(run)
    found = [findings.from_expressions(run, [expression], {}) for expression in expressions]
    assert reference is not None
    return reference, [one for one in found if one is not None]


def test_a_formula_that_is_far_better_stands_as_the_network() -> None:
    run = context()
    reference, (law, line) = made(run, [sympy.sin(6 * A * B), 0.3 * A + 0.1 * B])
    for finding, wanted in ((law, law.model), (line, reference.model), (None, reference.model)):
        network, history = choose_network(run, Networks(), finding, reference, structural=False)
        assert network is wanted and ("made of the formula" in history.reason) == (finding is law)


def test_a_formula_that_errs_far_more_on_rows_not_seen_is_told_from_one_that_may() -> None:
    run = context()
    reference, (law, line) = made(run, [sympy.sin(6 * A * B), 0.3 * A + 0.1 * B])
    rows = run.few.validation
    x = run.few.features(rows)
    losses = {
        name: reference.losses(run.few, rows, finding.formula.torch(x)[:, 0])
        for name, finding in (("law", law), ("line", line))
    }
    assert final._errs_far_more(run, reference, line, losses["law"])
    assert not final._errs_far_more(run, reference, law, losses["line"])
    assert not final._errs_far_more(run, reference, line, losses["line"])
    # A little more is allowed: a formula can be read.
    assert not final._errs_far_more(run, reference, line, 0.7 * losses["line"])


def test_forms_that_few_rows_do_not_determine_are_not_recommended() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(5, 6, generator=generator, dtype=DOUBLE)
    data = Dataset.from_arrays(x, torch.randn(5, generator=generator, dtype=DOUBLE))
    run = Context.start(data, DiscoverOptions().checked(data), lambda event: None)
    columns = sympy.symbols("x1:7", real=True)
    # Six constants and five rows: some of these lines gives every row.
    weights = torch.linalg.lstsq(torch.cat([x, torch.ones(5, 1, dtype=DOUBLE)], 1), data.y).solution[:, 0].tolist()
    line = sum(sympy.Float(w) * c for w, c in zip(weights, columns, strict=False)) + sympy.Float(weights[-1])
    reference, (finding,) = made(run, [line])
    assert finding.error < 1e-9 and not search._gives_every_row(run, finding)
    assert not bool(loo_predictions(finding.formula, data, reference.rows).isfinite().any())
    assert choice._judged(run, reference, [finding], finding, [finding]) is None
    few = context(60)
    _, (law, _) = made(few, [sympy.sin(6 * A * B), A])
    assert not search._gives_every_row(few, law)


def test_a_formula_that_errs_more_than_a_straight_line_is_not_near() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(240, 2, generator=generator, dtype=DOUBLE)
    y = 3 * x[:, 0] + 0.7 * x[:, 1] + torch.randn(240, generator=generator, dtype=DOUBLE)
    data = Dataset.from_arrays(x, y, feature_names=("a", "b"), target_names=("y",))
    run = Context.start(data, DiscoverOptions().checked(data), lambda event: None)
    reference, (short, line) = made(run, [3.0 * A + 0.35, 3.0 * A + 0.7 * B])
    judged = {name: judge(run, reference, one) for name, one in (("short", short), ("line", line))}
    assert comes_near(run, reference, judged["line"], chosen=False)
    # It is within a tenth of the smooth sum all the same.
    own = reference.losses(data, reference.rows, reference.predictions)
    assert 1.02 < float(judged["short"].losses.mean() / own.mean()) < 1.1
    assert not comes_near(run, reference, judged["short"], chosen=False)


def test_a_steep_law_that_leaves_next_to_nothing_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    # On a grid of few levels curves are tables of values, and predict left-out rows as well as the law.
    a, b = torch.meshgrid(torch.arange(11, 21), torch.arange(3, 9), indexing="ij")
    x = torch.stack([a.flatten(), b.flatten()], -1).double()
    y = 0.33 * torch.exp(-0.44 * x[:, 0]) + 238 * torch.exp(-3.835 * x[:, 1])
    y += 3e-6 * torch.randn(60, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    data = Dataset.from_arrays(x, y, feature_names=("a", "b"), target_names=("y",))
    run = Context.start(data, DiscoverOptions().checked(data), lambda event: None)
    reference, (law,) = made(run, [0.33 * sympy.exp(-0.44 * A) + 238.0 * sympy.exp(-3.835 * B)])
    judged = judge(run, reference, law)
    # Beyond the first level of b it is far beyond the target's range.
    assert not is_plausible(data, lambda x: law.formula.torch(x)[:, 0])
    assert comes_near(run, reference, judged)
    monkeypatch.setattr("superpose.tasks.regression.judging.RULES", replace(RULES, believed=0.0))
    assert not comes_near(run, reference, judged)


def test_a_power_law_that_leaves_next_to_nothing_stands_though_curves_leave_less() -> None:
    x = torch.linspace(0.1, 5, 40, dtype=DOUBLE)
    for wave, stands in ((0.01, True), (0.2, False)):
        y = torch.exp(1.2 * x + wave * torch.sin(2 * x))
        data = Dataset.from_arrays(x.exp()[:, None], y, feature_names=("a",), target_names=("y",))
        run = Context.start(data, DiscoverOptions().checked(data), lambda event: None)
        reference, (law,) = made(run, [A ** sympy.Float(1.2)])
        assert not comes_near(run, reference, judge(run, reference, law), chosen=False)
        assert (nearly_exact(run, reference, [law]) is law) is stands


def test_of_six_rows_the_law_with_fewer_constants_is_the_more_probable_one() -> None:
    # Kepler's distances and periods; the exponent that fits best is 1.505.
    a = torch.tensor([0.389, 0.724, 1.0, 1.524, 5.2, 9.51], dtype=DOUBLE)
    y = torch.tensor([87.77, 224.7, 365.25, 686.95, 4332.62, 10759.2], dtype=DOUBLE)
    data = Dataset.from_arrays(a[:, None], y, feature_names=("a",), target_names=("y",))
    run = Context.start(data, DiscoverOptions().checked(data), lambda event: None)
    third, power = sympy.Float(366.65) * A ** sympy.Rational(3, 2), sympy.Float(362.38) * A ** sympy.Float(1.50543)
    reference, found = made(run, [third, power])
    lengths, losses = zip(
        *((one.length, float(one.losses.mean())) for one in (judge(run, reference, f) for f in found)), strict=True
    )
    assert losses[1] < losses[0] and lengths[0] < lengths[1]
