"""symbolify: every edge of a network becomes a symbolic function, all edges together.

An edge cannot be judged by its own curve alone: a slightly wrong function on one edge changes the best curves of all
others. So recognition has four stages, and after each change all constants are fitted again through the whole network:

1. **Starting networks.** The network itself, a version with squares in its last layer, and straightened versions.
2. **Assignment.** Layer by layer, each edge becomes the simplest function that is close enough to its curve.
3. **Improvement.** Edges are reconsidered one by one: another function, or no edge at all, if that lowers the score of
   error and complexity (:mod:`superpose.formulas.selection`).
4. **Splines kept.** If symbols everywhere cost too much error, only those edges become symbolic that cost little.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.deadline import Deadline
from superpose.edit.edge_curves import edge_samples
from superpose.edit.pruning import prune
from superpose.edit.refitting import polish
from superpose.edit.releasing import release
from superpose.edit.setting_functions import Constants, set_functions
from superpose.edit.straightening import straighten
from superpose.formulas import selection
from superpose.formulas.candidates import SIMPLICITY, Candidate, fit_curve
from superpose.formulas.expressions.functions import candidate_functions
from superpose.nn.model import KAN, Edge
from superpose.nn.rows import scaled_rows
from superpose.nn.symbolic_functions import SymbolicFunction, library


@dataclass(frozen=True)
class RecognitionSettings:
    """Numbers of :func:`symbolify`.

    They were chosen while the recognition was written, on sums, products and compositions such as those of its tests.
    No comparison with other values is recorded, so how sensitive the result is to them is unknown.

    Squared errors are in units of the targets' variance.

    Attributes:
        rows: constants are fitted to at most this many rows; all rows judge.
        tolerances: unexplained shares of a curve's variance that are tried as good enough. Curves of a straightened
            network still bend a little, and a complex function that follows such a bend is wrong.
        candidates: functions of an edge that are tried in the improvement stage,
        passes: and how often it goes through all edges.
        quick_steps: Levenberg-Marquardt steps after a change of one edge,
        full_steps: and after a change of many edges, or of one that is close to the best.
        close: a proposal is close to the best if its score is less than this many decades worse: right functions go on
            falling to the noise.
        fine_grid: intervals of the edges before a last layer of squares, which are sure to be multiples of the factors.
        square_error: root mean squared error with which a last layer of squares is accepted, and the network's own
            error may be exceeded this many times (``square_factor``).
        square_tolerances: least ``tolerances`` of networks with squares, whose curves are cleaner;
        square_noise: and these are at least this many times the network's squared error.
        acceptable: symbols everywhere are accepted if the squared error is below this, or below ``acceptable_noise``
            times that of the network.
        spline_factor: with splines kept, the root mean squared error may be this many times that of the network,
        spline_error: or this, if that is larger.
        spline_candidates: functions of an edge that are tried there.
        spline_complexity: what a spline edge counts in the complexity of a network: a round number above every
            function of the library.
    """

    rows: int = 2048
    tolerances: tuple[float, ...] = (2e-2, 3e-3, 1e-4)
    candidates: int = 4
    passes: int = 3
    quick_steps: int = 12
    full_steps: int = 60
    close: float = 0.5
    fine_grid: int = 20
    square_error: float = 1e-5
    square_factor: float = 10.0
    square_tolerances: tuple[float, ...] = (1e-5, 1e-9)
    square_noise: float = 30.0
    acceptable: float = 1e-3
    acceptable_noise: float = 4.0
    spline_factor: float = 1.84
    spline_error: float = 1.2e-4
    spline_candidates: int = 2
    spline_complexity: int = 10


_SETTINGS = RecognitionSettings()
# Squared errors of networks below this are exact. Unexplained shares of a curve below the second number are rounding.
_EXACT = selection.FLOORS.network**2
_ROUNDING = selection.FLOORS.curve**2


def symbolify(
    model: KAN,
    data: Dataset,
    *,
    functions: Sequence[str] | None = None,
    simplicity: float = SIMPLICITY,
    noise: float | None = None,
    keep_splines: bool = True,
    time_limit: float | None = None,
) -> KAN:
    """A new model whose edges are symbolic functions, as simple as the data allow.

    Each edge becomes ``c * f(a * x + b) + d``. Symbolification is from Z. Liu et al., *KAN: Kolmogorov-Arnold
    Networks*, 2024, section 2.5. There each edge is decided by its own curve; here all edges are decided together.

    Args:
        model: a fitted network; it is not changed. Symbolic edges in it stay symbolic, and those with frozen constants
            stay as they are.
        data: constants are fitted to training and validation rows, and both judge: a network of symbols has too few
            constants to overfit.
        functions: names to choose from; by default the whole library, see :func:`superpose.library`.
        simplicity: see :func:`~superpose.edit.suggest`.
        noise: root mean squared error that no formula can undercut, in units of the target's standard deviation; by
            default the error of the network itself.
        keep_splines: keep an edge as a spline where no symbol comes near the network's error. False makes every edge
            symbolic, however large the error becomes.
        time_limit: seconds after which the best network so far is returned; no limit by default.

    Raises:
        OptionError: if a function in ``functions`` does not exist.

    >>> x = torch.linspace(-1, 1, 80, dtype=torch.float64)[:, None]
    >>> data = Dataset.from_arrays(x, x**2)
    >>> model = KAN([1, 1], base="none", seed=0)
    >>> polish(model, *scaled_rows(model, data), steps=5) < 1e-20
    True
    >>> symbolify(model, data).layer(0).symbolic_table()[0, 0][0]
    'x^2'
    """
    recognition = Recognition(model, data, candidate_functions(functions), simplicity, Deadline(time_limit))
    if noise is None:
        noise = math.sqrt(recognition.error(model))
    best = recognition.all_symbolic(model, noise)
    tolerated = max(_SETTINGS.acceptable_noise * noise**2, _SETTINGS.acceptable)
    # Without time to look for symbols, splines on all edges would be no formula.
    late = recognition.deadline.passed()
    if keep_splines and not late and recognition.error(best) > tolerated and spline_edges(model):
        best = recognition.partly_symbolic(model, noise)
    return best


def spline_edges(model: KAN) -> list[Edge]:
    """Edges that were not removed and are splines."""
    tables = [layer.symbolic_table() for layer in model.kan_layers()]
    return [(n, i, o) for n, i, o in model.active_edges() if (i, o) not in tables[n]]


def complexity(model: KAN) -> int:
    """Sum of the complexities of a model's symbolic edges; a spline edge counts 10."""
    total = 0
    for layer in model.kan_layers():
        table = {} if layer.symbolic is None else dict(zip(layer.symbolic.edges, layer.symbolic.functions, strict=True))
        for edge in map(tuple, torch.nonzero(layer.mask).tolist()):
            total += table[edge].complexity if edge in table else _SETTINGS.spline_complexity
    return total


