"""How stable the recommended formula is: on how many resamples of the rows its form would be chosen again.

The rows are drawn with replacement (the bootstrap, B. Efron, 1979). On each resample the constants of every form move
by one weighted Gauss-Newton step from where they were fitted, which is exact where they enter linearly. The choice is
then made as on the table: the best form by leave-one-out, with its size counted. Which forms were found, and which of
them were passed over since they do not come near the reference, stays as on the table: the shares say how sure the
choice among these forms is, and not whether a search on other rows would have found them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.deadline import Deadline
from superpose.formulas import selection
from superpose.formulas.expressions.constants import ConstantFit, jacobian_of
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.recommendation import EXACT, Finding
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.judging import MOST_LEVERAGE, comes_near, judge
from superpose.tasks.regression.reference import Reference


@dataclass(frozen=True)
class StabilityRules:
    """Constants of the resamples. Round numbers.

    Attributes:
        resamples: that are drawn; a share of one half then has a standard error of 5%.
        least: that are planned at least, where rows and forms are many.
        block: resamples between two looks at the clock.
        share, late, seconds: of the time left for all of them; of the time limit where none is left, since 100
            resamples of 5 forms and 60 rows take 0.03 s; at most.
        forms: that compete; those with larger description lengths on the table win hardly ever.
        rows: at most; of more, some are taken evenly.
        work: multiplications of all resamples together.
        rank: singular values of the Jacobian below this share of the largest belong to directions of the constants
            that change no value.
        letters: of the next formula in the sentence.
    """

    resamples: int = 100
    least: int = 20
    block: int = 10
    share: float = 0.05
    late: float = 0.02
    seconds: float = 2.0
    forms: int = 10
    rows: int = 4000
    work: float = 4e9
    rank: float = 1e-9
    letters: int = 60


STABILITY = StabilityRules()


@dataclass(frozen=True)
class Competitor:
    """A formula that may win.

    Attributes:
        finding: in the columns that were searched.
        formula: the same in the columns of the table.
        chosen: whether its form was chosen among many by the same rows; that of a straight line was not.
    """

    finding: Finding
    formula: Formula
    chosen: bool = True


@dataclass(frozen=True)
class Stability:
    """How often each form was chosen.

    Attributes:
        forms: the formulas that won, or are recommended, with the number of their resamples, the most first.
        recommended: place of the recommended one among them; None if there is none.
        drawn: resamples.
        planned: resamples, of which the time may have allowed fewer.
    """

    forms: tuple[tuple[Formula, int], ...]
    recommended: int | None
    drawn: int
    planned: int

    def facts(self) -> dict[str, Any]:
        """Shares and a sentence, ready for JSON."""
        return {
            "resamples": self.drawn,
            "forms": [
                {"formula": str(formula), "share": count / self.drawn, "recommended": place == self.recommended}
                for place, (formula, count) in enumerate(self.forms)
            ],
            "sentence": self.sentence(),
        }

    def sentence(self) -> str:
        """What a person reads."""
        others = list(self.forms)
        formula, count = others.pop(self.recommended or 0)
        share = f"all {count}" if count == self.drawn else f"{count} of {self.drawn}"
        of = f"in {share} resamples of the rows"
        if self.recommended is None:
            text = f"of the formulas, none of which comes near the network, {_brief(formula)} is the best {of}"
        else:
            text = f"the form of the formula is chosen again {of}"
        if others:
            text += f"; next: {_brief(others[0][0])} in {others[0][1]}"
        return text if self.drawn == self.planned else f"{text}; there was no time for all {self.planned}"


def _brief(formula: Formula) -> str:
    """The formula with three digits to a number, cut where it is long."""
    (text,) = formula.texts(3)
    return text if len(text) <= STABILITY.letters else f"{text[: STABILITY.letters - 3]}..."


def stability(
    context: Context,
    reference: Reference | None,
    competitors: Sequence[Competitor],
    recommended: Finding | None,
    *,
    noise: bool,
    deadline: Deadline | None = None,
) -> Stability | None:
    """How often each formula of a run would be recommended, had the rows been drawn again from themselves.

    Args:
        context: of the run, which has one target.
        reference: that a formula has to come near, if there is one.
        competitors: the formulas of the run, the recommended one among them.
        recommended: None where no formula came near.
        noise: whether the formula was chosen by description length, or else by :func:`selection.score`.
        deadline: when it ends; after a share of the time by default.

    Returns:
        None where there is nothing to say: with several targets, a law that gives every row, one form only, or no
        time.
    """
    if context.data.n_targets != 1 or (recommended is not None and recommended.error < EXACT):
        return None
    deadline = deadline or _time(context)
    table = _Table.of(context, reference)
    kept = _kept(context, reference, _forms(table, competitors, noise, deadline), recommended)
    own = any(form.competitor.finding is recommended for form in kept)
    if deadline.passed() or len(kept) < 2 or not (own or recommended is None):
        return None
    work = len(table.rows) * sum(2 * form.basis.shape[1] ** 2 + 10 for form in kept)
    planned = max(STABILITY.least, min(STABILITY.resamples, int(STABILITY.work / work)))
    generator = torch.Generator().manual_seed(context.options.seed)
    won: Counter[int] = Counter()
    while won.total() < planned and not deadline.passed():
        count = min(STABILITY.block, planned - won.total())
        won.update(_winners(table, kept, table.resamples(count, generator), noise))
    if not won:
        return None
    # A form that is recommended is listed even if it never wins.
    order = sorted(
        (place for place, form in enumerate(kept) if won[place] or form.competitor.finding is recommended),
        key=lambda place: -won[place],
    )
    chosen = next((n for n, place in enumerate(order) if kept[place].competitor.finding is recommended), None)
    forms = tuple((kept[place].competitor.formula, won[place]) for place in order)
    return Stability(forms, chosen, won.total(), planned)


def _time(context: Context) -> Deadline:
    seconds = max(STABILITY.share * context.deadline.left(), STABILITY.late * context.options.time_limit)
    return Deadline(min(seconds, STABILITY.seconds), context.deadline.clock)


@dataclass(frozen=True)
class _Table:
    """The rows that are drawn from.

    Attributes:
        data: the table.
        rows: ``[n]``.
        units: ``[n]``, which of them are drawn together: their groups, or each by itself.
        weights: ``[n]`` of the rows in losses, with mean about 1.
        fitted: ``[n]``, the same where constants are fitted: zero for rows with gross errors.
        log: whether the target's logarithm is fitted.
        cut: squared errors above this count as much as this.
        scale: variance of what is fitted.
    """

    data: Dataset
    rows: Tensor
    units: Tensor
    weights: Tensor
    fitted: Tensor
    log: bool
    cut: float
    scale: float

    @classmethod
    def of(cls, context: Context, reference: Reference | None) -> _Table:
        data, log, cut = context.data, False, math.inf
        if reference is None:
            rows = torch.cat([data.train, data.validation]).sort().values
        else:
            rows, log, cut = reference.rows, reference.log, reference.cut
        rows = rows[evenly(len(rows), STABILITY.rows)]
        weights = torch.ones(len(rows), dtype=torch.float64) if data.weights is None else data.weights[rows]
        codes = torch.arange(len(rows)) if data.groups is None else data.groups[rows]
        units = torch.unique(codes, return_inverse=True)[1]
        fitted = weights * ~torch.isin(rows, context.gross)
        y = data.y[rows, 0]
        scale = float((y.log() if log else y).var(correction=0))
        return cls(data, rows, units, weights, fitted, log, cut, scale or 1.0)

    def resamples(self, count: int, generator: torch.Generator) -> Tensor:
        """``[count, n]``: how often each row was drawn."""
        units = int(self.units.max()) + 1
        drawn = torch.randint(units, (count, units), generator=generator)
        once = torch.ones(count, units, dtype=torch.float64)
        return torch.zeros_like(once).scatter_add_(1, drawn, once)[:, self.units]


@dataclass(frozen=True)
class _Form:
    """A formula to first order in its constants.

    Attributes:
        competitor: the formula.
        nodes: of it, with what splines count.
        residuals: ``[n]`` on the rows.
        pull: ``[n]``, the part of them that the constants cannot take up on the whole table.
        name: with symbols for its constants; that of a form.
        basis: ``[n, r]`` orthonormal columns that span the derivatives by the constants.
        leverage: ``[n]`` of each row on the whole table.
    """

    competitor: Competitor
    nodes: float
    residuals: Tensor
    pull: Tensor
    name: str
    basis: Tensor
    leverage: Tensor

    @classmethod
    def of(cls, table: _Table, competitor: Competitor, deadline: Deadline) -> _Form | None:
        """None where a value or a derivative is not finite, or the deadline has passed."""
        formula, data = competitor.finding.formula, table.data
        y = data.y[table.rows, 0]
        problem = ConstantFit(formula.symbols, data.features(table.rows), y, formula.splines)
        template, slots, values, model = problem.parameterised(formula.expressions[0])
        with torch.no_grad():
            fitted: Tensor = model(values)
        jacobian = jacobian_of(model, values, deadline) if slots else y.new_zeros(len(y), 0)
        if table.log:
            jacobian, fitted, y = jacobian / fitted[:, None], fitted.log(), y.log()
        if not bool(jacobian.isfinite().all() and (y - fitted).isfinite().all()):
            return None
        jacobian = jacobian / jacobian.square().sum(0).sqrt().clamp(min=1e-300)
        left, sizes, _ = torch.linalg.svd(jacobian, full_matrices=False)
        basis = left[:, sizes > STABILITY.rank * sizes.amax()] if slots else jacobian
        nodes = competitor.finding.size
        residuals = y - fitted
        # Constants that were set to simple values, or fitted to logarithms, stay about where they are.
        step, leverage = _steps(basis, table.fitted[None], residuals)
        return cls(competitor, nodes, residuals, residuals - step[0], str(template), basis, leverage[0])

    def losses(self, table: _Table, counts: Tensor) -> Tensor:
        """Losses ``[b, n]`` of each row by fits to a resample without the row and its copies."""
        step, leverage = _steps(self.basis, counts * table.fitted, self.pull)
        # A row without which the resample says nothing of a constant is predicted by the other rows of the table.
        known = self.residuals / (1 - self.leverage.clamp(max=MOST_LEVERAGE))
        inside = (self.residuals - step) / (1 - leverage.clamp(max=MOST_LEVERAGE))
        residuals = torch.where(leverage > MOST_LEVERAGE, known, inside)
        return residuals.square().clamp(max=table.cut) * table.weights


def _steps(basis: Tensor, weights: Tensor, residuals: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted least squares of residuals ``[n]`` in a basis ``[n, r]``, for some weights ``[b, n]``.

    Returns:
        Fitted values and leverages ``[b, n]``. Directions without weight are left alone.
    """
    weighted = weights[:, :, None] * basis
    inverse = torch.linalg.pinv(basis.T @ weighted, hermitian=True, rtol=1e-10)
    step = torch.einsum("nr,brs,bs->bn", basis, inverse, residuals @ weighted)
    return step, weights * ((basis @ inverse) * basis).sum(-1)


