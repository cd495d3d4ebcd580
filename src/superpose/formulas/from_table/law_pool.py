"""The laws that were found for a table: guesses are fitted to all of its columns, and what is left of it is judged."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.deadline import Deadline, charge
from superpose.errors import OptionError
from superpose.formulas import selection
from superpose.formulas.expressions import constants, rewrite
from superpose.formulas.expressions.splines import SplineEdge
from superpose.formulas.from_table.residual_structure import structure
from superpose.formulas.from_table.simplification import floats
from superpose.formulas.from_table.subproblem import Guess
from superpose.nn.symbolic_functions import torch_function
from superpose.pareto import pareto_front

if TYPE_CHECKING:
    import sympy

Listener = Callable[[str], None]
# Whether an expression, which may hold the splines of these names, is allowed.
Allowed = Callable[["sympy.Expr", Mapping[str, SplineEdge]], bool]


@dataclass(frozen=True)
class Demands:
    """What laws have to fulfil beside fitting.

    Attributes:
        allowed: which expressions may become laws; all if left out.
        sensible: see :class:`~superpose.formulas.expressions.constants.ConstantFit`.
    """

    allowed: Allowed | None = None
    sensible: constants.Sensible | None = None


@dataclass(frozen=True)
class _Judgement:
    """When a guess is worth fitting, and when a law leaves nothing to explain.

    Chosen on the AI Feynman equations, but for ``structure``: of noise, polynomials predict less than 2% on rows that
    they have not seen.

    Attributes:
        rows: first rows that constants are fitted to; errors are of all rows.
        steps: of Gauss-Newton for each guess: a right form converges in fewer.
        structure_rows: first rows whose residuals are tested.
        structure: share of the squared residuals below which what is predicted of them is noise.
        near_floor: a law that errs more than this times the best surrogate leaves something to explain.
        worse, worse_than_surrogate: guesses that err more than this times the best guess for their table, or its
            surrogate, wait until the end of the search.
        exact: but for those with less than this error.
        fitted: how many guesses of one table are fitted at once.
        clearly: a larger law on the front must leave less than this share of what a smaller one leaves.
    """

    rows: int = 1500
    steps: int = 12
    structure_rows: int = 6000
    structure: float = 0.02
    near_floor: float = 1.2
    worse: float = 20.0
    worse_than_surrogate: float = 10.0
    exact: float = 1e-7
    fitted: int = 4
    clearly: float = 0.7


_JUDGEMENT = _Judgement()
# Seconds of writing and compiling a guess on one core of a server, beside the steps of its fit.
_WRITING = 2e-2


@dataclass(frozen=True)
class Law:
    """An expression that was found, its constants fitted.

    Attributes:
        expression: of the table's symbols.
        error: root mean squared error on the training and validation rows, in units of the target's standard deviation.
        note: how it was found.
        errors: standard errors of the constants, by their values.
    """

    expression: sympy.Expr
    error: float
    note: str
    errors: Mapping[float, float] = field(default_factory=dict)

    @functools.cached_property
    def score(self) -> float:
        """Error and complexity together; less is better. See :mod:`superpose.formulas.selection`."""
        nodes = selection.size(rewrite.complexity(self.expression), splines=len(self.splines))
        return selection.score(self.error, nodes)

    def description_length(self, rows: int) -> float:
        """Twice the length in nats of the law and what it leaves on ``rows`` rows of noise; less is better.

        Of laws that err by about as much, the right one errs by significantly less: 10,000 rows with 0.1% of noise tell
        curves apart that differ by a hundredth of the noise.
        """
        import sympy

        functions = len(self.expression.atoms(sympy.Function))
        nodes = selection.size(rewrite.complexity(self.expression), functions=functions, splines=len(self.splines))
        deviance = selection.gaussian(self.error, rows)
        return selection.description_length(deviance, nodes, floats(self.expression), rows)

    @functools.cached_property
    def splines(self) -> set[str]:
        """Names of the functions in it that are splines."""
        from sympy.core.function import AppliedUndef

        return {part.func.__name__ for part in self.expression.atoms(AppliedUndef)}


class LawPool:
    """The laws and guesses for one table.

    Args:
        x: ``[N, n]`` columns.
        y: ``[N]`` target.
        symbols: of the columns.
        deadline: at which fits end; none by default.
        seed: of the order of rows.
        enough: the error at which a law leaves nothing to explain.
        demands: what laws have to fulfil; nothing if left out.
        listener: called with a short sentence for each fitted guess.

    Attributes:
        spread: standard deviation of the target.
        splines: the splines in guesses and laws, by name.
        laws: fitted guesses.
        postponed: guesses that wait until the end of the search.
        floor: the least error of a surrogate of the table or of a smaller one.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        symbols: tuple[sympy.Symbol, ...],
        *,
        deadline: Deadline | None = None,
        seed: int = 0,
        enough: float = selection.FLOORS.rounding,
        demands: Demands | None = None,
        listener: Listener | None = None,
    ) -> None:
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
        self.x, self.y, self.symbols = x[order], y[order], symbols
        self.deadline, self.enough, self.demands = deadline or Deadline(), enough, demands or Demands()
        self.tell = listener or (lambda event: None)
        self.spread = float(y.std(correction=0)) or 1.0
        self.splines: dict[str, SplineEdge] = {}
        self.laws: list[Law] = []
        self.postponed: list[Guess] = []
        self.floor = math.inf
        self._seen: set[sympy.Expr] = set()

    def best(self) -> Law:
        """The law with the best score; there must be one."""
        return min(self.laws, key=lambda law: law.score)

    def exact(self) -> bool:
        """Whether a law leaves nothing at all."""
        return any(law.error < self.enough and not law.splines for law in self.laws)

    def found(self) -> bool:
        """Whether the best law leaves nothing to explain: rounding, or residuals without structure."""
        if not self.laws or self.best().splines:
            # There may be symbols for splines yet.
            return False
        best = self.best()
        if best.error < self.enough:
            return True
        return best.error <= _JUDGEMENT.near_floor * self.floor and self.structure(best) < _JUDGEMENT.structure

    def structure(self, law: Law) -> float:
        """The share of the squared residuals of a law that can be predicted."""
        x, y = self.x[: _JUDGEMENT.structure_rows], self.y[: _JUDGEMENT.structure_rows]
        values = torch_function(law.expression, self.symbols, self.splines)(*x.unbind(-1))
        used = [k for k, symbol in enumerate(self.symbols) if symbol in law.expression.free_symbols]
        return structure(x, y - values.expand_as(y), used)

    def consider(self, guesses: list[Guess], surrogate_error: float, deadline: Deadline) -> None:
        """Fit the constants of promising guesses to the whole table, and keep the others for the end.

        Args:
            guesses: for one table, the best first.
            surrogate_error: what the surrogate of that table leaves.
            deadline: after which no further guess is fitted, if there is a law.
        """
        if self.demands.allowed is not None:
            # Only here are all guesses written out: most never have to be.
            guesses = [guess for guess in guesses if self.is_allowed(guess.expression)]
        least = min((guess.error for guess in guesses), default=math.inf)
        worst = min(_JUDGEMENT.worse * least, _JUDGEMENT.worse_than_surrogate * surrogate_error)
        fitted = 0
        for guess in guesses:
            if fitted == _JUDGEMENT.fitted or (self.laws and deadline.passed()):
                return
            if guess.error > max(worst, _JUDGEMENT.exact):
                self.postponed.append(guess)
                continue
            if guess.expression in self._seen:
                continue
            self._seen.add(guess.expression)
            law = self.fitted(guess, deadline)
            fitted += 1
            if law is not None:
                self.laws.append(law)
                if law.error < selection.FLOORS.rounding:
                    return

    def fit_postponed(self, count: int) -> None:
        """Fit the best of the guesses that waited."""
        found = [self.fitted(guess) for guess in sorted(self.postponed, key=lambda guess: guess.score)[:count]]
        self.laws += [law for law in found if law is not None]

    def simpler(self, best: Law, count: int) -> list[Law]:
        """Up to ``count`` laws with fewer nodes than the best, each clearly better than those with fewer nodes."""
        clearly, nodes = _JUDGEMENT.clearly, rewrite.complexity(best.expression)
        # First by sizes that are estimates, so that few guesses are written out.
        promising = pareto_front(
            (guess for guess in self.postponed if guess.error < clearly),
            size=lambda guess: guess.size,
            error=lambda guess: guess.error,
            margin=clearly,
        )
        every: list[Law | Guess] = [*self.laws, *promising]
        items = [(size, item) for item in every if (size := rewrite.complexity(item.expression)) < nodes]
        front = pareto_front(items, size=lambda pair: pair[0], error=lambda pair: pair[1].error, margin=clearly)
        found: list[Law] = []
        for _, item in front:
            if len(found) == count or self.deadline.passed():
                break
            law = item if isinstance(item, Law) else self.fitted(item)
            if law is not None and law.error < clearly * min((one.error for one in found), default=1.0):
                found.append(law)
        return found

    def fitted(self, guess: Guess, deadline: Deadline | None = None) -> Law | None:
        """The guess with all of its constants fitted to the table; None without values, or if it is not allowed."""
        self.splines |= guess.splines
        charge(_WRITING)
        fit = self.constant_fit(_JUDGEMENT.rows, deadline or self.deadline)
        try:
            fitted = fit.fit(guess.expression, steps=_JUDGEMENT.steps)
        except OptionError:
            # SymPy may have written it with a function that torch does not have.
            return None
        if not math.isfinite(fitted.error):
            return None
        error = math.sqrt(self.constant_fit(len(self.y), self.deadline).error(fitted.expression))
        if not math.isfinite(error):
            return None
        self.tell(f"{guess.note}: error {error:.1e} of the target's spread")
        if not self.is_allowed(fitted.expression):
            return None
        return Law(fitted.expression, error, guess.note)

    def is_allowed(self, expression: sympy.Expr) -> bool:
        """Whether an expression may become a law."""
        allowed = self.demands.allowed
        return allowed is None or allowed(expression, self.splines)

    def constant_fit(self, rows: int, deadline: Deadline) -> constants.ConstantFit:
        """Fits of constants to the first rows, which end at the deadline."""
        x, y = self.x[:rows], self.y[:rows]
        return constants.ConstantFit(self.symbols, x, y, self.splines, deadline, sensible=self.demands.sensible)
