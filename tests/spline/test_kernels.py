"""The compiled kernels equal the definition: every instruction set that runs here, on one and on two threads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_cases import Answer, Plan, Problem, defined, natural_scale, plans, points_of, problem_of
from spline_cases import make_knots, source, uniform_random
from torch import Tensor

from helpers import on_threads, run_python
from superpose import KAN
from superpose.spline import backend, edge_sum, reference

NAMES = backend._instruction_sets()[0]
THREADS = (1, 2)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
# Below that, numbers lose digits, or are zero in the other dtype.
SMALLEST = {torch.float32: 1e-30, torch.float64: 1e-290}
WANTED = [wanted for wanted in itertools.product((True, False), repeat=3) if any(wanted)]

each_dtype = pytest.mark.parametrize("dtype", TOLERANCE, ids=["float32", "float64"])
compiled_only = pytest.mark.skipif(not NAMES, reason="the compiled kernels were not built")


def drawn(examples: int) -> settings:
    return settings(max_examples=examples, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@pytest.fixture(autouse=True, scope="module")
def fresh_memory_is_nan() -> Iterator[None]:
    """So that no element is right because it happened to be zero before."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(before)


def machines() -> Iterator[str]:
    """Each instruction set and number of threads in turn, in use; says in messages which."""
    for name, count in itertools.product(NAMES, THREADS):
        with backend.use(name), on_threads(count):
            yield f"{name} on {count} threads"


def computed(problem: Problem, *wanted: bool) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    v, g, c, x, knots, *form = problem
    return backend.vjp(v, g, c if wanted[0] or wanted[1] else None, x, knots, tuple(form), wanted)


def summed(problem: Problem) -> Tensor:
    v, _, *rest = problem
    return backend.edge_sum(v, *rest)


def limits(scale: Answer, dtype: torch.dtype) -> Answer:
    """How far each element may be from the definition."""
    tolerance, smallest, largest = TOLERANCE[dtype], SMALLEST[dtype], 1e-3 * torch.finfo(dtype).max
    # Numbers so large that float32 does not hold what they are made of may be anything.
    return Answer(*(part.mul(tolerance).add_(smallest).masked_fill_(part > largest, torch.inf) for part in scale))


def check(actual: Tensor | None, expected: Tensor, limit: Tensor, dtype: torch.dtype, where: str) -> None:
    assert actual is not None and actual.dtype is dtype and actual.shape == expected.shape, where
    near = (actual - expected).abs_() <= limit
    # A NaN is no agreement, but where anything may be.
    if not near.all():
        far = ~(near | limit.isinf())
        assert not far.any(), f"{where}: {actual[far][:5]} instead of {expected[far][:5]}"


def check_all(problem: Problem, dtype: torch.dtype) -> None:
    """All contractions, all gradients in one call."""
    expected, limit = defined(problem), limits(natural_scale(problem), dtype)
    for machine in machines():
        answer = Answer(summed(problem), *computed(problem, True, True, True))
        for one in zip(answer, expected, limit, strict=True):
            check(*one, dtype, machine)


def check_largest(actual: Tensor, expected: Tensor, dtype: torch.dtype, where: str) -> None:
    """Against the largest element of all."""
    check(actual, expected, TOLERANCE[dtype] * expected.abs().max().expand_as(expected), dtype, where)


@compiled_only
@each_dtype
@drawn(60)
@given(plan=plans())
def test_sums_of_edges_equal_the_definition(dtype: torch.dtype, plan: Plan) -> None:
    problem = problem_of(plan, dtype)
    expected, limit = defined(problem).sums, limits(natural_scale(problem), dtype).sums
    for machine in machines():
        check(summed(problem), expected, limit, dtype, machine)


@compiled_only
@each_dtype
@drawn(40)
@given(plan=plans())
def test_all_gradients_equal_the_definition(dtype: torch.dtype, plan: Plan) -> None:
    problem = problem_of(plan, dtype)
    expected, limit = defined(problem)[1:], limits(natural_scale(problem), dtype)[1:]
    for machine in machines():
        for wanted in WANTED:
            actual = computed(problem, *wanted)
            for made, want, *known in zip(actual, wanted, expected, limit, strict=True):
                if want:
                    check(made, *known, dtype, machine)
                else:
                    assert made is None


