"""Random symbolic networks and random expressions, for the tests of formulas."""

from __future__ import annotations

from typing import Any

import sympy
import torch
from hypothesis import strategies as st
from torch import Tensor

from superpose.data import Affine
from superpose.nn import KAN

DOUBLE = torch.float64
FUNCTIONS = (
    *("0", "x", "x^2", "x^3", "x^4", "x^5", "1/x", "1/x^2", "1/x^3", "1/x^4", "1/x^5", "sqrt", "1/sqrt", "x^1.5"),
    *("exp", "log", "sin", "cos", "tan", "tanh", "arcsin", "arccos", "arctan", "arctanh", "cosh", "sinh"),
    *("abs", "sign", "gaussian", "sigmoid"),
)
# Finite for every argument, and not steep for those that a small network makes.
TAME = ("0", "x", "x^2", "x^3", "sin", "cos", "tanh", "arctan", "gaussian", "sigmoid", "abs")


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(*shape, generator=generator, dtype=DOUBLE) - 1


def scaled(model: KAN, seed: int = 0) -> KAN:
    """The model between units that are not its own."""
    count_in, count_out = model.widths[0], model.widths[-1]
    model.set_scaling(
        Affine(3 * random(count_in, seed=seed), 0.3 + random(count_in, seed=seed + 1) ** 2),
        Affine(5 * random(count_out, seed=seed + 2), 0.5 + random(count_out, seed=seed + 3) ** 2),
    )
    return model


def samples(model: KAN, count: int = 60, spread: float = 1.0, seed: int = 5) -> Tensor:
    """Rows ``[count, n_in]`` in the user's units, within ``spread`` times the inputs' range."""
    return model.input_center + spread * random(count, model.widths[0], seed=seed) * model.input_scale


constants = st.floats(-3, 3).filter(lambda value: abs(value) > 1e-2)


@st.composite
def nodes(draw: st.DrawFn, most: int = 3) -> int | tuple[int, list[int]]:
    """A width with any mixture of sums and products, of at most ``most`` nodes."""
    if draw(st.booleans()):
        return draw(st.integers(1, most))
    products = draw(st.lists(st.integers(2, 4), min_size=1, max_size=most))
    return draw(st.integers(0, most - len(products))), products


@st.composite
def networks(
    draw: st.DrawFn,
    functions: tuple[str, ...] = FUNCTIONS,
    splines: bool = False,
    removed: bool = True,
    most: int = 3,
) -> KAN:
    """Networks of random shapes and units, with sum and product nodes, of which every edge is symbolic, removed or (if
    asked for) a spline."""
    widths: list[Any] = [draw(st.integers(1, most)), *draw(st.lists(nodes(most), min_size=1, max_size=3))]
    degree, base = 3, "silu"
    if splines:
        degree, base = draw(st.integers(0, 5)), draw(st.sampled_from(["silu", "identity", "none"]))
    model = KAN(widths, grid_size=draw(st.integers(1, 6)), degree=degree, base=base, seed=draw(st.integers(0, 9)))
    kinds = functions + ("removed",) * (2 if removed else 0) + ("spline",) * (len(functions) if splines else 0)
    for n, layer in enumerate(model.kan_layers()):
        layer.coefficients.data += 0.5 * random(*layer.coefficients.shape, seed=n)
        table = {}
        for i in range(layer.in_features):
            for o in range(layer.sum_count):
                kind = draw(st.sampled_from(kinds))
                layer.mask[i, o] = kind != "removed"
                if kind in functions:
                    table[i, o] = kind, (draw(constants), draw(constants), draw(constants), draw(constants))
        layer.set_symbolic(table)
    return scaled(model, draw(st.integers(0, 99))) if draw(st.booleans()) else model


def coincident(model: KAN) -> KAN:
    """The model on knots of which several fall on one another, at the ends and inside."""
    for layer in model.kan_layers():
        degree, size = layer.degree, layer.grid_size
        inner = torch.linspace(-1, 1, size + 1, dtype=DOUBLE)
        if size >= 4:
            inner[2] = inner[1]
            inner[-2] = inner[-1]
        knots = torch.cat([inner[:1].expand(degree), inner, inner[-1:].expand(degree)])
        layer.knots = knots.repeat(layer.in_features, 1)
    return model


x, y = sympy.symbols("x y", real=True)
numbers = st.floats(-4, 4).filter(lambda value: abs(value) > 1e-2).map(sympy.Float)
leaves = st.one_of(st.sampled_from([x, y]), numbers)
UNARY = (
    *(sympy.exp, sympy.log, sympy.sin, sympy.cos, sympy.tan, sympy.tanh, sympy.atan, sympy.asin, sympy.sinh),
    *(sympy.atanh, sympy.cosh, sympy.Abs, sympy.acos, sympy.sign),
)
POWERS = (*map(sympy.Integer, (2, 3, 4, -1, -2, -3)), sympy.Rational(1, 2), sympy.Rational(-1, 2), sympy.Float(1.5))


def grown(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    affine = st.builds(lambda a, inner, b: a * inner + b, numbers, children, numbers)
    return st.one_of(
        st.builds(lambda f, inner: f(inner), st.sampled_from(UNARY), affine),
        st.builds(lambda inner, power: inner**power, affine, st.sampled_from(POWERS)),
        st.builds(sympy.Add, children, children),
        st.builds(sympy.Mul, children, children),
    )


trees = st.recursive(leaves, grown, max_leaves=6)


def real(expression: sympy.Expr) -> bool:
    """Whether SymPy's own arithmetic left it without infinities and imaginary numbers."""
    return not expression.has(sympy.zoo, sympy.nan, sympy.oo, sympy.I)
