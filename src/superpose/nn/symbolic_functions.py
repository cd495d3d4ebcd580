"""The library of symbolic functions. To add a function, add a line to the table in :func:`_builtin`.

A symbolic function is one SymPy expression in one variable. Its torch evaluation, its derivative, its LaTeX and its
NumPy code all derive from that expression; a SymPy function that torch cannot evaluate yet needs an entry in
:mod:`superpose.nn.sympy_to_torch`. SymPy is imported when the first symbolic function is requested.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from superpose.errors import OptionError
from superpose.messages import nearest
from superpose.nn.sympy_to_torch import TorchFunction, translate

if TYPE_CHECKING:
    import sympy

# Name of the square root of the argument's absolute value, which is defined everywhere; see _unlisted_functions.
ROOT = "sqrt|x|"
# Name of the logarithm that is a straight line below 1/e, and so has a value everywhere; see _unlisted_functions.
LOG = "log|line"


@dataclass(frozen=True)
class SymbolicFunction:
    """A function of one variable that an edge of a network can compute.

    Attributes:
        name: its key in :func:`~superpose.library`, its name in model files and in figures.
        expression: SymPy expression in ``superpose.nn.symbolic_functions.argument()``.
        complexity: its cost in comparisons of candidate functions; the straight line ``x`` costs 1.
        evaluate: elementwise torch function of its values; NaN or infinite outside its domain.
        derivative: elementwise torch function of its first derivative.
    """

    name: str
    expression: sympy.Expr
    complexity: int
    evaluate: TorchFunction = field(repr=False, compare=False)
    derivative: TorchFunction = field(repr=False, compare=False)

    def at(self, inner: sympy.Expr) -> sympy.Expr:
        """The expression with its variable replaced by ``inner``."""
        return self.expression.xreplace({argument(): inner})

    def __reduce__(self) -> tuple[Any, ...]:
        # ``evaluate`` is a closure, which pickle refuses. Another process finds a known function by name, as model
        # files do.
        if is_known(self.name) and find(self.name) == self:
            return find, (self.name,)
        return type(self), tuple(getattr(self, one.name) for one in fields(self))


@functools.cache
def argument() -> sympy.Symbol:
    """The SymPy variable ``x`` of every symbolic function."""
    import sympy

    return sympy.Symbol("x", real=True)


@functools.cache
def _builtin() -> dict[str, SymbolicFunction]:
    """The built-in functions by name, from one table: name, expression in ``x``, complexity.

    Names stand in model files, so a released name keeps its meaning. The complexities are whole numbers chosen on the
    benchmark problems: a power costs its exponent, a negative power 1 more (1/x costs 2), exp, log and roots 2,
    trigonometric functions 3 or 4, their inverses 4 or 5. Their effect on recovery rates was not measured one by one.
    """
    import sympy

    x = argument()
    half = sympy.Rational(1, 2)
    table: list[tuple[str, Any, int]] = [
        ("0", sympy.Integer(0), 0),
        ("x", x, 1),
        *((f"x^{n}", x**n, n) for n in (2, 3, 4, 5)),
        ("1/x", 1 / x, 2),
        *((f"1/x^{n}", x**-n, n + 1) for n in (2, 3, 4, 5)),
        ("sqrt", x**half, 2),
        ("1/sqrt", x**-half, 2),
        ("x^1.5", x ** (3 * half), 4),
        ("exp", sympy.exp(x), 2),
        ("log", sympy.log(x), 2),
        ("sin", sympy.sin(x), 3),
        ("cos", sympy.cos(x), 3),
        ("tan", sympy.tan(x), 4),
        ("tanh", sympy.tanh(x), 3),
        ("arcsin", sympy.asin(x), 5),
        ("arccos", sympy.acos(x), 5),
        ("arctan", sympy.atan(x), 4),
        ("arctanh", sympy.atanh(x), 5),
        ("cosh", sympy.cosh(x), 4),
        ("sinh", sympy.sinh(x), 4),
        ("abs", sympy.Abs(x), 4),
        ("sign", sympy.sign(x), 4),
        ("gaussian", sympy.exp(-(x**2)), 4),
        ("sigmoid", 1 / (1 + sympy.exp(-x)), 4),
    ]
    return {name: _make(name, expression, complexity) for name, expression, complexity in table}


def _make(
    name: str,
    expression: sympy.Expr,
    complexity: int,
    evaluate: TorchFunction | None = None,
    derivative: TorchFunction | None = None,
) -> SymbolicFunction:
    """A symbolic function; torch functions that are not given are translated from the expression."""
    x = argument()

    def translated(expr: sympy.Expr) -> TorchFunction:
        inner = torch_function(expr, [x])
        # The translation of a constant does not depend on x and may have another shape.
        return lambda values: inner(values).expand_as(values)

    values = evaluate or translated(expression)
    slope = derivative
    if slope is None:
        try:
            slope = translated(expression.diff(x))
        except OptionError as error:
            if evaluate is None:
                raise
            raise OptionError(
                f"torch cannot evaluate the derivative of {name!r}, {expression.diff(x)}; register it with "
                "derivative= too, a torch function"
            ) from error
    if evaluate is not None and not _is_differentiable(evaluate):
        values = functools.partial(_with_derivative, evaluate, slope)
    return SymbolicFunction(name, expression, complexity, values, slope)


def _is_differentiable(evaluate: TorchFunction) -> bool:
    """Whether autograd can differentiate ``evaluate``; some functions of ``torch.special`` have no derivative."""
    probe = torch.full((1,), 0.5, dtype=torch.float64, requires_grad=True)
    try:
        with torch.enable_grad():
            torch.autograd.grad(evaluate(probe).sum(), probe)
    except RuntimeError:
        return False
    return True


def _with_derivative(evaluate: TorchFunction, derivative: TorchFunction, x: Tensor) -> Tensor:
    found: Tensor = _WithDerivative.apply(x, evaluate, derivative)  # type: ignore[no-untyped-call]
    return found


class _WithDerivative(torch.autograd.Function):
    """A function without a derivative in torch, differentiated by a torch function that the user gave."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, evaluate: TorchFunction, derivative: TorchFunction) -> Tensor:
        ctx.save_for_backward(x)
        ctx.derivative = derivative
        return evaluate(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0] * ctx.derivative(ctx.saved_tensors[0]), None, None


