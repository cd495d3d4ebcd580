"""Canonical forms of expressions, in which every constant has a meaning of its own.

A symbolic network writes ``x*y`` as ``exp(1.3*log(0.2*x) + ...)`` or as a difference of two squares, with constants
of which several together have one meaning. These rules separate them: factors out of powers
and logarithms, offsets out of exponentials, phases into one period, polynomials multiplied out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sympy

# Products are not multiplied out into sums of more terms than this. A round number: longer sums are no formula to read.
_MAX_TERMS = 30


def canonical(expression: sympy.Expr, *, multiply_out: bool) -> sympy.Expr:
    """An equal expression (where the original is finite) in canonical form.

    Args:
        expression: with constants as SymPy floats.
        multiply_out: whether whole powers of sums become sums of products.
    """
    import sympy

    def rewrite(node: sympy.Expr) -> sympy.Expr:
        if not node.args:
            return node
        node = node.func(*(rewrite(part) for part in node.args))
        rule = _rules().get(node.func)
        if rule is not None:
            node = rule(node)
        # Higher powers have many terms, which ``_MAX_TERMS`` would refuse for most sums. 6 is a round number.
        if multiply_out and isinstance(node, sympy.Pow) and node.exp.is_Integer and 2 <= node.exp <= 6:
            node = _multiplied_out(node)
        if isinstance(node, sympy.Mul):
            node = _joined_powers(node)
            if multiply_out or len([part for part in node.args if part.is_Add]) <= 1:
                node = _multiplied_out(node) if any(part.is_Add for part in node.args) else node
        return node

    # A rule may bring an expression into the form of another. Four passes are a round number.
    for _ in range(4):
        rewritten = rewrite(expression)
        if rewritten == expression:
            break
        expression = rewritten
    return expression


def _multiplied_out(node: sympy.Expr) -> sympy.Expr:
    import sympy

    flat = sympy.expand(node, deep=False, power_exp=False, log=False, power_base=False, trig=False, complex=False)
    return flat if len(sympy.Add.make_args(flat)) <= _MAX_TERMS else node


def _rules() -> dict[Any, Callable[[Any], sympy.Expr]]:
    import sympy

    return {
        sympy.exp: _exponential,
        sympy.log: _logarithm,
        sympy.Pow: _power,
        sympy.sin: _sine,
        sympy.cos: lambda node: _sine(sympy.sin(node.args[0] + sympy.Float(math.pi / 2))),
        **dict.fromkeys((sympy.tanh, sympy.atan, sympy.asin, sympy.sinh, sympy.tan, sympy.atanh), _odd),
        **dict.fromkeys((sympy.cosh, sympy.Abs), _even),
    }


def _constant_and_rest(inner: sympy.Expr) -> tuple[float, sympy.Expr]:
    constant, rest = inner.as_coeff_Add()
    return float(constant), rest


def _leading(inner: sympy.Expr) -> float:
    """Coefficient of the first term that is not constant, in SymPy's stable order."""
    _, rest = inner.as_coeff_Add()
    if rest == 0:
        return 1.0
    terms = rest.as_ordered_terms()
    return max((float(term.as_coeff_Mul()[0]) for term in terms), key=abs, default=1.0) or 1.0


def _exponential(node: sympy.Expr) -> sympy.Expr:
    """exp(k + p log(v) + rest) = e^k v^p exp(rest)."""
    import sympy

    if not isinstance(node, sympy.exp):
        return node
    factor, kept = sympy.Integer(1), []
    for term in sympy.Add.make_args(node.args[0]):
        coefficient, rest = term.as_coeff_Mul()
        if term.is_Number:
            factor *= sympy.Float(_bounded_exp(float(term)))
        elif isinstance(rest, sympy.log):
            factor *= _power(sympy.Pow(rest.args[0], coefficient, evaluate=False))
        else:
            kept.append(term)
    return factor * sympy.exp(sympy.Add(*kept))


def _bounded_exp(value: float) -> float:
    return math.exp(max(-700.0, min(700.0, value)))  # exp(709.8) overflows


def _logarithm(node: sympy.Expr) -> sympy.Expr:
    """log(k v) = log(k) + log(v) for k > 0, with sums scaled to a leading coefficient of 1."""
    import sympy

    if not isinstance(node, sympy.log):
        return node
    inner = node.args[0]
    if isinstance(inner, sympy.exp):
        return inner.args[0]
    scale, scaled = _scaled(inner)
    return sympy.Float(math.log(scale)) + sympy.log(scaled) if scale != 1 else node


def _scaled(inner: sympy.Expr) -> tuple[float, sympy.Expr]:
    """``inner = scale * scaled`` with a positive scale and a largest coefficient of 1 or -1."""
    import sympy

    if inner.is_Mul:
        coefficient, rest = inner.as_coeff_Mul()
        size = abs(float(coefficient))
        return (size, sympy.sign(coefficient) * rest) if size not in (0.0, 1.0) else (1.0, inner)
    if inner.is_Add:
        size = abs(_leading(inner))
        if size not in (0.0, 1.0) and math.isfinite(size):
            return size, sympy.Add(*(_divided(term, size) for term in inner.args))
    return 1.0, inner


