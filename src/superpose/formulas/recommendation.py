"""The formulas of a run: those on the front of size and error, and why one of them is recommended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.formulas import selection
from superpose.formulas.expressions.formula import Formula
from superpose.messages import counted
from superpose.nn.model import KAN
from superpose.pareto import pareto_front
from superpose.short_repr import brief

# Errors are root mean squares in units of the target's standard deviation; below this a smaller one is not better.
EXACT = selection.FLOORS.exact
# Errors that differ by a smaller share are one number to a reader. A round number.
_SAME = 1e-3
# Two formulas are one form where their values differ by less than this share of the noise: fitted to the same rows, the
# better one then errs 2% less at most. A round number.
SAME_FORM = 0.2
# Rows on which they are compared, at most. A round number.
_ROWS = 400
# An error that is smaller than this share of another is no reason for the other. A round number.
_MUCH = 0.9
# An error on the rows held out for the test that is more than so many times that on the others is no chance: of the
# ratio of two estimates of one variance, one from two rows and one from twenty, the 99.9% quantile is 9.95.
SURPRISE = 3.2


@dataclass(frozen=True)
class Finding:
    """A formula that a run found.

    Attributes:
        formula: with its constants fitted and simplified.
        model: the symbolic network that has the formula on its edges.
        error: the larger of the root mean squared errors on training and on validation rows, in units of the target's
            standard deviation.
        validation_error: the error on the validation rows, by which networks are judged too.
        form_size: nodes that its form counts, where it was looked up among known ones and not made of symbols.
        group_size: symbols of the small expression of dimensionless groups that it is; None of others.
        inconsistent: where units of columns are given and those of the formula do not agree, where; empty otherwise.
        dimensional: how many of its constants carry units.
    """

    __repr__ = brief

    formula: Formula
    model: KAN
    error: float
    validation_error: float
    form_size: float | None = None
    group_size: float | None = None
    inconsistent: str = ""
    dimensional: int = 0

    @property
    def size(self) -> float:
        """Nodes, with what splines and units count beside their own; no more than those of a looked up form."""
        nodes = selection.size(self.formula.complexity, splines=len(self.formula.splines))
        nodes = min(one for one in (nodes, self.form_size, self.group_size) if one is not None)
        weights = selection.WEIGHTS
        return nodes + weights.dimensional * self.dimensional + weights.inconsistent * bool(self.inconsistent)

    @property
    def score(self) -> float:
        """Error and complexity together; less is better. See :mod:`superpose.formulas.selection`."""
        return selection.score(self.error, self.size, floor=EXACT)


def same_form(values: Tensor, others: Tensor, noise: float) -> bool:
    """Whether two formulas are one form, written in two ways: their values differ by less than the noise can show.

    >>> a, b = torch.tensor([1.0, 4.0]), torch.tensor([9.0, 2.0])
    >>> same_form((a / b).sqrt(), a.sqrt() / b.sqrt(), 1e-3), same_form(a, a + 1e-3, 1e-3)
    (True, False)
    """
    return bool(((values - others).abs() <= SAME_FORM * noise).all())


def front(findings: Sequence[Finding], chosen: Finding | None, data: Dataset | None = None) -> list[Finding]:
    """The findings that no simpler one surpasses, from simple to accurate, and the recommended one.

    Others of its size with the same error say nothing more: they are the same form, found in another way.

    Args:
        findings: of one run.
        chosen: the recommended one.
        data: the table, on whose rows formulas are compared, so that of a form that is written in several ways the
            recommended one or else the simplest is listed.
    """
    listed = [one for one in findings if one is chosen or chosen is None or not _alike(one, chosen)]
    while True:
        found = pareto_front(listed, size=lambda f: f.formula.complexity, error=lambda f: f.error, keep=chosen)
        again = [] if data is None else _repeated(found, chosen, data)
        if not again:
            return found
        listed = [one for one in listed if all(one is not other for other in again)]


def _repeated(found: Sequence[Finding], chosen: Finding | None, data: Dataset) -> list[Finding]:
    """Those of a front that are one form with the recommended one, or with a simpler one."""
    x = data.features(torch.arange(data.n_rows)[evenly(data.n_rows, _ROWS)])
    kept: list[tuple[Finding, Tensor]] = []
    again = []
    for one in sorted(found, key=lambda one: one is not chosen):
        with torch.no_grad():
            values = one.formula.torch(x)
        noises = [max(min(one.error, other.error), EXACT) * data.target_std for other, _ in kept]
        if any(same_form(values, theirs, noise) for (_, theirs), noise in zip(kept, noises, strict=True)):
            again.append(one)
        else:
            kept.append((one, values))
    return again


def _alike(one: Finding, other: Finding) -> bool:
    same = math.isclose(one.error, other.error, rel_tol=_SAME) or max(one.error, other.error) < EXACT
    return same and one.formula.complexity == other.formula.complexity


def reason(
    listed: Sequence[tuple[int, float]],
    place: int,
    *,
    complete: bool = False,
    error: str = "error",
    test_error: float = 0.0,
    splines: Sequence[str] = (),
    law: str | None = None,
) -> str:
    """Why one of the formulas of a front is recommended, in one sentence.

    Args:
        listed: nodes and error of each, from simple to accurate.
        place: which of them.
        complete: whether its residuals show no structure.
        error: what is compared, such as ``"cross-entropy"``.
        test_error: its error on the rows held out for the test, in the units of the others; said if it surprises.
        splines: names of the functions in it that are splines.
        law: the name of the textbook law that it is. Its form was not made for the rows, and so it is preferred to
            formulas that err a little less.

    >>> reason([(3, 0.5), (9, 0.01), (20, 0.0099)], 1)
    'recommended because the error of the next simpler formula is 50 times as large, and that of the next larger one, \
with 11 more nodes, is 1% smaller'
    >>> reason([(9, 1e-15)], 0)
    "recommended because it gives every row to 1e-09 of the target's spread"
    >>> reason([(3, 0.5), (9, 0.01)], 1, complete=True, test_error=0.12)
    "recommended because the error of the next simpler formula is 50 times as large, and none that was found does \
better; on the rows held out for the test its error is 0.12 of the target's spread, 12 times as large"
    >>> reason([(3, 0.0104), (9, 0.01), (12, 0.0099)], 1, law="Michaelis-Menten")
    'recommended because it is a textbook law, Michaelis-Menten, whose form was not chosen by these rows, the error of \
the next simpler formula is 4% larger, and that of the next larger one, with 3 more nodes, is 1% smaller'
    >>> reason([(3, 0.0095), (9, 0.01)], 1, law="Michaelis-Menten")
    'recommended because it is a textbook law, Michaelis-Menten, whose form was not chosen by these rows; the error of \
the next simpler formula is 5% smaller'
    >>> reason([(9, 0.01), (14, 0.006)], 0)
    'recommended because its error and its size weigh least together; the error of the next larger formula, with 5 \
more nodes, is 40% smaller'
    >>> reason([(9, 0.01)], 0, splines=["spline_0_0_0"])
    'recommended because it is the only one that was found; it is no closed formula, since spline_0_0_0 is a spline'
    """
    own = listed[place][1]
    parts = []
    exact, fails = own < EXACT, surprises(test_error, own)
    known = law is not None and not exact
    if known:
        parts.append(f"it is a textbook law, {law}, whose form was not chosen by these rows")
    if exact and fails:
        parts.append(f"it gives every row that it was fitted to, to {EXACT:.0e} of the target's spread")
    elif exact:
        parts.append(f"it gives every row to {EXACT:.0e} of the target's spread")
    elif complete and not fails:
        parts.append("its residuals show no structure")
    reasons, others = _beside(listed, place, error, known=known)
    parts += reasons
    if place and place + 1 == len(listed) and not exact and not others:
        parts.append("none that was found does better")
    if not parts:
        parts.append(
            f"its {error} and its size weigh least together" if others else "it is the only one that was found"
        )
    text = f"recommended because {', and '.join([', '.join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)}"
    if others:
        text += f"; {', and '.join(others)}"
    if fails:
        text += f"; on the rows held out for the test its {error} is {test_error:.2g} of the target's spread"
        text += "" if exact else f", {_compared(test_error, own)}"
    if splines:
        # Three names, so that the sentence stays short.
        names = ", ".join(splines[:3]) + (f" and {len(splines) - 3} more" if len(splines) > 3 else "")
        text += f"; it is no closed formula, since {names} {'is a spline' if len(splines) == 1 else 'are splines'}"
    return text


def _beside(listed: Sequence[tuple[int, float]], place: int, error: str, *, known: bool) -> tuple[list[str], list[str]]:
    """How the neighbours of a formula on the front compare: what speaks for it, and what for another one.

    Args:
        listed, place, error: as of :func:`reason`.
        known: whether it is a textbook law.
    """
    nodes, own = listed[place]
    reasons: list[str] = []
    others: list[str] = []
    if place:
        before, theirs = listed[place - 1]
        which = "the next simpler formula" if before < nodes else "another formula of the same size"
        (others if known and theirs < own else reasons).append(f"the {error} of {which} is {_compared(theirs, own)}")
    if place + 1 < len(listed) and own >= EXACT:
        more, theirs = listed[place + 1]
        side = others if theirs < _MUCH * own else reasons
        what = "that of the next larger one" if side else f"the {error} of the next larger formula"
        side.append(f"{what}, with {counted(more - nodes, 'more node')}, is {_compared(theirs, own)}")
    return reasons, others


def surprises(test_error: float, error: float) -> bool:
    """Whether an error on the rows held out for the test is more than chance makes of that on the others."""
    return not test_error <= SURPRISE * max(error, EXACT)


def _compared(other: float, own: float) -> str:
    """How an error compares with another one.

    >>> _compared(3.0, 1.0), _compared(1.2, 1.0), _compared(0.5, 1.0), _compared(float("inf"), 1.0), _compared(1.0, 1.0)
    ('3 times as large', '20% larger', '50% smaller', 'infinite', 'as large')
    >>> _compared(1.0014, 1.0)
    '0.1% larger'
    """
    ratio = other / own if own > 0 else math.inf
    if not math.isfinite(ratio):
        return "infinite"
    if ratio >= 2:
        # From a thousand on as a power of ten.
        return f"{ratio:.2g} times as large" if ratio < 1e3 else f"{ratio:.0e} times as large"
    change = 100 * abs(ratio - 1)  # percent
    # Less than 5 in a million is no difference to a reader. A round number.
    if change < 5e-4:
        return "as large"
    text = f"{change:.0f}" if change >= 1 else f"{change:.1g}"
    return f"{text}% {'larger' if ratio > 1 else 'smaller'}"
