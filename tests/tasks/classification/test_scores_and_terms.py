"""The parts of the search for formulas of scores: terms, what each gains, and tables that are no help."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import sympy
import torch
from torch import Tensor

from helpers import CountingClock
from superpose import ClassifyOptions, OptionError, classify
from superpose.deadline import Deadline
from superpose.formulas.from_scores import terms
from superpose.formulas.from_scores.joint_scores import joint_formulas
from superpose.formulas.from_scores.one_score import ScoreFormula, score_formulas
from superpose.formulas.from_scores.problem import competing_offset
from superpose.formulas.from_scores.terms import StandardizedTerms
from superpose.nn import Head
from superpose.nn.symbolic_functions import torch_function
from superpose.stopping import StopReason
from superpose.tasks.classification import ClassificationDataset, networks
from superpose.tasks.classification.metrics import boundaries

DOUBLE = torch.float64


def random(rows: int, columns: int, low: float = -1.0, high: float = 1.0, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(rows, columns, generator=generator, dtype=DOUBLE)


def drawn(scores: Tensor, seed: int = 1) -> Tensor:
    """``[N, 1]`` ones with the probabilities of a sigmoid."""
    uniform = torch.rand(len(scores), generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    return (uniform < torch.sigmoid(scores)).double()[:, None]


def symbols(count: int) -> tuple[sympy.Symbol, ...]:
    return tuple(sympy.Symbol(f"x{n}", real=True) for n in range(count))


def values(expression: sympy.Expr, x: Tensor) -> Tensor:
    return torch.as_tensor(torch_function(expression, symbols(x.shape[1]), {})(*x.unbind(-1))).expand(len(x))


def soon() -> Deadline:
    return Deadline(600)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.5, 2.0), (-3.0, -1.0), (100.0, 101.0)])
def test_terms_are_what_their_expressions_say(low: float, high: float) -> None:
    x = random(200, 3, low, high)
    singles = terms.single(x, symbols(3))
    doubles = terms.pairs(singles)
    some = terms.best_products(singles, doubles, x[:, 0] * x[:, 1], torch.ones(200, dtype=DOUBLE), 5, deadline=soon())
    assert len(some) == 5 and len(doubles) > 3 and {term.kind for term in singles} >= {"x", "x^2"}
    for term in (*singles, *doubles, *some):
        torch.testing.assert_close(term.values, values(term.expression, x), rtol=1e-12, atol=1e-12)


def test_the_best_product_is_the_one_that_the_score_is_made_of() -> None:
    x = random(400, 3, 0.5, 2.0)
    singles = terms.single(x, symbols(3))
    for target, found in (
        (x[:, 0] / (x[:, 1] + x[:, 2]), "x0/(x1 + x2)"),
        (x[:, 2] * (x[:, 0] ** 2 - x[:, 1] ** 2), "x2*(x0**2 - x1**2)"),
    ):
        (best,) = terms.best_products(singles, [], target, torch.ones(400, dtype=DOUBLE), 1, deadline=soon())
        assert abs(float(torch.corrcoef(torch.stack([best.values, target]))[0, 1])) > 1 - 1e-12, found
    assert terms.best_products(singles, [], x[:, 0], torch.ones(400, dtype=DOUBLE), 1, deadline=Deadline(0)) == []


def test_what_a_term_gains_is_what_the_likelihood_rises_by() -> None:
    x = random(4000, 4)
    y = drawn(0.15 * x[:, 0] + 0.2 * x[:, 1])
    head = Head("sigmoid", ("a", "b"))
    singles = [term for term in terms.single(x, symbols(4)) if term.kind == "x"]
    dictionary = StandardizedTerms(singles, 4000)

    def fitted(chosen: list[int]) -> tuple[float, Tensor]:
        matrix = torch.cat([torch.ones(4000, 1, dtype=DOUBLE), dictionary.values[:, chosen]], 1)
        theta = torch.zeros(matrix.shape[1], dtype=DOUBLE)
        for _ in range(20):
            scores = (matrix @ theta)[:, None]
            rooted = head.hessian_root(scores, y)[:, 0] * matrix
            theta = theta - torch.linalg.solve(rooted.T @ rooted, matrix.T @ head.gradient(scores, y)[:, 0])
        return 2 * 4000 * float(head((matrix @ theta)[:, None], y)), (matrix @ theta)[:, None]

    before, scores = fitted([0])
    gains = (
        dictionary.gains([0], head.gradient(scores, y)[:, 0], head.hessian_root(scores, y)[:, 0, 0].square(), 1e-9)
        + dictionary.costs
    )
    assert gains[0] == -math.inf and int(gains.argmax()) == 1
    for other in (1, 2, 3):
        assert float(gains[other]) == pytest.approx(before - fitted([0, other])[0], rel=0.03, abs=0.05)


def test_a_combination_is_written_as_it_was_fitted() -> None:
    x = random(100, 2, 1.0, 2.0)
    dictionary = StandardizedTerms(terms.single(x, symbols(2)), 100)
    theta = torch.tensor([0.3, -1.2, 2.0], dtype=DOUBLE)
    written = dictionary.sum_of((1, 4), theta)
    torch.testing.assert_close(values(written, x), theta[0] + dictionary.values[:, [1, 4]] @ theta[1:])
    assert dictionary.cost((1, 4)) == pytest.approx(float(dictionary.costs[1] + dictionary.costs[4]))


def test_of_many_columns_those_that_tell_most_are_multiplied() -> None:
    x = random(300, 20)
    singles = terms.single(x, symbols(20))
    strong = terms.of_strongest(singles, torch.stack([x[:, 3], x[:, 17] ** 2], 1))
    columns = {column for term in strong for column in term.columns}
    assert len(columns) == 12 and {3, 17} <= columns
    few = [term for term in singles if term.columns <= {0, 1}]
    assert terms.of_strongest(few, x[:, :1]) == few


def test_a_formula_of_one_score_has_the_constants_of_the_likelihood() -> None:
    x = random(3000, 2)
    truth = 4 * (x[:, 0] ** 2 + x[:, 1] ** 2 - 0.6)
    (best, *_) = score_formulas(symbols(2), x, drawn(truth), truth, Head("sigmoid", ("a", "b")), deadline=soon())
    a, b = symbols(2)
    assert best.expression.subs({a: 0, b: 0}) == pytest.approx(-0.6, abs=0.03)
    assert best.factor == pytest.approx(4, abs=0.5)
    assert best.description_length == pytest.approx(3000 * best.deviance + math.log(3000) * best.complexity)


def test_a_class_that_depends_on_nothing_keeps_a_constant_score() -> None:
    x = random(900, 2)
    coins = torch.rand(900, generator=torch.Generator().manual_seed(3)) < 0.2
    index = torch.where(coins, 2, (x[:, 0] > x[:, 1] ** 2).long())
    head = Head("softmax", ("a", "b", "c"))
    smooth = torch.stack([0 * x[:, 0], 20 * (x[:, 0] - x[:, 1] ** 2), 0 * x[:, 0]], 1)
    found = joint_formulas(symbols(2), x, head.targets(index), smooth, 0, deadline=soon())
    assert [len(one) for one in found] == [0, 1, 1]
    assert found[1][0].expression.free_symbols == set(symbols(2))
    labelled = ClassificationDataset.from_arrays(x, ["abc"[k] for k in index.tolist()])
    constant = [[], found[1], [ScoreFormula(sympy.Float(0.3), 1.0, 1.0, 1, 1.0)]]
    assert [one["between"] for one in boundaries(head, constant, labelled)] == [["a", "b"]]


def test_three_classes_that_depend_on_nothing_have_no_formula() -> None:
    dice = torch.randint(3, (400,), generator=torch.Generator().manual_seed(5)).tolist()
    result = classify(
        ClassificationDataset.from_arrays(random(400, 2), [f"side {n}" for n in dice]), ClassifyOptions(time_limit=600)
    )
    assert result.formula is None and result.metrics["boundaries"] == []


@pytest.mark.parametrize("unit", [1e300, 1e-300])
@pytest.mark.parametrize("classes", [2, 3])
def test_columns_beyond_what_squares_can_hold_give_a_network(unit: float, classes: int) -> None:
    x = random(150, 2)
    index = (x[:, 0] + x[:, 1] > 0).long() + (classes - 2) * (x[:, 0] > 0.4).long()
    options = ClassifyOptions(time_limit=5, shape=(1 if classes == 2 else 3,))
    result = classify(ClassificationDataset.from_arrays(x * unit, ["abc"[k] for k in index.tolist()]), options)
    assert result.formula is None and result.accuracy() > 0.8


@pytest.mark.parametrize("unit", [1e300, 1e-310])
def test_labels_beyond_what_squares_can_hold_are_names(unit: float) -> None:
    x = random(120, 2)
    labels = (unit * ((x[:, 0] > 0.3).double() - (x[:, 0] < -0.3).double())).tolist()
    data = ClassificationDataset.from_arrays(x, labels)
    assert ClassifyOptions().kinds(data) == ["softmax"]
    with pytest.raises(OptionError, match="too large or too small for an ordinal head"):
        classify(data, ClassifyOptions(head="ordinal"))


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_interrupting_keeps_the_best_network(turn: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much worse the network is that was being trained."""
    calls, judged = [], networks._judged

    def fit(*args: Any, **options: Any) -> Any:
        calls.append(options["grids"])
        history = train(*args, **options)
        return replace(history, stop=StopReason.INTERRUPTED) if len(calls) == turn else history

    def worse(*args: Any) -> Any:
        found = judged(*args)
        return found if len(calls) == 1 else replace(found, losses=found.losses + 10)

    train = networks.fit
    monkeypatch.setattr(networks, "fit", fit)
    monkeypatch.setattr(networks, "_judged", worse)
    x = random(200, 2)
    result = classify(
        ClassificationDataset.from_arrays(x, [f"{a > b}" for a, b in x.tolist()]), ClassifyOptions(time_limit=600)
    )
    assert result.metrics["interrupted"] and result.metrics["reason"].startswith("interrupted")
    assert len(calls) == turn and result.accuracy() > 0.9 and result.formula is None


def test_interrupting_before_there_is_a_network_is_passed_on() -> None:
    def interrupt(event: str) -> None:
        raise KeyboardInterrupt

    x = random(100, 2)
    with pytest.raises(KeyboardInterrupt):
        classify(ClassificationDataset.from_arrays(x, [f"{a > b}" for a, b in x.tolist()]), listener=interrupt)


def test_the_time_limit_holds_for_many_columns(counted_time: CountingClock) -> None:
    x = random(60, 50)
    result = classify(
        ClassificationDataset.from_arrays(x, [f"{a > b}" for a, b, *_ in x.tolist()]), ClassifyOptions(time_limit=4)
    )
    assert result.metrics["seconds"] < 10


def test_one_score_against_the_others_has_the_probability_of_its_class() -> None:
    scores = random(50, 4, -5.0, 5.0)
    for k in range(4):
        torch.testing.assert_close(torch.sigmoid(scores[:, k] + competing_offset(scores, k)), scores.softmax(-1)[:, k])
