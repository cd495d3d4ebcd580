"""Constants of a given form: the laws come back from any scale, with the errors that statistics has for them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import superpose
from superpose.data import Dataset
from superpose.errors import DataError, OptionError, SuperposeError
from superpose.formulas import FormulaFit

X = np.linspace(0.1, 10, 40)
T = np.linspace(280, 400, 20)


def table(x: Any, y: Any, **options: Any) -> Dataset:
    x = np.asarray(x)
    return Dataset.from_arrays(x[:, None] if x.ndim == 1 else x, y, feature_names=["x"], target_names=["y"], **options)


@pytest.mark.parametrize(
    ("form", "x", "truth"),
    [
        ("a + b*x", X, [1.0, -2.0]),
        ("V*x/(K + x)", X, [5.0, 2.0]),
        ("V*x/(K + x)", 1e-9 * X, [5e6, 2e-9]),
        ("V*x/(K + x)", 1e12 * X, [5e-6, 2e12]),
        ("V*x^n/(K^n + x^n)", X, [5.0, 2.5, 3.0]),
        ("A*exp(-B/x)", T, [1e10, 6000.0]),
        ("exp(a - b/(x + c))", T - 270, [16.8, 3800.0, 230.0]),
        ("d + A/(1 + exp((m - x)/s))", X, [1.0, 4.0, 4.2, 0.8]),
        ("A*exp(-(x - m)^2/(2*s^2))", X, [3.0, 6.0, 0.4]),
        ("A*sin(w*x + p)", X, [3.0, 7.3, 1.0]),
        ("A*(x + b)^n", X, [3.0, 0.5, -1.7]),
        ("1/(a + b*x)", X, [2.0, 0.3]),
        ("A*(exp(-a*x) - exp(-b*x))", X, [12.0, 0.1, 1.5]),
        ("A*x^3/(exp(b*x) - 1)", X, [2.0, 0.9]),
    ],
)
def test_laws_come_back(form: str, x: np.ndarray, truth: list[float]) -> None:
    parsed = superpose.formulas.parse_form(form, ["x"])
    y = parsed.values([torch.from_numpy(x)], torch.tensor([truth], dtype=torch.float64))[0]
    fit = superpose.fit_formula(table(x, y), form)
    assert list(fit.values.values()) == pytest.approx(truth, rel=1e-6)
    assert fit.rmse < 1e-9 * float(y.std())
    assert fit.formula.rmse(table(x, y)) == pytest.approx(fit.rmse, abs=1e-9 * float(y.std()))


def puromycin() -> Dataset:
    conc = [0.02, 0.02, 0.06, 0.06, 0.11, 0.11, 0.22, 0.22, 0.56, 0.56, 1.10, 1.10]
    rate = [76, 47, 97, 107, 123, 139, 159, 152, 191, 201, 207, 200]
    return Dataset.from_arrays([[c] for c in conc], rate, feature_names=["conc"], target_names=["rate"])


def test_standard_errors_are_those_of_the_textbook() -> None:
    """D. Bates and D. Watts, Nonlinear Regression Analysis, 1988: 212.7 (6.947) and 0.06412 (0.008281), s = 10.93."""
    fit = superpose.fit_formula(puromycin(), "V*conc/(K + conc)")
    v, k = fit.constants["V"], fit.constants["K"]
    assert (v.value, k.value) == pytest.approx((212.68, 0.064121), rel=1e-4)
    assert (v.standard_error, k.standard_error) == pytest.approx((6.947, 0.008281), rel=1e-3)
    assert float(fit.correlations[0, 1]) == pytest.approx(0.7651, abs=1e-3)
    assert fit.rmse * math.sqrt(12 / 10) == pytest.approx(10.93, rel=1e-3)
    assert v.low == pytest.approx(212.68 - 2.228 * 6.947, rel=1e-3)
    assert "V = 212.684 ± 6.9" in repr(fit)


def test_of_a_line_all_figures_are_those_of_linear_regression() -> None:
    generator = np.random.default_rng(0)
    y = 2 * X + 1 + generator.normal(0, 0.5, len(X))
    weights = generator.uniform(0.2, 3, len(X))
    fit = superpose.fit_formula(table(X, y, weights=weights), "a + b*x")
    design = np.stack([np.ones_like(X), X], 1)
    w = weights / weights.mean()
    covariance = np.linalg.inv(design.T @ (w[:, None] * design))
    solved = covariance @ (design.T @ (w * y))
    rest = y - design @ solved
    variance = (w * rest**2).sum() / (len(X) - 2)
    assert list(fit.values.values()) == pytest.approx(solved.tolist(), rel=1e-9)
    errors = [one.standard_error for one in fit.constants.values()]
    assert errors == pytest.approx(np.sqrt(variance * covariance.diagonal()).tolist(), rel=1e-6)
    left_out = []
    for row in range(len(X)):
        kept = np.arange(len(X)) != row
        root = np.sqrt(w[kept])
        without = np.linalg.lstsq(root[:, None] * design[kept], root * y[kept], rcond=None)[0]
        left_out.append(w[row] * (y[row] - design[row] @ without) ** 2)
    assert fit.leave_one_out == pytest.approx(math.sqrt(np.mean(left_out)), rel=1e-6)


def test_bounds_hold_for_constants_that_enter_linearly_and_others() -> None:
    data = table(X, 5 * X / (2 + X))
    fit = superpose.fit_formula(data, "V*x/(K + x)", bounds={"K": (0, 1)})
    assert fit.values["K"] == 1.0 and fit.values["V"] == pytest.approx(4.28345, rel=1e-5)
    assert math.isnan(fit.constants["K"].standard_error) and "at a limit" in fit.notes[0]
    assert superpose.fit_formula(data, "V*x/(K + x)", bounds={"V": (None, 4)}).values["V"] == 4.0
    wave = table(X, 3 * np.sin(7.3 * X + 1))
    assert superpose.fit_formula(wave, "A*sin(-w*x + p)", positive={"w"}).values["w"] > 0
    assert superpose.fit_formula(wave, "A*sin(w*x + p)", start={"w": 7.0}).values["w"] == pytest.approx(7.3)


def test_constants_that_the_table_does_not_determine_are_named() -> None:
    fit = superpose.fit_formula(table(T, 1e10 * np.exp(-6000 / T)), "A*exp(-E/(R*x))")
    assert fit.notes[0].startswith("E and R are not determined")
    assert math.isnan(fit.constants["E"].standard_error) and not math.isnan(fit.constants["A"].standard_error)
    assert fit.correlations.isnan().any(0).tolist() == [True, True, True] and not bool(fit.correlations[0, 0].isnan())
    assert fit.values["E"] / fit.values["R"] == pytest.approx(6000)


def test_signs_and_phases_are_the_plainest() -> None:
    bell = superpose.fit_formula(table(X, 3 * np.exp(-((X - 6) ** 2))), "A*exp(-((x - m)/s)^2)")
    assert bell.values["s"] == pytest.approx(1.0)
    for frequency, phase in ((7.3, 1.0), (2.3, 2.0)):
        wave = superpose.fit_formula(table(X, 3 * np.sin(frequency * X + phase)), "A*sin(w*x + p)").values
        assert wave["w"] == pytest.approx(frequency) and abs(wave["p"]) <= math.pi and wave["A"] > 0


@pytest.mark.parametrize("frequency", [0.4, 20.0, 57.0])
def test_frequencies_up_to_two_rows_in_a_period_are_found(frequency: float) -> None:
    x = np.linspace(0, 10, 200)
    y = 3 * np.sin(frequency * x + 1) + np.random.default_rng(0).normal(0, 0.3, 200)
    fit = superpose.fit_formula(table(x, y), "A*sin(w*x + p)")
    assert fit.values["w"] == pytest.approx(frequency, rel=0.03)


def test_a_start_value_reaches_beyond_what_is_searched() -> None:
    x = np.sort(np.random.default_rng(0).uniform(0, 10, 200))
    data = table(x, 3 * np.sin(95 * x + 1))
    assert superpose.fit_formula(data, "A*sin(w*x + p)").r2 < 0.5
    assert superpose.fit_formula(data, "A*sin(w*x + p)", start={"w": 95.1}).values["w"] == pytest.approx(95)


def test_rows_where_a_start_is_not_finite_do_not_end_the_fit() -> None:
    y = 2 + 3 * np.log(X - 0.05)
    assert superpose.fit_formula(table(X, y), "a + b*log(x - c)").values["c"] == pytest.approx(0.05)


def test_a_form_without_constants_is_judged() -> None:
    fit = superpose.fit_formula(table(X, 2 * X + 0.1), "2*x")
    assert fit.constants == {} and fit.rmse == pytest.approx(0.1)


def test_the_same_seed_gives_the_same_constants() -> None:
    generator = np.random.default_rng(1)
    data = table(X, 5 * np.exp(-0.7 * X) + 2 * np.exp(-0.1 * X) + generator.normal(0, 0.01, len(X)))
    first, second = (superpose.fit_formula(data, "A*exp(-a*x) + B*exp(-b*x)", seed=3).values for _ in range(2))
    assert first == second


def test_more_constants_cost_in_both_criteria() -> None:
    generator = np.random.default_rng(2)
    data = table(X, 2 * X + 1 + generator.normal(0, 0.5, len(X)))
    line, cubic = (superpose.fit_formula(data, form) for form in ("a + b*x", "a + b*x + c*x^2 + d*x^3"))
    assert cubic.rmse < line.rmse
    assert line.aicc < cubic.aicc and line.description_length < cubic.description_length


@pytest.mark.parametrize(
    ("form", "options", "words"),
    [
        ("log(-x)*a", {}, "finite value on no row"),
        ("a*log(x - 0.1) + b", {}, "in row 1 (counting from 1; x = 0.1)"),
        ("+".join(f"a{n}*x^{n}" for n in range(40)), {}, "only 30 rows"),
        ("a*x", {"start": {"x": 1}}, "which is a column"),
        ("a*x", {"bounds": {"A": (0, 1)}}, "did you mean 'a'"),
        ("a*x", {"bounds": {"a": (1, 0)}}, "leave no value"),
        ("a*x", {"bounds": {"a": (0, 1)}, "start": {"a": 2}}, "not within its bounds"),
        ("a*x", {"positive": "a"}, "is a list"),
        ("a*x", {"start": {"a": "2"}}, "must be a number"),
    ],
)
def test_mistakes_are_one_sentence(form: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(SuperposeError) as caught:
        superpose.fit_formula(table(X[:30], X[:30]), form, **options)
    assert words in str(caught.value) and isinstance(caught.value, DataError | OptionError)


def test_the_result_is_a_formula_like_any_other() -> None:
    fit = superpose.fit_formula(puromycin(), "V*conc/(K + conc)")
    assert isinstance(fit, FormulaFit)
    assert "conc" in fit.formula.latex() and "def predict" in fit.formula.python()
    data = puromycin()
    model = superpose.formulas.compile_formula(fit.formula.expression, data.feature_names, data=data)
    assert fit.formula.difference(model, data.features(data.train)) < 1e-9