class Recognition:
    """The four stages on one table: its rows, the functions to choose from, and the deadline.

    Nothing in it changes but the memory of fitted curves. All models that a stage returns are new.

    Args:
        model: gives the scaling of the rows.
        data: see :func:`symbolify`.
        functions: to choose from, by name.
        simplicity: see :func:`~superpose.edit.suggest`.
        deadline: when each stage returns its best so far.
    """

    def __init__(
        self,
        model: KAN,
        data: Dataset,
        functions: Mapping[str, SymbolicFunction],
        simplicity: float,
        deadline: Deadline,
    ) -> None:
        self.data, self.functions, self.simplicity, self.deadline = data, functions, simplicity, deadline
        rows = torch.cat([data.train, data.validation])
        # The Bayesian information criterion adds ln(N) / N to the logarithm of the error for each further constant.
        self.weight = selection.WEIGHTS.edge + math.log10(len(rows)) / len(rows)
        self.fitted_curves: dict[tuple[KAN, Edge], list[Candidate]] = {}
        parts = [scaled_rows(model, data, split) for split in ("train", "validation")]
        self.x, self.y = torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])
        pick = evenly(len(rows), _SETTINGS.rows)
        self.fitted_rows = self.x[pick], self.y[pick]
        self.samples = data.features(rows[pick])

    # -- what the stages share

    def error(self, model: KAN) -> float:
        """Mean squared error on all rows, in units of the targets' variance; infinite where it is not finite."""
        with torch.no_grad():
            h = self.x
            for layer in model.layers:
                h = layer(h)
            value = float((h - self.y).square().mean())
        return value if math.isfinite(value) else math.inf

    def score(self, model: KAN) -> float:
        """Error and complexity together; less is better. See :func:`superpose.formulas.selection.score`."""
        error = math.sqrt(self.error(model))
        return selection.score(error, complexity(model), floor=selection.FLOORS.network, weight=self.weight)

    def refitted(self, model: KAN, steps: int = _SETTINGS.quick_steps) -> KAN:
        """The model itself, its free constants fitted again in place."""
        polish(model, *self.fitted_rows, steps=steps, deadline=self.deadline)
        return model

    def candidates(self, model: KAN, edge: Edge, tolerance: float = 0.0) -> list[Candidate]:
        """The functions closest to an edge's curve; a straight line alone if it leaves no more than ``tolerance``."""
        key = model, edge
        if key in self.fitted_curves:
            return self.fitted_curves[key]
        x, y = edge_samples(model, self.samples, edge)
        if tolerance and "x" in self.functions:
            line = fit_curve(x, y, self.functions, simplicity=self.simplicity, only=["x"])
            if line and 1 - line[0].r2 <= tolerance:
                return line
        found = fit_curve(x, y, self.functions, simplicity=self.simplicity, deadline=self.deadline)
        self.fitted_curves[key] = found
        return found

    # -- the stages

    def all_symbolic(self, model: KAN, noise: float) -> KAN:
        """Every edge symbolic: all starting networks assigned, and the best of them improved."""
        found: list[tuple[float, KAN]] = []
        for start, tolerances in self.starting_networks(model, noise):
            for tolerance in tolerances:
                if found and self.deadline.passed():
                    break
                guess = self.assigned(start, tolerance)
                found.append((self.score(guess), guess))
                if self.error(guess) < _EXACT:
                    break
            if self.error(found[-1][1]) < _EXACT:
                break
        score, best = min(found, key=lambda pair: pair[0])
        return self.improved(best, score)

    def starting_networks(self, model: KAN, noise: float) -> Iterator[tuple[KAN, tuple[float, ...]]]:
        """Networks of splines to read, each with the tolerances to try."""
        least = max(_ROUNDING, 10 * noise**2)
        if max(model.widths[1:]) == 1:
            # One node per layer leaves the curves no freedom but an affine map: they need no straightening.
            yield prune(model, self.data), (least,)
        yield from self.with_squares(model, noise)
        # With noise, its variance; without, 1e-4, the default of :func:`straighten`.
        straight = straighten(model, self.data, min_strength=max(1e-4, noise**2), time_limit=self.deadline.left())
        # Where the network's own error exceeds every tolerance, that error is the tolerance.
        yield (
            prune(straight, self.data),
            tuple(tolerance for tolerance in _SETTINGS.tolerances if tolerance > least) or (min(least, 1.0),),
        )
        yield from self.with_squares(straight, noise)

    def with_squares(self, model: KAN, noise: float) -> Iterator[tuple[KAN, tuple[float, ...]]]:
        """The model with squares (and straight lines) in its last layer, if it still fits.

        A product is a difference of squares, ``4 p q = (p + q)^2 - (p - q)^2``. Many other sets of curves give the
        same function, but with squares in the last layer the edges before it are multiples of ``p`` and ``q``, which
        can be recognised.
        """
        last = len(model.layers) - 1
        if last < 1 or model.widths[last] < 2 or self.deadline.passed():
            return
        for table in self._squares_of(model, last):
            trial = self.refitted(set_functions(model, table), 2 * _SETTINGS.full_steps)
            if self.error(trial) <= max(_SETTINGS.square_factor * noise, _SETTINGS.square_error) ** 2:
                trial = prune(trial, self.data).refine(_SETTINGS.fine_grid)
                trial = self.refitted(trial, _SETTINGS.full_steps)
                # The part of the function that the grids cannot represent distorts the curves too.
                distortion = _SETTINGS.square_noise * self.error(trial)
                yield trial, tuple(max(tolerance, distortion) for tolerance in _SETTINGS.square_tolerances)

    def _squares_of(self, model: KAN, last: int) -> list[dict[Edge, tuple[str, Constants]]]:
        """Squares on all edges of the last layer; and straight lines on those that are nearly straight."""
        curves = {edge: edge_samples(model, self.samples, edge) for edge in spline_edges(model) if edge[0] == last}
        fitted = {e: fit_curve(*curve, library(), only=["x^2", "x"], simplicity=0.0) for e, curve in curves.items()}
        tables: list[dict[Edge, tuple[str, Constants]]] = []
        for tolerance in (0.0, _SETTINGS.tolerances[0]):
            table = {}
            for edge, found in fitted.items():
                straight = [c for c in found if c.name == "x" and 1 - c.r2 < tolerance]
                square = [c for c in found if c.name == "x^2"]
                if straight or square:
                    best = (straight or square)[0]
                    table[edge] = best.name, best.constants
            if table not in tables:
                tables.append(table)
        return tables

    def assigned(self, model: KAN, tolerance: float) -> KAN:
        """Every edge the simplest function that leaves no more than ``tolerance``, layer by layer from the inputs.

        After each layer all constants and the splines of the later layers are fitted again.
        """
        for n in range(len(model.layers)):
            # Once the layers before are right, the curves are as clean as the fit.
            tolerance = min(tolerance, max(10 * self.error(model), _ROUNDING)) if n else tolerance
            table = {}
            for edge in spline_edges(model):
                found = self.candidates(model, edge, tolerance) if edge[0] == n else []
                if found:
                    best = min(found, key=lambda c: self._tolerant_score(c, tolerance))
                    table[edge] = best.name, best.constants
            model = self.refitted(set_functions(model, table), _SETTINGS.full_steps)
        return model

    def _tolerant_score(self, candidate: Candidate, tolerance: float) -> float:
        """The score of a candidate where unexplained shares below the tolerance are equally good."""
        unexplained = max(1 - candidate.r2, tolerance)
        return selection.score(
            math.sqrt(unexplained), candidate.complexity, floor=selection.FLOORS.curve, weight=self.simplicity
        )

    def improved(self, best: KAN, best_score: float) -> KAN:
        """Edge by edge another function, or no edge, as long as that lowers the score."""
        for _ in range(_SETTINGS.passes):
            before = best_score
            for edge in best.active_edges():
                for proposal in self.proposals(best, edge):
                    if self.deadline.passed():
                        return best
                    score = self.score(self.refitted(proposal))
                    if score < best_score + _SETTINGS.close and self.error(proposal) > _EXACT:
                        score = self.score(self.refitted(proposal, _SETTINGS.full_steps))
                    # Scores that differ by rounding only are equal.
                    if score < best_score - 1e-9:
                        best, best_score = proposal, score
            if best_score >= before:
                break
        return best

    def proposals(self, model: KAN, edge: Edge) -> Iterator[KAN]:
        """The model without an edge, and with other functions on it; constants are not yet fitted again."""
        n, i, o = edge
        if edge not in model.active_edges() or (i, o) in model.layer(n).frozen_table():
            return
        if len(model.active_edges()) > 1 and int(model.layer(n).mask[:, o].sum()) > 1:
            smaller = prune(model, self.samples, edges=[edge])
            if smaller.shape == model.shape:
                yield smaller
        present = self.functions.get(model.layer(n).symbolic_table()[i, o][0])
        exact = self.error(model) < _EXACT
        if exact and (present is None or present.complexity <= 2):
            return
        # The curve that suits the present functions of all other edges: the edge as a spline, fitted again.
        freed = self.refitted(release(model, self.samples, edge)) if not exact else model
        for candidate in self.candidates(freed, edge)[: _SETTINGS.candidates]:
            simpler = present is None or candidate.complexity < present.complexity
            if candidate.name != (present.name if present else "") and (simpler or not exact):
                yield set_functions(freed, {edge: (candidate.name, candidate.constants)})

    def partly_symbolic(self, model: KAN, noise: float) -> KAN:
        """Only those edges symbolic that cost little error: the clearest first, the others fitted as splines."""
        best = model.copy()
        allowed = max(_SETTINGS.spline_factor * noise, _SETTINGS.spline_error) ** 2
        lists: dict[Edge, list[Candidate]] = {}
        for edge in spline_edges(best):
            if self.deadline.passed():
                break
            lists[edge] = self.candidates(best, edge)
        for edge in sorted((e for e in lists if lists[e]), key=lambda e: lists[e][0].score):
            if self.deadline.passed():
                break
            for candidate in lists[edge][: _SETTINGS.spline_candidates]:
                trial = self.refitted(set_functions(best, {edge: (candidate.name, candidate.constants)}))
                if self.error(trial) <= allowed:
                    best = trial
                    break
        return best
