"""discover: from a table to a formula, the whole path, as ``superpose fit`` does it.

The structure of the table is looked at first: :mod:`superpose.formulas.from_table` finds the law if it is made of
symmetries, few terms and curves. Where something is left to explain, small networks are fitted, from a sum of one-
variable functions to two hidden layers. The simplest ones that come near the best error are read: straightened, pruned,
recognised, written out, their constants refitted and simplified. The search ends when a formula leaves nothing to
explain or reaches the error of the best network, or when the time is over.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from superpose.data import Dataset, Split
from superpose.data.arrays import root_mean_square
from superpose.data.sampling import evenly
from superpose.edit.combining import combine
from superpose.edit.refitting import polish
from superpose.errors import DataError, OptionError
from superpose.formulas.expressions import functions, rewrite
from superpose.formulas.expressions.compiler import compiled
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.expressions.splines import SplineEdge
from superpose.formulas.from_network.recognition import symbolify
from superpose.formulas.from_table.laws import Found, find_laws
from superpose.formulas.recommendation import EXACT, Finding, front, reason, surprises
from superpose.messages import counted
from superpose.nn.model import KAN
from superpose.nn.products import Width
from superpose.nn.products import fixed as fixed_width
from superpose.nn.rows import scaled_rows
from superpose.short_repr import brief
from superpose.tasks.regression.options import DiscoverOptions
from superpose.tasks.result import TaskResult
from superpose.train.architecture_search import search
from superpose.train.fit import fit
from superpose.train.history import History

if TYPE_CHECKING:
    import sympy

__all__ = ["DiscoverOptions", "Finding", "Result", "discover"]

Listener = Callable[[str], None]

# Hidden layers that are tried, in this order; the first few always, the others while time and need last.
_FIRST: tuple[tuple[Width, ...], ...] = ((), (1,), (2,))
_LATER: tuple[tuple[Width, ...], ...] = ((3,), (1, 1), (5,), (2, 1), (3, 2))
# Share of the time for structure; what it does not need goes to networks.
_STRUCTURE = 0.6
# A network is worth reading if its error is within this factor of the best.
_PROMISING = 4.0
# A formula is as good as the best network if its error is within this factor of the network's.
_AS_GOOD = 1.03
# A network with an error below this has found the structure, unless the data are smoother than their law.
_TELLING = 2e-3
_FOUND = "a formula reaches the error of the best network"
_QUICK_GRIDS = (5, 10)
# A sum of one-variable functions is a linear problem: finer grids cost little, and show whether it is the truth.
_ADDITIVE_GRIDS = (5, 10, 20)
# Networks of the search see at most so many training rows, and a quarter as many validation rows.
_MOST_ROWS = 2048


@dataclass
class Result(TaskResult):
    """What :func:`discover` returns.

    Attributes:
        findings: every formula that was found, the recommended one included.
    """

    __repr__ = brief

    findings: list[Finding] = field(default_factory=list)

    @property
    def front(self) -> list[Formula]:
        """The formulas that no simpler one surpasses, from simple to accurate, and the recommended one."""
        recommended = next((one for one in self.findings if one.formula is self.formula), None)
        return [one.formula for one in front(self.findings, recommended)]


def discover(data: Dataset, options: DiscoverOptions | None = None, *, listener: Listener | None = None) -> Result:
    """Find a network and a formula for a table.

    Args:
        data: the table.
        options: see :class:`DiscoverOptions`.
        listener: called with a short sentence whenever something was reached.

    Returns:
        A :class:`Result`. If a person interrupts, the best found so far, with ``metrics["interrupted"]`` true.

    Raises:
        OptionError: for options that make no sense with the data.
        KeyboardInterrupt: if a person interrupts before anything was found.
    """
    options = options or DiscoverOptions()
    options.check(data)
    return _Discovery(data, options, listener or (lambda event: None)).run()


@dataclass
class _Network:
    hidden: tuple[Width, ...]
    model: KAN
    history: History
    error: float
    read: bool = False


def _described(finding: Finding) -> dict[str, Any]:
    return {
        "formula": str(finding.formula),
        "complexity": finding.formula.complexity,
        "relative_error": finding.error,
    }


class _Discovery:
    def __init__(self, data: Dataset, options: DiscoverOptions, listener: Listener) -> None:
        self.combined = combine(data, options.combine) if options.combine else None
        if self.combined is not None:
            data = self.combined.data
        self.data, self.options, self.tell = data, options, listener
        self.few = replace(
            data,
            train=data.train[evenly(len(data.train), _MOST_ROWS)],
            validation=data.validation[evenly(len(data.validation), _MOST_ROWS // 4)],
        )
        self.began = time.monotonic()
        self.deadline = self.began + options.time_limit
        # The final network and what must be written out come last and need a share of the time.
        self.search_ends = self.began + 0.8 * options.time_limit
        self.networks: list[_Network] = []
        self.laws: list[Found] = []
        self.findings: list[Finding] = []
        self.interrupted = False
        # What was made of the best laws of all targets.
        self.law: Finding | None = None
        # Whether the recommended formula leaves nothing to explain, on the rows that were held out too.
        self.complete = False
        self.reason = ""

    def run(self) -> Result:
        if self.options.searches_for_a_network():
            return self._network_only()
        try:
            self.reason = self._search()
        except KeyboardInterrupt:
            if not self.networks and not self.findings:
                raise
            self.interrupted = True
        chosen = self._chosen()
        network, history = self._final_network(chosen)
        model, self.complete = network, False
        if chosen is not None:
            self.complete = chosen is self.law and all(law.complete for law in self.laws)
            if self.complete and surprises(self._test_error(chosen), chosen.error):
                self.complete, self.reason = False, "a formula leaves nothing to explain on the rows it was fitted to"
            model, chosen = self._matched(chosen)
        if self.interrupted:
            self.reason = "interrupted; the best found so far was kept"
        if self.combined is not None:
            network, model, chosen = self._in_own_columns(network, model, chosen)
        metrics = self._metrics(network, history, chosen, model)
        formula = None if chosen is None else chosen.formula
        symbolic = None if chosen is None else model
        return Result(network, symbolic, formula, history, self.data, metrics, self.findings)

    def _chosen(self) -> Finding | None:
        """The formula that is recommended."""
        if self.law is not None and all(law.complete for law in self.laws):
            # Of those that leave noise only, the search for laws knows which one is the likeliest.
            return self.law
        return min(self.findings, key=lambda finding: finding.score, default=None)

    def _network_only(self) -> Result:
        options = self.options
        found = search(
            self.data,
            parameters=options.parameters,
            time_limit=options.time_limit,
            degree=options.degree,
            seed=options.seed,
            listener=self.tell,
        )
        self.reason, self.interrupted, model = found.reason, found.history.interrupted, found.model
        if self.combined is not None:
            model, *_ = self._in_own_columns(model, model, None)
        metrics = self._metrics(model, found.history, None, model)
        metrics["front"] = [asdict(one) for one in found.front]
        return Result(model, None, None, found.history, self.data, metrics)

    def _in_own_columns(self, network: KAN, model: KAN, chosen: Finding | None) -> tuple[KAN, KAN, Finding | None]:
        """Everything that was found with combined columns in those of the table, from here on."""
        combined = self.combined
        assert combined is not None
        own = {
            id(one): replace(one, formula=combined.formula(one.formula), model=combined.model(one.model))
            for one in self.findings
        }
        self.findings = list(own.values())
        self.data, self.few = combined.source, replace(self.few, x=combined.source.x)
        self.few = replace(self.few, feature_names=self.data.feature_names, x_scale=self.data.x_scale)
        return combined.model(network), combined.model(model), None if chosen is None else own[id(chosen)]

    # -- the search

    def _search(self) -> str:
        fixed = self.options.shape
        if self.options.formula and fixed == "auto" and self._laws():
            # Beside the formula a network is shown: the first that comes near.
            for hidden in _FIRST:
                if self._fit(hidden, self.options.seed).error < _TELLING or self._late():
                    break
            return "; ".join(dict.fromkeys(found.reason for found in self.laws))
        first: Sequence[tuple[Width, ...]] = _FIRST if fixed == "auto" else (tuple(map(fixed_width, fixed[:-1])),)
        later: Sequence[tuple[Width, ...]] = _LATER if fixed == "auto" else ()
        for hidden in first:
            network = self._fit(hidden, self.options.seed)
            if self.options.formula and network.error < _TELLING and self._read_promising():
                return _FOUND
            if self._late():
                break
        if not self.options.formula:
            return "only a network was asked for"
        if self._read_promising():
            return _FOUND
        for hidden in later:
            if self._late():
                break
            self._fit(hidden, self.options.seed)
            if self._read_promising():
                return _FOUND
        round_number = 1
        while not self._late() and round_number <= 20:
            # Other starts of the shapes that did best.
            for hidden in dict.fromkeys(n.hidden for n in sorted(self.networks, key=lambda n: n.error)[:3]):
                if self._late():
                    break
                self._fit(hidden, self.options.seed + 1000 * round_number)
                if self._read_promising():
                    return _FOUND
            round_number += 1
        return "the time was over" if self._late() else "every shape was tried"

    def _laws(self) -> bool:
        """Look for laws by structure; whether they leave nothing to explain."""
        share = _STRUCTURE * self.options.time_limit / self.data.n_targets
        for target in range(self.data.n_targets):
            found = find_laws(
                self.data,
                time_limit=share,
                seed=self.options.seed,
                target=target,
                functions=self.options.functions,
                linear=self.options.linear,
                listener=self.tell,
            )
            self.laws.append(found)
            if found.best is not None and self.data.n_targets == 1:
                self.law = self._keep([found.best.expression], found.splines)
            if found.interrupted:
                raise KeyboardInterrupt
            if found.best is None:
                return False
        best = [found.best for found in self.laws if found.best is not None]
        if self.data.n_targets > 1:
            self.law = self._keep(
                [law.expression for law in best], dict(chain.from_iterable(f.splines.items() for f in self.laws))
            )
        else:
            for law in self.laws[0].laws:
                if law is not best[0]:
                    self._keep([law.expression], self.laws[0].splines)
        # A law without values on some rows was not kept.
        return self.law is not None and all(found.complete for found in self.laws)

    def _keep(self, expressions: list[sympy.Expr], splines: Mapping[str, SplineEdge]) -> Finding | None:
        """One formula more, with the network that it is."""
        data = self.data
        model, names = self._compiled(expressions, splines)
        renamed = [rewrite.renamed(expression, names) for expression in expressions]
        own = {names[name]: replace(spline, name=names[name]) for name, spline in splines.items() if name in names}
        return self._add(Formula.from_expressions(renamed, data, own), model)

    def _compiled(self, expressions: list[sympy.Expr], splines: Mapping[str, SplineEdge]) -> tuple[KAN, dict[str, str]]:
        data = self.data
        return compiled(expressions, data.feature_names, data.target_names, data=data, splines=splines)

    def _late(self) -> bool:
        return time.monotonic() > self.search_ends

    def _widths(self, hidden: tuple[Width, ...]) -> list[Width]:
        last = self.data.n_targets if self.options.shape == "auto" else self.options.shape[-1]
        return [self.data.n_features, *hidden, last]

    def _fit(self, hidden: tuple[Width, ...], seed: int) -> _Network:
        widths = self._widths(hidden)
        model = KAN(widths, grid_size=_QUICK_GRIDS[0], degree=self.options.spline_degree, seed=seed)
        self._straighten(model)
        left = max(1.0, self.search_ends - time.monotonic())
        lm = self.options.optimizer == "lm"
        additive = not hidden and not model.layer(0).products
        history = fit(
            model,
            self.few,
            optimizer=self.options.optimizer,
            grids=None if not lm else (_ADDITIVE_GRIDS if additive else _QUICK_GRIDS),
            starts=1 if additive or not lm else 4 + 2 * (max(model.widths[1:-1], default=1) > 1),
            seed=seed,
            time_limit=left,
            progress=False,
        )
        error = self._relative(history.validation_rmse if len(self.data.validation) else history.train_rmse)
        if not math.isfinite(error):
            error = math.inf
        found = _Network(hidden, model, history, error)
        self.networks.append(found)
        if history.interrupted:
            raise KeyboardInterrupt
        self.tell(f"network {widths}: validation error {error:.1e} of the target's spread")
        return found

    def _straighten(self, model: KAN) -> None:
        """Make the edges from columns that enter linearly straight lines, of random slopes."""
        layer, names = model.layer(0), self.data.feature_names
        generator = torch.Generator().manual_seed(self.options.seed)
        table = {
            (names.index(name), o): ("x", (1.0, 0.0, float(torch.randn((), generator=generator)), 0.0))
            for name in self.options.linear
            for o in range(layer.sum_count)
        }
        layer.set_symbolic(dict(sorted(table.items())))

    def _allowed(self, formula: Formula) -> bool:
        """Whether a formula is of the form that was asked for."""
        known, linear = self.options.functions, self.options.linear
        if known is not None:
            names = functions.resolve_names(known)
            if not all(functions.uses_only(one, names, beside=formula.splines) for one in formula.expressions):
                return False
        columns = [symbol for symbol in formula.symbols if symbol.name in linear]
        return all(functions.linear_in(one, column) for one in formula.expressions for column in columns)

    def _relative(self, rmse: float) -> float:
        return rmse / root_mean_square(self.data.y_scale.scale)

    def _least(self) -> float:
        """The error that a formula has to come near: the best network's, or that of a smooth stand-in."""
        floors = [found.floor for found in self.laws if math.isfinite(found.floor)]
        return min([network.error for network in self.networks] + floors[: self.data.n_targets == 1])

    def _read_promising(self) -> bool:
        """Read the networks that are near the best, the simplest first; whether a formula is good enough."""
        least = self._least()
        near = [n for n in self.networks if not n.read and n.error <= max(_PROMISING * least, _TELLING)]
        near = [n for n in near if math.isfinite(n.error)]
        for network in sorted(near, key=lambda n: (n.model.parameter_count(), n.error)):
            if self._late():
                break
            network.read = True
            self._read(network)
            if self._good_enough():
                return True
        return self._good_enough()

    def _good_enough(self) -> bool:
        if not self.findings:
            return False
        best = min(self.findings, key=lambda finding: finding.error)
        # The same rows on both sides: a few validation rows may well be quieter than the rest.
        return best.error < EXACT or best.validation_error <= _AS_GOOD * self._least()

    def _read(self, network: _Network) -> None:
        share = self.search_ends - time.monotonic()
        limit = max(2.0, 0.6 * share)
        deadline = time.monotonic() + limit
        known = self.options.functions
        names = None if known is None else functions.resolve_names(("0", "x", *known))
        model = symbolify(network.model, self.data, functions=names, noise=network.error, time_limit=limit)
        # A formula that was not simplified is of little use: it may take time from what comes after the search.
        now = time.monotonic()
        until = min(max(deadline + 0.2 * share, now + 8), max(self.deadline, now + 1))
        formula = Formula.of(model, self.data, time_limit=until - now)
        self._add(formula, model)

    def _add(self, formula: Formula, model: KAN) -> Finding | None:
        finding = self._finding(formula, model)
        if finding is not None:
            self.findings.append(finding)
            self.tell(f"formula with {formula.complexity} nodes, error {finding.error:.1e} of the target's spread")
        return finding

    def _finding(self, formula: Formula, model: KAN) -> Finding | None:
        """A formula with its errors; None if it may not be recommended."""
        # The values of the columns alone, of test rows too: a formula must have a value wherever the table has a row.
        with torch.no_grad():
            lost = int((~formula.torch(self.data.x).isfinite().all(-1)).sum())
        if lost:
            self.tell(f"a formula was found, but it has no finite value on {counted(lost, 'row')} of the table")
            return None
        found = {"train": formula.rmse(self.data, "train")}
        found["validation"] = formula.rmse(self.few, "validation") if len(self.few.validation) else found["train"]
        if not self._allowed(formula):
            self.tell("a formula was found, but not of the form that was asked for")
            return None
        return Finding(formula, model, *(self._relative(value) for value in (max(found.values()), found["validation"])))

    # -- what comes out

    def _final_network(self, chosen: Finding | None) -> tuple[KAN, History]:
        """The spline network that is shown beside the formula, its grid refined while that helps."""
        if not self.networks:
            self._fit((), self.options.seed)
        # A formula that was found by structure is the network of no shape that was fitted.
        read = chosen is not None and not any(found.complete for found in self.laws)
        shape = chosen.model.shape if chosen is not None and read else None
        same = [n for n in self.networks if n.model.shape == shape] or self.networks
        best = min(same, key=lambda n: n.error)
        left = self.deadline - time.monotonic()
        if self.interrupted or left < 2 or self.options.optimizer != "lm":
            return best.model, best.history
        widths = self._widths(best.hidden)
        first = min(_QUICK_GRIDS[0], self.options.grid_size or _QUICK_GRIDS[0])
        model = KAN(widths, grid_size=first, degree=self.options.spline_degree, seed=self.options.seed)
        self._straighten(model)
        grids = None
        if self.options.grid_size is not None:
            sizes = [first]
            while sizes[-1] < self.options.grid_size:
                sizes.append(min(2 * sizes[-1], self.options.grid_size))
            grids = tuple(sizes)
        history = fit(
            model,
            self.data,
            grids=grids,
            starts=6,
            seed=self.options.seed,
            time_limit=min(left, 20.0 if read or chosen is None else 6.0),
            progress=False,
        )
        if self._relative(history.validation_rmse) > best.error and grids is None:
            return best.model, best.history
        return model, history

    def _test_error(self, chosen: Finding) -> float:
        """The error of a formula on the rows held out for the test, if there are any, in units of the spread."""
        return self._relative(chosen.formula.rmse(self.data, "test")) if len(self.data.test) else 0.0

    def _matched(self, chosen: Finding) -> tuple[KAN, Finding]:
        """The symbolic network with its constants fitted to the simplified formula, so that both say the same.

        Where no network says the simplified formula, the network's own formula takes its place.
        """
        matched = chosen.model.copy()
        x, y = scaled_rows(matched, self.data, "all")
        with torch.no_grad():
            values = (chosen.formula.torch(self.data.x) - matched.output_center) / matched.output_scale
            apart = float(
                ((matched(self.data.x) - matched.output_center) / matched.output_scale - values).square().mean()
            )
        if apart < EXACT**2:
            return matched, chosen
        before = float((values - y).square().mean())
        reached = polish(matched, x, values, steps=40, tolerance=1e-6) if math.isfinite(apart) else math.inf
        if reached < EXACT**2:
            return matched, chosen
        # Constants of the read network cannot say it: the network of the formula itself can, unless its splines
        # have a base function, or different grids in one layer.
        with contextlib.suppress(OptionError, DataError):
            made = self._compiled(list(chosen.formula.expressions), chosen.formula.splines)[0]
            if chosen.formula.difference(made, self.data.x) < EXACT * root_mean_square(self.data.y_scale.scale):
                return made, chosen
        model = matched if reached <= before else chosen.model
        own = self._finding(Formula.of(model), model)
        if own is None:
            return model, chosen
        self.findings = [own if one is chosen else one for one in self.findings]
        return model, own

    def _front(self, chosen: Finding | None, split: Split) -> dict[str, Any]:
        """The front with its errors on the rows that were held out, and why one formula is recommended."""
        found = front(self.findings, chosen)
        rows = [
            _described(one) | {"rmse": one.formula.rmse(self.data, split), "recommended": one is chosen}
            for one in found
        ]
        why = None
        if chosen is not None:
            place = next(n for n, one in enumerate(found) if one is chosen)
            why = reason(
                [(one.formula.complexity, one.error) for one in found],
                place,
                complete=self.complete,
                test_error=self._test_error(chosen),
                splines=tuple(chosen.formula.splines),
            )
        return {"front": rows, "recommendation": why}

    def _metrics(self, network: KAN, history: History, chosen: Finding | None, model: KAN) -> dict[str, Any]:
        split: Split = "test" if len(self.data.test) else "all"
        x, y = self.data.rows(split)
        with torch.no_grad():
            network_rmse = root_mean_square(network(x) - y)
        formula = None if chosen is None else chosen.formula
        ranked = sorted(self.findings, key=lambda finding: finding.formula.complexity)
        return {
            "target": list(self.data.target_names),
            "features": list(self.data.feature_names),
            "formula": None if formula is None else str(formula),
            "formula_rmse": None if formula is None else formula.rmse(self.data, split),
            "formula_complexity": None if formula is None else formula.complexity,
            "splines_in_formula": 0 if formula is None else len(formula.splines),
            "network_rmse": network_rmse,
            "network_shape": network.shape,
            "network_parameters": network.parameter_count(),
            "target_std": self.data.target_std,
            "shape": model.shape,
            "parameters": model.parameter_count(),
            "grids": history.grids,
            "rows": {name: len(getattr(self.data, name)) for name in ("train", "validation", "test")},
            "constants": [] if formula is None else formula.constants(self.data),
            "formulas": [_described(finding) for finding in ranked],
            **self._front(chosen, split),
            "seed": self.options.seed,
            "reason": self.reason,
            "training": history.reason,
            "interrupted": self.interrupted,
            "seconds": time.monotonic() - self.began,
        }
