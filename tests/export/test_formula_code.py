"""A formula as code says what the formula says, in every language, whatever its columns are called."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import sympy
import torch
from formula_cases import COLUMNS, LAWS, PROGRAMS, RUNNERS, A, B, D, E, formula_of, imported, rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formulas.expressions import real, trees
from superpose.errors import OptionError
from superpose.export import code
from superpose.export.identifiers import comment_text, identifiers
from superpose.export.reserved_words import RESERVED
from superpose.formulas import Formula
from superpose.nn import KAN, library

DOUBLE = torch.float64


def installed(language: str) -> None:
    if language in PROGRAMS and shutil.which(PROGRAMS[language]) is None:
        pytest.skip(f"{PROGRAMS[language]} is not installed")


def close(found: np.ndarray, wanted: np.ndarray) -> None:
    """Relatively, with what is undefined undefined; infinities count as that, since SQL and Excel have none."""
    defined = np.isfinite(wanted)
    assert not np.isfinite(found[~defined]).any()
    np.testing.assert_allclose(found[defined], wanted[defined], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("language", sorted(RUNNERS))
def test_code_has_the_values_of_the_formula(language: str, tmp_path: Path) -> None:
    installed(language)
    formula, x = formula_of(LAWS), rows()
    wanted = formula.predict(x)
    assert np.isnan(wanted).any() and np.isfinite(wanted).all(0).sum() > 19
    close(RUNNERS[language](code(formula, language), x.numpy(), len(LAWS), tmp_path), wanted)


def test_the_laws_hold_every_function_of_the_library() -> None:
    used = {node.func for law in LAWS for node in sympy.preorder_traversal(law)}
    assert {f.expression.func for f in library().values() if f.expression.is_Function} <= used


@pytest.mark.parametrize("language", sorted(RUNNERS))
def test_conditions_of_every_kind(language: str, tmp_path: Path) -> None:
    installed(language)
    pieces = (
        sympy.Piecewise((A, D < 0), (sympy.log(D + 3), sympy.And(D > 1, E <= 1)), (B, True)),
        1 - 2 * sympy.Piecewise((1, sympy.Or(D >= 1, sympy.Not(sympy.Eq(E, 1)))), (0, True)),
        sympy.Max(A, D, E) * sympy.Min(A, B) - sympy.Piecewise((D, sympy.Ne(A, 2)), (1, True)),
        sympy.Piecewise((A, D < 0)),
    )
    x = rows()
    x[0], x[1, 4] = 2.0, 1.0

    def expected(a: float, b: float, c: float, d: float, e: float, f: float) -> list[float]:
        return [
            a if d < 0 else math.log(d + 3) if d > 1 and e <= 1 else b,
            -1 if d >= 1 or e != 1 else 1,
            max(a, d, e) * min(a, b) - (d if a != 2 else 1),
            a if d < 0 else math.nan,
        ]

    wanted = np.array([expected(*row) for row in x.tolist()])
    close(RUNNERS[language](code(formula_of(pieces), language), x.numpy(), len(pieces), tmp_path), wanted)


@pytest.mark.parametrize("language", ["python", "torch", "c", "javascript", "matlab"])
@pytest.mark.parametrize("base", ["silu", "identity"])
def test_edges_that_stayed_splines_become_functions(language: str, base: str, tmp_path: Path) -> None:
    installed(language)
    model = KAN([2, 2], grid_size=4, base=base, seed=1, target_names=["law 0", "law 1"])
    model.layer(0).coefficients.data += torch.randn(
        model.layer(0).coefficients.shape, generator=torch.Generator().manual_seed(2), dtype=DOUBLE
    )
    formula = Formula.of(model)
    line = torch.cat([torch.linspace(-3, 3, 40, dtype=DOUBLE), model.layer(0).knots[0]])
    x = torch.stack([line, line.flip(0)], -1)
    found = RUNNERS[language](code(formula, language), x.numpy(), 2, tmp_path)
    np.testing.assert_allclose(found, formula.predict(x), rtol=1e-12, atol=1e-12)


def test_python_goes_on_beyond_the_largest_number(tmp_path: Path) -> None:
    x, y = sympy.symbols("x y", real=True)
    laws = (
        1 / (1 + sympy.exp(x)),
        y / x,
        x**-3,
        sympy.sinh(x),
        (x + sympy.Float(1e200)) ** 3,
        sympy.log(x),
        sympy.atanh(x),
    )
    module = imported(code(formula_of(laws, ("x", "y")), "python"), tmp_path, {"math"})
    for values in ((1e4, 1.0), (-1e4, 1.0), (0.0, 1.0), (1.0, 0.0), (math.nan, 0.0)):
        found = [getattr(module, f"predict_law_{n}")(*values) for n in range(len(laws))]
        wanted = formula_of(laws, ("x", "y")).torch(torch.tensor(values, dtype=DOUBLE))
        np.testing.assert_array_equal(np.array(found), wanted)


@pytest.mark.parametrize("language", [*RUNNERS, "julia"])
def test_names_stay_out_of_the_code(language: str) -> None:
    names = list("abcdef")
    renamed = {
        sympy.Symbol(old, real=True): sympy.Symbol(new, real=True) for old, new in zip(COLUMNS, names, strict=True)
    }
    plain = code(formula_of([law.xreplace(renamed) for law in LAWS], names), language).splitlines()
    text = code(formula_of(LAWS), language)
    if language == "sql":
        # Quoted names of columns are part of the language, and may hold line breaks.
        for name in COLUMNS:
            text = text.replace('"' + name.replace('"', '""') + '"', '"a"')
    assert text.isascii() and len(text.splitlines()) == len(plain)
    assert "utf-16" not in "".join(text.splitlines()[:2]) and "*/ abort" not in text


NAMES = st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=5, unique=True)


@given(NAMES, st.sampled_from(sorted(RESERVED)))
@settings(max_examples=60)
def test_identifiers_are_different_words(names: list[str], language: str) -> None:
    found = identifiers(names, RESERVED[language])
    assert len({word.lower() for word in found}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,60}", word) for word in found)
    assert not {word.lower() for word in found} & {word.lower() for word in RESERVED[language]}
    for name in names:
        text = comment_text(name)
        assert text.isascii() and text.isprintable() and "*/" not in text and "%" not in text and text.endswith('"')


def test_identifiers_differ_in_more_than_capital_letters() -> None:
    assert identifiers(["flow", "Flow", "IF"], RESERVED["c"]) == ["flow", "Flow_2", "IF_2"]


@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_expressions(tmp_path: Path, data: st.DataObject) -> None:
    expression = data.draw(trees)
    if not real(expression):
        return
    formula = formula_of([expression], ("x", "y"))
    x = torch.rand(20, 2, generator=torch.Generator().manual_seed(1), dtype=DOUBLE) * 4 - 2
    wanted = formula.predict(x)
    usable = np.isfinite(wanted) & (abs(wanted) < 1e12)
    for language in ("python", "excel"):
        found = RUNNERS[language](code(formula, language), x.numpy(), 1, tmp_path)
        error = abs(found - wanted)[usable] / np.maximum(1, abs(wanted[usable]))
        # Conditioning, not the code, decides how many digits are left in a tangent near its pole.
        assert error.max(initial=0) < 1e-8
    assert code(formula, "sql").count("--") == 1


def test_what_a_language_lacks_is_said_in_one_sentence() -> None:
    x = sympy.Symbol("x", real=True)
    with pytest.raises(OptionError, match=r"holds erf, for which there is no code in javascript; choose another"):
        code(formula_of([sympy.erf(x)], ("x",)), "javascript")
    with pytest.raises(OptionError, match=r"holds the number '10+\.\.\.', which is too large for float64"):
        code(formula_of([x * sympy.Float("1e600")], ("x",)), "python")
    with pytest.raises(OptionError, match=r"language must be one of .*, not 'pyhton'; did you mean 'python'"):
        code(formula_of([x], ("x",)), "pyhton")
    with pytest.raises(OptionError, match="3 edges of the formula stayed a spline, which sql cannot hold"):
        code(Formula.of(KAN([2, 1, 1])), "sql")


def test_a_module_of_torch_is_differentiated(tmp_path: Path) -> None:
    x, y = sympy.symbols("x y", real=True)
    laws = (x**2 * sympy.sin(y), sympy.Float(0.1), sympy.exp(2) + sympy.sqrt(2) ** x)
    module = imported(code(formula_of(laws, ("x", "y")), "torch"), tmp_path, {"math", "torch"})
    at = torch.tensor([[1.5, 0.5], [2.0, -1.0]], dtype=DOUBLE, requires_grad=True)
    values = module.Formula()(at)
    (slopes,) = torch.autograd.grad(values[:, 0].sum(), at)
    torch.testing.assert_close(slopes[:, 0], 2 * at[:, 0] * torch.sin(at[:, 1]))
    assert torch.equal(values[:, 1], torch.full((2,), 0.1, dtype=DOUBLE))
    assert module.Formula()(at.float()).dtype == torch.float32


def test_languages_that_formulas_write_themselves() -> None:
    formula = formula_of([A**2 + B])
    assert code(formula, "numpy") == formula.python()
    assert code(formula, "latex") == f"{formula.latex()}\n"
    assert code(formula, "text") == f"{formula}\n"
    assert code(formula, "sympy") == f"{sympy.srepr(formula.expression)}\n"


def test_julia_is_written_without_elementwise_signs_on_numbers() -> None:
    x = sympy.Symbol("x", real=True)
    text = code(formula_of([sympy.log(x) / 3 + x**2], ("x",)), "julia")
    assert "return " in text and "defined(log, x)" in text and "defined(^, x, 2)" in text
