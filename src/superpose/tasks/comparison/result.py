"""What :func:`superpose.compare` returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from superpose.messages import counted
from superpose.notebook_html import html_paragraph, html_table
from superpose.short_repr import brief

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class MethodResult:
    """One method of a :class:`~superpose.MethodComparison`.

    Attributes:
        name: as in ``CompareOptions.methods``.
        label: its name in a sentence.
        score: R² of the cross-validated predictions, with the variance of the target over all rows, or accuracy; None
            if the method failed.
        score_error: standard error of the score over folds, corrected for the overlap of their training rows (Nadeau
            and Bengio 2003).
        rmse: root mean squared error in the target's units; None for classes.
        error_low, error_high: the RMSE, or for classes the share of wrong rows, one standard error below and above.
        size: free constants, the median over folds; None where nobody counts them.
        seconds: of one fit with its predictions, mean over folds.
        folds: on which it was judged.
        losses: one for each fold: mean squared error in units of the target's variance, or share of wrong rows.
        note: what a reader must know of the fits.
        failure: why it was not judged; empty if it was.
    """

    __repr__ = brief

    name: str
    label: str
    score: float | None = None
    score_error: float | None = None
    rmse: float | None = None
    error_low: float | None = None
    error_high: float | None = None
    size: float | None = None
    seconds: float | None = None
    folds: int = 0
    losses: tuple[float, ...] = ()
    note: str = ""
    failure: str = ""

    @property
    def error(self) -> float | None:
        """The RMSE, or for classes the share of wrong rows."""
        if self.score is None:
            return None
        return 1 - self.score if self.rmse is None else self.rmse


@dataclass(frozen=True)
class MethodComparison:
    """What :func:`~superpose.compare` returns: a sequence of :class:`~superpose.tasks.comparison.MethodResult`.

    The method of the least error comes first, methods that failed last.

    Attributes:
        methods: the results.
        task: ``"regression"`` or ``"classification"``.
        target, features: names of the columns.
        rows: of the table.
        cv: folds of one drawing.
        repetitions: drawings of folds, for the methods that were judged most often.
        seed: of the folds and the methods.
        named: the method to use; None if all failed.
        best: that of the least error.
        ties: others that are as good within the uncertainty.
        sentence: which method to use, and why.
        not_installed: methods that were left out since their package is not installed.
        left_out: columns that hold text or a single value.
        interrupted: whether a user interrupted.
        seconds: wall-clock time.
    """

    __repr__ = brief

    methods: tuple[MethodResult, ...]
    task: str
    target: str
    features: tuple[str, ...]
    rows: int
    cv: int
    repetitions: int
    seed: int
    named: str | None
    best: str | None
    ties: tuple[str, ...]
    sentence: str
    not_installed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    interrupted: bool = False
    seconds: float = 0.0

    def __len__(self) -> int:
        return len(self.methods)

    def __iter__(self) -> Iterator[MethodResult]:
        return iter(self.methods)

    def __getitem__(self, name: str) -> MethodResult:
        """The result of a method by its name."""
        for one in self.methods:
            if one.name == name:
                return one
        raise KeyError(name)

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Headings and cells, for a person."""
        numbers = self.task == "regression"
        head = ("", "method", "R²" if numbers else "accuracy", *(["RMSE"] if numbers else []), "constants", "seconds")
        lines = []
        for one in self.methods:
            mark = "*" if one.name == self.named else ""
            if one.score is None:
                lines.append((mark, one.name, f"failed: {one.failure}", *([""] * (len(head) - 3))))
                continue
            score = f"{one.score:.3f} ± {one.score_error:.3f}"
            if numbers and one.score > 0.995 and one.score_error is not None:
                score = f"1 - {1 - one.score:.1e} ± {one.score_error:.1e}"
            size = "-" if one.size is None else f"{one.size:,.0f}"
            error = [f"{one.rmse:.4g}"] if numbers else []
            lines.append((mark, one.name, score, *error, size, f"{one.seconds:.2g}"))
        return head, lines

    def __str__(self) -> str:
        head, lines = self.table()
        widths = [max([len(head[k]), *(len(line[k]) for line in lines if line[3])]) for k in range(len(head))]
        padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in (head, *lines)]
        return "\n".join(["  ".join(line).rstrip() for line in padded] + [self.sentence])

    def notes(self) -> list[str]:
        """How the figures came about, in lines."""
        drawn = f", drawn {self.repetitions} times for quick methods" if self.repetitions > 1 else ""
        lines = [f"{counted(self.rows, 'row')}, {counted(self.cv, 'fold')}{drawn}; ± is one standard error"]
        fewest = min((one.folds for one in self.methods if one.score is not None), default=self.cv)
        if fewest < self.cv:
            lines.append(f"{'interrupted' if self.interrupted else 'the time was over'} after {fewest} of the folds")
        lines += [f"{one.name}: {one.note}" for one in self.methods if one.note]
        if self.not_installed:
            lines.append(f"not installed, and left out: {', '.join(self.not_installed)}")
        return lines

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        error = "share of wrong rows" if self.task == "classification" else "RMSE"
        head = ("method", error, "from", "to", "size", "seconds", "")
        rows = [
            (one.label, one.error, one.error_low, one.error_high, one.size, one.seconds, one.failure or one.note)
            for one in self.methods
        ]
        return html_table(head, rows) + html_paragraph(self.sentence)

    def to_frame(self) -> pandas.DataFrame:
        """One row for each method, without the losses of the folds."""
        import pandas

        rows = [{name: value for name, value in asdict(one).items() if name != "losses"} for one in self.methods]
        return pandas.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """The comparison for JSON."""
        return asdict(self)
