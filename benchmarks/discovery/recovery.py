"""Whether a formula is the law that a table was made by.

>>> import sympy
>>> q, C = sympy.symbols("q C", real=True)
>>> assess("I.25.13", q / C).recovered, assess("I.25.13", 1.00001 * q / C).reason
(True, 'its error on the wider ranges is 1.4e-05 of the spread there, and must be below 1e-06')
>>> assess("I.25.13", 1.00001 * q / C, noise=0.01).recovered
True
"""

from __future__ import annotations

import contextlib
import functools
import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from benchmarks import problems
from benchmarks.problems import KnownLaw
from superpose.errors import OptionError
from superpose.formulas.expressions.rewrite import canonical, complexity
from superpose.messages import nearest
from superpose.nn.symbolic_functions import torch_function

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class Criterion:
    """When a formula counts as the law; ``docs/benchmarks.md`` states the same for readers.

    Errors are root mean squares in units of the standard deviation of the law's values on the same rows. The
    numbers are round; no measurement of how they change the counts is recorded.

    Attributes:
        exact: largest error without noise. Far above rounding, far below what an approximation of few nodes reaches.
        noise_factor: largest error under noise, in units of the noise.
        constants_within: largest relative difference of a constant from the law's, under noise.
        length_factor, length_offset: a formula may have ``factor * nodes of the law + offset`` nodes.
        rows, steps: of the Gauss-Newton search for the law's constants, which start within 1% of their end.
        difference: relative step of its central differences, near the cube root of the rounding error.
        residual: mean square below which the search stops, that of rounding errors.
        max_constants: formulas with more constants are not searched, which bounds the work of the differences.
        simplify_seconds: for one attempt to write a formula shorter.
    """

    exact: float = 1e-6
    noise_factor: float = 5.0
    constants_within: float = 0.01
    length_factor: int = 2
    length_offset: int = 10
    rows: int = 1000
    steps: int = 30
    difference: float = 1e-6
    residual: float = 1e-28
    max_constants: int = 60
    simplify_seconds: float = 3.0


CRITERION = Criterion()

# A function that torch does not know, a column that is not there, a constant that is no number.
_NO_VALUES = (ArithmeticError, OptionError, RuntimeError, TypeError, ValueError)

Functions = Mapping[str, Callable[[Tensor], Tensor]]


@dataclass(frozen=True)
class Recovery:
    """How a formula compares with the law.

    Attributes:
        recovered: whether it is the law.
        reason: why it is not the law; empty if it is.
        expression: as it was assessed, which may be a simplified form.
        complexity: nodes of that expression's tree.
        law_complexity: nodes of the law's tree.
        error: root mean squared difference from the law on fresh rows of the law's ranges, in units of the standard
            deviation of the law's values there.
        wider_error: the same on the wider ranges.
        moved: under noise: by how much, relatively, some constant has to be moved at most for the formula to be the
            law; infinite if that cannot be done. None without noise, or where it was not asked.
    """

    recovered: bool
    reason: str
    expression: sympy.Expr
    complexity: int
    law_complexity: int
    error: float
    wider_error: float
    moved: float | None = None


def assess(
    law: KnownLaw | str,
    expression: sympy.Expr,
    noise: float = 0.0,
    *,
    points: int = 10_000,
    seed: int = 0,
    functions: Functions | None = None,
) -> Recovery:
    """Compare a formula with a law.

    Without noise it is recovered if on fresh rows of the wider ranges (:attr:`benchmarks.problems.KnownLaw.wider`) its
    root mean squared error is below 1e-6 of the standard deviation of the law's values there, and its tree has at most
    twice the nodes of the law's plus 10. A formula that is only too long is simplified within a few seconds, and that
    form is assessed.

    With noise of the share ``noise`` of the target's standard deviation in the table, the error must be below 5 times
    that share, and the formula must have the form of the law with constants within 1%: there are constants, each
    within 1% of that in the formula, with which it passes as without noise. Whole numbers, exponents such as 1/2, pi
    and e are no constants in this sense and stay.

    Args:
        law: or the name of one of :func:`benchmarks.problems.equations` or :func:`benchmarks.problems.laws`.
        expression: in symbols with the names of the law's variables.
        noise: share of the target's standard deviation.
        points: rows to compare on.
        seed: of these.
        functions: torch functions of what the expression holds besides known functions, such as spline edges.

    Raises:
        OptionError: if there is no such law.
    """
    check = _Check(found(law) if isinstance(law, str) else law, noise, points, seed, functions or {})
    recovery = check.assess(expression)
    if recovery.recovered or recovery.complexity <= check.max_complexity:
        return recovery
    # Too long: worth simplifying only if nothing else is wrong.
    if check.error_reason(recovery.wider_error):
        return recovery
    for shorter in simplified(recovery.expression):
        if complexity(shorter) <= check.max_complexity:
            again = check.assess(shorter)
            if again.recovered:
                return again
    return recovery


