"""The way straight through a model: the same results as layer by layer, and no change of the model goes unnoticed."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers import on_threads, run_python
from superpose.data import Affine
from superpose.nn import KAN, KANLayer
from superpose.nn.fused import curves_of
from superpose.spline import backend, chain

NAMES = backend._instruction_sets()[0]
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-11}
each_dtype = pytest.mark.parametrize("dtype", TOLERANCE, ids=["float32", "float64"])
pytestmark = pytest.mark.skipif(not NAMES, reason="the compiled kernels were not built")


@pytest.fixture(autouse=True, scope="module")
def fresh_memory_is_nan() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 1


def made(widths: Sequence[int], scaled: bool = True, **options: object) -> KAN:
    model = KAN(list(widths), **options)  # type: ignore[arg-type]
    with torch.no_grad():
        for n, layer in enumerate(model.kan_layers()):
            layer.coefficients += 0.3 * random(*layer.coefficients.shape, seed=n)
    if scaled:
        first, last = widths[0], widths[-1]
        inputs = Affine(random(first), 0.5 + random(first, seed=1) ** 2)
        model.set_scaling(inputs, Affine(5 * random(last), 2 + random(last, seed=2)))
    return model


def by_layers(model: KAN, x: Tensor) -> Tensor:
    """The definition of a model: its layers between two scalings."""
    x = ((x.double() - model.input_center.double()) / model.input_scale.double()).to(model.input_center.dtype)
    for layer in model.layers:
        x = layer(x)
    return model.output_center + model.output_scale * x


def results(call: Callable[[Tensor], Tensor], model: KAN, x: Tensor, follow: bool) -> list[Tensor | None]:
    model.zero_grad()
    x = x.detach().requires_grad_(follow)
    y = call(x)
    (y * random(*y.shape, seed=7).to(y.dtype)).sum().backward()
    return [y.detach(), x.grad, *(parameter.grad for parameter in model.parameters())]


Results = Sequence[Tensor | None]


def check(actual: Results, expected: Results, dtype: torch.dtype, where: str, plain: Results | None = None) -> None:
    """``plain``, of the same dtype: its own distance from what is expected is allowed ten times over."""
    for n, (one, known) in enumerate(zip(actual, expected, strict=True)):
        if known is None:
            assert one is None, (where, n)
            continue
        assert one is not None and one.dtype is dtype and one.shape == known.shape, (where, n)
        size = known.abs().max().item() if known.numel() else 0.0
        limit = TOLERANCE[dtype] * size
        if plain is not None and known.numel():
            limit += 10 * (plain[n] - known).abs().max().item()  # type: ignore[operator]
        torch.testing.assert_close(one, known.to(dtype), rtol=0, atol=limit, msg=f"{where}, {n}")


# -- the same results


@each_dtype
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_all_layers_in_one_call_equal_one_after_the_other(dtype: torch.dtype, data: st.DataObject) -> None:
    depth = data.draw(st.integers(1, 4))
    # One output, a vector or less, and more than a vector: the latter goes layer by layer inside.
    nodes = st.sampled_from([1, 1, 2, 3, 5, 7, 8, 9, 16, 17, 40])
    widths = data.draw(st.lists(nodes, min_size=depth + 1, max_size=depth + 1))
    per_layer = {"min_size": depth, "max_size": depth}
    options = {
        "grid_size": data.draw(st.lists(st.sampled_from([1, 3, 5, 20, 70]), **per_layer)),
        "degree": data.draw(st.lists(st.integers(1, 5), **per_layer)),
        "base": data.draw(st.sampled_from(["silu", "identity", "none"])),
    }
    model = made(widths, data.draw(st.booleans()), dtype=torch.float64, **options)
    batch = data.draw(st.sampled_from([0, 1, 2, 17, 130, 700]))
    x = 1.5 * random(batch, widths[0], seed=3).to(dtype).double()
    frozen = data.draw(st.sets(st.integers(0, depth - 1)))
    for n in frozen:
        model.layer(n).coefficients.requires_grad_(False)
    # A sum over nothing that needs a gradient has no backward pass.
    follow = data.draw(st.booleans()) or len(frozen) == depth
    model = model.to(dtype)
    exact = copy.deepcopy(model).double()
    with backend.use("reference"):
        expected = results(lambda x: by_layers(exact, x), exact, x, follow)
        # Rounding grows from layer to layer, as it does in the definition.
        plain = results(model, model, x.to(dtype), follow)
    for name in NAMES:
        for threads in (1, 2, 3):
            with backend.use(name), on_threads(threads):
                assert model._fused.plan(model) is not None
                actual = results(model, model, x.to(dtype), follow)
                check(actual, expected, dtype, f"{name}, {threads} threads, {widths}", plain)
                with torch.no_grad():
                    assert torch.equal(model(x.to(dtype)), actual[0])


def test_samples_may_lie_in_memory_in_any_way() -> None:
    model, x = made([2, 3, 1]), random(40, 2)
    expected = by_layers(model, x)
    wide = random(40, 6)
    wide[:, ::3] = x
    conjugated = torch.complex(torch.zeros_like(x), -x).conj().imag
    assert conjugated.is_neg()
    for same in (x.T.contiguous().T, wide[:, ::3], conjugated):
        torch.testing.assert_close(model(same), expected, rtol=0, atol=1e-12)
    one = x[:1].expand(40, 2)
    torch.testing.assert_close(model(one), expected[:1].expand(40, 1), rtol=0, atol=1e-12)
    # The gradient of a sum is one number, seen 40 times.
    model(x).sum().backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    by_layers(model, x).sum().backward()
    for one, parameter in zip(gradients, model.parameters(), strict=True):
        torch.testing.assert_close(one, parameter.grad, rtol=0, atol=1e-12)


@each_dtype
def test_results_repeat_to_the_last_bit_and_samples_do_not_see_each_other(dtype: torch.dtype) -> None:
    model, x = made([3, 5, 2], dtype=dtype), random(1000, 3).to(dtype)
    for threads in (1, 2, 3):
        with on_threads(threads):
            first = results(model, model, x, True)
            for _ in range(3):
                results(model, model, x[:77], True)
                assert all(torch.equal(a, b) for a, b in zip(first, results(model, model, x, True), strict=True))
    bad = x.clone()
    bad[500] = torch.nan
    y = model(bad)
    assert y[500].isnan().all()
    torch.testing.assert_close(y[:500], model(x)[:500], rtol=0, atol=10 * TOLERANCE[dtype])


def test_threads_that_are_at_different_layers_do_not_meet() -> None:
    model, x = made([2, 8, 1, 7, 1, 8, 1], dtype=torch.float64, base="none"), random(3000, 2)
    expected = results(model, model, x, True)
    with on_threads(4):
        for _ in range(100):
            check(results(model, model, x, True), expected, torch.float64, "4 threads")


def test_fewer_threads_than_asked_for_do_the_whole_work(monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
import torch
from superpose import KAN
torch.use_deterministic_algorithms(True)  # fills new memory with NaN
model = KAN([2, 5, 1])
x = torch.linspace(-1, 1, 4000, dtype=torch.float64).view(2000, 2)
found = []
for threads in (1, 4):
    torch.set_num_threads(threads)
    model.zero_grad()
    y = model(x)
    y.square().sum().backward()
    found.append([y.detach(), *(parameter.grad for parameter in model.parameters())])
torch.testing.assert_close(*found)
"""
    monkeypatch.setenv("OMP_THREAD_LIMIT", "3")
    finished = run_python("-c", script)
    assert finished.returncode == 0, finished.stderr


