"""Whether a formula is what a scientist would write, or as good, or a miss: by rule."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.errors import SuperposeError
from superpose.formulas import fit_formula
from superpose.formulas.expressions.constants import with_slots
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.forms.fit import FormulaFit
from superpose.nn.symbolic_functions import torch_function
from superpose.tasks.regression.judging import loo_predictions

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class Rules:
    """Constants of the judgement; round numbers.

    Attributes:
        same: a form is the same if its constants bring it this near to a formula's values, in units of the target's
            standard deviation: more than constants of 12 digits and the search for them leave.
        vanishes: a constant that becomes this small, beside the one that the rows give, makes it another form: a
            straight line without its height is a proportionality.
        far: leave-one-out error of the same form with fewer fitted constants (some were rounded) beside the best ones,
            at most.
        worse: leave-one-out error of a formula beside the scientist's form, at most.
        pole: widths of the target's range that values between the rows may lie beyond it.
        cancels: the terms of a sum are together at most so many times what the sum varies by.
        points: between the rows of tables of one column, that a form is fitted to,
        fine: and that poles are looked for on.
    """

    same: float = 1e-5
    vanishes: float = 1e-6
    far: float = 1.5
    worse: float = 1.05
    pole: float = 3.0
    cancels: float = 100.0
    points: int = 60
    fine: int = 2000


RULES = Rules()


@dataclass(frozen=True)
class Verdict:
    """What was found of a formula.

    Attributes:
        same: whether it is the scientist's form, its constants left open.
        error, theirs, line: leave-one-out errors of the formula, of the scientist's form and of a straight line: root
            mean squares, of the logarithm where errors are relative.
        constants, their_constants: how many constants were fitted.
        pole: whether it has one within the range of the rows.
        cancels: whether terms of a sum cancel.
        form: the scientist's form with its constants.
    """

    same: bool
    error: float
    theirs: float
    line: float
    constants: int
    their_constants: int
    pole: bool
    cancels: bool
    form: str

    @property
    def as_good(self) -> bool:
        """Whether it predicts as well with as few constants."""
        return self.error <= RULES.worse * self.theirs and self.constants <= self.their_constants

    @property
    def found(self) -> bool:
        """Whether the table counts."""
        return self.same or self.as_good

    @property
    def word(self) -> str:
        """For a table of results."""
        return "same form" if self.same else "as good" if self.as_good else "miss"

    @property
    def faults(self) -> list[str]:
        """What no formula should have."""
        worse = self.line * (1 + 1e-9) < self.error < math.inf
        names = {"pole": self.pole, "cancellation": self.cancels, "worse than a straight line": worse}
        return [name for name, there in names.items() if there]


def judge(data: Dataset, formula: Formula | None, form: str, *, relative: bool = False) -> Verdict:
    """Compare a formula with a form on a table, all of whose rows are training rows.

    Args:
        formula: None for no formula: a miss with an infinite error.
        relative: whether errors are those of the target's logarithm.
    """
    theirs = fitted(data, _features(data), data.y[:, 0], form, relative=relative)
    line, form_text = line_error(data, relative=relative), _without_log(theirs) if relative else str(theirs.formula)
    if formula is None:
        left_one_out, wanted = theirs.leave_one_out, len(theirs.constants)
        return Verdict(False, math.inf, left_one_out, line, 0, wanted, pole=False, cancels=False, form=form_text)
    rows, y = torch.arange(data.n_rows), data.y[:, 0]
    with torch.no_grad():
        predicted = loo_predictions(formula, data, rows, log=relative)
    error, constants = _rms(predicted, y, relative=relative), count(formula)
    alike = constants >= len(theirs.constants) or error <= RULES.far * theirs.leave_one_out
    return Verdict(
        same=alike and is_same(data, formula, form, theirs, relative=relative),
        error=error,
        theirs=theirs.leave_one_out,
        line=line,
        constants=constants,
        their_constants=len(theirs.constants),
        pole=has_pole(data, formula),
        cancels=cancels(data, formula),
        form=form_text,
    )


def count(formula: Formula) -> int:
    """Constants that were fitted: numbers that are no integers or fractions, and all coefficients of splines.

    A number that stands twice, such as Hill's exponent, counts once.
    """
    numbers = {f"{abs(value):.12g}" for value in with_slots(formula.expression)[2]}
    return len(numbers) + sum(len(spline.rows) for spline in formula.splines.values())


def fitted(data: Dataset, x: Tensor, y: Tensor, form: str, *, relative: bool = False, **options: Any) -> FormulaFit:
    """A form fitted to rows ``[N, d]`` and ``[N]``, or its logarithm to theirs."""
    text, target = (f"log({form})", y.log()) if relative else (form, y)
    table = Dataset.from_arrays(x, target, feature_names=data.feature_names, target_names=["target"], test=0.0)
    return fit_formula(table, text, **options)


def is_same(data: Dataset, formula: Formula, form: str, theirs: FormulaFit, *, relative: bool = False) -> bool:
    """Whether the form has the values of a formula on the rows, and between those of one column."""
    x, y = _between(data, RULES.points), data.y[:, 0]
    with torch.no_grad():
        values = formula.torch(x)[:, 0]
    if not bool(values.isfinite().all()) or (relative and not bool((values > 0).all())):
        return False
    scale = float((y.log() if relative else y).std(correction=0))
    if float(values.std(correction=0)) < RULES.same * scale:
        # Of a constant, which no form is fitted to.
        with torch.no_grad():
            return float(theirs.formula.torch(x).std(correction=0)) < RULES.same * scale
    try:
        refit = fitted(data, x, values, form, relative=relative, start=theirs.values)
    except SuperposeError:
        return False
    there = all(abs(refit.values[name]) > RULES.vanishes * abs(value) for name, value in theirs.values.items())
    return there and refit.rmse < RULES.same * scale


def has_pole(data: Dataset, formula: Formula) -> bool:
    """Whether a formula is far beyond the target's range, or not finite, between the rows."""
    y = data.y[:, 0]
    with torch.no_grad():
        values = formula.torch(_between(data, RULES.fine))[:, 0]
    low, high = float(y.min()), float(y.max())
    room = RULES.pole * (high - low)
    return not bool((values.isfinite() & (values >= low - room) & (values <= high + room)).all())


