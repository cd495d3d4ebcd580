"""Networks of classifiers: training, comparison of shapes, and removal of unimportant columns."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from superpose.checkpoint.stages import Stages
from superpose.data import Dataset, Split
from superpose.data.sampling import evenly
from superpose.data.screening import with_features
from superpose.data.splitting import folds
from superpose.deadline import Deadline
from superpose.nn.likelihood import Head
from superpose.nn.model import KAN
from superpose.partial import Failures
from superpose.tasks.classification.labels import ClassificationDataset
from superpose.tasks.result import Observer
from superpose.train.candidate_shapes import in_order, smallest_near_best
from superpose.train.fit import fit
from superpose.train.history import History


@dataclass(frozen=True)
class NetworkRules:
    """The networks of a classifier. Chosen on the knot table and on tables with known boundaries; not compared singly.

    Attributes:
        first_grid, max_intervals: the grid is doubled from the one up to the other.
        rows_per_interval: training rows for each interval of the finest grid, at least.
        gain: a finer grid must lower the cross-entropy by this factor.
        parameters: the default limit; a network without hidden nodes may have more.
        larger, lost: a network of fewer columns may have a cross-entropy larger by the first share, as long as it loses
            no more than the second share of what the columns explain.
        sparsity: penalty, in units of the mean squared residual, that bounds the scores of classes without overlap;
            their likelihood rises without bound.
        max_rows: training rows on which shapes and columns are compared; of a large table a ``share`` of them, up to
            ``large_rows``.
        final_rows: training rows of the final network, at most.
        losers: larger shapes in a row that do not lower the cross-entropy end the comparison.
        min_seconds: the shortest time for training one grid.
    """

    first_grid: int = 3
    max_intervals: int = 12
    rows_per_interval: int = 8
    gain: float = 0.98
    parameters: int = 300
    larger: float = 0.2
    lost: float = 0.04
    sparsity: float = 1e-5
    max_rows: int = 3000
    share: int = 10
    large_rows: int = 10_000
    final_rows: int = 50_000
    losers: int = 2
    min_seconds: float = 0.5


RULES = NetworkRules()


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """A trained network and its losses on the rows of :func:`comparison_split`.

    Attributes:
        model: the network, with its head.
        data: the data set that it was trained on, one target for each score.
        history: of its training.
        losses: ``[V]`` negative log-likelihood of each row's class.
        accuracy: share of the rows whose class is predicted correctly.
    """

    model: KAN
    data: Dataset
    history: History
    losses: Tensor
    accuracy: float

    @property
    def head(self) -> Head:
        """The head of the network."""
        assert self.model.head is not None
        return self.model.head

    @property
    def hidden(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return tuple(self.model.widths[1:-1])

    @property
    def loss(self) -> float:
        """The mean cross-entropy."""
        return float(self.losses.mean())

    def worse_than(self, other: TrainedClassifier) -> float:
        """The excess of its cross-entropy, in standard errors of the mean difference over the rows."""
        difference = self.losses - other.losses
        return float(difference.mean() / (difference.std() / len(difference) ** 0.5).clamp(min=1e-12))


class Interrupted(KeyboardInterrupt):
    """An interruption by the user; ``trained`` is the best network so far."""

    def __init__(self, trained: TrainedClassifier) -> None:
        super().__init__()
        self.trained = trained


@dataclass(frozen=True)
class NetworkSettings:
    """Settings that all networks of a search share; ``parameters`` is the largest number of parameters."""

    parameters: int
    degree: int
    grid_size: int | None
    seed: int
    deadline: Deadline
    tell: Callable[[str], None]
    failures: Failures = field(default_factory=Failures)
    stages: Stages = field(default_factory=Stages)
    observer: Observer = field(default_factory=Observer)


def comparison_split(data: Dataset) -> Split:
    """The rows on which networks are compared: the validation rows, if there are any."""
    return "validation" if len(data.validation) else "train"


def with_columns(table: ClassificationDataset, names: Sequence[str]) -> ClassificationDataset:
    """The table with some of its features."""
    return replace(table, data=with_features(table.data, names))


def with_validation(table: ClassificationDataset, seed: int) -> ClassificationDataset:
    """The table with validation rows for the comparison of networks, also where none were held out."""
    data = table.data
    if len(data.validation) or len(data.train) < 2 * _FOLDS:
        return table
    train, validation = folds(data, _FOLDS, seed)[-1]
    return replace(table, data=replace(data, train=train, validation=validation))


# A fifth of the rows: fewer say nothing of a network, more are missed in its training. A round number.
_FOLDS = 5


def fewer_rows(table: ClassificationDataset) -> ClassificationDataset:
    """The table with fewer training rows, for comparing shapes and columns; itself if it has few."""
    return with_rows(table, max(RULES.max_rows, min(len(table.data.train) // RULES.share, RULES.large_rows)))


def with_rows(table: ClassificationDataset, most: int) -> ClassificationDataset:
    """The table with at most so many training rows; itself if it has no more."""
    data = table.data
    if len(data.train) <= most:
        # The same object tells the caller that a network of it needs no further training.
        return table
    # Validation rows stay: losses are compared row by row.
    return replace(table, data=replace(data, train=data.train[evenly(len(data.train), most)]))


def parameter_count(widths: list[int], grid_size: int, degree: int) -> int:
    """Number of parameters of a network of these widths."""
    return sum(a * b for a, b in itertools.pairwise(widths)) * (grid_size + degree + 1)


def budget(parameters: int | None, n_features: int, head: Head, degree: int) -> int:
    """The largest number of parameters that a network may have."""
    if parameters is not None:
        return parameters
    return max(RULES.parameters, parameter_count([n_features, head.n_scores], RULES.first_grid, degree))


def train(
    table: ClassificationDataset, head: Head, hidden: tuple[int, ...], settings: NetworkSettings
) -> TrainedClassifier | None:
    """Train one shape on finer and finer grids; None if it has too many parameters.

    Raises:
        Interrupted: if the user interrupts.
    """
    data = table.scored(head)
    shape = [data.n_features, *hidden, head.n_scores]

    def compute() -> _Stored | None:
        made = _trained(data, head, hidden, settings)
        # The rows are known, and would make most of a checkpoint.
        return None if made is None else (made.model, made.history, made.losses, made.accuracy)

    name = f"{head.kind} network {shape} of {', '.join(data.feature_names)}"
    stored = settings.stages.run(name, compute)
    if stored is None:
        return None
    model, history, losses, accuracy = stored
    best = TrainedClassifier(model, data, history, losses, accuracy)
    grid = model.layer(0).grid_size
    settings.tell(f"network {shape} with {grid} intervals: accuracy {accuracy:.3f}, cross-entropy {best.loss:.3g}")
    return best


_Stored = tuple[KAN, History, Tensor, float]


def _trained(data: Dataset, head: Head, hidden: tuple[int, ...], settings: NetworkSettings) -> TrainedClassifier | None:
    widths = [data.n_features, *hidden, head.n_scores]
    first = settings.grid_size or RULES.first_grid
    sizes = [first]
    while settings.grid_size is None and sizes[-1] * 2 <= min(
        RULES.max_intervals, len(data.train) // RULES.rows_per_interval
    ):
        sizes.append(sizes[-1] * 2)
    sizes = [size for size in sizes if parameter_count(widths, size, settings.degree) <= settings.parameters]
    if not sizes:
        return None
    best: TrainedClassifier | None = None
    model = KAN(widths, grid_size=first, degree=settings.degree, seed=settings.seed)
    history: History | None = None
    for size in sizes:
        left = max(RULES.min_seconds, settings.deadline.left())
        step = fit(
            model,
            data,
            loss=head,
            grids=(size,),
            starts=None if history is None and hidden else 1,
            sparsity=RULES.sparsity,
            seed=settings.seed,
            time_limit=left,
            progress=False,
            listener=functools.partial(settings.observer.step, model),
        )
        history = step if history is None else _joined(history, step)
        trained = _judged(model.copy(), data, head, history)
        better = best is None or trained.loss < RULES.gain * best.loss
        if best is None or better:
            best, head = trained, trained.head
        if step.interrupted:
            raise Interrupted(best)
        if not better or settings.deadline.passed():
            break
    return best


def _joined(first: History, second: History) -> History:
    start, since = len(first.records), first.seconds
    later = [replace(r, step=r.step + start, seconds=r.seconds + since) for r in second.records]
    return replace(second, records=[*first.records, *later], seconds=since + second.seconds)


@torch.no_grad()
def _judged(model: KAN, data: Dataset, head: Head, history: History) -> TrainedClassifier:
    x, y = data.rows("train")
    model.head = head.rescaled(model(x), y)
    x, y = data.rows(comparison_split(data))
    scores = model(x)
    losses = model.head.losses(scores, y)
    right = model.head.indices(scores) == observed_classes(model.head, y)
    return TrainedClassifier(model, data, history, losses, float(right.double().mean()))


def confusion_counts(observed: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """``[K, K]``: numbers of rows by their class (first index) and by the class that is predicted, both ``[N]``."""
    found = torch.zeros(classes, classes, dtype=torch.long)
    return found.index_put_((observed, predicted), torch.ones_like(observed), accumulate=True)


def observed_classes(head: Head, y: Tensor) -> Tensor:
    """``[N]`` the class numbers of targets ``y [N, n_scores]``."""
    if head.kind == "softmax":
        return y.argmax(-1)
    return head.indices(y) if head.kind == "ordinal" else (y[:, 0] > 0.5).long()


def search(
    table: ClassificationDataset, head: Head, shapes: tuple[tuple[int, ...], ...], settings: NetworkSettings
) -> TrainedClassifier | None:
    """Train shapes; return the smallest within one standard error of the best (the one-standard-error rule)."""
    found: list[TrainedClassifier] = []

    def attempted(hidden: tuple[int, ...]) -> TrainedClassifier | None:
        shape = [table.data.n_features, *hidden, head.n_scores]
        with settings.failures.part(f"the network {shape} could not be trained", "others are"):
            return train(table, head, hidden, settings)
        return None

    try:
        for trained in in_order(shapes, attempted, settings.deadline.passed):
            found.append(trained)
            earlier, last = found[: -RULES.losers], found[-RULES.losers :]
            if earlier and all(one.worse_than(min(earlier, key=_loss)) > 0 for one in last):
                break
    except Interrupted as stop:
        raise Interrupted(min([*found, stop.trained], key=_loss)) from None
    if not found:
        return None
    return smallest_near_best(found, _loss, lambda one: one.model.parameter_count(), lambda a, b: a.worse_than(b) < 1.0)


def _loss(one: TrainedClassifier) -> float:
    return one.loss


def allowed(loss: float, entropy: float) -> float:
    """The largest cross-entropy allowed to a network with fewer columns; ``entropy`` is that without any column."""
    return min(loss * (1 + RULES.larger), loss + RULES.lost * max(entropy - loss, 0.0))


def reduced(
    table: ClassificationDataset,
    best: TrainedClassifier,
    entropy: float,
    settings: NetworkSettings,
    *,
    readable: bool = True,
) -> tuple[ClassificationDataset, TrainedClassifier]:
    """The table and a network without unimportant columns (backward elimination by permutation importance).

    Args:
        best: the network of all columns of the table.
        entropy: the cross-entropy without any column.
        readable: whether a somewhat larger cross-entropy is accepted for fewer columns, which a formula can be read
            from; else only one that rows do not tell from the best.
    """
    most = allowed(best.loss, entropy) if readable else 0.0
    bound = best.loss + RULES.lost * max(entropy - best.loss, 0.0)
    current, table = best, table
    while table.data.n_features > 1 and not settings.deadline.passed():
        for column in _least_important(current)[:2]:
            names = table.data.feature_names
            smaller = with_columns(table, names[:column] + names[column + 1 :])
            trial = train(smaller, best.head, best.hidden, settings)
            if trial is not None and (trial.loss <= most or (trial.loss <= bound and trial.worse_than(best) < 1.0)):
                settings.tell(f"without {table.data.feature_names[column]}: accuracy {trial.accuracy:.3f}")
                current, table = trial, smaller
                break
            if settings.deadline.passed():
                break
        else:
            break
        if current.data.n_features != len(table.data.feature_names):
            break
    return table, current


@torch.no_grad()
def _least_important(trained: TrainedClassifier) -> list[int]:
    """Columns by the rise of the cross-entropy when their values are permuted, least first (L. Breiman, 2001)."""
    x, y = trained.data.rows(comparison_split(trained.data))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    rises = []
    for n in range(x.shape[1]):
        permuted = x.clone()
        permuted[:, n] = x[order, n]
        rises.append(float(trained.head(trained.model(permuted), y)) - trained.loss)
    return sorted(range(len(rises)), key=lambda n: rises[n])
