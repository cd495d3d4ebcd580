"""classify: from a table with a column of classes to a network and a formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import torch

from superpose.checkpoint import Checkpoint
from superpose.checkpoint.stages import Stages
from superpose.data.sampling import evenly
from superpose.data.screening import Screening, screen
from superpose.deadline import Deadline
from superpose.errors import DataError, OptionError
from superpose.formulas.expressions.compiler import compile_formula
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.from_scores.joint_scores import joint_formulas
from superpose.formulas.from_scores.one_score import ScoreFormula, score_formulas
from superpose.messages import listed
from superpose.nn.likelihood import Head
from superpose.nn.model import KAN
from superpose.partial import Failures
from superpose.stopping import StopReason
from superpose.tasks.classification import judging, labels, networks
from superpose.tasks.classification import reference as references
from superpose.tasks.classification.labels import ClassificationDataset
from superpose.tasks.classification.metrics import metrics
from superpose.tasks.classification.networks import NetworkSettings, TrainedClassifier
from superpose.tasks.classification.options import ClassifyOptions
from superpose.tasks.classification.reference import Reference
from superpose.tasks.classification.result import Classification
from superpose.tasks.classification.schedule import SCHEDULE as _SCHEDULE
from superpose.tasks.result import Observer
from superpose.train.candidate_shapes import SHAPES

Listener = Callable[[str], None]


_NOT_NEAR = "the search was completed; no formula predicts about as well as the network in cross-validation"


# Rows that formulas are fitted to, at most. A round number.
_FORMULA_ROWS = 20_000


def classify(
    data: ClassificationDataset,
    options: ClassifyOptions | None = None,
    *,
    listener: Listener | None = None,
    deadline: Deadline | None = None,
    checkpoint: Checkpoint | None = None,
    observer: Observer | None = None,
) -> Classification:
    """Find a network and a formula that predict classes.

    Args:
        data: from :func:`~superpose.tasks.classification.read_classification` or
            :class:`~superpose.tasks.classification.ClassificationDataset`.
        options: see :class:`ClassifyOptions`.
        listener: called with a short sentence whenever something was found.
        deadline: when the search ends; after ``options.time_limit`` seconds if left out.
        checkpoint: where finished stages are written, and read if the run goes on.
        observer: who sees every training step of a network.

    Returns:
        A :class:`Classification`. If the user interrupts, the best found so far, with ``metrics["interrupted"]`` true.

    Raises:
        OptionError: for options that are impossible with the data, or a checkpoint of another run.
        KeyboardInterrupt: if the user interrupts before anything was found.

    >>> points = 2 * torch.rand(400, 2, generator=torch.Generator().manual_seed(0)) - 1
    >>> inside = ["in" if x * x + y * y < 0.5 else "out" for x, y in points.tolist()]
    >>> result = classify(ClassificationDataset.from_arrays(points, inside))
    >>> result.accuracy(of="formula") > 0.95
    True
    """
    options = (options or ClassifyOptions()).checked(data)
    deadline = deadline or Deadline(options.time_limit)
    tell = listener or (lambda text: None)
    return ClassificationSearch(data, options, tell, deadline, checkpoint, observer).run()


def _symbolic(formula: Formula, chosen: TrainedClassifier) -> KAN | None:
    """The formula as a network with the head of the trained one; None if no network can represent it."""
    data = chosen.data
    try:
        model = compile_formula(formula.expressions, data.feature_names, data.target_names, data=data)
    except (DataError, OptionError):
        return None
    model.head = chosen.head
    return model


def _screening(table: ClassificationDataset, options: ClassifyOptions, tell: Listener, limit: float) -> Screening:
    """Which columns of a wide table are used, found within so many seconds."""
    if not options.reduce:
        return Screening.of_all(table.data)
    # One indicator for each class; of two classes one says everything.
    targets = table.data.y
    if not table.soft and len(table.classes) > 2:
        targets = torch.nn.functional.one_hot(table.indices, len(table.classes)).double()
    found = screen(table.data, targets, time_limit=limit, seed=options.seed)
    if found.left_out:
        tell(found.reason)
    return found


def _score_formulas(chosen: TrainedClassifier, base: int, deadline: Deadline) -> list[list[ScoreFormula]]:
    """For each score of a network the formulas that were found by a time; none for the class ``base`` of a softmax."""
    import sympy

    data, head = chosen.data, chosen.head
    symbols = tuple(sympy.Symbol(name, real=True) for name in data.feature_names)
    rows = torch.cat([data.train, data.validation])
    # Formulas have few constants, which so many rows determine.
    rows = rows[evenly(len(rows), _FORMULA_ROWS)]
    x, y = data.features(rows), data.y[rows]
    with torch.no_grad():
        scores = chosen.model(x)
    if head.kind != "softmax":
        return [score_formulas(symbols, x, y, scores[:, 0], head, deadline=deadline)]
    return joint_formulas(symbols, x, y, scores, base, deadline=deadline)


class ClassificationSearch:
    """The stages of :func:`classify`."""

    def __init__(
        self,
        table: ClassificationDataset,
        options: ClassifyOptions,
        tell: Listener,
        deadline: Deadline,
        checkpoint: Checkpoint | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.given, self.options, self.tell = table, options, tell
        self.deadline, self.limit = deadline, deadline.left()
        self.observer = observer or Observer()
        self.failures = Failures()
        self.stages = Stages(checkpoint, deadline, self.failures, (ScoreFormula, Screening))
        self.stages.begin("classification", table, asdict(options))
        self.screening = Screening.of_all(table.data)
        with self.failures.part("columns without influence could not be found", "all columns are used"):
            limit = _SCHEDULE.screening * self.limit
            self.screening = self.stages.run(
                "screening", lambda: _screening(table, options, tell, limit), lambda found: found.rows > 0
            )
        self.screened = replace(table, data=self.screening.applied(table.data))
        self.table = networks.with_validation(self.screened, options.seed)
        self.sample = networks.fewer_rows(self.table)
        self.whole: TrainedClassifier | None = None
        self.heads: list[TrainedClassifier] = []
        self.references: dict[str, Reference | None] = {}
        self.judged: judging.Judged | None = None
        # The accuracy of all columns on rows that were not fitted.
        self.full: float | None = None

    def settings(self, head: Head, share: float) -> NetworkSettings:
        """Settings of networks that are trained until this share of the time limit has passed."""
        options = self.options
        most = networks.budget(options.parameters, self.table.data.n_features, head, options.degree)
        ends = Deadline(self.deadline.left() - (1 - share) * self.limit, self.deadline.clock)
        return NetworkSettings(
            *(most, options.degree, options.grid_size, options.seed, ends, self.tell, self.failures, self.stages),
            observer=self.observer,
        )

    def run(self) -> Classification:
        """All stages; after an interruption the best network so far."""
        stop, reason = StopReason.CANDIDATES_EXHAUSTED, "the search was completed"
        table: ClassificationDataset = self.sample
        chosen: TrainedClassifier | None = None
        formulas: list[list[ScoreFormula]] = []
        try:
            self.whole = chosen = self._best_head()
            reference = self._its_reference(chosen)
            self.full = chosen.accuracy if reference is None else float(reference.right.mean())
            part = self.failures.part
            if self.options.reduce:
                with part("columns that do not matter could not be removed", "the network reads them all"):
                    table, chosen = self._reduced(self.whole)
            with part("the network could not be trained on all rows", "it stays as it was trained on a sample"):
                chosen = self._finished(table, chosen)
            if self.options.formula and not self.deadline.passed():
                with part("no formula could be found", "the network itself is complete"):
                    formulas = self._formulas(chosen)
                with part("another head could not be tried"):
                    chosen, formulas = self._other_head(chosen, formulas)
                with part("the formulas could not be compared with the network", "they are not recommended"):
                    found, formulas = formulas, []
                    formulas = self._near(chosen, found)
                if any(found) and not formulas:
                    reason = _NOT_NEAR
                with part("no network could be trained on the columns of the formula", "the one before is kept"):
                    chosen = self._of_the_same_columns(chosen, formulas)
            with part("the smooth sums could not be fitted to all rows", "they stay as they were fitted to some"):
                chosen = self._on_all_rows(chosen)
        except KeyboardInterrupt as interruption:
            stop, reason = StopReason.INTERRUPTED, "interrupted; the best found so far was kept"
            if chosen is None:
                if not isinstance(interruption, networks.Interrupted):
                    raise
                self.whole = chosen = interruption.trained
        if stop is not StopReason.INTERRUPTED and self.deadline.passed():
            stop, reason = StopReason.TIME_LIMIT, "the time was over"
        return self._result(chosen, formulas, stop, reason)

    def _result(
        self, chosen: TrainedClassifier, formulas: list[list[ScoreFormula]], stop: StopReason, reason: str
    ) -> Classification:
        """What was found with its metrics; without its formula if that has none."""
        assert self.whole is not None
        kept = "the network itself is complete"
        formula = self.failures.attempt(
            "the formula could not be written", lambda: judging.formula_of(formulas, chosen.data), None, kept
        )
        symbolic = None
        if formula is not None:
            with self.failures.part("the formula could not be made into a network", kept):
                symbolic = _symbolic(formula, chosen)

        def measured(symbolic: KAN | None, formula: Formula | None, found: list[list[ScoreFormula]]) -> Classification:
            assert self.whole is not None
            result = Classification(
                *(chosen.model, symbolic, formula, chosen.history, chosen.data, {}, self.given, found),
                failures=self.failures,
            )
            seconds = self.deadline.elapsed()
            seed = self.options.seed
            result.metrics |= metrics(result, found, self.whole, seed=seed, stop=stop, reason=reason, seconds=seconds)
            reference = self.references.get(chosen.head.kind)
            if reference is not None:
                logs = None if formula is None or self.judged is None else self.judged.logs
                result.metrics |= references.measured(reference, chosen, logs, self.full)
            result.metrics["screening"] = self.screening.facts()
            result.metrics["warnings"] = list(self.failures.sentences)
            return result

        with self.failures.part("the formula could not be measured", f"it is left out, and {kept}"):
            return measured(symbolic, formula, formulas)
        return measured(None, None, [])

    # -- networks

    def _best_head(self) -> TrainedClassifier:
        shapes = SHAPES.classifier if self.options.shape == "auto" else (tuple(self.options.shape[:-1]),)
        found: list[TrainedClassifier] = []
        kinds = self.options.kinds(self.table)
        for number, kind in enumerate(kinds, start=1):
            head = self.options.made(self.table, kind)
            if self.options.shape != "auto" and self.options.shape[-1] != head.n_scores:
                continue
            settings = self.settings(head, _SCHEDULE.first_head if number == 1 else _SCHEDULE.other_head)
            reference = self._reference(head, _SCHEDULE.reference if number == 1 else _SCHEDULE.other_reference)
            try:
                trained = networks.search(self.sample, head, shapes, settings)
            except networks.Interrupted as stop:
                raise networks.Interrupted(found[0] if found else self._standing(reference, stop.trained)) from None
            if trained is None and not found and self.failures.sentences:
                # Every shape failed, and without a network there is nothing to keep: the fault is raised.
                trained = networks.train(self.sample, head, shapes[0], settings)
            if trained is None and not found:
                least = networks.parameter_count([self.table.data.n_features, head.n_scores], 3, self.options.degree)
                raise OptionError(
                    f"no network fits into {settings.parameters} parameters: the smallest with a {kind} head has "
                    f"{least}; raise parameters, or offer fewer columns"
                )
            if trained is not None:
                found.append(self._standing(reference, trained))
        self.heads = found
        # A single score is easier to read than many: it is kept unless many are much better, and significantly so.
        first, last = found[0], found[-1]
        sums = self._its_reference(first), self._its_reference(last)
        if sums[0] is not None and sums[1] is not None:
            better = references.much_better(sums[1], sums[0], _SCHEDULE.much_better)
        else:
            better = last.loss < _SCHEDULE.much_better * first.loss and last.worse_than(first) < -2.0
        return last if better else first

    def _reference(self, head: Head, share: float) -> Reference | None:
        """The smooth sums that everything with this head is compared with; None if the network's form is given."""
        options, late = self.options, self.settings(head, share).deadline.passed
        found = None
        if options.free:
            with self.failures.part("no smooth sums could be fitted to compare with"):
                folding = references.Folding(options.cv, options.seed)
                found = references.fit_reference(self.sample, head, folding, late=late)
                if found is not None:
                    found = references.within(found, options.parameters)
        if found is not None:
            facts = found.facts()
            self.tell(f"{facts['functions']}: accuracy {facts['accuracy']:.3f} in cross-validation")
        self.references[head.kind] = found
        return found

    def _standing(self, reference: Reference | None, trained: TrainedClassifier | None) -> TrainedClassifier:
        """The reference, unless there is none or the network is better by more than chance."""
        if reference is None:
            assert trained is not None
            return trained
        own = reference.trained(
            networks.with_columns(self.screened, reference.data.feature_names).scored(reference.head)
        )
        return trained if trained is not None and references.surpasses(trained, own) else own

    def _its_reference(self, trained: TrainedClassifier) -> Reference | None:
        """The reference whose network this is; None for networks that were trained."""
        found = self.references.get(trained.head.kind)
        return found if found is not None and found.model is trained.model else None

    def _reduced(self, best: TrainedClassifier) -> tuple[ClassificationDataset, TrainedClassifier]:
        reference = self._its_reference(best)
        if reference is not None:
            late = self.settings(best.head, _SCHEDULE.columns).deadline.passed
            fewer = references.with_fewer_columns(reference, late=late)
            if fewer is reference:
                return self.sample, best
            self.references[best.head.kind] = fewer
            self.tell(f"without {listed(sorted(set(reference.data.feature_names) - set(fewer.data.feature_names)))}")
            again = networks.search(
                fewer.table, best.head, SHAPES.classifier, self.settings(best.head, _SCHEDULE.shapes)
            )
            return fewer.table, self._standing(fewer, again)
        entropy = labels.entropy(self.table)
        settings = self.settings(best.head, _SCHEDULE.columns)
        table, smaller = networks.reduced(self.sample, best, entropy, settings, readable=self.options.formula)
        if table is self.sample or self.options.shape != "auto":
            return table, smaller
        # With fewer columns there is room for other shapes.
        again = networks.search(table, best.head, SHAPES.classifier, self.settings(best.head, _SCHEDULE.shapes))
        return table, smaller if again is None or again.worse_than(smaller) > 0 else again

    def _finished(
        self, table: ClassificationDataset, chosen: TrainedClassifier, share: float = _SCHEDULE.final
    ) -> TrainedClassifier:
        """The same network, trained on all rows if it was trained on a sample."""
        if self.sample is self.table or self._its_reference(chosen) is not None:
            return chosen
        settings = replace(
            self.settings(chosen.head, share), grid_size=chosen.model.layer(0).grid_size, tell=lambda text: None
        )
        same = networks.with_columns(self.table, table.data.feature_names)
        same = networks.with_rows(same, networks.RULES.final_rows)
        full = networks.train(same, chosen.head, chosen.hidden, settings)
        return chosen if full is None or full.worse_than(chosen) > 0 else full

    def _on_all_rows(self, chosen: TrainedClassifier) -> TrainedClassifier:
        """The same smooth sums, fitted to all rows if they were compared on some."""
        reference = self._its_reference(chosen)
        if reference is None:
            return chosen
        self.references[chosen.head.kind] = more = references.on_all_rows(reference, late=self.deadline.passed)
        return replace(chosen, model=more.model)

    # -- formulas

    def _formulas(self, chosen: TrainedClassifier) -> list[list[ScoreFormula]]:
        """For each score the formulas that were found; none for the reference class."""
        deadline = self.settings(chosen.head, _SCHEDULE.formulas).deadline
        base = labels.majority_class(self.table)
        return self.stages.run(f"{chosen.head.kind} formulas", lambda: _score_formulas(chosen, base, deadline))

    def _other_head(
        self, chosen: TrainedClassifier, formulas: list[list[ScoreFormula]]
    ) -> tuple[TrainedClassifier, list[list[ScoreFormula]]]:
        """The network and formulas of another head, if the first formulas are inaccurate and the others are better."""
        others = [one for one in self.heads if one.head.kind != chosen.head.kind]
        reached = judging.reached(chosen, formulas)
        if not others or reached > chosen.accuracy - _SCHEDULE.worse or self.deadline.passed():
            return chosen, formulas
        other: TrainedClassifier | None = others[0]
        if self._its_reference(others[0]) is None:
            settings = replace(self.settings(others[0].head, 1.0), deadline=self.deadline.share(0.5))
            table = networks.with_columns(self.sample, chosen.data.feature_names)
            other = networks.train(table, others[0].head, others[0].hidden, settings)
        if other is None:
            return chosen, formulas
        found = self._formulas(other)
        return (other, found) if judging.reached(other, found) > reached + _SCHEDULE.worse / 2 else (chosen, formulas)

    def _of_the_same_columns(
        self, chosen: TrainedClassifier, formulas: Sequence[Sequence[ScoreFormula]]
    ) -> TrainedClassifier:
        """A network of the formula's columns, if its cross-entropy is about as low."""
        formula = judging.formula_of(formulas, chosen.data)
        used = set() if formula is None else {str(s) for e in formula.expressions for s in e.free_symbols}
        if not (self.options.reduce and 0 < len(used) < chosen.data.n_features) or self.deadline.passed():
            return chosen
        keep = [name for name in self.table.data.feature_names if name in used]
        reference = self._its_reference(chosen)
        if reference is not None:
            fewer = references.of_names(reference, keep)
            if fewer is None:
                return chosen
            self.references[chosen.head.kind] = fewer
            return self._standing(fewer, None)
        shapes = SHAPES.classifier if self.options.shape == "auto" else (chosen.hidden,)
        settings = replace(self.settings(chosen.head, 1.0), deadline=self.deadline.share(_SCHEDULE.formula_columns))
        sample = networks.with_columns(self.sample, keep)
        found = networks.search(sample, chosen.head, shapes, settings)
        found = None if found is None else self._finished(sample, found, 1.0)
        entropy = labels.entropy(self.table)
        return chosen if found is None or found.loss > networks.allowed(chosen.loss, entropy) else found

    def _near(self, chosen: TrainedClassifier, formulas: list[list[ScoreFormula]]) -> list[list[ScoreFormula]]:
        """The formulas with one first that comes near the reference; none if none does."""
        reference = self.references.get(chosen.head.kind)
        if reference is None:
            return formulas
        lines = None
        straight = references.straight(reference)
        if straight is not None and set(straight.data.feature_names) <= set(chosen.data.feature_names):
            with self.failures.part("straight lines could not be written as formulas"):
                lines = judging.lines_of(straight, labels.majority_class(self.table))
        self.judged, kept = judging.recommended(formulas, lines, chosen, reference)
        return kept
