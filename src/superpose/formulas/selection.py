"""Selection: how error is weighed against complexity, with the same constants whoever asks.

A formula is a code for a target: its text, and then what it leaves on the ``N`` rows. The shortest code is the best
formula (minimum description length, J. Rissanen, 1978). Twice its length, in nats, is

    ``-2 ln L + 4 * nodes + ln(N) * constants``

- ``L`` is the likelihood of the rows. For Gaussian residuals, ``-2 ln L = N ln(error^2)`` and a constant; for classes
  it is the deviance.
- A node of the expression tree is one of some seven equally likely symbols: a column, a number, a sum, a product, a
  power, a function. That takes ``ln(7)`` nats, ``2 ln(7) = 4``.
- A constant that is fitted to ``N`` rows is known to ``1 / sqrt(N)`` of its range, which takes ``ln(N) / 2`` nats. This
  is the term of the Bayesian information criterion (G. Schwarz, 1978).

There are two regimes, since the first term holds only where residuals are independent from row to row:

- **noise**: :func:`description_length`, the formula above. More rows tell smaller differences apart.
- **approximation**: :func:`score`. What a wrong formula leaves without noise is a smooth function of the columns, so
  more rows repeat what fewer rows say. The length is divided by ``N ln 10``, which gives decades of squared error, and
  its weight of a node stays what it is for 174 independent rows, ``4 / (174 ln 10) = 0.01``. Constants are nodes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Weights:
    """What complexity weighs against error.

    Attributes:
        noise_node: of a node against ``-2 ln L``: twice the nats for one of seven symbols. Chosen on the AI Feynman
            equations with 0.1% of noise.
        node: of a node in decades of squared error, without noise: a node must lower the squared error by 2.3%.
            Chosen on the AI Feynman equations.
        function: nodes that a function counts beside its own: ``tanh(artanh(a) + artanh(b))`` has fewer nodes than
            ``(a + b)/(1 + a*b)``, which has values on more rows. Chosen on the AI Feynman equations with noise.
        spline: nodes that a spline in a formula counts. A round number of the order of its coefficients.
        edge: of a unit of an edge's complexity in decades of squared error, while a network is read. A unit is less
            than a node, since the constants on an edge repeat those on others until formulas are simplified.
            The Bayesian information criterion adds what a further constant costs. Not compared with other values.
        curve: of a unit of complexity in decades of unexplained variance, for one curve of a network by itself: a unit
            must halve what is unexplained. A curve is what training made of an edge and not data, so that a slightly
            smaller misfit is no evidence. The default of the option ``simplicity``.
        class_function: as ``function``, for scores of classes: three nodes set ``sin(x)`` behind ``x**2``. A node there
            costs as much as a constant: labels say little about the form, and the simplest one is wanted.
        dimensional: nodes that a constant with a unit counts beside its own, where units of columns are given: it
            stands for a quantity that is no column, and that quantity has to be named. As much as one column.
        inconsistent: nodes that a formula with units that do not agree counts beside its own. It is wrong unless a unit
            was given wrongly: 4 * 8 nats, odds of one in ten million.
        across_targets: of a node in decades of squared error, between formulas of different columns for one relation.
            Solving a relation for another column scales its error, so that a smaller error is weak evidence:
            20 nodes weigh as much as a factor of 10 in the error.
    """

    noise_node: float = 4.0
    node: float = 0.01
    function: float = 2.0
    spline: float = 25.0
    edge: float = 0.005
    curve: float = 0.3
    class_function: float = 3.0
    dimensional: float = 1.0
    inconsistent: float = 8.0
    across_targets: float = 0.1


@dataclass(frozen=True)
class Floors:
    """Root mean squared errors, in units of the target's standard deviation, below which a smaller one is not better.

    Powers of ten, chosen between the rounding in each place and the errors that still count there.

    Attributes:
        rounding: of an expression of a table. Double precision has 2e-16, and operations that cancel lose some digits.
        constants: while constants are fitted: standard errors are taken to be no smaller than this allows.
        exact: of a formula of a run, whose error is also measured on its network in scaled units.
        network: of a network with symbolic edges, in scaled units.
        relation: of a formula for one column of a relation: below this the simpler formula is the better one.
        curve: of a function that is fitted to one curve: the square root of the unexplained share of its variance.
    """

    rounding: float = 1e-12
    exact: float = 1e-9
    constants: float = 1e-10
    network: float = 1e-10
    relation: float = 1e-7
    curve: float = 1e-7


WEIGHTS = Weights()
FLOORS = Floors()


def size(nodes: float, *, functions: int = 0, splines: int = 0) -> float:
    """Nodes of an expression, with what its functions and splines count beside their own."""
    return nodes + WEIGHTS.function * functions + WEIGHTS.spline * splines


def score(error: float, nodes: float, *, floor: float = FLOORS.rounding, weight: float = WEIGHTS.node) -> float:
    """Decades of squared error and complexity together, where no noise is: less is better.

    Args:
        error: root mean squared error, in units of the target's standard deviation.
        nodes: of the formula, or what its complexity is counted in.
        floor: errors below this are equally good; one of :class:`Floors`.
        weight: of a node; one of :class:`Weights`.

    >>> score(0.1, 5) < score(0.099, 6) < score(0.1, 6)
    True
    """
    return 2 * math.log10(max(error, floor)) + weight * nodes


def description_length(deviance: float, nodes: float, constants: int, rows: int) -> float:
    """Twice the length of a formula and of what it leaves, in nats, where residuals are noise: less is better.

    Args:
        deviance: minus twice the logarithm of the likelihood of all rows, up to a constant; see :func:`gaussian`.
        nodes: of the formula; see :func:`size`.
        constants: how many of its numbers were fitted.
        rows: how many rows they were fitted to.
    """
    return deviance + WEIGHTS.noise_node * nodes + math.log(rows) * constants


def beyond_leave_one_out(constants: int, rows: int) -> float:
    """Nats that constants fitted to few rows cost beside what leave-one-out errors count of them already.

    Akaike's criterion with its correction for few rows (N. Sugiura, 1978), minus the factor ``(1 - P/N)^-2`` by which
    leave-one-out squared errors exceed those of the fit. It falls as 1/N: nothing for many rows.

    >>> [round(beyond_leave_one_out(constants, 10), 1) for constants in (1, 2, 4)]
    [1.6, 3.5, 12.8]
    >>> round(beyond_leave_one_out(4, 1000), 2)
    0.04
    """
    if rows <= constants:
        return math.inf
    # Below one degree of freedom the criterion is not defined; there it goes on as at one.
    freedom = max(rows - constants - 2, 1)
    criterion = 2 * constants + 2 * (constants + 1) * (constants + 2) / freedom
    return max(criterion + 2 * rows * math.log(1 - constants / rows), 0.0)


def constants_cost(constants: int, rows: int) -> float:
    """Twice the nats that fitted constants take where rows are few; infinite where there are too few.

    What the Bayesian information criterion says, or Akaike's with its correction for few rows if that is more (N.
    Sugiura, 1978): of several constants fitted to few rows, some form of many fits well by chance.
    """
    if rows <= constants + 2:
        return math.inf
    corrected = 2 * constants + 2 * (constants + 1) * (constants + 2) / (rows - constants - 2)
    return max(math.log(rows) * constants, corrected)


def class_size(nodes: float, functions: int) -> float:
    """Nodes of a formula of a class's score, with what its functions count beside their own."""
    return nodes + WEIGHTS.class_function * functions


def class_description_length(deviance: float, size: float, rows: int) -> float:
    """The same for a formula of a class's score, in which each node costs as much as a constant.

    Args:
        deviance: minus twice the logarithm of the likelihood of all rows.
        size: of the formula; see :func:`class_size`.
        rows: how many rows the deviance is of.
    """
    return deviance + math.log(rows) * size


def gaussian(error: float, rows: int, *, floor: float = FLOORS.rounding) -> float:
    """Minus twice the logarithm of the likelihood of Gaussian residuals, up to a constant."""
    return 2 * rows * math.log(max(error, floor))
