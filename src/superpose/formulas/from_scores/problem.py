"""Constants of a score's expression, fitted so that the classes seen are most probable, and made simple."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.formulas.expressions.constants import ConstantFit, Fitted, jacobian_of, with_slots
from superpose.nn.head import Head
from superpose.nn.symbolic_functions import torch_function
from superpose.optim.damping import DampingRule
from superpose.optim.gauss_newton import NormalEquations, Stopping, minimise

if TYPE_CHECKING:
    import sympy

# Probabilities so near to what was seen cannot tell constants apart.
_CERTAIN = 1e-7
# Keeps directions along which no probability changes where they are, relative to the diagonal; a round number.
_RIDGE = 1e-9
# Each constant is in units of its own (no floor). Scores begin further from their end than constants of curves do.
_DAMPING = DampingRule(start=1e-3, smallest=1e-12, largest=1e6, sufficient=0.0)
# The sum of the deviances at which a gap between classes is looked at.
_GAP = 2.0


def against(scores: Tensor, which: int) -> Tensor:
    """``[N]``: with this added, a sigmoid of one of several scores ``[N, K]`` is its class's probability among all."""
    others = torch.cat([scores[:, :which], scores[:, which + 1 :]], 1)
    return -torch.logsumexp(others, 1)


class ScoreProblem(ConstantFit):
    """Rows of columns and classes that the constants of one score are fitted to.

    The score is ``factor * expression``. Where the class is all that was seen only the factor's sign and its size
    beside the others' constants matter, so it is kept apart, and the expression's own constants can be simple ones.

    Args:
        symbols, x: the columns, ``x [S, n]``.
        y: ``[S, 1]`` what was seen, as :meth:`superpose.nn.Head.targets` gives it.
        head: of one score.
        offset: ``[S]`` what is added to the score before the head reads it; see :func:`against`.
        functions: torch functions of what is not in the library, by name.
        deadline: a time of :func:`time.monotonic`.
    """

    def __init__(
        self,
        symbols: tuple[sympy.Symbol, ...],
        x: Tensor,
        y: Tensor,
        head: Head,
        functions: Mapping[str, Callable[[Tensor], Tensor]],
        deadline: float = math.inf,
        *,
        offset: Tensor | None = None,
    ) -> None:
        super().__init__(symbols, x, y[:, 0], functions, deadline)
        self.seen, self.head = y, head
        self.offset = torch.zeros(len(y), dtype=y.dtype) if offset is None else offset
        # Where fits begin, and what each came to.
        self.factor = 1.0
        self._factors: dict[sympy.Expr, float] = {}
        self._last = 1.0

    @property
    def free_factor(self) -> bool:
        """Whether the score has a factor of its own: not where it is in the units of the labels."""
        return self.head.kind != "ordinal"

    def deviance(self, scores: Tensor) -> float:
        """Twice the mean cross-entropy of scores ``[S]``; infinite where they are not finite."""
        found = 2 * float(self.head((scores + self.offset)[:, None], self.seen))
        return found if math.isfinite(found) else math.inf

    def error(self, expression: sympy.Expr) -> float:
        """The deviance with the best factor."""
        return self.fit(expression).error

    def fit(self, expression: sympy.Expr, steps: int = 40) -> Fitted:
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

        stopping = Stopping(steps, loss=_CERTAIN, relative=1e-7, absolute=1e-12, late=self._late)
        theta, best = minimise(lambda t: self.deviance(model(t)), linearised, theta, _DAMPING, stopping)
        fitted = {slot: sympy.Float(float(value)) for slot, value in zip(slots, theta[1:], strict=True)}
        made = template.xreplace(fitted)
        self._factors[made] = self._last = float(theta[0])
        return Fitted(made, best, self._errors(model, theta, best))

    def _tempered(self, model: Callable[[Tensor], Tensor], theta: Tensor, best: float) -> Tensor:
        """Where classes do not overlap, the same constants with a factor under which the gap between them is seen.

        The likelihood rises without end along the factor, and at its end no row tells one constant from another.
        """
        if not self.free_factor or best * len(self.y) >= _GAP:
            return theta
        scores, low, high = model(theta), -30.0, 0.0
        for _ in range(40):
            middle = (low + high) / 2
            certain = self.deviance(math.exp(middle) * scores)
            low, high = (low, middle) if certain * len(self.y) < _GAP else (middle, high)
        return torch.cat([theta[:1] * math.exp(high), theta[1:]])

    def factor_of(self, fitted: Fitted) -> float:
        """The factor that an expression was fitted with; one where there is none."""
        return self._factors[fitted.expression] if self.free_factor else 1.0

    def snapped(self, expression: sympy.Expr) -> Fitted:
        """As for least squares; each fit begins with the factor of the last expression that was taken."""
        first = self.fit(expression)
        self.factor = self._last
        return super().snapped(first.expression)

    def _equations(self, model: Callable[[Tensor], Tensor], theta: Tensor) -> tuple[Tensor, Tensor]:
        jacobian, scores = jacobian_of(model, theta), (model(theta) + self.offset)[:, None]
        rooted = self.head.hessian_root(scores, self.seen)[:, 0] * jacobian
        pull = jacobian.T @ self.head.gradient(scores, self.seen)[:, 0]
        return rooted.T @ rooted / len(self.y), pull / len(self.y)

    def _errors(self, model: Callable[[Tensor], Tensor], theta: Tensor, best: float) -> dict[float, float]:
        """Standard error of each float, by its value."""
        if not math.isfinite(best):
            return {}
        matrix, _ = self._equations(model, self._tempered(model, theta, best))
        if not bool(torch.isfinite(matrix).all()):
            return {}
        scale = matrix.diagonal().sqrt().clamp(min=1e-150)
        inverse = torch.linalg.pinv(matrix / scale / scale[:, None], hermitian=True, rtol=1e-12)
        width = (inverse.diagonal().clamp(min=0) / len(self.y)).sqrt() / scale
        return {float(value): float(one) for value, one in zip(theta[1:], width[1:], strict=True)}

    def _fewer_terms(self, current: Fitted) -> Fitted:
        # Sums are put together term by term, each of which was needed.
        return current

    def _acceptable(self, new: float, old: float) -> bool:
        # Two standard errors of one constant, in the sum of the deviances.
        acceptable = math.isfinite(new) and new <= old + 4.0 / len(self.y)
        if acceptable:
            self.factor = self._last
        return acceptable
