"""Curves to coefficients, and curves on other knots."""

from __future__ import annotations

import pytest
import torch
from spline_cases import DEGREES, KINDS, make_knots, points_inside, uniform_random
from torch import Tensor

from superpose.spline import breakpoints, extended_knots, fitting, reference, split_breakpoints


def curves(knots: Tensor, degree: int, coefficients: Tensor, x: Tensor) -> Tensor:
    basis = reference.dense_basis(knots, degree, "none", x)
    return torch.einsum("bir,iro->bio", basis, coefficients)


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("kind", KINDS)
def test_fitting_finds_the_spline_again(degree: int, kind: str) -> None:
    knots = make_knots(kind, degree)
    coefficients = uniform_random(3, knots.shape[1] - degree - 1, 2, seed=1, low=-1)
    x = fitting.sites(breakpoints(knots, degree), degree).T
    y = curves(knots, degree, coefficients, x)
    fitted = fitting.fit_curves(knots, degree, x, y)
    fresh = points_inside(knots, degree)
    again = curves(knots, degree, fitted, fresh)
    torch.testing.assert_close(again, curves(knots, degree, coefficients, fresh), rtol=0, atol=1e-9)
    if kind in ("uniform", "clamped", "adapted"):
        torch.testing.assert_close(fitted, coefficients, rtol=0, atol=1e-9)


def test_an_interval_without_samples_gets_the_smallest_coefficients() -> None:
    knots = make_knots("uniform", 3, 10, inputs=1)
    ends = breakpoints(knots, 3)[0]
    x = ends[0] + (ends[2] - ends[0]) * uniform_random(50, 1, seed=1)
    y = torch.sin(x)[..., None]
    fitted = fitting.fit_curves(knots, 3, x, y)
    assert bool(fitted.isfinite().all())
    assert (curves(knots, 3, fitted, x) - y).abs().max() < 1e-3
    assert fitted[0, 5:].abs().max() < 1e-12


def test_fitting_in_blocks_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    knots = make_knots("adapted", 3, inputs=5)
    x = points_inside(knots, 3)
    y = uniform_random(len(x), 5, 2, seed=2)
    whole = fitting.fit_curves(knots, 3, x, y)
    monkeypatch.setattr(fitting, "_BLOCK_ELEMENTS", 1)
    torch.testing.assert_close(fitting.fit_curves(knots, 3, x, y), whole, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("degree", DEGREES)
def test_curves_move_exactly_to_a_finer_grid(degree: int) -> None:
    old = make_knots("adapted", degree)
    coefficients = uniform_random(3, old.shape[1] - degree - 1, 2, seed=1, low=-1)
    new = extended_knots(split_breakpoints(breakpoints(old, degree), 19), degree)
    moved = fitting.move_curves(old, coefficients, new, degree)
    x = points_inside(old, degree)
    ours, theirs = curves(new, degree, moved, x), curves(old, degree, coefficients, x)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    # By insertion, not by least squares: no rounding where a curve is zero.
    coefficients[:, : degree + 2] = 0.0
    assert bool((fitting.move_curves(old, coefficients, new, degree)[:, : degree + 2] == 0).all())


@pytest.mark.parametrize("degree", DEGREES)
def test_polynomials_move_exactly_to_any_grid(degree: int) -> None:
    old, new = make_knots("uniform", degree, seed=1), make_knots("adapted", degree, 5, seed=1)
    # Within the old domain, beyond which only straight lines go on as they were.
    points = breakpoints(new, degree)
    low, high = breakpoints(old, degree)[:, :1], breakpoints(old, degree)[:, -1:]
    span = points[:, -1:] - points[:, :1]
    new = extended_knots(low + (high - low) * (points - points[:, :1]) / span, degree)
    x = fitting.sites(breakpoints(old, degree), degree).T
    powers = torch.stack([x**n for n in range(degree + 1)], -1)
    coefficients = fitting.fit_curves(old, degree, x, powers)
    moved = fitting.move_curves(old, coefficients, new, degree)
    inside = points_inside(new, degree)
    expected = torch.stack([inside**n for n in range(degree + 1)], -1)
    torch.testing.assert_close(curves(new, degree, moved, inside), expected, rtol=1e-9, atol=1e-9)


def test_a_straight_line_moves_exactly_to_a_wider_grid() -> None:
    old = make_knots("uniform", 3, inputs=1)
    x = points_inside(old, 3)
    coefficients = fitting.fit_curves(old, 3, x, (2 * x - 1)[..., None])
    new = extended_knots(breakpoints(old, 3) * 3, 3)
    moved = fitting.move_curves(old, coefficients, new, 3)
    places = points_inside(new, 3)
    expected = (2 * places - 1)[..., None]
    torch.testing.assert_close(curves(new, 3, moved, places), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_powers_are_splines_exactly(degree: int, kind: str) -> None:
    knots = make_knots(kind, degree)
    x = points_inside(knots, degree, 50)
    rows = fitting.powers(knots, degree, degree)
    basis = reference.dense_basis(knots, degree, "none", x)
    curves = torch.einsum("bir,irj->bij", basis, rows)
    torch.testing.assert_close(curves, torch.stack([x**j for j in range(1, degree + 1)], -1), rtol=1e-9, atol=1e-9)
