"""Constants of an expression: fitted to data together, then brought to simple values where the data allow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.formulas import selection
from superpose.formulas.expressions.rewrite import complexity, without_reciprocals
from superpose.formulas.subsets import best_subsets
from superpose.nn.symbolic_functions import torch_function

if TYPE_CHECKING:
    import sympy

# A simpler constant is taken if it raises the sum of squares by less than this many variances (three standard errors).
_ALLOWED = 9.0
_EXACT = selection.FLOORS.constants
_QUICK_CONSTANTS = 12
_MOST_CONSTANTS = 60
# Beside splines, standard errors count so many times, and a squared error so much larger is as good.
_SPLINE_WIDTHS, _SPLINE_MORE = 10.0, 1.1
# Constants known to this share of themselves may be roots of fractions, if three standard errors cover less than so
# much of the distance from one such root to the next.
_ROOT, _SURE_OF_ROOT = 1e-4, 0.1
# Numerators up to this are as plain as a fraction of pi gets. Of others some twenty lie between two whole multiples,
# for each of four powers: with standard errors less than this, chance brings one near in a case of twenty.
_SMALL, _SURE_OF_PI = 12, 1e-4
# Sums are shortened to at most so many terms.
_MOST_KEPT = 5


@dataclass
class Fitted:
    """An expression whose constants were fitted, and what it leaves.

    Attributes:
        expression: with the fitted constants in it.
        error: mean squared error on the samples, in units of the target's variance; infinite if not finite.
        errors: standard error of each float that is left, by the float's value.
    """

    expression: sympy.Expr
    error: float
    errors: dict[float, float]


class ConstantFit:
    """Samples of the columns and the target that constants are fitted to.

    Args:
        symbols: of the columns, in their order.
        x: ``[S, n]`` columns.
        y: ``[S]`` target.
        functions: torch functions of what is not in the library (spline edges), by name.
    """

    def __init__(
        self,
        symbols: tuple[sympy.Symbol, ...],
        x: Tensor,
        y: Tensor,
        functions: Mapping[str, Callable[[Tensor], Tensor]],
        deadline: float = math.inf,
    ) -> None:
        self.symbols, self.x, self.y, self.functions = symbols, x, y, functions
        self.deadline = deadline
        self.columns = list(x.unbind(-1))
        self.variance = float(y.var(correction=0)) or 1.0

    def error(self, expression: sympy.Expr) -> float:
        """Mean squared error in units of the target's variance."""
        values = torch_function(expression, self.symbols, self.functions)(*self.columns)
        found = float((values.expand_as(self.y) - self.y).square().mean()) / self.variance
        return found if math.isfinite(found) else math.inf

    def sign(self, expression: sympy.Expr) -> int:
        """1 or -1 if the expression has that sign on all samples, else 0."""
        values = torch_function(expression, self.symbols, self.functions)(*self.columns)
        return int(bool((values > 0).all())) - int(bool((values < 0).all()))

    def majority(self, expression: sympy.Expr) -> int:
        """1 or -1, the sign that the expression has on most samples."""
        values = torch_function(expression, self.symbols, self.functions)(*self.columns)
        return 1 if float(values.expand_as(self.y).sign().sum()) >= 0 else -1

    def fit(self, expression: sympy.Expr, steps: int = 30) -> Fitted:
        """Least squares in all of an expression's floats at once, by Levenberg-Marquardt."""
        template, slots, start = _with_slots(expression)
        if not slots or len(slots) > _MOST_CONSTANTS:
            return Fitted(expression, self.error(expression), {})
        function = torch_function(template, (*self.symbols, *slots), self.functions)

        def model(values: Tensor) -> Tensor:
            return function(*self.columns, *values.unbind()).expand_as(self.y)

        values = torch.tensor(start, dtype=torch.float64)
        best = self._squares(model(values))
        damping, jacobian = 1e-6, None
        for _ in range(steps):
            if not math.isfinite(best) or best < 1e-32 or time.monotonic() > self.deadline:
                break
            if jacobian is None:
                jacobian = _jacobian(model, values) / math.sqrt(self.variance * len(self.y))
                residual = (model(values) - self.y) / math.sqrt(self.variance * len(self.y))
                if not bool(torch.isfinite(jacobian).all()):
                    break
            scale = jacobian.square().sum(0).sqrt()
            scale = torch.where(scale > 0, scale, 1.0)
            move = _damped(jacobian / scale, residual, damping) / scale
            trial = values - move
            error = self._squares(model(trial))
            if error < best:
                small = error > best * (1 - 1e-6)
                values, best, damping, jacobian = trial, error, max(damping / 10, 1e-15), None
                if small:
                    break
            else:
                damping *= 10
                if damping > 1e3:
                    break
        fitted = {slot: _float(float(value)) for slot, value in zip(slots, values, strict=True)}
        # Of many constants they take long, and are for what comes next, which nothing does when the time is over.
        late = len(slots) > _QUICK_CONSTANTS and time.monotonic() > self.deadline
        errors = {} if late else self._standard_errors(model, values, best)
        return Fitted(template.xreplace(fitted), best, errors)

    def standard_errors(self, expression: sympy.Expr) -> dict[float, float]:
        """The standard error of each float of an expression by its value; empty where these make no least squares."""
        template, slots, start = _with_slots(expression)
        if not slots or len(slots) > _MOST_CONSTANTS:
            return {}
        function = torch_function(template, (*self.symbols, *slots), self.functions)

        def model(values: Tensor) -> Tensor:
            return function(*self.columns, *values.unbind()).expand_as(self.y)

        values = torch.tensor(start, dtype=torch.float64)
        return self._standard_errors(model, values, self._squares(model(values)))

    def _squares(self, values: Tensor) -> float:
        found = float((values - self.y).square().mean()) / self.variance
        return found if math.isfinite(found) else math.inf

    def _standard_errors(self, model: Callable[[Tensor], Tensor], values: Tensor, error: float) -> dict[float, float]:
        jacobian = _jacobian(model, values) / math.sqrt(self.variance)
        if not bool(torch.isfinite(jacobian).all()) or not math.isfinite(error):
            return {}
        scale = jacobian.square().sum(0).sqrt()
        scale = torch.where(scale > 0, scale, 1.0)
        unit = jacobian / scale
        inverse = torch.linalg.pinv(unit.T @ unit, hermitian=True, rtol=1e-14)
        spread = (max(error, _EXACT**2) * inverse.diagonal().clamp(min=0)).sqrt() / scale
        return {float(value): float(width) for value, width in zip(values, spread, strict=True)}

    def snapped(self, expression: sympy.Expr) -> Fitted:
        """The expression with simple constants wherever the samples do not object, the rest refitted."""
        import sympy

        if any(self._is_sized(part) for part in expression.atoms(sympy.Mul, sympy.Add)):
            # The size of a spline is nobody's constant: there is nothing to bring to a simple value.
            return self.fit(expression)
        current = self._fewer_terms(self.fit(expression))
        more = self.leeway(expression)
        wider = 1.0 if more == 1 else _SPLINE_WIDTHS
        refused: set[tuple[str, str]] = set()
        while time.monotonic() < self.deadline:
            for value, simple in _proposals(current, wider):
                key = (f"{value:.6e}", str(simple))
                if key in refused:
                    continue
                changed = _replaced(current.expression, value, simple)
                if changed is not None:
                    trial = self.fit(changed, steps=12)
                    if self._acceptable(trial.error, more * current.error):
                        current = trial
                        break
                refused.add(key)
            else:
                break
        return current

    def leeway(self, expression: sympy.Expr) -> float:
        """By how much the squared error of a simpler form may be larger, beside what chance allows.

        The residuals of splines are no noise: they shift constants by more than standard errors say.
        """
        import sympy

        splines = any(part.func.__name__ in self.functions for part in expression.atoms(sympy.Function))
        return _SPLINE_MORE if splines else 1.0

    def _is_sized(self, part: sympy.Expr) -> bool:
        """Whether a float multiplies a spline, or is added to one."""
        splines = any(inner.func.__name__ in self.functions for inner in part.args)
        return splines and any(inner.is_Float for inner in part.args)

    def _fewer_terms(self, current: Fitted) -> Fitted:
        """The shortest part of a sum that does as well as all of it, refitted; terms may have cancelled each other."""
        import sympy

        terms = [term for term in sympy.Add.make_args(current.expression) if term.free_symbols]
        if len(terms) < 3 or not math.isfinite(current.error):
            return current
        columns = [torch_function(t, self.symbols, self.functions)(*self.columns).expand_as(self.y) for t in terms]
        values, goal = torch.stack(columns, -1), self.y - self.y.mean()
        # A constant stands beside the terms in any case: columns about their means leave it out of the choice.
        values = values - values.mean(0)
        if not bool(torch.isfinite(values).all()):
            return current
        for subset in best_subsets(values, goal, 1.0, most=min(len(terms) - 1, _MOST_KEPT), keep=1):
            if time.monotonic() > self.deadline:
                break
            kept = [sympy.Float(1.0) * terms[index] for index in sorted(subset.columns)]
            trial = self.fit(sympy.Add(*kept, sympy.Float(1e-3)))
            if self._acceptable(trial.error, current.error):
                return trial
        return current

    def _acceptable(self, new: float, old: float) -> bool:
        least = _EXACT**2
        return new <= max(old, least) * (1 + _ALLOWED / len(self.y)) if math.isfinite(new) else False