@functools.cache
def _unlisted_functions() -> dict[str, SymbolicFunction]:
    """Functions that :func:`find` knows and :func:`library` does not list, so no edge is recognised as one of them."""
    import sympy

    x = argument()
    root = sympy.sqrt(sympy.Abs(x))
    # Its slope is continuous.
    log = sympy.log(sympy.Max(x, sympy.exp(-1))) + sympy.E * sympy.Min(x, sympy.exp(-1)) - 1
    return {
        ROOT: _make(ROOT, root, 3, _root_of_size, _slope_of_root),
        LOG: _make(LOG, log, 3, log_or_line, _slope_of_log),
    }


def _root_of_size(x: Tensor) -> Tensor:
    # The inner torch.where keeps autograd from the infinite slope at 0, which would become NaN.
    zero = x == 0
    return torch.where(zero, 0, torch.where(zero, 1, x).abs().sqrt())


def _slope_of_root(x: Tensor) -> Tensor:
    zero = x == 0
    return torch.where(zero, 0, 0.5 * x.sign() / torch.where(zero, 1, x).abs().sqrt())


def log_or_line(x: Tensor) -> Tensor:
    """``log(x)`` down to 1/e, and its tangent ``e x - 2`` below."""
    least = 1 / math.e
    return x.clamp(min=least).log() + math.e * x.clamp(max=least) - 1


def _slope_of_log(x: Tensor) -> Tensor:
    return 1 / x.clamp(min=1 / math.e)


# One registry for the process, like that of codecs: loading a model finds its functions by name.
_REGISTERED: dict[str, SymbolicFunction] = {}


def library() -> dict[str, SymbolicFunction]:
    """All symbolic functions by name, built-in and registered.

    >>> library()["sin"].expression
    sin(x)
    """
    return {**_builtin(), **_REGISTERED}


# Limits of powers. They bound the work of SymPy, which writes out integer powers, and of reading a name from a file.
# Round numbers, far above the exponents of known laws; nothing was measured.
_MAX_EXPONENT = 1000
_MAX_DENOMINATOR = 1000
_MAX_NAME_LENGTH = 40


def power(exponent: Any) -> SymbolicFunction:
    """The function ``x**exponent``: from the library if it is listed there, else a new one.

    A new power gets a name such as ``x^(2/3)``, ``x^-6`` or ``x^0.123``. A power with a fractional exponent is defined
    for positive ``x`` only.

    Args:
        exponent: an int, a float, a fraction or a SymPy number, not 0. A float whose exact fraction has a denominator
            of at most 1000 is written as that fraction.

    Raises:
        OptionError: if the exponent is 0, not finite, or larger than 1000 in absolute value.

    >>> power(2).name, power(0.5).name, power(-0.75).name, power(0.1).name
    ('x^2', 'sqrt', 'x^(-3/4)', 'x^0.1')
    """
    import sympy

    value = float(exponent)
    if value == 0 or not abs(value) <= _MAX_EXPONENT:
        raise OptionError(f"an exponent must be a number from -1000 to 1000 other than 0, not {exponent!r}")
    ratio = sympy.Rational(exponent)
    return _rational_power(int(ratio.p), int(ratio.q))