def _divided(term: sympy.Expr, size: float) -> sympy.Expr:
    """``term / size``, without a factor of 1.0, which would count as a fitted constant."""
    import sympy

    coefficient, rest = term.as_coeff_Mul()
    if rest != 1 and abs(abs(float(coefficient)) / size - 1) < 1e-12:  # equal up to rounding
        return sympy.sign(coefficient) * rest
    return term / size


def _power(node: sympy.Expr) -> sympy.Expr:
    """(k v)^p = k^p v^p for k > 0; nested powers of what must be positive are joined."""
    import sympy

    if not isinstance(node, sympy.Pow) or not node.exp.is_Number:
        return node
    base, power = node.base, node.exp
    if isinstance(base, sympy.exp):
        return _exponential(sympy.exp(sympy.expand_mul(base.args[0] * power)))
    if isinstance(base, sympy.Pow) and base.exp.is_Number and (base.exp.is_Float or not base.exp.is_Integer):
        return sympy.Pow(base.base, base.exp * power)
    if base.is_Mul and not (power.is_Integer and power > 0):
        # A fractional power was taken of a product that was positive on the data: so are its powers of positive things.
        free = [part for part in base.args if isinstance(part, sympy.Pow) and not part.exp.is_Integer]
        free += [part for part in base.args if isinstance(part, sympy.exp)]
        rest = sympy.Mul(*(part for part in base.args if part not in free))
        if free:
            return sympy.Mul(_power(sympy.Pow(rest, power)), *(_power(sympy.Pow(part, power)) for part in free))
    if base.is_Add and power.is_Integer and _leading(base) < 0:
        return (-1) ** int(power) * _power(sympy.Pow(sympy.Add(*(-term for term in base.args)), power))
    scale, scaled = _scaled(base)
    if scale == 1:
        return node
    return sympy.Float(scale ** float(power)) * sympy.Pow(scaled, power)


def _joined_powers(node: sympy.Expr) -> sympy.Expr:
    """Products of powers of one base, and of exponentials, as one each."""
    import sympy

    joined = sympy.powsimp(node, combine="exp", deep=False)
    return joined if isinstance(joined, sympy.Expr) else node


def _sine(node: sympy.Expr) -> sympy.Expr:
    """sin with a phase in (-pi/2, pi/2] and a positive leading coefficient."""
    import sympy

    if not isinstance(node, sympy.sin):
        return node
    phase, rest = _constant_and_rest(node.args[0])
    sign = 1
    if _leading(rest) < 0:
        phase, rest, sign = -phase, sympy.expand_mul(-rest), -sign
    turns = round(phase / math.pi)
    phase -= turns * math.pi
    sign *= -1 if turns % 2 else 1
    # Phases that agree to 6 digits are equal. A round number, since fitted phases hold rounding and noise.
    if phase <= -math.pi / 2 + 1e-6:
        phase, sign = phase + math.pi, -sign
    if abs(phase - math.pi / 2) < 1e-6:  # as above
        return sign * sympy.cos(rest, evaluate=False) if phase == math.pi / 2 else sign * sympy.sin(rest + phase)
    return sign * sympy.sin(rest + sympy.Float(phase)) if phase else sign * sympy.sin(rest)


def _odd(node: sympy.Expr) -> sympy.Expr:
    import sympy

    if not node.args or _leading(node.args[0]) > 0:
        return node
    return -node.func(sympy.expand_mul(-node.args[0]))


def _even(node: sympy.Expr) -> sympy.Expr:
    import sympy

    if not node.args or _leading(node.args[0]) > 0:
        return node
    return node.func(sympy.expand_mul(-node.args[0]))


def without_signs(expression: sympy.Expr, sign_of: Callable[[sympy.Expr], int]) -> sympy.Expr:
    """The expression without absolute values and signs of what never changes sign.

    Args:
        expression: any.
        sign_of: 1 or -1 if its argument has that sign on all samples, else 0.
    """
    import sympy

    for node in sorted(expression.atoms(sympy.Abs, sympy.sign), key=complexity):
        sign = sign_of(node.args[0])
        if sign:
            value = sign * node.args[0] if isinstance(node, sympy.Abs) else sympy.Integer(sign)
            expression = expression.xreplace({node: value})
    return expression


def without_reciprocals(expression: sympy.Expr) -> sympy.Expr:
    """The expression with ``1 / tan(u)`` for ``cot(u)`` and so on, which SymPy writes for some phases."""
    import sympy

    plain = {
        sympy.cot: sympy.tan,
        sympy.sec: sympy.cos,
        sympy.csc: sympy.sin,
        sympy.coth: sympy.tanh,
        sympy.sech: sympy.cosh,
        sympy.csch: sympy.sinh,
    }
    return expression.replace(lambda part: part.func in plain, lambda part: 1 / plain[part.func](part.args[0]))


def rename_functions(expression: sympy.Expr, names: Mapping[str, str]) -> sympy.Expr:
    """The expression with other names for its undefined functions, such as splines."""
    import sympy

    def other(part: sympy.Expr) -> sympy.Expr:
        return sympy.Function(names[part.func.__name__], real=True)(*part.args)

    return expression.replace(lambda part: part.func.__name__ in names, other)


def complexity(expression: sympy.Expr) -> int:
    """Number of nodes of an expression's tree."""
    import sympy

    return sum(1 for _ in sympy.preorder_traversal(expression))
