"""Laws of one to three columns with constants inside their terms, which neither structure nor compositions show.

Each family is a list of forms with unknown constants: a product of curves beside a constant, a sum of curves, two
functions of different linear forms, a quotient beside a polynomial. All constants of a form are fitted together, the
linear ones by variable projection (:mod:`superpose.formulas.forms.search`): first roughly on some rows, then those of
the best forms to the end.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.formulas.forms import search
from superpose.formulas.forms.parsing import parse_form
from superpose.formulas.forms.tape import Form
from superpose.formulas.from_table.subproblem import Guess, Subproblem, best_guesses
from superpose.formulas.subsets import best_subsets

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Families:
    """How many rows and forms are tried. Round numbers, chosen on two dozen made laws of 60 to 600 rows.

    Attributes:
        columns: of a table, at most.
        rough: first rows for the first, rough fits.
        rows: first rows for the others.
        compared: forms that are fitted roughly: those that come nearest at some candidates of their constants.
        fitted: forms whose constants are fitted to the end.
        near: of these, forms that err less than this times the best.
        degree: of the polynomial beside a quotient.
        terms: of a polynomial with a quotient, at most.
        exponent: larger ones are hardly told from exponentials, which are then the likelier ones.
        spare: rows for each constant of a form at least.
        exact: no other form is tried after one with a smaller error: constants are known to half of their digits.
    """

    columns: int = 3
    rough: int = 80
    rows: int = 400
    compared: int = 12
    fitted: int = 6
    near: float = 30.0
    degree: int = 3
    terms: int = 6
    exponent: float = 6.0
    spare: int = 2
    exact: float = 1e-8


_FAMILIES = _Families()
# Of the 91 forms of two columns the true one came first for each of eleven made laws; after two steps from one start,
# for eight of them.
_GLANCE = search.Effort(candidates=64, most_candidates=64, starts=3, first=4, few=1, last=0, rows=80)
_ROUGH = search.Effort(candidates=48, most_candidates=96, starts=4, first=6, few=2, last=6, rows=80)
_FULL = search.Effort(candidates=128, most_candidates=512, starts=12, first=12, few=4, last=40, rows=400)
# One or two constants are searched for.
_QUOTIENT = search.Effort(candidates=48, most_candidates=96, starts=4, first=8, few=2, last=25, rows=200)
_NAMES = "u", "v", "w"
# Curves of one column with one constant or two inside; the names of their constants are numbered by the column.
_CURVES = (
    "exp(k{n}*{x})",
    "1/({x} + k{n})",
    "{x}/({x} + k{n})",
    "{x}^p{n}",
    "log({x} + k{n})",
    "sin(k{n}*{x} + m{n})",
)
_FEWER_CURVES = _CURVES[:4]
# Functions of a linear form ``{}``, without those that another one equals but for its constants.
_RIDGES = "exp({})", "log(1 + {})", "sin({} + o{n})", "sqrt(1 + {})", "1/(1 + {})"
_SINGLE = (
    "c + a*sign(u)*abs(u)^p",
    "c + a*sign(u + m)*abs(u + m)^p",
    "c + a*abs(u + m)^p",
    "c + d*u + a*abs(u + m)^p",
    "c + a*exp(k*u) + b/(u + m)",
    "c + a*exp(k*u) + b*log(u + m)",
    "c + a*u^p*exp(m*u)",
    "c + a*u^p/(u^p + m)",
)


def families(count: int) -> list[str]:
    """Forms in columns ``u``, ``v``, ``w``, so many of them; those without a quotient beside a polynomial."""
    if count == 1:
        return list(_SINGLE)
    names = _NAMES[:count]
    curves = [
        [text.format(x=name, n=n) for text in (_CURVES if count == 2 else _FEWER_CURVES)]
        for n, name in enumerate(names)
    ]
    found = ["c + a*" + "*".join(f"({one})" for one in choice) for choice in itertools.product(*curves)]
    if count == 2:
        found += [f"c + a*({first}) + b*({second})" for first, second in itertools.product(*curves)]
        found += [f"c + a*({one})*u + b*({one})*v + d*u + e*v" for column in curves for one in column[:2]]
        for first, second in itertools.combinations_with_replacement(_RIDGES, 2):
            parts = first.format("(k*u + l*v)", n=0), second.format("(m*u + n*v)", n=1)
            found.append(f"c + a*{parts[0]} + b*{parts[1]}")
    return found


def inner_constants(problem: Subproblem, deadline: Deadline) -> list[Guess]:
    """Guesses for a table of up to three columns, the best first."""
    count = problem.x.shape[1]
    if not 0 < count <= _FAMILIES.columns:
        return []
    found: list[Guess] = []
    parts: list[Callable[[], Iterator[Guess]]] = [
        lambda: fitted(problem, roughly_fitted(problem, families(count), deadline), deadline)
    ]
    if count == 2:
        parts.insert(0, lambda: _quotients(problem, deadline))
    for part in parts:
        for guess in part():
            found.append(guess)
            if guess.error < _FAMILIES.exact or deadline.passed():
                return best_guesses(found)
    return best_guesses(found)


@functools.cache
def _form(text: str, count: int) -> Form:
    return parse_form(text, _NAMES[:count])


def _problem(problem: Subproblem, form: Form, rows: int, own: Tensor | None = None) -> search.Problem:
    largest = [_FAMILIES.exponent if name.startswith("p") else math.inf for name in form.constants]
    free = tuple((-one, one) for one in largest)
    columns = tuple(problem.x[:rows].T.contiguous())
    last = len(form.operations) - 1
    bend = None if own is None else own.new_full((own.shape[1],), 0.0)
    return search.Problem(form, columns, problem.y[:rows], problem.weight[:rows], free, {}, last, own, bend)


def roughly_fitted(problem: Subproblem, texts: Sequence[str], deadline: Deadline) -> list[Form]:
    """The forms that come nearest after a few steps from a few starts, the best first."""
    rows = min(_FAMILIES.rough, len(problem.y))
    forms = [_form(text, problem.x.shape[1]) for text in texts]
    forms = [form for form in forms if rows >= _FAMILIES.spare * len(form.constants)]
    for effort, kept in ((_GLANCE, _FAMILIES.compared), (_ROUGH, _FAMILIES.fitted)):
        losses: list[tuple[float, int]] = []
        for place, form in enumerate(forms):
            if deadline.passed():
                break
            loss = search.rough_loss(_problem(problem, form, rows), effort)
            if math.isfinite(loss):
                losses.append((loss, place))
        forms = [forms[place] for _, place in sorted(losses)[:kept]]
    return forms


def fitted(problem: Subproblem, forms: Sequence[Form], deadline: Deadline) -> Iterator[Guess]:
    """Guesses of the forms with all of their constants, but for those that err far more than the best before them."""
    best = math.inf
    for form in forms:
        if deadline.passed():
            return
        rows = min(_FAMILIES.rows, len(problem.y))
        found = search.search(_problem(problem, form, rows), effort=_FULL)
        if found is None:
            continue
        error = math.sqrt(found.loss / rows) / problem.spread
        best = min(best, error)
        if error > _FAMILIES.near * best:
            continue
        # About the nodes of the form: its operations.
        size = float(len(form.operations))
        make = functools.partial(_written, problem, form, tuple(found.constants.tolist()))
        yield Guess(make, error, f"constants inside of {form.text}", size)


def _written(problem: Subproblem, form: Form, constants: Sequence[float]) -> sympy.Expr:
    import sympy

    made = form.expression(constants)
    back = {sympy.Symbol(name, real=True): symbol for name, symbol in zip(_NAMES, problem.symbols, strict=False)}
    return problem.lift(made.xreplace(back))


def _quotients(problem: Subproblem, deadline: Deadline) -> Iterator[Guess]:
    """A polynomial of two columns beside one over a linear form of them.

    A polynomial over a linear form is another polynomial and a power of one column over it: ``u^n/(v + k*u)`` for one
    ``n`` shows ``k``. The terms are then chosen among monomials, and these over the linear form.
    """
    rows = min(_FAMILIES.rows, len(problem.y))
    x, y, weight = problem.x[:rows], problem.y[:rows], problem.weight[:rows]
    exponents = [(i, j) for i in range(_FAMILIES.degree + 1) for j in range(_FAMILIES.degree + 1 - i)]
    monomials = torch.stack([x[:, 0] ** i * x[:, 1] ** j for i, j in exponents], -1)
    if rows < 2 * _FAMILIES.spare * len(exponents):
        return
    for text in (*(f"a*u^{n}/(v + k*u)" for n in (1, 2, 3)), "a/(v + k*u + m)", "a*u/(v + k*u + m)"):
        if deadline.passed():
            return
        form = _form(text, 2)
        scaled = monomials / monomials.norm(dim=0)
        found = search.search(_problem(problem, form, rows, scaled), effort=_QUOTIENT)
        if found is None:
            continue
        k, m = (
            float(found.constants[form.constants.index(name)]) if name in form.constants else 0.0 for name in ("k", "m")
        )
        yield from _of_quotient(problem, (k, m), exponents, monomials, y, weight)


def _of_quotient(
    problem: Subproblem,
    inner: tuple[float, float],
    exponents: Sequence[tuple[int, int]],
    monomials: Tensor,
    y: Tensor,
    weight: Tensor,
) -> Iterator[Guess]:
    x = problem.x[: len(y)]
    below = x[:, 1] + inner[0] * x[:, 0] + inner[1]
    values = torch.cat([monomials, monomials / below[:, None]], -1) * weight[:, None]
    if not bool(torch.isfinite(values).all()):
        return
    for subset in best_subsets(values, y * weight, problem.spread, most=_FAMILIES.terms, beam=20, keep=1):
        make: Callable[[], sympy.Expr] = functools.partial(
            _quotient_written, problem, inner, exponents, subset.columns, subset.coefficients.tolist()
        )
        # Five: about the nodes of a coefficient times a monomial; six more for the linear form.
        yield Guess(make, subset.error, "a quotient beside a polynomial", 5.0 * len(subset.columns) + 6.0)


def _quotient_written(
    problem: Subproblem,
    inner: tuple[float, float],
    exponents: Sequence[tuple[int, int]],
    columns: Sequence[int],
    coefficients: Sequence[float],
) -> sympy.Expr:
    import sympy

    u, v = problem.symbols[:2]
    plain: list[sympy.Expr] = []
    above: list[sympy.Expr] = []
    for column, coefficient in zip(columns, coefficients, strict=True):
        i, j = exponents[column % len(exponents)]
        (plain if column < len(exponents) else above).append(sympy.Float(coefficient) * u**i * v**j)
    below = v + sympy.Float(inner[0]) * u + sympy.Float(inner[1])
    return problem.lift(sympy.Add(*plain) + sympy.Add(*above) / below)
