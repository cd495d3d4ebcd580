"""The symbolic functions, and edges of the form ``c * f(a * x + b) + d``.

A symbolic function is one SymPy expression in one variable. Its torch evaluation, its derivative, its LaTeX and its
code all derive from that expression. SymPy is imported when the first symbolic function is asked for.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from superpose.errors import OptionError
from superpose.messages import nearest

if TYPE_CHECKING:
    import sympy

# What the constants of an edge are called, in their order.
CONSTANTS = "abcd"
# The root of its argument's size, which is defined everywhere.
ROOT = "sqrt|x|"
TorchFunction = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SymbolicFunction:
    """A function of one variable that an edge can be recognised as.

    Attributes:
        name: how it is called in :func:`~superpose.library`, in files and in pictures.
        expression: SymPy expression in ``superpose.nn.symbolic.argument()``.
        complexity: what it costs when candidates are compared; 1 is the straight line.
        evaluate: its values, elementwise; not finite outside its domain.
        derivative: its first derivative, elementwise.
    """

    name: str
    expression: sympy.Expr
    complexity: int
    evaluate: TorchFunction = field(repr=False, compare=False)
    derivative: TorchFunction = field(repr=False, compare=False)

    def at(self, inner: sympy.Expr) -> sympy.Expr:
        """The expression with ``inner`` in place of its variable."""
        return self.expression.xreplace({argument(): inner})

    def __reduce__(self) -> tuple[Any, ...]:
        # What it computes with was compiled in this process. Another process finds it by name, as in a model file.
        if is_known(self.name) and find(self.name) == self:
            return find, (self.name,)
        return type(self), tuple(getattr(self, one.name) for one in fields(self))


@functools.cache
def argument() -> sympy.Symbol:
    """The variable in which every symbolic function is written."""
    import sympy

    return sympy.Symbol("x", real=True)


@functools.cache
def _builtin() -> dict[str, SymbolicFunction]:
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
    x = argument()

    def compiled(expr: sympy.Expr) -> TorchFunction:
        inner = torch_function(expr, [x])
        return lambda values: inner(values).expand_as(values)

    values = evaluate or compiled(expression)
    slopes = derivative
    if slopes is None:
        try:
            slopes = compiled(expression.diff(x))
        except OptionError as error:
            if evaluate is None:
                raise
            raise OptionError(
                f"torch cannot evaluate the derivative of {name!r}, {expression.diff(x)}; register it with "
                "derivative= too, a torch function"
            ) from error
    if evaluate is not None and not _follows_gradients(evaluate):
        values = functools.partial(_with_derivative, evaluate, slopes)
    return SymbolicFunction(name, expression, complexity, values, slopes)


def _follows_gradients(evaluate: TorchFunction) -> bool:
    """Whether autograd can differentiate a function that was given; some of torch's own it cannot."""
    probe = torch.full((1,), 0.5, dtype=torch.float64, requires_grad=True)
    try:
        with torch.enable_grad():
            torch.autograd.grad(evaluate(probe).sum(), probe)
    except RuntimeError:
        return False
    return True


def _with_derivative(evaluate: TorchFunction, derivative: TorchFunction, x: Tensor) -> Tensor:
    found: Tensor = _Given.apply(x, evaluate, derivative)  # type: ignore[no-untyped-call]
    return found


