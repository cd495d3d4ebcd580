"""search: the shape of a network found from the data, from small to large."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from superpose.checks import check_whole
from superpose.data import Dataset
from superpose.errors import DataError, OptionError
from superpose.nn.model import KAN
from superpose.nn.products import Width, read_width
from superpose.pareto import pareto_front
from superpose.short_repr import brief
from superpose.stopping import StopReason
from superpose.train import endpoint_singularities
from superpose.train.budget import Budget
from superpose.train.endpoint_singularities import End
from superpose.train.history import History
from superpose.train.linear_combinations import Sums
from superpose.train.run import StopFit
from superpose.train.settings import FitSettings
from superpose.train.trial import FIRST_GRID, Entrant, Form, Hidden

# Hidden layers that are tried, in this order as long as time lasts: the smallest, then those that did best on special
# functions (two inputs) and on Feynman equations (up to six, where sums of products and quotients need two layers).
_PRODUCT, _AND_SUM = (0, (2,)), (1, (2,))
_FEW_INPUTS: tuple[Hidden, ...] = (
    *((), (1,), (_PRODUCT,), (2,), (_AND_SUM,), (5,)),
    *((3, 2), (8,), (2, 2), (3,), (5, 3)),
)
_MORE_INPUTS: tuple[Hidden, ...] = (
    *((), (1,), (2,), (2, 1), (5,), (4, 2), (4, 2, _PRODUCT)),
    *((3,), (4, 2, 2), (3, 2), (8,)),
)
# The one of them that learns most functions, and so tells best how inputs enter. With so many inputs it is tried
# second: with fewer small ones see as much, and with more it takes too long.
_TELLING: Hidden = (4, 2)
_SOME_INPUTS = range(4, 9)
# With more inputs than these few (or sums of inputs), what quintic splines cost in constants, and their first fits in
# time, is better spent on finer grids.
_FEW, _DEGREES = 2, (5, 3)
# Shapes are compared at about as many constants and not on the same grid: each begins with two grids, and goes on to
# finer ones while those make no more constants than this.
_LEVEL = 300
# In each of these rounds, which double the grid, so many networks go on; then the best alone, or two that are close.
_KEPT = (4, 4, 2)
# After the first of these rounds so many of the best go on in two ways, with grids that are split by width and by
# samples; see FitSettings.
_FORKED = 2
# Shapes that have not been begun when this share of the time (or of the steps) is over are left out.
_ENTRY = 0.4
# The same where sums or ends of inputs were seen, whose networks are begun when others have been.
_ENTRY_OF_SEEN = 0.6
# They are put off where they err so many times as much as the network that told of the sums.
_WORSE = 4.0
# Networks that compute roots of distances from ends are begun where the first of them has at most this share of the
# error of the network that told of the end, and that one learnt the data but for so much.
_BETTER, _LEARNT = 0.3, 0.01
# With so many shapes one end is tried.
_MOST_TRIALS = 4
# Errors this near to each other count as the same: then the smaller network is the better one.
_SAME = 1.03
# So often other starts are begun.
_MOST_RESTARTS = 50
# Relative to the target's spread; float64 gives no more.
_EXACT = 1e-13


@dataclass(frozen=True)
class Tried:
    """One network on one grid.

    Attributes:
        shape: nodes of each layer, inputs and outputs included, as :class:`~superpose.KAN` takes them.
        grid_size: intervals of its grids.
        parameters: free constants.
        validation_rmse: root mean squared error on the validation rows, in units of the target's standard deviation.
        test_rmse: that on the test rows; NaN if there are none.
    """

    shape: tuple[Width, ...]
    grid_size: int
    parameters: int
    validation_rmse: float
    test_rmse: float


@dataclass
class SearchResult:
    """What :func:`search` returns.

    Attributes:
        model: the best network, trained.
        history: of its training.
        tried: every network on every grid, in the order in which they were tried.
        stop: why the search ended.
        reason: a sentence with the details of that.
        seconds: wall-clock time.
    """

    __repr__ = brief

    model: KAN
    history: History
    tried: list[Tried] = field(default_factory=list)
    stop: StopReason = StopReason.NOT_RUN
    reason: str = ""
    seconds: float = 0.0

    @property
    def front(self) -> list[Tried]:
        """The Pareto front, which no other network with as few parameters surpasses, from small to large."""
        return pareto_front(self.tried, size=lambda t: t.parameters, error=lambda t: t.validation_rmse)


def search(
    data: Dataset | tuple[Any, Any],
    *,
    parameters: int | None = None,
    time_limit: float = 60.0,
    steps: int | None = None,
    shapes: Sequence[Sequence[Width]] | None = None,
    degree: int | Sequence[int] | None = None,
    seed: int = 0,
    listener: Callable[[str], None] | None = None,
) -> SearchResult:
    """Find the shape and the grid of a network that learns the data best, in the time given.

    Shapes are trained side by side to about as many constants, by Levenberg-Marquardt; the better ones go on to finer
    grids, and the best is trained until those bring nothing. What is compared is the error on the validation rows; of
    networks that come within 3% of each other the one with the fewest parameters is taken, so where there is noise the
    smallest that reaches it.

    With three features or more, networks that were trained are asked whether features enter as one weighted sum, as in
    a function of ``x1 - x2``: there the slopes by them are proportional. Further networks then compute the sums first,
    by straight (symbolic) edges whose weights are trained with the rest. Where most of a network's error is at one end
    of a feature, as that of ``sqrt(x1)`` is at 0, another computes the root of the distance from that end first; if
    that leaves less than a third of the error, so do further ones.

    Args:
        data: a :class:`~superpose.Dataset`, or a pair of arrays ``(x, y)``.
        parameters: the most free constants that the network may have; no limit if left out.
        time_limit: seconds.
        steps: optimiser steps of all networks together, which end the search at the same place on every machine; no
            limit if left out.
        shapes: hidden layers to try, such as ``[(), (2,), (5, 2)]``, with products as in ``[((1, [2]),)]``, and no
            others; chosen by the search if left out.
        degree: of the splines. Of several degrees all shapes are tried with the first, and the best of them with the
            others. If left out, 5 and 3 for one or two features, or sums of features, and 3 for more.
        seed: of the starts.
        listener: called with a short sentence whenever a network reached a new grid.

    Returns:
        A :class:`SearchResult`; its ``front`` holds the best error for every number of parameters.

    Raises:
        OptionError: for options that make no sense, or a budget that no network fits into.
        DataError: if ``data`` is neither a data set nor a pair of arrays.

    >>> import torch
    >>> x = 2 * torch.rand(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1
    >>> found = search((x, torch.sin(3 * x[:, 0]) + x[:, 1] ** 2), shapes=[(), (1,)], parameters=60)
    >>> found.model.widths, found.history.validation_rmse < 1e-3
    ([2, 1], True)
    """
    if not isinstance(data, Dataset):
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise DataError(f"search takes a Dataset or a pair of arrays (x, y), not {type(data).__name__}")
        data = Dataset.from_arrays(*data, seed=seed)
    FitSettings(time_limit=time_limit, steps=steps, seed=seed).checked("lm")
    check_whole("parameters", parameters, optional=True)
    chosen = _FEW_INPUTS if data.n_features <= _FEW else _MORE_INPUTS
    if data.n_features in _SOME_INPUTS:
        # Before others, so that what it tells serves them.
        chosen = (chosen[0], _TELLING, *chosen[1:])
    hidden = chosen if shapes is None else tuple(_hidden(shape) for shape in shapes)
    if not hidden:
        raise OptionError("shapes is empty; name at least one, such as [(), (5,)], or leave it out")
    degrees = None if degree is None else (degree,) if isinstance(degree, int) else tuple(degree)
    if degrees == ():
        raise OptionError("degree is empty; name at least one, such as 3 or (3, 5)")
    tell = listener or (lambda event: None)
    return _Search(data, hidden, parameters, Budget(time_limit, steps), degrees, seed, shapes is None, tell).run()


def _hidden(shape: Sequence[Width]) -> Hidden:
    try:
        if not isinstance(shape, Sequence) or isinstance(shape, str):
            raise OptionError("")
        read = [read_width(width) for width in shape]
    except OptionError:
        read = [(0, ())]
    if any(nodes < 1 for nodes, _ in read):
        raise OptionError(
            f"shapes must list the hidden layers of each network, whole numbers of at least 1 or pairs of sums and "
            f"products, such as [(), (5,), (3, 2), ((1, [2]),)], not {shape!r}"
        )
    return tuple((nodes - len(products), products) if products else nodes for nodes, products in read)


class _Search:
    def __init__(
        self,
        data: Dataset,
        hidden: tuple[Hidden, ...],
        parameters: int | None,
        budget: Budget,
        degrees: tuple[int, ...] | None,
        seed: int,
        look: bool,
        tell: Callable[[str], None],
    ) -> None:
        self.data, self.parameters, self.degrees, self.seed = data, parameters, degrees, seed
        self.shapes = hidden
        self.sums: Sums | None = None
        self.ends: tuple[End, ...] = ()
        self.waiting = self._forms()
        self.look, self.looked_at = look, math.inf
        self.looked_with: list[tuple[int, int, Hidden]] = []
        self.tell = tell
        self.budget = budget
        self.entrants: list[Entrant] = []
        self.tried: list[Tried] = []

    def run(self) -> SearchResult:
        try:
            stop, reason = self._rounds()
        except KeyboardInterrupt:
            if not self.tried:
                raise
            stop, reason = StopReason.INTERRUPTED, "interrupted; the best network so far was kept"
        best = self._best()
        history = best.run.finish()
        history.stop, history.reason = stop, reason
        return SearchResult(best.run.model, history, self.tried, stop, reason, self.budget.elapsed())

    def _best(self) -> Entrant:
        known = [entrant for entrant in self.entrants if math.isfinite(entrant.error)]
        least = min(entrant.error for entrant in known)
        near = [entrant for entrant in known if entrant.error <= max(_SAME * least, _EXACT)]
        return min(near, key=lambda entrant: entrant.constants(max(entrant.reached, default=FIRST_GRID)))

    def _rounds(self) -> tuple[StopReason, str]:
        while self.waiting and (not self.entrants or self.budget.used() < self._entry()):
            self._enter(self.waiting.pop(0), self.seed)
            if self._late():
                return self.budget.stop(), self.budget.end()
            if self.entrants and self.entrants[-1].error < _EXACT:
                return StopReason.EXACT, "the data are learnt to the last digits"
            self._doubt()
            if self.look:
                self._look_for_sums()
                self._look_for_end()
        if not self.entrants:
            raise OptionError(
                f"no network fits into {self.parameters} parameters: the smallest, "
                f"{[self.data.n_features, self.data.n_targets]}, has more; raise parameters"
            )
        for number, kept in enumerate(_KEPT):
            for better in self._ranked()[:kept]:
                self._advance(better)
                if self._late():
                    return self.budget.stop(), self.budget.end()
            if number == 0:
                for one in self._ranked()[:_FORKED]:
                    for degree in self._degrees(one.form.sums)[1:]:
                        self._enter(replace(one.form, degree=degree), one.seed)
                        if self._late():
                            return self.budget.stop(), self.budget.end()
                self.entrants += [one.forked() for one in self._ranked()[:_FORKED] if one.form.hidden and not one.over]
        return self._refine()

    def _refine(self) -> tuple[StopReason, str]:
        """Train the best on finer grids; when that brings nothing any more, begin others."""
        for number in itertools.count(1):
            while (entrant := self._promising()) is not None:
                self._advance(entrant)
                if self._late():
                    return self.budget.stop(), self.budget.end()
            if self._settled():
                return StopReason.CONVERGED, "several shapes reach the same error"
            if self.waiting:
                self._enter(self.waiting.pop(0), self.seed)
            elif number <= _MOST_RESTARTS:
                # Without hidden layers all starts end in the same place.
                ranked = list(dict.fromkeys(one.form for one in self._ranked() if one.form.hidden))
                if not ranked:
                    break
                self._enter(ranked[number % min(2, len(ranked))], self.seed + 1000 * number)
            else:
                break
            if self._late():
                return self.budget.stop(), self.budget.end()
        return StopReason.NO_IMPROVEMENT, "other shapes, starts and grids brought no better validation error"

    def _promising(self) -> Entrant | None:
        """The best network that can go on and is as good as the best of all was with no more constants."""
        leader, *_ = ranked = self._ranked()
        for entrant in ranked:
            if entrant.over or not entrant.reached:
                continue
            size = max(entrant.reached)
            count = entrant.constants(size)
            rivals = [error for grid, error in leader.reached.items() if leader.constants(grid) <= count]
            if entrant.reached[size] <= min(rivals, default=math.inf):
                return entrant
        return None

    def _settled(self) -> bool:
        """Whether shapes of three kinds come to the same error: then it is that of the data."""
        least: dict[Hidden, float] = {}
        for entrant in self._ranked():
            least.setdefault(entrant.form.hidden, entrant.error)
        errors = sorted(least.values())
        return len(errors) >= 3 and errors[2] <= _SAME * errors[0]

    def _ranked(self) -> list[Entrant]:
        return sorted(self.entrants, key=lambda entrant: entrant.error)

    def _late(self) -> bool:
        return self.budget.over()

    def _forms(self) -> list[Form]:
        """Networks of all shapes with the sums and ends that were seen."""
        degree, *_ = self._degrees(self.sums)
        return [Form(hidden, degree, self.sums, self.ends) for hidden in dict.fromkeys(self.shapes)]

    def _degrees(self, sums: Sums | None) -> tuple[int, ...]:
        inputs = self.data.n_features if sums is None else len(sums)
        return self.degrees or (_DEGREES if inputs <= _FEW else _DEGREES[1:])

    def _entry(self) -> float:
        return _ENTRY if self.sums is None and not self.ends else _ENTRY_OF_SEEN

    def _look_for_sums(self) -> None:
        """Where the best network tells of sums in which inputs enter, begin networks that compute these first."""
        best = min(self.entrants, key=lambda entrant: entrant.error, default=None)
        if self.data.n_features <= _FEW or best is None or not best.error < self.looked_at:
            return
        self.looked_at = best.error
        sums = best.sums()
        if sums is None or (self.sums is not None and len(sums) >= len(self.sums)):
            return
        self.sums = sums
        single = {inputs[0][0] for inputs in sums if len(inputs) == 1}
        self.ends = tuple(end for end in self.ends if end.feature in single)
        names = self.data.feature_names
        joined = ["(" + ", ".join(names[i] for i, _ in inputs) + ")" for inputs in sums if len(inputs) > 1]
        self.tell(f"inputs that enter as one weighted sum: {', '.join(joined)}")
        # There may be further sums, which are to be seen soon.
        self.shapes = _FEW_INPUTS if len(sums) <= _FEW else (_TELLING, *_MORE_INPUTS)
        self.waiting = self._forms() + [form for form in self.waiting if form.first(self.data.n_features) is None]

    def _look_for_end(self) -> None:
        """Where networks err at one end of an input, try another that computes roots of distances from it."""
        if not self.entrants or not (found := self._steep_end()):
            return
        feature, side = found
        best = self._ranked()[0]
        self.looked_with.append((feature, side, best.form.hidden))
        ends = (*best.form.ends, endpoint_singularities.located(self.data, feature, side))
        trial = self._enter(replace(best.form, ends=ends), best.seed)
        if trial is None or not trial.error <= _BETTER * best.error:
            return
        self.ends, self.sums = ends, trial.form.sums
        self.tell(f"steep at the {'lower' if side > 0 else 'upper'} end of {self.data.feature_names[feature]}")
        others = [form for form in self.waiting if form.ends != ends]
        self.waiting = [form for form in self._forms() if form.hidden != best.form.hidden] + others

    def _steep_end(self) -> tuple[int, int] | None:
        """The end that a network tells of, better ones asked first, and that the best can still be tried with."""
        best, *_ = ranked = self._ranked()
        if best.error < _EXACT:
            return None
        ends = {end.feature for end in best.form.ends}
        joined = {i for inputs in best.form.sums or () if len(inputs) > 1 for i, _ in inputs}
        for teller in ranked:
            # One node learns a product x*y as exp(log(x) + log(y)), which is steep at 0 by itself.
            if teller.error > _LEARNT or 1 in teller.form.hidden or teller.form.ends != best.form.ends:
                continue
            if (found := teller.steep_end()) is None or found[0] in ends | joined:
                continue
            shapes = [hidden for *end, hidden in self.looked_with if tuple(end) == found]
            if best.form.hidden not in shapes and len(shapes) < _MOST_TRIALS:
                return found
        return None

    def _doubt(self) -> None:
        """Put off networks with sums where the first of them is far worse than the one that told of them."""
        newest = self.entrants[-1] if self.entrants else None
        if newest is None or newest.form.sums is None or newest.form.hidden != _TELLING:
            return
        others = [entrant.error for entrant in self.entrants if entrant.form.sums != newest.form.sums]
        if newest.error > _WORSE * min(others):
            self.waiting.sort(key=lambda form: form.sums is not None)

    def _enter(self, form: Form, seed: int) -> Entrant | None:
        """Train a network on the first two grids, and on more while it has few constants; None if it is too large."""
        entrant = Entrant(form, self.data, seed, self.budget)
        constants = entrant.constants(FIRST_GRID)
        too_many = self.entrants and constants > entrant.run.train[1].numel()
        if too_many or (self.parameters is not None and constants > self.parameters):
            return None
        self.entrants.append(entrant)
        try:
            entrant.run.begin()
        except StopFit:
            entrant.over = True
        for number in range(len(entrant.sizes)):
            if entrant.over or (number > 1 and entrant.constants(entrant.sizes[number]) > _LEVEL):
                break
            self._advance(entrant)
        return entrant

    def _advance(self, entrant: Entrant) -> None:
        """Train on the next grid, unless that is too much or the last one brought nothing."""
        done = len(entrant.reached)
        if entrant.over or done >= len(entrant.sizes):
            entrant.over = True
            return
        size = entrant.sizes[done]
        constants = entrant.constants(size)
        if self.parameters is not None and constants > self.parameters:
            entrant.over = True
            return
        before = entrant.error
        try:
            entrant.visit(size)
        except StopFit:
            entrant.over = True
        if not math.isfinite(entrant.error):
            return
        if (done and entrant.error > 0.98 * before) or entrant.error < _EXACT:
            entrant.over = True
        self._note(entrant, size, constants)

    def _note(self, entrant: Entrant, size: int, constants: int) -> None:
        shape = tuple(entrant.run.model.shape)
        test = entrant.run.error_of("test")
        self.tried.append(Tried(shape, size, constants, entrant.error, test))
        self.tell(f"{list(shape)} with {size} intervals: validation error {entrant.error:.2g}")
