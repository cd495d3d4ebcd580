"""Functions of one column within a form that are not known: splines, learnt together with the constants.

A spline enters linearly, so that its coefficients are projected out with the linear constants. It is written in the
Demmler-Reinsch basis of its column, whose roughness penalty is diagonal, and the strength of the penalty is the one
with the least generalised cross-validation (P. Craven and G. Wahba, 1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.errors import DataError, OptionError
from superpose.formulas.candidates import fit_curve
from superpose.formulas.expressions.functions import candidate_functions
from superpose.formulas.expressions.splines import SplineEdge
from superpose.formulas.forms.search import Descent, Found, Problem, Projected, search
from superpose.formulas.forms.tape import Form, Operation, linear_constants
from superpose.messages import quoted
from superpose.nn.symbolic_functions import find
from superpose.train.anova.basis import DEGREE, ColumnBasis

if TYPE_CHECKING:
    import sympy

# Intervals of a spline: a third of the column's different values, within limits; strengths of the penalty, in units of
# the squared residuals of a function with the roughness one; the first is the one of the search. Round numbers.
_LEAST, _MOST = 3, 20
_FIRST = 1e-3
_STRENGTHS = tuple(10.0**power for power in range(-9, 3))
# Rows by which the strength is chosen, at most, and steps for each. Round numbers.
_ROWS, _STEPS = 4000, 30
# A column that others give to this share of its size is one of them.
_SAME = 1e-8
# A function with this share of the spline's variance is what it is. A round number.
_READ = 0.995
# Curves of so many standard deviations of chance are no chance. A round number.
_CHANCE = 2.0


@dataclass(frozen=True)
class OpenPart:
    """A function to be learnt.

    Attributes:
        name: in the form.
        column: place of its column.
        basis: of that column; its functions have mean 0.
        factor: ``[S]``, what multiplies it in the form.
        constant: whether it has a constant of its own, which the form has not.
        first: the first function of the basis that it has: 1 where the form has the straight line.
    """

    name: str
    column: int
    basis: ColumnBasis
    factor: Tensor
    constant: bool
    first: int

    def values(self, column: Tensor) -> Tensor:
        """Its basis ``[S, m]``, with the factor."""
        made = self.basis(column)[:, self.first :]
        if self.constant:
            made = torch.cat([torch.ones_like(made[:, :1]), made], 1)
        return made * self.factor[:, None]

    @property
    def roughness(self) -> Tensor:
        """``[m]``, of each function of its basis."""
        bend = self.basis.roughness[self.first :]
        return torch.cat([bend[:1] * 0, bend]) if self.constant else bend

    def edge(self, coefficients: Tensor) -> SplineEdge:
        """The spline in units of the column, for these coefficients ``[m]`` of the basis."""
        constant = float(coefficients[0]) if self.constant else 0.0
        rows = self.basis.coefficients[:, self.first :] @ coefficients[int(self.constant) :] + constant
        knots = self.basis.knots * self.basis.scale + self.basis.center
        return SplineEdge(self.name, knots, rows, DEGREE, "none")


def open_parts(form: Form, columns: Sequence[Tensor]) -> list[OpenPart]:
    """The functions that a form leaves open.

    Raises:
        OptionError: if one is not added, or multiplied by anything but columns and numbers.
        DataError: if its column has too few different values.
    """
    count = len(form.constants)
    operations = list(form.operations)
    splines = [place for place, one in enumerate(operations) if one.kind == "spline"]
    names = [operations[place].value for place in splines]
    inner = [form.operations[operations[place].parts[0]].value for place in splines]
    for number, place in enumerate(splines):
        operations[place] = Operation("constant", (), count + number)
    closed = replace(form, constants=(*form.constants, *names), operations=tuple(operations), splines=())
    every = list(range(count + len(splines)))
    # Two vectors of constants: what is the same for both does not depend on them. Any two serve.
    trials = torch.stack([torch.linspace(low, high, len(every)).double() for low, high in ((0.7, 1.1), (1.9, 1.3))])
    _, slopes = closed.derivatives(columns, trials, every)
    same = ((slopes[0] - slopes[1]).abs() <= 1e-12 * slopes[0].abs()) | ~slopes.isfinite().all(0)
    fixed = [slopes[0, :, n] for n in linear_constants(form, range(count)) if bool(same[:, n].all())]
    made: list[OpenPart] = []
    for number, (name, column) in enumerate(zip(names, inner, strict=True)):
        factor = slopes[0, :, count + number]
        if not bool(same[:, count + number].all()) or not bool(factor.isfinite().all()):
            raise OptionError(
                f"the form {quoted(form.text)} has {name}(...), a function to be learnt, multiplied by a constant or "
                "within another function; it must be added, or multiplied by columns only"
            )
        different = len(columns[column].unique())
        if different < _LEAST + 1:
            raise DataError(
                f"the column {quoted(form.columns[column])} has {different} different values, too few for the function "
                f"{name} of it; write constants in its place"
            )
        basis = ColumnBasis.of(columns[column], min(max(different // 3, _LEAST), _MOST))
        constant = not _spanned(factor, fixed)
        first = int(_spanned(factor * basis(columns[column])[:, 0], [*fixed, *([factor] if constant else [])]))
        made.append(OpenPart(name, column, basis, factor, constant, first))
        fixed += [factor, factor * basis(columns[column])[:, 0]]
    return made


def _spanned(column: Tensor, others: Sequence[Tensor]) -> bool:
    """Whether a column ``[S]`` is a sum of multiples of others."""
    if not others:
        return False
    matrix = torch.stack([one / one.norm().clamp(min=1e-300) for one in others], -1)
    solved = torch.linalg.lstsq(matrix, column[:, None], driver="gelsd").solution
    return float((matrix @ solved - column[:, None]).norm()) < _SAME * float(column.norm())


def search_open(problem: Problem, parts: Sequence[OpenPart], seed: int) -> tuple[Found, Problem, Tensor] | None:
    """The best constants, the problem with the best penalty, and the coefficients ``[m]`` of all open parts.

    Returns:
        None if the form is finite at no start.
    """
    whole = replace(
        problem,
        own=torch.cat([part.values(problem.columns[part.column]) for part in parts], 1),
        bend=torch.cat([part.roughness for part in parts]) * len(problem.y),
    )
    few = whole
    if len(problem.y) > _ROWS:
        few = whole.some(torch.linspace(0, len(problem.y) - 1, _ROWS).round().long())
    found = search(_penalised(few, _FIRST), seed)
    if found is None:
        return None
    best: tuple[float, float, Tensor] | None = None
    for strength in _STRENGTHS:
        made, criterion = _descended(_penalised(few, strength), found.constants)
        if best is None or criterion < best[0]:
            best = criterion, strength, made.constants[0]
    if best is None or not math.isfinite(best[0]):
        raise DataError(
            f"the form {quoted(problem.form.text)} has as many constants and curves as there are rows; give a form "
            "with fewer"
        )
    last = _penalised(whole, best[1])
    made, _ = _descended(last, best[2])
    return replace(found, constants=made.constants[0], loss=float(made.loss[0])), last, made.own[0]


def _penalised(problem: Problem, strength: float) -> Problem:
    return problem if problem.bend is None else replace(problem, bend=strength * problem.bend)


def _descended(problem: Problem, constants: Tensor) -> tuple[Projected, float]:
    """The best constants from near ones ``[P]``, and the generalised cross-validation of the fit."""
    descent = Descent(problem, linear_constants(problem.form, range(len(problem.form.constants))))
    state = descent.down(descent.begin(constants[None, descent.searched]), _STEPS)
    made, rows = descent.projected(state.constants), len(problem.y)
    freedom = rows - float(made.q[0, :rows].square().sum()) - len(descent.searched)
    criterion = rows * float(made.rest[0, :rows].square().sum()) / freedom**2
    return made, criterion if freedom > 1 else math.inf


def edges_of(parts: Sequence[OpenPart], coefficients: Tensor) -> dict[str, SplineEdge]:
    """The splines by their names."""
    sizes = [len(part.roughness) for part in parts]
    return {part.name: part.edge(some) for part, some in zip(parts, torch.split(coefficients, sizes), strict=True)}


def readings(
    form: Form, parts: Sequence[OpenPart], edges: dict[str, SplineEdge], columns: Sequence[Tensor], chance: float
) -> list[str]:
    """What the splines look like, where a function of the library is about as good.

    Args:
        form: in which they are.
        parts: the functions that it leaves open.
        edges: their splines.
        columns: ``[S]`` each.
        chance: the standard deviation that the splines have by the errors of the rows alone.
    """
    import sympy

    found = []
    for part in parts:
        x, name = columns[part.column], form.columns[part.column]
        if float((edges[part.name](x) * part.factor).std()) < _CHANCE * chance:
            found.append(f"{part.name}({name}) varies by no more than chance makes of the errors; leave it out")
            continue
        grid = torch.linspace(float(x.min()), float(x.max()), 200, dtype=torch.float64)  # a round number
        candidates = fit_curve(grid, edges[part.name](grid), candidate_functions())
        if candidates and candidates[0].r2 >= _READ:
            a, b, c, d = (sympy.Float(value, 4) for value in candidates[0].constants)
            argument: sympy.Expr = a * sympy.Symbol(name, real=True) + b
            text = c * find(candidates[0].name).at(argument) + d
            found.append(f"{part.name}({name}) is nearly {text} (R² {candidates[0].r2:.4f} of the curve)")
    return found
