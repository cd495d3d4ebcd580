"""Sums of smooth functions: bases, strengths, leave-one-out, and the network that computes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from superpose.files import load, save
from superpose.train.anova import AnovaMixture, AnovaSettings, choose_anova, fit_anova, network_of
from superpose.train.anova.evidence import System
from superpose.train.anova.fit import column_bases
from superpose.train.anova.selection import _Selection
from superpose.train.anova.variables import log_columns

DOUBLE = torch.float64


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def table(rows: int = 120, noise: float = 0.1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """sin(3 a) + b c + 3, a fourth column that says nothing and has two values."""
    x = 0.5 + 2.5 * torch.rand(rows, 4, generator=generator(seed), dtype=DOUBLE)
    x[:, 3] = (x[:, 3] > 2).double()
    y = torch.sin(3 * x[:, 0]) + x[:, 1] * x[:, 2] + 3
    return x, y + noise * torch.randn(rows, generator=generator(seed + 1), dtype=DOUBLE)


def halves(rows: int, count: int = 4) -> list[tuple[Tensor, Tensor]]:
    part = torch.randperm(rows, generator=generator(2)) % count
    return [((part != k).nonzero().flatten(), (part == k).nonzero().flatten()) for k in range(count)]


ALL = [
    AnovaSettings(curves=False),
    AnovaSettings(),
    AnovaSettings(relevance=True),
    AnovaSettings(interactions=True),
    AnovaSettings(interactions=True, relevance=True, log_columns=(0, 1, 2)),
    AnovaSettings(interactions=True, log_target=True),
    AnovaSettings(robust=True),
    AnovaSettings(constant=True, curves=False),
]


def test_basis_functions_are_uncorrelated_and_begin_with_the_line() -> None:
    x, _ = table()
    basis = column_bases(x, AnovaSettings())[0]
    values = basis(x[:, 0])
    gram = values.T @ values / len(x)
    assert float((gram - torch.eye(len(gram), dtype=DOUBLE)).abs().max()) < 1e-6
    assert float(values.mean(0).abs().max()) < 1e-9
    assert float(basis.roughness[0]) == 0 and bool((basis.roughness.diff() > 0).all())
    line = (x[:, 0] - x[:, 0].mean()) / (x[:, 0] - x[:, 0].mean()).square().mean().sqrt()
    assert float((values[:, 0] - line).abs().max()) < 1e-9


def test_roughness_is_the_integral_of_the_squared_second_derivative() -> None:
    x, _ = table()
    basis = column_bases(x, AnovaSettings())[0]
    z = torch.linspace(-1, 1, 20001, dtype=DOUBLE)
    values = basis(z * basis.scale + basis.center)
    step = float(z[1] - z[0])
    second = (values[2:] - 2 * values[1:-1] + values[:-2]) / step**2
    # The knots reach a little beyond the rows, and there the functions bend too.
    found = second.square().sum(0) * step
    assert torch.allclose(found[1:4], basis.roughness[1:4], rtol=0.1)


def test_work_by_rows_and_by_columns_is_the_same() -> None:
    rooted = torch.randn(12, 20, generator=generator(), dtype=DOUBLE)
    precision = torch.rand(20, generator=generator(1), dtype=DOUBLE) + 0.1
    rows, columns = System(rooted, None, precision), System(rooted, rooted.T @ rooted, precision)
    moment = torch.randn(20, generator=generator(3), dtype=DOUBLE)
    assert torch.allclose(rows.solve(moment), columns.solve(moment))
    assert torch.allclose(rows.variances(), columns.variances())
    assert torch.allclose(rows.quadratic(rooted), columns.quadratic(rooted))
    assert rows.log_volume() == pytest.approx(columns.log_volume())


@pytest.mark.parametrize("settings", ALL, ids=str)
def test_the_network_computes_the_sum(settings: AnovaSettings, tmp_path) -> None:  # type: ignore[no-untyped-def]
    x, y = table()
    found = fit_anova(x, y, settings)
    model = network_of(found, list("abcd"), ["y"])
    # Products of a thousandth of the noise's variance are left out.
    limit = 0.2 * found.noise * (float(y.max()) if settings.log_target else 1.0)
    with torch.no_grad():
        assert float((model(x)[:, 0] - found.predict(x)).abs().max()) < max(limit, 1e-9)
        save(model, tmp_path / "model.safetensors")
        assert torch.equal(load(tmp_path / "model.safetensors")(x), model(x))


def test_leave_one_out_is_that_of_fits_without_the_row() -> None:
    x, y = table(rows=40)
    found = fit_anova(x, y)
    design, theta = found.design(x), found.solution.theta
    scaled = (y - found.center) / found.scale
    for row in (0, 7, 39):
        others = torch.arange(40) != row
        mean = design[others].mean(0)
        centred, goal = design[others] - mean, scaled[others] - scaled[others].mean()
        # The same penalties on sums over one row less.
        matrix = centred.T @ centred + 40 * torch.diag(found.solution.precision)
        without = torch.linalg.solve(matrix, centred.T @ goal)
        predicted = scaled[others].mean() + (design[row] - mean) @ without
        wanted = found.center + found.scale * float(predicted)
        assert float(found.loo[row]) == pytest.approx(wanted, abs=1e-6 * found.scale)
    assert len(theta) == design.shape[1]


def test_the_noise_and_a_straight_line_are_found() -> None:
    x = torch.rand(300, 3, generator=generator(), dtype=DOUBLE)
    y = 2 * x[:, 0] - x[:, 1] + 0.3 * torch.randn(300, generator=generator(1), dtype=DOUBLE)
    found = fit_anova(x, y)
    assert found.noise == pytest.approx(0.3, rel=0.15)
    assert found.solution.effective < 8


def test_gross_errors_have_little_influence_and_are_named() -> None:
    x = torch.rand(100, 1, generator=generator(), dtype=DOUBLE) * 3
    y = 2.5 * torch.exp(-0.8 * x[:, 0]) + 0.01 * torch.randn(100, generator=generator(1), dtype=DOUBLE)
    y[[3, 50, 77]] += 20
    found = choose_anova(x, y, halves(100), log_target=False)
    clean = 2.5 * torch.exp(-0.8 * x[:, 0])
    assert sorted(found.suspicious.tolist()) == [3, 50, 77]
    assert float((found.fit.predict(x) - clean).abs().max()) < 0.05


def test_interactions_are_chosen_where_there_are_some_and_lines_where_there_are_none() -> None:
    x, y = table(rows=150)
    assert choose_anova(x, y, halves(150)).chosen.settings.interactions
    line = 2 * x[:, 0] - x[:, 1] + 0.5 * torch.randn(150, generator=generator(5), dtype=DOUBLE)
    assert not choose_anova(x, line, halves(150)).chosen.settings.curves


def test_the_candidates_left_where_the_best_is_implausible_are_the_plausible_ones() -> None:
    x, y = table(rows=150)
    first = choose_anova(x, y, halves(150))
    ended = first.fit.predict(x)

    def plausible(predict: Callable[[Tensor], Tensor]) -> bool:
        return not torch.equal(predict(x), ended) and (predict(x) - ended).abs().max() > 1e-6

    found = choose_anova(x, y, halves(150), plausible=plausible)
    # The best of the others, not the simplest.
    assert found.chosen.settings.curves and plausible(found.fit.predict)
    assert {one.settings for one in found.tried} == {one.settings for one in first.tried}
    # Where none is plausible, the first choice stays.
    none = choose_anova(x, y, halves(150), plausible=lambda predict: False)
    assert none.chosen.settings == first.chosen.settings


def test_noise_is_predicted_by_about_its_mean() -> None:
    x = torch.rand(60, 3, generator=generator(), dtype=DOUBLE)
    y = torch.randn(60, generator=generator(1), dtype=DOUBLE)
    found = choose_anova(x, y, halves(60))
    fresh = torch.rand(500, 3, generator=generator(2), dtype=DOUBLE)
    assert float((found.fit.predict(fresh) - y.mean()).square().mean()) < 0.15


def test_a_power_law_over_decades_is_a_line_of_logarithms() -> None:
    x = 10 ** (4 * torch.rand(60, 1, generator=generator(), dtype=DOUBLE))
    y = 3e-4 * x[:, 0] ** 1.7 * torch.exp(0.1 * torch.randn(60, generator=generator(1), dtype=DOUBLE))
    found = choose_anova(x, y, halves(60))
    assert found.chosen.settings.log_target and found.chosen.settings.log_columns == (0,)
    at = torch.tensor([[2.0], [5000.0]], dtype=DOUBLE)
    assert torch.allclose(found.fit.predict(at), 3e-4 * at[:, 0] ** 1.7, rtol=0.1)


def test_bands_of_an_effect_cover_the_truth_at_their_rate() -> None:
    covered = []
    places = torch.linspace(0.1, 0.9, 30, dtype=DOUBLE)
    for seed in range(20):
        x = torch.rand(80, 1, generator=generator(seed), dtype=DOUBLE)
        truth = torch.sin(6 * x[:, 0])
        y = truth + 0.3 * torch.randn(80, generator=generator(100 + seed), dtype=DOUBLE)
        found = fit_anova(x, y)
        value, error = found.effect(0, places)
        wanted = torch.sin(6 * places) - truth.mean()
        covered.append(float(((value - wanted).abs() < 1.96 * error).double().mean()))
    assert 0.88 < sum(covered) / len(covered) <= 0.99


def test_a_mixture_is_the_mean_of_its_parts() -> None:
    x, y = table()
    parts = [fit_anova(x, y, settings) for settings in (ALL[0], ALL[1], ALL[3])]
    mixed = AnovaMixture(tuple(zip((0.5, 0.3, 0.2), parts, strict=True)))
    wanted = 0.5 * parts[0].predict(x) + 0.3 * parts[1].predict(x) + 0.2 * parts[2].predict(x)
    assert torch.allclose(mixed.predict(x), wanted)
    with torch.no_grad():
        made = network_of(mixed, list("abcd"), ["y"])(x)[:, 0]
    assert float((made - wanted).abs().max()) < 0.2 * mixed.noise


def test_a_row_of_weight_two_is_two_rows() -> None:
    x, y = table(rows=40)
    weights = torch.ones(40, dtype=DOUBLE)
    weights[:10] = 2
    settings = replace(AnovaSettings(), curves=False)
    bases = column_bases(x, settings)
    once = fit_anova(x, y, settings, weights=weights, bases=bases)
    twice = fit_anova(torch.cat([x, x[:10]]), torch.cat([y, y[:10]]), settings, bases=bases)
    # The number of rows that penalties and noise are measured by differs, the balance of the rows does not.
    assert float((once.predict(x) - twice.predict(x)).abs().max()) < 0.02


def test_candidates_in_different_variables_are_mixed_and_their_mean_is_one_network() -> None:
    # Few rows do not tell whether the target or its logarithm, a column or its logarithm is the line.
    x = 1 + 4 * torch.rand(25, 2, generator=generator(3), dtype=DOUBLE)
    y = 3 + x[:, 0].sqrt() + 0.3 * x[:, 1] + 0.3 * torch.randn(25, generator=generator(4), dtype=DOUBLE)
    found = choose_anova(x, y, halves(25)).fit
    assert len(found.parts) > 1 and sum(weight for weight, _ in found.parts) == pytest.approx(1)
    variables = {(fit.settings.log_target, fit.settings.log_columns) for _, fit in found.parts}
    assert len(variables) == len(found.parts)
    wanted = torch.stack([weight * fit.predict(x) for weight, fit in found.parts]).sum(0)
    assert torch.allclose(found.predict(x), wanted)
    with torch.no_grad():
        made = found.network(["a", "b"], ["y"])(x)[:, 0]
    assert float((made - wanted).abs().max()) < 0.2 * found.first.noise
    # What the parts differ by adds to the deviation.
    assert bool((found.deviation(x) > 0.9 * min(fit.deviation(x).min() for _, fit in found.parts[:1])).all())


def test_logarithms_are_no_variables_of_columns_that_come_near_zero_unless_they_are_skewed() -> None:
    near = torch.linspace(0.01, 1, 50, dtype=DOUBLE)
    far, decades, constant = near + 0.4, 10 ** (4 * near), torch.ones_like(near)
    columns = torch.stack([near, far, decades, constant, -far], 1)
    assert log_columns(columns) == (1, 2)
    # Of four rows nobody knows whether the next one is positive, unless they span decades.
    assert log_columns(columns[[3, 20, 30, 49]]) == (2,)
    # Below 1, 2, 3, ... of hundreds of rows comes 0; below 7, 8, 9, ... it does not.
    counts = torch.arange(600, dtype=DOUBLE)[:, None] % 20 + torch.tensor([[1.0, 7.0]], dtype=DOUBLE)
    assert log_columns(counts) == (1,)


def test_later_rows_at_zero_and_below_have_values_where_logarithms_are_the_variables() -> None:
    x = torch.rand(80, 2, generator=generator(), dtype=DOUBLE)
    x[:, 0] = 10 ** (4 * x[:, 0])
    y = x[:, 0].log() * (1 + x[:, 1]) + 0.1 * torch.randn(80, generator=generator(1), dtype=DOUBLE)
    fit = fit_anova(x, y, AnovaSettings(log_columns=(0,), interactions=True))
    least = float(x[:, 0].min())
    at = torch.tensor([[0.5 * least, 0.3], [0.1 * least, 0.3], [0.0, 0.3], [-3 * least, 0.3]], dtype=DOUBLE)
    wanted = fit.predict(at)
    assert bool(wanted.isfinite().all())
    # The logarithm goes on down to 1/e of the least value, a straight line below.
    z = fit.bases[0].variable(at[:, 0]) * fit.bases[0].scale + fit.bases[0].scale
    assert torch.allclose(z, torch.tensor([math.log(0.5), 0.1 * math.e - 2, -2.0, -3 * math.e - 2], dtype=DOUBLE))
    with torch.no_grad():
        made = network_of(fit, ["a", "b"], ["y"])(at)[:, 0]
    assert float((made - wanted).abs().max()) < 0.2 * fit.noise


def test_the_largest_values_of_a_skewed_target_are_no_gross_errors() -> None:
    x = torch.rand(120, 1, generator=generator(), dtype=DOUBLE)
    y = torch.exp(x[:, 0] + 0.7 * torch.randn(120, generator=generator(1), dtype=DOUBLE))
    search = _Selection(x, y, halves(120), None, lambda: False)
    search.tour(search.variables(None), robust=False)
    assert not bool(search.gross()[0].any())
    # Without the logarithm they seem to be.
    plain = _Selection(x, y, halves(120), None, lambda: False)
    plain.tour(plain.variables(False), robust=False)
    assert bool(plain.gross()[0].any())
    y[[3, 50]] = 5000.0
    assert {3, 50} <= set(choose_anova(x, y, halves(120)).suspicious.tolist())


@pytest.mark.parametrize("decades", [0.1, 3, 12])
def test_the_exponential_of_a_network_is_exact_over_many_decades(decades: float) -> None:
    x = torch.rand(200, 1, generator=generator(), dtype=DOUBLE)
    y = 10 ** (decades * x[:, 0] - 8) * torch.exp(0.01 * torch.randn(200, generator=generator(1), dtype=DOUBLE))
    fit = fit_anova(x, y, AnovaSettings(log_target=True))
    places = torch.linspace(-0.2, 1.2, 141, dtype=DOUBLE)[:, None]
    with torch.no_grad():
        made = network_of(fit, ["x"], ["y"])(places)[:, 0]
    assert torch.allclose(made, fit.predict(places), rtol=1e-4)
    # Beyond the largest target no exponential goes on.
    assert float(made.max()) < float(y.max()) * (1 + 2.31 * decades) * 10 ** (0.06 * decades)
