"""Names of symbolic functions resolved, and expressions checked against a list of allowed functions."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from superpose.errors import OptionError
from superpose.nn.symbolic_functions import SymbolicFunction, argument, find, is_known, library, power

if TYPE_CHECKING:
    import sympy

# What SymPy and torch call some of the library's functions.
_ALIASES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "atanh": "arctanh", "Abs": "abs", "ln": "log"}
# Functions that another function of the library equals on an edge c*f(a*x + b) + d: cos(x) = sin(x + pi/2),
# arccos(x) = pi/2 - arcsin(x), sigmoid(x) = (1 + tanh(x/2))/2.
EQUIVALENT = {"cos": "sin", "arccos": "arcsin", "sigmoid": "tanh"}
# ("function", its name in SymPy) or ("power", its exponent).
_Head = tuple[str, Any]


def resolve_function(function: str | SymbolicFunction | Any) -> SymbolicFunction:
    """The symbolic function that is meant by a name, or by a SymPy function or expression of one symbol.

    Raises:
        OptionError: if there is none.

    >>> import sympy
    >>> z = sympy.Symbol("z")
    >>> [resolve_function(f).name for f in ("asin", sympy.sin, z**2, sympy.exp(-(z**2)), library()["tanh"])]
    ['arcsin', 'sin', 'x^2', 'gaussian', 'tanh']
    """
    if isinstance(function, SymbolicFunction):
        return find(function.name)
    if isinstance(function, str):
        alias = _ALIASES.get(function, function)
        return find(alias if is_known(alias) else function)
    import sympy

    made = function
    if isinstance(function, type) and issubclass(function, sympy.Function):
        made = function(argument())
    if not isinstance(made, sympy.Expr) or len(made.free_symbols) != 1:
        raise OptionError(
            "a function of an edge is given by its name in superpose.library(), or as a SymPy expression of one "
            f"symbol, not as {function!r}"
        )
    expression = made.xreplace({next(iter(made.free_symbols)): argument()})
    for known in library().values():
        if known.expression == expression:
            return known
    if expression.is_Pow and expression.base == argument() and expression.exp.is_Number:
        return power(expression.exp)
    raise OptionError(f"no function of superpose.library() is {made}; give it a name with superpose.register first")


def resolve_names(functions: Iterable[str]) -> tuple[str, ...]:
    """Names of functions as the library has them, each once.

    Raises:
        OptionError: for a name that is not known, or no name at all.
    """
    if isinstance(functions, str):
        raise OptionError(f"functions is a list of names; write functions=[{functions!r}]")
    names = tuple(dict.fromkeys(resolve_function(name).name for name in functions))
    if not names:
        raise OptionError("functions is empty; name at least one, such as ['x^2', 'sin'], or leave it out")
    return names


def candidate_functions(functions: Iterable[str] | None = None) -> dict[str, SymbolicFunction]:
    """The functions that a search tries on an edge, by name: those asked for, or those of the library that differ.

    Of functions that equal one another but for the constants of an edge (:data:`EQUIVALENT`) a search needs one, and
    the function "0" is a removed edge, which a search tries anyway.

    Raises:
        OptionError: for a name that is not known, or no name at all.
    """
    if functions is not None:
        return {name: find(name) for name in resolve_names(functions)}
    return {name: function for name, function in library().items() if name != "0" and name not in EQUIVALENT}


def uses_only(expression: sympy.Expr, functions: Iterable[str], *, beside: Collection[str] = ()) -> bool:
    """Whether an expression consists of sums, products and these functions only.

    Of functions that are the same but for their constants, such as sine and cosine, one allows the other. A quotient
    needs ``1/x``, and a square ``x^2``, though it is a product too.

    Args:
        expression: any.
        functions: names of functions of the library.
        beside: names of further allowed functions without a symbol, such as splines.

    >>> import sympy
    >>> x, y = sympy.symbols("x y")
    >>> expression = sympy.sin(x) * y + 1 / (x + 1)
    >>> uses_only(expression, ["sin", "1/x"]), uses_only(expression, ["cos", "exp"])
    (True, False)
    """
    allowed = _allowed(tuple(functions))
    return all(head in allowed or head[1] in beside or _opposite(head, allowed) for head in _heads(expression))


def linear_in(expression: sympy.Expr, symbol: sympy.Symbol) -> bool:
    """Whether an expression is ``A + symbol * B`` with ``A`` and ``B`` free of the symbol, as it is written or
    multiplied out.

    >>> import sympy
    >>> m, t = sympy.symbols("m t")
    >>> [linear_in(one, m) for one in (sympy.exp(t) * (m + 1) / t, m * t - m, m**2, sympy.sin(m), 1 / m)]
    [True, True, False, False, False]
    """
    slope = expression.diff(symbol)
    return symbol not in slope.free_symbols or symbol not in slope.expand().free_symbols


@functools.lru_cache(maxsize=64)  # sets of names that are remembered; a round number
def _allowed(functions: tuple[str, ...]) -> frozenset[_Head]:
    found = {head for name in functions for head in _heads(find(name).expression)}
    for name, other in EQUIVALENT.items():
        pair = _heads(find(name).expression), _heads(find(other).expression)
        # A sigmoid is written with exp, which tanh does not allow.
        if all(len(heads) == 1 for heads in pair) and any(heads <= found for heads in pair):
            found |= pair[0] | pair[1]
    return frozenset(found)


def _opposite(head: _Head, allowed: frozenset[_Head]) -> bool:
    """Whether it is one over a power that is allowed, if one over anything is."""
    kind, exponent = head
    if kind != "power" or exponent == "symbol" or exponent >= 0:
        return False
    return ("power", -1) in allowed and (exponent == -1 or ("power", -exponent) in allowed)


def _heads(expression: sympy.Expr) -> set[_Head]:
    """The functions in an expression by name, and the exponents of its powers; sums and products are free."""
    import sympy

    found: set[_Head] = set()
    for node in sympy.preorder_traversal(expression):
        if node.is_Pow and node.free_symbols:
            # exp is a function of its own here; a power with a variable in its exponent is another thing.
            found.add(("power", node.exp if node.exp.is_Number else "symbol"))
        elif node.is_Function and node.free_symbols:
            found.add(("function", node.func.__name__))
    return found