def found(name: str) -> KnownLaw:
    """The law of that name, from either list.

    Raises:
        OptionError: if there is none.
    """
    known = problems.laws() | problems.equations()
    if name not in known:
        raise OptionError(f"there is no law {name!r}{nearest(name, known)}")
    return known[name]


@dataclass(frozen=True)
class _Check:
    law: KnownLaw
    noise: float
    points: int
    seed: int
    functions: Functions

    @functools.cached_property
    def law_complexity(self) -> int:
        return complexity(self.law.expression)

    @property
    def max_complexity(self) -> int:
        return CRITERION.length_factor * self.law_complexity + CRITERION.length_offset

    @functools.cached_property
    def rows(self) -> tuple[Tensor, Tensor]:
        """Fresh ones of the law's ranges."""
        return _tensors(*self.law.sample(self.points, (self.seed, 1)))

    @functools.cached_property
    def wider_rows(self) -> tuple[Tensor, Tensor]:
        return _tensors(*self.law.sample_wider(self.points, (self.seed, 3)))

    def assess(self, expression: sympy.Expr) -> Recovery:
        own = {symbol.name: symbol for symbol in self.law.symbols}
        expression = expression.xreplace({s: own[s.name] for s in expression.free_symbols if s.name in own})
        recovery = Recovery(
            False, "", expression, complexity(expression), self.law_complexity, *self.errors(expression)
        )
        reason = self.error_reason(recovery.wider_error)
        if not reason and recovery.complexity > self.max_complexity:
            reason = f"it has {recovery.complexity} nodes, and may have {self.max_complexity}"
        if not reason and self.noise:
            moved = self.moved(expression)
            recovery = replace(recovery, moved=moved)
            if moved > CRITERION.constants_within:
                reason = f"no change of its constants by at most {CRITERION.constants_within:.0%} makes it the law"
        return replace(recovery, recovered=not reason, reason=reason)

    def error_reason(self, error: float) -> str:
        """Why an error on the wider ranges is too large; empty if it is small enough."""
        bound = CRITERION.noise_factor * self.noise or CRITERION.exact
        if error < bound:
            return ""
        if not math.isfinite(error):
            return "it is not finite where the law is, on the wider ranges"
        return f"its error on the wider ranges is {error:.1e} of the spread there, and must be below {bound:.0e}"

    def errors(self, expression: sympy.Expr) -> tuple[float, float]:
        """On the law's ranges and on the wider ones."""
        try:
            function = torch_function(expression, self.law.symbols, self.functions)
            return _error(function, *self.rows), _error(function, *self.wider_rows)
        except _NO_VALUES:
            return math.inf, math.inf

    def moved(self, expression: sympy.Expr) -> float:
        """The largest relative change of a constant that makes the expression the law, infinite if none does."""
        template, slots, start = _with_symbols_for_constants(expression)
        if len(slots) > CRITERION.max_constants:
            return math.inf
        function = torch_function(template, (*self.law.symbols, *slots), self.functions)
        x, y = self.rows
        shares = _nearest_constants(
            function, x[: CRITERION.rows], y[: CRITERION.rows], torch.tensor(start, dtype=torch.float64)
        )
        if shares is None:
            return math.inf
        values = [value * (1 + share) for value, share in zip(start, shares.tolist(), strict=True)]
        exact = _error(lambda *columns: function(*columns, *values), *self.wider_rows) < CRITERION.exact
        return float(shares.abs().max()) if exact and len(shares) else 0.0 if exact else math.inf


