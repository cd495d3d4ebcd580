"""Dtypes of inputs: which a layer and a network take, and what torch.autocast changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import superpose
from helpers import is_one_sentence
from superpose import KAN, DataError, KANLayer
from superpose.spline import backend

FLOAT = torch.float32


def random(*shape: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) - 1


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    "dtype", [torch.int64, torch.uint8, torch.bool, torch.bfloat16, torch.float64, torch.complex64]
)
def test_a_layer_takes_its_own_dtype_only(dtype: torch.dtype) -> None:
    """A layer computed in integers, without a word, where torch.nn.Linear raises."""
    layer = KANLayer(3, 2, generator=generator())
    with pytest.raises(DataError) as caught:
        layer(torch.ones(4, 3).to(dtype))
    assert is_one_sentence(str(caught.value))
    assert "torch.float32" in str(caught.value) and str(dtype) in str(caught.value)
    with pytest.raises(RuntimeError):
        nn.Linear(3, 2)(torch.ones(4, 3).to(dtype))


@pytest.mark.parametrize("own", [torch.float32, torch.float64])
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.bfloat16, torch.float64])
def test_a_network_converts_any_real_dtype(own: torch.dtype, dtype: torch.dtype) -> None:
    model = KAN([3, 2, 1], dtype=own)
    x = (random(4, 3) > 0).to(dtype)
    for call in (model, lambda x: model.trace(x).output):
        y = call(x)
        assert y.dtype is own
        assert torch.equal(y, call(x.to(own)))


def test_a_network_refuses_complex_numbers() -> None:
    with pytest.raises(DataError) as caught:
        KAN([3, 1])(torch.ones(4, 3, dtype=torch.complex64))
    assert is_one_sentence(str(caught.value))


def networks() -> dict[str, Callable[[], nn.Module]]:
    def symbolic() -> KAN:
        model = KAN([3, 2, 1], dtype=FLOAT)
        model.layer(0).set_symbolic({(0, 1): ("sin", (1.0, 0.0, 2.0, 0.0))})
        return model

    return {
        "layer": lambda: KANLayer(3, 2, generator=generator()),
        "layer with a product": lambda: KANLayer(3, 2, products=(2,), generator=generator()),
        "network": lambda: KAN([3, 2, 1], dtype=FLOAT),
        "network with a product": lambda: KAN([3, [1, [2]], 1], dtype=FLOAT),
        "network with a symbolic edge": symbolic,
        "float64 network": lambda: KAN([3, 2, 1]),
    }


@pytest.mark.parametrize("inside", [True, False], ids=["backward inside", "backward outside"])
@pytest.mark.parametrize("kind", networks())
@pytest.mark.parametrize("name", ["auto", "reference"])
def test_autocast_leaves_layers_their_precision(name: str, kind: str, inside: bool) -> None:
    """In bfloat16 the values lost five of seven digits without a word, and the backward pass failed."""
    x = random(6, 3).requires_grad_()

    def gradients(model: nn.Module, automatic: bool) -> list[Tensor]:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=automatic):
            y = model(x)
            if inside:
                made = torch.autograd.grad(y.square().sum(), [x, *model.parameters()])
        if not inside:
            made = torch.autograd.grad(y.square().sum(), [x, *model.parameters()])
        return [y, *made]

    with backend.use(name):
        model = networks()[kind]()
        for plain, automatic in zip(gradients(model, False), gradients(model, True), strict=True):
            assert plain.dtype is automatic.dtype
            assert torch.equal(plain, automatic)


@pytest.mark.parametrize("kind", networks())
@pytest.mark.parametrize("name", ["auto", "reference"])
def test_under_autocast_it_follows_a_linear_layer(name: str, kind: str) -> None:
    """A linear layer gives bfloat16 under autocast; what comes next has to take that, and pass gradients back."""
    linear, model = nn.Linear(3, 3), networks()[kind]()
    with backend.use(name):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = linear(random(6, 3))
            y = model(hidden)
            loss = y.square().sum()
        loss.backward()
    assert hidden.dtype is torch.bfloat16
    assert y.dtype is next(model.parameters()).dtype
    for parameter in [*linear.parameters(), *model.parameters()]:
        assert parameter.grad is not None and parameter.grad.dtype is parameter.dtype
        assert bool(parameter.grad.isfinite().all())
    assert all(float(parameter.grad.abs().max()) > 0 for parameter in linear.parameters() if parameter.grad is not None)


def test_under_autocast_whole_numbers_are_refused_too() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(DataError):
        KANLayer(3, 2, generator=generator())(torch.ones(4, 3, dtype=torch.int64))


def test_edges_keep_their_precision_under_autocast() -> None:
    layer, x = KANLayer(3, 2, generator=generator()), random(6, 3)
    plain = [layer.edges(x), layer.edge_function(0, 1, x[:, 0])]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        automatic = [layer.edges(x), layer.edge_function(0, 1, x[:, 0])]
    assert all(torch.equal(*pair) for pair in zip(plain, automatic, strict=True))


def test_a_compiled_layer_works_under_autocast() -> None:
    layer, x = KANLayer(3, 2, generator=generator()), random(6, 3)
    compiled = torch.compile(layer, backend="aot_eager")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = compiled(x.bfloat16())
    y.sum().backward()
    assert torch.equal(y, layer(x.bfloat16().float()))
    assert layer.coefficients.grad is not None


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adamw"])
def test_training_is_the_same_under_autocast(optimizer: str) -> None:
    x = random(60, 2)
    y = x[:, :1] * x[:, 1:]
    errors = []
    for automatic in (False, True):
        model = KAN([2, 2, 1], dtype=FLOAT)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=automatic):
            errors.append(superpose.fit(model, (x, y), optimizer=optimizer, steps=5, progress=False).train_rmse)
    assert errors[0] == errors[1]
