"""The differentiable contractions: gradients of gradients, to any order, in all inputs."""

from __future__ import annotations

import itertools

import pytest
import torch
from spline_cases import make_knots, points_inside, points_outside
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, stack_module_state, vmap

from superpose import KAN
from superpose.spline import backend, edge_sum, fitting, grad_coefficients, grad_input, ops, reference

# Forward mode uses a part of torch that torch itself calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

INPUTS, OUTPUTS, GRID = 2, 2, 2


def problem(base: str, degree: int, weighted: bool) -> tuple[Tensor, dict[str, Tensor | None]]:
    """Knots and small random arguments; points inside and outside the grid, none on a knot."""
    knots = make_knots("uneven", degree, GRID, INPUTS)
    x = torch.cat([points_inside(knots, degree, 2)[:2], points_outside(knots, degree, 1)])
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    return knots, {
        "v": draw(len(x), INPUTS) if weighted else None,
        "g": draw(len(x), OUTPUTS),
        "coefficients": draw(INPUTS, reference.row_count(knots, degree, base), OUTPUTS),
        "x": x.requires_grad_(),
    }


CASES = [
    *((edge_sum, ("v", "coefficients", "x"), weighted) for weighted in (True, False)),
    (grad_input, ("g", "coefficients", "x"), False),
    *((grad_coefficients, ("v", "g", "x"), weighted) for weighted in (True, False)),
]
each_operation = pytest.mark.parametrize(
    ("operation", "names", "weighted"),
    CASES,
    ids=["edge_sum-v", "edge_sum", "grad_input", "grad_coefficients-v", "grad_coefficients"],
)


@each_operation
@pytest.mark.parametrize("base", reference.BASES)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_gradients_and_their_gradients_are_exact(operation, names, weighted, base, order) -> None:
    knots, arguments = problem(base, 4, weighted)
    values = [arguments[name] for name in names]

    def call(*given: Tensor | None) -> Tensor:
        return operation(*given, knots, 4, base, order)

    assert torch.autograd.gradcheck(call, values, rtol=1e-5, atol=1e-6)
    # Fast: along random directions instead of one coordinate after another.
    assert torch.autograd.gradgradcheck(call, values, rtol=1e-5, atol=1e-5, fast_mode=True)


@each_operation
@pytest.mark.parametrize("degree", [0, 1, 2])
def test_low_degrees_have_exact_gradients_too(operation, names, weighted, degree) -> None:
    knots, arguments = problem("silu", degree, weighted)
    values = [arguments[name] for name in names]
    assert torch.autograd.gradcheck(lambda *given: operation(*given, knots, degree, "silu"), values)


def test_no_work_is_done_for_gradients_that_nobody_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    knots, arguments = problem("silu", 3, False)
    rows, x = arguments["coefficients"], arguments["x"]
    wanted = []
    vjp = backend.vjp

    def watched(*given):
        wanted.append(given[-1])
        return vjp(*given)

    monkeypatch.setattr(backend, "vjp", watched)
    edge_sum(None, rows.detach(), x, knots, 3, "silu").sum().backward()
    edge_sum(None, rows, x.detach(), knots, 3, "silu").sum().backward()
    edge_sum(None, rows, x, knots, 3, "silu").sum().backward()
    # By v, by x, by the coefficients: one call for all of them.
    assert wanted == [(False, True, False), (False, False, True), (False, True, True)]
    assert x.grad is not None and rows.grad is not None


