"""symbolify: recognise every edge, together.

Edges are first given the functions that their curves look most like, all at once, and all constants are refitted
through the whole network. Then edges are reconsidered one at a time, each with its best few candidates and with
nothing at all in its place, every proposal refitted through the whole network and judged by what it leaves on the
validation rows and by its complexity. An edge of which no symbol is good enough can be kept as a spline.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence

import torch

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.edit.edge_curves import edge_samples
from superpose.edit.pruning import prune
from superpose.edit.refitting import polish
from superpose.edit.releasing import release
from superpose.edit.setting_functions import set_functions
from superpose.edit.straightening import straighten
from superpose.formulas import selection
from superpose.formulas.candidates import SIMPLICITY, Candidate, fit_curve
from superpose.formulas.expressions.functions import candidate_functions
from superpose.nn.model import KAN, Edge
from superpose.nn.rows import scaled_rows
from superpose.nn.symbolic_functions import SymbolicFunction, library

EXACT = selection.FLOORS.network**2
# Straightened curves still bend a little: shares of a curve's variance that are not worth a more complex function.
_FLOORS = (2e-2, 3e-3, 1e-4)
_CANDIDATES, _PASSES = 4, 3
# Intervals on which curves are read that are sure to be the right ones.
_FINE_GRID = 20
_QUICK, _FULL = 12, 60


def symbolify(
    model: KAN,
    data: Dataset,
    *,
    functions: Sequence[str] | None = None,
    simplicity: float = SIMPLICITY,
    noise: float | None = None,
    keep_splines: bool = True,
    deadline: float | None = None,
) -> KAN:
    """A new model whose edges are symbolic functions, as simple as the data allow.

    Args:
        model: a fitted network; symbolic edges in it stay symbolic, and those with frozen constants as they are.
        data: training rows are fitted, validation rows judge.
        functions: names to choose from; the whole library if left out.
        simplicity: see :func:`~superpose.edit.suggest`.
        noise: root mean squared error that cannot be undercut, in units of the target's standard deviation; by
            default what the network itself leaves on the validation rows.
        keep_splines: keep an edge as a spline where no symbol comes near the network's error; False makes every edge
            symbolic whatever it costs.
        deadline: a time of :func:`time.monotonic` at which to stop searching.

    Raises:
        OptionError: if a function in ``functions`` does not exist.
    """
    search = _Search(model, data, candidate_functions(functions), simplicity, deadline)
    if noise is None:
        noise = math.sqrt(search.error(model))
    best = search.run(model, noise)
    if keep_splines and search.error(best) > max(4 * noise**2, 1e-3) and search.open_edges(model):
        best = search.partial(model, noise)
    return best


class _Search:
    """The state of one search: data in scaled units, the library, the time."""

    def __init__(
        self,
        model: KAN,
        data: Dataset,
        functions: Mapping[str, SymbolicFunction],
        simplicity: float,
        deadline: float | None,
    ) -> None:
        self.data, self.functions = data, functions
        self.simplicity = simplicity
        self.deadline = math.inf if deadline is None else deadline
        count = len(data.train) + len(data.validation)
        # As much again as the Bayesian information criterion asks of a further constant.
        self.weight = selection.WEIGHTS.edge + math.log10(count) / count
        self.known: dict[tuple[KAN, Edge], list[Candidate]] = {}
        # So few constants do not overfit: the validation rows are fitted too, and judge together with the rest.
        parts = [scaled_rows(model, data, split) for split in ("train", "validation")]
        self.judge = torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])
        rows = torch.cat([data.train, data.validation])
        pick = evenly(len(rows), 2048)
        self.train = self.judge[0][pick], self.judge[1][pick]
        self.samples = data.x[rows[pick]]

    def error(self, model: KAN) -> float:
        """Mean squared error on the judging rows, scaled units; infinite where the model is not finite."""
        with torch.no_grad():
            h = self.judge[0]
            for layer in model.layers:
                h = layer(h)
            value = float((h - self.judge[1]).square().mean())
        return value if math.isfinite(value) else math.inf

    def cost(self, model: KAN) -> float:
        """What is minimised: error and complexity together. See :mod:`superpose.formulas.selection`."""
        error = math.sqrt(self.error(model))
        return selection.score(error, complexity(model), floor=selection.FLOORS.network, weight=self.weight)

    def refitted(self, model: KAN, steps: int = _QUICK) -> KAN:
        polish(model, *self.train, steps=steps)
        return model

    def late(self) -> bool:
        return time.monotonic() > self.deadline

    def open_edges(self, model: KAN) -> list[Edge]:
        """Edges that are alive and still splines."""
        tables = [layer.symbolic_table() for layer in model.kan_layers()]
        return [(n, i, o) for n, i, o in model.active_edges() if (i, o) not in tables[n]]

    def candidates(self, model: KAN, edge: Edge, floor: float = 0.0) -> list[Candidate]:
        """The functions that an edge looks like; the straight line alone where it leaves no more than ``floor``."""
        x, y = edge_samples(model, self.samples, edge)
        key = model, edge
        if key in self.known:
            return self.known[key]
        if floor and "x" in self.functions:
            line = fit_curve(x, y, self.functions, simplicity=self.simplicity, only=["x"])
            if line and 1 - line[0].r2 <= floor:
                return line
        self.known[key] = fit_curve(x, y, self.functions, simplicity=self.simplicity)
        return self.known[key]

    def run(self, model: KAN, noise: float) -> KAN:
        """All edges symbolic in several ways, and the best of these edge by edge better."""
        found: list[tuple[float, KAN]] = []
        for start, floors in self.starts(model, noise):
            for floor in floors:
                if found and self.late():
                    break
                guess = self.assigned(start, floor)
                found.append((self.cost(guess), guess))
                if self.error(guess) < EXACT:
                    break
            if self.error(found[-1][1]) < EXACT:
                break
        cost, best = min(found, key=lambda pair: pair[0])
        return self.improved(best, cost)

    def starts(self, model: KAN, noise: float) -> Iterator[tuple[KAN, tuple[float, ...]]]:
        """Spline networks to read, each with the shares of variance that its curves may leave unexplained."""
        least = max(1e-14, 10 * noise**2)
        if max(model.widths[1:]) == 1:
            yield prune(model, self.data), (least,)
        yield from self.squared(model, noise)
        straight = straighten(model, self.data, least=max(1e-4, noise**2), time_limit=self.deadline - time.monotonic())
        # A network that errs more than every floor allows is read too: as plainly as its own error asks for.
        yield prune(straight, self.data), tuple(floor for floor in _FLOORS if floor > least) or (min(least, 1.0),)
        yield from self.squared(straight, noise)

    def squared(self, model: KAN, noise: float) -> Iterator[tuple[KAN, tuple[float, ...]]]:
        """The model with squares (and straight lines) in its last layer, if it still fits.

        A product is a difference of squares, ``4 p q = (p + q)^2 - (p - q)^2``. Many other sets of curves give the
        same function, but with squares in the last layer only multiples of ``p`` and ``q`` are left on the edges
        before it, so these can be read.
        """
        last = len(model.layers) - 1
        if last < 1 or model.widths[last] < 2:
            return
        curves = {e: edge_samples(model, self.samples, e) for e in self.open_edges(model) if e[0] == last}
        fitted = {e: fit_curve(*curve, library(), only=["x^2", "x"], simplicity=0.0) for e, curve in curves.items()}
        tables = []
        for least in (0.0, _FLOORS[0]):
            table = {}
            for edge, found in fitted.items():
                straight = [c for c in found if c.name == "x" and 1 - c.r2 < least]
                square = [c for c in found if c.name == "x^2"]
                if straight or square:
                    best = (straight or square)[0]
                    table[edge] = best.name, best.constants
            if table not in tables:
                tables.append(table)
        for table in tables:
            trial = self.refitted(set_functions(model, table), 2 * _FULL)
            if self.error(trial) <= max(10 * noise, 1e-5) ** 2:
                trial = self.refitted(prune(trial, self.data).refine(_FINE_GRID), _FULL)
                # What the grids cannot represent is left on the curves too.
                yield trial, (max(1e-5, 30 * self.error(trial)), max(1e-9, 30 * self.error(trial)))

    def assigned(self, model: KAN, floor: float) -> KAN:
        """Every edge the simplest function that leaves no more than ``floor``, layer by layer from the inputs.

        The later layers, still splines, are refitted to each layer that was fixed, and so are all constants.
        """
        for n in range(len(model.layers)):
            # Once the layers before are right, the curves are as clean as the fit.
            floor = min(floor, max(10 * self.error(model), 1e-14)) if n else floor
            table = {}
            for edge in self.open_edges(model):
                if edge[0] == n:
                    found = self.candidates(model, edge, floor)
                    if found:
                        best = min(found, key=lambda c: _floored(c, floor, self.simplicity))
                        table[edge] = best.name, best.constants
            model = self.refitted(set_functions(model, table), _FULL)
        return model

    def improved(self, best: KAN, best_cost: float) -> KAN:
        """Edge by edge another function, or none, as long as that lowers the cost."""
        for _ in range(_PASSES):
            before = best_cost
            for edge in best.active_edges():
                for proposal in self.proposals(best, edge):
                    if self.late():
                        return best
                    cost = self.cost(self.refitted(proposal))
                    if cost < best_cost + 0.5 and self.error(proposal) > EXACT:
                        # Worth finishing: a right form goes on falling to the noise.
                        cost = self.cost(self.refitted(proposal, _FULL))
                    if cost < best_cost - 1e-9:
                        best, best_cost = proposal, cost
            if best_cost >= before:
                break
        return best

    def proposals(self, model: KAN, edge: Edge) -> Iterator[KAN]:
        """The model with other functions on one edge, and without that edge."""
        n, i, o = edge
        if edge not in model.active_edges() or (i, o) in model.layer(n).frozen_table():
            return
        if len(model.active_edges()) > 1 and int(model.layer(n).mask[:, o].sum()) > 1:
            smaller = prune(model, self.samples, edges=[edge])
            if smaller.shape == model.shape:
                yield smaller
        present = self.functions.get(model.layer(n).symbolic_table()[i, o][0])
        exact = self.error(model) < EXACT
        if exact and (present is None or present.complexity <= 2):
            return
        # What the edge should be, with all others as they are: its curve as a spline, refitted.
        freed = self.refitted(release(model, self.samples, edge)) if not exact else model
        for candidate in self.candidates(freed, edge)[:_CANDIDATES]:
            simpler = present is None or candidate.complexity < present.complexity
            if candidate.name != (present.name if present else "") and (simpler or not exact):
                yield set_functions(freed, {edge: (candidate.name, candidate.constants)})

    def partial(self, model: KAN, noise: float) -> KAN:
        """Only those edges symbolic that cost little: the clearest first, each refitted with the rest as splines."""
        best = model.copy()
        allowed = max(1.5 * noise, 1e-4) ** 2 * 1.5
        lists = {edge: self.candidates(best, edge) for edge in self.open_edges(best)}
        for edge in sorted((e for e in lists if lists[e]), key=lambda e: lists[e][0].score):
            if self.late():
                break
            for candidate in lists[edge][:2]:
                trial = self.refitted(set_functions(best, {edge: (candidate.name, candidate.constants)}))
                if self.error(trial) <= allowed:
                    best = trial
                    break
        return best


def _floored(candidate: Candidate, floor: float, simplicity: float) -> float:
    return math.log10(max(1 - candidate.r2, floor)) + simplicity * candidate.complexity


def complexity(model: KAN) -> int:
    """Sum of the complexities of a model's symbolic edges; a spline edge counts 10."""
    total = 0
    for layer in model.kan_layers():
        table = {} if layer.symbolic is None else dict(zip(layer.symbolic.edges, layer.symbolic.functions, strict=True))
        for i, o in torch.nonzero(layer.mask).tolist():
            total += table[i, o].complexity if (i, o) in table else 10
    return total
