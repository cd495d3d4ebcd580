"""The definition of the splines, against SciPy and by their own properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline
from spline_cases import DEGREES, KINDS, make_knots, points_inside, points_outside
from torch import Tensor

from superpose.spline import breakpoints, edge_sum, grad_coefficients, grad_input, reference

every_spline = pytest.mark.parametrize(("degree", "kind"), [(degree, kind) for degree in DEGREES for kind in KINDS])


def scipy_basis(knots: Tensor, degree: int, x: Tensor, order: int) -> Tensor:
    """Every B-spline's derivative at every point, ``[B, I, R]``, by SciPy in float64."""
    count = knots.shape[1] - degree - 1
    columns = []
    for row, places in zip(knots.double().numpy(), x.double().numpy().T, strict=True):
        spline = BSpline(row, np.eye(count), degree, extrapolate=False)
        columns.append(torch.from_numpy(spline(places, nu=order)))
    return torch.stack(columns, 1)


@every_spline
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)], ids=str)
def test_values_and_derivatives_are_scipys(degree: int, kind: str, dtype: torch.dtype, tolerance: float) -> None:
    knots = make_knots(kind, degree).to(dtype)
    x = points_inside(knots, degree)
    if kind == "coincident at the ends":
        # SciPy looks for the right end in the empty last interval.
        x = x[(x < breakpoints(knots, degree)[:, -1]).all(1)]
    if dtype == torch.float32:
        # A derivative of full degree jumps at the breakpoints, and rounding decides on which side.
        x = x[: -knots.shape[1] + 2 * degree]
    for order in range(degree + 1):
        ours = reference.dense_basis(knots, degree, "none", x, order)
        theirs = scipy_basis(knots, degree, x, order)
        assert bool(theirs.isfinite().all())
        # Each derivative costs a division by the knots' distance: errors are as large as the
        # largest value of the same order allows.
        scale = theirs.abs().amax(-1, keepdim=True).clamp(min=1.0)
        assert ours.dtype == dtype
        assert ((ours - theirs).abs() / scale).max() < tolerance, order


