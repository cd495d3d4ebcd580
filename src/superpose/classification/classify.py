"""classify: from a table with a column of classes to a network and a formula, and how often both are right."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from superpose._errors import DataError, OptionError, nearest
from superpose._tables import quoted
from superpose.classification import networks
from superpose.classification.formulas import ScoreFormula, score_formulas
from superpose.classification.joint import joint_formulas
from superpose.classification.labels import Labelled
from superpose.classification.networks import SHAPES, Settings, Trained
from superpose.data import Dataset, Split
from superpose.interpret.compiler import compile_formula
from superpose.interpret.formula import Formula
from superpose.nn.head import HEADS, Head
from superpose.nn.model import KAN
from superpose.train.history import History

if TYPE_CHECKING:
    import sympy

Listener = Callable[[str], None]
# Shares of the time after which each part ends: networks for the first head and for another, columns that are left out,
# shapes for those that stay, training on all rows. The rest is for the formula.
_FIRST_HEAD, _OTHER_HEAD, _COLUMNS, _NETWORKS, _FINAL = 0.2, 0.3, 0.42, 0.5, 0.65
# Another head with more scores is taken if its cross-entropy is below this share of the first one's.
_MUCH = 0.8
# A formula that is right so much less often than its network is reason to try another head.
_FAR = 0.02
# So many numbers in a row may be named in order; with more classes each of them gets few rows of a comparison.
_MOST_COMPARED = 12
_LEAST_UNIT = 1e-100


@dataclass(frozen=True)
class ClassifyOptions:
    """Options of :func:`classify`.

    Attributes:
        head: ``"auto"``, or one of ``"sigmoid"``, ``"gaussian"``, ``"softmax"``, ``"ordinal"``; see
            :class:`~superpose.Head`. By itself: sigmoid for two classes, softmax for more; where they are numbers, the
            ordinal head as well, and the better of the two by the validation rows.
        shape: ``"auto"``, or the widths of the hidden layers and of the scores, such as ``(3, 1)``.
        grid_size: intervals of the grids; 3, doubled while that helps, if None.
        degree: of the splines.
        time_limit: seconds for everything.
        seed: of every random choice.
        formula: whether to look for a formula.
        parameters: the most free constants of the network; 300 if None, or those of a network without hidden nodes
            if these are more.
        reduce: whether columns that hardly matter are left out.
    """

    head: str = "auto"
    shape: Literal["auto"] | tuple[int, ...] = "auto"
    grid_size: int | None = None
    degree: int = 3
    time_limit: float = 60.0
    seed: int = 0
    formula: bool = True
    parameters: int | None = None
    reduce: bool = True

    def check(self, labelled: Labelled) -> None:
        """Raise :class:`OptionError` for what makes no sense with these data."""
        kinds = ("auto", *HEADS)
        if self.head not in kinds:
            raise OptionError(
                f"head must be one of {', '.join(kinds)}, not {self.head!r}{nearest(str(self.head), kinds)}"
            )
        for name, least in (("grid_size", 1), ("parameters", 1), ("degree", 0), ("seed", 0)):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
            if not whole and not (value is None and name in ("grid_size", "parameters")):
                raise OptionError(f"{name} must be a whole number of at least {least}, not {value!r}")
        if self.degree > 5:
            raise OptionError(f"degree must be a whole number from 0 to 5, not {self.degree}")
        limit = self.time_limit
        if not isinstance(limit, Real) or not (math.isfinite(limit) and limit > 0):
            raise OptionError(f"time_limit must be a positive number of seconds, not {limit!r}")
        heads = [self.made(labelled, kind) for kind in self.kinds(labelled)]
        if self.shape != "auto" and self.shape[-1] not in [head.n_scores for head in heads]:
            counts = " or ".join(str(head.n_scores) for head in heads)
            raise OptionError(
                f"the shape must end with the number of scores, {counts} for these classes, not {self.shape[-1]}"
            )

    def kinds(self, labelled: Labelled) -> list[str]:
        """The heads to be tried."""
        if self.head != "auto":
            return [self.head]
        if len(labelled.classes) == 2:
            return ["sigmoid"]
        if not labelled.numeric or _spread(labelled) is None:
            return ["softmax"]
        return ["ordinal", "softmax"] if len(labelled.classes) <= _MOST_COMPARED else ["ordinal"]

    @staticmethod
    def made(labelled: Labelled, kind: str) -> Head:
        """A head of that kind for these classes, an ordinal one as wide as the labels are spread."""
        scale = 1.0
        if kind == "ordinal" and labelled.numeric:
            spread = _spread(labelled)
            if spread is None:
                raise OptionError(
                    f"the labels of {quoted(labelled.target)} are too large or too small for an ordinal head; give "
                    "them in other units, or use 'softmax'"
                )
            scale = spread
        return Head(kind, labelled.classes, scale, labelled.target)


@dataclass
class Classification:
    """What :func:`classify` returns.

    Attributes:
        model: the network; ``model.head`` reads its scores, ``model.labels(table)`` names classes.
        history: of its training.
        formula: of the scores, or None.
        data: what the network was trained on: the columns that it reads, one target for each score.
        labelled: the table as it was given.
        metrics: numbers and facts, ready for JSON.
        formulas: for each score the formulas that were found, the cheapest first; the score of the first class that
            others are compared with has none.
    """

    model: KAN
    history: History
    formula: Formula | None
    data: Dataset
    labelled: Labelled
    metrics: dict[str, Any]
    formulas: list[list[ScoreFormula]] = field(default_factory=list)

    @property
    def network(self) -> KAN:
        """The spline network; the same as ``model``."""
        return self.model

    @property
    def head(self) -> Head:
        """How scores are read."""
        assert self.model.head is not None
        return self.model.head

    @property
    def symbolic(self) -> KAN | None:
        """The formula as a network with the same head; None if there is no formula, or none that a network can say."""
        if self.formula is None:
            return None
        data = self.data
        try:
            model = compile_formula(self.formula.expressions, data.feature_names, data.target_names, data=data)
        except (DataError, OptionError):
            return None
        model.head = self.head
        return model

    @property
    def front(self) -> list[Formula]:
        """Of a classifier with one score, the formulas of its columns that no simpler one surpasses, from simple to
        accurate, and the recommended one; none where there are several scores, whose formulas belong together."""
        if self.formula is None or len(self.formulas) > 1:
            return []
        (found,) = self.formulas
        kept: list[ScoreFormula] = []
        columns = set(self.data.feature_names)
        usable = [one for one in found if {symbol.name for symbol in one.score.free_symbols} <= columns]
        for one in sorted(usable, key=lambda one: (one.complexity, one.deviance)):
            if one is found[0] or one.deviance < min((other.deviance for other in kept), default=math.inf):
                kept.append(one)
        data = self.data
        return [self.formula if one is found[0] else Formula.from_expressions([one.score], data) for one in kept]

    def accuracy(self, split: Split = "test", *, of: Literal["network", "formula"] = "network") -> float:
        """Share of the rows of a split whose class is named; NaN where there are none.

        Raises:
            OptionError: if there is no formula, and it is asked for.
        """
        x, y = self.data.rows(split)
        scores = self._scores(x, of)
        return float((self.head.indices(scores) == networks.seen(self.head, y)).double().mean())

    def cross_entropy(self, split: Split = "test", *, of: Literal["network", "formula"] = "network") -> float:
        """Mean over the rows of a split of minus the logarithm of the probability of their class."""
        x, y = self.data.rows(split)
        return float(self.head(self._scores(x, of), y))

    def says(self) -> str:
        """The formula in words: which class it is, and where.

        Raises:
            OptionError: if there is no formula.
        """
        if self.formula is None:
            raise OptionError("there is no formula; look at the network")
        return self.head.says(self.formula.short())

    @torch.no_grad()
    def _scores(self, x: Tensor, of: str) -> Tensor:
        if of == "network":
            found: Tensor = self.model(x)
            return found
        if self.formula is None:
            raise OptionError("there is no formula; ask for the network")
        return self.formula.torch(x)


def classify(
    data: Labelled, options: ClassifyOptions | None = None, *, listener: Listener | None = None
) -> Classification:
    """Find a network that names classes, and a formula that does.

    Args:
        data: from :func:`superpose.read_labelled` or :class:`superpose.Labelled`.
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
        result = Classification(chosen.model, chosen.history, formula, chosen.data, self.labelled, {}, formulas)
        result.metrics.update(self._metrics(result, formulas))
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
        entropy = _entropy(self.labelled)
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
        usual = _usual_class(self.labelled)
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
        entropy = _entropy(self.labelled)
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

    # -- what comes out

    def _metrics(self, result: Classification, formulas: Sequence[Sequence[ScoreFormula]]) -> dict[str, Any]:
        data, head, labelled = result.data, result.head, self.labelled
        split: Split = "test" if len(data.test) else "all"
        x, y = data.rows(split)
        classes = networks.seen(head, y)
        confusion = torch.zeros(len(head.classes), len(head.classes), dtype=torch.long)
        predicted = head.indices(result._scores(x, "network"))
        confusion.index_put_((classes, predicted), torch.ones_like(classes), accumulate=True)
        has = result.formula is not None
        usual = _usual_class(labelled)
        assert self.whole is not None
        return {
            "task": "classification",
            "target": [labelled.target],
            "features": list(labelled.data.feature_names),
            "features_used": list(data.feature_names),
            "classes": list(head.classes),
            "head": head.kind,
            "head_scale": head.scale,
            "formula": result.says() if has else None,
            "formula_accuracy": result.accuracy(split, of="formula") if has else None,
            "formula_cross_entropy": result.cross_entropy(split, of="formula") if has else None,
            "formula_complexity": result.formula.complexity if result.formula is not None else None,
            **_front(result, x, y),
            "boundaries": _boundaries(head, formulas, labelled),
            "network_accuracy": result.accuracy(split),
            "network_cross_entropy": result.cross_entropy(split),
            "network_shape": result.model.widths,
            "network_parameters": result.model.parameter_count(),
            "all_columns_accuracy": _accuracy(self.whole, split),
            "all_columns_parameters": self.whole.model.parameter_count(),
            "majority_class": head.classes[usual],
            "majority_accuracy": float((classes == usual).double().mean()),
            "confusion": confusion.tolist(),
            "shape": result.model.widths,
            "parameters": result.model.parameter_count(),
            "grids": result.history.grids,
            "rows": {name: len(getattr(data, name)) for name in ("train", "validation", "test")},
            "formulas": [
                {
                    "class": head.classes[k] if head.kind == "softmax" else None,
                    "formula": str(one.score),
                    "complexity": one.complexity,
                    "deviance": one.deviance,
                }
                for k, found in enumerate(formulas)
                for one in found[:10]
            ],
            "seed": self.options.seed,
            "reason": self.reason,
            "training": result.history.reason,
            "interrupted": self.interrupted,
            "seconds": time.monotonic() - self.began,
        }


