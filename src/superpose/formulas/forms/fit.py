"""``fit_formula``: the constants of a form that a user gives, with standard errors, intervals and correlations."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from superpose.checks import check_seed
from superpose.data import Dataset
from superpose.errors import DataError, OptionError
from superpose.formulas import selection
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.forms import search
from superpose.formulas.forms.open_parts import OpenPart, edges_of, open_parts, readings, search_open
from superpose.formulas.forms.parsing import parse_form
from superpose.formulas.forms.tape import Form
from superpose.messages import counted, listed, nearest, quoted
from superpose.nn.uncertainty import student_quantile

# Constants that the text of a fit lists. A round number.
_SHOWN = 8
# Standard deviations by which a rank correlation is no chance, and rows that it needs. Round numbers.
_GROWS, _FEW = 4.0, 12
# The coverage of the intervals.
LEVEL = 0.95
# A direction in the space of constants, each in units in which it has the same effect, in which the values change by
# less than this share is not determined. The square root of float64's rounding, nearly.
_UNDETERMINED = 1e-7
# Constants that take part in such a direction by this much are named. A round number.
_TAKES_PART = 0.1


@dataclass(frozen=True)
class FittedConstant:
    """A constant of a form.

    Attributes:
        name: as in the form.
        value: with the least squared error.
        standard_error: from the Jacobian at the fitted values; NaN where the rows do not determine it.
        low, high: the ends of the 95% interval, by Student's t.
    """

    name: str
    value: float
    standard_error: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.name} = {self.value:.6g} ± {self.standard_error:.2g}"


@dataclass(frozen=True)
class FormulaFit:
    """A form with its constants fitted: what :func:`fit_formula` returns.

    Standard errors, intervals and correlations are those of the linearised model. They hold if the form is right and
    errors are independent and of equal variance (or of variances as the weights have them).

    Attributes:
        form: with unknown constants.
        formula: with the fitted ones.
        constants: by name.
        correlations: ``[P, P]`` of the constants' errors, in their order; NaN where there is no standard error.
        rmse: root mean squared error on the rows of the fit, weighted if these have weights.
        r2: coefficient of determination on them.
        leave_one_out: root mean squared error of each row by the constants that the others give, to first order.
        rows: how many rows it was fitted to.
        effective: how many constants there are, with those that splines have in effect.
        agreeing: how many of the last ``starts`` reached these constants.
        starts: see ``agreeing``.
        notes: sentences on what is doubtful.
    """

    form: Form
    formula: Formula
    constants: Mapping[str, FittedConstant]
    correlations: Tensor
    rmse: float
    r2: float
    leave_one_out: float
    rows: int
    effective: float
    agreeing: int
    starts: int
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = [f"{self.formula.target_names[0]} = {self.form}, fitted to {counted(self.rows, 'row')}"]
        # What a notebook shows stays short.
        shown = list(self.constants.values())[:_SHOWN]
        width = max((len(one.name) for one in shown), default=0)
        for one in shown:
            lines.append(
                f"  {one.name:<{width}} = {one.value:.6g} ± {one.standard_error:.2g}"
                f"  (95%: {one.low:.5g} to {one.high:.5g})"
            )
        if len(self.constants) > _SHOWN:
            lines.append(f"  and {len(self.constants) - _SHOWN} more")
        lines.append(f"  RMSE {self.rmse:.4g}, leave-one-out {self.leave_one_out:.4g}, R² {self.r2:.5g}")
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines)

    @property
    def values(self) -> dict[str, float]:
        """The values of the constants by name."""
        return {name: one.value for name, one in self.constants.items()}

    def facts(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        return {
            "form": self.form.text,
            "formula": str(self.formula),
            "constants": [
                {field.name: getattr(one, field.name) for field in fields(one)} for one in self.constants.values()
            ],
            "correlations": self.correlations.tolist(),
            "rmse": self.rmse,
            "r2": self.r2,
            "leave_one_out": self.leave_one_out,
            "rows": self.rows,
            "effective": self.effective,
            "aicc": self.aicc,
            "description_length": self.description_length,
            "notes": list(self.notes),
        }

    @property
    def description_length(self) -> float:
        """Twice the length of the form and of what it leaves, in nats; see :mod:`superpose.formulas.selection`."""
        nodes = selection.size(self.formula.complexity, splines=len(self.formula.splines))
        error = self.rmse / self._spread
        return selection.description_length(selection.gaussian(error, self.rows), nodes, len(self.constants), self.rows)

    @property
    def aicc(self) -> float:
        """Akaike's information criterion with its correction for few rows; infinite where there are too few.

        The constants and the variance of the errors are counted (N. Sugiura, 1978; C. Hurvich and C.-L. Tsai, 1989).
        """
        count = self.effective + 1
        if self.rows <= count + 1:
            return math.inf
        deviance = selection.gaussian(self.rmse / self._spread, self.rows)
        return deviance + 2 * count + 2 * count * (count + 1) / (self.rows - count - 1)

    @property
    def _spread(self) -> float:
        share = 1 - self.r2
        return self.rmse / math.sqrt(share) if share > 0 and self.rmse > 0 else 1.0


@dataclass(frozen=True)
class Limits:
    """What is known of the constants of a form beforehand.

    Attributes:
        start: values to begin at, by name.
        bounds: least and largest values, by name; None or an infinite number is no limit.
        positive: names of constants above zero.
    """

    start: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    positive: Collection[str] = ()

    def of(self, form: Form) -> tuple[tuple[tuple[float, float], ...], dict[int, float]]:
        """Bounds of each constant, and start values by place.

        Raises:
            OptionError: for a constant that the form does not have, or numbers that make no sense.
        """
        if isinstance(self.positive, str):
            raise OptionError(f"positive is a list of constants; write positive={{{self.positive!r}}}")
        for option, names in (("start", self.start), ("bounds", self.bounds), ("positive", self.positive)):
            for name in names:
                if name not in form.constants:
                    what = "is a column" if name in form.columns else "is no constant"
                    known = nearest(name, form.constants) or (
                        f"; these are {listed(form.constants)}" if form.constants else "; it has none"
                    )
                    raise OptionError(
                        f"{option} has {quoted(name)}, which {what} of the form {quoted(form.text)}{known}"
                    )
        bounds = []
        for name in form.constants:
            low, high = self.bounds.get(name, (None, None))
            low, high = _number(low, -math.inf, name), _number(high, math.inf, name)
            if name in self.positive:
                low = max(low, 0.0)
            if not low < high:
                raise OptionError(f"the bounds of the constant {quoted(name)}, {low:g} and {high:g}, leave no value")
            bounds.append((low, high))
        start = {}
        for name, given in self.start.items():
            place, value = form.constants.index(name), _number(given, math.nan, name)
            low, high = bounds[place]
            if not (math.isfinite(value) and low <= value <= high):
                raise OptionError(f"the start value {given} of the constant {quoted(name)} is not within its bounds")
            start[place] = value
        return tuple(bounds), start


def _number(value: float | None, absent: float, name: str) -> float:
    if value is None:
        return absent
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise OptionError(f"a value of the constant {quoted(name)} must be a number, not {quoted(value)}")
    return float(value)


def fit_formula(
    data: Dataset,
    form: str | Form,
    *,
    start: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    positive: Collection[str] = (),
    seed: int = 0,
) -> FormulaFit:
    """Fit the unknown constants of a form to a table.

    Args:
        data: the table, with one target. The training and validation rows are fitted to, with their weights.
        form: text such as ``"V*conc/(K + conc)"``: names of columns are columns, other names are unknown constants.
            Columns whose names are no identifiers stand between backticks. In ``"A*exp(-B*t) + f(x)"`` the function
            ``f`` is not known, and a spline is learnt with the constants.
        start: values of constants to begin at, if they are known about; others are tried as well.
        bounds: least and largest values of constants; None is no limit.
        positive: constants that are not below zero.
        seed: of the start values. The same seed gives the same constants.

    Raises:
        OptionError: for text that is no form; for constants that it does not have.
        DataError: if there are more constants than rows, or no constants make it finite on all rows.

    >>> conc = [0.02, 0.06, 0.11, 0.22, 0.56, 1.1, 0.02, 0.06, 0.11, 0.22, 0.56, 1.1]
    >>> rate = [76, 97, 123, 159, 191, 207, 47, 107, 139, 152, 201, 200]
    >>> data = Dataset.from_arrays([[c] for c in conc], rate, feature_names=["conc"], target_names=["rate"])
    >>> fit_formula(data, "V*conc/(K + conc)")
    rate = V*conc/(K + conc), fitted to 12 rows
      V = 212.684 ± 6.9  (95%: 197.2 to 228.16)
      K = 0.0641213 ± 0.0083  (95%: 0.04567 to 0.082572)
      RMSE 9.981, leave-one-out 11.57, R² 0.96126
    """
    check_seed(seed)
    if data.n_targets != 1:
        raise OptionError(f"a form has one target, and the table has {data.n_targets}; choose one of them")
    if isinstance(form, str):
        form = parse_form(form, data.feature_names, target=data.target_names[0], open_parts=True)
    elif form.columns != data.feature_names:
        raise OptionError(f"the form {quoted(form.text)} was read for other columns than {listed(data.feature_names)}")
    limits, begin = Limits(start or {}, bounds or {}, positive).of(form)
    rows = torch.cat([data.train, data.validation]).sort().values
    weights = torch.ones(len(rows), dtype=torch.float64) if data.weights is None else data.weights[rows]
    weights = weights / weights.mean()
    columns = tuple(column.double() for column in data.features(rows).unbind(-1))
    problem = search.Problem(
        form, columns, data.y[rows, 0].double(), weights.sqrt(), limits, begin, len(form.operations) - 1
    )
    if len(form.constants) > len(rows):
        raise DataError(
            f"the form {quoted(form.text)} has {counted(len(form.constants), 'constant')}, and there are only "
            f"{counted(len(rows), 'row')} to fit them to; give a form with fewer constants"
        )
    parts = open_parts(form, columns) if form.splines else []
    coefficients = None
    if parts:
        made = search_open(problem, parts, seed)
        found = None if made is None else made[0]
        if made is not None:
            _, problem, coefficients = made
    else:
        found = search.search(problem, seed)
    values = None if found is None else form.values(columns, found.constants[None])[0]
    if found is None or values is None or not bool(values.isfinite().all()):
        raise DataError(_not_finite(form, problem, rows, values))
    return _described(data, problem, found, parts, coefficients)


def _not_finite(form: Form, problem: search.Problem, rows: Tensor, values: Tensor | None) -> str:
    """Why there are no constants."""
    if values is None or not bool(values.isfinite().any()):
        return f"the form {quoted(form.text)} has a finite value on no row, whatever its constants; correct it"
    row = int((~values.isfinite()).nonzero()[0])
    used = [n for n, name in enumerate(form.columns) if name in form.used()]
    where = ", ".join(f"{form.columns[n]} = {float(problem.columns[n][row]):g}" for n in used[:4])  # enough to find it
    return (
        f"the form {quoted(form.text)} has no finite value in row {int(rows[row]) + 1} (counting from 1; {where}) "
        "where it fits the other rows; leave out the row, or change the form"
    )


def _described(
    data: Dataset,
    problem: search.Problem,
    found: search.Found,
    parts: Sequence[OpenPart],
    coefficients: Tensor | None,
) -> FormulaFit:
    """The fit with its standard errors. Of splines the penalty counts as what is known of them beforehand."""
    form, rows, count = problem.form, len(problem.y), len(problem.form.constants)
    places = list(range(count))
    values, jacobian = form.derivatives(problem.columns, found.constants[None], places)
    fitted = values[0]
    if coefficients is not None and problem.own is not None:
        fitted = fitted + problem.own @ coefficients
    rest, jacobian = problem.roots * (problem.y - fitted), jacobian[0] * problem.roots[:, None]
    # A derivative at the edge of what a form is defined for, such as that of a root of zero.
    jacobian = torch.where(jacobian.isfinite(), jacobian, 0.0)
    squares, freedom = float(rest.square().sum()), float(rows - count)
    mean = float((problem.roots.square() * problem.y).sum() / problem.roots.square().sum())
    total = float((problem.roots * (problem.y - mean)).square().sum())
    size = jacobian.square().sum(0).sqrt()
    unit = jacobian / torch.where(size > 0, size, 1.0)
    held = [place for place in places if float(found.constants[place]) in problem.bounds[place]]
    unit[:, held] = 0.0
    if problem.own is not None and problem.bend is not None:
        unit = _with_splines(unit, problem.own * problem.roots[:, None], problem.bend)
    left, singular, right = torch.linalg.svd(unit, full_matrices=False)
    kept = singular > _UNDETERMINED * (singular.max() if len(singular) else 1.0)
    leverage = left[:rows, kept].square().sum(-1)
    if coefficients is not None:
        freedom = rows - float(leverage.sum())
    undetermined = [n for n in places if not held.count(n) and bool((right[~kept, n].abs() > _TAKES_PART).any())]
    covariance = ((right[kept].T / singular[kept].square()) @ right[kept])[:count, :count]
    variance = squares / freedom if freedom > 0 else math.nan
    errors = (variance * covariance.diagonal()).sqrt() / torch.where(size > 0, size, 1.0)
    errors[[*undetermined, *held]] = math.nan
    deviations = covariance.diagonal().sqrt()
    correlations = covariance / (deviations[:, None] * deviations)
    correlations[[*undetermined, *held]] = math.nan
    correlations[:, [*undetermined, *held]] = math.nan
    width = student_quantile((1 + LEVEL) / 2, freedom) if freedom > 0 else math.nan
    constants = {
        name: FittedConstant(name, value, error, value - width * error, value + width * error)
        for name, value, error in zip(form.constants, found.constants.tolist(), errors.tolist(), strict=True)
    }
    edges = {} if coefficients is None else edges_of(parts, coefficients)
    chance = math.sqrt(squares / rows * max(rows - freedom, 1.0) / rows)
    out = rest / (1 - leverage).clamp(min=1e-12)
    return FormulaFit(
        form,
        Formula.from_expressions([form.expression(found.constants.tolist())], data, edges),
        constants,
        correlations,
        math.sqrt(squares / rows),
        1 - squares / total if total > 0 else math.nan,
        math.sqrt(float(out.square().mean())) if freedom > 0 else math.inf,
        rows,
        rows - freedom,
        found.agreeing,
        found.starts,
        (
            *_notes(form, [form.constants[n] for n in undetermined], [form.constants[n] for n in held], freedom),
            *_growing(fitted, rest),
            *readings(form, parts, edges, problem.columns, chance),
        ),
    )


def _with_splines(unit: Tensor, own: Tensor, bend: Tensor) -> Tensor:
    """A Jacobian with the columns of splines, of unit length, and a row for the penalty of each."""
    size = own.square().sum(0).sqrt().clamp(min=1e-300)
    above = torch.cat([unit, own / size], 1)
    below = torch.cat([unit.new_zeros(len(bend), unit.shape[1]), (bend.sqrt() / size).diag()], 1)
    return torch.cat([above, below])


def _notes(form: Form, undetermined: Sequence[str], held: Sequence[str], freedom: float) -> tuple[str, ...]:
    notes = []
    if undetermined:
        verb = "is" if len(undetermined) == 1 else "are"
        names = " and ".join(
            [", ".join(undetermined[:-1]), undetermined[-1]] if len(undetermined) > 1 else undetermined
        )
        remedy = "which other values serve as well; write a number in place of one, or a form with fewer constants"
        notes.append(f"{names} {verb} not determined by the table, {remedy}")
    if held:
        verb = "lies" if len(held) == 1 else "lie"
        notes.append(f"{', '.join(held)} {verb} at a limit that was given, and no standard error is known there")
    if freedom <= 0 and form.constants:
        notes.append("there are as many constants as rows, so the error says nothing")
    return tuple(notes)


def _growing(values: Tensor, rest: Tensor) -> list[str]:
    """A note where errors grow with the values: then the largest rows alone determine the constants.

    The rank correlation of ``n`` rows without a relation has the standard deviation ``1 / sqrt(n - 1)``.
    """
    count = len(rest)
    # Of errors of rounding it says nothing.
    if count < _FEW or not float(rest.square().mean()) > 1e-20 * float(values.square().mean()):
        return []
    first, second = (one.abs().argsort().argsort().double() for one in (values, rest))
    first, second = first - first.mean(), second - second.mean()
    correlation = float((first * second).sum() / first.square().sum())
    if correlation * math.sqrt(count - 1) < _GROWS:
        return []
    return [
        "errors grow with the values, so that large values determine the constants; give the error bars of the rows "
        "(sigma), or fit the logarithm"
    ]
