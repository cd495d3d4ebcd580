"""Functions that a form leaves open are learnt together with its constants."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import superpose
from superpose.data import Dataset
from superpose.errors import SuperposeError
from superpose.tasks.regression import FormOptions, judge_forms

GENERATOR = np.random.default_rng(0)
T, X = GENERATOR.uniform(0.5, 5, 120), GENERATOR.uniform(-2, 2, 120)
NOISE = GENERATOR.normal(0, 0.02, 120)


def table(y: np.ndarray) -> Dataset:
    return Dataset.from_arrays(np.stack([T, X], 1), y, feature_names=["T", "x"], target_names=["y"])


def test_constants_and_curve_come_back_together() -> None:
    data = table(5 * np.exp(-1.3 * T) + np.sin(2 * X) + NOISE)
    fit = superpose.fit_formula(data, "A*exp(-B*T) + f(x)")
    for name, truth in (("A", 5.0), ("B", 1.3)):
        one = fit.constants[name]
        assert abs(one.value - truth) < 4 * one.standard_error and one.standard_error < 0.05
    at = torch.linspace(-1.9, 1.9, 50, dtype=torch.float64)
    torch.testing.assert_close(fit.formula.splines["f"](at), torch.sin(2 * at), atol=0.04, rtol=0)
    assert fit.rmse == pytest.approx(0.02, rel=0.25) and fit.leave_one_out > fit.rmse
    assert 6 < fit.effective < 20
    assert any("f(x) is nearly" in note and "sin(" in note for note in fit.notes)


def test_what_the_form_has_the_curve_has_not() -> None:
    data = table(2 * X + 1 + np.log(T) + NOISE)
    fit = superpose.fit_formula(data, "c + a*x + f(x) + T*g(T)")
    assert fit.values["a"] == pytest.approx(2, abs=0.05)
    assert not any("not determined" in note for note in fit.notes)
    x = torch.as_tensor(X)
    curve = fit.formula.splines["f"](x)
    assert abs(float(curve.mean())) < 1e-6 * float(curve.abs().max() + 1)
    assert abs(float(((x - x.mean()) * curve).mean())) < 0.02


def test_a_penalty_keeps_the_curve_of_noise_flat() -> None:
    fit = superpose.fit_formula(table(5 * np.exp(-1.3 * T) + NOISE), "A*exp(-B*T) + f(x)")
    assert fit.effective < 10
    assert any("f(x) varies by no more than chance" in note for note in fit.notes)
    assert float(fit.formula.splines["f"](torch.as_tensor(X)).abs().max()) < 0.03


def test_the_run_hands_out_a_network_of_it() -> None:
    data = table(5 * np.exp(-1.3 * T) + np.sin(2 * X) + NOISE)
    result = judge_forms(data, FormOptions(["A*exp(-B*T) + f(x)"], search=False))
    x = data.features(data.train)
    with torch.no_grad():
        torch.testing.assert_close(result.model(x), result.formula.torch(x), atol=1e-8, rtol=0)
    assert result.metrics["formula_rmse"] == pytest.approx(result.fits[0].leave_one_out)
    assert "_f(" in result.formula.python()


@pytest.mark.parametrize(
    "form",
    ["a*f(x) + T", "exp(f(x))", "f(x) + f(T)", "A*f(T) + f", "f(x + 1)", "f*T + f(x)", "spline(x) + a*T", "a.b(x) + T"],
)
def test_where_no_curve_can_be_learnt_it_is_said(form: str) -> None:
    with pytest.raises(SuperposeError) as caught:
        superpose.fit_formula(table(X), form)
    assert "character" in str(caught.value) or "must be added" in str(caught.value)


def test_a_column_of_few_values_has_no_curve() -> None:
    data = Dataset.from_arrays(np.stack([T, (X > 0) * 1.0], 1), T, feature_names=["T", "x"])
    with pytest.raises(SuperposeError, match="2 different values"):
        superpose.fit_formula(data, "a*T + f(x)")