def _forms(
    table: _Table, competitors: Sequence[Competitor], noise: bool, deadline: Deadline
) -> list[tuple[float, _Form]]:
    """The formulas to first order with their description lengths on the table, the shortest first."""
    once = torch.ones(1, len(table.rows), dtype=torch.float64)
    found = []
    for competitor in competitors:
        form = _Form.of(table, competitor, deadline)
        if form is not None:
            found.append((float(_lengths(table, form, once, noise)[0]), form))
    return sorted(found, key=lambda one: one[0])


def _kept(
    context: Context, reference: Reference | None, forms: Sequence[tuple[float, _Form]], recommended: Finding | None
) -> list[_Form]:
    """The forms that compete, each once: the recommended one, and others that the table favours first.

    A shorter one that was passed over on the table, since it does not come near the reference, is left out.
    """
    own = next(((length, form) for length, form in forms if form.competitor.finding is recommended), None)
    kept: dict[str, _Form] = {} if own is None else {own[1].name: own[1]}
    for length, form in forms:
        if len(kept) == STABILITY.forms:
            break
        # Searches find one form several times, with constants that differ in their last digits.
        if form.name in kept:
            continue
        one = form.competitor
        shorter = own is not None and length <= own[0]
        if reference is not None and shorter:
            judged = judge(context, reference, one.finding)
            if not comes_near(context, reference, judged, chosen=one.chosen):
                continue
        kept[form.name] = form
    return list(kept.values())


def _lengths(table: _Table, form: _Form, counts: Tensor, noise: bool) -> Tensor:
    """Description length ``[b]`` per row, in nats, of a form on each resample."""
    mean = (counts * form.losses(table, counts)).sum(-1) / counts.sum(-1)
    node = selection.WEIGHTS.noise_node / len(table.rows) if noise else selection.WEIGHTS.node * math.log(10)
    return (mean / table.scale).clamp(min=EXACT**2).log() + node * form.nodes


def _winners(table: _Table, forms: Sequence[_Form], counts: Tensor, noise: bool) -> list[int]:
    """The place of the chosen form on each resample."""
    found: list[int] = torch.stack([_lengths(table, form, counts, noise) for form in forms]).argmin(0).tolist()
    return found