def _spread(labelled: Labelled) -> float | None:
    """The standard deviation of labels that are numbers; None where their squares are beyond what a number can hold."""
    values = torch.tensor([float(name) for name in labelled.classes], dtype=torch.float64)
    spread = float(values[labelled.indices].std())
    return spread if _LEAST_UNIT < spread < 1 / _LEAST_UNIT else None


@torch.no_grad()
def _front(result: Classification, x: Tensor, y: Tensor) -> dict[str, Any]:
    """The front with its errors on rows that were held out, and why one formula is recommended."""
    head, rows = result.head, []
    for one in result.front:
        scores = one.torch(x)
        rows.append(
            {
                "formula": one.short()[0],
                "complexity": one.complexity,
                "cross_entropy": float(head(scores, y)),
                "accuracy": float((head.indices(scores) == networks.seen(head, y)).double().mean()),
                "recommended": one is result.formula,
            }
        )
    why = "recommended for its likelihood and its size together, where a function costs more than a power"
    return {"front": rows, "recommendation": None if result.formula is None else why}


def _usual_class(labelled: Labelled) -> int:
    return int(labelled.counts(labelled.data.train).argmax())


def _entropy(labelled: Labelled) -> float:
    """Cross-entropy of the classes' shares alone."""
    shares = labelled.counts(labelled.data.train).double()
    shares = shares[shares > 0] / shares.sum()
    return -float((shares * shares.log()).sum())


@torch.no_grad()
def _accuracy(trained: Trained, split: Split) -> float:
    x, y = trained.data.rows(split)
    return float((trained.head.indices(trained.model(x)) == networks.seen(trained.head, y)).double().mean())


def _boundaries(head: Head, formulas: Sequence[Sequence[ScoreFormula]], labelled: Labelled) -> list[dict[str, Any]]:
    """Where two classes are equally probable (on the ridge of the second, for a Gaussian), as ``expression = 0``."""
    if head.kind == "ordinal":
        return []
    usual = head.classes[_usual_class(labelled)] if head.kind == "softmax" else head.classes[0]
    found = []
    for k, one in enumerate(formulas):
        # Between two classes whose scores are constants there is no boundary.
        if one and one[0].expression.free_symbols:
            name = head.classes[k] if head.kind == "softmax" else head.classes[1]
            sign: sympy.Expr = one[0].expression
            found.append({"between": [usual, name], "equation": f"{sign} = 0"})
    return found
