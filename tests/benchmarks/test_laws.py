"""Laws as data: what their text says is what they compute, in NumPy and in SymPy, and no text is run."""

from __future__ import annotations

import ast
import csv
import hashlib
import math

import numpy
import pytest
import sympy
from test_problems import FUNCTIONS, value

from benchmarks import problems
from benchmarks.problems import KnownLaw
from benchmarks.problems.expressions import numeric, symbolic
from helpers import ROOT, is_one_sentence
from superpose import DataError
from superpose.nn.symbolic_functions import torch_function

TABLES = {"equations.csv": problems.equations(), "laws.csv": problems.laws()}
LAWS = [law for table in TABLES.values() for law in table.values()]


def test_the_equations_are_those_that_were_handed_over() -> None:
    data = (ROOT / "benchmarks/problems/equations.csv").read_bytes()
    assert hashlib.sha256(data).hexdigest() == ("dbcae2da0cea93c6f36aa888ef228e4f1a2f75a6b3b387f5e508f9121c3d37b4")


def test_a_hundred_equations_and_nine_laws_as_their_tables_say() -> None:
    assert [len(table) for table in TABLES.values()] == [100, 9]
    for name, table in TABLES.items():
        with (ROOT / "benchmarks/problems" / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["name"] for row in rows] == list(table)
        for row, law in zip(rows, table.values(), strict=True):
            assert (law.name, law.output, law.title) == (row["name"], row["output"], row["formula"])
            ranges = [f"{v.name}:{v.low:g}:{v.high:g}" for v in law.variables]
            assert " ".join(ranges) == row["variables"]
            assert law.output not in [v.name for v in law.variables]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_text_array_and_expression_say_the_same(law: KnownLaw) -> None:
    x, y = law.sample(300, 5)
    assert numpy.isfinite(y).all() and y.std() > 0
    columns = {v.name: column for v, column in zip(law.variables, x.T, strict=True)}
    called = FUNCTIONS | {"tanh": numpy.tanh, "pi": math.pi}
    numpy.testing.assert_allclose(y, value(ast.parse(law.title, mode="eval"), called | columns), rtol=1e-13)
    expression = law.expression
    assert expression.free_symbols <= set(law.symbols) and not expression.atoms(sympy.Float)
    values = numpy.array([float(expression.subs(dict(zip(law.symbols, row, strict=True)))) for row in x[:3]])
    numpy.testing.assert_allclose(values, y[:3], rtol=1e-11)
    import torch

    walked = torch_function(expression, law.symbols)(*torch.as_tensor(x).unbind(-1)).numpy()
    numpy.testing.assert_allclose(walked, y, rtol=1e-9)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_wider_ranges(law: KnownLaw) -> None:
    for given, wide in zip(law.variables, law.wider, strict=True):
        half = (given.high - given.low) / 2
        assert wide.name == given.name and wide.high == given.high + half
        assert wide.low == (given.low / 2 if given.low >= 0 else given.low - half)
    x, y = law.sample_wider(2000, (0, 3))
    assert 1000 < len(x) == len(y) and numpy.isfinite(y).all()
    # Those that were left out are those that have no value.
    everything = numpy.random.default_rng((0, 3)).uniform(
        [v.low for v in law.wider], [v.high for v in law.wider], (2000, len(law.wider))
    )
    assert len(x) == numpy.isfinite(law(everything)).sum()
    assert (x.max(0) > [v.high for v in law.variables]).all()


def test_names_are_columns_whatever_they_mean_elsewhere() -> None:
    names = ("I", "E_n", "Gamma", "lambd", "beta", "N", "pi", "exp")
    text = "I + E_n*Gamma - lambd/beta + N**2 + pi*exp"
    expression = symbolic(text, {name: sympy.Symbol(name) for name in names})
    assert {symbol.name for symbol in expression.free_symbols} == set(names)
    assert numeric(text, names)(*range(1, 9)) == 1 + 2 * 3 - 4 / 5 + 36 + 7 * 8


@pytest.mark.parametrize(
    "text",
    ["", "x +", "x; y", "x = 1", "z", "f(x)", "x.real", "x[0]", "exp(x, x)", "exp(x=1)", "lambda: x", "x if x else 1",
     "__import__('os')", "().__class__", "'a'", "True", "1j", "x < 1", "not x", "~x", "x // 2", "x % 2", "x @ x",
     "9**9**9", "2**1000000", "1/0 + __name__", "(" * 300 + "x" + ")" * 300, "-" * 3000 + "x", "x" * 30_000,
     "exp(*x)", "[x]", "f'{x}'", "x\x00"],
)  # fmt: skip
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(DataError) as caught:
        symbolic(text, {"x": sympy.Symbol("x")})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_message_says_what_was_not_understood() -> None:
    with pytest.raises(DataError) as caught:
        symbolic("x + system(x)", {"x": sympy.Symbol("x")})
    assert "'system(x)'" in str(caught.value) and is_one_sentence(str(caught.value))
