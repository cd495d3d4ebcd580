"""Penalties: quadratic terms against the norms they stand for, sparsity against its formula."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from superpose.nn import KAN
from superpose.optim import penalty
from superpose.optim.parameters import Parameters
from superpose.spline import reference

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(*shape, generator=generator, dtype=DOUBLE) - 1


def rough(widths: list[int], base: str = "silu", degree: int = 3) -> KAN:
    model = KAN(widths, base=base, degree=degree, seed=0)
    for n, layer in enumerate(model.kan_layers()):
        layer.coefficients.data += random(*layer.coefficients.shape, seed=n)
    return model


def norms(model: KAN, x: Tensor, theta: Tensor, kind: str) -> Tensor:
    """Sum of the root mean squares of the edges about their means, or about their straight lines."""
    parameters = Parameters(model)
    total, start, h = theta.new_zeros(()), 0, x
    for layer, plan in zip(parameters.layers, parameters.plans, strict=True):
        basis = reference.dense_basis(layer.knots, layer.degree, layer.base, h)
        rows = theta[start : start + plan.splines].view(-1, plan.rows)
        for edge, i in enumerate(plan.inputs.tolist()):
            curve = basis[:, i] @ rows[edge]
            columns = [torch.ones_like(curve)] + ([h[:, i]] if kind == "bend" else [])
            line = torch.linalg.qr(torch.stack(columns, -1))[0]
            left = curve - line @ (line.T @ curve)
            total = total + left.square().mean().sqrt()
        # The terms of a layer take the activations that reach it as given.
        h, start = layer(h).detach(), start + plan.size
    return total


@pytest.mark.parametrize("kind", ["size", "bend"])
@pytest.mark.parametrize("base", reference.BASES)
@pytest.mark.parametrize("widths", [[2, 1], [2, 3, 2]])
def test_reweighted_terms_have_the_gradient_of_the_sum_of_norms(widths: list[int], base: str, kind: str) -> None:
    model, x, strength = rough(widths, base), random(200, widths[0]), 0.07
    parameters = Parameters(model)
    theta = parameters.get()
    gradient = torch.zeros_like(theta)
    for term in penalty.reweighted(parameters, x, strength, kind=kind):
        part = slice(term.start, term.start + len(term.matrix))
        gradient[part] += term.matrix @ theta[part]
        assert torch.linalg.eigvalsh(term.matrix).min() > -1e-12
    variable = theta.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(strength * norms(model, x, variable, kind), variable)
    # An edge's present norm has a thousandth of the largest added to it, so that none is divided by zero.
    assert float((gradient - wanted).norm() / wanted.norm()) < 5e-3


def test_reweighted_terms_survive_edges_that_are_nothing() -> None:
    model, x = rough([2, 2, 1]), random(50, 2)
    layer = model.layer(0)
    layer.coefficients.data[0, :, 0] = 0.0
    for kind in ("size", "bend"):
        terms = penalty.reweighted(Parameters(model), x, 0.1, kind=kind)
        assert all(bool(torch.isfinite(term.matrix).all()) for term in terms)


def test_terms_against_the_bend_of_straight_edges_are_real_numbers() -> None:
    """Rounding makes the bend of a straight line a negative number of 1e-17 or so, which has no root."""
    for seed in range(20):
        model = KAN([1, 1], base="none", seed=seed)
        layer = model.layer(0)
        layer.coefficients.data = random(1, 1, 1, seed=seed) * torch.arange(layer.coefficients.shape[1])[:, None] + 1
        (term,) = penalty.reweighted(Parameters(model), random(50 + seed, 1), 1e-3, kind="bend")
        assert term.matrix.dtype == DOUBLE and bool(torch.isfinite(term.matrix).all())


@given(st.integers(0, 4), st.integers(1, 9))
def test_roughness_leaves_polynomials_of_the_degree_alone_and_nothing_more(degree: int, size: int) -> None:
    model = KAN([1, 1], grid_size=size, degree=degree, seed=0)
    (term,) = penalty.roughness(Parameters(model), 1.0) or [None]
    if term is None:
        assert size + degree == 1
        return
    count = size + degree
    order = min(degree + 1, count - 1)
    eigenvalues = torch.linalg.eigvalsh(term.matrix)
    assert len(term.matrix) == count and int((eigenvalues > 1e-9).sum()) == count - order
    places = torch.linspace(-1, 1, count, dtype=DOUBLE)
    for power in range(order):
        polynomial = places**power
        assert float(polynomial @ term.matrix @ polynomial) < 1e-12


@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 5))
def test_sparsity_is_the_l1_norm_plus_the_entropy(inputs: int, outputs: int, seed: int) -> None:
    model, x = rough([inputs, outputs, 1]), random(40, inputs, seed=seed)
    trace = model.trace(x)
    wanted = 0.0
    for layer in trace.layers:
        sizes = []
        for i in range(layer.edges.shape[1]):
            for o in range(layer.edges.shape[2]):
                values = layer.edges[:, i, o].tolist()
                mean = sum(values) / len(values)
                sizes.append(sum(abs(value - mean) for value in values) / len(values))
        wanted += sum(sizes) - sum(s / sum(sizes) * math.log(s / sum(sizes)) for s in sizes if s)
    assert float(penalty.sparsity(trace).detach()) == pytest.approx(wanted, rel=1e-10)


def test_sparsity_can_be_followed_downhill_through_removed_edges() -> None:
    model, x = rough([2, 2, 1]).with_mask([(0, 0, 1)], alive=False), random(40, 2)
    penalty.sparsity(model.trace(x)).backward()
    for parameter in model.parameters():
        assert parameter.grad is not None and bool(torch.isfinite(parameter.grad).all())


def test_magnitudes_do_not_see_constants() -> None:
    model, x = rough([2, 1]), random(40, 2)
    before = penalty.magnitudes(model.trace(x))[0]
    # B-splines sum to one: the same number on every coefficient is a constant on the edge.
    model.layer(0).spline_coefficients.data[0] += 5.0
    torch.testing.assert_close(penalty.magnitudes(model.trace(x))[0], before, rtol=1e-10, atol=1e-12)
