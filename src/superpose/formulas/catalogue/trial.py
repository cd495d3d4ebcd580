"""Which laws of the catalogue a table follows: all are fitted coarsely, and the most probable ones with care."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.deadline import Deadline
from superpose.errors import SuperposeError
from superpose.formulas import selection
from superpose.formulas.catalogue.all import LAWS
from superpose.formulas.catalogue.groups import group_columns, in_groups
from superpose.formulas.catalogue.law import TextbookLaw
from superpose.formulas.forms.fit import FormulaFit, fit_formula
from superpose.formulas.forms.parsing import parse_form
from superpose.formulas.forms.search import Descent, Problem
from superpose.formulas.forms.starts import candidates, scales
from superpose.formulas.forms.tape import Form, linear_constants


@dataclass(frozen=True)
class TrialRules:
    """Constants of the trial. Chosen on the laws of the catalogue with seeds 0 and 1; all round numbers.

    Attributes:
        rows: that the coarse fits have at most.
        candidates, most: start values that are compared, for each constant that is searched for, and at most.
        starts, steps: of them, so many take so many steps.
        finalists: laws that are fitted with care.
        grouped: of the most probable laws of one column, so many are tried with a constant that differs between two
            groups of rows.
        columns: of wider tables the most related ones.
        related: share of the variance that curves of one column explain, from which on laws of that column alone are
            tried in tables of several.
        powers: of the ranks of a column, which make these curves.
        node: nats of ``-2 ln L`` for an operation of a form. Less than where forms are made of symbols, since these
            forms were not: among laws with as many constants the shorter one is the more usual.
        evidence: nats of ``-2 ln L`` by which a law must predict left-out rows better than the mean does, beside
            what it takes to name one law of the catalogue.
        determined: standard errors of constants that have a sign, as shares of their values, are below this.
        beyond: ranges of the target from its mean that values between the rows may reach.
        alternatives: laws within so many nats of the best one cannot be told from it.
    """

    rows: int = 200
    candidates: int = 48
    most: int = 192
    starts: int = 4
    steps: int = 8
    finalists: int = 8
    grouped: int = 4
    columns: int = 3
    related: float = 0.5
    powers: int = 5
    node: float = 2.0
    evidence: float = 10.0
    determined: float = 1.0
    alternatives: float = 2.0
    beyond: float = 3.0


RULES = TrialRules()


@dataclass(frozen=True)
class Recognised:
    """A law that a table may follow.

    Attributes:
        law: of the catalogue.
        fit: with its constants; the formula is in the columns of the table.
        columns: of the table, by the names that they have in the law.
        length: twice its description length in nats; less is better. Comparable within one table.
    """

    law: TextbookLaw
    fit: FormulaFit
    columns: dict[str, str]
    length: float


@dataclass(frozen=True)
class _Try:
    """A law with some columns in its roles, and its length after the coarse fit."""

    law: TextbookLaw
    form: Form
    places: tuple[int, ...]
    length: float


def recognise(
    data: Dataset, *, relative: bool = False, deadline: Deadline | None = None, seed: int = 0
) -> list[Recognised]:
    """The laws of the catalogue that a table may follow, the most probable first.

    Args:
        data: with one target. The training and validation rows count.
        relative: whether errors are relative to the target, as of a target that spans decades.
        deadline: after it no further law is tried.
        seed: of the start values.

    >>> conc = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0]
    >>> rate = [33, 67, 100, 133, 150, 166, 176, 182, 187, 191]
    >>> data = Dataset.from_arrays([[c] for c in conc], rate, feature_names=["conc"], target_names=["rate"])
    >>> best = recognise(data)[0]
    >>> print(best.law.name, best.columns)
    Michaelis-Menten {'S': 'conc'}
    """
    deadline = deadline or Deadline()
    every = torch.cat([data.train, data.validation]).sort().values
    y = data.y[every, 0]
    if len(every) < 3 or not bool(((y != y[0]) & y.isfinite()).any()):
        return []
    if relative:
        own = torch.ones(data.n_rows, dtype=data.y.dtype) if data.weights is None else data.weights
        data = replace(data, weights=own / data.y[:, 0].abs().clamp(min=1e-300).square())
    rows = every[evenly(len(every), RULES.rows)]
    tried = _coarse(data, rows, deadline, seed)
    tried = sorted(tried + _coarse_groups(data, rows, tried, deadline, seed), key=lambda one: one.length)
    found = []
    for one in tried[: RULES.finalists]:
        made = _refined(data, one, seed)
        if made is not None:
            found.append(made)
        if deadline.passed():
            break
    return sorted(found, key=lambda one: one.length)


def _coarse(data: Dataset, rows: Tensor, deadline: Deadline, seed: int) -> list[_Try]:
    """All laws with all columns in their roles, fitted roughly."""
    x, y = data.features(rows).double(), data.y[rows, 0].double()
    shares = [_explained(x[:, place], y) for place in range(x.shape[1])]
    related = sorted((n for n in range(x.shape[1]) if shares[n] > 0), key=lambda n: -shares[n])[: RULES.columns]
    alone = [n for n in related if x.shape[1] == 1 or shares[n] >= RULES.related]
    return _fitted(data, rows, _tries(len(data.feature_names), related, alone), deadline, seed)


def _coarse_groups(data: Dataset, rows: Tensor, tried: Sequence[_Try], deadline: Deadline, seed: int) -> list[_Try]:
    """The most probable laws of one column again, with a constant that differs between two groups of rows."""
    groups = group_columns(data.features(rows))
    best = sorted((one for one in tried if len(one.places) == 1), key=lambda one: one.length)[: RULES.grouped]
    wanted = (
        (law, parse_form(law.form, list(law.columns)), (*one.places, place))
        for one in best
        for place in groups
        if place not in one.places
        for law in in_groups([one.law])
    )
    return _fitted(data, rows, wanted, deadline, seed)


def _fitted(
    data: Dataset,
    rows: Tensor,
    wanted: Iterable[tuple[TextbookLaw, Form, tuple[int, ...]]],
    deadline: Deadline,
    seed: int,
) -> list[_Try]:
    """Laws with columns in their roles, fitted roughly, until the deadline."""
    x, y = data.features(rows).double(), data.y[rows, 0].double()
    weights = torch.ones_like(y) if data.weights is None else data.weights[rows].double()
    roots = (weights / weights.mean()).sqrt()
    found = []
    for law, form, places in wanted:
        count = len(form.constants)
        if count + 3 > len(rows) or not _signs_fit(law, x[:, list(places)]):
            continue
        columns = tuple(x[:, place] for place in places)
        limits = tuple(law.constants[name].limits for name in form.constants)
        loss = _roughly(Problem(form, columns, y, roots, limits, {}, len(form.operations) - 1), seed)
        if math.isfinite(loss):
            found.append(_Try(law, form, places, _length(law, form, loss / len(rows), len(rows), _variance(y, roots))))
        if deadline.passed():
            break
    return found


def _tries(
    columns: int, related: Sequence[int], alone: Sequence[int]
) -> Iterator[tuple[TextbookLaw, Form, tuple[int, ...]]]:
    """Each law with each choice of columns; plain ones and those of more columns first."""
    for law in sorted(LAWS, key=lambda law: (not law.plain, -len(law.columns), len(law.constants))):
        count = len(law.columns)
        if count > columns:
            continue
        for places in permutations(alone if count == 1 else related, count):
            yield law, parse_form(law.form, list(law.columns)), places


def _signs_fit(law: TextbookLaw, x: Tensor) -> bool:
    """Whether columns that cannot be below zero are not."""
    return all(not one.sign or bool((x[:, n] >= 0).all()) for n, one in enumerate(law.columns.values()))


def _explained(x: Tensor, y: Tensor) -> float:
    """Share of the variance of the target's ranks that a polynomial of the column's ranks explains, for its size."""
    if bool((x == x[0]).all()):
        return 0.0
    ranks = torch.unique(x, return_inverse=True)[1].double()
    z = torch.unique(y, return_inverse=True)[1].double()
    ranks = 2 * ranks / ranks.max() - 1
    power = min(RULES.powers, len(torch.unique(x)) - 1, max(1, len(x) // 4))
    basis, _ = torch.linalg.qr(torch.stack([ranks**n for n in range(power + 1)], -1))
    rest = z - basis @ (basis.T @ z)
    share = float(rest.square().sum() / (z - z.mean()).square().sum().clamp(min=1e-300))
    return max(1 - share * (len(x) - 1) / max(len(x) - power - 1, 1), 1e-9)


def _variance(y: Tensor, roots: Tensor) -> float:
    mean = (roots.square() * y).sum() / roots.square().sum()
    return float((roots * (y - mean)).square().mean())


def _roughly(problem: Problem, seed: int) -> float:
    """The squared error after a few steps from the best of some start values."""
    descent = Descent(problem, linear_constants(problem.form, range(len(problem.form.constants))))
    every = scales(problem.form, problem.root, problem.columns, problem.y)
    count = min(RULES.candidates * max(len(descent.searched), 1), RULES.most)
    starts = candidates(
        [every[place] for place in descent.searched],
        [problem.bounds[place] for place in descent.searched],
        {},
        count,
        seed,
    )
    state = descent.best(descent.begin(starts), RULES.starts)
    if not len(state.loss):
        return math.inf
    return float(descent.down(state, RULES.steps).loss.min())


def _length(law: TextbookLaw, form: Form, squares: float, rows: int, variance: float) -> float:
    """Twice the description length in nats, of a form with a mean squared error.

    Constants cost what the Bayesian information criterion says, or Akaike's with its correction for few rows if that
    is more: of several constants fitted to few rows, some law of many fits well by chance.
    """
    count = len(form.constants)
    corrected = 2 * count + 2 * (count + 1) * (count + 2) / (rows - count - 2)
    error = math.sqrt(squares / variance) if variance > 0 else 0.0
    deviance = selection.gaussian(error, rows, floor=selection.FLOORS.exact)
    # A plain law is named among those, and any other among all.
    name = 2 * math.log(sum(one.plain for one in LAWS) if law.plain else len(LAWS))
    return deviance + max(math.log(rows) * count, corrected) + RULES.node * len(form.operations) + name


def _refined(data: Dataset, one: _Try, seed: int) -> Recognised | None:
    """The law fitted with care; None if its constants are not determined, or it predicts left-out rows badly."""
    law, names = one.law, data.feature_names
    moved = tuple(
        operation._replace(value=one.places[operation.value]) if operation.kind == "column" else operation
        for operation in one.form.operations
    )
    form = replace(one.form, columns=names, operations=moved)
    try:
        fit = fit_formula(data, form, bounds={n: c.limits for n, c in law.constants.items()}, seed=seed)
    except SuperposeError:
        return None
    for name, constant in fit.constants.items():
        signed = any(limit == 0 for limit in law.constants[name].limits)
        error = constant.standard_error
        if not math.isfinite(error) or (signed and error > RULES.determined * abs(constant.value)):
            return None
    count = fit.rows
    spread = fit.rmse / math.sqrt(max(1 - fit.r2, 1e-300)) * count / (count - 1)
    floor = selection.FLOORS.exact * spread
    gained = 2 * count * math.log(spread / max(fit.leave_one_out, floor)) if spread > 0 else 0.0
    if not gained > RULES.evidence + 2 * math.log(len(LAWS)):
        return None
    length = _length(law, form, fit.rmse**2, count, (spread * (count - 1) / count) ** 2)
    if len(one.places) == 1 and not _tame(data, fit, one.places[0]):
        return None
    columns = {role: names[place] for role, place in zip(law.columns, one.places, strict=True)}
    return Recognised(law, fit, columns, length)


def _tame(data: Dataset, fit: FormulaFit, place: int) -> bool:
    """Whether a law of one column has no pole between the rows."""
    rows = torch.cat([data.train, data.validation])
    x, y = data.features(rows), data.y[rows, 0]
    between = x[:1].repeat(RULES.rows, 1)
    between[:, place] = torch.linspace(float(x[:, place].min()), float(x[:, place].max()), RULES.rows)
    values = fit.formula.torch(between)[:, 0]
    # At a place between the rows a law may have no value: a logarithm at zero.
    finite = values[values.isfinite()]
    spread = float(y.max() - y.min())
    return bool(((finite - y.mean()).abs() <= RULES.beyond * spread).all())