@compiled_only
@each_dtype
@pytest.mark.parametrize(
    "shape",
    [
        # More outputs than samples, which threads cannot share evenly; more inputs; more samples.
        (10, 3, 2000),
        (1, 5, 3000),
        (40, 12, 600),
        (17, 300, 9),
        (2500, 3, 7),
        (2049, 2, 1),
        (700, 8, 33),
    ],
    ids=str,
)
@pytest.mark.parametrize("form", [("uniform", 3, "silu", 0), ("adapted", 2, "none", 1), ("clamped", 5, "identity", 2)])
def test_shapes_of_all_proportions(dtype: torch.dtype, shape: tuple[int, int, int], form) -> None:
    knots, degree, base, order = form
    plan = Plan(*shape, 6, degree, base, order, True, knots, (0.0, 1.0), True, "contiguous", sum(shape))
    problem = problem_of(plan, dtype)
    check_all(problem, dtype)


@compiled_only
@each_dtype
@pytest.mark.parametrize("grid_size", [8, 20, 60, 64, 1304])
@pytest.mark.parametrize(("degree", "order"), [(1, 0), (1, 1), (2, 1), (3, 0), (3, 2), (3, 3), (4, 2), (5, 2), (5, 4)])
@pytest.mark.parametrize("kind", ["even", "near", "coarse"])
def test_knots_that_only_just_pass_for_even_ones(
    dtype: torch.dtype, grid_size: int, degree: int, order: int, kind: str
) -> None:
    """The kernels take knots as even, or look for points as if they were, if they are so to within these shares of an
    interval; not where an interval is some units of rounding wide, though then they may look even to rounding."""
    off = 0.97 * ((2e-6 if dtype is torch.float32 else 1e-13) if kind == "even" else 1 / 1024)
    places = torch.arange(-degree, grid_size + degree + 1, dtype=torch.float64)
    signs = torch.sign(uniform_random(2, len(places), seed=grid_size, low=-1.0))
    signs[:, [degree, -degree - 1]] = 0.0
    knots = ((places + off * signs) * (2 / grid_size) - 1).to(dtype)
    if kind == "coarse":
        # Numbers near 1000 are 512 times as far apart as those near 1.
        knots = (places * (2.375 * 512 * torch.finfo(dtype).eps) + 1000).to(dtype).expand(2, -1)
    plan = Plan(400, 2, 3, grid_size, degree, "none", order, False, "uniform", (0.0, 1.0), True, "contiguous", 1)
    check_all(problem_of(plan, dtype)._replace(x=points_of(plan, knots), knots=knots), dtype)


@compiled_only
@each_dtype
@pytest.mark.parametrize("order", [10, 11, 12, 20])
def test_derivatives_of_any_order(dtype: torch.dtype, order: int) -> None:
    problem = problem_of(Plan(20, 3, 4, 5, 3, "silu", order, True, "uniform", (0.0, 1.0), True, "contiguous", 1), dtype)
    check_all(problem, dtype)


@compiled_only
@each_dtype
@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_derivatives_above_the_degree_are_zeros_on_the_smallest_domains(dtype: torch.dtype, degree: int) -> None:
    """Also where a power of the interval's width is more than the dtype holds."""
    width = 1e-20 if dtype is torch.float32 else 1e-160
    form = (6, degree, "none", degree, False, "uniform", (0.0, width), True, "contiguous", 1)
    problem = problem_of(Plan(20, 3, 5, *form), dtype)
    for order, machine in itertools.product((degree + 1, degree + 2, 9), machines()):
        higher = problem._replace(order=order)
        assert not summed(higher).any(), machine
        assert not any(part.any() for part in computed(higher, True, True, True)), machine


@compiled_only
@each_dtype
def test_the_base_function_far_outside(dtype: torch.dtype) -> None:
    ends = torch.tensor([50.0, 80.0, 100.0, 800.0, 1e4, 1e30, 1e-3 * torch.finfo(dtype).max], dtype=dtype)
    x = torch.cat([-ends, ends])[:, None]
    knots = make_knots("uniform", 3, 5, 1).to(dtype)
    rows = torch.zeros(1, reference.row_count(knots, 3, "silu"), 1, dtype=dtype)
    rows[:, -1] = 1.0
    for order, machine in itertools.product((0, 1, 2), machines()):
        expected = reference.base_function("silu", x.double(), order)
        actual = backend.edge_sum(None, rows, x, knots, 3, "silu", order)
        limit = TOLERANCE[dtype] * expected.abs() + SMALLEST[dtype]
        check(actual, expected, limit, dtype, f"{machine} at order {order}")


# -- numbers that are none


