"""Knots: where they lie, and that more of them leave the function as it was."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spline_cases import DEGREES, KINDS, make_knots, points_inside, points_outside, uniform_random
from torch import Tensor

from superpose.spline import (
    adapted_breakpoints,
    breakpoints,
    clamped_knots,
    counts,
    extended_knots,
    insertion_matrix,
    reference,
    split_breakpoints,
    uniform_knots,
    widened_breakpoints,
)


def curve(knots: Tensor, degree: int, coefficients: Tensor, x: Tensor) -> Tensor:
    return torch.einsum("bir,ir->bi", reference.dense_basis(knots, degree, "none", x), coefficients)


def widened(points: Tensor, extra: Tensor) -> Tensor:
    """More breakpoints: ``extra [I, n]`` are shares of the domain."""
    low, high = points[:, :1], points[:, -1:]
    return torch.cat([points, low + (high - low) * extra], -1).sort(-1).values


# -- knot insertion


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outer", [extended_knots, clamped_knots])
def test_inserting_knots_leaves_the_function_inside_and_outside(degree, kind, outer) -> None:
    old = make_knots(kind, degree)
    coefficients = uniform_random(3, old.shape[1] - degree - 1, seed=3, low=-1)
    points = widened(breakpoints(old, degree), uniform_random(3, 6, seed=4))
    x = torch.cat([points_inside(old, degree), points_outside(old, degree)])
    for new in (outer(points, degree), outer(split_breakpoints(points, 30), degree)):
        moved = (insertion_matrix(old, new, degree) @ coefficients[..., None])[..., 0]
        before, after = curve(old, degree, coefficients, x), curve(new, degree, moved, x)
        assert ((before - after).abs() / before.abs().clamp(min=1)).max() < 1e-11
        inside = points_inside(old, degree)
        gap = curve(old, degree, coefficients, inside) - curve(new, degree, moved, inside)
        assert gap.abs().max() < 1e-12


@given(
    degree=st.integers(0, 5),
    grid_size=st.integers(1, 6),
    extra=st.lists(st.sampled_from([0.125, 0.25, 0.5, 0.501, 0.9]), min_size=0, max_size=6),
)
@settings(max_examples=100)
def test_inserted_knots_may_coincide(degree: int, grid_size: int, extra: list[float]) -> None:
    old = uniform_knots(*torch.tensor([[-1.0], [1.0]], dtype=torch.float64), grid_size, degree)
    shares = torch.tensor([extra], dtype=torch.float64)
    new = extended_knots(widened(breakpoints(old, degree), shares), degree)
    coefficients = uniform_random(1, grid_size + degree, seed=grid_size, low=-1)
    moved = (insertion_matrix(old, new, degree) @ coefficients[..., None])[..., 0]
    # At a breakpoint itself a spline of degree 0 belongs to the interval on its right.
    x = torch.linspace(-1, 1, 37, dtype=torch.float64)[:, None]
    before, after = curve(old, degree, coefficients, x), curve(new, degree, moved, x)
    torch.testing.assert_close(after, before, rtol=0, atol=1e-12)


def test_insertion_is_an_average_of_neighbours() -> None:
    """Each new coefficient is an affine combination of the old ones: constants stay constants."""
    old = make_knots("uneven", 3)
    new = extended_knots(split_breakpoints(breakpoints(old, 3), 20), 3)
    matrix = insertion_matrix(old, new, 3)
    assert matrix.shape == (3, 23, 10)
    torch.testing.assert_close(matrix.sum(-1), torch.ones(3, 23, dtype=torch.float64))
    assert int((matrix != 0).sum(-1).max()) <= 4


def test_a_coefficient_that_acts_nowhere_becomes_zero() -> None:
    old = extended_knots(torch.tensor([[-1.0, 1.0]]), 1)
    new = extended_knots(torch.tensor([[-1.0, 0.0, 0.0, 0.0, 1.0]]), 1)
    moved = insertion_matrix(old, new, 1) @ torch.tensor([[[2.0], [4.0]]])
    assert moved.flatten().tolist() == [2, 3, 0, 3, 4]


def test_knots_that_are_not_nested_are_refused() -> None:
    one = uniform_knots(*torch.tensor([[-1.0], [1.0]]), 4, 3)
    other = uniform_knots(*torch.tensor([[-1.0], [1.0]]), 6, 3)
    with pytest.raises(ValueError, match="needs every old breakpoint among the new ones"):
        insertion_matrix(one, other, 3)
    wider = uniform_knots(*torch.tensor([[-1.0], [2.0]]), 6, 3)
    with pytest.raises(ValueError, match="keeps the domain"):
        insertion_matrix(one, wider, 3)
    twice = extended_knots(torch.tensor([[-1.0, 0.0, 0.0, 1.0]]), 3)
    once = extended_knots(torch.tensor([[-1.0, -0.5, 0.0, 0.5, 1.0]]), 3)
    with pytest.raises(ValueError, match="needs every old breakpoint"):
        insertion_matrix(twice, once, 3)
    # One row that is not nested is enough.
    two = torch.cat([one, one])
    with pytest.raises(ValueError, match="needs every old breakpoint"):
        insertion_matrix(two, torch.cat([one, one + 0.0]).index_fill(1, torch.tensor([4]), 0.1), 3)


# -- splitting


@given(
    gaps=st.lists(st.floats(0.01, 10), min_size=1, max_size=8),
    other=st.integers(0, 100),
    more=st.integers(0, 40),
)
def test_split_breakpoints_contain_the_old_ones(gaps: list[float], other: int, more: int) -> None:
    first = torch.tensor([0.0, *gaps], dtype=torch.float64).cumsum(0)
    second = uniform_random(len(gaps) + 1, seed=other, low=0.1).cumsum(0)
    points = torch.stack([first, second])
    new = split_breakpoints(points, len(gaps) + more)
    assert new.shape == (2, len(gaps) + more + 1)
    assert bool((new.diff(dim=-1) > 0).all())
    for old_row, new_row in zip(points.tolist(), new.tolist(), strict=True):
        assert set(old_row) <= set(new_row)


@pytest.mark.parametrize("factor", [1, 2, 3, 10])
@pytest.mark.parametrize("grid_size", [1, 3, 7])
def test_a_multiple_of_an_even_grid_is_even_again(grid_size: int, factor: int) -> None:
    even = torch.linspace(-1, 1, grid_size + 1, dtype=torch.float64)[None]
    new = split_breakpoints(even, grid_size * factor)
    expected = torch.linspace(-1, 1, grid_size * factor + 1, dtype=torch.float64)[None]
    torch.testing.assert_close(new, expected, rtol=0, atol=1e-14)


def test_of_equal_intervals_the_first_are_split_first() -> None:
    even = torch.linspace(-1.3, 0.9, 8, dtype=torch.float64)[None]  # equal up to rounding
    widths = split_breakpoints(even, 9).diff(dim=-1)[0] / (2.2 / 7)
    expected = torch.tensor([0.5] * 4 + [1.0] * 5, dtype=torch.float64)
    torch.testing.assert_close(widths, expected)


def test_wide_intervals_are_split_first() -> None:
    points = torch.tensor([[0.0, 1.0, 11.0]], dtype=torch.float64)
    assert split_breakpoints(points, 4).tolist() == [[0, 1, 1 + 10 / 3, 1 + 20 / 3, 11]]
    widest = split_breakpoints(points, 30).diff(dim=-1).max()
    assert widest <= 11 / 30 * 1.2


def test_breakpoints_that_coincide_stay_and_no_fewer_intervals_are_made() -> None:
    points = torch.tensor([[0.0, 1.0, 1.0, 2.0]], dtype=torch.float64)
    assert split_breakpoints(points, 5).tolist() == [[0, 0.5, 1, 1, 1.5, 2]]
    with pytest.raises(ValueError, match="cannot split 3 intervals into 2"):
        split_breakpoints(points, 2)


# -- where knots lie


@pytest.mark.parametrize("degree", DEGREES)
def test_knots_hold_their_breakpoints_and_never_fall(degree: int) -> None:
    points = torch.tensor([[0.0, 0.5, 2.0], [-1.0, 0.0, 0.1]], dtype=torch.float64)
    for make in (extended_knots, clamped_knots):
        knots = make(points, degree)
        assert knots.shape == (2, 3 + 2 * degree)
        assert torch.equal(breakpoints(knots, degree), points)
        assert bool((knots.diff(dim=-1) >= 0).all())
    even = uniform_knots(points[:, 0], points[:, -1], 4, degree)
    assert even.shape == (2, 5 + 2 * degree)
    torch.testing.assert_close(even[:, degree], points[:, 0], rtol=0, atol=0)
    torch.testing.assert_close(even[:, 4 + degree], points[:, -1], rtol=0, atol=0)
    widths = even.diff(dim=-1)
    torch.testing.assert_close(widths, widths[:, :1].expand_as(widths))


def test_adapted_breakpoints_go_from_even_to_quantiles() -> None:
    x = uniform_random(501, 2, seed=1) ** 3
    even = adapted_breakpoints(x, 5, blend=0.0)
    ends = x.amin(0)[:, None], x.amax(0)[:, None]
    shares = torch.linspace(0, 1, 6, dtype=torch.float64)
    torch.testing.assert_close(even, ends[0] + (ends[1] - ends[0]) * shares)
    quantiles = adapted_breakpoints(x, 5, blend=1.0)
    torch.testing.assert_close(quantiles, torch.quantile(x, shares, dim=0).T)
    half = adapted_breakpoints(x, 5, blend=0.5)
    torch.testing.assert_close(half, (even + quantiles) / 2)
    wide = adapted_breakpoints(x, 5, blend=0.5, margin=0.25)
    range_ = (ends[1] - ends[0])[:, 0]
    torch.testing.assert_close(wide[:, 0], ends[0][:, 0] - 0.25 * range_)
    torch.testing.assert_close(wide[:, -1], ends[1][:, 0] + 0.25 * range_)
    assert bool((wide.diff(dim=-1) > 0).all())


@pytest.mark.parametrize("blend", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("rows", [1, 2, 50])
@pytest.mark.parametrize("value", [0.0, 3.0, -1e6])
def test_a_constant_input_still_gets_a_domain(blend: float, rows: int, value: float) -> None:
    x = torch.full((rows, 1), value, dtype=torch.float64)
    points = adapted_breakpoints(x, 4, blend=blend)
    assert points[0, 0] < value < points[0, -1]
    assert bool((points.diff(dim=-1) >= 0).all())
    knots = extended_knots(points, 3)
    values = reference.dense_basis(knots, 3, "none", x)
    torch.testing.assert_close(values.sum(-1), torch.ones(rows, 1, dtype=torch.float64))


def test_many_equal_samples_leave_a_usable_grid() -> None:
    x = torch.cat([torch.zeros(90, 1), torch.linspace(0, 1, 10)[:, None]]).double()
    knots = extended_knots(adapted_breakpoints(x, 8, blend=1.0), 3)
    values = reference.dense_basis(knots, 3, "none", x)
    assert bool(values.isfinite().all())
    torch.testing.assert_close(values.sum(-1), torch.ones(100, 1, dtype=torch.float64))


# -- wider grids, and grids that are split where samples are


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_wider_grid_keeps_the_function_inside_and_goes_on_as_its_last_polynomials(degree, kind) -> None:
    old = make_knots(kind, degree)
    coefficients = uniform_random(3, old.shape[1] - degree - 1, seed=3, low=-1)
    points = breakpoints(old, degree)
    width = points[:, -1] - points[:, 0]
    wide = widened_breakpoints(points, points[:, 0] - 0.3 * width, points[:, -1] - 0.1 * width)
    assert torch.equal(wide[:, 1:], points[:, 1:]) and torch.allclose(wide[:, 0], points[:, 0] - 0.3 * width)
    new = extended_knots(wide, degree)
    moved = (insertion_matrix(old, new, degree, wider=True) @ coefficients[..., None])[..., 0]
    x = points_inside(old, degree)
    gap = curve(old, degree, coefficients, x) - curve(new, degree, moved, x)
    assert gap.abs().max() < 1e-10
    # One polynomial of that degree from the old first interval into the new part: differences of one order more vanish.
    if kind == "coincident at the ends":
        return
    first = points[:, :1] + 0.99 * (points[:, 1:2] - points[:, :1])
    steps = torch.linspace(0, 1, degree + 2, dtype=old.dtype)
    places = (wide[:, :1] + (first - wide[:, :1]) * steps).T
    values = curve(new, degree, moved, places)
    assert torch.diff(values, n=degree + 1, dim=0).abs().max() < 1e-8 * values.abs().max().clamp(min=1)


def test_a_grid_can_only_be_widened() -> None:
    knots = uniform_knots(torch.zeros(1), torch.ones(1), 4, 3)
    narrow = uniform_knots(torch.full((1,), 0.1), torch.ones(1), 4, 3)
    with pytest.raises(ValueError, match="must contain the old one"):
        insertion_matrix(knots, narrow, 3, wider=True)


def test_intervals_with_few_samples_are_split_last() -> None:
    points = torch.tensor([[0.0, 1.0, 2.0, 10.0]], dtype=torch.float64)
    samples = torch.linspace(0, 2, 200, dtype=torch.float64)[:, None]
    few = torch.cat([samples, torch.tensor([[5.0], [9.0]], dtype=torch.float64)])
    by_width, by_samples = split_breakpoints(points, 9)[0], split_breakpoints(points, 9, few)[0]
    assert int((by_width > 2).sum()) > 5 and by_samples[-2:].tolist() == [2.0, 10.0]
    # Where no interval has enough, width decides again, and the old breakpoints always stay.
    finest = split_breakpoints(points, 40, few)[0]
    assert len(finest) == 41 and int((finest > 2).sum()) > 1
    for new in (by_samples, finest):
        assert set(points[0].tolist()) <= set(new.tolist()) and bool((new.diff() > 0).all())


def test_counts_see_every_sample_once() -> None:
    points = torch.tensor([[0.0, 1.0, 2.0], [0.0, 5.0, 6.0]], dtype=torch.float64)
    samples = torch.tensor([[-1.0, 5.0], [0.5, 5.5], [1.0, 7.0], [9.0, 0.0]], dtype=torch.float64)
    assert counts(points, samples).tolist() == [[2.0, 2.0], [1.0, 3.0]]
