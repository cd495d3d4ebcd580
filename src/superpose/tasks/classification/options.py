"""Options of :func:`superpose.classify`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from superpose.checks import check_positive, check_seed, check_whole
from superpose.choices import HEADS
from superpose.errors import OptionError
from superpose.messages import nearest, quoted
from superpose.nn.likelihood import Head
from superpose.tasks.classification.labels import ClassificationDataset, label_deviation

# With more numeric classes only the ordinal head is tried: a softmax head has one score for each class, and classes of
# few rows. A round number.
_MAX_SOFTMAX = 12


@dataclass(frozen=True)
class ClassifyOptions:
    """Options of :func:`classify`.

    Attributes:
        head: ``"auto"``, or one of ``"sigmoid"``, ``"gaussian"``, ``"softmax"``, ``"ordinal"``; see
            :class:`~superpose.nn.Head`. Automatic: sigmoid for two classes, softmax for more; for numeric
            classes also the ordinal head, and the better of the two by the validation rows.
        shape: ``"auto"``, or the widths of the hidden layers and of the scores, such as ``(3, 1)``.
        grid_size: intervals of the grids; if None, 3, doubled as long as the cross-entropy falls.
        degree: of the splines.
        time_limit: seconds for everything.
        seed: of every random choice.
        formula: whether to search for a formula.
        parameters: the largest number of parameters of the network; if None, 300, or the number of a network without
            hidden nodes if that is larger.
        reduce: whether unimportant columns are left out; in tables of more than 12 those that show no influence before
            the search, see :func:`superpose.data.screen`.
        cv: folds of the cross-validation that estimates errors, at least 2; as many as rows leave one out at a time.
            If None, 5, dealt out twice where there are fewer than 60 rows.
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
    cv: int | None = None

    @property
    def free(self) -> bool:
        """Whether the form of the network is free, so that sums of smooth functions may take its place."""
        given = self.shape != "auto" or self.grid_size is not None or self.degree != ClassifyOptions.degree
        return not given and self.head != "gaussian"

    def checked(self, table: ClassificationDataset) -> ClassifyOptions:
        """These options if they make sense with the data; raises :class:`OptionError` otherwise."""
        kinds = ("auto", *HEADS)
        if self.head not in kinds:
            raise OptionError(
                f"head must be one of {', '.join(kinds)}, not {self.head!r}{nearest(str(self.head), kinds)}"
            )
        for name in ("grid_size", "parameters"):
            check_whole(name, getattr(self, name), optional=True)
        check_whole("degree", self.degree, least=0, most=5)
        check_seed(self.seed)
        check_whole("cv", self.cv, least=2, optional=True)
        if self.cv is not None and not self.free:
            raise OptionError(
                "the cross-validation is one of sums of smooth functions, which have no shape, grid and degree of "
                "their own and no Gaussian head; leave out cv, or these options"
            )
        check_positive("time_limit", self.time_limit, unit="seconds")
        heads = [self.made(table, kind) for kind in self.kinds(table)]
        if self.shape != "auto" and self.shape[-1] not in [head.n_scores for head in heads]:
            counts = " or ".join(str(head.n_scores) for head in heads)
            raise OptionError(
                f"the shape must end with the number of scores, {counts} for these classes, not {self.shape[-1]}"
            )
        return self

    def kinds(self, table: ClassificationDataset) -> list[str]:
        """The kinds of heads to try."""
        if self.head != "auto":
            return [self.head]
        if len(table.classes) == 2:
            return ["sigmoid"]
        if not table.numeric or label_deviation(table) is None:
            return ["softmax"]
        return ["ordinal", "softmax"] if len(table.classes) <= _MAX_SOFTMAX else ["ordinal"]

    @staticmethod
    def made(table: ClassificationDataset, kind: str) -> Head:
        """A head of that kind for these classes; an ordinal head has the labels' standard deviation as its scale."""
        scale = 1.0
        if kind == "ordinal" and table.numeric:
            size = label_deviation(table)
            if size is None:
                raise OptionError(
                    f"the labels of {quoted(table.target)} are too large or too small for an ordinal head; give "
                    "them in other units, or use 'softmax'"
                )
            scale = size
        return Head(kind, table.classes, scale, table.target)
