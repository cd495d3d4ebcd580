"""Laws to be discovered: formulas as text, with the ranges that tables of them are drawn from."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.problems import expressions, published
from benchmarks.problems.known_function import FloatArray, KnownFunction, Variable

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True, eq=False)
class KnownLaw(KnownFunction):
    """A problem whose formula is known; ``title`` is that formula, ``shape`` is empty.

    Attributes:
        output: the name of what the formula gives.

    >>> law = laws()["velocities"]
    >>> law.output, law.expression, law.wider
    ('w', (u + v)/(u*v + 1), (Variable(name='u', low=0.0, high=1.35), Variable(name='v', low=0.0, high=1.35)))
    """

    output: str = "y"

    @property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """One for each variable, in their order; real, as those of a :class:`~superpose.Formula`."""
        import sympy

        return tuple(sympy.Symbol(variable.name, real=True) for variable in self.variables)

    @property
    def expression(self) -> sympy.Expr:
        """The formula as SymPy builds it."""
        return expressions.symbolic(self.title, {symbol.name: symbol for symbol in self.symbols})

    @property
    def wider(self) -> tuple[Variable, ...]:
        """The variables with wider ranges, which tell a law from an approximation on the sampled ranges.

        The upper end is raised by half the range's width. The lower end is halved where it is not negative, so that
        what must be positive stays so, and else lowered by half the width.
        """
        return tuple(_widened(variable) for variable in self.variables)

    def sample_wider(self, n: int, seed: int | Sequence[int]) -> tuple[FloatArray, FloatArray]:
        """Draw from the wider ranges as :meth:`KnownFunction.sample` does, without rows where the law is not finite."""
        x, y = KnownFunction(self.name, self.title, self.wider, self.function, ()).sample(n, seed)
        kept = np.isfinite(y)
        return x[kept], y[kept]


def _widened(variable: Variable) -> Variable:
    half = (variable.high - variable.low) / 2
    low = variable.low / 2 if variable.low >= 0 else variable.low - half
    return Variable(variable.name, low, variable.high + half)


def equations() -> dict[str, KnownLaw]:
    """A hundred equations of the Feynman lectures, with all their constants as columns, by their numbers.

    These are the equations and the ranges of the symbolic regression literature (Udrescu and Tegmark, *AI Feynman*,
    arXiv:1905.11481). :func:`feynman` has some of them in dimensionless form.

    >>> law = equations()["I.39.11"]
    >>> law.output, law.expression
    ('E_n', V*pr/(Gamma - 1))
    """
    return dict(_table("equations.csv"))


def laws() -> dict[str, KnownLaw]:
    """Nine laws that networks of sums alone, or a greedy choice of symbols, do not find.

    >>> [law.title for law in laws().values()][:3]
    ['exp(sin(pi*x)+y**2)', 'x*y', 'x/y']
    """
    return dict(_table("laws.csv"))


@functools.cache
def _table(name: str) -> dict[str, KnownLaw]:
    found = {}
    for row in published.rows(name):
        variables = published.variables(row["variables"])
        function = expressions.numeric(row["formula"], tuple(variable.name for variable in variables))
        found[row["name"]] = KnownLaw(row["name"], row["formula"], variables, function, (), output=row["output"])
    return found
