"""What every network and formula of a classifier has to come near: scores that are sums of smooth functions.

They are judged by cross-validation, need no luck with starts, and include logistic regression. A network or a formula
that the rows do not favour over them is not handed out in their place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.data.splitting import folds
from superpose.messages import counted
from superpose.nn.likelihood import Head
from superpose.nn.model import KAN
from superpose.tasks.classification.labels import ClassificationDataset
from superpose.tasks.classification.networks import (
    TrainedClassifier,
    comparison_split,
    confusion_counts,
    observed_classes,
    with_columns,
)
from superpose.train.anova import ClassChoice, ClassMixture, choose_anova_classes, fit_anova_classes, network_of
from superpose.train.anova.class_selection import class_shares, log_probabilities
from superpose.train.history import History

Fold = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class ReferenceRules:
    """Constants of the comparison. Round numbers, looked at on the tables of docs/lab/classification.md.

    Attributes:
        rows: that it is fitted to for the comparison at most; what smooth sums can learn, so many rows say.
        final: that the chosen sums are fitted to at most,
        work: and multiplications of a Newton step then, a quarter of a second on a slow core.
        folds: of the cross-validation.
        few: with fewer rows the folds are dealt out twice.
        sure: standard errors of the paired difference by which a network must be better to take its place,
        gained: and nats by which its losses must be lower in sum: it is the best of some twenty on the same rows (one
            of twenty is 2.8 standard errors better by chance, and log 20 = 3), and without an error on few rows the
            standard error says little.
        nats: columns are left out if the summed losses rise by at most so much, which is chance where a column says
            nothing,
        explained: and by at most this share of what the classes' frequencies lose more than all columns,
        own: and of what all columns lose, which is little where classes are nearly divided,
        points: and if at most this share of the rows is no longer right: none of fewer than 400.
        trials: of leaving out columns, at most.
    """

    rows: int = 2000
    final: int = 20_000
    work: float = 5e8
    folds: int = 5
    few: int = 60
    sure: float = 3.0
    gained: float = 3.0
    nats: float = 2.0
    explained: float = 0.05
    own: float = 0.1
    points: float = 0.0025
    trials: int = 12


RULES = ReferenceRules()


@dataclass(frozen=True)
class Folding:
    """How rows are dealt out.

    Attributes:
        count: of the folds that were asked for; None for those of the rules.
        seed: of the order of rows.
    """

    count: int | None = None
    seed: int = 0

    def parts(self, data: Dataset) -> list[Fold]:
        """Training and test rows of the folds of a data set, twice where rows are few and no number was asked for."""
        twice = self.count is None and len(data.train) < RULES.few and data.order is None
        count = self.count or RULES.folds
        return [part for number in range(1 + twice) for part in folds(data, count, self.seed + number)]


@dataclass(frozen=True)
class Reference:
    """The chosen sums of functions.

    Attributes:
        table: the columns that they read.
        data: the same with the targets of the head.
        choice: what was tried.
        model: the network that computes them.
        rows: ``[n]``, those of cross-validation, in ascending order.
        logs: ``[n, K]``, logarithms of the classes' probabilities at each row, by fits to others.
        folding: how the folds were made.
        parts: the folds: training and test rows.
    """

    table: ClassificationDataset
    data: Dataset
    choice: ClassChoice
    model: KAN
    rows: Tensor
    logs: Tensor
    folding: Folding
    parts: list[Fold]

    @property
    def head(self) -> Head:
        """The likelihood of the scores."""
        return self.choice.fit.head

    @property
    def shares(self) -> Tensor:
        """``[n, K]``: the classes of the rows as probabilities."""
        return class_shares(self.head, self.data.y[self.rows])

    @property
    def losses(self) -> Tensor:
        """``[n]`` negative log-likelihoods."""
        return -(self.shares * self.logs).sum(1)

    @property
    def right(self) -> Tensor:
        """``[n]``: 1 where the most probable class is the observed one, else 0."""
        return right_rows(self.logs, self.shares)

    @property
    def reason(self) -> str:
        """What the scores are, for the history of training."""
        return f"the best fit of {described(self.choice.fit)}"

    @property
    def confusion(self) -> Tensor:
        """``[K, K]``: numbers of rows by their class and by the most probable one."""
        return confusion_counts(self.shares.argmax(1), self.logs.argmax(1), self.logs.shape[1])

    def errors(self, logs: Tensor) -> dict[str, float]:
        """Share of right rows and mean loss of log-probabilities ``[n, K]``, each with its standard error."""
        shares = self.shares
        right, losses = right_rows(logs, shares), -(shares * logs).sum(1)
        return {
            "accuracy": float(right.mean()),
            "standard_error": standard_error(right),
            "log_loss": float(losses.mean()),
            "log_loss_standard_error": standard_error(losses),
        }

    def facts(self) -> dict[str, Any]:
        """The errors, ready for JSON."""
        return self.errors(self.logs) | {
            "folds": len(self.parts) * len(self.rows) // len(self.choice.rows),
            "rows": len(self.rows),
            "functions": described(self.choice.fit),
            "constants": round(self.choice.fit.effective, 1),
        }

    @torch.no_grad()
    def trained(self, full: Dataset) -> TrainedClassifier:
        """As a trained network of the data ``full``, with its losses on the rows where networks are compared."""
        judged = self.data
        rows = getattr(judged, comparison_split(judged))
        head, x, y = self.head, judged.x[rows], judged.y[rows]
        # Rows outside the cross-validation were not fitted either.
        logs = log_probabilities(head, self.model(x))
        place = torch.searchsorted(self.rows, rows).clamp(max=len(self.rows) - 1)
        known = self.rows[place] == rows
        logs[known] = self.logs[place[known]]
        losses = -(class_shares(head, y) * logs).sum(1)
        right = logs.argmax(1) == observed_classes(head, y)
        return TrainedClassifier(self.model, full, History(reason=self.reason), losses, float(right.double().mean()))


def measured(
    reference: Reference, chosen: TrainedClassifier, formula: Tensor | None, full: float | None
) -> dict[str, Any]:
    """Errors of the reference on rows that it was not fitted to; where no rows are held out for the test, also those of
    the network and the formula.

    Args:
        chosen: the network.
        formula: ``[n, K]`` log-probabilities by a formula whose constants were fitted to other rows; None without one.
        full: the accuracy of all columns, if known.
    """
    facts: dict[str, Any] = {"cross_validation": reference.facts()}
    if len(chosen.data.test):
        return facts
    if reference.model is chosen.model:
        facts |= _named("network", reference.facts())
        facts["confusion"] = reference.confusion.tolist()
    else:
        count, share = len(chosen.losses), chosen.accuracy
        errors = {
            "accuracy": share,
            "standard_error": math.sqrt(share * (1 - share) / max(count - 1, 1)),
            "log_loss": chosen.loss,
            "log_loss_standard_error": standard_error(chosen.losses),
        }
        facts |= _named("network", errors) | {"network_judged": f"{counted(count, 'row')} left out of its training"}
    if formula is not None:
        facts |= _named("formula", reference.errors(formula)) | {"formula_judged": "cross-validation"}
    if full is not None:
        facts["all_columns_accuracy"] = full
    return facts


def _named(what: str, errors: dict[str, Any]) -> dict[str, Any]:
    """Errors of the network or the formula under the names of ``metrics.json``."""
    return {
        f"{what}_accuracy": errors["accuracy"],
        f"{what}_cross_entropy": errors["log_loss"],
        f"{what}_standard_error": errors["standard_error"],
        f"{what}_cross_entropy_standard_error": errors["log_loss_standard_error"],
    }


def right_rows(logs: Tensor, shares: Tensor) -> Tensor:
    """``[n]``: 1 where the most probable class is the observed one, else 0; of log-probabilities and shares
    ``[n, K]``."""
    return (logs.argmax(1) == shares.argmax(1)).double()


def losses_alone(shares: Tensor) -> Tensor:
    """``[n]`` losses of the classes' frequencies, of shares ``[n, K]``."""
    return -(shares * shares.mean(0).clamp(min=_RARE).log()).sum(1)


