"""The curve on one edge of a network, and the symbolic functions that are closest to it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.sampling import training_sample
from superpose.errors import OptionError
from superpose.formulas.candidates import SIMPLICITY, Candidate, fit_curve
from superpose.formulas.expressions.functions import resolve_names
from superpose.nn.model import KAN, Edge
from superpose.nn.symbolic_functions import find, library


def check_edge(model: KAN, edge: Sequence[int]) -> Edge:
    """The edge as ``(layer, input, output)`` if the model has it alive; raises :class:`OptionError` otherwise."""
    alive = model.active_edges()
    found = tuple(edge) if isinstance(edge, Sequence) else (edge,)
    if found not in alive:
        whole = len(found) == 3 and all(isinstance(n, int) and n >= 0 for n in found)
        layer = model.layer(found[0]) if whole and found[0] < len(model.layers) else None
        inside = layer is not None and found[1] < layer.in_features and found[2] < layer.sum_count
        why = "was removed" if inside else f"is not an edge (layer, input, output) of a network of widths {model.shape}"
        raise OptionError(f"{edge!r} {why}; model.active_edges() lists those that are alive")
    n, i, o = found
    return n, i, o


@torch.no_grad()
def edge_samples(model: KAN, data: Dataset | Tensor, edge: Edge) -> tuple[Tensor, Tensor]:
    """The inputs that reach an edge on some rows and its outputs, each ``[S]``, in the layer's scaled units."""
    n, i, o = edge
    h = model.scale_inputs(training_sample(data))
    for layer in model.kan_layers()[:n]:
        h = layer(h)
    return h[:, i], model.layer(n).edge_function(i, o, h[:, i])


def suggest(
    model: KAN,
    data: Dataset | Tensor,
    edge: Sequence[int],
    *,
    top: int = 5,
    simplicity: float = SIMPLICITY,
    functions: Sequence[str] | None = None,
) -> list[Candidate]:
    """The symbolic functions that are closest to an edge's curve, best first.

    Each function ``f`` is fitted as ``c * f(a * x + b) + d`` in the layer's scaled units, and ranked by its score
    (see :class:`~superpose.formulas.Candidate`). Symbolification of edges: Z. Liu et al., *KAN: Kolmogorov-Arnold
    Networks*, 2024, section 2.5.

    Args:
        model: the network.
        data: where the curve is sampled: a data set (its training rows), or samples ``[S, n_in]`` in the user's units.
        edge: ``(layer, input, output)``.
        top: the number of candidates to return.
        simplicity: how much a unit of complexity counts against a factor of ten in unexplained variance.
        functions: names to choose from; by default the whole library.

    Raises:
        OptionError: for an edge that is not there or a function that does not exist.

    >>> x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    >>> model = KAN([1, 1], base="none", seed=0)
    >>> model.layer(0).coefficients.data[0, :, 0] = torch.arange(8.0)  # equal steps: a straight line
    >>> suggest(model, x, (0, 0, 0), top=1)[0].name
    'x'
    """
    allowed = library() if functions is None else {name: find(name) for name in resolve_names(functions)}
    x, y = edge_samples(model, data, check_edge(model, edge))
    return fit_curve(x, y, allowed, simplicity=simplicity)[:top]