def reached(problem: Problem, name: str, spoilt: Tensor) -> Answer:
    """Which results depend on an element of one argument, by the rows that can be other than zero at each point."""
    _, g, c, x, knots, degree, base, _ = problem
    active = torch.zeros(*x.shape, c.shape[1])
    first = reference.locate(knots, degree, x) - degree
    active.scatter_(-1, first[..., None] + torch.arange(degree + 1), 1.0)
    if base != "none":
        active[..., -1] = 1.0
    marks = {key: torch.zeros(part.shape) for key, part in (("v", x), ("g", g), ("coefficients", c))}
    marks[name] = spoilt.float()
    sample, output = marks["v"], marks["g"].sum(-1, keepdim=True)
    curve = torch.einsum("bir,iro->bio", active, marks["coefficients"])
    return Answer(
        sample.sum(-1, keepdim=True) + curve.sum(1) > 0,
        output + curve.sum(-1) > 0,
        sample + output + curve.sum(-1) > 0,
        torch.einsum("bir,bi->ir", active, sample)[..., None] + torch.einsum("bir,bo->iro", active, marks["g"]) > 0,
    )


@compiled_only
@drawn(60)
@given(
    dtype=st.sampled_from((torch.float32, torch.float64)),
    plan=plans(smallest=1),
    name=st.sampled_from(("v", "g", "coefficients", "x")),
    bad=st.sampled_from((torch.nan, torch.inf, -torch.inf)),
)
def test_bad_numbers_spoil_what_depends_on_them_and_nothing_else(
    dtype: torch.dtype, plan: Plan, name: str, bad: float
) -> None:
    problem = problem_of(plan, dtype)
    sound = getattr(problem, name)
    if sound is None:
        return
    chosen = torch.randint(sound.numel(), (1 + plan.seed % 3,), generator=source(plan.seed))
    spoilt = torch.zeros(sound.numel(), dtype=torch.bool).index_fill(0, chosen, True).view(sound.shape)
    problem = problem._replace(**{name: torch.where(spoilt, bad, sound)})
    expected, scale = defined(problem), natural_scale(problem)
    must = may = Answer(*(~part.isfinite() for part in expected))
    if name != "x":
        must = reached(problem, name, spoilt)
    if name in ("v", "g"):
        # The definition multiplies all rows, those that are zero too; the kernels do so where rows and outputs are few.
        if problem.coefficients.shape[1] > 14 or problem.coefficients.shape[2] > 16:
            may = must
        sane = problem._replace(**{name: torch.where(spoilt, 0.0, sound)})
        expected, scale = defined(sane), natural_scale(sane)
    limit = limits(scale, dtype)
    for machine in machines():
        answer = Answer(summed(problem), *computed(problem, True, True, True))
        for actual, surely, perhaps, known, most in zip(answer, must, may, expected, limit, strict=True):
            assert not actual[surely].isfinite().any(), machine
            assert bad == bad or actual[surely].isnan().all(), machine
            check(actual[~perhaps], known[~perhaps], most[~perhaps], dtype, machine)


