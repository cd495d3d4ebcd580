"""Simplification: from a law with fitted decimal numbers to the shortest formula with the same values.

Constants are brought to simple values first; what is exact then can be simplified by algebra, with the signs that the
columns and parts of the law have on the table.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from superpose.deadline import OutOfTime, until
from superpose.errors import OptionError
from superpose.formulas.expressions import constants, rewrite

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
        floats = [factor for factor in _coefficients(total).values() if factor.is_Float]
        return max(floats, key=abs, default=sympy.Integer(1))

    def by(total: sympy.Expr, size: sympy.Expr) -> sympy.Expr:
        coefficients = _coefficients(total).items()
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
                unit = next(iter(_coefficients(s).values()))
                base = sympy.Add(*(part / unit for part in (*s.args, q))) if s.is_Add else s / unit + q / unit
                return a * unit**2 * base**2 + (c + a * p**2 - a * q**2)
        return total

    return expression.replace(lambda part: part.is_Add, rule)


def _binomials(expression: sympy.Expr) -> sympy.Expr:
    """``a u^2 + 2 a u v + a v^2 = a (u + v)^2`` wherever these three stand in a sum, and the same with a minus."""
    import sympy

    def rule(total: sympy.Expr) -> sympy.Expr:
        terms = _coefficients(total)
        for core, factor in terms.items():
            if not (core.is_Mul and len(core.args) == 2):
                continue
            u, v = core.args
            size = terms.get(u**2)
            if size is not None and terms.get(v**2) == size and factor in (2 * size, -2 * size):
                rest = {other: number for other, number in terms.items() if other not in (core, u**2, v**2)}
                made = size * (u + v if factor == 2 * size else u - v) ** 2
                return rule(sympy.Add(made, *(number * other for other, number in rest.items())))
        return total

    return expression.replace(lambda part: part.is_Add, rule)


def _ratio(linear: sympy.Expr, s: sympy.Expr) -> sympy.Expr | None:
    """The number ``b`` with ``linear = b s``, its terms equal to a few digits; None if there is none."""
    import sympy

    if not s.free_symbols:
        return None
    over, under = (_coefficients(part) for part in (linear, s))
    if set(over) != set(under):
        return None
    ratios = [over[core] / under[core] for core in over]
    # Four digits: fitted numbers differ by noise; a round number.
    same = all(abs(ratio - ratios[0]) < 1e-4 * abs(ratios[0]) for ratio in ratios)
    return sympy.Add(*ratios) / len(ratios) if same else None


def _coefficients(total: sympy.Expr) -> dict[sympy.Expr, sympy.Expr]:
    import sympy

    return {core: factor for factor, core in (term.as_coeff_Mul() for term in sympy.Add.make_args(total))}


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
        lambda e: _everywhere(e, factored),
        lambda e: _everywhere(e, lambda node: sympy.cancel(sympy.together(node))),
        lambda e: _everywhere(e, _partial_fractions),
        sympy.expand,
        lambda e: _everywhere(sympy.expand(e), factored),
        _binomials,
        _joined_logarithms,
        sympy.powsimp,
        lambda e: sympy.powdenest(e, force=False),
        lambda e: _halved(e),
        lambda e: _everywhere(_halved(e), factored),
        lambda e: _everywhere(_unrooted(_everywhere(e, factored), back, problem), factored),
        # SymPy takes roots of positive factors apart again.
        lambda e: _one_root(e.xreplace(back)),
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


def _joined_logarithms(expression: sympy.Expr) -> sympy.Expr:
    """``c log(u) - c log(v) = c log(u / v)``, the quotient cancelled, wherever these stand in a sum."""
    import sympy

    def rule(total: sympy.Expr) -> sympy.Expr:
        inside: dict[sympy.Expr, list[sympy.Expr]] = {}
        rest = []
        for core, factor in _coefficients(total).items():
            if isinstance(core, sympy.log):
                inside.setdefault(abs(factor), []).append(core.args[0] ** sympy.sign(factor))
            else:
                rest.append(factor * core)
        joined = (size * sympy.log(sympy.cancel(sympy.together(sympy.Mul(*parts)))) for size, parts in inside.items())
        return sympy.Add(*rest, *joined)

    return expression.replace(lambda part: part.is_Add, rule)


def _partial_fractions(node: sympy.Expr) -> sympy.Expr:
    """The simplest sum of fractions with plain denominators that a quotient is, in one of its variables; or itself."""
    import sympy

    fraction = sympy.factor(sympy.together(node))
    _, below = fraction.as_numer_denom()
    # Of one factor there is nothing to take apart.
    if len([factor for factor in sympy.Mul.make_args(below) if factor.free_symbols]) < 2:
        return node
    forms = [node]
    for symbol in sorted(below.free_symbols, key=str):
        # SymPy raises TypeError for some coefficients with decimals.
        with contextlib.suppress(sympy.PolynomialError, NotImplementedError, TypeError):
            forms += [form := sympy.apart(fraction, symbol), sympy.factor_terms(form)]
    return min(forms, key=rewrite.complexity)


def _is_usable(form: sympy.Expr, problem: constants.ConstantFit) -> bool:
    """Whether a form has values: algebra may write functions that torch does not have, or numbers that are not real."""
    try:
        return math.isfinite(problem.error(form))
    except OptionError:
        return False


def _everywhere(expression: sympy.Expr, rule: Callable[[sympy.Expr], sympy.Expr]) -> sympy.Expr:
    """A rule for rational expressions applied to every sum, product and power, the innermost first."""
    import sympy

    if not expression.args:
        return expression
    made = expression.func(*(_everywhere(part, rule) for part in expression.args))
    if isinstance(made, sympy.Add | sympy.Mul) or (isinstance(made, sympy.Pow) and made.exp.is_Integer):
        simple = rule(made)
        return simple if rewrite.complexity(simple) <= rewrite.complexity(made) else made
    return made


def _unrooted(
    expression: sympy.Expr, back: dict[sympy.Dummy, sympy.Symbol], problem: constants.ConstantFit
) -> sympy.Expr:
    """``sqrt(a b^2) = b sqrt(a)``, with the sign that ``b`` has on most rows: the error on all of them judges."""
    import sympy

    def rule(node: sympy.Expr) -> sympy.Expr:
        outside, inside = sympy.Integer(1), []
        for part in sympy.Mul.make_args(node.base):
            if part.is_Pow and part.exp.is_Integer and part.exp % 2 == 0 and not part.base.is_positive:
                majority = problem.majority_sign(part.base.xreplace(back))
                outside *= (majority * part.base) ** (part.exp * node.exp)
            else:
                inside.append(part)
        return outside * sympy.Mul(*inside) ** node.exp

    return expression.replace(lambda e: e.is_Pow and e.exp in (sympy.S.Half, -sympy.S.Half), rule)


def _one_root(expression: sympy.Expr) -> sympy.Expr:
    """``sqrt(a) / sqrt(b) = sqrt(a / b)``, and the same for products, where all of them are real."""
    import sympy

    def rule(node: sympy.Expr) -> sympy.Expr:
        roots = [part for part in node.args if part.is_Pow and part.exp in (sympy.S.Half, -sympy.S.Half)]
        if len(roots) < 2:
            return node
        rest = sympy.Mul(*(part for part in node.args if part not in roots))
        inside = sympy.Mul(*(part.base ** (2 * part.exp) for part in roots))
        over, under = (
            min((part, sympy.expand(part)), key=lambda form: (rewrite.complexity(form), form.is_Mul))
            for part in sympy.fraction(sympy.together(inside))
        )
        return rest * sympy.sqrt(over / under) if over != 1 else rest / sympy.sqrt(under)

    return expression.replace(lambda part: part.is_Mul, rule)


def _halved(expression: sympy.Expr) -> sympy.Expr:
    """``1 - cos(u) = 2 sin(u/2)^2`` and ``1 + cos(u) = 2 cos(u/2)^2``, and what can be read off sums of angles."""
    import sympy

    def halves(node: sympy.Expr) -> sympy.Expr:
        constant, rest = node.as_coeff_Add()
        factor, wave = rest.as_coeff_Mul()
        if isinstance(wave, sympy.cos) and constant != 0 and abs(factor) == abs(constant):
            half = wave.args[0] / 2
            function = sympy.sin if factor == -constant else sympy.cos
            return 2 * constant * function(half) ** 2
        return node

    return sympy.trigsimp(expression.replace(lambda e: e.is_Add, halves)) if expression.has(sympy.cos) else expression
