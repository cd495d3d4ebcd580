"""Which laws of the catalogue a table follows: all are fitted coarsely, and the most probable ones with care."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
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
    """Constants of the trial. Chosen on the laws of the catalogue with seeds 1, 3 and 7; all round numbers.

    What is tried is a number of starts and steps, so that the answer does not depend on the machine's speed.

    Attributes:
        rows: that the coarse fits have at most.
        candidates, starts, steps: of laws of which one, two, or more constants are searched for: start values that are
            compared, how many of them take steps, and how many steps. With half of each, peaks on a background are
            missed; with twice as much nothing more is found.
        finalists: laws that are fitted with care, at least and at most. Between these as long as the coarse fit is
            within ``reach`` nats of the best law.
        reach: these nats.
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
        alone: leverage from which on a constant rests on a row alone: such a row does not test the law.
        determined: standard errors of constants that have a sign, as shares of their values, are below this.
        beyond: ranges of the target from its mean that values between the rows may reach.
        same: curves that are apart by less than this share of what they leave are one.
        explained: share of the variance of left-out rows that a law with a name explains at least. Trends with less are
            described by many curves.
        permutations, structure: of residuals among the rows; if fewer than this share of them have neighbours as
            alike, what a law leaves has structure, unless
        negligible: it is less than this share of the target's spread.
        alternatives: laws within so many nats of the best one are not told from it: odds of 20 to 1, from which on
            evidence is strong (R. Kass, A. Raftery, J. Am. Stat. Assoc. 90, 773, 1995).
    """

    rows: int = 100
    candidates: tuple[int, ...] = (128, 256, 512)
    starts: tuple[int, ...] = (4, 8, 16)
    steps: tuple[int, ...] = (6, 8, 12)
    finalists: tuple[int, int] = (5, 10)
    reach: float = 10.0
    grouped: int = 4
    columns: int = 3
    related: float = 0.5
    powers: int = 5
    node: float = 1.0
    evidence: float = 10.0
    alone: float = 0.9
    determined: float = 1.0
    alternatives: float = 6.0
    beyond: float = 3.0
    same: float = 0.05
    explained: float = 0.85
    permutations: int = 400
    structure: float = 0.025
    negligible: float = 0.03


RULES = TrialRules()


@dataclass(frozen=True)
class Recognised:
    """A law that a table may follow.

    Attributes:
        law: of the catalogue.
        fit: with its constants; the formula is in the columns of the table.
        columns: of the table, by the names that they have in the law.
        length: twice its description length in nats; less is better. Comparable within one table.
        values: ``[n]`` of the training and validation rows.
        supported: whether the rows support the name: the law explains most of the variance of left-out rows, and what
            it leaves shows no structure between neighbours.
    """

    law: TextbookLaw
    fit: FormulaFit
    columns: dict[str, str]
    length: float
    values: Tensor = field(repr=False, compare=False)
    supported: bool = True


@dataclass(frozen=True)
class _Try:
    """A law with some columns in its roles, and its length after the coarse fit."""

    law: TextbookLaw
    form: Form
    places: tuple[int, ...]
    length: float


def recognise(
    data: Dataset,
    *,
    relative: bool = False,
    laws: Sequence[TextbookLaw] = LAWS,
    deadline: Deadline | None = None,
    seed: int = 0,
) -> list[Recognised]:
    """The laws of the catalogue that a table may follow, the most probable first.

    Args:
        data: with one target. The training and validation rows count.
        relative: whether errors are relative to the target, as of a target that spans decades.
        laws: of the catalogue, that are tried.
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
    tried = _coarse(data, laws, rows, deadline, seed)
    tried = sorted(tried + _coarse_groups(data, rows, tried, deadline, seed), key=lambda one: one.length)
    found: list[Recognised] = []
    least, most = RULES.finalists
    for place, one in enumerate(tried[:most]):
        if place >= least and found and one.length > min(made.length for made in found) + RULES.reach:
            break
        made = _refined(data, one, seed)
        if made is not None:
            found.append(made)
        if deadline.passed():
            break
    return sorted(found, key=lambda one: one.length)


def _coarse(data: Dataset, laws: Sequence[TextbookLaw], rows: Tensor, deadline: Deadline, seed: int) -> list[_Try]:
    """All laws with all columns in their roles, fitted roughly."""
    x, y = data.features(rows).double(), data.y[rows, 0].double()
    shares = [_explained(x[:, place], y) for place in range(x.shape[1])]
    related = sorted((n for n in range(x.shape[1]) if shares[n] > 0), key=lambda n: -shares[n])[: RULES.columns]
    alone = [n for n in related if x.shape[1] == 1 or shares[n] >= RULES.related]
    return _fitted(data, rows, _tries(laws, len(data.feature_names), related, alone), deadline, seed)


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
    roots = _roots(data, rows)
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
    laws: Sequence[TextbookLaw], columns: int, related: Sequence[int], alone: Sequence[int]
) -> Iterator[tuple[TextbookLaw, Form, tuple[int, ...]]]:
    """Each law with each choice of columns; plain ones and those of more columns first."""
    for law in sorted(laws, key=lambda law: (not law.plain, -len(law.columns), len(law.constants))):
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
    size = min(max(len(descent.searched), 1), len(RULES.starts)) - 1
    starts = candidates(
        [every[place] for place in descent.searched],
        [problem.bounds[place] for place in descent.searched],
        {},
        RULES.candidates[size],
        seed,
    )
    state = descent.best(descent.begin(starts), RULES.starts[size])
    if not len(state.loss):
        return math.inf
    return float(descent.down(state, RULES.steps[size]).loss.min())


