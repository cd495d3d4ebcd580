"""Constants of a score's expression, fitted by maximum likelihood and simplified."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.formulas.expressions.constants import ConstantFit, Fitted, jacobian_of, with_slots
from superpose.nn.likelihood import Head
from superpose.nn.symbolic_functions import torch_function
from superpose.optim.damping import DampingRule
from superpose.optim.gauss_newton import NormalEquations, Stopping, minimise

if TYPE_CHECKING:
    import sympy

# A deviance at which the probabilities of all labels are 1 up to this: constants no longer matter. A round number.
_CERTAIN = 1e-7
# Keeps directions along which no probability changes where they are, relative to the diagonal; a round number.
_RIDGE = 1e-9
# Each constant is in units of its own, so the damping has no floor. Scores begin further from the maximum of the
# likelihood than constants of curves from their least squares, and so with more damping.
# Round numbers; nothing was measured.
_DAMPING = DampingRule(start=1e-3, smallest=1e-12, largest=1e6, sufficient=0.0)
# The sum of the deviances up to which classes count as separated: one row in doubt, at probability 1/e, has 2.
_GAP = 2.0


def competing_offset(scores: Tensor, which: int) -> Tensor:
    """``[N]``: added to one of several scores ``[N, K]``, it makes its sigmoid the softmax probability of the class."""
    others = torch.cat([scores[:, :which], scores[:, which + 1 :]], 1)
    return -torch.logsumexp(others, 1)


class ScoreProblem(ConstantFit):
    """Rows of columns and classes to which the constants of one score are fitted.

    The score is ``factor * expression``. Labels determine the factor only by how fast the probability changes, so it is
    kept apart, and the expression's own constants can be simple numbers.

    Args:
        symbols, x: the columns, ``x [S, n]``.
        y: ``[S, 1]`` targets, as :meth:`superpose.nn.Head.targets` makes them.
        head: of one score.
        offset: ``[S]`` added to the score before the head reads it; see :func:`competing_offset`.
        functions: torch functions that are not in the library, by name.
        deadline: at which fits end; none by default.
    """

    def __init__(
        self,
        symbols: tuple[sympy.Symbol, ...],
        x: Tensor,
        y: Tensor,
        head: Head,
        functions: Mapping[str, Callable[[Tensor], Tensor]],
        deadline: Deadline | None = None,
        *,
        offset: Tensor | None = None,
    ) -> None:
        super().__init__(symbols, x, y[:, 0], functions, deadline)
        self.targets, self.head = y, head
        self.offset = torch.zeros(len(y), dtype=y.dtype) if offset is None else offset
        # Where fits begin, and the factor of each expression that was fitted.
        self.factor = 1.0
        self._factors: dict[sympy.Expr, float] = {}
        self._last = 1.0

    @property
    def free_factor(self) -> bool:
        """Whether the score has a factor of its own: not where it is in the units of the labels."""
        return self.head.kind != "ordinal"

    def deviance(self, scores: Tensor) -> float:
        """Twice the mean cross-entropy of scores ``[S]``; infinite where they are not finite."""
        found = 2 * float(self.head((scores + self.offset)[:, None], self.targets))
        return found if math.isfinite(found) else math.inf

    def error(self, expression: sympy.Expr) -> float:
        """The deviance with the best factor."""
        return self.fit(expression).error

    def fit(self, expression: sympy.Expr, steps: int = 40) -> Fitted:  # a round number
        """Damped Fisher scoring in all of an expression's floats and the factor at once."""
        import sympy

        template, slots, start = with_slots(expression)
        function = torch_function(template, (*self.symbols, *slots), self.functions)

        def model(values: Tensor) -> Tensor:
            body = function(*self.columns, *values[1:].unbind()).expand_as(self.y)
            return values[0] * body if self.free_factor else body + 0 * values[0]

        theta = torch.tensor([self.factor if self.free_factor else 1.0, *start], dtype=torch.float64)

        def linearised(theta: Tensor) -> NormalEquations | None:
            matrix, gradient = self._equations(model, theta)
            finite = bool(torch.isfinite(matrix).all() & torch.isfinite(gradient).all())
            return NormalEquations(matrix, gradient, floor=0.0, ridge=_RIDGE) if finite else None

        # Far below 4 / 8192 = 5e-4, by which deviances of 8192 rows are compared (``_acceptable``).
        stopping = Stopping(steps, loss=_CERTAIN, relative=1e-7, absolute=1e-12, late=self.deadline.passed)
        theta, best = minimise(lambda t: self.deviance(model(t)), linearised, theta, _DAMPING, stopping)
        fitted = {slot: sympy.Float(float(value)) for slot, value in zip(slots, theta[1:], strict=True)}
        made = template.xreplace(fitted)
        self._factors[made] = self._last = float(theta[0])
        return Fitted(made, best, self._errors(model, theta, best))

    def _tempered(self, model: Callable[[Tensor], Tensor], theta: Tensor, best: float) -> Tensor:
        """The same constants with a smaller factor where classes are separated without error.

        There the likelihood rises without bound along the factor, and in the limit no row determines the other
        constants. With this factor the rows next to the gap determine them.
        """
        if not self.free_factor or best * len(self.y) >= _GAP:
            return theta
        scores, low, high = model(theta), -30.0, 0.0  # exp(-30) = 1e-13: even huge scores become small
        for _ in range(40):  # halves the interval to 30 / 2**40 = 3e-11
            middle = (low + high) / 2
            certain = self.deviance(math.exp(middle) * scores)
            low, high = (low, middle) if certain * len(self.y) < _GAP else (middle, high)
        return torch.cat([theta[:1] * math.exp(high), theta[1:]])

    def factor_of(self, fitted: Fitted) -> float:
        """The factor that an expression was fitted with; 1 for a score in the labels' units."""
        return self._factors[fitted.expression] if self.free_factor else 1.0

    def snapped(self, expression: sympy.Expr) -> Fitted:
        """As for least squares; each fit begins with the factor of the last accepted expression."""
        first = self.fit(expression)
        self.factor = self._last
        return super().snapped(first.expression)

    def _equations(self, model: Callable[[Tensor], Tensor], theta: Tensor) -> tuple[Tensor, Tensor]:
        jacobian, scores = jacobian_of(model, theta), (model(theta) + self.offset)[:, None]
        rooted = self.head.hessian_root(scores, self.targets)[:, 0] * jacobian
        gradient = jacobian.T @ self.head.gradient(scores, self.targets)[:, 0]
        return rooted.T @ rooted / len(self.y), gradient / len(self.y)

    def _errors(self, model: Callable[[Tensor], Tensor], theta: Tensor, best: float) -> dict[float, float]:
        """Standard error of each float, by its value."""
        if not math.isfinite(best):
            return {}
        matrix, _ = self._equations(model, self._tempered(model, theta, best))
        if not bool(torch.isfinite(matrix).all()):
            return {}
        scale = matrix.diagonal().sqrt().clamp(min=1e-150)  # no division by zero below: its square is a float64
        # 4500 times the rounding of float64, for a matrix whose diagonal is 1. A round number.
        inverse = torch.linalg.pinv(matrix / scale / scale[:, None], hermitian=True, rtol=1e-12)
        width = (inverse.diagonal().clamp(min=0) / len(self.y)).sqrt() / scale
        return {float(value): float(one) for value, one in zip(theta[1:], width[1:], strict=True)}

    def _fewer_terms(self, current: Fitted) -> Fitted:
        # Forward selection and backward elimination have removed such terms already.
        return current

    def _acceptable(self, new: float, old: float) -> bool:
        # A rise of the deviance by 4 is two standard errors of one constant (likelihood ratio).
        acceptable = math.isfinite(new) and new <= old + 4.0 / len(self.y)
        if acceptable:
            self.factor = self._last
        return acceptable
