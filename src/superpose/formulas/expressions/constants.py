"""Constants of an expression: fitted to data together, then brought to simple values where the data allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.formulas import selection
from superpose.formulas.expressions.rewrite import complexity, without_reciprocals
from superpose.formulas.expressions.simple_values import simple_values
from superpose.formulas.subsets import best_subsets
from superpose.nn.symbolic_functions import torch_function
from superpose.optim.damping import DampingRule
from superpose.optim.gauss_newton import LeastSquares, Stopping, minimise

if TYPE_CHECKING:
    import sympy

Model = Callable[[Tensor], Tensor]
Sensible: TypeAlias = "Callable[[sympy.Expr], bool]"


@dataclass(frozen=True)
class Simplification:
    """When a simpler expression replaces a fitted one, and how large expressions may be.

    Attributes:
        variances: a simpler constant may raise the sum of squares by this many variances of the residuals: three
            standard errors.
        distance: simple values up to this many standard errors away are tried. More than three, since the other
            constants are refitted and may take up the difference.
        spline_width: with splines in the expression, standard errors count as this many times as large, and
        spline_error: a squared error this many times as large is as good. The residuals of splines are smooth, not
            noise, so constants move by more than standard errors tell. No measurement of the two is recorded.
        exact: mean squared errors below this, in units of the target's variance, show data without noise. The
            square of 1e-8, a round number.
        terms: a sum is shortened to at most this many terms. A round number.
        quick: the standard errors of up to this many constants are computed even after the deadline. A round number.
        most: expressions of more constants are not fitted. A round number: the time of a step grows with its square.
    """

    variances: float = 9.0
    distance: float = 4.0
    spline_width: float = 10.0
    spline_error: float = 1.1
    exact: float = 1e-16
    terms: int = 5
    quick: int = 12
    most: int = 60


_RULES = Simplification()
# Mean squared errors below this, in units of the target's variance, cannot be told apart.
_FLOOR = selection.FLOORS.constants**2
# Constants begin near their final values, so that nearly undamped steps are tried first; a damping of 1000 with each
# constant in units of its own makes steps too short to matter. Exact data are followed to rounding, and no step that
# lowers the error is refused.
_DAMPING = DampingRule(start=1e-6, smallest=1e-15, largest=1e3, sufficient=0.0)
# An error of float64's rounding, squared.
_ROUNDING = 1e-32


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
        weights: ``[S]`` of the samples with mean 1; equal if None.
        sensible: whether an expression makes sense, by the units of its columns for example: a constant of one that
            does is not replaced by a simple value with which it does not. All do if left out.
    """

    def __init__(
        self,
        symbols: tuple[sympy.Symbol, ...],
        x: Tensor,
        y: Tensor,
        functions: Mapping[str, Callable[[Tensor], Tensor]],
        deadline: Deadline | None = None,
        weights: Tensor | None = None,
        sensible: Sensible | None = None,
    ) -> None:
        self.sensible = sensible
        self.symbols, self.x, self.y, self.functions = symbols, x, y, functions
        self.deadline = deadline or Deadline()
        self.columns = list(x.unbind(-1))
        # Square roots of the weights, by which residuals are multiplied.
        self.roots = None if weights is None else weights.sqrt()
        variance = y.var(correction=0) if weights is None else (weights * (y - (weights * y).mean()).square()).mean()
        self.variance = float(variance) or 1.0

    def values(self, expression: sympy.Expr) -> Tensor:
        """Values ``[S]`` of an expression on the samples."""
        return torch_function(expression, self.symbols, self.functions)(*self.columns).expand_as(self.y)

    def error(self, expression: sympy.Expr) -> float:
        """Mean squared error in units of the target's variance; infinite where the expression is not finite."""
        return self._squares(self.values(expression))

    def sign(self, expression: sympy.Expr) -> int:
        """1 or -1 if the expression has that sign on all samples, else 0."""
        values = self.values(expression)
        return int(bool((values > 0).all())) - int(bool((values < 0).all()))

    def majority_sign(self, expression: sympy.Expr) -> int:
        """1 or -1, the sign that the expression has on most samples."""
        return 1 if float(self.values(expression).sign().sum()) >= 0 else -1

    def parameterised(self, expression: sympy.Expr) -> tuple[sympy.Expr, list[sympy.Symbol], Tensor, Model]:
        """An expression as a function of its floats.

        Returns:
            The expression with a symbol in place of each float, those symbols, the floats ``[P]``, and the function
            from floats ``[P]`` to values ``[S]``.
        """
        template, slots, start = with_slots(expression)
        function = torch_function(template, (*self.symbols, *slots), self.functions)

        def model(values: Tensor) -> Tensor:
            return function(*self.columns, *values.unbind()).expand_as(self.y)

        return template, slots, torch.tensor(start, dtype=torch.float64), model

    def fit(self, expression: sympy.Expr, steps: int = 30) -> Fitted:  # a round number
        """Least squares in all of an expression's floats at once, by Levenberg-Marquardt."""
        import sympy

        template, slots, values, model = self.parameterised(expression)
        if not slots or len(slots) > _RULES.most:
            return Fitted(expression, self.error(expression), {})
        # Residuals in units in which their sum of squares is the error.
        unit = math.sqrt(self.variance * len(self.y))

        def linearised(values: Tensor) -> LeastSquares | None:
            jacobian = self._weighted(jacobian_of(model, values, self.deadline)) / unit
            finite = bool(torch.isfinite(jacobian).all())
            return LeastSquares(jacobian, self._weighted(model(values) - self.y) / unit) if finite else None

        # The error then changes by far less than ``9 / rows``, by which forms are compared (``variances``).
        stopping = Stopping(steps, loss=_ROUNDING, relative=1e-6, late=self.deadline.passed)
        values, best = minimise(lambda v: self._squares(model(v)), linearised, values, _DAMPING, stopping)
        fitted = {slot: sympy.Float(float(value)) for slot, value in zip(slots, values, strict=True)}
        # Those of many constants, or of splines, take long, and only a later simplification needs them.
        late = (len(slots) > _RULES.quick or bool(self.functions)) and self.deadline.passed()
        errors = {} if late else self._standard_errors(model, values, best)
        return Fitted(template.xreplace(fitted), best, errors)

    def standard_errors(self, expression: sympy.Expr) -> dict[float, float]:
        """The standard error of each float of an expression, by its value; empty if there are too many floats."""
        _, slots, values, model = self.parameterised(expression)
        if not slots or len(slots) > _RULES.most:
            return {}
        return self._standard_errors(model, values, self._squares(model(values)))

    def _weighted(self, residuals: Tensor) -> Tensor:
        """Residuals ``[S]`` or their Jacobian ``[S, P]``, multiplied by the square roots of the weights."""
        if self.roots is None:
            return residuals
        return self.roots.view(-1, *[1] * (residuals.dim() - 1)) * residuals

    def _squares(self, values: Tensor) -> float:
        found = float(self._weighted(values - self.y).square().mean()) / self.variance
        return found if math.isfinite(found) else math.inf

    def _standard_errors(self, model: Model, values: Tensor, error: float) -> dict[float, float]:
        jacobian = self._weighted(jacobian_of(model, values)) / math.sqrt(self.variance)
        if not bool(torch.isfinite(jacobian).all()) or not math.isfinite(error):
            return {}
        scale = jacobian.square().sum(0).sqrt()
        scale = torch.where(scale > 0, scale, 1.0)
        unit = jacobian / scale
        # 45 times the rounding of float64, for a matrix whose diagonal is 1.
        inverse = torch.linalg.pinv(unit.T @ unit, hermitian=True, rtol=1e-14)
        spread = (max(error, _FLOOR) * inverse.diagonal().clamp(min=0)).sqrt() / scale
        return {float(value): float(width) for value, width in zip(values, spread, strict=True)}

    def snapped(self, expression: sympy.Expr) -> Fitted:
        """The expression with simple constants wherever the samples do not object, the rest refitted."""
        import sympy

        if any(self._is_sized(part) for part in expression.atoms(sympy.Mul, sympy.Add)):
            # Factors and offsets of splines are first taken into the splines; see absorb_constants.
            return self.fit(expression)
        current = self._fewer_terms(self.fit(expression))
        more = self.tolerance(expression)
        wider = 1.0 if more == 1 else _RULES.spline_width
        refused: set[tuple[str, str]] = set()
        while not self.deadline.passed():
            for value, simple in _proposals(current, wider):
                key = (f"{value:.6e}", str(simple))
                if key in refused:
                    continue
                changed = _replaced(current.expression, value, simple)
                if changed is not None and self._stays_sensible(current.expression, changed):
                    # The other constants begin near their values: fewer steps than in a first fit. A round number.
                    trial = self.fit(changed, steps=12)
                    if self._acceptable(trial.error, more * current.error):
                        current = trial
                        break
                refused.add(key)
            else:
                break
        return current

    def tolerance(self, expression: sympy.Expr) -> float:
        """The factor by which the squared error of a simpler form may be larger, beside what chance allows."""
        import sympy

        splines = any(part.func.__name__ in self.functions for part in expression.atoms(sympy.Function))
        return _RULES.spline_error if splines else 1.0

    def _is_sized(self, part: sympy.Expr) -> bool:
        """Whether a float multiplies a spline, or is added to one."""
        splines = any(inner.func.__name__ in self.functions for inner in part.args)
        return splines and any(inner.is_Float for inner in part.args)

    def _stays_sensible(self, before: sympy.Expr, after: sympy.Expr) -> bool:
        return self.sensible is None or self.sensible(after) or not self.sensible(before)

    def _fewer_terms(self, current: Fitted) -> Fitted:
        """The smallest part of a sum that fits as well as the whole sum, refitted.

        Terms of a fitted sum may cancel each other. The best subset of each size is tried, the smallest first.
        """
        import sympy

        terms = [term for term in sympy.Add.make_args(current.expression) if term.free_symbols]
        # Of two terms, each disappears when its factor is set to 0, which is tried anyway.
        if len(terms) < 3 or not math.isfinite(current.error):
            return current
        values = torch.stack([self.values(term) for term in terms], -1)
        if not bool(torch.isfinite(values).all()):
            return current
        # Every subset has a constant beside it: both sides are centred.
        most = min(len(terms) - 1, _RULES.terms)
        subsets = best_subsets(values - values.mean(0), self.y - self.y.mean(), 1.0, most=most, keep=1)
        for subset in subsets:
            if self.deadline.passed():
                break
            chosen = [sympy.Float(1.0) * terms[index] for index in sorted(subset.columns)]
            # Any start but 0, which SymPy would drop.
            trial = self.fit(sympy.Add(*chosen, sympy.Float(1e-3)))
            if self._acceptable(trial.error, current.error):
                return trial
        return current

    def _acceptable(self, new: float, old: float) -> bool:
        return new <= max(old, _FLOOR) * (1 + _RULES.variances / len(self.y)) if math.isfinite(new) else False


