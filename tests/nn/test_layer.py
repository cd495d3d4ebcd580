"""KANLayer: a drop-in for torch.nn.Linear whose edges are functions."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from scipy.interpolate import BSpline
from torch import Tensor

from superpose.errors import OptionError, ShapeError
from superpose.nn import KANLayer
from superpose.spline import breakpoints, extended_knots, ops, split_breakpoints

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(*shape, generator=generator, dtype=DOUBLE) - 1


def make(inputs: int = 3, outputs: int = 2, seed: int = 0, **options: object) -> KANLayer:
    generator = torch.Generator().manual_seed(seed)
    layer = KANLayer(inputs, outputs, generator=generator, dtype=DOUBLE, **options)  # type: ignore[arg-type]
    for parameter in layer.parameters():
        parameter.data += 0.3 * random(*parameter.shape, seed=seed + parameter.numel())
    return layer


def by_hand(layer: KANLayer, x: Tensor) -> Tensor:
    """The edges one by one, the splines from SciPy; ``[B, I, O]`` for ``x`` inside the grid."""
    edges = torch.zeros(len(x), layer.in_features, layer.out_features, dtype=DOUBLE)
    for i in range(layer.in_features):
        for o in range(layer.out_features):
            coefficients = layer.spline_coefficients[i, :, o].detach().numpy()
            spline = BSpline(layer.knots[i].numpy(), coefficients, layer.degree)
            edges[:, i, o] = torch.from_numpy(spline(x[:, i]))
            if layer.base_weight is not None:
                base = x[:, i] * torch.sigmoid(x[:, i]) if layer.base == "silu" else x[:, i]
                edges[:, i, o] += layer.base_weight[i, o].item() * base
    return edges


@pytest.mark.parametrize("base", ["silu", "identity", "none"])
@pytest.mark.parametrize("degree", [0, 1, 3, 5])
def test_an_edge_is_base_weight_times_base_plus_spline(base: str, degree: int) -> None:
    layer = make(base=base, degree=degree, grid_size=4)
    x = 0.99 * random(30, 3)
    edges = by_hand(layer, x)
    close = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(layer.edges(x), edges, **close)
    torch.testing.assert_close(layer(x), edges.sum(1), **close)
    torch.testing.assert_close(layer.edge_function(2, 1, x[:, 2]), edges[:, 2, 1], **close)


# -- a drop-in for Linear


@pytest.mark.parametrize("lead", [(), (5,), (2, 3), (0,), (4, 0, 2), (1, 1, 1, 1)])
def test_any_leading_dimensions(lead: tuple[int, ...]) -> None:
    layer, linear = make(), torch.nn.Linear(3, 2, dtype=DOUBLE)
    x = random(*lead, 3)
    y = layer(x)
    assert y.shape == linear(x).shape
    torch.testing.assert_close(y, layer(x.reshape(-1, 3)).reshape(*lead, 2))


def test_inputs_need_not_be_contiguous() -> None:
    layer, x = make(), random(3, 8)
    expected = layer(x.T.contiguous())
    torch.testing.assert_close(layer(x.T), expected)
    wide = torch.zeros(8, 6, dtype=DOUBLE)
    wide[:, ::2] = x.T
    torch.testing.assert_close(layer(wide[:, ::2]), expected)
    deep = random(4, 2, 3).transpose(0, 1)
    torch.testing.assert_close(layer(deep), layer(deep.contiguous()))
    torch.testing.assert_close(layer(x[:, :1].T.expand(8, 3)), layer(x.T[:1]).expand(8, 2))


def test_the_state_goes_into_a_dict_and_back() -> None:
    layer, other, x = make(seed=1), make(seed=2), 2 * random(20, 3)
    layer.set_knots(layer.knots * 1.5)
    layer.mask[0, 0] = False
    assert set(layer.state_dict()) == {"knots", "mask", "coefficients"}
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x), layer(x))


def test_a_deep_copy_is_the_same_and_apart() -> None:
    layer, x = make(), random(10, 3)
    layer.set_symbolic({(0, 1): ("sin", (1.0, 2.0, 3.0, 4.0))})
    before = layer(x).detach().clone()
    copied = copy.deepcopy(layer)
    assert torch.equal(copied(x), before)
    for parameter in copied.parameters():
        parameter.data += 1
    assert torch.equal(layer(x), before)
    assert copied.symbolic.names == layer.symbolic.names
    assert copied.symbolic.constants is not layer.symbolic.constants


def test_to_float32_and_back() -> None:
    layer, x = make(), random(10, 3)
    layer.set_symbolic({(0, 1): ("sin", (1.0, 2.0, 3.0, 4.0))})
    exact = layer(x)
    rough = layer.to(torch.float32)(x.float())
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough.double(), exact, rtol=1e-4, atol=1e-5)
    assert layer.to(DOUBLE)(x).dtype == DOUBLE


def test_the_default_dtype_is_respected_and_left() -> None:
    assert KANLayer(2, 2).coefficients.dtype == torch.float32
    torch.set_default_dtype(DOUBLE)
    try:
        assert {p.dtype for p in KANLayer(2, 2).parameters()} == {DOUBLE}
        assert KANLayer(2, 2).knots.dtype == DOUBLE
        assert KANLayer(2, 2, dtype=torch.float32)(torch.zeros(1, 2).float()).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_its_only_parameter_holds_the_splines_and_the_base_weights() -> None:
    layer = make(3, 2)
    shapes = {name: tuple(p.shape) for name, p in layer.named_parameters()}
    assert shapes == {"coefficients": (3, 9, 2)}
    assert all(p.requires_grad for p in layer.parameters())
    assert layer.base_weight is not None
    both = torch.cat([layer.spline_coefficients, layer.base_weight[:, None]], 1)
    assert torch.equal(both, layer.coefficients)
    with torch.no_grad():
        layer.base_weight.fill_(2.0)
        layer.spline_coefficients.fill_(1.0)
    assert layer.coefficients[:, :8].eq(1).all() and layer.coefficients[:, 8].eq(2).all()
    without = make(base="none")
    assert {name: tuple(p.shape) for name, p in without.named_parameters()} == {"coefficients": (3, 8, 2)}
    assert without.base_weight is None and torch.equal(without.spline_coefficients, without.coefficients)


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD, torch.optim.LBFGS])
def test_it_trains_inside_a_torch_model(optimizer: type[torch.optim.Optimizer]) -> None:
    generator = torch.Generator().manual_seed(0)
    first = KANLayer(2, 4, generator=generator)
    last = KANLayer(4, 1, generator=generator)
    model = torch.nn.Sequential(first, torch.nn.LayerNorm(4), last)
    x = random(200, 2).float()
    y = torch.sin(3 * x[:, :1]) * x[:, 1:]
    steps = optimizer(model.parameters(), lr=0.5 if optimizer is torch.optim.LBFGS else 0.05)
    before = {name: p.clone() for name, p in model.named_parameters()}

    def loss() -> Tensor:
        steps.zero_grad()
        value = torch.nn.functional.mse_loss(model(x), y)
        value.backward()
        return value

    start = loss().item()
    for _ in range(5 if optimizer is torch.optim.LBFGS else 60):
        steps.step(loss)
    assert loss().item() < 0.5 * start
    assert all(not torch.equal(before[name], p) for name, p in model.named_parameters())


# -- the start


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (3, 7), (100, 50)])
def test_the_start_is_small_splines_and_xavier_bases(inputs: int, outputs: int) -> None:
    generator = torch.Generator().manual_seed(0)
    layer = KANLayer(inputs, outputs, generator=generator)
    bound = math.sqrt(6 / (inputs + outputs))
    assert layer.base_weight.abs().max() <= bound
    if inputs * outputs > 1000:
        assert layer.base_weight.abs().max() > 0.99 * bound
        assert abs(layer.base_weight.mean()) < 0.05 * bound
        assert layer.base_weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    x = random(50, inputs).float()
    layer.base_weight.data.zero_()
    splines = layer.edges(x)
    assert 0 < splines.abs().max() < 0.5
    assert layer(x).abs().max() < 1


def test_the_start_comes_from_the_generator_or_from_torchs_own() -> None:
    first, same, other = (make(seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.coefficients, same.coefficients)
    assert torch.equal(first.base_weight, same.base_weight)
    assert not torch.equal(first.base_weight, other.base_weight)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        first = KANLayer(2, 2)
        torch.manual_seed(7)
        assert torch.equal(first.coefficients, KANLayer(2, 2).coefficients)
        assert not torch.equal(first.coefficients, KANLayer(2, 2).coefficients)


@pytest.mark.parametrize(
    ("base", "expected"),
    [("silu", [-0.26229938772990213, 0.17602220621322703]), ("none", [0.004853042437199207, 0.027674906591388236])],
)
def test_a_seed_means_the_same_start_in_every_version(base: str, expected: list[float]) -> None:
    layer = KANLayer(2, 2, base=base, generator=torch.Generator().manual_seed(3), dtype=DOUBLE)
    y = layer(torch.tensor([0.3, -0.6], dtype=DOUBLE))
    torch.testing.assert_close(y, torch.tensor(expected, dtype=DOUBLE), rtol=1e-12, atol=0)


def test_a_generator_of_its_own_leaves_torchs_alone(untouched_globals: None) -> None:
    make().reset_parameters(torch.Generator().manual_seed(3))


# -- outside the grid (complaint 11)


def test_outside_the_grid_edges_are_finite_straight_lines_with_a_slope() -> None:
    layer = make(base="none")
    x = torch.tensor([1.5, 2.5, 3.5, 1e6], dtype=DOUBLE)[:, None].expand(-1, 3).clone()
    for side in (x, -x):
        edges = layer.edges(side)
        assert bool(edges.isfinite().all())
        torch.testing.assert_close(edges[2] - edges[1], edges[1] - edges[0])
        places = side.requires_grad_()
        (slope,) = torch.autograd.grad(layer(places).sum(), places)
        assert bool((slope.abs() > 1e-6).all())
        torch.testing.assert_close(slope, slope[:1].expand_as(slope))
        ends = torch.sign(side[:1]).detach()
        at_end = layer.edges(ends)[0] + (edges[1] - edges[0]) * (side[0, 0].abs() - 1)
        torch.testing.assert_close(edges[0], at_end)


def test_nan_stays_nan_in_its_own_sample() -> None:
    x = random(4, 3)
    x[1, 2] = float("nan")
    assert make()(x).isnan().any(1).tolist() == [False, True, False, False]


# -- removed and symbolic edges


def test_a_removed_edge_gives_nothing_and_gets_no_gradient() -> None:
    layer, x = make(), random(20, 3)
    whole = layer.edges(x)
    layer.mask[1, 0] = False
    torch.testing.assert_close(layer(x)[:, 0], whole[:, 0, 0] + whole[:, 2, 0])
    torch.testing.assert_close(layer(x)[:, 1], whole[:, :, 1].sum(1))
    assert bool((layer.edges(x)[:, 1, 0] == 0).all())
    torch.testing.assert_close(layer.edge_function(1, 0, x[:, 1]), whole[:, 1, 0])
    layer(x).square().sum().backward()
    grad = layer.coefficients.grad
    assert bool((grad[1, :, 0] == 0).all())
    assert int((grad[:, -1] != 0).sum()) == 5


def test_a_layer_without_removed_edges_computes_with_its_parameter_itself() -> None:
    layer = make()
    assert layer.rows() is layer.coefficients
    layer.mask[1, 0] = False
    rows = layer.rows()
    assert bool((rows[1, :, 0] == 0).all()) and torch.equal(rows[layer.mask.nonzero()[:, 0], :, 1][0], rows[0, :, 1])
    layer.mask[1, 0] = True
    assert layer.rows() is layer.coefficients
    layer.set_symbolic({(0, 1): ("sin", (1.0, 0.0, 1.0, 0.0))})
    assert bool((layer.rows()[0, :, 1] == 0).all())
    layer.set_symbolic({})
    assert layer.rows() is layer.coefficients


def _loaded(layer: KANLayer, *, assign: bool) -> KANLayer:
    state = {name: value.clone() for name, value in layer.state_dict().items()}
    state["mask"][0, 0] = False
    layer.load_state_dict(state, assign=assign)
    return layer


def _edited(layer: KANLayer) -> KANLayer:
    layer.mask[0, 0] = False
    return layer


def _in_inference_mode(layer: KANLayer) -> KANLayer:
    with torch.inference_mode():
        return _edited(layer)


def _replaced(layer: KANLayer) -> KANLayer:
    layer.mask = layer.mask.clone()
    layer(torch.zeros(1, 3, dtype=DOUBLE))
    layer.mask = _edited(copy.deepcopy(layer)).mask
    return layer


REMOVALS: dict[str, Callable[[KANLayer], KANLayer]] = {
    "in place": _edited,
    "through a view": lambda layer: (layer.mask[0].narrow(0, 0, 1).zero_(), layer)[1],
    "from a state": lambda layer: _loaded(layer, assign=False),
    "from a state that takes the mask's place": lambda layer: _loaded(layer, assign=True),
    "after a change of dtype": lambda layer: _edited(layer.to(torch.float32).to(DOUBLE)),
    "in a copy": lambda layer: _edited(copy.deepcopy(layer)),
    "in a shallow copy": lambda layer: _edited(copy.copy(layer)),
    "in inference mode": _in_inference_mode,
    "by another mask": _replaced,
}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("how", REMOVALS)
def test_every_change_of_the_mask_is_noticed(how: str, times: int) -> None:
    layer, x = make(), random(5, 3)
    edges = layer.edges(x).detach()
    for _ in range(times):  # the mask's version is not 0 the second time
        layer.mask[1, 1] = False
        layer.mask[1, 1] = True
        layer(x)
    changed = REMOVALS[how](layer)
    torch.testing.assert_close(changed(x)[:, 0], edges[:, 1:, 0].sum(1), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(changed(x)[:, 1], edges[:, :, 1].sum(1), rtol=1e-6, atol=1e-6)
    changed.mask[0, 0] = True
    torch.testing.assert_close(changed(x)[:, 0], edges[:, :, 0].sum(1), rtol=1e-6, atol=1e-6)


def test_a_layer_made_in_inference_mode_notices_its_mask_too() -> None:
    with torch.inference_mode():
        layer, x = KANLayer(3, 2), torch.zeros(2, 3)
        layer(x)
        layer.mask[:, 0] = False
        assert bool((layer(x + 0.5)[:, 0] == 0).all()) and bool((layer(x + 0.5)[:, 1] != 0).all())


# Stands in for the contraction, so that what is tested is the layer's own code and no kernel's.
def _stand_in(
    v: None, rows: Tensor, x: Tensor, knots: Tensor, degree: int, base: str = "none", order: int = 0
) -> Tensor:
    return torch.einsum("bi,iro->bo", torch.sin(x + knots[:, 0]), rows)


def test_layers_with_different_masks_are_mapped_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "edge_sum", _stand_in)
    layers, x = [make(seed=seed) for seed in range(3)], random(5, 3)
    layers[1].mask[0, 1] = False
    layers[2].mask[2, 0] = False
    expected = torch.stack([layer(x) for layer in layers])
    parameters, buffers = torch.func.stack_module_state(layers)

    def call(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(layers[0], (parameters, buffers), (x,))

    torch.testing.assert_close(torch.vmap(call)(parameters, buffers), expected)
    for n, layer in enumerate(layers):
        alone = call({k: p[n] for k, p in parameters.items()}, {k: b[n] for k, b in buffers.items()})
        torch.testing.assert_close(alone, layer(x))


@pytest.mark.parametrize("symbolic", [False, True])
def test_a_compiled_layer_follows_its_mask(monkeypatch: pytest.MonkeyPatch, symbolic: bool) -> None:
    monkeypatch.setattr(ops, "edge_sum", _stand_in)
    layer, x = make(), random(5, 3)
    if symbolic:
        layer.set_symbolic({(0, 1): ("sin", (2.0, 0.5, 3.0, -1.0))})
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    for _ in range(2):
        torch.testing.assert_close(compiled(x), layer(x))
        before = layer(x)
        layer.mask[1, 0] = not bool(layer.mask[1, 0])
        assert not torch.equal(layer(x), before)
        torch.testing.assert_close(compiled(x), layer(x))


@pytest.mark.parametrize("strict", [False, True])
def test_a_layer_can_be_exported(monkeypatch: pytest.MonkeyPatch, strict: bool) -> None:
    monkeypatch.setattr(ops, "edge_sum", _stand_in)
    layer = make()
    layer.mask[1, 0] = False
    shapes = ({0: torch.export.Dim("batch", min=2)},)
    exported = torch.export.export(layer, (random(5, 3),), dynamic_shapes=shapes, strict=strict).module()
    torch.testing.assert_close(exported(random(9, 3)), layer(random(9, 3)))


def test_symbolic_edges_stand_in_for_splines_everywhere() -> None:
    layer, x = make(), random(20, 3)
    whole = layer.edges(x)
    layer.set_symbolic({(0, 1): ("sin", (2.0, 0.5, 3.0, -1.0)), (2, 1): ("x^2", (1.0, 0.0, 0.5, 0.0))})
    sine = 3 * torch.sin(2 * x[:, 0] + 0.5) - 1
    square = 0.5 * x[:, 2] ** 2
    torch.testing.assert_close(layer(x)[:, 1], sine + whole[:, 1, 1] + square)
    torch.testing.assert_close(layer(x)[:, 0], whole[:, :, 0].sum(1))
    torch.testing.assert_close(layer.edges(x)[:, 0, 1], sine)
    torch.testing.assert_close(layer.edges(x).sum(1), layer(x))
    torch.testing.assert_close(layer.edge_function(2, 1, x[:, 2]), square)
    table = layer.symbolic_table()
    assert table[0, 1] == ("sin", (2.0, 0.5, 3.0, -1.0)) and set(table) == {(0, 1), (2, 1)}
    assert layer.spline_mask().tolist() == [[True, False], [True, True], [True, False]]
    layer.set_symbolic({})
    assert layer.symbolic is None and torch.equal(layer.edges(x), whole)


def test_gradients_of_the_layer_are_exact_in_inputs_and_all_parameters() -> None:
    layer, x = make(2, 2, grid_size=2), 0.9 * random(3, 2)
    layer.mask[1, 1] = False
    layer.set_symbolic({(0, 1): ("sin", (2.0, 0.5, 3.0, -1.0))})
    names = [name for name, _ in layer.named_parameters()]
    assert "symbolic.constants" in names

    def call(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    values = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    inputs = (x.requires_grad_(), *values)
    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs, fast_mode=True)


def test_knots_can_be_set_without_changing_the_function() -> None:
    layer, x = make(grid_size=4), random(20, 3)
    before = layer(x).detach()
    layer.set_knots(extended_knots(split_breakpoints(breakpoints(layer.knots, 3), 11), 3))
    assert layer.grid_size == 11 and layer.coefficients.shape == (3, 15, 2)
    torch.testing.assert_close(layer(x), before, rtol=0, atol=1e-12)


# -- mistakes


@pytest.mark.parametrize("shape", [(), (4,), (5, 4), (5, 2), (3, 5)])
def test_a_wrong_number_of_features_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError) as caught:
        make()(torch.zeros(shape, dtype=DOUBLE))
    assert str(caught.value) == (
        f"the layer takes 3 features in the last dimension, but the input has shape {tuple(shape)}"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"in_features": 0}, "in_features must be a whole number of at least 1, not 0"),
        ({"out_features": 2.0}, "out_features must be a whole number of at least 1, not 2.0"),
        ({"grid_size": 0}, "grid_size must be a whole number of at least 1, not 0"),
        ({"grid_size": True}, "grid_size must be a whole number of at least 1, not True"),
        ({"degree": 6}, "degree must be a whole number from 0 to 5, not 6"),
        ({"degree": -1}, "degree must be a whole number from 0 to 5, not -1"),
        ({"base": "silo"}, "base must be one of silu, identity, none, not 'silo'"),
        ({"base": None}, "base must be one of silu, identity, none, not None"),
        ({"grid_range": (1.0, 1.0)}, "grid_range must be two finite numbers, the lower first"),
        ({"grid_range": (0.0, math.inf)}, "grid_range must be two finite numbers"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], message: str) -> None:
    given = {"in_features": 2, "out_features": 2} | options
    with pytest.raises(OptionError) as caught:
        KANLayer(**given)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


def test_it_prints_like_a_torch_layer() -> None:
    assert repr(KANLayer(2, 3)) == "KANLayer(2, 3, grid_size=5, degree=3, base='silu')"