class _Given(torch.autograd.Function):
    """A function whose derivative is known, though not to autograd."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, evaluate: TorchFunction, derivative: TorchFunction) -> Tensor:
        ctx.save_for_backward(x)
        ctx.derivative = derivative
        return evaluate(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0] * ctx.derivative(ctx.saved_tensors[0]), None, None


@functools.cache
def _further() -> dict[str, SymbolicFunction]:
    """Functions that networks compute with and that no edge is recognised as."""
    import sympy

    root = sympy.sqrt(sympy.Abs(argument()))
    return {ROOT: _make(ROOT, root, 3, _root_of_size, _slope_of_root)}


def _root_of_size(x: Tensor) -> Tensor:
    # The inner choice keeps autograd from an infinite slope, and so from NaN, at 0.
    zero = x == 0
    return torch.where(zero, 0, torch.where(zero, 1, x).abs().sqrt())


def _slope_of_root(x: Tensor) -> Tensor:
    zero = x == 0
    return torch.where(zero, 0, 0.5 * x.sign() / torch.where(zero, 1, x).abs().sqrt())


# What people register is shared by the whole process, as codecs are: a saved model must find it by name.
_REGISTERED: dict[str, SymbolicFunction] = {}


def library() -> dict[str, SymbolicFunction]:
    """All symbolic functions by name: the built-in ones and those that were registered.

    >>> library()["sin"].expression
    sin(x)
    """
    return {**_builtin(), **_REGISTERED}


# Powers beyond these are no use to anybody, and slow to write out.
_MOST_EXPONENT, _MOST_DENOMINATOR, _LONGEST_POWER = 1000, 1000, 40


def power(exponent: Any) -> SymbolicFunction:
    """``x**exponent`` for any number: of the library if it is there, else made on demand under a name such as
    ``x^(2/3)``, ``x^-6`` or ``x^0.123``. With an exponent that is not whole it is defined for positive ``x`` only.

    Args:
        exponent: an int, a float, a fraction or a SymPy number, not 0. Floats are fractions too, and count as such if
            the denominator is small.

    Raises:
        OptionError: if it is 0, not finite, or beyond 1000.

    >>> power(2).name, power(0.5).name, power(-0.75).name, power(0.1).name
    ('x^2', 'sqrt', 'x^(-3/4)', 'x^0.1')
    """
    import sympy

    value = float(exponent)
    if value == 0 or not abs(value) <= _MOST_EXPONENT:
        raise OptionError(f"an exponent must be a number from -1000 to 1000 other than 0, not {exponent!r}")
    ratio = sympy.Rational(exponent)
    return _made_power(int(ratio.p), int(ratio.q))


@functools.lru_cache(maxsize=1024)
def _made_power(above: int, below: int) -> SymbolicFunction:
    import sympy

    small, value = below <= _MOST_DENOMINATOR, above / below
    expression = argument() ** (sympy.Rational(above, below) if small else sympy.Float(value))
    for function in _builtin().values():
        if function.expression == expression:
            return function
    written = str(above) if below == 1 else f"({above}/{below})" if small else repr(value)
    complexity = min(abs(above) + (above < 0), 10) if below == 1 else 5
    return _make(f"x^{written}", expression, complexity)


def _named_power(name: str) -> SymbolicFunction | None:
    """The power of that name, if it is one and exactly as :func:`power` writes it."""
    written = name.removeprefix("x^")
    if written == name or len(name) > _LONGEST_POWER:
        return None
    above, _, below = written.removeprefix("(").removesuffix(")").partition("/")
    try:
        made = power(Fraction(int(above), int(below)) if below else float(written))
    except (ValueError, ZeroDivisionError, OptionError):
        return None
    return made if made.name == name else None


def is_known(name: str) -> bool:
    """Whether :func:`find` finds it."""
    return name in library() or _unlisted(name) is not None


def _unlisted(name: str) -> SymbolicFunction | None:
    """The function of that name, if it is known without being in the library."""
    return _further().get(name) or _named_power(name)


def find(name: str) -> SymbolicFunction:
    """The symbolic function of that name: of the library, or a power such as ``x^(2/3)`` (see :func:`power`).

    Raises:
        OptionError: if there is none; the message suggests the nearest name.
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
    """Add a function of one's own to the library, for this process.

    Args:
        name: a name that is not taken by a built-in function.
        expression: SymPy expression in one symbol.
        complexity: how reluctantly it is chosen; see :class:`~superpose.nn.SymbolicFunction`.
        evaluate: elementwise torch function; needed only if the expression holds something that torch cannot
            evaluate by itself.
        derivative: elementwise torch function of the first derivative; needed only if torch cannot evaluate that. Where
            autograd cannot differentiate ``evaluate``, gradients follow this one.

    Raises:
        OptionError: if the name is taken, the expression is not one of a single variable, or torch cannot evaluate
            what was left out of the two functions.

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


@functools.cache
def _torch_table() -> Mapping[Any, Callable[..., Tensor]]:
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
        # The derivative of a jump: nothing to follow on either side of it.
        sympy.DiracDelta: torch.zeros_like,
    }


def torch_function(
    expression: sympy.Expr,
    symbols: Sequence[sympy.Symbol],
    functions: Mapping[str, TorchFunction] | None = None,
) -> Callable[..., Tensor]:
    """A torch callable of the given symbols, built by walking the expression; no text is ever evaluated.

    Args:
        expression: of the symbols, numbers and functions that torch or the library knows.
        symbols: in the order of the callable's arguments.
        functions: further elementwise functions of one argument, by their names in the expression.

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
            # Numbers are real here, as they are on tensors: what is not, is NaN.
            constant = float(node) if node.is_extended_real else math.nan
            return lambda values: constant
        if node.is_Add or node.is_Mul:
            parts = [walk(part) for part in node.args]
            combine = torch.add if node.is_Add else torch.mul
            return lambda values: functools.reduce(lambda p, q: _apply(combine, p, q), (part(values) for part in parts))
        if node.is_Pow:
            return _power(walk(node.base), node.exp, walk)
        if node.func in _torch_table() and len(node.args) == 1:
            function, inner = _torch_table()[node.func], walk(node.args[0])
            return lambda values: _apply(function, inner(values))
        if functions is not None and len(node.args) == 1 and node.func.__name__ in functions:
            own, inner = functions[node.func.__name__], walk(node.args[0])
            return lambda values: own(inner(values))
        for known in _REGISTERED.values():
            wild = sympy.Wild("w")
            found = node.match(known.at(wild)) if known.expression.func == node.func else None
            if found and found[wild] != node:
                outer, inner = known.evaluate, walk(found[wild])
                return lambda values: _apply(outer, inner(values))
        raise OptionError(f"torch cannot evaluate {node.func.__name__}; register it with evaluate=, a torch function")

    compiled = walk(expression)

    def call(*values: Tensor) -> Tensor:
        result = compiled(values)
        return result if isinstance(result, Tensor) else torch.full_like(values[0], result)

    return call


