"""Smooth sums beside networks and formulas of classes: what stands in their place, and what is left out."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from superpose import ClassifyOptions, DataError, OptionError, classify, cli
from superpose.formulas.from_scores.one_score import ScoreFormula
from superpose.nn import Head
from superpose.tasks.classification import ClassificationDataset, judging, networks
from superpose.tasks.classification import reference as references
from superpose.tasks.classification.reference import (
    Folding,
    Reference,
    costs_nothing,
    fit_reference,
    measured,
    much_better,
    of_names,
    on_all_rows,
    straight,
    surpasses,
    with_fewer_columns,
    within,
)

DOUBLE = torch.float64


def points(count: int, columns: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(count, columns, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE) - 1


def table(x: Tensor, labels: list[str], **options: float) -> ClassificationDataset:
    return ClassificationDataset.from_arrays(x, labels, **options)


def drawn(scores: Tensor, names: str) -> list[str]:
    """Labels drawn with the probabilities of scores ``[N, K]``."""
    picked = torch.multinomial(scores.softmax(1), 1, generator=torch.Generator().manual_seed(1))[:, 0]
    return [names[k] for k in picked.tolist()]


def three_classes(count: int = 160) -> tuple[Tensor, list[str]]:
    """Two columns that tell three classes apart, and one that says nothing."""
    x = points(count, 3)
    return x, drawn(torch.stack([0 * x[:, 0], 6 * x[:, 0] - 1, 6 * x[:, 1] + 1], 1), "abc")


def reference_of(data: ClassificationDataset, folding: Folding | None = None) -> Reference:
    head = Head("sigmoid" if len(data.classes) == 2 else "softmax", data.classes)
    found = fit_reference(data, head, folding or Folding())
    assert found is not None
    return found


@pytest.fixture(scope="module")
def three() -> Reference:
    return reference_of(table(*three_classes()))


def test_rows_are_predicted_by_fits_to_others() -> None:
    # Each row's label is its own luck: only a fit that saw the row could know it.
    x = points(70, 2)
    found = reference_of(table(x, drawn(torch.zeros(70, 2), "ab")))
    facts = found.facts()
    assert facts["rows"] == 70 and facts["folds"] == 5
    assert facts["log_loss"] > 0.95 * math.log(2)
    assert facts["accuracy"] < 0.65
    assert facts["standard_error"] == pytest.approx(math.sqrt(facts["accuracy"] * (1 - facts["accuracy"]) / 69))
    assert facts["log_loss_standard_error"] == pytest.approx(float(found.losses.std()) / math.sqrt(70))


def test_sums_of_a_small_table_are_fitted_once(three: Reference) -> None:
    assert on_all_rows(three) is three


def test_few_labelled_rows_all_train() -> None:
    data = table(*three_classes(120))
    assert len(data.data.train) == 120
    assert reference_of(data).rows.tolist() == list(range(120))
    # Networks are compared on some rows; smooth sums are fitted to these too.
    again = reference_of(networks.with_validation(data, 0))
    assert again.rows.tolist() == list(range(120))


def test_sums_of_a_large_table_are_fitted_to_all_rows_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "RULES", replace(references.RULES, rows=60))
    found = reference_of(table(*three_classes(400), validation=0.15, test=0.2))
    assert len(found.rows) == 60
    more = on_all_rows(found)
    assert more.model is not found.model and torch.equal(more.logs, found.logs)
    x, y = found.data.rows("test")
    with torch.no_grad():
        losses = [float(found.head(one.model(x), y)) for one in (more, found)]
    assert losses[0] < losses[1]
    assert on_all_rows(found, late=lambda: True) is found


@pytest.mark.parametrize(("count", "parts", "folds"), [(None, 10, 5), (3, 3, 3), (99, 30, 30)])
def test_the_number_of_folds_is_as_asked(count: int | None, parts: int, folds: int) -> None:
    x = points(30, 1)
    found = reference_of(table(x, ["a" if v > 0.1 else "b" for v in x[:, 0].tolist()]), Folding(count))
    assert len(found.parts) == parts and found.facts()["folds"] == folds
    seen = torch.cat([test for _, test in found.parts])
    assert torch.bincount(seen).tolist() == [parts // folds] * 30
    assert all(not bool(torch.isin(test, train).any()) for train, test in found.parts)


def test_only_columns_that_cost_nothing_are_left_out(three: Reference) -> None:
    fewer = with_fewer_columns(three)
    assert fewer.data.feature_names == ("x1", "x2")
    assert costs_nothing(fewer, three)
    for name in ("x1", "x2"):
        assert of_names(three, [name]) is None
    assert with_fewer_columns(three, late=lambda: True) is three


def test_a_column_costs_nothing_while_two_nats_are_lost_at_most(three: Reference) -> None:
    def raised(nats: float) -> Reference:
        return replace(three, logs=three.logs - nats / len(three.rows))

    assert costs_nothing(raised(1.9), three) and not costs_nothing(raised(2.1), three)
    # Where nearly nothing is lost, nearly nothing may be.
    sure = replace(three, logs=0.02 * three.logs)
    assert not costs_nothing(replace(sure, logs=sure.logs - 0.2 * float(sure.losses.mean())), sure)
    # Of little that is explained, little may be lost.
    poor = replace(three, logs=three.shares.mean(0).log().expand(three.logs.shape))
    assert costs_nothing(poor, poor) and not costs_nothing(replace(poor, logs=poor.logs - 1e-3), poor)
    wrong, right = three.logs.clone(), three.right.nonzero().flatten()[:2]
    wrong[right] = wrong[right].roll(1, 1)
    assert not costs_nothing(replace(three, logs=wrong), replace(three, logs=three.logs - 1.0))


def test_another_head_must_be_much_better(three: Reference) -> None:
    def worse(nats: Tensor) -> Reference:
        return replace(three, logs=three.logs - nats[:, None])

    assert much_better(three, worse(0.4 * three.losses), 0.8)
    assert not much_better(three, worse(0.2 * three.losses), 0.8)
    # By one row.
    assert not much_better(three, worse(100.0 * (torch.arange(160) == 7)), 0.8)
    # A nat in sum.
    sure = replace(three, logs=three.logs * 1e-3 / three.losses.clamp(min=1e-3)[:, None])
    assert not much_better(sure, replace(sure, logs=sure.logs - 1.0 / 160), 0.8)


def as_network(reference: Reference, losses: Tensor) -> networks.TrainedClassifier:
    """A trained network with these losses on the rows where networks are compared."""
    return replace(reference.trained(reference.data), losses=losses)


def test_a_network_takes_the_place_where_it_gains_more_than_luck(three: Reference) -> None:
    own = three.trained(three.data)
    assert torch.equal(own.losses, three.losses)
    assert not surpasses(own, own)
    steady, few = torch.full((160,), 0.9, dtype=DOUBLE), own.losses.clone()
    assert surpasses(as_network(three, steady * own.losses), own)
    # A hundredth of a nat in sum, however steadily.
    assert not surpasses(as_network(three, own.losses - 1e-4), own)
    # Much, by two rows.
    few[own.losses.argsort()[-2:]] -= own.losses.sort().values[-2]
    assert not surpasses(as_network(three, few), own)


def test_a_trained_network_is_judged_by_the_rows_it_did_not_see(three: Reference) -> None:
    own = three.trained(three.data)
    other = replace(own, model=own.model.copy(), losses=own.losses[:25], accuracy=0.8)
    facts = measured(three, other, None, None)
    assert facts["network_judged"] == "25 rows left out of its training"
    assert facts["network_accuracy"] == 0.8
    assert facts["network_standard_error"] == pytest.approx(math.sqrt(0.8 * 0.2 / 24))
    assert facts["network_cross_entropy"] == pytest.approx(float(own.losses[:25].mean()))
    held_out = replace(own, data=replace(own.data, test=torch.arange(3)))
    assert list(measured(three, held_out, None, None)) == ["cross_validation"]


def test_straight_lines_as_formulas_have_the_same_probabilities(three: Reference) -> None:
    lines = straight(three)
    assert lines is not None and not any(fit.settings.curves for _, fit in lines.choice.fit.parts)
    x = three.data.x
    expected = lines.head.probabilities(lines.choice.fit.scores(x))
    for base in range(3):
        formula = judging.formula_of(judging.lines_of(lines, base), three.data)
        assert formula is not None and formula.expressions[base] == 0
        found = three.head.probabilities(formula.torch(x))
        # Slopes that change the logits by less than 0.02 are left out.
        assert float((found - expected).abs().max()) < 0.02
    small = within(three, lines.model.parameter_count())
    assert small is not None and small.model.parameter_count() <= lines.model.parameter_count()
    assert within(three, 1) is None


def test_constants_of_a_formula_are_judged_by_rows_they_were_not_fitted_to(three: Reference) -> None:
    lines = straight(three)
    assert lines is not None
    formula = judging.formula_of(judging.lines_of(lines, 0), three.data)
    assert formula is not None
    logs = judging.cross_validated(formula, three.data, three.head, three)
    assert logs is not None
    losses, fitted = -(three.shares * logs).sum(1), three.head.losses(formula.torch(three.data.x), three.data.y)
    assert float(fitted.mean()) < float(losses.mean()) < 1.2 * float(lines.losses.mean())
    assert judging.comes_near(logs, lines.logs, three.shares) and judging.says_something(logs, three.shares)


def test_linear_scores_have_the_gradient_and_the_hessian_of_their_loss() -> None:
    x, labels = three_classes(60)
    head = Head("softmax", ("a", "b", "c"))
    y = head.targets(torch.tensor(["abc".index(one) for one in labels]))
    columns = torch.cat([x, x.square()], 1)
    linear = judging.LinearScores(columns, torch.tensor([0, 0, 1, 1, 1, 2]), y, head)
    theta, precision = points(1, 6, seed=3)[0], torch.full((6,), 0.3, dtype=DOUBLE)

    def loss(t: Tensor) -> Tensor:
        scores = torch.zeros_like(y).index_add_(1, linear.owner, columns * t)
        return head(scores, y) + 0.15 * t.square().sum()

    gradient, system = linear.linearised(theta, precision)
    assert linear.loss(theta, precision) == pytest.approx(float(loss(theta)))
    (expected,) = torch.autograd.grad(loss(theta.requires_grad_()), theta)
    assert torch.allclose(gradient, expected)
    theta = theta.detach()
    hessian = torch.autograd.functional.hessian(loss, theta)  # type: ignore[no-untyped-call]
    assert torch.allclose(system.solve(gradient), torch.linalg.solve(hessian, gradient))


def test_a_formula_that_says_nothing_is_not_recommended() -> None:
    x = points(80, 2)
    data = table(x, drawn(torch.zeros(80, 2), "ab"))
    found = reference_of(data)
    import sympy

    nothing = ScoreFormula(0.3 * sympy.Symbol("x1", real=True), 1.0, 100.0, 3, 20.0)
    chosen = found.trained(found.data)
    best, kept = judging.recommended([[nothing]], None, chosen, found)
    assert best is None and kept == []


def test_frequencies_and_a_single_class_say_nothing(three: Reference) -> None:
    shares = three.shares
    assert judging.says_something(three.logs, shares)
    luck = torch.randn(shares.shape, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    assert not judging.says_something((shares.mean(0).log() + 0.3 * luck).log_softmax(1), shares)
    # Better than the frequencies, but never another class than the first.
    surer = (shares.mean(0) + 0.3 * (shares - shares.mean(0))).log()
    assert judging.says_something(surer, shares)
    assert not judging.says_something(surer + torch.tensor([2.0, 0.0, 0.0]), shares)


def test_a_class_of_two_rows_is_learnt_and_one_of_a_single_row_refused() -> None:
    x = points(60, 1)
    labels = ["low" if v < 0 else "high" for v in x[:, 0].tolist()]
    with pytest.raises(DataError, match="'rare' once only"):
        table(x, ["rare", *labels[1:]])
    found = reference_of(table(x, ["rare", "rare", *labels[2:]]))
    assert bool(found.losses.isfinite().all()) and found.head.classes == ("high", "low", "rare")
    assert int(found.confusion.sum()) == 60 and found.confusion[2].sum() == 2


def test_a_column_beyond_doubles_and_a_gaussian_head_have_no_reference() -> None:
    x = points(30, 1)
    labels = ["a" if v < 0 else "b" for v in x[:, 0].tolist()]
    data = table(1e200 * x, labels)
    assert fit_reference(data, Head("sigmoid", data.classes), Folding()) is None
    assert fit_reference(table(x, labels), Head("gaussian", data.classes), Folding()) is None


def test_folds_of_a_given_network_are_refused() -> None:
    data = table(*three_classes(60))
    for options in (ClassifyOptions(cv=5, shape=(2, 3)), ClassifyOptions(cv=5, grid_size=4)):
        with pytest.raises(OptionError, match="leave out cv"):
            classify(data, options)
    with pytest.raises(OptionError, match="cv"):
        classify(data, ClassifyOptions(cv=1))


def test_the_program_says_how_sure_accuracies_are(
    tmp_path: Path, counted_work: None, capsys: pytest.CaptureFixture[str]
) -> None:
    x = points(60, 1)
    labels = drawn(torch.cat([0 * x, 5 * x], 1), "ab")
    rows = [f"{a},{label}" for (a,), label in zip(x.tolist(), labels, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["a,kind", *rows]) + "\n")
    command = ["fit", str(tmp_path / "t.csv"), "--target", "kind", "--task", "classification", "--cv", "4"]
    command += ["--time-limit", "20", "--out", str(tmp_path / "o")]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    facts = json.loads((tmp_path / "o" / "metrics.json").read_text())
    assert facts["cross_validation"]["folds"] == 4 and facts["rows"]["train"] == 60
    line = next(one for one in printed.splitlines() if one.startswith("right"))
    error = facts["network_standard_error"]
    assert "in cross-validation of 4 folds" in line and f"{facts['network_accuracy']:.2%} ± {error:.2%}" in line
    assert error == pytest.approx(facts["cross_validation"]["standard_error"])
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert "(of the formula by cross-validation, of the network by cross-validation)" in page
    assert cli.main([*command, "--test-share", "0.3", "--no-formula"]) == 0
    assert "right in cross-validation of 4 folds: " in capsys.readouterr().out
