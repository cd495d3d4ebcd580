"""classify: from a table with a column of classes to a network and a formula, and how often both are right."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from superpose.errors import DataError, OptionError
from superpose.formulas.expressions.compiler import compile_formula
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.from_scores.joint import joint_formulas
from superpose.formulas.from_scores.search import ScoreFormula, score_formulas
from superpose.nn.head import Head
from superpose.nn.model import KAN
from superpose.tasks.classification import labels, networks
from superpose.tasks.classification.labels import Labelled
from superpose.tasks.classification.metrics import metrics
from superpose.tasks.classification.networks import SHAPES, Settings, Trained
from superpose.tasks.classification.options import ClassifyOptions
from superpose.tasks.classification.result import Classification

if TYPE_CHECKING:
    pass

Listener = Callable[[str], None]
# Shares of the time after which each part ends: networks for the first head and for another, columns that are left out,
# shapes for those that stay, training on all rows. The rest is for the formula.
_FIRST_HEAD, _OTHER_HEAD, _COLUMNS, _NETWORKS, _FINAL = 0.2, 0.3, 0.42, 0.5, 0.65
# Another head with more scores is taken if its cross-entropy is below this share of the first one's.
_MUCH = 0.8
# A formula that is right so much less often than its network is reason to try another head.
_FAR = 0.02


def classify(
    data: Labelled, options: ClassifyOptions | None = None, *, listener: Listener | None = None
) -> Classification:
    """Find a network that names classes, and a formula that does.

    Args:
        data: from :func:`~superpose.tasks.classification.read_labelled` or
            :class:`~superpose.tasks.classification.Labelled`.
        options: see :class:`ClassifyOptions`.
        listener: called with a short sentence whenever something was reached.

    Returns:
        A :class:`Classification`. If a person interrupts, the best found so far, with ``metrics["interrupted"]`` true.

    Raises:
        OptionError: for options that make no sense with the data.
        KeyboardInterrupt: if a person interrupts before anything was found.

    >>> points = 2 * torch.rand(400, 2, generator=torch.Generator().manual_seed(0)) - 1
    >>> inside = ["in" if x * x + y * y < 0.5 else "out" for x, y in points.tolist()]
    >>> result = classify(Labelled.from_arrays(points, inside), ClassifyOptions(time_limit=20))
    >>> result.accuracy(of="formula") > 0.95
    True
    """
    options = options or ClassifyOptions()
    options.check(data)
    return _Work(data, options, listener or (lambda text: None)).run()


def _symbolic(formula: Formula, chosen: Trained) -> KAN | None:
    """The formula as a network with the head of the trained one; None if no network can represent it."""
    data = chosen.data
    try:
        model = compile_formula(formula.expressions, data.feature_names, data.target_names, data=data)
    except (DataError, OptionError):
        return None
    model.head = chosen.head
    return model


class _Work:
    def __init__(self, labelled: Labelled, options: ClassifyOptions, tell: Listener) -> None:
        self.labelled, self.options, self.tell = labelled, options, tell
        self.few = networks.fewer_rows(labelled)
        self.began = time.monotonic()
        self.deadline = self.began + options.time_limit
        self.whole: Trained | None = None
        self.heads: list[Trained] = []
        self.interrupted = False
        self.reason = ""

    def settings(self, head: Head, share: float) -> Settings:
        """Of networks that are trained until this share of the time is over."""
        options = self.options
        most = networks.budget(options.parameters, self.labelled.data.n_features, head, options.degree)
        ends = self.began + share * options.time_limit
        return Settings(most, options.degree, options.grid_size, options.seed, ends, self.tell)

    def run(self) -> Classification:
        table: Labelled = self.few
        chosen: Trained | None = None
        formulas: list[list[ScoreFormula]] = []
        try:
            self.whole = chosen = self._best_head()
            if self.options.reduce:
                table, chosen = self._reduced(self.whole)
            chosen = self._finished(table, chosen)
            if self.options.formula and self._left():
                formulas = self._formulas(chosen)
                chosen, formulas = self._other_head(chosen, formulas)
                chosen = self._of_the_same_columns(chosen, formulas)
        except KeyboardInterrupt as stop:
            self.interrupted = True
            if chosen is None:
                if not isinstance(stop, networks.Interrupted):
                    raise
                self.whole = chosen = stop.trained
        self.reason = "interrupted; the best found so far was kept" if self.interrupted else "the search was completed"
        if time.monotonic() > self.deadline:
            self.reason = "the time was over"
        formula = self._formula(chosen, formulas)
        symbolic = None if formula is None else _symbolic(formula, chosen)
        result = Classification(
            chosen.model, symbolic, formula, chosen.history, chosen.data, {}, self.labelled, formulas
        )
        assert self.whole is not None
        facts = metrics(
            result,
            formulas,
            self.whole,
            seed=self.options.seed,
            reason=self.reason,
            interrupted=self.interrupted,
            seconds=time.monotonic() - self.began,
        )
        result.metrics.update(facts)
        return result

    # -- networks

    def _best_head(self) -> Trained:
        shapes = SHAPES if self.options.shape == "auto" else (tuple(self.options.shape[:-1]),)
        found: list[Trained] = []
        kinds = self.options.kinds(self.labelled)
        for number, kind in enumerate(kinds, start=1):
            head = self.options.made(self.labelled, kind)
            if self.options.shape != "auto" and self.options.shape[-1] != head.n_scores:
                continue
            settings = self.settings(head, _FIRST_HEAD if number == 1 else _OTHER_HEAD)
            try:
                trained = networks.search(self.few, head, shapes, settings)
            except networks.Interrupted as stop:
                raise networks.Interrupted(found[0] if found else stop.trained) from None
            if trained is None and not found:
                least = networks.constants([self.labelled.data.n_features, head.n_scores], 3, self.options.degree)
                raise OptionError(
                    f"no network fits into {settings.parameters} parameters: the smallest with a {kind} head has "
                    f"{least}; raise parameters, or offer fewer columns"
                )
            if trained is not None:
                found.append(trained)
        self.heads = found
        # One score is easier to read than many: it is kept unless many say much more.
        first, last = found[0], found[-1]
        return last if last.loss < _MUCH * first.loss and last.worse_than(first) < -2.0 else first

    def _reduced(self, best: Trained) -> tuple[Labelled, Trained]:
        entropy = labels.entropy(self.labelled)
        table, smaller = networks.reduced(self.few, best, entropy, self.settings(best.head, _COLUMNS))
        if table is self.few or self.options.shape != "auto":
            return table, smaller
        # With fewer columns there is room for other shapes.
        again = networks.search(table, best.head, SHAPES, self.settings(best.head, _NETWORKS))
        return table, smaller if again is None or again.worse_than(smaller) > 0 else again

    def _finished(self, table: Labelled, chosen: Trained, share: float = _FINAL) -> Trained:
        """The same network, trained on all rows if it saw some of them only."""
        if self.few is self.labelled:
            return chosen
        names = self.labelled.data.feature_names
        keep = [names.index(name) for name in table.data.feature_names]
        settings = replace(
            self.settings(chosen.head, share), grid_size=chosen.model.layer(0).grid_size, tell=lambda text: None
        )
        full = networks.train(networks.without_columns(self.labelled, keep), chosen.head, chosen.hidden, settings)
        return chosen if full is None or full.worse_than(chosen) > 0 else full

    # -- formulas

    def _formulas(self, chosen: Trained) -> list[list[ScoreFormula]]:
        """For each score the formulas that were found; none for the class that others are compared with."""
        import sympy

        data, head = chosen.data, chosen.head
        symbols = tuple(sympy.Symbol(name, real=True) for name in data.feature_names)
        rows = torch.cat([data.train, data.validation])
        x, y = data.x[rows], data.y[rows]
        with torch.no_grad():
            smooth = chosen.model(x)
        if head.kind != "softmax":
            return [score_formulas(symbols, x, y, smooth[:, 0], head, deadline=self.deadline)]
        usual = labels.usual_class(self.labelled)
        return joint_formulas(symbols, x, y, smooth, usual, deadline=self.deadline)

    def _other_head(
        self, chosen: Trained, formulas: list[list[ScoreFormula]]
    ) -> tuple[Trained, list[list[ScoreFormula]]]:
        """Another head's network and formulas, where these are right more often and the first are not."""
        others = [one for one in self.heads if one.head.kind != chosen.head.kind]
        reached = self._reached(chosen, formulas)
        if not others or reached > chosen.accuracy - _FAR or time.monotonic() > self.deadline:
            return chosen, formulas
        names = self.few.data.feature_names
        keep = [names.index(name) for name in chosen.data.feature_names]
        settings = replace(self.settings(others[0].head, 1.0), deadline=time.monotonic() + self._left() / 2)
        table = networks.without_columns(self.few, keep)
        other = networks.train(table, others[0].head, others[0].hidden, settings)
        if other is None:
            return chosen, formulas
        found = self._formulas(other)
        return (other, found) if self._reached(other, found) > reached + _FAR / 2 else (chosen, formulas)

    def _of_the_same_columns(self, chosen: Trained, formulas: Sequence[Sequence[ScoreFormula]]) -> Trained:
        """A network of the columns that stand in the formula, if it says about as much."""
        formula = self._formula(chosen, formulas)
        used = set() if formula is None else {str(s) for e in formula.expressions for s in e.free_symbols}
        if not (self.options.reduce and 0 < len(used) < chosen.data.n_features) or not self._left():
            return chosen
        keep = [n for n, name in enumerate(self.labelled.data.feature_names) if name in used]
        shapes = SHAPES if self.options.shape == "auto" else (chosen.hidden,)
        settings = replace(self.settings(chosen.head, 1.0), deadline=time.monotonic() + 0.6 * self._left())
        few = networks.without_columns(self.few, keep)
        found = networks.search(few, chosen.head, shapes, settings)
        found = None if found is None else self._finished(few, found, 1.0)
        entropy = labels.entropy(self.labelled)
        return chosen if found is None or found.loss > networks.allowed(chosen.loss, entropy) else found

    def _left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())

    def _reached(self, trained: Trained, formulas: Sequence[Sequence[ScoreFormula]]) -> float:
        """How often a formula names the class on the judging rows."""
        formula = self._formula(trained, formulas)
        if formula is None:
            return 0.0
        x, y = trained.data.rows(networks.judging(trained.data))
        named = trained.head.indices(formula.torch(x))
        return float((named == networks.seen(trained.head, y)).double().mean())

    def _formula(self, chosen: Trained, formulas: Sequence[Sequence[ScoreFormula]]) -> Formula | None:
        import sympy

        if not any(formulas) or sum(not one for one in formulas) > (chosen.head.kind == "softmax"):
            return None
        data = chosen.data
        symbols = tuple(sympy.Symbol(name, real=True) for name in data.feature_names)
        scores = tuple(one[0].score if one else sympy.Integer(0) for one in formulas)
        if not any(score.free_symbols for score in scores):
            return None
        return Formula(scores, symbols, data.feature_names, data.target_names)
