"""The search for a law: tables are made smaller by their symmetries, and guesses are made at every table on the way.

Guesses are only rough; each that looks promising is lifted to the original columns, where all of its constants are
fitted together. What counts is the error there.
"""

from __future__ import annotations

import enum
import heapq
import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.errors import OptionError
from superpose.formulas import selection
from superpose.formulas.expressions import constants, rewrite
from superpose.formulas.expressions.splines import SplineEdge
from superpose.formulas.from_table.additive import additive
from superpose.formulas.from_table.curve import stages
from superpose.formulas.from_table.expansions import chosen, expansions
from superpose.formulas.from_table.hidden_sums import hidden_sums
from superpose.formulas.from_table.node import Guess, Node
from superpose.formulas.from_table.residual_structure import structure
from superpose.formulas.from_table.ridges import ridges
from superpose.formulas.from_table.simplification import floats
from superpose.formulas.from_table.splits import splits, without
from superpose.formulas.from_table.surrogate import Smooth, smooth
from superpose.formulas.from_table.symmetries import Reduction, reductions
from superpose.formulas.from_table.trials import leading, trials
from superpose.pareto import pareto_front
from superpose.stopping import StopReason

if TYPE_CHECKING:
    import sympy

Listener = Callable[[str], None]

# Errors are root mean squares in units of the target's standard deviation.
_EXACT = selection.FLOORS.rounding
_ROWS, _POINTS, _FIT_ROWS = 6000, 700, 1500
# A stand-in that errs more than this shows no derivatives.
_ROUGH = 0.3
# One that errs more than this may be waving too fast for polynomials.
_LIVELY = 0.015
# One that errs less than this has slopes whose ratios can be trusted.
_SMOOTH = 1e-3
# Reductions that misfit less than this leave no need to look for others.
_SURE = 1e-3
# A stand-in that errs by so much more than the best one is as good.
_AS_GOOD = 1.2
# With fewer columns a stand-in does no worse, but for chance, where it is far from exact.
_LOSS = 1.3
# Seconds for which a search goes on at least after a law that leaves noise.
_AGAIN = 10.0
# So many times longer after one with more decimal numbers than this.
_PATIENT, _PLAIN = 3.0, 4
_NOTHING_LEFT = "a formula leaves nothing to explain"
# How far a second look at a table comes after its first, in powers of ten of a misfit, so that first looks at others
# come between; how far before, if one column is left and nothing was lost.
_LATER, _SURE_FIRST = 1.0, -3.0
# Splits that are followed, and the share of the time left that the search for one part may take.
_SPLITS, _SPLIT_SHARE = 2, 0.25
# Seconds for trying reductions then.
_TRIALS = 8.0
# Among more columns than this some are likely to be idle.
_MANY = 3
# Residuals of which a polynomial explains less than this are noise.
_STRUCTURE = 0.02
# A larger law on the front must leave less than this share of what a smaller one leaves.
_CLEARLY = 0.7
# Guesses of one table that are fitted at once.
_FITTED = 4
_CHILDREN, _NOISY_CHILDREN, _DEPTH, _TOLERANCE = 5, 14, 8, 0.2