def _sign(x: Tensor) -> Tensor:
    """The sign; NaN has none, though torch.sign says 0."""
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


class SymbolicEdges(nn.Module):
    """The edges of one layer that are symbolic: ``y_o = sum c * f(a * x_i + b) + d`` over those edges.

    ``constants [E, 4]`` holds ``a, b, c, d`` of each edge and is a parameter; which function stands on which edge
    (``edges``), and which of its constants are not trained (``frozen``, such as ``"ab"``), is structure and changes
    only by making another module.
    """

    constants: nn.Parameter
    held: Tensor

    def __init__(
        self,
        edges: Mapping[tuple[int, int], str],
        constants: Tensor,
        frozen: Mapping[tuple[int, int], str] | None = None,
    ) -> None:
        super().__init__()
        self.edges = tuple(edges)
        self.names = dict(edges)
        self.functions = tuple(find(name) for name in edges.values())
        self.constants = nn.Parameter(constants.detach().clone().reshape(len(self.edges), 4))
        self.frozen = {edge: letters for edge, letters in (frozen or {}).items() if letters and edge in self.names}
        held = [[letter in self.frozen.get(edge, "") for letter in CONSTANTS] for edge in self.edges]
        self.register_buffer("held", torch.tensor(held, device=constants.device).reshape(-1, 4), persistent=False)

    def of(self, i: int, o: int) -> tuple[float, float, float, float]:
        """The constants ``a, b, c, d`` of edge ``i -> o``."""
        a, b, c, d = self.constants[self.edges.index((i, o))].tolist()
        return a, b, c, d

    def curve(self, index: int, x: Tensor) -> Tensor:
        """Values of the ``index``-th symbolic edge at ``x``, any shape."""
        constants = self.constants[index]
        if self.edges[index] in self.frozen:
            constants = torch.where(self.held[index], constants.detach(), constants)
        a, b, c, d = constants
        value: Tensor = c * self.functions[index].evaluate(a * x + b) + d
        return value

    def forward(self, x: Tensor, outputs: int) -> Tensor:
        """``[B, I] -> [B, O]``."""
        columns: list[list[Tensor]] = [[] for _ in range(outputs)]
        for index, (i, o) in enumerate(self.edges):
            columns[o].append(self.curve(index, x[:, i]))
        zero = x.new_zeros(x.shape[0])
        return torch.stack([functools.reduce(torch.add, column, zero) for column in columns], -1)

    def __deepcopy__(self, memo: dict[int, Any]) -> SymbolicEdges:
        copied = SymbolicEdges(self.names, self.constants, self.frozen)
        copied.constants.requires_grad_(self.constants.requires_grad)
        copied.train(self.training)
        memo[id(self)] = copied
        return copied
