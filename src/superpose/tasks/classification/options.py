"""What a person may ask of :func:`superpose.classify`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from superpose.checks import check_positive, check_seed, check_whole
from superpose.choices import HEADS
from superpose.errors import OptionError
from superpose.messages import nearest, quoted
from superpose.nn.head import Head
from superpose.tasks.classification.labels import Labelled, spread

# So many numbers in a row may be named in order; with more classes each of them gets few rows of a comparison.
_MOST_COMPARED = 12


@dataclass(frozen=True)
class ClassifyOptions:
    """Options of :func:`classify`.

    Attributes:
        head: ``"auto"``, or one of ``"sigmoid"``, ``"gaussian"``, ``"softmax"``, ``"ordinal"``; see
            :class:`~superpose.nn.Head`. By itself: sigmoid for two classes, softmax for more; where they are numbers,
            the ordinal head as well, and the better of the two by the validation rows.
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
        for name in ("grid_size", "parameters"):
            check_whole(name, getattr(self, name), optional=True)
        check_whole("degree", self.degree, least=0, most=5)
        check_seed(self.seed)
        check_positive("time_limit", self.time_limit, unit="seconds")
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
        if not labelled.numeric or spread(labelled) is None:
            return ["softmax"]
        return ["ordinal", "softmax"] if len(labelled.classes) <= _MOST_COMPARED else ["ordinal"]

    @staticmethod
    def made(labelled: Labelled, kind: str) -> Head:
        """A head of that kind for these classes, an ordinal one as wide as the labels are spread."""
        scale = 1.0
        if kind == "ordinal" and labelled.numeric:
            size = spread(labelled)
            if size is None:
                raise OptionError(
                    f"the labels of {quoted(labelled.target)} are too large or too small for an ordinal head; give "
                    "them in other units, or use 'softmax'"
                )
            scale = size
        return Head(kind, labelled.classes, scale, labelled.target)