def test_derivatives_of_derivatives_and_batches_of_them() -> None:
    model, x = made([2, 4, 2]), random(6, 2).requires_grad_()
    rows = tuple(layer.coefficients for layer in model.kan_layers())

    def second(call: Callable[[Tensor], Tensor]) -> list[Tensor]:
        slope = torch.autograd.grad(call(x).sum(), (x, *rows), create_graph=True)
        return list(torch.autograd.grad(sum(one.square().sum() for one in slope), (x, *rows)))

    check(second(model), second(lambda x: by_layers(model, x)), torch.float64, "second derivatives")
    y, g = model(x), random(5, 6, 2, seed=4)
    stacked = torch.autograd.grad(y, (x, *rows), g, is_grads_batched=True, retain_graph=True)
    for n in range(5):
        alone = torch.autograd.grad(y, (x, *rows), g[n], retain_graph=True)
        check([one[n] for one in stacked], alone, torch.float64, "a batch of sensitivities")


def test_layers_that_do_not_fit_together_are_not_for_the_kernels() -> None:
    rows, splines = curves_of(KAN([2, 3, 1])) or ([], [])
    center, scale = torch.zeros(1).double(), torch.ones(1).double()
    assert chain.make_plan(rows, splines, (center, scale)) is not None
    others = curves_of(KAN([4, 1])) or ([], [])
    knots, degree, base = splines[1]
    for bad, some, scaling in (
        ([rows[0], others[0][0]], [splines[0], others[1][0]], None),
        ([rows[0], rows[1][:, 1:].contiguous()], splines, None),
        ([rows[0], rows[1].float()], splines, None),
        ([rows[0], rows[1].transpose(0, 1)], splines, None),
        ([rows[0].transpose(0, 2).contiguous().transpose(0, 2), rows[1]], splines, None),
        ([rows[0], rows[1][0]], splines, None),
        ([rows[0], rows[1].detach().to("meta")], splines, None),
        ([one.half() for one in rows], splines, None),
        (rows, [splines[0], (knots.float(), degree, base)], None),
        (rows, [splines[0], (knots[:2], degree, base)], None),
        (rows, [splines[0], (knots, 6, base)], None),
        (rows, [splines[0], (knots, 0, base)], None),
        (rows, [splines[0], (knots, degree, "none")], None),
        (rows, splines, (center, torch.ones(2).double())),
        (rows, splines, (center.float(), scale)),
    ):
        assert chain.make_plan(bad, some, scaling) is None