@given(data=st.data(), degree=st.integers(0, 5), grid_size=st.integers(1, 9))
@settings(max_examples=150)
def test_the_basis_sums_to_one_on_any_knots(data: st.DataObject, degree: int, grid_size: int) -> None:
    size = grid_size + 2 * degree + 1
    gaps = data.draw(st.lists(st.sampled_from([0.0, 0.01, 0.3, 1.0]), min_size=size, max_size=size))
    gaps[degree + grid_size // 2 + 1] = 0.5  # at least one interval of the domain is not empty
    knots = torch.tensor([gaps], dtype=torch.float64).cumsum(-1)
    x = torch.cat([points_inside(knots, degree, 20), points_outside(knots, degree, 5)])
    values, first = reference.active_basis(knots, degree, x)
    assert bool(values.isfinite().all())
    torch.testing.assert_close(values.sum(-1), torch.ones_like(x), rtol=0, atol=1e-9)
    assert first.min() >= 0 and first.max() + degree < size - degree - 1
    slopes, _ = reference.active_basis(knots, degree, x, 1)
    scale = slopes.abs().amax(-1).clamp(min=1)
    assert (slopes.sum(-1).abs() / scale).max() < 1e-9
    inside = points_inside(knots, degree, 20)
    assert reference.active_basis(knots, degree, inside)[0].min() > -1e-12


@every_spline
def test_a_basis_function_lives_on_its_own_knots_only(degree: int, kind: str) -> None:
    knots = make_knots(kind, degree)
    x = points_inside(knots, degree)
    basis = reference.dense_basis(knots, degree, "none", x)
    count = knots.shape[1] - degree - 1
    low, high = knots[:, :count], knots[:, degree + 1 :]
    outside = (x[..., None] < low) | (x[..., None] > high)
    assert basis[outside].abs().max() == 0
    assert int((basis != 0).sum(-1).max()) <= degree + 1
    # And so a coefficient changes the curve there and nowhere else.
    coefficients = torch.zeros(knots.shape[0], count, 1, dtype=torch.float64)
    coefficients[:, count // 2] = 1.0
    curves = torch.einsum("bir,iro->bi", basis, coefficients)
    assert bool((curves[outside[..., count // 2]] == 0).all())


@every_spline
def test_outside_the_grid_a_spline_is_the_straight_line_of_its_end(degree: int, kind: str) -> None:
    knots = make_knots(kind, degree)
    x = points_outside(knots, degree)
    ends = breakpoints(knots, degree)
    nearest = torch.where(x < ends[:, 0], ends[:, 0], ends[:, -1])
    value = reference.dense_basis(knots, degree, "none", nearest)
    slope = reference.dense_basis(knots, degree, "none", nearest, 1)
    line = value + slope * (x - nearest)[..., None]
    scale = line.abs().amax().clamp(min=1)
    dense = [reference.dense_basis(knots, degree, "none", x, order) for order in range(degree + 3)]
    assert ((dense[0] - line).abs() / scale).max() < 1e-13
    assert torch.equal(dense[1], slope)
    assert all(bool((higher == 0).all()) for higher in dense[2:])


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_coincident_knots_at_the_ends_of_the_domain_leave_end_values_and_slopes(
    degree: int,
) -> None:
    """The empty intervals at the ends are skipped: values run on from the last filled one."""
    knots = make_knots("coincident at the ends", degree)
    ends = breakpoints(knots, degree)[:, [0, -1]]
    step = 1e-9 * (ends[:, 1] - ends[:, 0])[:, None] * torch.tensor([1.0, -1.0])
    at = reference.dense_basis(knots, degree, "none", ends.T)
    near = reference.dense_basis(knots, degree, "none", (ends + step).T)
    torch.testing.assert_close(at, near, rtol=0, atol=1e-6)
    assert bool(at.isfinite().all())


@pytest.mark.parametrize("order", range(6))
def test_derivatives_of_silu_are_autograds(order: int) -> None:
    x = torch.linspace(-6, 6, 41, dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.silu(x)
    for _ in range(order):
        (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    torch.testing.assert_close(reference.base_function("silu", x, order).detach(), y.detach(), rtol=1e-12, atol=1e-12)


def test_the_identity_and_unknown_bases() -> None:
    x = torch.tensor([-2.0, 0.5])
    assert reference.base_function("identity", x).tolist() == [-2.0, 0.5]
    assert reference.base_function("identity", x, 1).tolist() == [1.0, 1.0]
    assert reference.base_function("identity", x, 2).tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="unknown base function 'relu'"):
        reference.base_function("relu", x)


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("base", reference.BASES)
@pytest.mark.parametrize("order", [0, 1, 2, 4])
def test_nan_in_gives_nan_out(degree: int, base: str, order: int) -> None:
    knots = make_knots("uniform", degree, inputs=2)
    rows = reference.row_count(knots, degree, base)
    x = torch.tensor([[0.0, float("nan")], [0.0, 0.0]], dtype=torch.float64)
    coefficients = torch.ones(2, rows, 3, dtype=torch.float64)
    y = edge_sum(None, coefficients, x, knots, degree, base, order)
    assert bool(y[0].isnan().all()) and bool(y[1].isfinite().all())
    z = grad_input(torch.ones_like(y), coefficients, x, knots, degree, base, order)
    assert z.isnan().tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize("base", reference.BASES)
def test_an_empty_batch_is_a_batch(base: str) -> None:
    knots = make_knots("uniform", 3, inputs=2)
    rows = reference.row_count(knots, 3, base)
    x, g = torch.zeros(0, 2, dtype=torch.float64), torch.zeros(0, 4, dtype=torch.float64)
    coefficients = torch.ones(2, rows, 4, dtype=torch.float64)
    assert edge_sum(None, coefficients, x, knots, 3, base).shape == (0, 4)
    assert grad_input(g, coefficients, x, knots, 3, base).shape == (0, 2)
    pulled = grad_coefficients(x, g, x, knots, 3, base)
    assert pulled.shape == (2, rows, 4) and bool((pulled == 0).all())


@pytest.mark.parametrize("base", reference.BASES)
@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_contractions_are_the_trilinear_form_and_blocks_change_nothing(
    base: str, order: int, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    knots = make_knots("adapted", 3)
    x = torch.cat([points_inside(knots, 3), points_outside(knots, 3)])
    rows = reference.row_count(knots, 3, base)
    generator = torch.Generator().manual_seed(0)
    coefficients = torch.randn(3, rows, 4, generator=generator, dtype=torch.float64)
    v = torch.randn(x.shape, generator=generator, dtype=torch.float64) if weighted else None
    g = torch.randn(len(x), 4, generator=generator, dtype=torch.float64)
    ones = torch.ones_like(x) if v is None else v
    basis = reference.dense_basis(knots, 3, base, x, order)
    form = (knots, 3, base, order)
    expected = (
        torch.einsum("bi,bir,iro->bo", ones, basis, coefficients),
        torch.einsum("bo,bir,iro->bi", g, basis, coefficients),
        torch.einsum("bi,bo,bir->iro", ones, g, basis),
    )

    def found() -> tuple[Tensor, ...]:
        return (
            edge_sum(v, coefficients, x, *form),
            grad_input(g, coefficients, x, *form),
            grad_coefficients(v, g, x, *form),
        )

    for ours, theirs in zip(found(), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-9)
    monkeypatch.setattr(reference, "_BLOCK_ELEMENTS", 7 * 3 * rows)
    for ours, theirs in zip(found(), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-9)


def test_a_basis_function_is_one_cubic_on_known_knots() -> None:
    """The cardinal cubic B-spline: 1/6, 2/3, 1/6 at its inner knots, slopes 1/2, 0, -1/2."""
    knots = torch.arange(-3.0, 8.0, dtype=torch.float64)[None]
    x = torch.arange(0.0, 5.0, dtype=torch.float64)[:, None]
    # Of the seven on [0, 4], number 3 has its knots at 0 .. 4.
    values = reference.dense_basis(knots, 3, "none", x)[:, 0, 3]
    slopes = reference.dense_basis(knots, 3, "none", x, 1)[:, 0, 3]
    bends = reference.dense_basis(knots, 3, "none", x, 2)[:, 0, 3]
    close = {"rtol": 0, "atol": 1e-15}
    expected = torch.tensor([0, 1 / 6, 2 / 3, 1 / 6, 0], dtype=torch.float64)
    torch.testing.assert_close(values, expected, **close)
    expected = torch.tensor([0, 0.5, 0, -0.5, 0], dtype=torch.float64)
    torch.testing.assert_close(slopes, expected, **close)
    expected = torch.tensor([0, 1, -2, 1, 0], dtype=torch.float64)
    torch.testing.assert_close(bends, expected, **close)