def _tensors(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    return torch.as_tensor(x), torch.as_tensor(y)


def _error(function: Callable[..., Any], x: Tensor, y: Tensor) -> float:
    values = torch.as_tensor(function(*x.unbind(-1)), dtype=torch.float64).expand(len(y))
    error = float((values - y).square().mean().sqrt()) / (float(y.std(correction=0)) or 1.0)
    return error if math.isfinite(error) else math.inf


def _with_symbols_for_constants(expression: sympy.Expr) -> tuple[sympy.Expr, list[sympy.Symbol], list[float]]:
    """The expression with a symbol in place of each constant that may be moved, these symbols, and their values."""
    import sympy

    slots: list[sympy.Symbol] = []
    values: list[float] = []

    def walk(node: sympy.Expr, exponent: bool) -> sympy.Expr:
        if node.is_Float and float(node).is_integer() and exponent:
            return sympy.Integer(int(node))
        if node.is_Float or (node.is_Rational and not node.is_Integer and not exponent):
            slots.append(sympy.Dummy(real=True))
            values.append(float(node))
            return slots[-1]
        if not node.args:
            return node
        if node.is_Pow:
            return walk(node.base, False) ** walk(node.exp, True)
        return node.func(*(walk(part, False) for part in node.args))

    return walk(expression, False), slots, values


def _nearest_constants(function: Callable[..., Any], x: Tensor, y: Tensor, start: Tensor) -> Tensor | None:
    """Relative changes of constants, each at most 1%, that bring a function to its targets by least squares.

    Steps are the shortest that do, so that constants which stand for the same thing twice do not drift.
    """
    columns = x.unbind(-1)
    spread = float(y.std(correction=0)) or 1.0

    def residual(shares: Tensor) -> Tensor:
        values = torch.as_tensor(function(*columns, *(start * (1 + shares)).unbind()), dtype=torch.float64)
        return (values.expand(len(y)) - y) / spread

    shares = torch.zeros_like(start)
    best = residual(shares)
    for _ in range(CRITERION.steps):
        if not bool(torch.isfinite(best).all()):
            return None
        if not len(start) or float(best.square().mean()) < CRITERION.residual:
            break
        steps = torch.eye(len(start), dtype=torch.float64) * CRITERION.difference
        slopes = [(residual(shares + step) - residual(shares - step)) / (2 * CRITERION.difference) for step in steps]
        jacobian = torch.stack(slopes, 1)
        if not bool(torch.isfinite(jacobian).all()):
            return None
        move = torch.linalg.lstsq(jacobian, -best[:, None], rcond=1e-9, driver="gelsd").solution[:, 0]
        for shorter in (1.0, 0.3, 0.1):
            candidate = (shares + shorter * move).clamp(-CRITERION.constants_within, CRITERION.constants_within)
            after = residual(candidate)
            if float(after.square().sum()) < float(best.square().sum()):
                shares, best = candidate, after
                break
        else:
            break
    return shares


def simplified(expression: sympy.Expr) -> Iterator[sympy.Expr]:
    """Other ways to write an expression, each tried for a few seconds at most; those that fail are left out."""
    import sympy

    ways: tuple[Callable[[sympy.Expr], sympy.Expr], ...] = (
        lambda e: canonical(e, multiply_out=False),
        lambda e: canonical(e, multiply_out=True),
        lambda e: sympy.factor_terms(sympy.powsimp(e)),
        lambda e: sympy.cancel(sympy.together(e)),
        sympy.simplify,
    )
    # SymPy's own functions can run for hours; without a time limit only the rules of superpose are tried.
    for way in ways if _can_be_limited() else ways[:2]:
        found = None
        with contextlib.suppress(Exception, _TimeOver), _within(CRITERION.simplify_seconds):
            found = way(expression)
        if isinstance(found, sympy.Expr):
            yield found


class _TimeOver(BaseException):
    """Not an Exception: SymPy catches those to try something else."""


def _can_be_limited() -> bool:
    return hasattr(signal, "SIGALRM") and threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise :class:`_TimeOver` in the block after these seconds, where the system has timers."""
    if not _can_be_limited():
        yield
        return

    def over(*_: Any) -> None:
        raise _TimeOver

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
