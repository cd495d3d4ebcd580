"""What a method of symbolic regression gives, and the help that peers get with their constants."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from benchmarks.problems.known_function import FloatArray
from superpose.deadline import Deadline
from superpose.errors import OptionError
from superpose.formulas.expressions.constants import ConstantFit

if TYPE_CHECKING:
    import sympy

# A peer's constants are fitted once more after its time; that shall not take long.
_REFITTING_SECONDS = 5.0


class Proposal(NamedTuple):
    """What a search gave.

    Attributes:
        expressions: in the law's symbols, the method's own choice first; it is enough if one is the law.
        functions: torch functions of what stands in them besides known functions.
    """

    expressions: tuple[sympy.Expr, ...]
    functions: Mapping[str, Callable[[Tensor], Tensor]] = {}


class NothingFound(Exception):
    """There is no formula; the message says why."""


def with_refitted_constants(
    expression: sympy.Expr, symbols: tuple[sympy.Symbol, ...], x: FloatArray, y: FloatArray
) -> tuple[sympy.Expr, ...]:
    """An expression, the same with its constants refitted, and that without the constant added to it.

    A help that peers get for nothing: some compute in single precision, some do not fit constants at all, and some add
    an offset to everything.
    """
    import sympy

    offset, rest = expression.as_coeff_Add()
    found = [expression]
    for form in (expression, rest) if offset else (expression,):
        if isinstance(form, sympy.Expr) and form.free_symbols:
            fitting = ConstantFit(symbols, torch.as_tensor(x), torch.as_tensor(y), {}, Deadline(_REFITTING_SECONDS))
            # SymPy may have simplified it into a function that torch does not have; it stands as it is then.
            with contextlib.suppress(OptionError):
                fitted = fitting.fit(form)
                if math.isfinite(fitted.error):
                    found.append(fitted.expression)
    return tuple(dict.fromkeys(found))