@functools.lru_cache(maxsize=1024)
def _rational_power(above: int, below: int) -> SymbolicFunction:
    import sympy

    small, value = below <= _MAX_DENOMINATOR, above / below
    expression = argument() ** (sympy.Rational(above, below) if small else sympy.Float(value))
    for function in _builtin().values():
        if function.expression == expression:
            return function
    written = str(above) if below == 1 else f"({above}/{below})" if small else repr(value)
    complexity = min(abs(above) + (above < 0), 10) if below == 1 else 5
    return _make(f"x^{written}", expression, complexity)


def _named_power(name: str) -> SymbolicFunction | None:
    """The power with this name, or None if :func:`power` gives no function this name."""
    written = name.removeprefix("x^")
    if written == name or len(name) > _MAX_NAME_LENGTH:
        return None
    above, _, below = written.removeprefix("(").removesuffix(")").partition("/")
    try:
        made = power(Fraction(int(above), int(below)) if below else float(written))
    except (ValueError, ZeroDivisionError, OptionError):
        return None
    return made if made.name == name else None


def is_known(name: str) -> bool:
    """Whether :func:`find` finds a function of this name."""
    return name in library() or _unlisted(name) is not None


def _unlisted(name: str) -> SymbolicFunction | None:
    """The function of this name that :func:`find` knows and :func:`library` does not list, or None."""
    return _unlisted_functions().get(name) or _named_power(name)


def find(name: str) -> SymbolicFunction:
    """The symbolic function of this name: from the library, or a power such as ``x^(2/3)`` (see :func:`power`).

    Raises:
        OptionError: if there is none; the message suggests the most similar name.
    """
    known = library()
    made = known.get(name) or _unlisted(name)
    if made is None:
        raise OptionError(
            f"there is no symbolic function named {name!r}{nearest(name, known)}; "
            "superpose.library() lists them, and superpose.register adds one"
        )
    return made


def register(
    name: str,
    expression: sympy.Expr,
    *,
    complexity: int = 3,
    evaluate: TorchFunction | None = None,
    derivative: TorchFunction | None = None,
) -> SymbolicFunction:
    """Add a function to the library, for this process.

    Args:
        name: a name that no built-in function has.
        expression: SymPy expression in one symbol.
        complexity: its cost in comparisons of candidates; see :class:`~superpose.nn.SymbolicFunction`.
        evaluate: elementwise torch function; needed only if torch cannot evaluate the expression.
        derivative: elementwise torch function of the first derivative; needed only if torch cannot evaluate the
            derivative of the expression. Gradients use it where autograd cannot differentiate ``evaluate``.

    Raises:
        OptionError: if the name is taken, if the expression does not have exactly one variable, or if torch cannot
            evaluate the expression or its derivative and the torch function was not given.

    >>> import sympy
    >>> z = sympy.Symbol("z")
    >>> register("sinc-like", sympy.sin(z) / (1 + z**2)).evaluate(torch.zeros(1))
    tensor([0.])
    """
    import sympy

    if not isinstance(name, str) or not name:
        raise OptionError(f"a symbolic function needs a name, not {name!r}")
    if name in _builtin() or _unlisted(name) is not None:
        raise OptionError(f"the name {name!r} belongs to a built-in symbolic function; choose another")
    if not isinstance(expression, sympy.Expr):
        raise OptionError(f"the expression of {name!r} must be a SymPy expression, not {type(expression).__name__}")
    symbols = expression.free_symbols
    if len(symbols) != 1:
        raise OptionError(
            f"the symbolic function {name!r} must have exactly one variable, but its expression has {len(symbols)}"
        )
    made = _make(name, expression.xreplace({symbols.pop(): argument()}), complexity, evaluate, derivative)
    _REGISTERED[name] = made
    return made


def torch_function(
    expression: sympy.Expr,
    symbols: Sequence[sympy.Symbol],
    functions: Mapping[str, TorchFunction] | None = None,
) -> Callable[..., Tensor]:
    """A torch callable that evaluates ``expression`` at values of ``symbols``; no text is evaluated.

    Args:
        expression: of the symbols, numbers, functions of :func:`superpose.nn.sympy_to_torch.torch_table` and
            registered functions.
        symbols: in the order of the callable's arguments.
        functions: further elementwise functions of one argument, by their names in the expression.

    Raises:
        OptionError: if the expression holds a function that has no torch counterpart.
    """
    return translate(expression, symbols, functions or {}, _match_registered)


def _match_registered(node: sympy.Expr) -> tuple[TorchFunction, sympy.Expr] | None:
    """The registered function that ``node`` is a call of, and its argument."""
    import sympy

    for known in _REGISTERED.values():
        wild = sympy.Wild("w")
        found = node.match(known.at(wild)) if known.expression.func == node.func else None
        # A match with the whole node as its own argument would recurse forever.
        if found and found[wild] != node:
            return known.evaluate, found[wild]
    return None