def cancels(data: Dataset, formula: Formula) -> bool:
    """Whether the terms of some sum in a formula are far larger than what the sum varies by."""
    import sympy

    x = list(_features(data).unbind(-1))

    def values(expression: sympy.Expr) -> Tensor:
        return torch_function(expression, formula.symbols, formula.splines)(*x).expand(data.n_rows)

    with torch.no_grad():
        for one in formula.expression.atoms(sympy.Add):
            if not one.free_symbols & set(formula.symbols):
                continue
            total = values(one)
            size = functools.reduce(torch.add, [values(term).abs() for term in one.args])
            if float(size.median()) > RULES.cancels * float(total.max() - total.min()):
                return True
    return False


def line_error(data: Dataset, *, relative: bool = False) -> float:
    """Leave-one-out error of a straight line; of relative ones by weights, infinite where it is not positive."""
    x, y = _features(data), data.y[:, 0]
    basis = torch.cat([torch.ones_like(y)[:, None], (x - x.mean(0)) / x.std(0, correction=0)], 1)
    roots = 1 / y.abs() if relative else torch.ones_like(y)
    q, r = torch.linalg.qr(basis * roots[:, None])
    leverage = q.square().sum(1)
    values = basis @ torch.linalg.solve_triangular(r, (q.T @ (y * roots))[:, None], upper=True)[:, 0]
    return _rms(y - (y - values) / (1 - leverage), y, relative=relative)


def _rms(predicted: Tensor, y: Tensor, *, relative: bool) -> float:
    if relative:
        predicted, y = torch.where(predicted > 0, predicted, torch.nan).log(), y.log()
    found = float((predicted - y).square().mean().sqrt())
    return found if math.isfinite(found) else math.inf


def _features(data: Dataset) -> Tensor:
    return data.features(torch.arange(data.n_rows))


def _between(data: Dataset, points: int) -> Tensor:
    """The rows, and points between them: of one column over its range, else midway to the nearest other row."""
    x = _features(data)
    if data.n_features == 1:
        low, high = x.min(), x.max()
        shares = torch.linspace(0, 1, points, dtype=x.dtype)[:, None]
        more = [low + shares * (high - low)]
        if float(low) > 0:
            more.append(low * (high / low) ** shares)
        return torch.cat([x, *more])
    unit = (x - x.mean(0)) / x.std(0, correction=0)
    far = torch.cdist(unit, unit)
    far[far == 0] = torch.inf
    middle = (x + x[far.argmin(1)]) / 2
    # A column of two values has none between.
    two = torch.tensor([len(column.unique()) == 2 for column in x.T])
    return torch.cat([x, torch.where(two, x, middle)])


def _without_log(fit: FormulaFit) -> str:
    """The text of a form whose logarithm was fitted."""
    import sympy

    expression = sympy.exp(fit.formula.expression)
    names = fit.formula.feature_names
    return str(Formula((expression,), fit.formula.symbols, names, fit.formula.target_names))