def _length(law: TextbookLaw, form: Form, squares: float, rows: int, variance: float) -> float:
    """Twice the description length in nats, of a form with a mean squared error.

    Constants cost what the Bayesian information criterion says, or Akaike's with its correction for few rows if that
    is more: of several constants fitted to few rows, some law of many fits well by chance.
    """
    count = len(form.constants)
    corrected = 2 * count + 2 * (count + 1) * (count + 2) / (rows - count - 2)
    error = math.sqrt(squares / variance) if variance > 0 else 0.0
    deviance = selection.gaussian(error, rows, floor=selection.FLOORS.exact)
    cost = max(math.log(rows) * count, corrected) + RULES.node * len(form.operations)
    return deviance + cost + naming_cost(law, advance=True)


def naming_cost(law: TextbookLaw, *, advance: bool = False) -> float:
    """Twice the nats that it takes to name a law: it is as probable as it has names, one for each field that uses it.

    Args:
        law: of the catalogue.
        advance: whether a plain law is named among those only, as what anyone tries first.
    """
    every = sum(1 + len(one.also) for one in LAWS if one.plain or not (advance and law.plain))
    return 2 * math.log(every / (1 + len(law.also)))


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
    rows = torch.cat([data.train, data.validation]).sort().values
    with torch.no_grad():
        values = fit.formula.torch(data.features(rows))[:, 0]
    share, tested = _left_out(data, fit, values, spread)
    if not -tested * math.log(share) > RULES.evidence + 2 * math.log(len(LAWS)):
        return None
    length = _length(law, form, fit.rmse**2, count, (spread * (count - 1) / count) ** 2)
    if len(one.places) == 1 and not _tame(data, fit, one.places[0]):
        return None
    columns = {role: names[place] for role, place in zip(law.columns, one.places, strict=True)}
    rest = (data.y[rows, 0] - values) * _roots(data, rows)
    alike = fit.rmse > RULES.negligible * spread and _structured(data.features(rows)[:, list(one.places)], rest, seed)
    return Recognised(law, fit, columns, length, values, 1 - share >= RULES.explained and not alike)


def _structured(x: Tensor, rest: Tensor, seed: int) -> bool:
    """Whether residuals ``[n]`` of neighbouring rows ``[n, k]`` are more alike than chance makes them.

    Mean squared differences of neighbours, as J. von Neumann's ratio (Ann. Math. Stat. 12, 367, 1941) has them, are
    compared with those of permuted residuals.
    """
    count = len(x)
    if x.shape[1] == 1:
        order = x[:, 0].argsort(stable=True)
        first, second = order[1:], order[:-1]
    else:
        ranks = torch.stack([torch.unique(column, return_inverse=True)[1].double() for column in x.T], -1)
        ranks = ranks / ranks.amax(0).clamp(min=1)
        first = torch.arange(count)
        second = (torch.cdist(ranks, ranks) + torch.eye(count) * 1e9).argmin(1)
    generator = torch.Generator().manual_seed(seed)
    shuffled = rest[torch.rand(RULES.permutations, count, generator=generator).argsort(1)]
    own = (rest[first] - rest[second]).square().mean()
    others = (shuffled[:, first] - shuffled[:, second]).square().mean(1)
    return bool((others <= own).double().mean() < RULES.structure)


def _roots(data: Dataset, rows: Tensor) -> Tensor:
    """Square roots of the weights ``[n]`` of some rows, the mean weight being one."""
    weights = torch.ones(len(rows), dtype=torch.float64) if data.weights is None else data.weights[rows].double()
    return (weights / weights.mean()).sqrt()


def not_told_from(law: Recognised, recognised: Sequence[Recognised]) -> list[Recognised]:
    """The other laws that the rows do not tell from one: about as probable or more so, or the same curve."""
    found = []
    for one in recognised:
        apart = float((one.values - law.values).square().mean().sqrt())
        if one is not law and (one.length <= law.length + RULES.alternatives or apart <= RULES.same * law.fit.rmse):
            found.append(one)
    return found


def _left_out(data: Dataset, fit: FormulaFit, values: Tensor, spread: float) -> tuple[float, int]:
    """The squared error on left-out rows as a share of the mean's, which errs by ``spread``, and how many were tested.

    A row that determines a constant alone is left aside: without it the constant is unknown, and with it the row fits.
    """
    rows = torch.cat([data.train, data.validation]).sort().values
    x, y, roots = data.features(rows).double(), data.y[rows, 0].double(), _roots(data, rows)
    constants = torch.tensor([list(fit.values.values())], dtype=torch.float64)
    _, slope = fit.form.derivatives(tuple(x.unbind(-1)), constants, list(range(constants.shape[1])))
    slope = torch.where(slope[0].isfinite(), slope[0], 0.0) * roots[:, None]
    size = slope.square().sum(0).sqrt()
    q, _ = torch.linalg.qr(slope / torch.where(size > 0, size, 1.0))
    leverage = q.square().sum(-1)
    tested = leverage < RULES.alone
    out = (roots * (y - values) / (1 - leverage))[tested]
    if not len(out) or not spread > 0:
        return 1.0, 0
    return max(float(out.square().mean()) / spread**2, selection.FLOORS.exact**2), len(out)


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