# -- what was saved for the way back


def test_hooks_may_put_other_tensors_in_the_place_of_saved_ones() -> None:
    model, x = made([2, 5, 1]), random(50, 2)
    expected = results(model, model, x, True)
    for there, back in (
        (torch.clone, lambda t: t),
        (lambda t: t.to_sparse(), lambda t: t.to_dense()),
        (lambda t: t.numpy(force=True).copy(), torch.from_numpy),
        (lambda t: t.detach().T.contiguous() if t.dim() == 2 else t, lambda t: t.T if t.dim() == 2 else t),
    ):
        with torch.autograd.graph.saved_tensors_hooks(there, back):
            check(results(model, model, x, True), expected, torch.float64, "hooks")
    # In the same place, but not the same.
    cut = [lambda t: t[:9] if t.shape == (250,) else t, lambda t: t[:9].clone() if t.shape == (250,) else t]
    wide = [lambda t: t[:1].expand_as(t) if t.dim() == 3 else t]
    wide += [lambda t: t[:1].expand_as(t).clone() if t.dim() == 3 else t]
    for one, another in (cut, wide):
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t, one):
            actual = results(model, model, x, True)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t, another):
            check(actual, results(model, model, x, True), torch.float64, "hooks")
    # The coefficients of another moment are what the gradient is taken at then, as for every operation of torch.
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: 0 * t if t.dim() == 3 else t):
        assert not results(model, model, x, True)[1].any()


def test_coefficients_that_changed_before_the_way_back_are_noticed() -> None:
    model, x = made([2, 5, 1]), random(50, 2)
    y = model(x)
    with torch.no_grad():
        model.layer(1).coefficients += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_knots_that_moved_before_the_way_back_are_noticed() -> None:
    model, x = made([2, 5, 1]), random(50, 2)
    moved = copy.deepcopy(model)
    y = model(x)
    for one in (model, moved):
        one.layer(0).knots.data = 1.5 * one.layer(0).knots
    y.sum().backward()
    moved(x).sum().backward()
    pairs = zip(model.parameters(), moved.parameters(), strict=True)
    check(*zip(*((one.grad, another.grad) for one, another in pairs), strict=True), torch.float64, "gradients")


# -- no change goes unnoticed


def _other_rows(model: KAN) -> None:
    layer = model.layer(0)
    layer.coefficients = nn.Parameter(layer.coefficients.detach() + 1)


def _finer(model: KAN) -> None:
    finer = model.refine(9)
    for n, layer in enumerate(finer.kan_layers()):
        model.layer(n).knots = layer.knots
        model.layer(n).coefficients = layer.coefficients


def _same_place(model: KAN) -> None:
    """Another tensor where the one before was, and another shape."""
    layer = model.layer(0)
    layer.coefficients.data = layer.coefficients.data[:, :-2].contiguous()
    layer.knots = layer.knots[:, :-2].contiguous()


def _hook(model: KAN) -> None:
    model.layer(0).register_forward_hook(lambda module, inputs, y: 2 * y)


def _pre_hook(model: KAN) -> None:
    model.layer(1).register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))


