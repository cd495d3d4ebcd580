"""The problems are the functions that the tables name, on the ranges they name, with the figures they give."""

from __future__ import annotations

import ast
import csv
import math
import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy
import pytest

from benchmarks import problems
from helpers import ROOT, is_one_sentence
from superpose import DataError, OptionError

scipy_special = pytest.importorskip("scipy.special")

TABLES = {
    "special": ROOT / "benchmarks/problems/special_functions.csv",
    "feynman": ROOT / "benchmarks/problems/feynman_equations.csv",
}
PROBLEMS = problems.special() | problems.feynman() | problems.toy()
OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}
FUNCTIONS = {"sin": numpy.sin, "cos": numpy.cos, "exp": numpy.exp, "log": numpy.log,
             "sqrt": numpy.sqrt, "asin": numpy.arcsin}  # fmt: skip


def value(node: Any, names: dict[str, Any]) -> Any:
    """Work out a formula's tree: a second way from the table's text to numbers."""
    match node:
        case ast.Expression():
            return value(node.body, names)
        case ast.Constant():
            return node.value
        case ast.Name():
            return names[node.id]
        case ast.BinOp():
            return OPERATORS[type(node.op)](value(node.left, names), value(node.right, names))
        case ast.UnaryOp():
            return OPERATORS[type(node.op)](value(node.operand, names))
        case ast.Call():
            assert isinstance(node.func, ast.Name)
            return names[node.func.id](*(value(argument, names) for argument in node.args))
        case ast.Subscript():
            return value(node.value, names)[value(node.slice, names)]
        case ast.Attribute():
            return getattr(value(node.value, names), node.attr)
    raise AssertionError(ast.dump(node))


def rows(name: str) -> list[dict[str, str]]:
    with TABLES[name].open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


CASES = [
    (problem, row, row[column])
    for name, column, problems in (
        ("special", "expression", problems.special()),
        ("feynman", "formula", problems.feynman()),
    )
    for problem, row in zip(problems.values(), rows(name), strict=True)
]


@pytest.mark.parametrize(("problem", "row", "text"), CASES, ids=[case[0].name for case in CASES])
def test_each_problem_is_the_function_of_its_line(
    problem: problems.KnownFunction, row: dict[str, str], text: str
) -> None:
    x, y = problem.sample(300, seed=3)
    columns = {variable.name: column for variable, column in zip(problem.variables, x.T, strict=True)}
    called = {name: getattr(scipy_special, name) for name in dir(scipy_special)} | FUNCTIONS
    expected = value(ast.parse(text, mode="eval"), called | {"pi": math.pi} | columns)
    assert numpy.isfinite(y).all()
    numpy.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-14)
    ranges = dict(part.split(":", 1) for part in row["ranges"].split())
    assert list(ranges) == [variable.name for variable in problem.variables]
    for variable in problem.variables:
        ends = [value(ast.parse(end, mode="eval"), {"pi": math.pi}) for end in ranges[variable.name].split(":")]
        assert [variable.low, variable.high] == pytest.approx(ends, rel=1e-15)


@pytest.mark.parametrize(("problem", "row", "text"), CASES, ids=[case[0].name for case in CASES])
def test_published_figures_travel_with_the_problem(
    problem: problems.KnownFunction, row: dict[str, str], text: str
) -> None:
    figures = {name: float(cell) for name, cell in row.items() if name.endswith("_rmse")}
    assert {f"{name}_rmse": error for name, error in problem.published.items()} == figures
    assert problem.best_published == min(figures.values())
    assert problem.best_kan == min(error for name, error in figures.items() if name != "mlp_rmse")
    assert problem.shape in problem.shapes.values()
    assert problem.shape[0] == len(problem.variables) and problem.shape[-1] == 1


def test_how_many_there_are_and_what_they_are_called() -> None:
    assert [len(problems()) for problems in (problems.special, problems.feynman, problems.toy)] == [15, 27, 5]
    assert len(PROBLEMS) == 47
    assert all(name == problem.name for name, problem in PROBLEMS.items())
    # Names stand in comma-separated lists on the command line.
    assert not any(set(", ") & set(name) for name in PROBLEMS)


def test_toy_functions() -> None:
    known = problems.toy()
    x = numpy.array([[0.3]])
    assert known["bessel"](x) == pytest.approx(scipy_special.jv(0, 6.0))
    assert known["exp_sin"]([[0.5, 2.0]]) == pytest.approx(math.exp(5))
    assert known["product"]([[0.5, -3.0]]) == pytest.approx(-1.5)
    half = numpy.zeros((1, 100))
    half[0, :50] = 1.0
    assert known["mean_100"](half) == pytest.approx(math.exp(0.5))
    assert known["four"]([[0.5, 0.5, 0.0, 0.5]]) == pytest.approx(math.exp((1 + math.sqrt(0.5)) / 2))
    assert all(problem.best_kan is None for problem in known.values())


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_samples_fill_the_ranges_and_come_again(problem: problems.KnownFunction, untouched_globals: None) -> None:
    x, y = problem.sample(400, seed=1)
    again, y_again = problem.sample(400, seed=1)
    other, _ = problem.sample(400, seed=(1, 1))
    assert (x == again).all() and (y == y_again).all()
    assert not (x == other).any()
    assert x.shape == (400, len(problem.variables)) and y.shape == (400,)
    for column, variable in zip(x.T, problem.variables, strict=True):
        width = variable.high - variable.low
        assert variable.low <= column.min() < variable.low + 0.05 * width
        assert variable.high - 0.05 * width < column.max() <= variable.high
    assert numpy.isfinite(y).all() and y.std() > 0


def test_points_of_another_shape_are_refused() -> None:
    problem = problems.feynman()["I.6.2b"]
    for points in ([1.0, 2.0, 3.0], [[1.0, 2.0]]):
        with pytest.raises(DataError, match="theta, theta1, sigma") as caught:
            problem(points)
        assert is_one_sentence(str(caught.value))


def test_without_scipy_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    for ask in (problems.special, lambda: problems.toy()["bessel"]([[0.5]])):
        with pytest.raises(OptionError, match=r"-e '\.\[bench\]'") as caught:
            ask()
        assert is_one_sentence(str(caught.value))
    assert len(problems.feynman()) == 27
