"""What every network and formula of a run has to come near: a sum of smooth functions, judged by cross-validation.

It needs no luck with starts, and says from the same rows how far a straight line, a sum of curves and interactions of
two columns carry. A network or a formula that the rows do not favour over it is not handed out in its place.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.data.splitting import folds
from superpose.formulas.recommendation import Finding
from superpose.nn.model import KAN
from superpose.tasks.regression import findings
from superpose.tasks.regression.context import Context
from superpose.train.anova import AnovaAverage, AnovaChoice, AnovaMixture, choose_anova
from superpose.train.anova.selection import Tried

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class ReferenceRules:
    """Constants of the comparison. Round numbers, looked at on the tables of docs/trust.md.

    Attributes:
        time, time_of_many: share of the time left for the reference; the second with more than ``many`` columns, of
            which it is the best that can be learnt.
        rows: that it is fitted to at most; what smooth sums can learn, so many rows say.
        folds: of the cross-validation.
        few: with fewer rows the folds are dealt out twice.
        sure, gained: standard errors of the paired difference, and nats over all rows that were compared, by which a
            network must be better to take its place.
        near: a formula may err by as many standard errors more, since it can be read,
        more, most: or by the first share of the squared error, and never by more than the second.
        line, line_near, line_most: the same beside the best straight line, which can be read too: first share, standard
            errors, second share.
        enough: share of the variance; a straight line, a power law or a textbook law that leaves less by leave-one-out
            is a formula though the reference predicts better.
        node: nats that a node of a formula counts against it, summed over the rows, since its form was chosen among
            many by the same rows.
        free: nodes that do not count: there are few forms of so few.
        gross: deviations beyond which the residual of a robust fit is gross.
        believed: a formula that leaves less than this share of the variance of left-out rows must be plausible within
            the first of the margins only. A round number.
        margins: shares of each column's range beyond the rows in which formulas and networks must be plausible,
        plausible: and ranges of the target beyond its own that a prediction there may reach.
        points: at which that is tried.
    """

    time: float = 0.3
    time_of_many: float = 0.5
    many: int = 20
    rows: int = 4000
    folds: int = 5
    few: int = 60
    sure: float = 2.0
    gained: float = 3.0
    near: float = 1.0
    more: float = 0.1
    most: float = 0.5
    line: float = 0.02
    line_near: float = 0.5
    line_most: float = 0.1
    enough: float = 1e-3
    node: float = 3.0
    free: int = 4
    gross: float = 5.0
    believed: float = 1e-4
    margins: tuple[float, ...] = (0.05, 0.25)
    plausible: tuple[float, ...] = (3.0, 10.0)
    points: int = 2000


RULES = ReferenceRules()


@dataclass(frozen=True)
class Reference:
    """The chosen sum of functions.

    Attributes:
        choice: what was tried.
        model: the network that computes it.
        rows: ``[n]``, those of cross-validation, in ascending order.
        predictions: ``[n]``, for each row by fits to others, in the target's units.
        log: whether errors are those of the target's logarithm.
        cut: squared errors above this are gross, and count as much as this; infinite unless gross errors were seen.
        folds: their number.
    """

    choice: AnovaChoice
    model: KAN
    rows: Tensor
    predictions: Tensor
    log: bool
    cut: float
    folds: int

    def losses(self, data: Dataset, rows: Tensor, predictions: Tensor) -> Tensor:
        """Squared errors ``[n]`` of predictions for some rows, times the weights of the rows.

        They are those of the logarithms if these are fitted, and infinite where there is none.
        """
        y = data.y[rows, 0]
        squares = _squares(predictions, y, log=self.log)
        squares = torch.where(squares.isfinite(), squares.clamp(max=self.cut), squares)
        return squares if data.weights is None else squares * data.weights[rows]

    def line_losses(self, data: Dataset) -> Tensor | None:
        """Squared errors ``[n]`` of the best straight line in cross-validation; None if none was tried."""
        lines = [one for one in self.choice.tried if one.settings.is_line]
        if not lines:
            return None
        best = min(lines, key=lambda one: one.mean_loss)
        return self.losses(data, self.rows, _mean_of_rounds(self.rows, self.choice.rows, best.predictions))

    def facts(self, data: Dataset) -> dict[str, Any]:
        """The errors, ready for JSON."""
        return errors_of(data, self.rows, self.predictions) | {
            "folds": self.folds,
            "rows": len(self.rows),
            "functions": described(self.choice.fit),
            "constants": round(self.choice.fit.effective, 1),
            "suspicious_rows": self.choice.suspicious.tolist(),
        }


def _mean_of_rounds(places: Tensor, rows: Tensor, predictions: Tensor) -> Tensor:
    """``[n]``: the mean of the predictions ``[M]`` for each of the rows ``[n]``, some of which have several."""
    at = torch.searchsorted(places, rows)
    return predictions.new_zeros(len(places)).index_add_(0, at, predictions) / torch.bincount(at)


def _squares(predictions: Tensor, y: Tensor, *, log: bool) -> Tensor:
    """Squared errors, of the logarithms where these are fitted; infinite where there is none."""
    if log:
        predictions, y = torch.where(predictions > 0, predictions, torch.nan).log(), y.log()
    return (predictions - y).square().nan_to_num(nan=math.inf)


def errors_of(data: Dataset, rows: Tensor, predictions: Tensor) -> dict[str, float]:
    """Root mean squared error with its standard error, and R², of predictions ``[n]`` for some rows; weighted if these
    have weights."""
    y, count = data.y[rows, 0], len(rows)
    weights = torch.ones_like(y) if data.weights is None else data.weights[rows] / data.weights[rows].mean()
    squares = weights * (predictions - y).square()
    mean = float(squares.mean())
    rmse = math.sqrt(mean)
    spread = float(squares.std()) / math.sqrt(count) if count > 1 else 0.0
    variance = float((weights * (y - (weights * y).mean()).square()).mean())
    return {
        "rmse": rmse,
        "standard_error": spread / (2 * rmse) if rmse > 0 else 0.0,
        "r2": 1 - mean / variance if variance > 0 else 0.0,
    }


def described(fit: AnovaAverage) -> str:
    """What a mean of sums of functions consists of, in words."""
    return "; and ".join(dict.fromkeys(_described(one) for _, one in fit.parts))


def _described(fit: AnovaMixture) -> str:
    settings = [one.settings for _, one in fit.parts]
    what = "a constant" if fit.settings.constant else "straight lines"
    if any(one.curves for one in settings):
        what = "curves of single columns"
    if any(one.interactions for one in settings):
        what += " and products of two columns' curves"
    if fit.settings.log_columns:
        what += ", some of logarithms of the columns"
    if fit.settings.log_target:
        what += ", of the target's logarithm"
    return what


def has_squares(data: Dataset) -> bool:
    """Whether the squares of the columns are doubles; laws are found among others too, without a comparison."""
    sizes = torch.cat([data.x_scale.scale, data.y_scale.scale])
    return bool(((sizes > 1e-100) & (sizes < 1e100)).all())


def fit_reference(context: Context) -> Reference | None:
    """The reference of a run; None where there is more than one target, or the form of the network is given."""
    options, data = context.options, context.data
    if data.n_targets != 1 or options.shape != "auto" or options.optimizer != "lm" or options.linear:
        return None
    rows = torch.cat([data.train, data.validation]).sort().values
    if len(rows) < 3 or not has_squares(data):
        return None
    rows = rows[evenly(len(rows), RULES.rows)]
    some = replace(data, train=rows, validation=rows[:0])
    count = min(options.cv or RULES.folds, len(some.train))
    rounds = 1 if options.cv or len(rows) >= RULES.few or data.order is not None else 2
    parts = [
        (torch.searchsorted(rows, train), torch.searchsorted(rows, test))
        for number in range(rounds)
        for train, test in folds(some, count, options.seed + number)
    ]
    late = context.deadline.share(RULES.time if data.n_features <= RULES.many else RULES.time_of_many).passed
    weights = None if data.weights is None else data.weights[rows]
    plausible = functools.partial(is_plausible, data)
    x, y = data.features(rows), data.y[rows, 0]
    choice = choose_anova(x, y, parts, weights=weights, log_target=options.log_target, late=late, plausible=plausible)
    choice = replace(choice, rows=rows[choice.rows], suspicious=rows[choice.suspicious])
    places = torch.unique(choice.rows)
    mean = _mean_of_rounds(places, choice.rows, choice.predictions)
    model = choice.fit.network(data.feature_names, data.target_names)
    settings, cut = choice.fit.settings, math.inf
    if settings.robust:
        # The median of squared normal residuals is 0.455 of their variance.
        cut = RULES.gross**2 * float(_squares(mean, data.y[places, 0], log=settings.log_target).median()) / 0.455
    found = Reference(choice, model, places, mean, settings.log_target, cut, count)
    facts = errors_of(data, places, mean)
    context.tell(f"{described(choice.fit)}: R² {facts['r2']:.3f} in cross-validation of {count} folds")
    return found


def is_plausible(data: Dataset, predict: Any, margins: int | None = None) -> bool:
    """Whether predictions on the rows and a little beside them are finite and not far beyond the target's range.

    Args:
        predict: from ``[N, d]`` to ``[N]``.
        margins: how many of them are looked at, the narrowest first; all if left out.
    """
    generator = torch.Generator().manual_seed(0)
    some = data.features(evenly(data.n_rows, RULES.points))
    low, high = some.amin(0), some.amax(0)
    repeated = some.repeat(max(1, RULES.points // len(some)), 1)
    least, most = float(data.y.min()), float(data.y.max())
    for margin, ranges in list(zip(RULES.margins, RULES.plausible, strict=True))[:margins]:
        shift = margin * (high - low) * (2 * torch.rand(repeated.shape, generator=generator, dtype=some.dtype) - 1)
        moved = repeated + shift
        # Columns that have one sign keep it: a logarithm or a root beyond zero is no fault of a formula.
        moved = torch.where(low > 0, moved.maximum(low * 0.5), moved)
        moved = torch.where(high < 0, moved.minimum(high * 0.5), moved)
        with torch.no_grad():
            values = predict(torch.cat([some, moved]))
        room = ranges * (most - least)
        near = least - room <= float(values.min()) and float(values.max()) <= most + room
        if not (near and bool(values.isfinite().all())):
            return False
    return True


def lines_of(context: Context, reference: Reference) -> list[Finding]:
    """The straight lines, and power laws and exponentials where logarithms were taken, as formulas."""
    found, data = [], context.data
    seen: list[Tried] = []
    for one in sorted(reference.choice.tried, key=lambda one: one.mean_loss):
        variables = one.settings.log_target, one.settings.log_columns
        if one.settings.curves or any(
            variables == (other.settings.log_target, other.settings.log_columns) for other in seen
        ):
            continue
        seen.append(one)
        try:
            expression = expression_of(reference.choice.single(one).first, data.feature_names)
        except OverflowError:
            # An exponential whose value at zero is no double, as of a year: its network has values all the same.
            continue
        finding = findings.from_expressions(context, [expression], {})
        if finding is not None:
            found.append(finding)
    return found


def expression_of(fit: AnovaMixture, names: Sequence[str]) -> sympy.Expr:
    """A sum of straight lines as an expression: of logarithms a power law, of the target's alone an exponential."""
    import sympy

    coefficients, terms, factors = fit.coefficients(), [], []
    constant = coefficients.constant
    for name, basis, main in zip(names, fit.bases, coefficients.mains, strict=True):
        slope, offset = basis.line_of(float(main[0]))
        column = sympy.Symbol(name, real=True)
        slope, offset = slope / basis.scale, offset - slope * basis.center / basis.scale
        constant += offset
        if basis.log and fit.settings.log_target:
            factors.append(column ** sympy.Float(slope))
        else:
            terms.append(sympy.Float(slope) * (sympy.log(column) if basis.log else column))
    if not fit.settings.log_target:
        return sympy.Add(*terms, sympy.Float(constant))
    return sympy.Mul(sympy.Float(math.exp(constant)), *factors, *([sympy.exp(sympy.Add(*terms))] if terms else []))
