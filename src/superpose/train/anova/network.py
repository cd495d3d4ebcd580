"""A fitted sum of functions as a Kolmogorov-Arnold network: main effects on edges to one sum, interactions in products.

The coefficients of an interaction are a matrix, by the functions of its first and of its second column. Its singular
values make it a sum of products of one function of each, the largest first: product nodes of two factors. A logarithm
of a column is an edge of a layer before, one of the target an exponential after.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from superpose.data.scaling import Affine
from superpose.nn.model import KAN
from superpose.nn.symbolic_functions import LOG
from superpose.spline import grid, reference
from superpose.train.anova.basis import DEGREE, greville
from superpose.train.anova.classes import ClassMixture
from superpose.train.anova.fit import AnovaFit, AnovaMixture, Coefficients, top_of

# Products are left out while the variance of all that are left out is below this share of the noise's: no error shows.
_NEGLIGIBLE = 1e-3
_ALL = "abcd"
# Intervals of an exponential: over 12 decades its relative error is below 1e-4.
_EXPONENTIAL = 256


def network_of(
    fit: AnovaFit | AnovaMixture | ClassMixture, feature_names: Sequence[str], target_names: Sequence[str]
) -> KAN:
    """The network that computes ``fit.predict``, or the scores of classes, up to products below 1e-3 of the noise.

    Returns:
        ``[d, S]`` for main effects alone and ``[d, [S, [2, ...]], S]`` with interactions, for ``S`` scores (1 for a
        number); with a first layer ``[d, d]`` of logarithms and identities where a column's logarithm is used, and a
        last one ``[1, 1]``, an exponential of many intervals that ends as a straight line, where the target's is.
    """
    scores = fit.coefficients() if isinstance(fit, ClassMixture) else [fit.coefficients()]
    products = [
        (s, *product)
        for s, coefficients in enumerate(scores)
        for product in _interactions(coefficients, _NEGLIGIBLE * fit.noise**2)
    ]
    columns, count = len(fit.bases), len(scores)
    logs = any(basis.log for basis in fit.bases)
    middle: list[object] = [count, [2] * len(products)] if products else count  # type: ignore[assignment]
    widths = [columns, *([columns] if logs else []), middle]
    widths += ([count] if products else []) + ([count] if fit.settings.log_target else [])
    place, size = int(logs), fit.bases[0].knots.shape[0] - 2 * DEGREE - 1
    sizes = [size if n == place else 1 for n in range(len(widths) - 1)]
    if fit.settings.log_target:
        sizes[-1] = _EXPONENTIAL
    model = KAN(
        widths,  # type: ignore[arg-type]
        grid_size=sizes,
        degree=DEGREE,
        base="none",
        feature_names=feature_names,
        target_names=target_names,
    )
    with torch.no_grad():
        _set_scaling(model, fit, logs, count)
        _set_layer(model, place, fit, scores, products)
        if products:
            _add_products(model, place + 1, count, [product[0] for product in products])
        if fit.settings.log_target and not isinstance(fit, ClassMixture):
            _set_exponential(model, fit.ends)
    if isinstance(fit, ClassMixture):
        model.head = fit.head
    return model


def _add_products(model: KAN, n: int, count: int, owners: Sequence[int]) -> None:
    """Make layer ``n`` the sums of the scores and of the products that belong to them."""
    layer = model.layer(n)
    layer.mask[:] = False
    edges = [(s, s) for s in range(count)] + [(count + k, owner) for k, owner in enumerate(owners)]
    for i, o in edges:
        layer.mask[i, o] = True
    layer.set_symbolic(dict.fromkeys(edges, ("x", (1.0, 0.0, 1.0, 0.0))))
    _freeze(model, n)


def _set_exponential(model: KAN, ends: tuple[float, float]) -> None:
    """The last edge as :func:`~superpose.train.anova.fit.target_of`: which ends a little beyond the largest score."""
    layer, low, high = model.layer(len(model.layers) - 1), ends[0], top_of(ends)
    # Below, where the straight line at the other end would make it negative, it is a thousandth of the least target.
    low = low - (high - low) / 2 - 7
    points = torch.linspace(low, high, _EXPONENTIAL + 1, dtype=torch.float64)[None]
    layer.set_knots(grid.extended_knots(points, DEGREE))
    places = torch.linspace(low, high, 8 * _EXPONENTIAL + 1, dtype=torch.float64)[:, None]
    # Relative errors count, and coefficients are about the values at their places: both are divided by these.
    basis = reference.dense_basis(layer.knots, DEGREE, "none", places)[:, 0]
    own = greville(layer.knots[0])
    relative = basis * (own - places).exp()
    solved = torch.linalg.lstsq(relative, torch.ones_like(places)).solution[:, 0]
    layer.coefficients[0, :, 0] = solved * own.exp()


def _freeze(model: KAN, n: int) -> None:
    layer = model.layer(n)
    layer.set_symbolic(layer.symbolic_table(), dict.fromkeys(layer.symbolic_table(), _ALL))


def _set_scaling(model: KAN, fit: AnovaFit | AnovaMixture | ClassMixture, logs: bool, count: int) -> None:
    center = torch.tensor([basis.center for basis in fit.bases], dtype=torch.float64)
    scale = torch.tensor([basis.scale for basis in fit.bases], dtype=torch.float64)
    one = torch.ones(count, dtype=torch.float64)
    if not logs:
        outputs = Affine(0 * one, one)
        model.set_scaling(Affine(center, scale), outputs)
        return
    table = {}
    for i, basis in enumerate(fit.bases):
        if basis.log:
            table[i, i] = (LOG, (1 / basis.least, 0.0, 1 / basis.scale, -1.0))
            center[i], scale[i] = 0.0, 1.0
        else:
            table[i, i] = ("x", (1.0, 0.0, 1.0, 0.0))
    model.set_scaling(Affine(center, scale), Affine(0 * one, one))
    layer = model.layer(0)
    layer.mask[:] = False
    for i in range(len(fit.bases)):
        layer.mask[i, i] = True
    layer.set_symbolic(table, dict.fromkeys(table, _ALL))


def _interactions(coefficients: Coefficients, limit: float) -> list[tuple[int, int, Tensor, Tensor]]:
    """``first column, second column, coefficients of either factor`` of each product, the largest first."""
    found: list[tuple[float, int, int, Tensor, Tensor]] = []
    for (i, j), matrix in coefficients.pairs.items():
        left, values, right = torch.linalg.svd(matrix)
        for k, value in enumerate(values.tolist()):
            # The factors share the size evenly.
            found.append((value, i, j, left[:, k] * value**0.5, right[k] * value**0.5))
    found.sort(key=lambda one: -one[0])
    dropped = 0.0
    while found and dropped + found[-1][0] ** 2 < limit:
        dropped += found.pop()[0] ** 2
    return [(i, j, left, right) for _, i, j, left, right in found]


def _set_layer(
    model: KAN,
    place: int,
    fit: AnovaFit | AnovaMixture | ClassMixture,
    scores: Sequence[Coefficients],
    products: Sequence[tuple[int, int, int, Tensor, Tensor]],
) -> None:
    layer, count = model.layer(place), len(scores)
    layer.set_knots(torch.stack([basis.knots for basis in fit.bases]))
    layer.coefficients.zero_()
    layer.mask[:] = False
    symbolic: dict[tuple[int, int], tuple[str, tuple[float, float, float, float]]] = {}
    curves = [(i, s, main) for s, one in enumerate(scores) for i, main in enumerate(one.mains)]
    for number, (_, i, j, left, right) in enumerate(products):
        curves += [(i, count + 2 * number, left), (j, count + 1 + 2 * number, right)]
    # The constant of a sum goes to the edge that matters most.
    strongest = [int(torch.stack([main.square().sum() for main in one.mains]).argmax()) for one in scores]
    for i, o, values in curves:
        basis = fit.bases[i]
        layer.mask[i, o] = True
        added = scores[o].constant if o < count and i == strongest[o] else 0.0
        if len(values) == 1 or not bool(values[1:].any()):
            slope, offset = basis.line_of(float(values[0]))
            symbolic[i, o] = ("x", (1.0, 0.0, slope, offset + added))
        else:
            rows = basis.coefficients[:, : len(values)] @ values
            layer.coefficients[i, : len(rows), o] = rows + added
    layer.set_symbolic(symbolic, dict.fromkeys(symbolic, "ab"))
