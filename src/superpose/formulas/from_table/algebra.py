"""Rules of algebra that write a law in fewer symbols; what is shorter, and has the same values, is judged elsewhere."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from superpose.formulas.expressions import constants, rewrite

if TYPE_CHECKING:
    import sympy

# Numbers that differ by less are equal but for rounding. A round number.
_EQUAL = 1e-9


def coefficients(total: sympy.Expr) -> dict[sympy.Expr, sympy.Expr]:
    import sympy

    return {core: factor for factor, core in (term.as_coeff_Mul() for term in sympy.Add.make_args(total))}


def everywhere(expression: sympy.Expr, rule: Callable[[sympy.Expr], sympy.Expr]) -> sympy.Expr:
    """A rule for rational expressions applied to every sum, product and power, the innermost first."""
    import sympy

    if not expression.args:
        return expression
    made = expression.func(*(everywhere(part, rule) for part in expression.args))
    if isinstance(made, sympy.Add | sympy.Mul) or (isinstance(made, sympy.Pow) and made.exp.is_Integer):
        simple = rule(made)
        return simple if rewrite.complexity(simple) <= rewrite.complexity(made) else made
    return made


def binomials(expression: sympy.Expr) -> sympy.Expr:
    """``p^2 u^2 + 2 p q u v + q^2 v^2 = (p u + q v)^2`` wherever these stand in a sum, and the same with a minus."""
    import sympy

    def rule(total: sympy.Expr) -> sympy.Expr:
        terms = coefficients(total)
        roots = {core: root for core, factor in terms.items() if factor > 0 and (root := _root(core)) is not None}
        for one, other in itertools.combinations(roots, 2):
            number, core = (roots[one] * roots[other]).as_coeff_Mul()
            factor, sizes = terms.get(core), (terms[one], terms[other])
            if factor is None or core in (one, other):
                continue
            wanted = 2 * number * sympy.sqrt(sizes[0] * sizes[1])
            if not math.isclose(abs(float(factor)), abs(float(wanted)), rel_tol=_EQUAL):
                continue
            sign = 1 if float(factor) * float(wanted) > 0 else -1
            rest = sympy.Add(*(size * term for term, size in terms.items() if term not in (one, other, core)))
            size = sizes[0]
            made = size * (roots[one] + sign * sympy.sqrt(sizes[1] / size) * roots[other]) ** 2
            return rule(made + rest)
        return total

    return expression.replace(lambda part: part.is_Add, rule)


def _root(core: sympy.Expr) -> sympy.Expr | None:
    """The square root of a product of squares and of what is positive; None of others."""
    import sympy

    roots = []
    for part in sympy.Mul.make_args(core):
        base, power = part.as_base_exp()
        if not (base.is_positive or (power.is_Integer and power % 2 == 0)):
            return None
        roots.append(base ** (power / 2))
    return sympy.Mul(*roots)


def into_roots(expression: sympy.Expr) -> sympy.Expr:
    """``a sqrt(u) = sqrt(a^2 u)`` for sums ``u``, multiplied out and joined to squares, where ``a`` is positive."""
    import sympy

    def rule(node: sympy.Expr) -> sympy.Expr:
        roots = [part for part in node.args if part.is_Pow and abs(part.exp) == sympy.S.Half and part.base.is_Add]
        if len(roots) != 1:
            return node
        number, factors = node.as_coeff_Mul()
        outside = factors / roots[0]
        inside = sympy.expand(roots[0].base ** (2 * roots[0].exp) * outside**2)
        if roots[0].exp < 0:
            inside = sympy.expand(1 / inside)
            return number / sympy.sqrt(binomials(inside))
        return number * sympy.sqrt(binomials(inside))

    return expression.replace(lambda part: part.is_Mul, rule)


def plain_roots(expression: sympy.Expr) -> sympy.Expr:
    """``sqrt(1 / u) = 1 / sqrt(u)``: where one has a value, so has the other."""
    import sympy

    def rule(node: sympy.Expr) -> sympy.Expr:
        return node.base.base ** (node.base.exp * node.exp)

    def fits(node: sympy.Expr) -> bool:
        return bool(node.is_Pow and abs(node.exp) == sympy.S.Half and node.base.is_Pow and node.base.exp == -1)

    return expression.replace(fits, rule)


def partial_fractions(node: sympy.Expr) -> sympy.Expr:
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


def joined_logarithms(expression: sympy.Expr) -> sympy.Expr:
    """``c log(u) - c log(v) = c log(u / v)``, the quotient cancelled, wherever these stand in a sum."""
    import sympy

    def rule(total: sympy.Expr) -> sympy.Expr:
        inside: dict[sympy.Expr, list[sympy.Expr]] = {}
        rest = []
        for core, factor in coefficients(total).items():
            if isinstance(core, sympy.log):
                inside.setdefault(abs(factor), []).append(core.args[0] ** sympy.sign(factor))
            else:
                rest.append(factor * core)
        joined = (size * sympy.log(sympy.cancel(sympy.together(sympy.Mul(*parts)))) for size, parts in inside.items())
        return sympy.Add(*rest, *joined)

    return expression.replace(lambda part: part.is_Add, rule)


def unrooted(
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


def one_root(expression: sympy.Expr) -> sympy.Expr:
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


def halved(expression: sympy.Expr) -> sympy.Expr:
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
