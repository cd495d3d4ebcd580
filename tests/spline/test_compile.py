"""Graphs: torch.compile, torch.export and what is traced in other ways hold the contractions as operators."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Callable
from typing import Any

import functorch.compile
import pytest
import torch
import torch._inductor.config
from spline_cases import make_knots, points_inside, uniform_random
from torch import Tensor
from torch.func import grad, jacfwd, jacrev, jvp, vmap

from superpose import KAN
from superpose.spline import backend, edge_sum, operators, reference

# Forward mode and inductor use a part of torch that torch itself calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

INPUTS, OUTPUTS, GRID, DEGREE = 2, 3, 3, 3


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def problem(weighted: bool = True, base: str = "silu") -> dict[str, Tensor | None]:
    knots = make_knots("uneven", DEGREE, GRID, INPUTS)
    x = points_inside(knots, DEGREE, 4)[:4]
    made = {
        "v": uniform_random(len(x), INPUTS, seed=1, low=-1),
        "g": uniform_random(len(x), OUTPUTS, seed=2, low=-1),
        "coefficients": uniform_random(INPUTS, reference.row_count(knots, DEGREE, base), OUTPUTS, seed=3, low=-1),
        "x": x,
    }
    drawn = {name: value.requires_grad_() for name, value in made.items()}
    return {**drawn, "v": drawn["v"] if weighted else None, "knots": knots}


OPERATORS = {
    "edge_sum": ("v", "coefficients", "x", "knots"),
    "grad_input": ("g", "coefficients", "x", "knots"),
    "grad_coefficients": ("v", "g", "x", "knots"),
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("weighted", [True, False])
def test_operators_keep_their_promises_to_torch(name: str, weighted: bool) -> None:
    a = problem(weighted)
    operator = getattr(torch.ops.superpose, name).default
    torch.library.opcheck(operator, (*(a[key] for key in OPERATORS[name]), DEGREE, "silu", 1))
    # Strides of the arguments must not come back as strides of the result.
    turned = {key: None if t is None else t.detach().mT.contiguous().mT for key, t in a.items()}
    for choice in ("auto", "reference"):
        with backend.use(choice):
            torch.library.opcheck(operator, (*(turned[key] for key in OPERATORS[name]), DEGREE, "silu", 0))


@pytest.mark.parametrize("wanted", [(True, True, True), (False, True, False), (True, False, True)])
def test_the_fused_backward_pass_keeps_its_promises(wanted: tuple[bool, bool, bool]) -> None:
    a = {key: t.detach().mT.contiguous().mT for key, t in problem().items()}
    given = (a["v"], a["g"], a["coefficients"], a["x"], a["knots"], DEGREE, "silu", 0, *wanted)
    for choice in ("auto", "reference"):
        with backend.use(choice):
            torch.library.opcheck(torch.ops.superpose.vjp.default, given)


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_have_exact_derivatives_of_their_own(name: str) -> None:
    a = problem()
    operator = getattr(torch.ops.superpose, name)
    first, second, x = (a[key] for key in OPERATORS[name][:3])

    def call(*given: Tensor) -> Tensor:
        return operator(*given, a["knots"], DEGREE, "silu", 0)

    assert torch.autograd.gradcheck(call, (first, second, x), check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, (first, second, x), fast_mode=True)


def test_transforms_inside_a_graph_are_exact() -> None:
    """Forward mode above all: an operator that does not know it answers zero without a word."""
    a = {key: t.detach() for key, t in problem().items()}
    x = a["x"]

    def energy(x: Tensor) -> Tensor:
        return edge_sum(None, a["coefficients"], x, a["knots"], DEGREE, "silu").square().sum()

    def many(x: Tensor) -> tuple[Tensor, ...]:
        along = jvp(energy, (x,), (x.cos(),))[1]
        twice = jacfwd(jacfwd(energy))(x), jacrev(jacrev(energy))(x), jacfwd(jacrev(energy))(x)
        each = vmap(lambda one: energy(one[None]))(x)
        return grad(energy)(x), along, *twice, each

    torch.testing.assert_close(torch.compile(many, fullgraph=True, backend="aot_eager")(x), many(x))


def train(model: KAN, call, x: Tensor) -> list[Tensor]:
    model.zero_grad()
    x = x.clone().requires_grad_()
    y = call(x)
    y.square().sum().backward()
    return [y.detach(), x.grad, *(parameter.grad.clone() for parameter in model.parameters())]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("base", ["silu", "none"])
def test_a_compiled_model_agrees_forward_and_backward(dtype: torch.dtype, base: str) -> None:
    model = KAN([2, 3, 1], grid_size=3, base=base, dtype=dtype)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    for batch in (5, 8):
        x = uniform_random(batch, 2, seed=7, low=-2, high=2).to(dtype)
        for mine, theirs in zip(train(model, compiled, x), train(model, model, x), strict=True):
            torch.testing.assert_close(mine, theirs)


def test_a_graph_holds_one_operator_for_each_layer_and_pass() -> None:
    seen = []

    def keep(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[[list[Any]], Any]:
        names = [str(node.target) for node in graph.graph.nodes if str(node.target).startswith("superpose")]
        seen.append(sorted(names))
        return functorch.compile.make_boxed_func(graph)

    model = KAN([2, 3, 1], grid_size=3)
    compiler = torch._dynamo.backends.common.aot_autograd(fw_compiler=keep, bw_compiler=keep)
    torch.compile(model, fullgraph=True, backend=compiler)(torch.zeros(4, 2)).sum().backward()
    assert seen == [["superpose.edge_sum.default"] * 2, ["superpose.vjp.default"] * 2]


def test_the_default_compiler_agrees(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    # What is compiled around our operators is small: no processes, no headers compiled before it, and no vectors, for
    # which torch compiles a program for each instruction set first.
    plain = {"compile_threads": 1, "cpp_cache_precompile_headers": False, "cpp.vec_isa_ok": False}
    model = KAN([2, 3, 1], grid_size=3)
    x = uniform_random(5, 2, seed=7, low=-2, high=2)
    with torch._inductor.config.patch(plain):
        compiled = torch.compile(model, fullgraph=True)
        for mine, theirs in zip(train(model, compiled, x), train(model, model, x), strict=True):
            torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("strict", [True, False])
def test_an_exported_model_runs_at_any_batch_size_and_survives_a_file(strict: bool) -> None:
    model = KAN([2, 3, 1], grid_size=3)
    x = uniform_random(5, 2, seed=7, low=-2, high=2)
    shapes = ({0: torch.export.Dim("batch", min=2, max=1 << 20)},)
    program = torch.export.export(model, (x,), dynamic_shapes=shapes, strict=strict)
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file)
    for batch in (2, 5, 11):
        x = uniform_random(batch, 2, seed=8, low=-2, high=2)
        for made in (program, loaded):
            torch.testing.assert_close(made.module()(x), model(x))


def test_traced_graphs_hold_operators_too() -> None:
    a = {key: t.detach() for key, t in problem().items()}

    def call(x: Tensor) -> Tensor:
        return edge_sum(None, a["coefficients"], x, a["knots"], DEGREE, "silu")

    graph = torch.fx.experimental.proxy_tensor.make_fx(call)(a["x"])
    assert any("superpose.edge_sum" in str(node.target) for node in graph.graph.nodes)
    torch.testing.assert_close(graph(2 * a["x"]), call(2 * a["x"]))


def test_a_second_copy_of_the_modules_finds_the_operators_made(monkeypatch: pytest.MonkeyPatch) -> None:
    a = {key: t.detach() for key, t in problem().items()}
    before = torch.ops.superpose.edge_sum
    importlib.reload(operators)
    for name in [name for name in sys.modules if name.startswith("superpose.spline")]:
        if not name.endswith("_native"):
            monkeypatch.delitem(sys.modules, name)
    copy = importlib.import_module("superpose.spline.ops")
    assert copy.edge_sum is not edge_sum and torch.ops.superpose.edge_sum is before
    given = (None, a["coefficients"], a["x"], a["knots"], DEGREE, "silu", 0)
    torch.testing.assert_close(copy.edge_sum(*given), torch.ops.superpose.edge_sum(*given))
