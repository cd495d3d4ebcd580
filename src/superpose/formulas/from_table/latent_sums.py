"""Sums under an outer function that is not known: ``y = h(f(p) + g(q), the others)``.

The slopes of such a target by the two columns have the ratio ``f'(p) / g'(q)`` whatever ``h`` is and whatever the other
columns are. So ``y_p g'(q) - y_q f'(p) = 0``, which is linear in ``f'`` and ``g'``: as polynomials they are the null
vector of one matrix. Their integrals are read as curves, and the two columns become one.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.formulas.from_table import chebyshev
from superpose.formulas.from_table.curve import curves
from superpose.formulas.from_table.subproblem import Guess, Subproblem
from superpose.formulas.from_table.symmetries import Reduction
from superpose.nn.symbolic_functions import torch_function

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Latent:
    """When two columns are taken to enter as one sum. Chosen on the AI Feynman equations; not compared one by one.

    Attributes:
        degree: of the polynomials for both derivatives.
        points: at which their integrals are read.
        small: largest singular value that belongs to a null vector; the rows of the matrix are of the order of 1.
        apart: the next singular value is at least this many times larger, else several vectors fit.
        flat: rows whose derivatives are smaller than this share of their root mean square weigh less: the ratio of two
            small numbers is noise.
        recognised: error of a recognised curve at most, in units of its standard deviation.
        pairs, tried: of columns that are followed, and that are read until so many are found.
        plain: curves of less than this size need no second reading.
        seconds: for recognising one curve.
    """

    degree: int = 12
    points: int = 300
    small: float = 1e-3
    apart: float = 20.0
    flat: float = 1e-3
    recognised: float = 1e-3
    pairs: int = 2
    tried: int = 3
    plain: float = 16.0
    seconds: float = 3.0


_LATENT = _Latent()


class _Pair(NamedTuple):
    violation: float
    places: tuple[int, int]
    # Coefficients of Chebyshev polynomials over the columns' ranges.
    slopes: tuple[Tensor, Tensor]


def latent_sums(problem: Subproblem, points: Tensor, gradient: Tensor, deadline: Deadline) -> list[Reduction]:
    """Reductions of two columns to one, the best two.

    Args:
        problem: the table.
        points: ``[S, n]`` where the slopes are known.
        gradient: ``[S, n]`` derivatives of the target by every column there.
    """
    low, high = problem.x.amin(0), problem.x.amax(0)
    inner = 2 * (points - low) / (high - low) - 1
    bases = [chebyshev.polynomials(column, _LATENT.degree) for column in inner.unbind(-1)]
    size = gradient.square().mean(0).sqrt()
    pairs = []
    for i, j in itertools.combinations(range(points.shape[1]), 2):
        if bool((size[[i, j]] > 1e-6 * size.max()).all()):  # columns that matter; a round number
            pairs.append(_null(bases, gradient / size, (i, j), float(size[i] / size[j])))
    found: list[Reduction] = []
    for pair in sorted(pairs, key=lambda pair: pair.violation)[: _LATENT.tried]:
        if pair.violation > _LATENT.small or len(found) == _LATENT.pairs or deadline.passed():
            break
        made = _reduction(problem, pair, (low, high), deadline)
        if made is not None:
            found.append(made)
    return found


def _null(bases: list[Tensor], gradient: Tensor, places: tuple[int, int], ratio: float) -> _Pair:
    """The two derivatives up to a common factor, from slopes of mean square one; ``ratio`` is of their true sizes."""
    i, j = places
    weight = 1 / (gradient[:, i].square() + gradient[:, j].square() + _LATENT.flat**2).sqrt()
    # Unknown are g'(q), which the slope by p multiplies, and f'(p).
    matrix = torch.cat([gradient[:, i, None] * bases[j], -gradient[:, j, None] * bases[i]], -1) * weight[:, None]
    _, sizes, rows = torch.linalg.svd(matrix / math.sqrt(len(matrix)), full_matrices=False)
    null, terms = rows[-1], bases[i].shape[1]
    by_q, by_p = null[:terms], null[terms:]
    violation = float(sizes[-1]) if float(sizes[-2]) > _LATENT.apart * float(sizes[-1]) else 1.0
    return _Pair(violation, places, (by_p * ratio, by_q))


def _reduction(problem: Subproblem, pair: _Pair, ends: tuple[Tensor, Tensor], deadline: Deadline) -> Reduction | None:
    import sympy

    read = [_curve(problem, pair, n, ends, 1.0, deadline) for n in (0, 1)]
    for n in (0, 1):
        # Both share an unknown factor: what one of them is multiplied by, when it is plain, makes the other plain too.
        first, other = read[n], read[1 - n]
        factor = None if first is None or first.size > _LATENT.plain else _factor(first.expression)
        if factor is not None and (other is None or other.size > _LATENT.plain):
            again = _curve(problem, pair, 1 - n, ends, factor, deadline)
            read[1 - n] = min((guess for guess in (again, other) if guess), key=lambda guess: guess.score, default=None)
    known = [guess for guess in read if guess is not None]
    if len(known) < 2:
        return None
    i, j = pair.places
    total = sympy.Add(*(guess.expression for guess in known))
    rough = 10 * max(pair.violation, *(guess.error for guess in known))
    column = torch_function(total, [problem.symbols[i], problem.symbols[j]])(problem.x[:, i], problem.x[:, j])
    rest = [k for k in range(problem.x.shape[1]) if k not in pair.places]
    columns = torch.cat([column[:, None], problem.x[:, rest]], -1)
    note = f"{problem.symbols[i]} and {problem.symbols[j]} in one sum"
    return Reduction(
        pair.violation, columns, [total, *(problem.symbols[k] for k in rest)], None, sympy.Integer(1), note, rough
    )


def _curve(
    problem: Subproblem, pair: _Pair, n: int, ends: tuple[Tensor, Tensor], factor: float, deadline: Deadline
) -> Guess | None:
    """One of the two curves as a multiple of an expression, the factor given."""
    place, slope = pair.places[n], pair.slopes[n] / factor
    low, high = float(ends[0][place]), float(ends[1][place])
    inner = 2 * torch.rand(_LATENT.points, generator=torch.Generator().manual_seed(0), dtype=slope.dtype) - 1
    values = chebyshev.integral(slope, inner) * (high - low) / 2
    values = values - values.mean()
    spread = float(values.std(correction=0))
    if not spread > 0:
        return None
    symbol = problem.symbols[place]
    x = low + (high - low) * (inner + 1) / 2
    ones = torch.ones_like(values)
    own = Subproblem(x[:, None], values, ones, [symbol], spread, lambda expression: factor * expression)
    # Integrals of slopes err by the violation, ten times it with a margin; never below 1e-9. Round numbers.
    enough = max(10 * pair.violation, 1e-9)
    guesses = curves(own, deadline.sub(_LATENT.seconds), enough=enough)
    return next((guess for guess in guesses if guess.error < max(_LATENT.recognised, enough)), None)


def _factor(expression: sympy.Expr) -> float | None:
    """What the only term that is no number is multiplied by; None if there are several."""
    import sympy

    terms = [term for term in sympy.Add.make_args(expression) if term.free_symbols]
    return abs(float(terms[0].as_coeff_Mul()[0])) if len(terms) == 1 else None


__all__ = ["latent_sums"]
