"""Splines in formulas: edges that are no symbolic function stand in an expression as functions with a name."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor

from superpose.short_repr import brief
from superpose.spline import reference

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class SplineEdge:
    """An edge that is a spline: in an expression it is a function of this name.

    Attributes:
        name: such as ``spline_0_1_0`` for layer 0, input 1, output 0.
        knots: ``[G + 2k + 1]``.
        rows: ``[rows]``: spline coefficients, then the base weight unless the base is ``"none"``.
        edge: the name before constants were absorbed, if any were.
    """

    __repr__ = brief

    name: str
    knots: Tensor
    rows: Tensor
    degree: int
    base: str
    edge: str = ""

    def __call__(self, x: Tensor | float) -> Tensor:
        if not isinstance(x, Tensor):
            # A node without incoming edges is a number.
            x = self.knots.new_tensor(x)
        flat = x.reshape(-1, 1).to(self.knots.dtype)
        basis = reference.dense_basis(self.knots[None], self.degree, self.base, flat)[:, 0]
        return (basis @ self.rows).reshape(x.shape)

    @classmethod
    def unnamed(cls, knots: Tensor, coefficients: Tensor, degree: int) -> SplineEdge:
        """A spline without a base function, named after a checksum of its coefficients."""
        name = f"spline_{zlib.crc32(coefficients.numpy().tobytes()):08x}"
        return cls(name, knots, coefficients, degree, "none")

    def changed(self, factor: float, constant: float) -> SplineEdge:
        """``factor`` times the spline plus a constant, under another name."""
        values = factor * self.rows
        values[: len(values) - (self.base != "none")] += constant
        made = SplineEdge.unnamed(self.knots, values, self.degree)
        return replace(made, base=self.base, edge=self.edge or self.name)


def absorb_constants(law: sympy.Expr, splines: Mapping[str, SplineEdge]) -> tuple[sympy.Expr, dict[str, SplineEdge]]:
    """The same law with constants beside a spline, and before it or an exponential of it, taken into the spline.

    Args:
        law: an expression.
        splines: the functions in it that are no symbols, by their names.

    Returns:
        The expression and the splines that were changed, under new names.
    """
    import sympy

    made: dict[str, SplineEdge] = {}

    def parts(term: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr] | None:
        """The factor and the spline that a term consists of."""
        factor, rest = term.as_coeff_Mul()
        return (factor, rest) if rest.func.__name__ in splines else None

    def taken(total: sympy.Expr, constant: float) -> sympy.Expr:
        """``total + constant`` with all constants in the first of its splines."""
        terms = list(sympy.Add.make_args(total))
        place = next(n for n, term in enumerate(terms) if parts(term))
        for n, term in enumerate(terms):
            found = parts(term)
            if found is None:
                terms[n] = sympy.Integer(0) if term.is_number else walk(term)
                continue
            numbers = sum(float(one) for one in sympy.Add.make_args(total) if one.is_number) if n == place else 0.0
            shift = constant + numbers if n == place else 0.0
            spline = splines[found[1].func.__name__]
            if found[0] != 1 or shift:
                spline = spline.changed(float(found[0]), shift)
                made[spline.name] = spline
            terms[n] = sympy.Function(spline.name, real=True)(walk(found[1].args[0]))
        return sympy.Add(*terms)

    def has_spline(total: sympy.Expr) -> bool:
        return any(parts(term) for term in sympy.Add.make_args(total))

    def walk(node: sympy.Expr) -> sympy.Expr:
        if node.is_Mul and not has_spline(node):
            factor, rest = node.as_coeff_Mul()
            if factor > 0 and factor != 1 and isinstance(rest, sympy.exp) and has_spline(rest.args[0]):
                return sympy.exp(taken(rest.args[0], math.log(float(factor))))
        elif has_spline(node):
            return taken(node, 0.0)
        return node.func(*(walk(part) for part in node.args)) if node.args else node

    return walk(law), made


def used_splines(
    expressions: Sequence[sympy.Expr], splines: Mapping[str, SplineEdge]
) -> tuple[dict[str, SplineEdge], dict[str, str]]:
    """The splines that stand in expressions, each under the name of its edge if no other has that, and new by old."""
    from sympy.core.function import AppliedUndef

    found = {part.func.__name__ for expression in expressions for part in expression.atoms(AppliedUndef)}
    used = [splines[name] for name in sorted(found & set(splines))]
    edges = [spline.edge or spline.name for spline in used]
    names = {s.name: edge if edges.count(edge) == 1 else s.name for s, edge in zip(used, edges, strict=True)}
    return {names[s.name]: replace(s, name=names[s.name]) for s in used}, names
