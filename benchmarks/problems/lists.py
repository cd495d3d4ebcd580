"""Lists of problems of symbolic regression, each with its own few rows.

They are those of Keijzer (*Improving symbolic regression with interval arithmetic and linear scaling*, 2003; its sixth
problem has no closed form and is left out), Nguyen (Uy et al., *Semantically-based crossover in genetic programming*,
2011), Vladislavleva (*Order of nonlinearity as a complexity measure*, 2009), Korns (*Accuracy in symbolic regression*,
2011), Pagie (Pagie and Hogeweg, 1997), Jin (*Bayesian symbolic regression*, 2019), the Livermore and R problems
(Petersen et al., *Deep symbolic regression*, 2021; Mundhenk et al., 2021), and the right-hand sides of seven systems in
Strogatz's *Nonlinear dynamics and chaos* (La Cava et al., 2016), here on 400 rows drawn evenly and not along
trajectories.

Three lists are our own: ``Inner``, laws with constants inside their terms, ``Physics``, laws of physics of 2 to 5
columns with 5,000 rows, and ``Kinds``, laws of whose kinds tests are too slow. The search was developed on all.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from benchmarks.problems import expressions, published
from benchmarks.problems.known_function import FloatArray
from benchmarks.problems.known_laws import KnownLaw

# Lists of our own.
_OWN = "Inner-", "Physics-", "Kinds-"


@dataclass(frozen=True)
class ListProblem:
    """A law and the rows that a list gives of it.

    Attributes:
        law: with its ranges.
        rows: how many are drawn evenly at random, or of a grid how many along each column.
        grid: whether they form a grid.
        development: whether the search was developed on it: every other problem, from the first on, and our own.
    """

    law: KnownLaw
    rows: int
    grid: bool
    development: bool

    def table(self, seed: int) -> tuple[FloatArray, FloatArray]:
        """The rows, without those where the law is not finite: ``x`` [N, n] and ``y`` [N].

        >>> x, y = problems()["Keijzer-9"].table(0)
        >>> x.shape, float(x[1, 0])
        ((101, 1), 1.0)
        """
        if self.grid:
            axes = [np.linspace(one.low, one.high, self.rows) for one in self.law.variables]
            x = np.stack([column.ravel() for column in np.meshgrid(*axes, indexing="ij")], -1)
            with np.errstate(all="ignore"):
                y = self.law(x)
        else:
            x, y = self.law.sample(self.rows, (seed, 0))
        kept = np.isfinite(y)
        return x[kept], y[kept]


@functools.cache
def problems() -> dict[str, ListProblem]:
    """The problems by their names, such as ``Nguyen-5``.

    >>> len(problems()), problems()["Nguyen-5"].law.title
    (120, 'sin(x**2)*cos(x)-1')
    """
    found = {}
    for number, row in enumerate(published.rows("lists.csv")):
        variables = published.variables(row["variables"])
        function = expressions.numeric(row["formula"], tuple(variable.name for variable in variables))
        law = KnownLaw(row["name"], row["formula"], variables, function, ())
        *grid, rows = row["rows"].split()
        found[law.name] = ListProblem(law, int(rows), grid == ["grid"], number % 2 == 0 or law.name.startswith(_OWN))
    return found
