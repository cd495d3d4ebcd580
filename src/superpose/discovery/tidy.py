"""From a law with fitted floats to the formula that a person would write.

Constants are brought to simple values first; what is exact then can be simplified by algebra, with the signs that the
columns and parts of the law have on the table.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from superpose._errors import OptionError
from superpose.interpret import constants, rewrite

if TYPE_CHECKING:
    import sympy

# Expressions of more nodes are left as they are: algebra takes a time that grows fast.
_MOST_NODES = 160
_MOST_FACTORED = 60


def tidied(law: sympy.Expr, problem: constants.Problem) -> constants.Fitted:
    """The simplest form of an expression after fitting and snapping its constants, with its error and theirs.

    Args:
        law: of the problem's symbols, constants as floats.
        problem: the rows to fit to.
    """
    forms = [law, *(rewrite.canonical(law, multiply_out=flat) for flat in (False, True))]
    forms = [rewrite.without_signs(form, problem.sign) for form in dict.fromkeys(forms)]
    fitted = problem.fit(min(forms, key=rewrite.complexity))
    allowed = max(problem.leeway(law) * fitted.error * (1 + 9 / len(problem.y)), 1e-20)
    best = _best([problem.snapped(form) for form in dict.fromkeys(forms)], allowed) or fitted
    for _ in range(3):
        if time.monotonic() > problem.deadline:
            break
        shorter = _shorter(best.expression, problem, allowed)
        if shorter is None:
            break
        best = shorter
    return best


def _best(found: list[constants.Fitted], allowed: float) -> constants.Fitted | None:
    usable = [item for item in found if item.error <= allowed]
    return min(usable, key=lambda item: rewrite.complexity(item.expression), default=None)


def _shorter(expression: sympy.Expr, problem: constants.Problem, allowed: float) -> constants.Fitted | None:
    """A form with fewer nodes and the same values, its floats fitted and snapped again; None if there is none."""
    nodes = rewrite.complexity(expression)
    if nodes > _MOST_NODES:
        return None
    found = [form for form in _forms(expression, problem) if rewrite.complexity(form) < nodes]
    for form in sorted(found, key=rewrite.complexity)[:3]:
        snapped = problem.snapped(form)
        if snapped.error <= allowed and rewrite.complexity(snapped.expression) < nodes:
            return snapped
    return None


def _forms(expression: sympy.Expr, problem: constants.Problem) -> list[sympy.Expr]:
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
        lambda e: sympy.expand(e),
        lambda e: _everywhere(sympy.expand(e), factored),
        sympy.powsimp,
        lambda e: sympy.powdenest(e, force=False),
        lambda e: _halved(e),
        lambda e: _everywhere(_halved(e), factored),
        lambda e: _everywhere(_unrooted(_everywhere(e, factored), back, problem), factored),
    ]
    forms = []
    for rule in rules:
        if time.monotonic() > problem.deadline:
            break
        if rewrite.complexity(start) > _MOST_FACTORED and rule is not rules[4]:
            continue
        try:
            made = rule(start).xreplace(back)
        except (sympy.PolynomialError, ValueError, TypeError, NotImplementedError, ZeroDivisionError):
            # Not every rule fits every expression: those that do not are passed over.
            continue
        forms.append(rewrite.without_signs(made, problem.sign))
    return [form for form in dict.fromkeys(forms) if _is_usable(form, problem)]


def _is_usable(form: sympy.Expr, problem: constants.Problem) -> bool:
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


def _unrooted(expression: sympy.Expr, back: dict[sympy.Dummy, sympy.Symbol], problem: constants.Problem) -> sympy.Expr:
    """``sqrt(a b^2) = b sqrt(a)``, with the sign that ``b`` has on most rows: the error on all of them judges."""
    import sympy

    def rule(node: sympy.Expr) -> sympy.Expr:
        outside, inside = sympy.Integer(1), []
        for part in sympy.Mul.make_args(node.base):
            if part.is_Pow and part.exp.is_Integer and part.exp % 2 == 0 and not part.base.is_positive:
                majority = problem.majority(part.base.xreplace(back))
                outside *= (majority * part.base) ** (part.exp * node.exp)
            else:
                inside.append(part)
        return outside * sympy.Mul(*inside) ** node.exp

    return expression.replace(lambda e: e.is_Pow and e.exp in (sympy.S.Half, -sympy.S.Half), rule)


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