# Frequencies of classes are kept this far from 0 for their logarithm. A round number.
_RARE = 1e-12


def standard_error(values: Tensor) -> float:
    """Of the mean of ``values [n]``."""
    return float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.inf


def described(fit: ClassMixture) -> str:
    """What the scores consist of, in words."""
    settings = [one.settings for _, one in fit.parts]
    what = "the classes' frequencies" if fit.settings.constant else "straight lines"
    if any(one.curves for one in settings):
        what = "curves of single columns"
    if any(one.interactions for one in settings):
        what += " and products of two columns' curves"
    return what + (", some of logarithms of the columns" if fit.settings.log_columns else "")


def fit_reference(
    table: ClassificationDataset, head: Head, folding: Folding, *, late: Callable[[], bool] = lambda: False
) -> Reference | None:
    """The reference of a table for a head; None where there is none.

    Args:
        table: with the validation rows on which networks are compared.
        head: of any kind; with a Gaussian head there is no reference.
        late: whether the time is over.
    """
    data = table.scored(head)
    rows = torch.cat([data.train, data.validation]).sort().values
    scale = data.x_scale.scale
    # Squares of numbers beyond are no doubles.
    if head.kind == "gaussian" or len(rows) < RULES.folds or not bool(((scale > 1e-100) & (scale < 1e100)).all()):
        return None
    parts = folding.parts(replace(table.data, train=rows[evenly(len(rows), RULES.rows)], validation=rows[:0]))
    choice = choose_anova_classes(data.x, data.y, head, parts, weights=data.weights, late=late)
    return None if choice is None else _reference(table, data, choice, folding, parts)