def _parametrized(model: KAN) -> None:
    class Halved(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / 2

    nn.utils.parametrize.register_parametrization(model.layer(1), "coefficients", Halved())


def _mask(model: KAN) -> None:
    model.layer(0).mask[1, 2] = False


def _other_mask(model: KAN) -> None:
    mask = model.layer(0).mask.clone()
    mask[0, 1] = False
    model.layer(0).mask = mask


def _scale(model: KAN) -> None:
    model.output_scale *= 3


def _center(model: KAN) -> None:
    model.input_center = model.input_center + 0.5


def _output_center(model: KAN) -> None:
    model.output_center = model.output_center + 0.5


def _base(model: KAN) -> None:
    for layer in model.kan_layers():
        layer.base = "identity"


def _layer(model: KAN) -> None:
    model.layers[1] = KANLayer(5, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def _one_more(model: KAN) -> None:
    model.layers.append(KANLayer(1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(5)))


def _another_class(model: KAN) -> None:
    class Doubled(KANLayer):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    model.layer(0).__class__ = Doubled


def _another_kind(model: KAN) -> None:
    model.layers[1] = nn.Linear(5, 1, dtype=torch.float64)


CHANGES: dict[str, Callable[[KAN], object]] = {
    "rows in place": lambda model: model.layer(0).coefficients.detach().add_(1),
    "other rows": _other_rows,
    "rows by data": lambda model: setattr(model.layer(1).coefficients, "data", model.layer(1).coefficients.data + 1),
    "finer grids": _finer,
    "smaller rows": _same_place,
    "knots in place": lambda model: model.layer(0).knots.mul_(1.5),
    "other knots": lambda model: setattr(model.layer(0), "knots", 1.5 * model.layer(0).knots),
    "mask in place": _mask,
    "other mask": _other_mask,
    "symbolic edge": lambda model: model.layer(0).set_symbolic({(0, 1): ("sin", (1.0, 0.0, 1.0, 0.0))}),
    "base": _base,
    "scale in place": _scale,
    "other input center": _center,
    "other output center": _output_center,
    "input scale by data": lambda model: setattr(model.input_scale, "data", 2 * model.input_scale),
    "output scale by data": lambda model: setattr(model.output_scale, "data", 2 * model.output_scale),
    "output center by data": lambda model: setattr(model.output_center, "data", model.output_center + 1),
    "another layer": _layer,
    "one layer more": _one_more,
    "another kind of layer": _another_kind,
    "another class": _another_class,
    "hook": _hook,
    "hook before": _pre_hook,
    "parametrized": _parametrized,
    "float32": lambda model: model.float(),
}


@pytest.mark.parametrize("frozen", [False, True], ids=["trained", "frozen"])
@pytest.mark.parametrize("scaled", [False, True], ids=["unscaled", "scaled"])
@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_model_is_noticed(change: str, scaled: bool, frozen: bool) -> None:
    model, x = made([2, 5, 1], scaled), random(30, 2)
    model.requires_grad_(not frozen)
    before = [model(x).detach() for _ in range(2)][-1]
    with torch.no_grad():
        CHANGES[change](model)
    after = model(x)
    fresh = copy.deepcopy(model)
    assert fresh._fused._cached is None
    expected = before if change in ("finer grids", "float32") else fresh(x).detach()
    tolerance = 1e-5 if change == "float32" else 1e-12
    torch.testing.assert_close(after.detach().double(), expected.double(), rtol=0, atol=tolerance)
    if change not in ("finer grids", "float32"):
        assert not torch.allclose(after.double(), before, rtol=0, atol=1e-6)
    # And again, now that it was seen.
    assert torch.equal(model(x), after)


def test_hooks_of_all_modules_are_called() -> None:
    model, x = made([2, 5, 1]), random(30, 2)
    model(x)
    called = []
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: called.append(type(module)))
    try:
        model(x)
    finally:
        handle.remove()
    assert called.count(KANLayer) == 2


def test_another_backend_is_used_where_it_was_asked_for() -> None:
    model, x = made([2, 5, 1]), random(30, 2)
    straight = model(x)
    with backend.use("reference"):
        assert model._fused.plan(model) is None
        torch.testing.assert_close(model(x), straight, rtol=0, atol=1e-12)
    for name in NAMES:
        with backend.use(name):
            found = model._fused.plan(model)
            assert found is not None and found[0].kernels.name == name


def test_models_with_removed_edges_keep_nothing_that_was_computed() -> None:
    model, x = made([2, 5, 1]).with_mask([(0, 0, 0)], alive=False), random(30, 2)
    model(x)
    assert curves_of(model) is not None and model._fused._cached is None


def test_copies_begin_anew() -> None:
    model, x = made([2, 5, 1]), random(30, 2)
    y = model(x)
    unpickled = pickle.loads(pickle.dumps(model))  # noqa: S301  (our own)
    for same in (unpickled, copy.deepcopy(model), model.copy()):
        assert same._fused._cached is None and same._fused is not model._fused
        assert torch.equal(same(x), y)
