"""The band of an edge: two standard errors, which hold the true curve about as often as they should."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from superpose import KAN, Dataset, fit, plot
from superpose.nn import Head
from superpose.plot.curve_errors import curve_errors

DOUBLE = torch.float64


def problem(rows: int, seed: int, noise: float = 0.2) -> tuple[Dataset, Tensor]:
    """Two curves with noise, and their values ``[N, 2]``."""
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(rows, 2, generator=generator, dtype=DOUBLE) - 1
    curves = torch.stack([3 * torch.sin(3 * x[:, 0]), x[:, 1] ** 2], 1)
    y = curves.sum(1, keepdim=True) + noise * torch.randn(rows, 1, generator=generator, dtype=DOUBLE)
    return Dataset.from_arrays(x, y), curves


def test_two_standard_errors_hold_the_true_curve() -> None:
    inside, sizes = [], []
    for seed in range(5):
        data, truth = problem(300, seed)
        model = KAN([2, 1], grid_size=8, seed=seed)
        fit(model, data, steps=15)
        errors = curve_errors(model, data)
        assert errors is not None
        scaled = model.scale_inputs(data.x)
        for i in range(2):
            curve = model.layer(0).edge_function(i, 0, scaled[:, i]).detach() * model.output_scale[0]
            error = errors.at((0, i, 0), scaled[:, i])
            assert error is not None
            error = error * model.output_scale[0]
            wrong = (curve - curve.mean()) - (truth[:, i] - truth[:, i].mean())
            inside.append(float((wrong.abs() <= 2 * error).double().mean()))
            sizes.append(float((wrong.square().mean() / error.square().mean()).sqrt()))
    assert np.mean(inside) > 0.85 and 0.6 < np.mean(sizes) < 1.5


def test_a_picture_of_an_edge_has_its_band_in_the_units_of_its_axes() -> None:
    data, _ = problem(100, 0)
    model = KAN([2, 2, 1], seed=0)
    fit(model, data, steps=5)
    for edge in ((0, 0, 1), (1, 1, 0)):
        picture = plot.edge(model, data, *edge)
        numbers = plot.data(picture)
        errors = curve_errors(model, data)
        assert errors is not None and (numbers.standard_error > 0).all()
        n, i, _ = edge
        scaled = torch.tensor(numbers.x.to_list(), dtype=DOUBLE)
        scaled = (scaled - model.input_center[i]) / model.input_scale[i] if n == 0 else scaled
        expected = errors.at(edge, scaled)
        assert expected is not None
        expected = expected * (model.output_scale[0] if n else 1.0)
        np.testing.assert_allclose(numbers.standard_error, expected, rtol=1e-6)
        band = [part for part in picture.axes[0].collections if part.get_gid() == "band"]
        assert len(band) == 1
    assert plot.data(plot.edge(model, data.x, 0, 0, 1)).standard_error.isna().all()


def test_more_rows_make_the_errors_smaller_and_places_without_rows_larger() -> None:
    def mean_error(rows: int) -> float:
        data, _ = problem(rows, 0)
        model = KAN([2, 1], seed=0)
        fit(model, data, steps=8)
        errors = curve_errors(model, data)
        assert errors is not None
        inner, outer = (errors.at((0, 0, 0), torch.tensor([place], dtype=DOUBLE)) for place in (0.5, 1.5))
        assert inner is not None and outer is not None and float(outer) > 2 * float(inner)
        return float(inner)

    assert mean_error(100) > 2 * mean_error(1600)


def test_symbolic_edges_have_the_errors_of_their_constants() -> None:
    """Of a straight line through rows, those of the textbook."""
    data, _ = problem(50, 0)
    model = KAN([2, 1], seed=0)
    model.layer(0).set_symbolic({(0, 0): ("x", (1.0, 0.0, 1.0, 0.0)), (1, 0): ("0", (1.0, 0.0, 1.0, 0.0))})
    fit(model, data, steps=5)
    errors = curve_errors(model, data)
    assert errors is not None
    x = data.x[:, 0]
    rest = data.y[:, 0] - model(data.x).detach()[:, 0]
    slope_error = (rest.square().sum() / (50 - 2) / (x - x.mean()).square().sum()).sqrt()
    found = errors.at((0, 0, 0), model.scale_inputs(data.x)[:, 0])
    assert found is not None
    expected = (x - x.mean()).abs() * slope_error
    np.testing.assert_allclose(found * model.output_scale[0], expected, rtol=0.03)


def test_what_has_no_errors() -> None:
    data, _ = problem(50, 0)
    assert curve_errors(KAN([2, 30, 30, 1]), data) is None
    classifier = KAN([2, 1])
    classifier.head = Head("sigmoid", ("a", "b"))
    assert curve_errors(classifier, data) is None