@pytest.mark.parametrize("degree", [2, 3, 5])
def test_autograd_follows_a_polynomial_through_all_of_its_derivatives(degree: int) -> None:
    knots = make_knots("adapted", degree, inputs=1)
    places = points_inside(knots, degree, 80)
    rows = fitting.fit_curves(knots, degree, places, (places**degree)[..., None])
    x = points_inside(knots, degree, 10, seed=9)[:10].requires_grad_()
    y = edge_sum(None, rows, x, knots, degree)
    factor = 1.0
    for order in range(1, degree + 2):
        (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        factor *= degree - order + 1
        expected = factor * x.detach() ** max(0, degree - order)
        torch.testing.assert_close(y.detach(), expected, rtol=1e-6, atol=1e-6)
        direct = edge_sum(None, rows, x, knots, degree, "none", order)
        torch.testing.assert_close(y, direct, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_and_gradients_keep_the_dtype(dtype: torch.dtype) -> None:
    knots, arguments = problem("silu", 3, True)
    v, g, rows, x = (value.detach().to(dtype).requires_grad_() for value in arguments.values() if value is not None)
    form = (knots.to(dtype), 3, "silu")
    y = edge_sum(v, rows, x, *form)
    z = grad_input(g, rows, x, *form)
    c = grad_coefficients(v, g, x, *form)
    assert y.dtype == z.dtype == c.dtype == dtype
    (y.sum() + z.sum() + c.sum()).backward()
    assert {value.grad.dtype for value in (v, g, rows, x)} == {dtype}


def test_forward_mode_derivatives_follow_from_the_weights() -> None:
    """Along x + t d: y' = edge_sum_1(d), y'' = edge_sum_2(d^2), the Taylor rule of the layer."""
    knots, arguments = problem("silu", 4, False)
    rows, x = arguments["coefficients"], arguments["x"]
    d = torch.ones_like(x) * torch.tensor([1.0, -0.5])
    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    y = edge_sum(None, rows, x + t * d, knots, 4, "silu")
    for o in range(OUTPUTS):
        for b in range(len(x)):
            (first,) = torch.autograd.grad(y[b, o], t, create_graph=True)
            (second,) = torch.autograd.grad(first, t, retain_graph=True)
            ours = edge_sum(d, rows, x, knots, 4, "silu", 1)[b, o]
            torch.testing.assert_close(first, ours)
            torch.testing.assert_close(second, edge_sum(d**2, rows, x, knots, 4, "silu", 2)[b, o])


def test_sensitivities_of_any_layout_and_empty_batches() -> None:
    knots, arguments = problem("silu", 3, True)
    v, g, rows, x = (value.detach().requires_grad_() for value in arguments.values() if value is not None)
    form = (knots, 3, "silu")
    y = edge_sum(v, rows, x, *form)
    columns = g.detach().T.contiguous().T
    for h in (torch.ones((), dtype=torch.float64).expand_as(y), columns):
        strided = torch.autograd.grad(y, (v, rows, x), h, retain_graph=True)
        dense = torch.autograd.grad(y, (v, rows, x), h.contiguous(), retain_graph=True)
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(strided, dense, strict=True))
    none = edge_sum(v[:0], rows, x[:0], *form)
    assert none.shape == (0, OUTPUTS) and grad_input(g[:0], rows, x[:0], *form).shape == (0, INPUTS)
    by_v, by_rows = torch.autograd.grad(none.sum(), (v, rows))
    assert not by_v.any() and not by_rows.any() and by_rows.shape == rows.shape


# -- torch.func and forward mode


def transformable(names: tuple[str, ...], weighted: bool, base: str = "silu") -> tuple[Tensor, list[Tensor | None]]:
    knots, arguments = problem(base, 3, weighted)
    return knots, [None if arguments[name] is None else arguments[name].detach() for name in names]


@each_operation
def test_transforms_of_torch_func_agree_with_backward(operation, names, weighted) -> None:
    knots, values = transformable(names, weighted)
    places = tuple(n for n, value in enumerate(values) if value is not None)

    def call(*given: Tensor | None) -> Tensor:
        return operation(*given, knots, 3, "silu", 1)

    def inner(*given: Tensor | None) -> Tensor:
        return call(*given).square().sum()

    leaves = [None if value is None else value.clone().requires_grad_() for value in values]
    present = [leaf for leaf in leaves if leaf is not None]
    plain = call(*leaves)
    rows = [torch.autograd.grad(one, present, retain_graph=True) for one in plain.flatten()]
    expected = [torch.stack(column).view(*plain.shape, *column[0].shape) for column in zip(*rows, strict=True)]
    for transform in (jacrev, jacfwd):
        torch.testing.assert_close(list(transform(call, places)(*values)), expected)
    slopes = torch.autograd.grad(inner(*leaves), present, create_graph=True)
    torch.testing.assert_close(grad(inner, places)(*values), slopes)

    # Second derivatives by x, by all orders of the two modes.
    x = len(values) - 1
    by_x = [torch.autograd.grad(one, leaves[-1], retain_graph=True)[0] for one in slopes[-1].flatten()]
    curvature = torch.stack(by_x).view(*leaves[-1].shape, *leaves[-1].shape)
    for outer, first in itertools.product((jacrev, jacfwd), repeat=2):
        torch.testing.assert_close(outer(first(inner, x), x)(*values), curvature)
    torch.testing.assert_close(hessian(inner, x)(*values), curvature)

    tangents = tuple(torch.sin(7 * torch.arange(values[n].numel()).double()).view_as(values[n]) for n in places)

    def moving(*given: Tensor) -> Tensor:
        full = list(values)
        for n, value in zip(places, given, strict=True):
            full[n] = value
        return call(*full)

    along = jvp(moving, tuple(values[n] for n in places), tangents)[1]
    pairs = zip(expected, tangents, strict=True)
    torch.testing.assert_close(along, sum(torch.tensordot(jac, t, t.dim()) for jac, t in pairs))
    with torch.no_grad(), forward_ad.dual_level():
        duals = [forward_ad.make_dual(values[n], t) for n, t in zip(places, tangents, strict=True)]
        torch.testing.assert_close(forward_ad.unpack_dual(moving(*duals)).tangent, along)


@each_operation
def test_forward_mode_is_exact_by_differences(operation, names, weighted) -> None:
    knots, arguments = problem("silu", 3, weighted)
    values = [arguments[name] for name in names]
    call = lambda *given: operation(*given, knots, 3, "silu")  # noqa: E731
    assert torch.autograd.gradcheck(call, values, check_forward_ad=True, check_backward_ad=False, fast_mode=True)


@each_operation
def test_vmap_over_any_arguments_agrees_with_a_loop(operation, names, weighted) -> None:
    knots, values = transformable(names, weighted)
    values.append(knots)
    count = 3

    def call(*given: Tensor | None) -> Tensor:
        return operation(*given, 3, "silu")

    for chosen in itertools.product((None, 0, -1), repeat=len(values)):
        dims = tuple(dim if value is not None else None for dim, value in zip(chosen, values, strict=True))
        if not any(dim is not None for dim in dims):
            continue
        # All are different, and the knots still increase.
        stacks = [
            value if dim is None else torch.stack([value + 0.1 * n for n in range(count)], dim)
            for value, dim in zip(values, dims, strict=True)
        ]
        one_by_one = [
            call(*(s if dim is None else s.select(dim, n) for s, dim in zip(stacks, dims, strict=True)))
            for n in range(count)
        ]
        torch.testing.assert_close(vmap(call, dims)(*stacks), torch.stack(one_by_one))


@each_operation
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_batch_of_sensitivities_gives_a_batch_of_gradients(operation, names, weighted, create_graph) -> None:
    knots, arguments = problem("silu", 3, weighted)
    values = [arguments[name] for name in names]
    y = operation(*values, knots, 3, "silu")
    present = [value for value in values if value is not None]
    h = torch.sin(torch.arange(3 * y.numel(), dtype=torch.float64)).view(3, *y.shape)
    given = {"retain_graph": True, "create_graph": create_graph}
    ours = torch.autograd.grad(y, present, h, is_grads_batched=True, **given)
    each = [torch.autograd.grad(y, present, one, **given) for one in h]
    for mine, theirs in zip(ours, zip(*each, strict=True), strict=True):
        torch.testing.assert_close(mine, torch.stack(theirs))


def test_a_stack_of_models_agrees_with_a_loop() -> None:
    models = [KAN([2, 3, 1], grid_size=3, seed=seed) for seed in range(3)]
    parameters, buffers = stack_module_state(models)
    x = torch.linspace(-1.5, 1.5, 10, dtype=torch.float64).view(5, 2)

    def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        y = functional_call(models[0], (parameters, buffers), (x,))
        return y.square().sum(), y

    slopes, values = vmap(grad(loss, has_aux=True), (0, 0, None))(parameters, buffers, x)
    for n, model in enumerate(models):
        y = model(x)
        y.square().sum().backward()
        torch.testing.assert_close(values[n], y.detach())
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(slopes[name][n], parameter.grad)


def test_gradients_of_each_sample_agree_with_a_loop() -> None:
    model = KAN([2, 3, 1], grid_size=3, seed=0)
    x = torch.linspace(-1.5, 1.5, 10, dtype=torch.float64).view(5, 2)
    parameters = {name: value.detach() for name, value in model.named_parameters()}

    def loss(parameters: dict[str, Tensor], one: Tensor) -> Tensor:
        return functional_call(model, parameters, (one,)).square().sum()

    slopes = vmap(grad(loss), (None, 0))(parameters, x)
    for n, one in enumerate(x):
        model.zero_grad()
        model(one).square().sum().backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(slopes[name][n], parameter.grad)


def test_nothing_is_kept_for_the_backward_pass_but_the_arguments() -> None:
    knots, arguments = problem("silu", 3, True)
    v, rows, x = arguments["v"], arguments["coefficients"], arguments["x"]
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        edge_sum(v, rows, x, knots, 3, "silu")
    assert {t.data_ptr() for t in kept} == {t.data_ptr() for t in (v, rows, x, knots)}


def test_no_node_is_made_where_no_gradient_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    knots, arguments = problem("silu", 3, False)
    rows, x = arguments["coefficients"], arguments["x"]
    monkeypatch.delattr(ops, "_apply")
    with torch.no_grad():
        edge_sum(None, rows, x, knots, 3, "silu")
    assert not edge_sum(None, rows.detach(), x.detach(), knots, 3, "silu").requires_grad