def _jacobian(model: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """``[S, P]``: columns by differentiating ``J^T u``, which is linear in ``u``, once more."""
    parameters = values.detach().requires_grad_()
    with torch.enable_grad():
        found = model(parameters)
        if not found.requires_grad:
            return found.new_zeros((*found.shape, len(values)))
        weights = torch.zeros_like(found, requires_grad=True)
        (pulled,) = torch.autograd.grad(found, parameters, weights, create_graph=True)
        columns = [
            torch.autograd.grad(pulled[k], weights, retain_graph=True, materialize_grads=True)[0]
            for k in range(len(values))
        ]
    return torch.stack(columns, -1)


def _damped(jacobian: Tensor, residual: Tensor, damping: float) -> Tensor:
    """Solved on the stacked system, not the normal equations: exact data are fitted to the last digit."""
    count = jacobian.shape[1]
    stacked = torch.cat([jacobian, math.sqrt(damping) * torch.eye(count, dtype=jacobian.dtype)])
    target = torch.cat([residual, residual.new_zeros(count)])
    q, r = torch.linalg.qr(stacked)
    move: Tensor = torch.linalg.solve_triangular(r, (q.T @ target)[:, None], upper=True)[:, 0]
    return move


def _float(value: float) -> sympy.Float:
    import sympy

    return sympy.Float(value)


def _with_slots(expression: sympy.Expr) -> tuple[sympy.Expr, list[sympy.Symbol], list[float]]:
    """The expression with a symbol in place of each occurrence of a float, those symbols, and their values."""
    import sympy

    slots: list[sympy.Symbol] = []
    start: list[float] = []

    def walk(node: sympy.Expr) -> sympy.Expr:
        if node.is_Float:
            slots.append(sympy.Dummy(f"p{len(slots)}", real=True))
            start.append(float(node))
            return slots[-1]
        if not node.args:
            return node
        return node.func(*(walk(part) for part in node.args))

    return walk(expression), slots, start


def _replaced(expression: sympy.Expr, value: float, simple: sympy.Expr) -> sympy.Expr | None:
    """The expression with one float replaced; None where that leaves nothing or makes no sense."""
    import sympy

    changed = expression.xreplace({sympy.Float(value): simple})
    if changed == expression or changed.has(sympy.nan, sympy.zoo, sympy.oo):
        return None
    return without_reciprocals(changed)


def _proposals(current: Fitted, wider: float) -> list[tuple[float, sympy.Expr]]:
    """Simple values within three standard errors of each float, the simplest and surest first."""
    import sympy

    found: list[tuple[int, float, float, sympy.Expr]] = []
    exponents = {float(power.exp) for power in current.expression.atoms(sympy.Pow) if power.exp.is_Float}
    for number in current.expression.atoms(sympy.Float):
        value = float(number)
        width = wider * current.errors.get(value, 0.0)
        for tier, simple in _simple_values(value, width, current.error < 1e-16):
            distance = abs(float(simple) - value)
            if distance <= max(4 * width, 1e-9 * max(abs(value), 1e-3 * (tier > 0))):
                found.append((tier - (value in exponents), distance / max(width, 1e-300), value, simple))
    found.sort(key=lambda item: (item[0], item[1]))
    return [(value, simple) for _, _, value, simple in found]


def _simple_values(value: float, width: float, exact: bool) -> list[tuple[int, sympy.Expr]]:
    """Candidates in tiers: the finer the set of values, the surer the constant must be."""
    import sympy

    size = max(abs(value), 1e-12)
    relative = width / size
    found: list[tuple[int, sympy.Expr]] = [(0, sympy.Integer(0))]
    if width < 0.15 and abs(value) < 1e9:
        found.append((1, sympy.Integer(round(value))))
    if relative < 0.03:
        found += [(2, q) for q in _rationals(value, (2, 3, 4), width)]
        found += [
            (2, sign * q * sympy.pi) for sign in (-1, 1) for q in (sympy.Rational(1, 2), 1, 2) if sign * value > 0
        ]
    if relative < 1e-3 and size < 1e3:
        found += [(3, q) for q in _rationals(value, (5, 6, 8, 10), width)]
        for power in (1, -1, 2, -2):
            unit = math.pi**power
            near = _rationals(value / unit, (1, 2, 3, 4, 6, 8, 16), width / unit)
            found += [(4, q * sympy.pi**power) for q in near if abs(q.p) <= _SMALL]
            if exact or width / unit < _SURE_OF_PI:
                found += [(6, q * sympy.pi**power) for q in near if abs(q.p) > _SMALL]
        found += [(5, q * sympy.E) for q in _rationals(value / math.e, (1, 2), width)]
    if relative < _ROOT and size < 10:
        # Squares of simple fractions' roots lie close together: only what is known well is told apart by them.
        near = [q for q in _rationals(value * abs(value), (1, 2, 3), 2 * size * width / _SURE_OF_ROOT) if q]
        found += [(5, sympy.sign(q) * sympy.sqrt(abs(q))) for q in near]
    if exact and relative < 1e-5 and size < 1e3:
        squared = [q for q in _rationals(value * abs(value), (1, 2, 3, 4, 5, 6, 8)) if 0 < abs(q) < 100]
        found += [(5, sympy.sign(q) * sympy.sqrt(abs(q))) for q in squared]
        for root in (sympy.sqrt(sympy.pi), sympy.sqrt(2 * sympy.pi)):
            for unit, symbol in ((float(root), root), (1 / float(root), 1 / root)):
                found += [(5, q * symbol) for q in _rationals(value / unit, (1, 2, 4))]
        for power in (3, -3):
            found += [(6, q * sympy.pi**power) for q in _rationals(value / math.pi**power, (1, 2, 3, 4, 6, 8))]
        found += [(6, q * sympy.pi**power) for power in (1, -1) for q in _rationals(value / math.pi**power, (12,))]
        found += [(6, q) for q in _rationals(value, (7, 9, 12, 15, 16, 20, 25, 32, 50, 64, 100, 1000))]
    return [(tier, simple) for tier, simple in found if simple != 0 or tier == 0]


def _rationals(value: float, denominators: tuple[int, ...], width: float = 0.0) -> list[sympy.Rational]:
    """The nearest fractions, as long as these lie further apart than the value is uncertain."""
    import sympy

    if not abs(value) < 1e9:
        return []
    some = [q for q in denominators if round(value * q) and width * q < 0.15]
    return [sympy.Rational(round(value * q), q) for q in some]


def simplest(problem: ConstantFit, candidates: list[sympy.Expr]) -> Fitted:
    """The simplest of several forms after fitting and snapping, among those whose error is no worse."""
    fitted: list[Fitted] = []
    for expression in candidates:
        if not fitted or time.monotonic() < problem.deadline:
            fitted.append(problem.snapped(expression))
    least = max(min(item.error for item in fitted), _EXACT**2)
    allowed = least * (1 + _ALLOWED / len(problem.y))
    return min(
        (item for item in fitted if item.error <= allowed),
        key=lambda item: complexity(item.expression),
        default=fitted[0],
    )