@compiled_only
@each_dtype
@pytest.mark.parametrize("outputs", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_a_bad_coefficient_spoils_the_sums_of_its_own_input_only(dtype: torch.dtype, outputs: int, degree: int) -> None:
    plan = Plan(40, 3, outputs, 5, degree, "silu", 0, False, "uniform", (0.0, 1.0), False, "contiguous", 0)
    problem = problem_of(plan, dtype)
    expected, limit = defined(problem), limits(natural_scale(problem), dtype)
    for row, name in ((0, "value"), (-1, "value"), (0, "slope"), (-1, "slope")):
        rows = problem.coefficients.clone()
        rows[1, row, 0] = torch.nan
        for machine in machines():
            answer = Answer(summed(problem), *computed(problem._replace(coefficients=rows), True, True, True))
            for i in (0, 2):
                known, most = getattr(expected, name)[:, i], getattr(limit, name)[:, i]
                check(getattr(answer, name)[:, i], known, most, dtype, machine)


# -- through autograd, and models


def derivatives(problem: Problem, together: bool) -> list[Tensor]:
    """First derivatives of a sum of edges, and second ones along random directions."""
    v, g, c, x, *form = problem
    leaves = [part.detach().clone().requires_grad_() for part in (c, x, *(() if v is None else (v,)))]
    c, x, *weights = leaves
    h = g.detach().clone().requires_grad_()
    y = edge_sum(weights[0] if weights else None, c, x, *form)
    if together:
        return list(torch.autograd.grad(y, leaves, h))
    first = torch.autograd.grad(y, leaves, h, create_graph=True)
    along = [torch.cos(torch.arange(part.numel(), dtype=part.dtype)).view_as(part) for part in first]
    second = torch.autograd.grad(first, (*leaves, h), along)
    return [y, *first, *second]


@compiled_only
@each_dtype
@drawn(15)
@given(plan=plans(smallest=1))
def test_first_and_second_derivatives_equal_those_of_the_definition(dtype: torch.dtype, plan: Plan) -> None:
    # Above the degree they are zeros, and small domains have derivatives that float32 cannot hold.
    plan = replace(plan, order=min(plan.order, plan.degree - 1), outside=False, domain=(0.0, 1.0))
    problem = problem_of(plan, dtype)
    for together in (False, True):
        with backend.use("reference"):
            expected = derivatives(problem.double(), together)
        for machine in machines():
            for n, (actual, known) in enumerate(zip(derivatives(problem, together), expected, strict=True)):
                check_largest(actual, known, dtype, f"{machine}, number {n}")


@compiled_only
@each_dtype
@pytest.mark.parametrize("widths", [[2, 5, 1], [7, 20, 3], [40, 64, 33]], ids=str)
def test_models_equal_those_of_the_definition(dtype: torch.dtype, widths: list[int]) -> None:
    model = KAN(widths, grid_size=6, seed=1, dtype=dtype)
    x = 1.2 * torch.randn(130, widths[0], generator=source(3), dtype=torch.float64)
    exact = KAN(widths, grid_size=6, seed=1, dtype=torch.float64)
    exact.load_state_dict(model.state_dict())

    def results(model: KAN, x: Tensor) -> list[Tensor]:
        model.zero_grad()
        x = x.detach().requires_grad_()
        y = model(x)
        y.square().mean().backward()
        return [y.detach(), x.grad, *(parameter.grad for parameter in model.parameters())]

    with backend.use("reference"):
        expected = results(exact, x.to(dtype).double())
    for machine in machines():
        for actual, known in zip(results(model, x.to(dtype)), expected, strict=True):
            check_largest(actual, known, dtype, machine)


# -- the same on every run


@compiled_only
@each_dtype
@pytest.mark.parametrize("shape", [(300, 3, 70), (300, 12, 5), (2000, 2, 1), (12, 3, 2000)], ids=str)
def test_results_repeat_to_the_last_bit(dtype: torch.dtype, shape: tuple[int, int, int]) -> None:
    plan = Plan(*shape, 9, 3, "silu", 0, True, "uniform", (0.0, 1.0), True, "contiguous", 0)
    problem = problem_of(plan, dtype)
    other = problem_of(replace(plan, batch=77, seed=1), dtype)
    for machine in machines():
        first = (summed(problem), *computed(problem, True, True, True))
        for _ in range(3):
            summed(other)
            computed(other, True, True, True)
            again = (summed(problem), *computed(problem, True, True, True))
            assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True)), machine
        alone = [computed(problem, *(n == only for n in range(3)))[only] for only in range(3)]
        assert all(torch.equal(a, b) for a, b in zip(first[1:], alone, strict=True)), machine


@compiled_only
def test_fewer_threads_than_asked_for_do_the_whole_work(monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
import torch
from superpose.spline import backend, reference
torch.set_num_threads(3)
torch.use_deterministic_algorithms(True)  # fills new memory with NaN
x = torch.linspace(-1, 1, 2100, dtype=torch.float64).view(300, 7)
knots = torch.linspace(-2, 2, 12, dtype=torch.float64).expand(7, -1)
g = x.sin() @ torch.ones(7, 50, dtype=torch.float64)
c = torch.linspace(0, 1, 7 * 9 * 50, dtype=torch.float64).view(7, 9, 50)
form = (x, knots, 3, "silu", 0)
torch.testing.assert_close(backend.edge_sum(x, c, *form), reference.edge_sum(x, c, *form))
for samples in (300, 10):
    g, form = g[:samples].repeat(1, 300 // samples), (x[:samples], *form[1:])
    c = c.repeat(1, 1, 300 // samples)
    given = (None, g, c, *form[:2], form[2:], (True, True, True))
    mine, plain = backend.vjp(*given), backend._reference_vjp(*given)
    torch.testing.assert_close(mine, plain)
"""
    monkeypatch.setenv("OMP_THREAD_LIMIT", "2")
    finished = run_python("-c", script)
    assert finished.returncode == 0, finished.stderr
