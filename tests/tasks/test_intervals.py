"""Prediction intervals of what a run finds: they hold their share of targets, and are long where errors are large."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy
import pytest
import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.errors import DataError, OptionError
from superpose.formulas import Formula
from superpose.nn import KAN
from superpose.tasks.regression import DiscoverOptions, calibrate, discover
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.error_scale import local_scale
from superpose.tasks.regression.intervals import Found, attach, of_formula, uncertainty
from superpose.tasks.regression.reference import fit_reference
from superpose.train.anova import AnovaSettings, fit_anova, network_of
from superpose.train.anova.fit import top_of

DOUBLE = torch.float64
Law = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def rows(law: Law, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """``count`` rows of two columns in [0, 1], and the law's target with its noise."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, 2, generator=generator, dtype=DOUBLE)
    return x, law(x, torch.randn(count, generator=generator, dtype=DOUBLE))[0]


def uneven(x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """A wave whose errors are ten times larger at one end than at the other."""
    deviation = 0.02 + 0.18 * x[:, 1]
    return torch.sin(4 * x[:, 0]) + deviation * noise, deviation


def exponential(x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Over two decades, with errors of 20%."""
    return (5 * x[:, 0] + x[:, 1] + 0.2 * noise).exp(), torch.full_like(noise, 0.2)


def smooth(law: Law, count: int = 150) -> KAN:
    """The sum of smooth functions for rows of a law, with its intervals."""
    x, y = rows(law, count, 0)
    data = Dataset.from_arrays(x, y, validation=0.0, test=0.0)
    reference = fit_reference(Context.start(data, DiscoverOptions(time_limit=600), lambda event: None))
    assert reference is not None
    attach(data, Found(reference.model, smooth=True), reference, data.validation, reference.choice.fit.deviation)
    return reference.model


def coverage(model: KAN, law: Law, level: float) -> float:
    x, y = rows(law, 5000, 1)
    found = model.predict_interval(x, level)
    return float(((y.numpy() >= found.low[:, 0]) & (y.numpy() <= found.high[:, 0])).mean())


def test_intervals_hold_their_share_and_follow_the_size_of_errors() -> None:
    model = smooth(uneven)
    assert model.uncertainty is not None and model.uncertainty.source == "cross-validation"
    for level in (0.5, 0.9):
        assert coverage(model, uneven, level) == pytest.approx(level, abs=0.07)
    found = model.predict_interval([[0.5, 0.1], [0.5, 0.9]])
    length = (found.high - found.low)[:, 0]
    assert length[1] > 2 * length[0]
    # The size of the errors is 0.182: a normal interval of 90% is 3.29 times as long.
    assert length[1] == pytest.approx(3.29 * 0.182, rel=0.4)
    assert not found.outside.any()


def test_intervals_of_relative_errors_are_relative() -> None:
    model = smooth(exponential)
    assert model.uncertainty is not None and model.uncertainty.log
    assert coverage(model, exponential, 0.9) == pytest.approx(0.9, abs=0.06)
    found = model.predict_interval([[0.1, 0.5], [0.9, 0.5]])
    assert (found.low > 0).all()
    ratio = (found.high / found.low)[:, 0]
    assert ratio[1] == pytest.approx(ratio[0], rel=0.5)


# -- the size of errors


def test_errors_that_are_alike_get_one_size() -> None:
    x, noise = rows(lambda x, noise: (noise, noise), 300, 3)
    scale, sizes = local_scale(x, x[:, 0], noise)
    assert scale is None or float(sizes.log().std()) < 0.3


def test_the_deviation_of_the_evidence_is_kept_as_a_sum_of_curves() -> None:
    x, noise = rows(lambda x, noise: (noise, noise), 30, 4)
    fit = fit_anova(x, torch.sin(3 * x[:, 0]) + 0.1 * noise)
    scale, sizes = local_scale(x, fit.score(x), 0.1 * noise, fit.deviation)
    assert scale is not None
    wanted = fit.deviation(x).log()
    assert float((sizes.log() - wanted).std()) < 0.5 * float(wanted.std())
    far = torch.tensor([[5.0, 0.5], [9.0, 0.5]], dtype=DOUBLE)
    kept, exact = scale(far, fit.score(far)), fit.deviation(far)
    assert float(kept[1] / kept[0]) == pytest.approx(float(exact[1] / exact[0]), rel=0.2)
    assert float(kept[1]) == pytest.approx(float(exact[1]), rel=0.5)


def test_a_law_without_noise_has_intervals_of_rounding() -> None:
    x, y = rows(lambda x, noise: (2 * x[:, 0] + x[:, 1], noise), 100, 5)
    assert local_scale(x, y, 1e-15 * (y - y.mean()))[0] is None


def test_rows_of_small_weight_may_err_more() -> None:
    x, noise = rows(lambda x, noise: (noise, noise), 400, 6)
    weights = torch.where(torch.arange(400) % 2 == 0, 1.0, 0.01).double()
    y = 2 * x[:, 0] + 0.1 * noise / weights.sqrt()
    line = KAN([2, 1], base="none")
    line.layer(0).set_symbolic({(0, 0): ("x", (1.0, 0.0, 2.0, 0.0)), (1, 0): ("0", (1.0, 0.0, 0.0, 0.0))})
    data = Dataset.from_arrays(x, y, weights=weights, validation=0.5, test=0.0)
    model = calibrate(line, data)
    found = model.predict_interval(x)
    # A row of the mean weight has the deviation 0.1 / sqrt(0.505).
    assert float(numpy.median(found.high - found.low)) == pytest.approx(3.29 * 0.1 / 0.505**0.5, rel=0.25)


# -- whole runs


def test_the_models_of_a_run_have_intervals() -> None:
    x, y = rows(lambda x, noise: (x[:, 0] * 3 + 0.1 * noise, noise), 200, 7)
    result = discover(
        Dataset.from_arrays(x, y, validation=0.3), DiscoverOptions(shape=(1,), formula=False, time_limit=3)
    )
    assert result.network.uncertainty is not None and result.network.uncertainty.source == "held-out rows"
    found = result.predict_interval(x)
    assert 0.8 < ((y.numpy() >= found.low[:, 0]) & (y.numpy() <= found.high[:, 0])).mean() <= 1
    assert (found.prediction == result.model.predict(x)).all()


def test_a_formula_errs_as_in_leave_one_out() -> None:
    import sympy

    x, y = rows(lambda x, noise: (2 * x[:, 0] + 0.1 * noise, noise), 60, 8)
    data = Dataset.from_arrays(x, y, validation=0.0, test=0.0)
    slope = float((x[:, 0] @ y) / (x[:, 0] @ x[:, 0]))
    formula = Formula.from_expressions([slope * sympy.Symbol("x1", real=True)], data)
    errors = of_formula(data, formula, data.train)
    # Exact for a line through the origin.
    others = [float((x[keep, 0] @ y[keep]) / (x[keep, 0] @ x[keep, 0])) for keep in ~torch.eye(60, dtype=torch.bool)]
    assert torch.allclose(errors.predictions[:, 0], torch.tensor(others) * x[:, 0], rtol=1e-5)
    assert errors.freedom == 59


def test_without_two_errors_there_are_no_intervals() -> None:
    x, y = rows(uneven, 30, 9)
    data = Dataset.from_arrays(x, y, validation=0.0, test=0.0)
    model = KAN([2, 1])
    with pytest.raises(DataError, match="'validation' has 0 rows"):
        calibrate(model, data)
    with pytest.raises(DataError, match="other features"):
        calibrate(KAN([3, 1]), data)
    with pytest.raises(OptionError, match="no split"):
        calibrate(model, data, "training")  # type: ignore[arg-type]
    errors = of_formula(data, Formula.of(KAN([2, 1]), data), data.train)
    assert uncertainty(data, model, errors) is not None


# -- beyond the data


@pytest.mark.parametrize("interactions", [False, True])
@pytest.mark.parametrize("log_target", [False, True])
def test_beyond_the_data_functions_go_on_as_straight_lines(interactions: bool, log_target: bool) -> None:
    x, y = rows(lambda x, noise: (1.5 + torch.sin(5 * x[:, 0]) * x[:, 1] + 0.01 * noise, noise), 200, 10)
    fit = fit_anova(x, y, AnovaSettings(interactions=interactions, log_target=log_target))
    model = network_of(fit, ("a", "b"), ("f",))
    steps = torch.linspace(2, 4, 9, dtype=DOUBLE)
    along_one = torch.stack([steps, torch.full_like(steps, 0.5)], 1)
    along_both = torch.stack([steps, -steps], 1)
    with torch.no_grad():
        one, both = model(along_one)[:, 0], model(along_both)[:, 0]
    if log_target:
        # An exponential ends at the largest target: beyond, the target itself is a straight line of the score.
        top = math.exp(top_of(fit.ends))
        one, both = (torch.where(some > top, math.log(top) + some / top - 1, some.log()) for some in (one, both))
        assert torch.allclose(one, fit.score(along_one), rtol=0.01) and bool((one > math.log(top)).any())
        one, both = fit.score(along_one), fit.score(along_both)
    assert float(one.diff(n=2).abs().max()) < 1e-9 * float(one.abs().max())
    # A product of two straight lines is a parabola.
    assert float(both.diff(n=3).abs().max()) < 1e-9 * float(both.abs().max())
    assert interactions or float(both.diff(n=2).abs().max()) < 1e-9 * float(both.abs().max())