def jacobian_of(model: Model, values: Tensor, deadline: Deadline | None = None) -> Tensor:
    """``[S, P]``: columns by differentiating ``J^T u``, which is linear in ``u``, once more; NaN after the deadline."""
    parameters = values.detach().requires_grad_()
    with torch.enable_grad():
        found = model(parameters)
        if not found.requires_grad:
            return found.new_zeros((*found.shape, len(values)))
        weights = torch.zeros_like(found, requires_grad=True)
        (pulled,) = torch.autograd.grad(found, parameters, weights, create_graph=True)
        columns: list[Tensor] = []
        for k in range(len(values)):
            if deadline is not None and deadline.passed():
                return torch.full((*found.shape, len(values)), math.nan, dtype=found.dtype)
            columns += torch.autograd.grad(pulled[k], weights, retain_graph=True, materialize_grads=True)
    return torch.stack(columns, -1)


def with_slots(expression: sympy.Expr) -> tuple[sympy.Expr, list[sympy.Symbol], list[float]]:
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
        for tier, simple in simple_values(value, width, current.error < _RULES.exact):
            distance = abs(float(simple) - value)
            # Standard errors of exact data may be smaller than rounding: equal to 9 digits is near. Round numbers.
            if distance <= max(_RULES.distance * width, 1e-9 * max(abs(value), 1e-3 * (tier > 0))):
                # No division by zero.
                found.append((tier - (value in exponents), distance / max(width, 1e-300), value, simple))
    found.sort(key=lambda item: (item[0], item[1]))
    return [(value, simple) for _, _, value, simple in found]


def simplest(problem: ConstantFit, candidates: list[sympy.Expr]) -> Fitted:
    """The simplest of several forms after fitting and snapping, among those whose error is no worse."""
    fitted: list[Fitted] = []
    for expression in candidates:
        if not fitted or not problem.deadline.passed():
            fitted.append(problem.snapped(expression))
    least = max(min(item.error for item in fitted), _FLOOR)
    allowed = least * (1 + _RULES.variances / len(problem.y))
    return min(
        (item for item in fitted if item.error <= allowed),
        key=lambda item: complexity(item.expression),
        default=fitted[0],
    )
