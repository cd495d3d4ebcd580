"""Simplification: from a law with fitted decimal numbers to the shortest formula with the same values.

Constants are brought to simple values first; what is exact then can be simplified by algebra, with the signs that the
columns and parts of the law have on the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from superpose.deadline import OutOfTime, until
from superpose.errors import OptionError
from superpose.formulas.expressions import constants, rewrite
from superpose.formulas.from_table import algebra

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Rules:
    """What simplification may cost, and how plain forms are compared.

    Attributes:
        nodes: expressions of more are left as they are: the time of algebra grows fast with their size. A round
            number.
        factored: expressions of more are not factored, for the same reason.
        allowed, allowed_more: variances by which the sum of squares may grow for one constant that is given up, and for
            each further one. Together about the 99.73% quantile of the chi-squared distribution, which is 9.0 for one
            constant, 18.2 for five and 26.9 for ten.
        decimal: nodes that a decimal number counts beside its own, since it is written with many digits. Chosen on the
            AI Feynman equations.
        dropped: with more terms than this none is left out on trial: each takes a fit. A round number.
        calls: of functions that one rule of algebra may make, about 2 s. A number of calls and not seconds, so that
            slow machines write the same formulas.
    """

    nodes: int = 160
    factored: int = 60
    allowed: float = 9.0
    allowed_more: float = 2.0
    decimal: int = 3
    dropped: int = 12
    calls: int = 2_000_000


_RULES = _Rules()


def simplified(law: sympy.Expr, problem: constants.ConstantFit) -> constants.Fitted:
    """The simplest form of an expression after fitting and snapping its constants, with its error and theirs.

    Args:
        law: of the problem's symbols, constants as floats.
        problem: the rows to fit to.
    """
    squared = _squares(_into_logarithms(law))
    forms = [law, squared, _by_ratios(law), *(rewrite.canonical(law, multiply_out=flat) for flat in (False, True))]
    forms = [rewrite.without_signs(form, problem.sign) for form in dict.fromkeys(forms) if _is_usable(form, problem)]
    forms = [form for form in forms if _is_usable(form, problem)] or [law]
    fitted = problem.fit(min(forms, key=rewrite.complexity))
    free, least = floats(fitted.expression), problem.tolerance(law) * fitted.error

    def usable(form: constants.Fitted) -> bool:
        # As chance has it, squares grow with the number of constants that are no longer free.
        fewer = max(0, free - floats(form.expression) - 1)
        # 1e-20: the square of ``FLOORS.constants``.
        return form.error <= max(least * (1 + (_RULES.allowed + _RULES.allowed_more * fewer) / len(problem.y)), 1e-20)

    found = filter(usable, [problem.snapped(form) for form in dict.fromkeys(forms)])
    best = min(found, key=lambda form: _plainness(form.expression), default=fitted)
    while (fewer := _fewer_terms(best.expression, problem, usable)) is not None:
        best = fewer
    for _ in range(3):  # each round takes several fits; a round number
        if problem.deadline.passed():
            break
        shorter = _shorter(best.expression, problem, usable)
        if shorter is None:
            break
        best = shorter
    return best


def _into_logarithms(expression: sympy.Expr) -> sympy.Expr:
    """``k log(u) + c = k log(exp(c / k) u)``: with the right factor, what stands inside may be plain."""
    import sympy

    def rule(total: sympy.Expr) -> sympy.Expr:
        constant, rest = total.as_coeff_Add()
        factor, logarithm = rest.as_coeff_Mul()
        # exp(50) = 5e21: no plain factor is larger. A round number.
        if not (isinstance(logarithm, sympy.log) and constant and abs(constant / factor) < 50):
            return total
        size = sympy.exp(constant / factor).evalf()
        inside = sympy.Add(*(size * term for term in sympy.Add.make_args(logarithm.args[0])))
        return factor * sympy.log(inside)

    return expression.replace(lambda part: part.is_Add, rule)


def _by_ratios(expression: sympy.Expr) -> sympy.Expr:
    """``(a u + b v)^n = a^n (u + (b / a) v)^n``, also for factors: the ratio may be plain where neither number is."""
    import sympy

    def unit(total: sympy.Expr) -> sympy.Expr:
        """The largest of the floats in a sum."""
        floats = [factor for factor in algebra.coefficients(total).values() if factor.is_Float]
        return max(floats, key=abs, default=sympy.Integer(1))

    def by(total: sympy.Expr, size: sympy.Expr) -> sympy.Expr:
        coefficients = algebra.coefficients(total).items()
        return sympy.Add(*(core if factor == size else factor / size * core for core, factor in coefficients))

    def power(node: sympy.Expr) -> sympy.Expr:
        size = unit(node.base) if node.exp.is_Integer else abs(unit(node.base))
        return size**node.exp * by(node.base, size) ** node.exp

    def product(node: sympy.Expr) -> sympy.Expr:
        sizes = [unit(factor) if factor.is_Add else sympy.Integer(1) for factor in node.args]
        parts = (by(f, size) if f.is_Add else f for f, size in zip(node.args, sizes, strict=True))
        return sympy.Mul(*sizes, *parts)

    made = expression.replace(lambda part: part.is_Pow and part.base.is_Add, power)
    return made.replace(lambda part: part.is_Mul, product)


def _squares(expression: sympy.Expr) -> sympy.Expr:
    """``a (s + p)^2 + b s + c = a (s + q)^2 + r``: two constants instead of three."""
    import sympy

    def rule(total: sympy.Expr) -> sympy.Expr:
        for term in total.args:
            a, square = term.as_coeff_Mul()
            if square.is_Pow and square.exp == sympy.S.Half:
                # In the root itself the sum is a square too.
                under, u = square.base.as_coeff_Add()
                c, linear = (total - term).as_coeff_Add()
                size = _ratio(linear, u)
                if size is not None:
                    q = a / (2 * size)
                    return size * (square + q) ** 2 + (c - size * under - size * q**2)
            if not (square.is_Pow and square.exp == 2):
                continue
            p, s = square.base.as_coeff_Add()
            c, linear = (total - term).as_coeff_Add()
            b = _ratio(linear, s)
            if b is not None:
                q = p + b / (2 * a)
                unit = next(iter(algebra.coefficients(s).values()))
                base = sympy.Add(*(part / unit for part in (*s.args, q))) if s.is_Add else s / unit + q / unit
                return a * unit**2 * base**2 + (c + a * p**2 - a * q**2)
        return total

    return expression.replace(lambda part: part.is_Add, rule)


def _ratio(linear: sympy.Expr, s: sympy.Expr) -> sympy.Expr | None:
    """The number ``b`` with ``linear = b s``, its terms equal to a few digits; None if there is none."""
    import sympy

    if not s.free_symbols:
        return None
    over, under = (algebra.coefficients(part) for part in (linear, s))
    if set(over) != set(under):
        return None
    ratios = [over[core] / under[core] for core in over]
    # Four digits: fitted numbers differ by noise; a round number.
    same = all(abs(ratio - ratios[0]) < 1e-4 * abs(ratios[0]) for ratio in ratios)
    return sympy.Add(*ratios) / len(ratios) if same else None


def _plainness(expression: sympy.Expr) -> int:
    """Nodes, and more for constants that have to be told by decimals; less is plainer."""
    return rewrite.complexity(expression) + _RULES.decimal * floats(expression)


def floats(expression: sympy.Expr) -> int:
    """How many constants are free."""
    return sum(1 for part in _preorder(expression) if part.is_Float)


def _preorder(expression: sympy.Expr) -> Iterator[sympy.Expr]:
    import sympy

    parts: Iterator[sympy.Expr] = sympy.preorder_traversal(expression)
    return parts


def _fewer_terms(
    expression: sympy.Expr, problem: constants.ConstantFit, usable: Callable[[constants.Fitted], bool]
) -> constants.Fitted | None:
    """A form without one of the terms that stand in sums, its floats fitted and snapped again; None if all are needed.

    A term too many bends with the others, so its number does not show that it is idle.
    """
    import sympy

    sums = [part for part in dict.fromkeys(_preorder(expression)) if part.is_Add and part.atoms(sympy.Float)]
    shorter = [expression.xreplace({total: total - term}) for total in sums for term in total.args]
    for form in shorter if len(shorter) <= _RULES.dropped else ():
        if problem.deadline.passed():
            break
        if _is_usable(form, problem) and usable(problem.fit(form)):
            snapped = problem.snapped(form)
            if usable(snapped) and _plainness(snapped.expression) < _plainness(expression):
                return snapped
    return None


def _shorter(
    expression: sympy.Expr, problem: constants.ConstantFit, usable: Callable[[constants.Fitted], bool]
) -> constants.Fitted | None:
    """A form with fewer nodes and the same values, its floats fitted and snapped again; None if there is none."""
    size = _plainness(expression)
    if rewrite.complexity(expression) > _RULES.nodes:
        return None
    found = [form for form in _forms(expression, problem) if _plainness(form) < size]
    for form in sorted(found, key=_plainness)[:3]:  # the plainest three; a round number
        snapped = problem.snapped(form)
        if usable(snapped) and _plainness(snapped.expression) < size:
            return snapped
    return None


def _forms(expression: sympy.Expr, problem: constants.ConstantFit) -> list[sympy.Expr]:
    """The expression after each of several rules of algebra."""
    import sympy

    positive = {
        symbol: sympy.Dummy(symbol.name, positive=True)
        for symbol, column in zip(problem.symbols, problem.columns, strict=True)
        if bool((column > 0).all())
    }
    back = {dummy: symbol for symbol, dummy in positive.items()}
    start = expression.xreplace(positive)

    def factored(node: sympy.Expr) -> sympy.Expr:
        return sympy.factor_terms(sympy.factor(sympy.together(node)))

    rules: list[Callable[[sympy.Expr], sympy.Expr]] = [
        lambda e: algebra.everywhere(e, factored),
        lambda e: algebra.everywhere(e, lambda node: sympy.cancel(sympy.together(node))),
        lambda e: algebra.everywhere(e, algebra.partial_fractions),
        sympy.expand,
        lambda e: algebra.everywhere(sympy.expand(e), factored),
        algebra.binomials,
        lambda e: algebra.everywhere(algebra.binomials(e), factored),
        algebra.joined_logarithms,
        sympy.powsimp,
        lambda e: sympy.powdenest(e, force=False),
        lambda e: algebra.halved(e),
        lambda e: algebra.everywhere(algebra.halved(e), factored),
        lambda e: algebra.everywhere(algebra.unrooted(algebra.everywhere(e, factored), back, problem), factored),
        # SymPy takes roots of positive factors apart again.
        lambda e: algebra.one_root(e.xreplace(back)),
        algebra.into_roots,
        lambda e: algebra.one_root(algebra.plain_roots(e.xreplace(back))),
    ]
    forms = []
    for rule in rules:
        if problem.deadline.passed():
            break
        if rewrite.complexity(start) > _RULES.factored and rule is not sympy.powsimp:
            continue
        try:
            with until(problem.deadline, _RULES.calls):
                made = rule(start).xreplace(back)
        except (OutOfTime, sympy.PolynomialError, ValueError, TypeError, NotImplementedError, ZeroDivisionError):
            # Not every rule fits every expression, and some take for ever: those are passed over.
            continue
        forms.append(rewrite.without_signs(made, problem.sign))
    return [form for form in dict.fromkeys(forms) if _is_usable(form, problem)]


def _is_usable(form: sympy.Expr, problem: constants.ConstantFit) -> bool:
    """Whether a form has values: algebra may write functions that torch does not have, or numbers that are not real."""
    try:
        return math.isfinite(problem.error(form))
    except OptionError:
        return False
