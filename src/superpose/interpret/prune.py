"""Smaller models of nearly the same function: without idle edges, without twin nodes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from superpose._errors import OptionError, nearest
from superpose.data import Dataset
from superpose.interpret.attribution import Scores, samples, scores
from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN, Edge
from superpose.nn.surgery import slice_model
from superpose.spline import fitting, grid, reference

# Share of an output's standard deviation below which an edge counts as idle.
THRESHOLD = 1e-2
# Weight of grid points that no sample visits, in the fit of a merged edge.
_FREE_WEIGHT = 1e-4


def prune(
    model: KAN,
    data: Tensor | Dataset,
    *,
    threshold: float | None = None,
    edges: Iterable[Edge] = (),
    nodes: Iterable[tuple[int, int]] = (),
    inputs: Iterable[str | int] = (),
) -> KAN:
    """A new, smaller model: without its idle edges, or without those that are named.

    Every edge that goes is replaced by its mean over the samples, which another edge of the same
    node takes up; so the function changes by the variation of the edges that went, and by nothing
    else. Hidden nodes that are left without incoming or without outgoing edges go too. The inputs
    keep their places, and no output is ever cut off from all of them.

    Args:
        model: any model; it is not changed.
        data: samples ``[B, n_in]`` in the user's units, or a data set (its training rows).
        threshold: edges whose attribution (see :class:`Scores`) is below it go, except that the
            strongest path to each output stays. 0.01 if nothing is named; if something is named,
            only that goes unless a threshold is given too.
        edges: ``(layer, input, output)``, as in :meth:`KAN.active_edges`.
        nodes: ``(layer, index)``; layer 0 are the inputs, 1 the first hidden nodes.
        inputs: columns, by name or by index.

    Raises:
        OptionError: if a name or an index is not in the model, or if without what is named an
            output would depend on no input.
        DataError: if there are fewer than two samples, or the model is not finite on them.

    >>> x = 2 * torch.rand(100, 2, generator=torch.Generator().manual_seed(0)) - 1
    >>> model = KAN([2, 3, 1], feature_names=["size", "noise"], seed=0)
    >>> prune(model, x, inputs=["noise"], nodes=[(1, 2)]).widths
    [2, 2, 1]
    >>> prune(model, x, inputs=["nose"])
    Traceback (most recent call last):
        ...
    superpose._errors.OptionError: the model has no input 'nose'; did you mean 'noise'?
    """
    named = _named_edges(model, edges, nodes, inputs)
    if threshold is None:
        threshold = 0.0 if named else THRESHOLD
    if not threshold >= 0:
        raise OptionError(f"threshold must be a number of at least 0, not {threshold!r}")
    found = scores(model, data)
    before = [layer.mask.clone() for layer in model.kan_layers()]
    alive = [mask.clone() for mask in before]
    for n, i, o in named:
        alive[n][i, o] = False
    _check_outputs(model, before, alive)
    essential = _strongest_paths(alive, found.spreads)
    for mask, score, path in zip(alive, found.edges, essential, strict=True):
        mask &= (score >= threshold) | path
    _drop_dead_ends(alive, essential)
    return _without(model, alive, found)


def merge(model: KAN, data: Tensor | Dataset, *, tolerance: float = 1e-6) -> KAN:
    """A new model in which hidden nodes that carry the same function are one node.

    Two nodes of a layer carry the same function if one is a multiple of the other plus a constant.
    The edges that leave the second are then rewritten for the first and added to its own: splines
    by least squares, on a finer grid if need be; a symbolic edge stays symbolic or stays where it
    is. Nodes stay apart when the function would not be kept.

    Args:
        model: any model; it is not changed.
        data: samples ``[B, n_in]`` in the user's units, or a data set (its training rows).
        tolerance: the share of its variance that a node may owe to something else than its twin,
            and that an output may lose.

    Raises:
        OptionError: if ``tolerance`` is negative.
        DataError: if there are fewer than two samples, or the model is not finite on them.

    >>> x = 2 * torch.rand(100, 2, generator=torch.Generator().manual_seed(0)) - 1
    >>> model = KAN([2, 2, 1], base="none", seed=0)
    >>> layer = model.layer(0)
    >>> layer.coefficients.data[..., 1] = 3 * layer.coefficients.data[..., 0]
    >>> merge(model, x).widths
    [2, 1, 1]
    """
    if not tolerance >= 0:
        raise OptionError(f"tolerance must be a number of at least 0, not {tolerance!r}")
    x = samples(model, data)
    scores(model, x)  # refuses a model that is not finite on the samples
    target = model(x).detach()
    model = model.copy()
    layer = 1
    while layer < len(model.layers):
        merged = _merge_in_layer(model, x, target, layer, tolerance)
        if merged is None:
            layer += 1
        else:
            model = merged
    return model


# -- what goes


def _named_edges(
    model: KAN,
    edges: Iterable[Edge],
    nodes: Iterable[tuple[int, int]],
    inputs: Iterable[str | int],
) -> set[Edge]:
    widths = model.widths
    depth = len(widths) - 1
    gone: set[Edge] = set()
    for edge in edges:
        n, i, o = _indices(edge, "edges", "(layer, input, output)", 3)
        if not (0 <= n < depth and 0 <= i < widths[n] and 0 <= o < widths[n + 1]):
            raise OptionError(f"the model has no edge {(n, i, o)}; its widths are {widths}")
        gone.add((n, i, o))
    listed = [_indices(node, "nodes", "(layer, index)", 2) for node in nodes]
    listed += [(0, _input_index(model, name)) for name in _several(inputs)]
    for n, index in listed:
        if not (0 <= n <= depth and 0 <= index < widths[n]):
            raise OptionError(f"the model has no node {(n, index)}; its widths are {widths}")
        if n == depth:
            raise OptionError(f"node {(n, index)} is an output; outputs cannot be removed")
        gone.update((n, index, o) for o in range(widths[n + 1]))
        if n > 0:
            gone.update((n - 1, i, index) for i in range(widths[n - 1]))
    return gone


def _indices(given: Sequence[int], option: str, form: str, count: int) -> tuple[int, ...]:
    try:
        found = tuple(index.__index__() for index in given)
    except (TypeError, AttributeError):
        found = ()
    if len(found) != count:
        raise OptionError(f"{option} lists {form} in whole numbers, not {given!r}")
    return found


def _several(inputs: Iterable[str | int]) -> list[str | int]:
    if isinstance(inputs, str):
        raise OptionError(f"inputs is a list of columns; write inputs=[{inputs!r}]")
    return list(inputs)


def _input_index(model: KAN, name: str | int) -> int:
    names = model.feature_names
    if name in names:
        return names.index(str(name))
    if isinstance(name, int) and 0 <= name < len(names):
        return name
    raise OptionError(f"the model has no input {name!r}{nearest(str(name), names)}")


def _reached(alive: list[Tensor]) -> list[Tensor]:
    """For each layer of nodes, inputs first, which of them some input reaches."""
    reached = [alive[0].new_ones(alive[0].shape[0])]
    for mask in alive:
        reached.append((mask & reached[-1][:, None]).any(0))
    return reached


def _check_outputs(model: KAN, before: list[Tensor], alive: list[Tensor]) -> None:
    cut = _reached(before)[-1] & ~_reached(alive)[-1]
    names = [name for name, gone in zip(model.target_names, cut.tolist(), strict=True) if gone]
    if names:
        raise OptionError(
            f"without these edges the output {names[0]!r} would depend on no input; leave at "
            "least one path from an input to it"
        )


def _strongest_paths(alive: list[Tensor], spreads: Sequence[Tensor]) -> list[Tensor]:
    """Masks of one path to each output: from the output back, always the edge that varies most.

    An output that no input reaches in the model as it was given keeps all that leads to it.
    """
    reached = _reached(alive)
    essential = [torch.zeros_like(mask) for mask in alive]
    wanted = torch.ones_like(reached[-1])
    for n in reversed(range(len(alive))):
        usable = alive[n] & reached[n][:, None]
        strongest = torch.where(usable, spreads[n], -1.0).argmax(0)
        essential[n][strongest, torch.arange(len(strongest), device=strongest.device)] = True
        essential[n] = torch.where(reached[n + 1], essential[n], alive[n]) & wanted
        wanted = essential[n].any(1)
    return essential


def _drop_dead_ends(alive: list[Tensor], essential: list[Tensor]) -> None:
    """Take out, in place, the edges that leave a constant node and those into a node unread."""
    for n in range(1, len(alive)):
        alive[n] &= alive[n - 1].any(0)[:, None] | essential[n]
    for n in reversed(range(len(alive) - 1)):
        alive[n] &= alive[n + 1].any(1)


# -- taking it out


@torch.no_grad()
def _without(model: KAN, alive: list[Tensor], found: Scores) -> KAN:
    """The model with these edges only, the means of the others taken up, idle nodes cut out."""
    made = model.copy()
    for n, layer in enumerate(made.kan_layers()):
        constants = torch.where(layer.mask & ~alive[n], found.means[n], 0.0).sum(0)
        splines = layer.spline_mask() & alive[n]
        for o in torch.nonzero(constants)[:, 0].tolist():
            # A spline takes up a constant without a trace; a symbolic edge's formula gets longer.
            usable = splines[:, o] if bool(splines[:, o].any()) else alive[n][:, o]
            if bool(usable.any()):
                i = int(torch.where(usable, found.spreads[n][:, o], -1.0).argmax())
                add_constant(layer, i, o, float(constants[o]))
        layer.mask.copy_(alive[n])
        table = layer.symbolic_table()
        layer.set_symbolic({edge: entry for edge, entry in table.items() if alive[n][edge]})
    keep = [
        torch.nonzero(into.any(0) | out.any(1))[:, 0].tolist() or [0]
        for into, out in itertools.pairwise(alive)
    ]
    return slice_model(made, keep)


@torch.no_grad()
def add_constant(layer: KANLayer, i: int, o: int, constant: float) -> None:
    """Add a constant to one edge function, in place; exact everywhere, outside the grid too.

    The B-splines sum to one, so a spline takes it up in all of its coefficients.
    """
    if layer.symbolic is not None and (i, o) in layer.symbolic.names:
        layer.symbolic.constants[layer.symbolic.edges.index((i, o)), 3] += constant
        return
    scaled = layer.coefficients[i, :, o] * layer.spline_weight[i, o]
    layer.coefficients[i, :, o] = scaled + constant
    layer.spline_weight[i, o] = 1.0


# -- twins


@torch.no_grad()
def _merge_in_layer(model: KAN, x: Tensor, target: Tensor, n: int, tolerance: float) -> KAN | None:
    """The model with one pair of twins of node layer ``n`` merged, or None if it has none."""
    h = model.scale_inputs(x)
    for layer in model.kan_layers()[:n]:
        h = layer(h)
    deviation = h - h.mean(0)
    products = deviation.T @ deviation
    variance = products.diagonal()
    incoming = model.layer(n - 1).mask.sum(0).tolist()
    # The node with the fewest edges into it is the one to keep.
    order = sorted(range(len(incoming)), key=lambda node: (incoming[node], node))
    for place, kept in enumerate(order):
        for gone in order[place + 1 :]:
            both = variance[kept] * variance[gone]
            shared = products[kept, gone].square()
            if not (both > 0 and both - shared <= tolerance * both):
                continue
            factor = float(products[kept, gone] / variance[kept])
            shift = float(h[:, gone].mean() - factor * h[:, kept].mean())
            for refined in (1, 2, 4):
                made = _merged(model, h, n, (kept, gone), (factor, shift), refined)
                if made is None:
                    break
                if _lost(made(x), target) <= tolerance:
                    return made
    return None


def _merged(
    model: KAN, h: Tensor, n: int, pair: tuple[int, int], affine: tuple[float, float], refined: int
) -> KAN | None:
    """``model`` with the second of two twins read off the first; None if a symbol would be lost."""
    kept, gone = pair
    sizes = [layer.grid_size for layer in model.kan_layers()]
    sizes[n] *= refined
    made = model.refine(sizes)
    layer = made.layer(n)
    table = layer.symbolic_table()
    curves = []
    for o in torch.nonzero(layer.mask[gone])[:, 0].tolist():
        if (gone, o) not in table and (kept, o) not in table:
            curves.append(o)
            continue
        joined = _joined_symbol(layer, kept, gone, o, affine)
        if joined is None:
            return None
        table[kept, o] = joined
    _add_curves(layer, h[:, kept], pair, curves, affine)
    layer.mask[kept] |= layer.mask[gone]
    layer.set_symbolic(table)
    nodes = [list(range(width)) for width in made.widths[1:-1]]
    nodes[n - 1].remove(gone)
    return slice_model(made, nodes)


def _joined_symbol(
    layer: KANLayer, kept: int, gone: int, o: int, affine: tuple[float, float]
) -> tuple[str, tuple[float, float, float, float]] | None:
    """One symbolic edge for two, where the second's input is ``factor * input + shift``."""
    table = layer.symbolic_table()
    if (gone, o) not in table:
        return None
    factor, shift = affine
    name, (a, b, c, d) = table[gone, o]
    a, b = a * factor, b + a * shift
    if not bool(layer.mask[kept, o]):
        return name, (a, b, c, d)
    other, (p, q, r, t) = table.get((kept, o), ("", (0.0,) * 4))
    near = abs(p - a) + abs(q - b) <= 1e-6 * max(1.0, abs(p) + abs(q))
    if name != other or not near:
        return None
    return name, (p, q, r + c, t + d)


