"""New grids for KAN layers inside any torch model, in place, in the midst of training with any torch optimiser.

:func:`superpose.fit` changes grids by itself. These functions are for training loops of one's own: the parameters stay
the objects that an optimiser holds, and what the optimiser keeps for each coefficient moves with the grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from superpose.checks import check_whole, is_finite
from superpose.errors import DataError, OptionError, ShapeError
from superpose.nn.layer import KANLayer, set_values
from superpose.nn.wide_buffers import wide
from superpose.spline import grid, reference

# Rows of a layer's inputs by which its grid is set, at most; quantiles hardly change with more. A round number.
_MAX_ROWS = 1 << 16


@torch.no_grad()
def refine_grids(model: nn.Module, grid_size: int, *, optimizer: Optimizer | None = None) -> None:
    """Split grid intervals of all KAN layers of a torch model, in place; its function stays the same.

    Args:
        model: a layer, a network, or a module that holds some. Layers with as many or more intervals keep theirs.
        grid_size: intervals of each layer.
        optimizer: that trains the model. Its moments move with the grid: Adam that starts anew after a refinement
            takes steps of full length, and the error rises at first: in five steps on mini-batches of 128 rows at rate
            0.01 to 2.7 times its value (the mean of six networks ``[2, 8, 1]``), where it fell to 0.94 of it with
            moments that moved. L-BFGS forgets its history.

    Raises:
        OptionError: if there is no KAN layer, ``grid_size`` is not a whole number of at least 1, or coefficients are
            shared or parametrised.

    >>> model = nn.Sequential(nn.Linear(2, 3), KANLayer(3, 1, grid_size=5))
    >>> optimizer = torch.optim.AdamW(model.parameters())
    >>> refine_grids(model, 10, optimizer=optimizer)
    >>> model[1].grid_size
    10
    """
    check_whole("grid_size", grid_size)
    for layer in _layers(model):
        if layer.grid_size < grid_size:
            points = grid.split_breakpoints(grid.breakpoints(layer.knots, layer.degree), int(grid_size), None)
            _move(layer, grid.extended_knots(points, layer.degree), optimizer)


@torch.no_grad()
def adapt_grids(
    model: nn.Module,
    *inputs: Any,
    optimizer: Optimizer | None = None,
    blend: float = 0.5,
    margin: float = 0.0,
    grid_size: int | None = None,
) -> None:
    """Fit the grids of all KAN layers of a torch model to their inputs on some samples, in place.

    The model is called once, as in evaluation (no dropout). Coefficients are refitted by least squares over the new
    grids, so curves that a grid cannot represent change a little.

    Args:
        model: as for :func:`refine_grids`.
        inputs: of the model, a batch of usual samples.
        optimizer: as for :func:`refine_grids`.
        blend: 0 for evenly spaced knots, 1 for quantiles of the inputs.
        margin: share of the inputs' range added on either side.
        grid_size: intervals of each layer; as many as before if left out.

    Raises:
        OptionError: as :func:`refine_grids`, or if ``blend`` is outside 0 to 1 or ``margin`` is negative.
        DataError: if a layer's inputs are not finite, or the model did not use the layer.
    """
    if not (is_finite(blend) and 0 <= blend <= 1):
        raise OptionError(f"blend must lie between 0 (uniform) and 1 (quantiles), not {blend!r}")
    if not (is_finite(margin) and margin >= 0):
        raise OptionError(f"margin must be a number of at least 0, not {margin!r}")
    if grid_size is not None:
        check_whole("grid_size", grid_size)
    layers = _layers(model)
    with _evaluation(model), _seen(layers) as seen:
        model(*inputs)
    found = []
    for n, layer in enumerate(layers):
        rows = torch.cat(seen[n]) if seen[n] else layer.knots.new_empty(0, layer.in_features)
        if not len(rows) or not bool(rows.isfinite().all()):
            what = "was not used by the model on these samples" if not seen[n] else "has no or no finite inputs there"
            raise DataError(f"the grid of the layer {_name_of(model, layer)} follows its inputs, but it {what}")
        found.append(rows)
    for layer, rows in zip(layers, found, strict=True):
        size = layer.grid_size if grid_size is None else int(grid_size)
        points = grid.adapted_breakpoints(rows.to(layer.knots.dtype), size, blend=blend, margin=margin)
        _move(layer, grid.extended_knots(points, layer.degree), optimizer)


@torch.no_grad()
def match_grids(other: nn.Module, model: nn.Module) -> None:
    """Give the KAN layers of a copy of a model, such as an average of its weights, the grids of the model, in place.

    Call it after :func:`refine_grids` (the copy's function stays the same) or :func:`adapt_grids`.

    Args:
        other: a copy, for example :class:`torch.optim.swa_utils.AveragedModel`.
        model: with layers of the same sizes.

    Raises:
        OptionError: as :func:`refine_grids`.
        ShapeError: if the layers are not the same but for their grids.
    """
    layers, examples = _layers(other), _layers(model)

    def form(layer: KANLayer) -> tuple[int, int, int, str]:
        return layer.in_features, layer.sum_count, layer.degree, layer.base

    if [form(layer) for layer in layers] != [form(layer) for layer in examples]:
        raise ShapeError("the two models must have the same KAN layers but for their grids; the first is no copy")
    for layer, example in zip(layers, examples, strict=True):
        if not torch.equal(layer.knots, example.knots):
            _move(layer, example.knots.clone(), None)


def _layers(model: nn.Module) -> list[KANLayer]:
    """The KAN layers of a model, whose coefficients are parameters of their own."""
    named = [(name, module) for name, module in model.named_modules() if isinstance(module, KANLayer)]
    if not named:
        raise OptionError(f"a {type(model).__name__} without KAN layers has no grids")
    owners = dict[int, str]()
    for name, layer in named:
        own = layer._parameters.get("coefficients")
        if own is None:
            raise OptionError(
                f"the grid of the layer {name or 'itself'!r} cannot change, since its coefficients are parametrised; "
                "use torch.nn.utils.parametrize.remove_parametrizations first"
            )
        if id(own) in owners:
            raise OptionError(
                f"the grids of the layers {owners[id(own)]!r} and {name!r} cannot change, since they share one "
                "parameter; use one layer at both places instead"
            )
        owners[id(own)] = name
    return [layer for _, layer in named]


def _name_of(model: nn.Module, layer: KANLayer) -> str:
    name = next(name for name, module in model.named_modules() if module is layer)
    return repr(name) if name else "itself"


@contextmanager
def _evaluation(model: nn.Module) -> Iterator[None]:
    """All modules as in evaluation, and afterwards each as it was."""
    training = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, was in training:
            module.training = was


@contextmanager
def _seen(layers: list[KANLayer]) -> Iterator[list[list[Tensor]]]:
    """The inputs ``[B, I]`` of each layer at each of its calls."""
    seen: list[list[Tensor]] = [[] for _ in layers]

    def keep(n: int) -> Any:
        def hook(module: nn.Module, given: tuple[Any, ...]) -> None:
            rows = wide(given[0].detach()).reshape(-1, layers[n].in_features)
            seen[n].append(rows[:: max(1, -(-len(rows) // _MAX_ROWS))])

        return hook

    handles = [layer.register_forward_pre_hook(keep(n)) for n, layer in enumerate(layers)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _move(layer: KANLayer, knots: Tensor, optimizer: Optimizer | None) -> None:
    """Move a layer's curves to other knots, in the parameter that it has, with what an optimiser keeps for it."""
    own, before = layer.coefficients, layer.knots
    layer.set_knots(knots)
    moved = layer.coefficients
    if optimizer is not None:
        _carry(optimizer, own, _averages(before, knots, layer.degree))
    set_values(own, moved.data)
    layer.coefficients = own


def _averages(before: Tensor, after: Tensor, degree: int) -> Tensor:
    """``[I, R_new, R_old]``: each new coefficient as a weighted mean of old ones (Schoenberg's operator).

    Its weights are not negative, so mean squares of gradients stay that; least squares would not keep them so.
    """
    inner = after[:, 1:-1].unfold(-1, degree, 1) if degree else after.unfold(-1, 2, 1)
    places = inner.mean(-1)
    low, high = before[:, degree : degree + 1], before[:, -degree - 1 :][:, :1]
    inside = torch.minimum(torch.maximum(places, low), high)
    return reference.dense_basis(before, degree, "none", inside.T).transpose(0, 1)


def _carry(optimizer: Optimizer, parameter: nn.Parameter, averages: Tensor) -> None:
    """Move what an optimiser keeps for each coefficient; the row of the base function stays."""
    if isinstance(optimizer, LBFGS):
        # Its history is of all parameters in one vector.
        optimizer.state.clear()
        optimizer._numel_cache = None
        return
    kept = optimizer.state.get(parameter, {})
    for name, value in kept.items():
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            count = averages.shape[2]
            spline = averages.to(value.device, value.dtype) @ value[:, :count]
            kept[name] = torch.cat([spline, value[:, count:]], 1)
