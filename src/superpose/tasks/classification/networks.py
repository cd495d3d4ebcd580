"""Networks of classifiers: shapes side by side, the columns that matter, the head that suits the labels."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from superpose.data import Dataset, Split
from superpose.data.sampling import evenly
from superpose.nn.head import Head
from superpose.nn.model import KAN
from superpose.tasks.classification.labels import Labelled
from superpose.train.fit import fit
from superpose.train.history import History

# Hidden layers that are tried, in this order as long as time lasts.
SHAPES: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (3,), (2, 1), (5,))
_FIRST_GRID, _MOST_INTERVALS = 3, 12
# Networks keep to so many constants unless told otherwise, or to those of the smallest shape if that has more.
USUAL_PARAMETERS = 300
# A network with fewer columns is taken if its cross-entropy is at most this much larger, and if of what the columns
# explain it loses no more than the second share.
_LARGER, _LOST = 0.2, 0.04
# In units of the mean squared residual, the pull that keeps the scores of classes without any overlap from growing
# without end.
_SPARSITY = 1e-5
# Shapes and columns are compared on at most so many training rows.
_MOST_ROWS = 3000


@dataclass(frozen=True, eq=False)
class Trained:
    """One network.

    Attributes:
        model: its head set.
        data: what it was trained on, one target for each score.
        history: of its training.
        losses: ``[V]`` minus the logarithm of the probability of each judging row's class.
        accuracy: share of the judging rows whose class it names.
    """

    model: KAN
    data: Dataset
    history: History
    losses: Tensor
    accuracy: float

    @property
    def head(self) -> Head:
        assert self.model.head is not None
        return self.model.head

    @property
    def hidden(self) -> tuple[int, ...]:
        return tuple(self.model.widths[1:-1])

    @property
    def loss(self) -> float:
        """The mean cross-entropy on the judging rows."""
        return float(self.losses.mean())

    def worse_than(self, other: Trained) -> float:
        """How much larger its cross-entropy is, in standard errors of the difference row by row."""
        difference = self.losses - other.losses
        return float(difference.mean() / (difference.std() / len(difference) ** 0.5).clamp(min=1e-12))


class Interrupted(KeyboardInterrupt):
    """A person interrupts; ``trained`` is the best network until then."""

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.trained = trained


@dataclass(frozen=True)
class Settings:
    """What all networks of a search share."""

    parameters: int
    degree: int
    grid_size: int | None
    seed: int
    deadline: float
    tell: Callable[[str], None]

    def late(self) -> bool:
        return time.monotonic() > self.deadline


def judging(data: Dataset) -> Split:
    """The rows by which networks are compared."""
    return "validation" if len(data.validation) else "train"


def without_columns(labelled: Labelled, keep: list[int]) -> Labelled:
    """The table with these of its features."""
    data = labelled.data
    scale = replace(data.x_scale, center=data.x_scale.center[keep], scale=data.x_scale.scale[keep])
    names = tuple(data.feature_names[n] for n in keep)
    return replace(labelled, data=replace(data, x=data.x[:, keep], feature_names=names, x_scale=scale))


def fewer_rows(labelled: Labelled) -> Labelled:
    """The table with at most so many training rows as shapes and columns are compared on."""
    data = labelled.data
    return replace(labelled, data=replace(data, train=data.train[evenly(len(data.train), _MOST_ROWS)]))


def constants(widths: list[int], grid_size: int, degree: int) -> int:
    """Free constants of a network of these widths."""
    return sum(a * b for a, b in itertools.pairwise(widths)) * (grid_size + degree + 1)


def budget(parameters: int | None, n_features: int, head: Head, degree: int) -> int:
    """The most constants that a network may have."""
    if parameters is not None:
        return parameters
    return max(USUAL_PARAMETERS, constants([n_features, head.n_scores], _FIRST_GRID, degree))


def train(labelled: Labelled, head: Head, hidden: tuple[int, ...], settings: Settings) -> Trained | None:
    """Train one shape; None where it has too many constants.

    Raises:
        Interrupted: if a person interrupts.
    """
    data = labelled.scored(head)
    widths = [data.n_features, *hidden, head.n_scores]
    first = settings.grid_size or _FIRST_GRID
    sizes = [first]
    while settings.grid_size is None and sizes[-1] * 2 <= min(_MOST_INTERVALS, len(data.train) // 8):
        sizes.append(sizes[-1] * 2)
    sizes = [size for size in sizes if constants(widths, size, settings.degree) <= settings.parameters]
    if not sizes:
        return None
    best: Trained | None = None
    model = KAN(widths, grid_size=first, degree=settings.degree, seed=settings.seed)
    history: History | None = None
    for size in sizes:
        left = max(0.5, settings.deadline - time.monotonic())
        step = fit(
            model,
            data,
            loss=head,
            grids=(size,),
            starts=None if history is None and hidden else 1,
            sparsity=_SPARSITY,
            seed=settings.seed,
            time_limit=left,
            progress=False,
        )
        history = step if history is None else _joined(history, step)
        trained = _judged(model.copy(), data, head, history)
        better = best is None or trained.loss < 0.98 * best.loss
        if best is None or better:
            best, head = trained, trained.head
        if step.interrupted:
            raise Interrupted(best)
        if not better or settings.late():
            break
    assert best is not None
    grid = best.model.layer(0).grid_size
    settings.tell(
        f"network {widths} with {grid} intervals: accuracy {best.accuracy:.3f}, cross-entropy {best.loss:.3g}"
    )
    return best


def _joined(first: History, second: History) -> History:
    start, since = len(first.records), first.seconds
    later = [replace(r, step=r.step + start, seconds=r.seconds + since) for r in second.records]
    return replace(second, records=[*first.records, *later], seconds=since + second.seconds)


@torch.no_grad()
def _judged(model: KAN, data: Dataset, head: Head, history: History) -> Trained:
    x, y = data.rows("train")
    model.head = head.rescaled(model(x), y)
    x, y = data.rows(judging(data))
    scores = model(x)
    losses = model.head.losses(scores, y)
    right = model.head.indices(scores) == seen(model.head, y)
    return Trained(model, data, history, losses, float(right.double().mean()))


def seen(head: Head, y: Tensor) -> Tensor:
    """``[N]`` the classes by number that targets ``y [N, n_scores]`` stand for."""
    if head.kind == "softmax":
        return y.argmax(-1)
    return head.indices(y) if head.kind == "ordinal" else (y[:, 0] > 0.5).long()


def search(labelled: Labelled, head: Head, shapes: tuple[tuple[int, ...], ...], settings: Settings) -> Trained | None:
    """Train shapes, and return the smallest that is as good as the best, to one standard error."""
    found: list[Trained] = []
    for hidden in shapes:
        if found and settings.late():
            break
        try:
            trained = train(labelled, head, hidden, settings)
        except Interrupted as stop:
            raise Interrupted(min([*found, stop.trained], key=_loss)) from None
        if trained is not None:
            found.append(trained)
        if len(found) > 2 and all(one.worse_than(min(found[:-2], key=_loss)) > 0 for one in found[-2:]):
            # Two larger shapes in a row brought nothing.
            break
    if not found:
        return None
    best = min(found, key=_loss)
    near = [one for one in found if one is best or one.worse_than(best) < 1.0]
    return min(near, key=lambda one: one.model.parameter_count())


def _loss(one: Trained) -> float:
    return one.loss


def allowed(loss: float, entropy: float) -> float:
    """The most that the cross-entropy of a network with fewer columns may be."""
    return min(loss * (1 + _LARGER), loss + _LOST * max(entropy - loss, 0.0))


def reduced(labelled: Labelled, best: Trained, entropy: float, settings: Settings) -> tuple[Labelled, Trained]:
    """The table and a network without the columns that hardly matter.

    Args:
        labelled: the table that ``best`` was trained on.
        best: the network that others are compared with.
        entropy: cross-entropy without any column.
        settings: of the training.
    """
    most = allowed(best.loss, entropy)
    current, table = best, labelled
    while table.data.n_features > 1 and not settings.late():
        for column in _least_important(current)[:2]:
            keep = [n for n in range(table.data.n_features) if n != column]
            smaller = without_columns(table, keep)
            trial = train(smaller, best.head, best.hidden, settings)
            if trial is not None and (trial.loss <= most or trial.worse_than(best) < 1.0):
                settings.tell(f"without {table.data.feature_names[column]}: accuracy {trial.accuracy:.3f}")
                current, table = trial, smaller
                break
            if settings.late():
                break
        else:
            break
        if current.data.n_features != len(table.data.feature_names):
            break
    return table, current


@torch.no_grad()
def _least_important(trained: Trained) -> list[int]:
    """Columns by how much the cross-entropy rises when their values are dealt out anew among the judging rows."""
    x, y = trained.data.rows(judging(trained.data))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    rises = []
    for n in range(x.shape[1]):
        dealt = x.clone()
        dealt[:, n] = x[order, n]
        rises.append(float(trained.head(trained.model(dealt), y)) - trained.loss)
    return sorted(range(len(rises)), key=lambda n: rises[n])
