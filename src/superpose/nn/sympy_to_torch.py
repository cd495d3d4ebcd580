"""SymPy expressions as torch functions, built by walking the expression; no text is ever evaluated.

The table :func:`torch_table` lists the SymPy functions that torch can evaluate.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from superpose.errors import OptionError

if TYPE_CHECKING:
    import sympy

TorchFunction = Callable[[Tensor], Tensor]


@functools.cache
def torch_table() -> Mapping[Any, Callable[..., Tensor]]:
    """The torch counterpart of each SymPy function of one argument."""
    import sympy

    return {
        sympy.exp: torch.exp,
        sympy.log: torch.log,
        sympy.sin: torch.sin,
        sympy.cos: torch.cos,
        sympy.tan: torch.tan,
        sympy.asin: torch.asin,
        sympy.acos: torch.acos,
        sympy.atan: torch.atan,
        sympy.sinh: torch.sinh,
        sympy.cosh: torch.cosh,
        sympy.tanh: torch.tanh,
        sympy.atanh: torch.atanh,
        sympy.asinh: torch.asinh,
        sympy.acosh: torch.acosh,
        sympy.Abs: torch.abs,
        sympy.sign: _sign,
        sympy.erf: torch.erf,
        # The derivative of sign. Zero is right on both sides of the jump, and the jump itself has no derivative.
        sympy.DiracDelta: torch.zeros_like,
    }


def translate(
    expression: sympy.Expr,
    symbols: Sequence[sympy.Symbol],
    functions: Mapping[str, TorchFunction],
    match: Callable[[sympy.Expr], tuple[TorchFunction, sympy.Expr] | None],
) -> Callable[..., Tensor]:
    """A torch callable that evaluates ``expression`` at values of ``symbols``.

    Args:
        expression: of the symbols, numbers and functions of :func:`torch_table`.
        symbols: in the order of the callable's arguments.
        functions: further elementwise functions of one argument, by their names in the expression.
        match: for a node with no other translation the function and the argument that it stands for, or None.

    Raises:
        OptionError: if the expression holds a function that has no torch counterpart.
    """
    import sympy

    slots = {symbol: index for index, symbol in enumerate(symbols)}

    def walk(node: Any) -> Callable[[tuple[Tensor, ...]], Any]:
        if node in slots:
            index = slots[node]
            return lambda values: values[index]
        if node.is_Number or node.is_NumberSymbol or node in (sympy.I, sympy.zoo):
            # Tensors hold real numbers, so a complex or infinite constant becomes NaN.
            constant = float(node) if node.is_extended_real else math.nan
            return lambda values: constant
        if node.is_Add or node.is_Mul:
            parts = [walk(part) for part in node.args]
            combine = torch.add if node.is_Add else torch.mul
            return lambda values: functools.reduce(lambda p, q: _apply(combine, p, q), (part(values) for part in parts))
        if node.is_Pow:
            return _power(walk(node.base), node.exp, walk)
        if node.func in torch_table() and len(node.args) == 1:
            function, inner = torch_table()[node.func], walk(node.args[0])
            return lambda values: _apply(function, inner(values))
        if len(node.args) == 1 and node.func.__name__ in functions:
            own, inner = functions[node.func.__name__], walk(node.args[0])
            return lambda values: own(inner(values))
        if (matched := match(node)) is not None:
            outer, inner = matched[0], walk(matched[1])
            return lambda values: _apply(outer, inner(values))
        raise OptionError(f"torch cannot evaluate {node.func.__name__}; register it with evaluate=, a torch function")

    compiled = walk(expression)

    def call(*values: Tensor) -> Tensor:
        result = compiled(values)
        return result if isinstance(result, Tensor) else torch.full_like(values[0], result)

    return call


def _sign(x: Tensor) -> Tensor:
    """``torch.sign``, except that NaN stays NaN, as for other functions; ``torch.sign`` gives 0."""
    return torch.where(torch.isnan(x), x, torch.sign(x))


def _apply(function: Callable[..., Tensor], *values: Any) -> Any:
    """A torch function on tensors and plain numbers alike."""
    if not any(isinstance(value, Tensor) for value in values):
        return float(function(*(torch.tensor(value, dtype=torch.float64) for value in values)))
    if function is torch.add:
        return values[0] + values[1]
    if function is torch.mul:
        return values[0] * values[1]
    return function(*values)


def _power(
    base: Callable[..., Any], exponent: sympy.Expr, walk: Callable[[Any], Callable[..., Any]]
) -> Callable[..., Any]:
    if exponent.is_Number:
        power = float(exponent)
        number = int(power) if power.is_integer() else power
        return lambda values: _raised(base(values), number)
    inner = walk(exponent)
    return lambda values: _raised(base(values), inner(values))


def _raised(base: Any, exponent: Any) -> Any:
    """A power of tensors or plain numbers; NaN where it is not real."""
    if isinstance(base, Tensor) or isinstance(exponent, Tensor):
        return base**exponent
    try:
        value = base**exponent
    except (OverflowError, ZeroDivisionError):
        return math.nan
    return math.nan if isinstance(value, complex) else value
