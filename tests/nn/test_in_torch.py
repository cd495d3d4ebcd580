"""Layers and networks under what torch does with modules: transforms, averages, states, devices, half precision."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, stack_module_state, vmap
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint

import superpose
from helpers import is_one_sentence
from superpose import KAN, KANLayer, OptionError
from superpose.spline import backend

HALVES = [torch.bfloat16, torch.float16]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def layers(seed: int = 0, grid_size: int = 5) -> nn.Sequential:
    made = generator(seed)
    return nn.Sequential(
        KANLayer(3, 6, grid_size=grid_size, generator=made), KANLayer(6, 1, grid_size=grid_size, generator=made)
    )


def network(seed: int = 0, grid_size: int = 5) -> KAN:
    return KAN([3, [4, [2]], 1], seed=seed, grid_size=grid_size, dtype=torch.float32)


MAKERS = {"layers": layers, "network": network}
every_kind = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def problem(rows: int = 64) -> tuple[Tensor, Tensor]:
    x = 2 * torch.rand(rows, 3, generator=generator(1)) - 1
    return x, torch.sin(3 * x[:, :1]) + x[:, 1:2] * x[:, 2:]


def trained(model: nn.Module, steps: int, *, rate: float = 0.02, automatic: bool = False, eps: float = 1e-8) -> float:
    """The loss after some steps of Adam, in float32."""
    parameters = list(model.parameters())
    x, y = (part.to(parameters[0].dtype) for part in problem())
    optimizer = torch.optim.Adam(parameters, lr=rate, eps=eps)
    for step in range(steps + 1):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=automatic):
            loss = nn.functional.mse_loss(model(x).float(), y.float())
        if step < steps:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return loss.item()


# -- half precision


@every_kind
def test_autocast_trains_as_well_as_float32(make: Callable[[], nn.Module]) -> None:
    linear = nn.Linear(3, 3)
    nn.init.eye_(linear.weight)
    nn.init.zeros_(linear.bias)
    plain, automatic = (nn.Sequential(copy.deepcopy(linear), make()) for _ in range(2))
    expected = trained(plain, 60)
    assert expected < 0.2 * trained(nn.Sequential(copy.deepcopy(linear), make()), 0)
    assert trained(automatic, 60, automatic=True) == pytest.approx(expected, rel=0.05)


@every_kind
@pytest.mark.parametrize("dtype", HALVES)
def test_a_model_in_half_precision_trains(make: Callable[[], nn.Module], dtype: torch.dtype) -> None:
    model = make().to(dtype)
    start = trained(copy.deepcopy(model), 0)
    assert all(parameter.dtype is dtype for parameter in model.parameters())
    # Adam's default eps is zero in float16.
    assert trained(model, 60, eps=1e-4) < 0.25 * start


@every_kind
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", ["auto", "reference"])
def test_half_precision_rounds_coefficients_and_results_only(
    make: Callable[[int, int], nn.Module], dtype: torch.dtype, name: str
) -> None:
    """With 300 intervals several knots are the same number in bfloat16."""
    model = make(0, 300).to(dtype)
    x = problem()[0].to(dtype)
    wide = copy.deepcopy(model).float()
    with backend.use(name), torch.no_grad():
        y, expected = model(x), wide(x.float())
    assert y.dtype is dtype
    # Two layers round their results.
    torch.testing.assert_close(
        y.float(), expected, rtol=0, atol=4 * torch.finfo(dtype).eps * float(expected.abs().max())
    )


def test_a_layer_made_in_half_precision_is_a_converted_one() -> None:
    made, converted = (KANLayer(3, 2, generator=generator(), dtype=d) for d in (torch.bfloat16, torch.float32))
    converted.to(torch.bfloat16)
    assert made.knots.dtype is converted.knots.dtype is torch.float32
    assert all(
        torch.equal(*pair) for pair in zip(made.state_dict().values(), converted.state_dict().values(), strict=True)
    )
    assert copy.deepcopy(made).double().knots.dtype is torch.float64


def test_half_precision_keeps_the_scaling_of_columns_far_from_zero() -> None:
    x = problem()[0]
    model = network()
    scaling = superpose.data.Affine(torch.full((3,), 2000.3), torch.ones(3))
    model.set_scaling(scaling, superpose.data.Affine(torch.zeros(1), torch.ones(1)))
    expected = model(2000 + x)
    torch.testing.assert_close(copy.deepcopy(model).bfloat16()(2000 + x).float(), expected, rtol=0, atol=0.03)


def test_a_network_in_half_precision_predicts_and_is_drawn_and_changes_grids() -> None:
    model, x = network().bfloat16(), problem()[0]
    assert model.predict(x).dtype == "float32"
    assert superpose.plot.network(model, x) is not None
    for changed in (model.refine(9), model.adapt(x)):
        assert changed.dtype is torch.bfloat16
        torch.testing.assert_close(changed(x), model(x), rtol=0, atol=0.05)


def test_fitting_in_half_precision_is_refused() -> None:
    with pytest.raises(OptionError) as caught:
        superpose.fit(network().bfloat16(), problem(), steps=2)
    assert is_one_sentence(str(caught.value)) and "model.float()" in str(caught.value)


# -- states, devices, copies


@every_kind
def test_a_state_with_finer_grids_goes_into_a_new_model(make: Callable[..., nn.Module]) -> None:
    x = problem()[0]
    fine, coarse = make(3, 9), make()
    optimizer = torch.optim.SGD(coarse.parameters(), lr=0.1)
    loss = coarse(x).sum()
    loss.backward()
    coarse.load_state_dict(fine.state_dict(), strict=True)
    assert torch.equal(coarse(x), fine(x))
    # The optimiser still holds the model's parameters.
    before = coarse(x)
    coarse(x).sum().backward()
    optimizer.step()
    assert bool((coarse(x) != before).all()) and loss.grad_fn is not None


def test_a_state_of_another_layer_is_refused() -> None:
    for other in (KANLayer(3, 4), KANLayer(2, 6), KANLayer(3, 6, degree=2), KANLayer(3, 6, base="none")):
        with pytest.raises(RuntimeError, match="size mismatch"):
            KANLayer(3, 6).load_state_dict(other.state_dict())


@every_kind
def test_a_model_is_made_without_memory_and_filled_later(make: Callable[[int], nn.Module]) -> None:
    x = problem()[0]
    with torch.device("meta"):
        empty = make(0)
    assert empty(x.to("meta")).shape == (len(x), 1)
    loaded = copy.deepcopy(empty).to_empty(device="cpu")
    loaded.load_state_dict(make(1).state_dict())
    assert torch.equal(loaded(x), make(1)(x))
    assigned = copy.deepcopy(empty)
    assigned.load_state_dict(make(1).state_dict(), assign=True)
    assert torch.equal(assigned(x), make(1)(x))
    fresh = empty.to_empty(device="cpu")
    for module in fresh.modules():
        if isinstance(module, KANLayer):
            module.reset_parameters(generator())
            assert torch.equal(module.knots, KANLayer(module.in_features, 1).knots) and bool(module.mask.all())
    assert bool(fresh(x).isfinite().all())


@every_kind
def test_averages_follow_the_model(make: Callable[[], nn.Module]) -> None:
    model, x = make(), problem()[0]
    for options in (
        {"multi_avg_fn": get_ema_multi_avg_fn(0.5)},
        {"multi_avg_fn": get_ema_multi_avg_fn(0.5), "use_buffers": True},
    ):
        average = AveragedModel(model, **options)
        average.update_parameters(model)
        before = [parameter.detach().clone() for parameter in model.parameters()]
        trained(model, 3)
        average.update_parameters(model)
        for old, new, mean in zip(before, model.parameters(), average.parameters(), strict=True):
            torch.testing.assert_close(mean, (old + new) / 2)
        assert bool(average(x).isfinite().all())


@every_kind
def test_replicas_share_nothing_that_they_change(make: Callable[[], nn.Module]) -> None:
    """DataParallel copies ``__dict__`` and puts other tensors in the place of parameters and buffers."""
    model, x = make(), problem()[0]
    expected = model(x)
    moved = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    moved = {name: 2 * tensor if "coefficients" in name else tensor for name, tensor in moved.items()}
    assert not torch.allclose(functional_call(model, moved, (x,)), expected)
    assert torch.equal(nn.DataParallel(model)(x), expected) and torch.equal(model(x), expected)


# -- transforms


@every_kind
def test_ensembles_jacobians_and_gradients_of_samples(make: Callable[[int], nn.Module]) -> None:
    x, y = problem(6)
    models = [make(seed) for seed in range(3)]
    parameters, buffers = stack_module_state(models)
    base = copy.deepcopy(models[0]).to("meta")
    found = vmap(lambda p, b: functional_call(base, (p, b), (x,)))(parameters, buffers)
    torch.testing.assert_close(found, torch.stack([model(x) for model in models]))

    model = models[0]
    rows = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model(rows).sum(), rows)
    torch.testing.assert_close(vmap(jacrev(model))(x)[:, 0], expected)

    own = dict(model.named_parameters())

    def loss(p: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return (functional_call(model, p, (x,)) - y).square().sum()

    each = vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(own, x, y)
    whole = torch.autograd.grad(loss(own, x, y), list(own.values()))
    for (name, parts), total in zip(each.items(), whole, strict=True):
        torch.testing.assert_close(parts.sum(0), total, msg=name)


@every_kind
@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_models_have_the_same_gradients(make: Callable[[], nn.Module], reentrant: bool) -> None:
    model, x = make(), problem()[0].requires_grad_()
    expected = torch.autograd.grad(model(x).square().sum(), [x, *model.parameters()])
    checkpoint(model, x, use_reentrant=reentrant).square().sum().backward()
    for tensor, wanted in zip([x, *model.parameters()], expected, strict=True):
        assert torch.equal(tensor.grad, wanted)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@every_kind
def test_graphs_in_half_precision(make: Callable[[], nn.Module]) -> None:
    model = make().bfloat16()
    x = problem(8)[0].bfloat16()
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), model(x))
    batch = torch.export.Dim("batch")
    program = torch.export.export(model, (x,), dynamic_shapes=({0: batch},)).module()
    torch.testing.assert_close(program(x[:5]), model(x[:5]))
