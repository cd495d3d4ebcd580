"""Pruning: smaller models of nearly the same function, without unimportant or without named edges, nodes and inputs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.edit.attribution import AttributionScores, attribution_scores
from superpose.edit.edge_curves import check_edge
from superpose.errors import OptionError
from superpose.messages import nearest
from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN, Edge
from superpose.nn.surgery import add_constant, cut_sums, scale_sum, slice_model

# The attribution score below which an edge is removed by default: its share of an output's standard deviation. The
# first KAN paper uses the same number, for magnitudes.
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
    """A new, smaller model: without its unimportant edges and nodes, or without those that are named.

    Pruning as in Z. Liu et al., *KAN: Kolmogorov-Arnold Networks*, 2024, section 2.5, by the attribution scores of *KAN
    2.0*, 2024, section 4.1. The mean of each removed edge over the samples is added to another edge of the same node,
    so the function changes only by the variation of the removed edges. A product's factor that loses all its edges is
    removed, and its mean multiplies another factor. Hidden nodes without incoming or without outgoing edges are removed
    too. The inputs keep their positions, and every output stays connected to some input.

    Args:
        model: any model; it is not changed.
        data: samples ``[B, n_in]`` in the user's units, or a data set (its training rows).
        threshold: edges with an attribution score below it are removed (see
            :class:`~superpose.edit.AttributionScores`), except for the strongest path to each output. By default 0.01,
            or 0 if edges, nodes or inputs are named.
        edges: ``(layer, input, output)``, a product's factors counted one by one, as in :meth:`KAN.active_edges`.
        nodes: ``(layer, index)``; layer 0 are the inputs, 1 the first hidden nodes.
        inputs: columns, by name or by index.

    Raises:
        OptionError: if a name or an index is not in the model, or if an output would depend on no input.
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
    return _without(model, *_surviving(model, data, threshold, _named_edges(model, edges, nodes, inputs)))


def surviving_edges(
    model: KAN,
    data: Tensor | Dataset,
    *,
    threshold: float | None = None,
    edges: Iterable[Edge] = (),
    nodes: Iterable[tuple[int, int]] = (),
    inputs: Iterable[str | int] = (),
) -> set[Edge]:
    """The edges that :func:`prune` would keep, as the model counts them; arguments and errors are those of it."""
    alive, _ = _surviving(model, data, threshold, _named_edges(model, edges, nodes, inputs))
    return {(n, i, o) for n, mask in enumerate(alive) for i, o in torch.nonzero(mask).tolist()}


def _surviving(
    model: KAN, data: Tensor | Dataset, threshold: float | None, named: set[Edge]
) -> tuple[list[Tensor], AttributionScores]:
    """Masks of the edges that stay, and the scores by which they do."""
    if threshold is None:
        threshold = 0.0 if named else THRESHOLD
    if not threshold >= 0:
        raise OptionError(f"threshold must be a number of at least 0, not {threshold!r}")
    found = attribution_scores(model, data)
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
    return alive, found


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
    """Which nodes have at least one sum that is marked: ``[out_features]`` from ``[O]``."""
    if not layer.products:
        return sums
    found = sums.new_zeros(layer.out_features)
    for o, owner in enumerate(layer.owners):
        found[owner] |= sums[o]
    return found


def _reached(layers: Sequence[KANLayer], alive: list[Tensor]) -> list[Tensor]:
    """For each layer of nodes, inputs first: whether a path leads from some input to each node."""
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


def _strongest_paths(layers: Sequence[KANLayer], alive: list[Tensor], found: AttributionScores) -> list[Tensor]:
    """Masks of one path to each output: backwards from the output, always along the edge that varies most.

    At a product the path follows the factor with the largest part in it. An output that no input reaches in the given
    model keeps all edges on its paths.
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
        strongest = torch.where(usable, found.deviations[n], -1.0).argmax(0)
        essential[n][strongest, torch.arange(len(strongest), device=strongest.device)] = True
        essential[n] = torch.where(reached[n + 1][owner], essential[n] & chosen, alive[n]) & wanted[owner]
        wanted = essential[n].any(1)
    return essential


def _drop_dead_ends(layers: Sequence[KANLayer], alive: list[Tensor], essential: list[Tensor]) -> None:
    """Remove, in place, the edges out of constant nodes and the edges into nodes without outgoing edges."""
    for n in range(1, len(alive)):
        alive[n] &= _by_node(layers[n - 1], alive[n - 1].any(0))[:, None] | essential[n]
    for n in reversed(range(len(alive) - 1)):
        alive[n] &= alive[n + 1].any(1)[list(layers[n].owners)]


# -- removing them


@torch.no_grad()
def _without(model: KAN, alive: list[Tensor], found: AttributionScores) -> KAN:
    """The model with these edges only: means of the others added to them, unused nodes and factors removed."""
    made = model.copy()
    for n, layer in enumerate(made.kan_layers()):
        constants = torch.where(layer.mask & ~alive[n], found.means[n], 0.0).sum(0)
        splines = layer.spline_mask() & alive[n]
        for o in torch.nonzero(constants)[:, 0].tolist():
            # A spline absorbs a constant in its coefficients; the formula of a symbolic edge gets longer by it.
            usable = splines[:, o] if bool(splines[:, o].any()) else alive[n][:, o]
            if bool(usable.any()):
                i = int(torch.where(usable, found.deviations[n][:, o], -1.0).argmax())
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
    """Remove, in place, the factors without edges, which have these constant values ``[O]``; returns the sums left.

    A product without any edges keeps one factor.
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
