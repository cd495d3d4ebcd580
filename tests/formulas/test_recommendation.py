"""The front of formulas: which stand on it, why one is recommended, and where it is shown."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sympy
import torch

import superpose
from helpers import is_one_sentence
from superpose import plot, report
from superpose.cli import console
from superpose.errors import OptionError
from superpose.formulas import Formula, recommendation
from superpose.formulas.recommendation import EXACT, Finding
from superpose.tasks.regression.search import DiscoverOptions, Result, discover
from tasks.test_discover import LIMIT, hello, table
from test_report import page, result


def finding(nodes: int, error: float) -> Finding:
    formula: Any = SimpleNamespace(complexity=nodes)
    return Finding(formula, None, error, error)  # type: ignore[arg-type]


def row(nodes: int, error: float | None, *, best: bool = False, formula: str = "x + y") -> dict[str, Any]:
    return {"complexity": nodes, "formula": formula, "rmse": error, "recommended": best}


ROWS = [row(3, 0.2), row(9, 1e-3, best=True, formula="x*sin(y) + 1"), row(30, 9e-4, formula="x*" * 200 + "y")]


def test_no_formula_of_the_front_is_surpassed_but_for_the_recommended_one() -> None:
    found = [finding(3, 0.5), finding(4, 0.6), finding(9, 0.01), finding(9, 0.02), finding(20, 0.009)]
    assert [f.error for f in recommendation.front(found, None)] == [0.5, 0.01, 0.009]
    assert [f.error for f in recommendation.front(found, found[1])] == [0.5, 0.6, 0.01, 0.009]
    assert recommendation.front([], None) == []
    # The recommended form, found once more, is not listed twice.
    found = [finding(5, 0.3), finding(9, 0.0099999), finding(9, 0.01), finding(9, 0.009)]
    assert [f.error for f in recommendation.front(found, found[2])] == [0.3, 0.009, 0.01]
    assert "error of another formula of the same size is 10% smaller" in recommendation.reason(
        [(5, 0.3), (9, 0.009), (9, 0.01)], 2, law="Michaelis-Menten"
    )


def test_a_form_that_is_written_in_two_ways_is_listed_once() -> None:
    a, b = sympy.symbols("a b", positive=True)
    x = torch.rand(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1
    y = 2 * (x[:, 0] / x[:, 1]).sqrt()
    y += 0.01 * torch.randn(50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    data = superpose.Dataset.from_arrays(x, y, feature_names=["a", "b"])

    def found(expression: sympy.Expr, nodes: int, error: float) -> Finding:
        formula: Any = SimpleNamespace(complexity=nodes, torch=Formula((expression,), (a, b), ("a", "b"), ("y",)).torch)
        return Finding(formula, None, error, error)  # type: ignore[arg-type]

    line, one = found(a / b + 1, 5, 0.2), found(2.0001 * sympy.sqrt(a / b), 6, 0.01)
    two, more = found(2 * sympy.sqrt(a) / sympy.sqrt(b), 8, 0.00999), found(2 * sympy.sqrt(a / b) + 0.01 * a, 9, 0.005)
    # The recommended writing is kept, else the simplest; a form that differs by more than the noise shows stays.
    assert recommendation.front([line, one, two, more], two, data) == [line, two, more]
    assert recommendation.front([line, one, two, more], None, data) == [line, one, more]


@pytest.mark.parametrize(
    ("listed", "place", "complete", "parts"),
    [
        ([(5, 0.3)], 0, False, ["only one"]),
        ([(5, 0.3)], 0, True, ["no structure"]),
        ([(5, 1e-14)], 0, False, [f"{EXACT:.0e}"]),
        ([(3, 0.6), (5, 0.3)], 1, False, ["simpler formula is 2 times as large", "none that was found does better"]),
        ([(3, 0.3), (5, 0.297)], 0, False, ["of the next larger formula, with 2 more nodes, is 1% smaller"]),
        (
            [(3, 0.3), (5, 0.2), (6, 0.2)],
            1,
            True,
            ["no structure", "50% larger", "larger one, with 1 more node, is as large"],
        ),
        ([(3, math.inf), (5, 0.2)], 1, False, ["infinite"]),
        ([(3, 0.5), (5, 0.0), (9, 0.0)], 1, False, ["every row", "infinite"]),
    ],
)
def test_the_reason_compares_with_both_neighbours(
    listed: list[tuple[int, float]], place: int, complete: bool, parts: list[str]
) -> None:
    text = recommendation.reason(listed, place, complete=complete)
    assert all(part in text for part in parts), text
    assert text.startswith("recommended because") and text.count("recommended") == 1
    assert "and and" not in text and ", , " not in text


@pytest.mark.parametrize(("own", "test"), [(0.01, 0.1), (0.01, math.inf), (0.3, 3.0), (1e-14, 0.5), (1e-12, 1e-8)])
def test_the_reason_follows_what_the_test_rows_show(own: float, test: float) -> None:
    said = recommendation.reason([(3, 1.0), (5, own)], 1, complete=True, test_error=test)
    assert "held out for the test" in said and f"{test:.2g} of the target's spread" in said
    assert "no structure" not in said and "gives every row to" not in said
    # Few rows that were held out err twice as much as the others by chance.
    usual = recommendation.reason([(3, 1.0), (5, own)], 1, complete=True, test_error=2 * max(own, EXACT))
    assert "held out" not in usual and ("no structure" in usual or "gives every row to" in usual)


def test_the_words_of_a_run_follow_its_test_rows(counted_work: None) -> None:
    # The law of the rows that are fitted is another one than that of the rows held out for the test.
    data = table(hello, count=300)
    data.y[data.test] += 3.0
    metrics = discover(data, DiscoverOptions(time_limit=LIMIT, functions=("exp", "sin", "x^2"))).metrics
    assert metrics["formula_rmse"] == pytest.approx(3.0, rel=1e-6)
    words = metrics["recommendation"] + metrics["reason"]
    assert "held out for the test its error is" in words
    assert "no structure" not in words and "gives every row to" not in words


def test_a_run_has_its_front_with_errors_on_held_out_rows_and_a_reason() -> None:
    data = table(hello, noise=1e-3)
    found = discover(data, DiscoverOptions(time_limit=LIMIT, functions=("exp", "sin", "x^2"), shape=(1, 1)))
    front, metrics = found.front, found.metrics
    assert [one["complexity"] for one in metrics["front"]] == [one.complexity for one in front]
    assert [one["rmse"] for one in metrics["front"]] == [one.rmse(data) for one in front]
    assert [one is found.formula for one in front] == [one["recommended"] for one in metrics["front"]]
    assert metrics["recommendation"].startswith("recommended because")
    assert Result(found.network, None, None, found.history, data, {}).front == []


def test_the_terminal_marks_the_recommended_formula(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_front(ROWS, "recommended because", "rmse", "error")
    lines = capsys.readouterr().out.splitlines()
    assert [line[:1] for line in lines] == [" ", " ", "*", " ", "*"]
    assert max(map(len, lines)) <= 100 and lines[3].endswith("...")
    assert "0.001" in lines[2] and "x*sin(y) + 1" in lines[2]


@pytest.mark.parametrize(
    ("rows", "why", "printed"),
    [
        ([], None, ""),
        ([row(3, 0.1, best=True)], "recommended for itself", "recommended for itself\n"),
        ([{"shape": [2, 1], "parameters": 9}], None, ""),
    ],
)
def test_a_front_of_one_or_none_or_of_networks_is_no_table(
    rows: list[dict[str, Any]], why: str | None, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    console.show_front(rows, why, "rmse", "error")
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("width", [40, 80])
def test_the_table_of_a_terminal_fits_into_it(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    console.show_front(ROWS, "because", "rmse", "error")
    *table_lines, _ = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, table_lines)) <= width
    (best,) = [line for line in table_lines if "*" in line[:3]]
    assert "9" in best and "0.001" in best
    assert any(line.rstrip().endswith("…") for line in table_lines)


def shown(figure: Any) -> str:
    return plot.render(figure, "svg").decode()


def test_the_picture_has_a_point_for_each_formula_and_fills_the_recommended_one() -> None:
    text = shown(plot.front(ROWS, target_std=0.5))
    assert text.count('id="formula"') == 2 and text.count('id="recommended"') == 1
    assert "x*sin(y) + 1" in text and "standard deviation of the target" in text
    alone = shown(plot.front([row(4, 0.0, best=True)]))
    assert alone.count('id="recommended"') == 1 and "standard deviation of the target" not in alone
    assert "no formula was found" in shown(plot.front([]))
    assert "1 formula without finite errors left out" in shown(plot.front([*ROWS, row(50, None)]))
    entropies = [{**one, "cross_entropy": 0.3} for one in ROWS]
    assert "cross-entropy" in shown(plot.front(entropies, error="cross_entropy"))


@pytest.mark.parametrize(("rows", "error"), [(ROWS, "rsme"), (ROWS, "cross_entropy"), ([{"shape": [1]}], "rmse")])
def test_a_front_without_such_errors_is_one_sentence(rows: list[dict[str, Any]], error: str) -> None:
    with pytest.raises(OptionError) as caught:
        plot.front(rows, error=error)
    assert is_one_sentence(str(caught.value))


def with_front(rows: list[dict[str, Any]]) -> Any:
    """A result with this front, for the report."""
    made = result()
    a, b = (sympy.Symbol(name, real=True) for name in made.data.feature_names)
    made.front = [Formula.from_expressions([a**2 + b], made.data) for _ in rows]
    made.metrics |= {"front": rows, "recommendation": "recommended because it is the best"}
    return made


def test_the_report_has_the_front_as_a_table_and_a_picture(tmp_path: Path) -> None:
    made = with_front(ROWS)
    paths = report.write(made, tmp_path)
    assert "front.svg" in paths
    words = " ".join(page(tmp_path).words.split())
    assert "Formulas from simple to accurate" in words and "Recommended because it is the best." in words
    alternatives = [attrs["alt"] or "" for tag, attrs in page(tmp_path).tags if tag == "img"]
    assert alternatives.count("a**2 + b") == 3
    (picture,) = [text for text in alternatives if text.startswith("Errors of the formulas")]
    assert "9 nodes 0.001 (recommended)" in picture
    assert json.loads(paths["metrics.json"].read_text())["front"] == ROWS


@pytest.mark.parametrize(
    ("rows", "file"), [([], False), ([row(3, 0.1, best=True)], True), ([{"shape": [2, 1]}], False)]
)
def test_a_report_without_a_choice_has_no_table_of_formulas(
    tmp_path: Path, rows: list[dict[str, Any]], file: bool
) -> None:
    report.write(with_front(ROWS), tmp_path)
    paths = report.write(with_front(rows), tmp_path)
    assert "Formulas from simple to accurate" not in page(tmp_path).words
    assert ("front.svg" in paths) is (tmp_path / "front.svg").exists() is file
