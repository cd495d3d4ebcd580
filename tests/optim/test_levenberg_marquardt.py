"""Levenberg-Marquardt: its Jacobian, its normal matrix, its steps."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from helpers import on_threads
from superpose.nn import KAN
from superpose.optim import normal_equations
from superpose.optim.damping import Damping, DampingRule
from superpose.optim.gauss_newton import Quadratic
from superpose.optim.levenberg_marquardt import LevenbergMarquardt
from superpose.optim.normal_equations import jacobian_block
from superpose.optim.parameters import Parameters
from superpose.spline import backend, reference

DOUBLE = torch.float64
# Functions that are smooth everywhere, so that the samples may lie anywhere.
SMOOTH = ("x", "x^2", "x^3", "sin", "cos", "exp", "tanh", "arctan", "gaussian", "sigmoid", "cosh", "0")


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(*shape, generator=generator, dtype=DOUBLE) - 1


@st.composite
def networks(draw: st.DrawFn, bases: tuple[str, ...] = reference.BASES) -> KAN:
    """Networks of every kind: shapes, degrees, bases, masks, symbolic edges, trained-looking curves."""
    widths = draw(st.lists(st.integers(1, 3), min_size=2, max_size=4))
    depth = len(widths) - 1
    degrees = draw(st.lists(st.integers(1, 4), min_size=depth, max_size=depth))
    sizes = draw(st.lists(st.integers(1, 5), min_size=depth, max_size=depth))
    model = KAN(widths, grid_size=sizes, degree=degrees, base=draw(st.sampled_from(bases)), seed=1)
    for n, layer in enumerate(model.kan_layers()):
        layer.coefficients.data += 0.4 * random(*layer.coefficients.shape, seed=n)
        edges = [(i, o) for i in range(layer.in_features) for o in range(layer.out_features)]
        kinds = draw(
            st.lists(st.sampled_from(("spline", "removed", *SMOOTH)), min_size=len(edges), max_size=len(edges))
        )
        for (i, o), kind in zip(edges, kinds, strict=True):
            layer.mask[i, o] = kind != "removed"
        layer.set_symbolic(
            {
                edge: (kind, tuple(random(4, seed=7 * n + index).tolist()))
                for index, (edge, kind) in enumerate(zip(edges, kinds, strict=True))
                if kind in SMOOTH
            }
        )
    return model


def outputs(parameters: Parameters, theta: Tensor, x: Tensor) -> Tensor:
    """The layers one after another with a parameter vector in place of their own, for autograd to follow."""
    start = 0
    for layer, plan in zip(parameters.layers, parameters.plans, strict=True):
        basis = reference.dense_basis(layer.knots, layer.degree, layer.base, x)
        splines = theta[start : start + plan.splines].view(-1, plan.rows)
        constants = theta[start + plan.splines : start + plan.size].view(-1, 4)
        columns = [x.new_zeros(len(x)) for _ in range(layer.out_features)]
        for edge, (i, o) in enumerate(zip(plan.inputs.tolist(), plan.outputs.tolist(), strict=True)):
            columns[o] = columns[o] + basis[:, i] @ splines[edge]
        for edge, (i, o) in enumerate(plan.symbolic):
            a, b, c, d = constants[edge]
            assert layer.symbolic is not None
            columns[o] = columns[o] + c * layer.symbolic.functions[edge].evaluate(a * x[:, i] + b) + d
        x, start = torch.stack(columns, -1), start + plan.size
    return x


def straight(slope: float = 0.0) -> KAN:
    """One edge without a base function: linear in its constants."""
    model = KAN([1, 1], grid_size=6, base="none", seed=0)
    model.layer(0).coefficients.data += slope
    return model


# -- the Jacobian


@settings(max_examples=40)
@given(networks(), st.integers(1, 6))
def test_the_jacobian_is_that_of_autograd(model: KAN, samples: int) -> None:
    # Beyond the grid too: the straight continuation has a slope of its own.
    x, y = 1.5 * random(samples, model.widths[0], seed=3), random(samples, model.widths[-1], seed=4)
    parameters = Parameters(model)
    theta = parameters.get()
    with torch.no_grad():
        found, residual = jacobian_block(parameters, x, y)
        values = x
        for layer in model.kan_layers():
            values = layer(values)
    torch.testing.assert_close(outputs(parameters, theta, x), values, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(residual, values - y, rtol=1e-12, atol=1e-12)
    wanted = torch.func.jacrev(lambda t: outputs(parameters, t, x))(theta) if parameters.size else found
    assert found.shape == (samples, model.widths[-1], parameters.size)
    torch.testing.assert_close(
        found, wanted, rtol=1e-9, atol=1e-9 * float(wanted.abs().max() + 1 if wanted.numel() else 1)
    )


@settings(max_examples=30)
@given(networks())
def test_a_parameter_vector_comes_back_as_it_was_set(model: KAN) -> None:
    parameters = Parameters(model)
    x = random(5, model.widths[0])
    with torch.no_grad():
        before = model(x)
        parameters.set(parameters.get())
        torch.testing.assert_close(model(x), before, rtol=1e-12, atol=1e-12)
    vector = random(parameters.size, seed=9)
    removed = [
        layer.coefficients[~layer.mask.unsqueeze(1).expand_as(layer.coefficients)] for layer in model.kan_layers()
    ]
    parameters.set(vector)
    assert torch.equal(parameters.get(), vector)
    for layer, kept in zip(model.kan_layers(), removed, strict=True):
        assert torch.equal(layer.coefficients[~layer.mask.unsqueeze(1).expand_as(layer.coefficients)], kept)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("elements", [1, 1000, 1 << 22])
def test_the_normal_matrix_does_not_depend_on_the_blocks(
    monkeypatch: pytest.MonkeyPatch, elements: int, weighted: bool
) -> None:
    model, x, y = KAN([2, 3, 2], grid_size=4, seed=0), random(57, 2), random(57, 2, seed=1)
    weights = 1 + random(57, seed=2) if weighted else None
    jacobian, residual = jacobian_block(Parameters(model), x, y)
    share = (torch.ones(57, dtype=DOUBLE) if weights is None else weights) / (57 * 2)
    wanted = torch.einsum("b,bop,boq->pq", share, jacobian, jacobian)
    slope = torch.einsum("b,bop,bo->p", share, jacobian, residual)
    monkeypatch.setattr(normal_equations, "_BLOCK_ELEMENTS", elements)
    with backend.use("reference"):
        normal, gradient = LevenbergMarquardt(model, x, y, weights=weights)._assembled()
    torch.testing.assert_close(normal, wanted, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(gradient, slope, rtol=1e-11, atol=1e-13)


@settings(max_examples=80)
@given(networks(), st.integers(0, 40), st.booleans(), st.integers(1, 2))
def test_the_compiled_normal_matrix_is_that_of_the_jacobian(
    model: KAN, samples: int, weighted: bool, threads: int
) -> None:
    x, y = 1.5 * random(samples, model.widths[0], seed=3), random(samples, model.widths[-1], seed=4)
    weights = 1 + random(samples, seed=2) if weighted else None
    parameters = Parameters(model)
    with backend.use("reference"):
        wanted = normal_equations.normal_equations(parameters, x, y, weights)
    with on_threads(threads):
        found = normal_equations.normal_equations(parameters, x, y, weights)
    for one, other in zip(found, wanted, strict=True):
        size = float(other.abs().nan_to_num().max()) if other.numel() else 0.0
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12 * size, equal_nan=True)


def test_the_gradient_with_penalties_is_that_of_half_the_objective() -> None:
    model, x, y = KAN([2, 2, 1], grid_size=3, seed=0), random(40, 2), random(40, 1, seed=1)
    stepper = LevenbergMarquardt(model, x, y)
    root = random(5, 5, seed=3)
    term = Quadratic(4, root @ root.T)
    stepper.penalties = [term]

    def objective(theta: Tensor) -> Tensor:
        part = theta[term.start : term.start + 5]
        squares = (outputs(stepper.parameters, theta, x) - y).square().mean()
        return (squares + part @ term.matrix @ part) / 2

    wanted = torch.func.grad(objective)(stepper.theta)
    torch.testing.assert_close(stepper._assembled()[1], wanted, rtol=1e-10, atol=1e-12)


# -- the steps


@settings(max_examples=25)
@given(networks(), st.booleans())
def test_the_objective_never_rises_at_a_step(model: KAN, penalised: bool) -> None:
    x, y = random(30, model.widths[0], seed=5), random(30, model.widths[-1], seed=6)
    stepper = LevenbergMarquardt(model, x, y)
    if not stepper.parameters.size:
        return
    if penalised:
        stepper.penalties = [Quadratic(0, 0.1 * torch.eye(stepper.parameters.size, dtype=DOUBLE))]
    before = stepper.loss + stepper._penalty(stepper.theta)
    for _ in range(8):
        result = stepper.step()
        now = result.loss + stepper._penalty(stepper.theta)
        # The last step before the end may gain less than the sum's own rounding.
        assert now <= before * (1 + 1e-15) if result.accepted else now == before
        # What the model holds is what was said of it.
        assert torch.equal(stepper.parameters.get(), stepper.theta)
        assert stepper._loss() == result.loss
        before = now


def test_a_linear_problem_is_solved_in_few_steps() -> None:
    x = torch.linspace(-1, 1, 200, dtype=DOUBLE)[:, None]
    truth = straight()
    truth.layer(0).coefficients.data = random(*truth.layer(0).coefficients.shape)
    with torch.no_grad():
        y = truth(x)
    stepper = LevenbergMarquardt(straight(), x, y)
    losses = [stepper.step().loss for _ in range(12)]
    assert losses[-1] < 1e-24 < losses[0]


def test_damping_falls_while_steps_succeed_and_rises_while_they_fail() -> None:
    x, y = random(50, 1), random(50, 1, seed=1)
    stepper = LevenbergMarquardt(straight(), x, y)
    assert stepper.step().accepted
    eased = stepper.damping.value
    assert eased < 1e-2
    while stepper.step().accepted:
        pass
    assert stepper.damping.value > eased


@pytest.mark.parametrize(
    ("gain", "factor"),
    # 1 - (2 g - 1)^3 for a gain ratio g, at least a tenth; more than the model promised counts as all of it.
    [(1e-3, 1 + 0.998**3), (0.25, 1.125), (0.5, 1.0), (0.75, 0.875), (0.9, 1 - 0.8**3), (1.0, 0.1), (7.0, 0.1)],
)
def test_an_accepted_step_changes_the_damping_by_nielsens_rule(gain: float, factor: float) -> None:
    damping = Damping(DampingRule(start=1e-3))
    damping.accept(gain)
    assert damping.value == pytest.approx(1e-3 * factor, rel=1e-12)


def test_rejected_steps_raise_the_damping_ever_faster_until_the_next_success() -> None:
    damping = Damping(DampingRule(start=1.0))
    for value in (2, 8, 64):
        damping.reject()
        assert damping.value == value
    damping.accept(0.5)
    damping.reject()
    assert damping.value == 128


def test_steps_that_keep_their_promise_lower_the_damping_tenfold_each() -> None:
    # Splines of one layer are linear in their constants: what a step is to gain, it gains.
    stepper = LevenbergMarquardt(straight(), random(50, 1), random(50, 1, seed=1))
    for taken in range(1, 4):
        assert stepper.step().accepted
        assert stepper.damping.value == pytest.approx(1e-2 * 0.1**taken, rel=1e-6)


def test_directions_that_no_sample_sees_stay_where_they_are() -> None:
    # Samples in the left half only: the functions of the right half have no say in any residual.
    model = straight(0.3)
    x = torch.linspace(-1, -0.4, 80, dtype=DOUBLE)[:, None]
    before = model.layer(0).coefficients.detach().clone()
    stepper = LevenbergMarquardt(model, x, x**3)
    for _ in range(20):
        stepper.step()
    assert stepper.loss < 1e-15
    unseen = reference.dense_basis(model.layer(0).knots, 3, "none", x)[:, 0].abs().amax(0) == 0
    assert int(unseen.sum()) >= 3
    assert torch.equal(model.layer(0).coefficients[0, unseen], before[0, unseen])


def test_twin_nodes_and_flat_starts_are_survived() -> None:
    # Every hidden node the same, and the second layer the gauge of the first: a normal matrix far from full rank.
    model = KAN([2, 4, 1], grid_size=5, seed=0)
    with torch.no_grad():
        for layer in model.kan_layers():
            layer.coefficients.copy_(layer.coefficients[:, :, :1].expand_as(layer.coefficients))
            layer.base_weight.copy_(layer.base_weight[:1, :1].expand_as(layer.base_weight).clone())
    x = random(200, 2)
    y = x[:, :1] * x[:, 1:]
    stepper = LevenbergMarquardt(model, x, y)
    for _ in range(40):
        result = stepper.step()
        assert torch.isfinite(stepper.theta).all() and result.loss == result.loss
    assert stepper.loss < 1e-2 * float(y.var())


def test_a_trial_step_that_gives_nan_is_rejected() -> None:
    # The square root has no value where a step goes too far; the step must be shortened, not taken.
    model = KAN([1, 1], base="none", seed=0)
    model.layer(0).set_symbolic({(0, 0): ("sqrt", (1.0, 1.02, 1.0, 0.0))})
    x = torch.linspace(-1, 1, 60, dtype=DOUBLE)[:, None]
    y = 4 * torch.sqrt(x + 1.0001)
    stepper = LevenbergMarquardt(model, x, y, damping=1e-12)
    start = stepper.loss
    seen: list[float] = []
    honest = stepper._loss
    stepper._loss = lambda: seen.append(honest()) or seen[-1]  # type: ignore[func-returns-value, method-assign]
    for _ in range(60):
        result = stepper.step()
        assert result.loss == result.loss and torch.isfinite(stepper.theta).all()
    assert any(value != value for value in seen), "no trial step left the domain: the test tests nothing"
    assert stepper.loss < start / 10


def test_nan_from_the_start_stalls_and_changes_nothing() -> None:
    model = KAN([1, 1], base="none", seed=0)
    model.layer(0).set_symbolic({(0, 0): ("log", (1.0, 0.0, 1.0, 0.0))})
    x = torch.linspace(-1, 1, 20, dtype=DOUBLE)[:, None]
    stepper = LevenbergMarquardt(model, x, x)
    before = stepper.theta.clone()
    result = stepper.step()
    assert result.stalled and not result.accepted
    assert torch.equal(Parameters(model).get(), before)


def test_at_the_minimum_it_stalls_instead_of_stepping_forever() -> None:
    x = torch.linspace(-1, 1, 50, dtype=DOUBLE)[:, None]
    model = straight()
    with torch.no_grad():
        y = model(x)
    stepper = LevenbergMarquardt(model, x, y)
    assert any(stepper.step().stalled for _ in range(10))
    assert stepper.loss < 1e-30


def test_weights_count_samples_as_often_as_they_say() -> None:
    x, y = random(20, 1), random(20, 1, seed=1)
    weights = torch.ones(20, dtype=DOUBLE)
    weights[3:8] = 3.0
    twice = torch.cat([x, x[3:8], x[3:8]]), torch.cat([y, y[3:8], y[3:8]])
    fits = []
    for stepper in (
        LevenbergMarquardt(straight(), x, y, weights=weights / weights.mean()),
        LevenbergMarquardt(straight(), *twice),
    ):
        for _ in range(12):
            stepper.step()
        fits.append(stepper)
    assert fits[0].loss == pytest.approx(fits[1].loss, rel=1e-9)
    points = torch.linspace(-0.9, 0.9, 30, dtype=DOUBLE)[:, None]
    torch.testing.assert_close(fits[0].model(points), fits[1].model(points), rtol=1e-4, atol=1e-4)


def test_results_cannot_be_changed() -> None:
    result = LevenbergMarquardt(straight(), random(5, 1), random(5, 1)).step()
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.loss = 0.0  # type: ignore[misc]