@dataclass
class Law:
    """An expression that was found, its constants fitted.

    Attributes:
        expression: of the table's symbols.
        error: root mean squared error on the rows that were not held out, in units of the target's spread.
        note: where it comes from.
        errors: standard errors of the constants, by their values.
    """

    expression: sympy.Expr
    error: float
    note: str
    errors: Mapping[float, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """Error and complexity together; less is better. See :mod:`superpose.formulas.selection`."""
        nodes = selection.size(rewrite.complexity(self.expression), splines=len(self.splines))
        return selection.score(self.error, nodes)

    @property
    def splines(self) -> set[str]:
        """Names of the functions in it that are no symbols."""
        from sympy.core.function import AppliedUndef

        return {part.func.__name__ for part in self.expression.atoms(AppliedUndef)}


class Stage(enum.Enum):
    """How thoroughly a table is looked at, from what is quick and likely to what is slow."""

    FIRST = "stand-in, plainest terms, symmetries"
    PARTS = "compositions and parts"
    SUMS = "sums of curves"
    TERMS = "all terms"


@dataclass(frozen=True)
class _Task:
    """A table to be looked at, or to be looked at again more thoroughly.

    Attributes:
        parent_error: of the stand-in for the table that it was made of.
        stand_in: None before the first look.
        stage: what is to be done with it.
    """

    node: Node
    parent_error: float
    stand_in: Smooth | None = None
    stage: Stage = Stage.FIRST


def _constant(node: Node) -> Guess:
    """What a table without columns says: the original target is a product of powers."""
    import sympy

    return Guess(lambda: node.lift(sympy.Float(float(node.y.mean()))), 0.0, "product of powers", 1.0)


class Engine:
    """One search.

    Args:
        x: ``[N, n]`` columns, rows that may be looked at.
        y: ``[N]`` target.
        symbols: of the columns.
        deadline: a time of :func:`time.monotonic`.
        seed: of the order of rows.
        enough: the error at which a law leaves nothing to explain.
        listener: told what is reached.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        symbols: tuple[sympy.Symbol, ...],
        *,
        deadline: float,
        seed: int = 0,
        enough: float = _EXACT,
        listener: Listener | None = None,
    ) -> None:
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
        self.x, self.y, self.symbols = x[order], y[order], symbols
        self.enough = enough
        self.deadline, self.tell = deadline, listener or (lambda event: None)
        self.spread = float(y.std(correction=0)) or 1.0
        self.splines: dict[str, SplineEdge] = {}
        self.laws: list[Law] = []
        self.poor: list[Guess] = []
        self.seen: set[sympy.Expr] = set()
        self.floor = math.inf
        # When the search ends for want of anything plainer, once a law leaves noise.
        self.again = math.inf
        self.stop = StopReason.NOT_RUN

    # -- the tree of tables

    def run(self) -> str:
        """Search until a law explains all that can be explained, or nothing is left to try; says why it ended."""
        try:
            return self._run()
        except KeyboardInterrupt:
            self.stop = StopReason.INTERRUPTED
            return "interrupted; the best found so far was kept"

    def _run(self) -> str:
        rows = slice(0, _ROWS)
        root = Node(
            self.x[rows],
            self.y[rows],
            torch.ones_like(self.y[rows]),
            list(self.symbols),
            self.spread,
            lambda expression: expression,
        )
        queue: list[tuple[float, int, _Task]] = [(0.0, 0, _Task(root, math.inf))]
        counter = itertools.count(1)
        self.began = time.monotonic()
        done = False
        while queue and not self.late():
            priority, _, task = heapq.heappop(queue)
            for more, following in self._done(task):
                heapq.heappush(
                    queue,
                    (max(priority, -9.0) + more if task.node is following.node else more, next(counter), following),
                )
            if done := self.done():
                break
        if done or self.found():
            self.stop = StopReason.CONVERGED
            return _NOTHING_LEFT
        self.stop = StopReason.TIME_LIMIT if self.late() else StopReason.CANDIDATES_EXHAUSTED
        return "the time was over" if self.late() else "every reduction was tried"

    def late(self) -> bool:
        return time.monotonic() > self.deadline

    def exact(self) -> bool:
        """Whether a law leaves nothing at all."""
        return any(law.error < self.enough and not law.splines for law in self.laws)

    def done(self) -> bool:
        """Whether a law leaves nothing to explain and none that is plainer is to be looked for."""
        if self.exact():
            return True
        if self.found():
            # In noise a plainer law may do as well: the search goes on for as long as it took so far. One with many
            # constants is likely to be an expansion of the right one.
            best = min(self.laws, key=lambda law: law.score)
            patience = _PATIENT if floats(best.expression) > _PLAIN else 1.0
            again = time.monotonic() + patience * max(_AGAIN, time.monotonic() - self.began)
            self.again = min(self.again, again)
        return time.monotonic() > self.again

    def _done(self, task: _Task) -> list[tuple[float, _Task]]:
        """Guess at a table; what is to be done next, with how promising it is (less is more)."""
        if task.stand_in is None:
            return self._looked_at(task)
        node, stand_in = task.node, task.stand_in
        if node.x.shape[1] == 1:
            for batch in stages(node, self.deadline):
                self.consider(chosen(batch), stand_in.error)
                # In noise any curve that is smooth fits; what is right has to be among those that are compared.
                if self.exact():
                    break
            return []
        if task.stage is Stage.PARTS:
            return [*self._parts(node, stand_in), (0.1, replace(task, stage=Stage.SUMS))]
        if task.stage is Stage.SUMS:
            good = min(max(3 * stand_in.error, 1e-5), 0.03)
            # Curves read off splines are rough however good the stand-in is: their constants are fitted all the same.
            self.consider(additive(node, good, self.deadline), max(stand_in.error, good))
            return [(1.0, replace(task, stage=Stage.TERMS))]
        self.consider(expansions(node, self.deadline), stand_in.error)
        return []

    def _looked_at(self, task: _Task) -> list[tuple[float, _Task]]:
        """A first look: a stand-in, the plainest terms, the symmetries."""
        node, count = task.node, task.node.x.shape[1]
        if count == 0:
            self.consider([_constant(node)], 1.0)
            return []
        stand_in = smooth(node.x, node.y, node.weight, self.spread)
        if stand_in.error > max((_LOSS if task.parent_error > _SMOOTH else 3.0) * task.parent_error, 1e-6):
            # It holds less than the table that it was made of: no symmetry after all.
            return []
        self.floor = min(self.floor, max(stand_in.error, _EXACT))
        note = " -> ".join(node.notes) or "the table"
        self.tell(f"{note}: {count} columns, a smooth stand-in errs by {stand_in.error:.1e}")
        self.consider(expansions(node, self.deadline, quick=True), stand_in.error)
        # Nothing was lost on the way to a table that can be explained as well as any: it comes before doubtful ones.
        sure = bool(node.notes) and stand_in.error <= max(_AS_GOOD * self.floor, 1e-9)
        first = _SURE_FIRST if sure and count == 1 else _LATER
        later = replace(task, stand_in=stand_in, stage=Stage.SUMS)
        if self.done() or self.late() or count == 1:
            return [(first, later)]
        found: list[Reduction] = []
        if stand_in.error < _ROUGH:
            points = node.x[:_POINTS]
            value, gradient = stand_in.gradient(points)
            weight = node.weight[:_POINTS]
            usable = torch.isfinite(value) & torch.isfinite(gradient).all(-1)
            if count > _MANY:
                reach = points[usable].std(0) * (gradient * weight[:, None])[usable].square().mean(0).sqrt()
                found += leading(node, stand_in.error, reach, self.deadline)
            found += reductions(
                node.x,
                list(node.symbols),
                points[usable],
                (value * weight)[usable],
                (gradient * weight[:, None])[usable],
            )
            if stand_in.error < _SMOOTH and all(reduction.misfit > _SURE for reduction in found):
                later = replace(later, stage=Stage.PARTS)
        if stand_in.error > _LIVELY:
            found += trials(node, stand_in.error, min(self.deadline, time.monotonic() + _TRIALS))
            found += ridges(node.x, node.y, list(node.symbols))
        return [(first, later), *self._children(node, stand_in, found)]

    def _parts(self, node: Node, stand_in: Smooth) -> list[tuple[float, _Task]]:
        """Smaller tables for which curves, or laws of some of the columns, have to be read first."""
        points = node.x[:_POINTS]
        value, gradient = stand_in.gradient(points)
        usable = torch.isfinite(value) & torch.isfinite(gradient).all(-1)
        until = min(self.deadline, time.monotonic() + _TRIALS)
        found = hidden_sums(node, points[usable], gradient[usable], until)
        return self._children(node, stand_in, [*found, *self._split(node, stand_in)])

    def _children(self, node: Node, stand_in: Smooth, found: list[Reduction]) -> list[tuple[float, _Task]]:
        """The tables of the clearest reductions, with how promising they are."""
        following: list[tuple[float, _Task]] = []
        found.sort(key=lambda r: (max(r.misfit, 1e-9), r.columns.shape[1]))
        # In noise the clearest may all be chance.
        most = _CHILDREN if found and found[0].misfit < _SURE else _NOISY_CHILDREN
        for reduction in found[:most]:
            if reduction.misfit < _TOLERANCE and bool(torch.isfinite(reduction.columns).all()):
                child = node.reduced(reduction)
                if bool(torch.isfinite(child.y).all()) and len(child.notes) <= _DEPTH:
                    misfit = math.log10(max(reduction.misfit, 0.1 * stand_in.error, 1e-9))
                    priority = misfit + 0.2 * reduction.columns.shape[1] + 0.1 * (reduction.factor is not None)
                    following.append((priority, _Task(child, max(stand_in.error, reduction.rough))))
        return following

    def _split(self, node: Node, stand_in: Smooth) -> Iterator[Reduction]:
        """Reductions by a term or a factor of columns that stand apart, found by a search of its own."""
        for split in itertools.islice(splits(node, stand_in), _SPLITS):
            until = time.monotonic() + _SPLIT_SHARE * max(0.0, self.deadline - time.monotonic())
            made = without(node, split, self._solved, until)
            if made is not None:
                yield made

    def _solved(
        self, x: Tensor, y: Tensor, symbols: list[sympy.Symbol], enough: float, seconds: float
    ) -> tuple[sympy.Expr, float] | None:
        inner = Engine(x, y, tuple(symbols), deadline=time.monotonic() + seconds, enough=enough)
        inner.run()
        usable = [law for law in inner.laws if not law.splines]
        best = min(
            usable,
            key=lambda law: replace(law, error=max(law.error, enough)).score,
            default=None,
        )
        if inner.stop is StopReason.INTERRUPTED:
            raise KeyboardInterrupt
        return None if best is None else (best.expression, best.error)

    # -- laws

    def consider(self, guesses: list[Guess], stand_in: float = 0.0) -> None:
        """Fit the constants of guesses in the original table and keep those that are worth it.

        Guesses that are much worse than the smooth stand-in for their table wait until the end.
        """
        if not guesses:
            return
        least = min(guess.error for guess in guesses)
        fitted = 0
        for guess in guesses:
            if (self.late() and self.laws) or fitted == _FITTED:
                return
            if guess.error > max(20 * least, 1e-7) or guess.error > max(10 * stand_in, 1e-7):
                self.poor.append(guess)
                continue
            if guess.expression in self.seen:
                continue
            self.seen.add(guess.expression)
            law = self.fitted(guess)
            fitted += 1
            if law is not None:
                self.laws.append(law)
                if law.error < _EXACT:
                    break

    def settle(self, most: int) -> None:
        """Fit the best of the guesses that waited."""
        for guess in sorted(self.poor, key=lambda guess: guess.score)[:most]:
            law = self.fitted(guess)
            if law is not None:
                self.laws.append(law)

    def simpler(self, best: Law, most: int) -> list[Law]:
        """Laws with fewer nodes than the best, none surpassed by a simpler one."""
        nodes = rewrite.complexity(best.expression)
        # By sizes that are only about right, so that few have to be written out.
        promising = pareto_front(
            (guess for guess in self.poor if guess.error < _CLEARLY),
            size=lambda guess: guess.size,
            error=lambda guess: guess.error,
            margin=_CLEARLY,
        )
        every: list[Law | Guess] = [*self.laws, *promising]
        items = [(size, item) for item in every if (size := rewrite.complexity(item.expression)) < nodes]
        front = pareto_front(items, size=lambda pair: pair[0], error=lambda pair: pair[1].error, margin=_CLEARLY)
        found: list[Law] = []
        for _, item in front:
            if len(found) == most or self.late():
                break
            law = item if isinstance(item, Law) else self.fitted(item)
            if law is not None and law.error < _CLEARLY * min((one.error for one in found), default=1.0):
                found.append(law)
        return found

    def fitted(self, guess: Guess) -> Law | None:
        """The guess with all of its constants fitted to the original table; None where it has no values."""
        self.splines |= guess.splines
        problem = self._problem(_FIT_ROWS)
        try:
            fitted = problem.fit(guess.expression, steps=12)
        except OptionError:
            # SymPy may have written it with a function that torch does not have.
            return None
        if not math.isfinite(fitted.error):
            return None
        error = math.sqrt(self._problem(len(self.y)).error(fitted.expression))
        if not math.isfinite(error):
            return None
        self.tell(f"{guess.note}: error {error:.1e} of the target's spread")
        return Law(fitted.expression, error, guess.note)

    def _problem(self, rows: int) -> constants.ConstantFit:
        return constants.ConstantFit(self.symbols, self.x[:rows], self.y[:rows], self.splines, self.deadline)

    def found(self) -> bool:
        """Whether a law leaves nothing to explain."""
        if not self.laws:
            return False
        best = min(self.laws, key=lambda law: law.score)
        if best.splines:
            # There may be symbols for them yet.
            return False
        if best.error < self.enough:
            return True
        if best.error > 1.2 * self.floor:
            return False
        return self.structure(best) < _STRUCTURE

    def structure(self, law: Law) -> float:
        """The share of the squared residuals of a law that can be predicted."""
        from superpose.nn.symbolic_functions import torch_function

        x, y = self.x[:_ROWS], self.y[:_ROWS]
        values = torch_function(law.expression, self.symbols, self.splines)(*x.unbind(-1))
        used = [k for k, symbol in enumerate(self.symbols) if symbol in law.expression.free_symbols]
        return structure(x, y - values.expand_as(y), used)
