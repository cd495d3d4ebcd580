"""A form as a list of operations, evaluated for many values of its constants at once, with derivatives.

Every operation stands after those it takes its arguments from, so that evaluation, derivatives (forward mode) and
the conversion to SymPy are loops, however deep the text was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor

from superpose.nn.symbolic_functions import find

if TYPE_CHECKING:
    import sympy

Kind = Literal["number", "column", "constant", "add", "multiply", "divide", "power", "negate", "call", "spline"]

# A number with at most this denominator is written as a fraction where it is an exponent, so that powers of the
# library are recognised. A round number.
_DENOMINATOR = 12


class Operation(NamedTuple):
    """One step of a form.

    Attributes:
        kind: what is done.
        parts: which earlier operations it takes its arguments from.
        value: the number, as a fraction; the place of the column or the constant; the name of the function.
    """

    kind: Kind
    parts: tuple[int, ...] = ()
    value: Any = None


@dataclass(frozen=True)
class Form:
    """A law with unknown constants. Make one with :func:`superpose.formulas.parse_form`.

    Attributes:
        text: as it was written.
        columns: names of all columns of the table, in its order.
        constants: names of the unknown constants, in the order of the text.
        operations: the last one gives the value.
        splines: names of functions that are not known.
    """

    text: str
    columns: tuple[str, ...]
    constants: tuple[str, ...]
    operations: tuple[Operation, ...]
    splines: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text

    def used(self) -> tuple[str, ...]:
        """The columns that the form names.

        >>> from superpose.formulas.forms.parsing import parse_form
        >>> parse_form("a + b*z", ["y", "z"]).used()
        ('z',)
        """
        places = {one.value for one in self.operations if one.kind == "column"}
        return tuple(name for place, name in enumerate(self.columns) if place in places)

    def depends(self) -> list[bool]:
        """Of each operation, whether it depends on an unknown constant (or a spline)."""
        found: list[bool] = []
        for one in self.operations:
            found.append(one.kind in ("constant", "spline") or any(found[part] for part in one.parts))
        return found

    def values(self, columns: Sequence[Tensor], constants: Tensor, root: int | None = None) -> Tensor:
        """Values ``[B, S]`` for ``B`` vectors of constants ``[B, P]``."""
        return self.derivatives(columns, constants, (), root)[0]

    def derivatives(
        self, columns: Sequence[Tensor], constants: Tensor, by: Sequence[int], root: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Values ``[B, S]`` and derivatives ``[B, S, len(by)]`` by some of the constants.

        Args:
            columns: ``[S]`` each, all columns of the table.
            constants: ``[B, P]``.
            by: places of constants.
            root: the operation whose values are wanted; the last by default.
        """
        last = len(self.operations) - 1 if root is None else root
        shape = (len(constants), len(columns[0]) if columns else 1)
        values: list[Tensor] = []
        slopes: list[dict[int, Tensor]] = []
        for one in self.operations[: last + 1]:
            value, slope = _step(one, values, slopes, columns, constants)
            if one.kind == "constant" and one.value in by:
                slope = {one.value: torch.ones_like(value)}
            values.append(value)
            slopes.append(slope)
        zero = constants.new_zeros(1, 1)
        found = [slopes[last].get(place, zero).expand(shape) for place in by]
        stacked = torch.stack(found, -1) if found else constants.new_zeros(*shape, 0)
        return values[last].expand(shape), stacked

    def expression(self, constants: Sequence[float]) -> sympy.Expr:
        """The SymPy expression with these values of the constants, in real symbols named like the columns."""
        import sympy

        exponents = {one.parts[1] for one in self.operations if one.kind == "power"}
        made: list[Any] = []
        for place, one in enumerate(self.operations):
            parts = [made[part] for part in one.parts]
            if one.kind == "number":
                made.append(_number(one.value, exponent=place in exponents))
            elif one.kind == "column":
                made.append(sympy.Symbol(self.columns[one.value], real=True))
            elif one.kind == "constant":
                made.append(sympy.Float(float(constants[one.value])))
            elif one.kind == "add":
                made.append(sympy.Add(*parts))
            elif one.kind == "multiply":
                made.append(sympy.Mul(*parts))
            elif one.kind == "divide":
                made.append(parts[0] / parts[1])
            elif one.kind == "power":
                made.append(parts[0] ** parts[1])
            elif one.kind == "negate":
                made.append(-parts[0])
            elif one.kind == "spline":
                made.append(sympy.Function(one.value, real=True)(*parts))
            else:
                made.append(find(one.value).at(parts[0]))
        return made[-1]


def _number(value: Fraction, *, exponent: bool) -> Any:
    import sympy

    if value.denominator == 1 or (exponent and value.denominator <= _DENOMINATOR):
        return sympy.Rational(value.numerator, value.denominator)
    return sympy.Float(float(value))