def _reference(
    table: ClassificationDataset, data: Dataset, choice: ClassChoice, folding: Folding, parts: list[Fold]
) -> Reference:
    places, inverse = torch.unique(choice.rows, return_inverse=True)
    sums = torch.zeros((len(places), choice.logs.shape[1]), dtype=data.y.dtype).index_add_(0, inverse, choice.logs)
    logs = (sums / torch.bincount(inverse)[:, None]).log_softmax(-1)
    model = network_of(choice.fit, data.feature_names, data.target_names)
    return Reference(table, data, choice, model, places, logs, folding, parts)


def on_all_rows(reference: Reference, *, late: Callable[[], bool] = lambda: False) -> Reference:
    """The same sums, fitted to more rows where the comparison took some; what cross-validation said stays."""
    data, fit = reference.data, reference.choice.fit
    rows = torch.cat([data.train, data.validation]).sort().values
    size = max(part.inner.numel() for _, part in fit.parts)
    most = min(RULES.final, int(2 * RULES.work / size**2))
    if fit.settings.constant or min(len(rows), most) <= len(reference.rows) or late():
        return reference
    rows = rows[evenly(len(rows), most)]
    x, y, weights = data.x[rows], data.y[rows], None if data.weights is None else data.weights[rows]
    parts = tuple(
        (share, fit_anova_classes(x, y, part.head, part.settings, weights=weights, start=part, late=late))
        for share, part in fit.parts
    )
    choice = replace(reference.choice, fit=ClassMixture(parts))
    return replace(reference, choice=choice, model=network_of(choice.fit, data.feature_names, data.target_names))


def straight(reference: Reference) -> Reference | None:
    """The best straight lines alone; None if none were tried."""
    lines = [one for one in reference.choice.tried if not one.settings.curves]
    if not lines:
        return None
    choice = reference.choice.single(min(lines, key=lambda one: one.mean_loss))
    return _reference(reference.table, reference.data, choice, reference.folding, reference.parts)


def within(reference: Reference, parameters: int | None) -> Reference | None:
    """The reference, or its straight lines, whose network has at most so many parameters; None if neither has."""
    for one in (reference, straight(reference)):
        if one is not None and (parameters is None or one.model.parameter_count() <= parameters):
            return one
    return None


def costs_nothing(fewer: Reference, reference: Reference) -> bool:
    """Whether fewer columns predict as well as all by cross-validation."""
    rise, lost = fewer.losses - reference.losses, reference.right - fewer.right
    explained = float((losses_alone(reference.shares) - reference.losses).sum())
    own = float(reference.losses.sum())
    most = min(RULES.nats, RULES.explained * max(explained, 0.0), RULES.own * own)
    return float(rise.sum()) <= most and float(lost.mean()) <= RULES.points


def with_fewer_columns(reference: Reference, *, late: Callable[[], bool] = lambda: False) -> Reference:
    """The reference of the fewest columns that cost nothing by cross-validation, the least important left out first."""
    current = reference
    count = max(1, len(importance(reference)) // 2)
    for _ in range(RULES.trials):
        width = current.data.n_features
        count = min(count, width - 1)
        if count < 1 or late():
            break
        order = sorted(range(width), key=importance(current).__getitem__)
        names = [current.data.feature_names[i] for i in sorted(order[count:])]
        found = fit_reference(with_columns(reference.table, names), reference.head, reference.folding, late=late)
        if found is not None and costs_nothing(found, reference):
            current = found
        elif count == 1:
            break
        else:
            count //= 2
    return current


def importance(reference: Reference) -> list[float]:
    """The variance over the rows of what each column adds to the scores, interactions included."""
    fit = reference.choice.fit
    found = [0.0] * len(fit.bases)
    for one in fit.coefficients():
        for i, main in enumerate(one.mains):
            found[i] += float(main.square().sum())
        for (i, j), matrix in one.pairs.items():
            found[i] += float(matrix.square().sum())
            found[j] += float(matrix.square().sum())
    return found


def surpasses(network: TrainedClassifier, reference: TrainedClassifier) -> bool:
    """Whether a network predicts the validation rows better than the reference, by more than chance."""
    gained = float((reference.losses - network.losses).sum())
    return gained > RULES.gained and network.worse_than(reference) < -RULES.sure


def much_better(other: Reference, reference: Reference, share: float) -> bool:
    """Whether another head's losses of the same rows are below this share, and lower by one standard error and three
    nats in sum."""
    gain = reference.losses - other.losses
    enough = float(other.losses.mean()) < share * float(reference.losses.mean()) and float(gain.sum()) > RULES.gained
    return enough and float(gain.mean()) > standard_error(gain)


def of_names(reference: Reference, names: Sequence[str]) -> Reference | None:
    """The reference of some columns, if leaving out the others costs nothing; None if it does."""
    found = fit_reference(with_columns(reference.table, names), reference.head, reference.folding)
    return found if found is not None and costs_nothing(found, reference) else None
