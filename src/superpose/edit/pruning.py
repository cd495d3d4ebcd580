"""Smaller models of nearly the same function: without their idle edges and nodes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.edit.attribution import Scores, scores
from superpose.edit.edge_curves import check_edge
from superpose.errors import OptionError
from superpose.messages import nearest
from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN, Edge
from superpose.nn.surgery import cut_sums, scale_sum, slice_model

# Share of an output's standard deviation below which an edge counts as idle.
THRESHOLD = 1e-2


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
    else. A product's factor that loses all its edges goes, and its mean multiplies another factor.
    Hidden nodes that are left without incoming or without outgoing edges go too. The inputs keep
    their places, and no output is ever cut off from all of them.

    Args:
        model: any model; it is not changed.
        data: samples ``[B, n_in]`` in the user's units, or a data set (its training rows).
        threshold: edges whose attribution (see :class:`~superpose.edit.Scores`) is below it go, except that the
            strongest path to each output stays. 0.01 if nothing is named; if something is named,
            only that goes unless a threshold is given too.
        edges: ``(layer, input, output)``, a product's factors counted one by one, as in :meth:`KAN.active_edges`.
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
    superpose.errors.OptionError: the model has no input 'nose'; did you mean 'noise'?
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
    layers = model.kan_layers()
    _check_outputs(model, before, alive)
    essential = _strongest_paths(layers, alive, found)
    for mask, score, path in zip(alive, found.edges, essential, strict=True):
        mask &= (score >= threshold) | path
    _drop_dead_ends(layers, alive, essential)
    return _without(model, alive, found)


def remove(model: KAN, data: Tensor | Dataset, edge: Sequence[int]) -> KAN:
    """A new model without one edge, whose mean over the samples another edge of its node takes up.

    Hidden nodes that are left without edges are removed too; see :func:`superpose.prune`, which takes several edges
    at once.

    Raises:
        OptionError: if the edge is not there, or without it an output would depend on no input.

    >>> x = 2 * torch.rand(100, 2, generator=torch.Generator().manual_seed(0)) - 1
    >>> remove(KAN([2, 1], seed=0), x, (0, 1, 0)).active_edges()
    [(0, 0, 0)]
    """
    return prune(model, data, edges=[check_edge(model, edge)])


# -- which edges are removed


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
        model.check_edge(n, i, o)
        gone.add((n, i, o))
    listed = [_indices(node, "nodes", "(layer, index)", 2) for node in nodes]
    listed += [(0, input_index(model, name)) for name in _several(inputs)]
    for n, index in listed:
        if not (0 <= n <= depth and 0 <= index < widths[n]):
            raise OptionError(f"the model has no node {(n, index)}; its widths are {model.shape}")
        if n == depth:
            raise OptionError(f"node {(n, index)} is an output; outputs cannot be removed")
        gone.update((n, index, o) for o in range(model.layer(n).sum_count))
        if n > 0:
            into = model.layer(n - 1)
            gone.update((n - 1, i, o) for i in range(widths[n - 1]) for o in into.sums_of(index))
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


def input_index(model: KAN, name: str | int) -> int:
    """Which input a column is, by name or by index; raises :class:`OptionError` if it is none."""
    names = model.feature_names
    if name in names:
        return names.index(str(name))
    if isinstance(name, int) and 0 <= name < len(names):
        return name
    raise OptionError(f"the model has no input {name!r}{nearest(str(name), names)}")


def _by_node(layer: KANLayer, sums: Tensor) -> Tensor:
    """Which nodes have a sum of which this holds: ``[out_features]`` from ``[O]``."""
    if not layer.products:
        return sums
    found = sums.new_zeros(layer.out_features)
    for o, owner in enumerate(layer.owners):
        found[owner] |= sums[o]
    return found


def _reached(layers: Sequence[KANLayer], alive: list[Tensor]) -> list[Tensor]:
    """For each layer of nodes, inputs first, which of them some input reaches."""
    reached = [alive[0].new_ones(alive[0].shape[0])]
    for layer, mask in zip(layers, alive, strict=True):
        reached.append(_by_node(layer, (mask & reached[-1][:, None]).any(0)))
    return reached


def _check_outputs(model: KAN, before: list[Tensor], alive: list[Tensor]) -> None:
    layers = model.kan_layers()
    cut = _reached(layers, before)[-1] & ~_reached(layers, alive)[-1]
    names = [name for name, gone in zip(model.target_names, cut.tolist(), strict=True) if gone]
    if names:
        raise OptionError(
            f"without these edges the output {names[0]!r} would depend on no input; leave at "
            "least one path from an input to it"
        )


def _strongest_paths(layers: Sequence[KANLayer], alive: list[Tensor], found: Scores) -> list[Tensor]:
    """Masks of one path to each output: from the output back, always the edge that varies most.

    Through a product it leads by the factor that makes up most of it. An output that no input reaches in the model as
    it was given keeps all that leads to it.
    """
    reached = _reached(layers, alive)
    essential = [torch.zeros_like(mask) for mask in alive]
    wanted = torch.ones_like(reached[-1])
    for n in reversed(range(len(alive))):
        usable = alive[n] & reached[n][:, None]
        owner = list(layers[n].owners)
        # Of each node one sum: the one that varies most among those that an input reaches.
        weight = torch.where(usable.any(0), found.factors[n], -1.0)
        chosen = torch.zeros_like(usable[0])
        for node in range(layers[n].out_features):
            sums = layers[n].sums_of(node)
            chosen[sums[int(weight[sums].argmax())]] = True
        strongest = torch.where(usable, found.spreads[n], -1.0).argmax(0)
        essential[n][strongest, torch.arange(len(strongest), device=strongest.device)] = True
        essential[n] = torch.where(reached[n + 1][owner], essential[n] & chosen, alive[n]) & wanted[owner]
        wanted = essential[n].any(1)
    return essential


def _drop_dead_ends(layers: Sequence[KANLayer], alive: list[Tensor], essential: list[Tensor]) -> None:
    """Take out, in place, the edges that leave a constant node and those into a node unread."""
    for n in range(1, len(alive)):
        alive[n] &= _by_node(layers[n - 1], alive[n - 1].any(0))[:, None] | essential[n]
    for n in reversed(range(len(alive) - 1)):
        alive[n] &= alive[n + 1].any(1)[list(layers[n].owners)]


# -- removing them


@torch.no_grad()
def _without(model: KAN, alive: list[Tensor], found: Scores) -> KAN:
    """The model with these edges only, the means of the others taken up, idle nodes and factors cut out."""
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
        if layer.products:
            alive[n] = alive[n][:, _drop_factors(layer, constants)]
    layers = made.kan_layers()
    keep = [
        torch.nonzero(_by_node(layer, into.any(0)) | out.any(1))[:, 0].tolist() or [0]
        for layer, (into, out) in zip(layers, itertools.pairwise(alive), strict=False)
    ]
    return slice_model(made, keep)


@torch.no_grad()
def _drop_factors(layer: KANLayer, constants: Tensor) -> list[int]:
    """Cut out, in place, the factors without edges, which are these constants ``[O]``; returns the sums that stay.

    A product none of whose factors has edges keeps one of them.
    """
    busy = layer.mask.any(0).tolist()
    kept, arities = [], []
    for node in range(layer.out_features):
        sums = layer.sums_of(node)
        stay = [o for o in sums if busy[o]] or sums[:1]
        for o in sums:
            if o not in stay and busy[stay[0]]:
                scale_sum(layer, stay[0], float(constants[o]))
        kept += stay
        arities.append(len(stay))
    if len(kept) < layer.sum_count:
        cut_sums(layer, kept, arities)
    return kept


@torch.no_grad()
def add_constant(layer: KANLayer, i: int, o: int, constant: float) -> None:
    """Add a constant to one edge function, in place; exact everywhere, outside the grid too.

    The B-splines sum to one, so a spline takes it up in all of its coefficients.
    """
    if layer.symbolic is not None and (i, o) in layer.symbolic.names:
        layer.symbolic.constants[layer.symbolic.edges.index((i, o)), 3] += constant
        return
    layer.spline_coefficients[i, :, o] += constant