def _add_curves(
    layer: KANLayer,
    x: Tensor,
    pair: tuple[int, int],
    outputs: list[int],
    affine: tuple[float, float],
) -> None:
    """Add to the edges ``kept -> o`` what comes nearest to ``gone -> o``, by least squares."""
    kept, gone = pair
    if not outputs:
        return
    knots = layer.knots[kept : kept + 1]
    domain = grid.breakpoints(knots, layer.degree)
    visited = torch.linspace(0, 1, domain.shape[-1]).to(x) * (x.max() - x.min()) + x.min()
    where = [
        fitting.sites(domain, layer.degree)[0],
        fitting.sites(visited[None], layer.degree)[0],
        x,
    ]
    places = torch.cat(where)
    moved = affine[0] * places + affine[1]
    curves = torch.stack([layer.edge_function(gone, o, moved) for o in outputs], -1)
    basis = reference.dense_basis(knots, layer.degree, layer.base, places[:, None])[:, 0]
    # The whole grid is followed only as far as the samples leave it free.
    weight = torch.ones_like(places)
    weight[: len(where[0])] = _FREE_WEIGHT
    weighted = [(side * weight[:, None]).cpu() for side in (basis, curves)]
    # The base function may be a spline, or nearly one: the system need not have full rank.
    fitted = torch.linalg.lstsq(*weighted, driver="gelsd").solution.to(x.device)
    own = layer.rows()[kept][:, outputs] + fitted
    count = layer.coefficients.shape[1]
    layer.coefficients[kept][:, outputs] = own[:count]
    layer.spline_weight[kept, outputs] = 1.0
    if layer.base_weight is not None:
        layer.base_weight[kept, outputs] = own[-1]


def _lost(y: Tensor, target: Tensor) -> float:
    """The largest share of an output's variance by which ``y`` misses ``target``."""
    variance, mean = target.var(0, correction=0), target.mean(0)
    # An output that is constant up to rounding is measured by its size.
    scale = variance + torch.finfo(target.dtype).eps * mean.square()
    missed = (y - target).square().mean(0)
    return float(torch.where(missed > 0, missed / scale, 0.0).max())