def _step(
    one: Operation,
    values: list[Tensor],
    slopes: list[dict[int, Tensor]],
    columns: Sequence[Tensor],
    constants: Tensor,
) -> tuple[Tensor, dict[int, Tensor]]:
    """The value of one operation, ``[B or 1, S or 1]``, and its derivatives by the constants."""
    if one.kind == "number":
        return constants.new_full((1, 1), float(one.value)), {}
    if one.kind == "column":
        return columns[one.value][None, :], {}
    if one.kind == "constant":
        return constants[:, one.value, None], {}
    if one.kind == "spline":
        return constants.new_zeros(1, 1), {}
    first, first_slopes = values[one.parts[0]], slopes[one.parts[0]]
    if one.kind == "negate":
        return -first, {place: -slope for place, slope in first_slopes.items()}
    if one.kind == "call":
        function = find(one.value)
        value = function.evaluate(first)
        if not first_slopes:
            return value, {}
        outer = function.derivative(first)
        return value, {place: outer * slope for place, slope in first_slopes.items()}
    second, second_slopes = values[one.parts[1]], slopes[one.parts[1]]
    places = [*first_slopes, *(place for place in second_slopes if place not in first_slopes)]
    if one.kind == "add":
        pairs = {p: [s[p] for s in (first_slopes, second_slopes) if p in s] for p in places}
        return first + second, {p: both[0] if len(both) == 1 else both[0] + both[1] for p, both in pairs.items()}
    by_first: Tensor | None
    by_second: Tensor | None
    if one.kind == "multiply":
        value, by_first, by_second = first * second, second, first
    elif one.kind == "divide":
        value = first / second
        by_first = 1 / second if first_slopes else None
        by_second = -value / second if second_slopes else None
    else:
        value = first**second
        by_first = second * first ** (second - 1) if first_slopes else None
        # 0^n is 0 whatever n > 0 is: its derivative there is 0, not 0 * log(0).
        by_second = torch.where(first == 0, 0.0, value * torch.log(first)) if second_slopes else None
    found: dict[int, Tensor] = {}
    for place in places:
        terms = []
        if place in first_slopes and by_first is not None:
            terms.append(by_first * first_slopes[place])
        if place in second_slopes and by_second is not None:
            terms.append(by_second * second_slopes[place])
        found[place] = terms[0] if len(terms) == 1 else terms[0] + terms[1]
    return value, found


def linear_constants(form: Form, among: Sequence[int], root: int | None = None) -> list[int]:
    """A largest set of constants in which, together, the form is linear: the others must be searched for.

    Sets are grown from each constant in turn, in the order of the text, so that of ``A*(x - B)`` it is ``A`` or ``B``.

    >>> from superpose.formulas.forms.parsing import parse_form
    >>> form = parse_form("V*conc^n/(K^n + conc^n) + c", ["conc"])
    >>> [form.constants[place] for place in linear_constants(form, range(4))]
    ['V', 'c']
    """
    able = [place for place in among if _degree(form, {place}, root) <= 1]
    best: list[int] = []
    for first in able:
        chosen = [first]
        for other in able:
            if other != first and _degree(form, {*chosen, other}, root) <= 1:
                chosen.append(other)
        if len(chosen) > len(best):
            best = sorted(chosen)
    return best


def _degree(form: Form, constants: set[int], root: int | None) -> int:
    """The degree of a form in some constants together: 0, 1, or 2 for all that is not linear."""
    found: list[int] = []
    last = len(form.operations) - 1 if root is None else root
    for one in form.operations[: last + 1]:
        parts = [found[part] for part in one.parts]
        if one.kind == "constant":
            degree = int(one.value in constants)
        elif one.kind in ("add", "negate"):
            degree = max(parts)
        elif one.kind == "multiply":
            degree = sum(parts)
        elif one.kind == "divide":
            degree = parts[0] if parts[1] == 0 else 2
        else:
            degree = 2 if any(parts) else 0
        found.append(min(degree, 2))
    return found[last]


def inverse(form: Form, root: int, columns: Sequence[Tensor], y: Tensor) -> tuple[int, Tensor, Tensor] | None:
    """One outermost operation taken off: what its argument would have to be to give ``y``.

    Of ``exp(a - b/(T + c))`` the argument is linear in ``a`` and ``b``, so its fit to ``log(y)`` is a good start.

    Returns:
        The operation below, its values ``[S]`` and ``[S]`` how much they change with ``y``; None if nothing can be
        taken off. Values are NaN where there are none.
    """
    one, depends = form.operations[root], form.depends()
    no_constants = y.new_zeros(1, len(form.constants))

    def known(part: int) -> Tensor:
        return form.values(columns, no_constants, part)[0].expand_as(y)

    if one.kind == "negate":
        return one.parts[0], -y, torch.ones_like(y)
    if one.kind == "call" and one.value in ("exp", "log"):
        value = y.log() if one.value == "exp" else y.exp()
        return one.parts[0], value, 1 / y if one.value == "exp" else value
    if len(one.parts) < 2 or all(depends[part] for part in one.parts):
        return None
    first, second = one.parts
    if one.kind == "power":
        if form.operations[second].kind != "number":
            return None
        exponent = 1 / float(form.operations[second].value)
        return first, y**exponent, exponent * y ** (exponent - 1)
    inner, other = (second, first) if depends[second] else (first, second)
    value = known(other)
    if one.kind == "add":
        return inner, y - value, torch.ones_like(y)
    if one.kind == "multiply":
        return inner, y / value, 1 / value
    if inner == first:
        return inner, y * value, value
    return inner, value / y, value / y.square()
