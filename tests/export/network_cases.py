"""Networks of all kinds, and rows at their knots, at the ends of their grids and outside."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from formulas.expressions import coincident, random, scaled
from superpose.nn import KAN, Head

DOUBLE = torch.float64
ROWS = 10_000


def _network(widths: Any, seed: int = 0, **options: Any) -> KAN:
    """A network with smooth random curves, in units that are not its own."""
    model = KAN(widths, seed=seed, **options)
    for n, layer in enumerate(model.kan_layers()):
        layer.coefficients.data += 0.3 * random(*layer.coefficients.shape, seed=seed + n)
    return scaled(model, seed)


def _symbolic() -> KAN:
    """Two layers with splines, symbolic, removed and constant edges, and a product; some rows are undefined."""
    model = _network([2, 3, [1, [2]]], degree=3, grid_size=4)
    model.layer(0).set_symbolic({(0, 0): ("sin", (1.0, 0.2, 2.0, -0.1)), (1, 0): ("x^(2/3)", (1.0, 3.0, -0.7, 0.2))})
    edges = {
        (0, 0): ("abs", (1.0, 0.2, 2.0, -0.1)),
        (1, 1): ("sqrt", (1.0, 0.5, 0.5, 0.3)),
        (2, 2): ("0", (1.0, 0, 1, 2)),
    }
    model.layer(1).set_symbolic({edge: (name, tuple(map(float, numbers))) for edge, (name, numbers) in edges.items()})
    return model.with_mask([(0, 0, 1), (1, 2, 1)], False)


def _formula() -> KAN:
    """Symbolic edges only, each function of the library once."""
    names = [
        *("x", "x^2", "x^3", "x^4", "x^5", "1/x", "1/x^2", "1/x^3", "sqrt", "1/sqrt", "x^1.5", "exp", "log", "sin"),
        *("cos", "tan", "tanh", "arcsin", "arccos", "arctan", "arctanh", "cosh", "sinh", "abs", "sign", "gaussian"),
        *("sigmoid", "sqrt|x|", "log|line", "x^-6", "x^9", "x^0.123"),
    ]
    model = KAN([1, len(names)])
    # Within the domain of each for x from -1 to 1.
    model.layer(0).set_symbolic({(0, o): (name, (0.2, 0.5, 1.5, -0.2)) for o, name in enumerate(names)})
    return model


def _refined() -> KAN:
    """Grids that follow the data, not evenly spaced."""
    model = _network([2, 4, 1], seed=3)
    return model.adapt(model.input_center + random(500, 2, seed=1) ** 3 * model.input_scale, grid_size=40, blend=0.8)


def _classifier(head: Head, scores: int, center: float = 0.0) -> KAN:
    """Scores of which every class is the most probable somewhere."""
    model = _network([2, 3, scores], seed=2)
    model.output_center.fill_(center)
    model.output_scale.fill_(1.0)
    model.head = head
    return model


def networks() -> dict[str, KAN]:
    """By what is particular about each."""
    return {
        "small": _network([2, 5, 1]),
        "straight lines": _network([3, 1], degree=1, grid_size=1, base="none"),
        "degree 5": _network([1, 4, 3, 1], degree=5, grid_size=6, base="none"),
        "products": _network([3, [2, [2, 3, 2]], 2], degree=2, base="identity"),
        "symbolic and removed edges": _symbolic(),
        "coincident knots": coincident(_network([2, 3, 2], degree=2, grid_size=6)),
        "steps": _network([2, 2], degree=0, grid_size=3, base="identity"),
        "uneven grids": _refined(),
        "fine grids": _network([3, 3, 2], grid_size=30).with_mask([(0, 1, 0), (0, 1, 1), (0, 1, 2)], False),
        "every function": _formula(),
        "wide": _network([12, 10, 10, 3], grid_size=8),
        "float32": _network([2, 3, 1]).float(),
        "two classes": _classifier(Head("sigmoid", ("no", "yes")), 1),
        "three classes": _classifier(Head("softmax", ("größe", 'say "x"', "??/")), 3),
        "numbered classes": _classifier(Head("ordinal", ("1", "2.5", "3"), 0.3), 1, 2.2),
        "a curve between classes": _classifier(Head("gaussian", ("off", "on")), 1),
    }


def rows(model: KAN, count: int = ROWS) -> Tensor:
    """Rows ``[count, n_in]``: within the grids and far outside, and among them all knots of the first layer."""
    knots = model.layer(0).knots.double()
    spread = knots.abs().amax()
    x = random(count, model.widths[0], seed=9) * spread
    x[count // 2 : count // 2 + count // 8] *= 20
    x[: knots.shape[1]] = knots.T
    x = model.input_center.double() + model.input_scale.double() * x
    # Numbers that float32 has too, so that no exporter starts with a rounding of its own.
    return x.float().double()
