"""What ``relations`` returns."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from superpose.formulas.expressions.formula import Formula
from superpose.messages import counted
from superpose.notebook_html import html_paragraph, html_table
from superpose.partial import Failures
from superpose.short_repr import brief
from superpose.stopping import StopReason

if TYPE_CHECKING:
    import pandas

# Smaller unexplained shares are rounding, or approximation errors of splines.
EXACT = 1e-6


@dataclass(frozen=True, eq=False)
class InnerFunction:
    """One function of an additive relation, a sum of functions of single columns that is constant.

    Attributes:
        column: the function's argument.
        x: ``[S]`` values of the column, ascending, in its units.
        values: ``[S]`` of the function, in units of the standard deviation of the sum on rows of permuted columns.
        name: of the nearest function in :func:`superpose.library`.
        r2: share of the variance that the nearest function explains.
    """

    __repr__ = brief

    column: str
    x: Tensor
    values: Tensor
    name: str
    r2: float


@dataclass(frozen=True, eq=False)
class Relation:
    """Columns that depend on one another, and how strongly.

    Attributes:
        columns: in the order of the table.
        target: the column that is best written as a function of the others.
        implicit: whether no column is a function of the others, as on a circle; then ``strength`` is that of the
            target's inner function, and a formula gives a function of the target.
        strength: share of the target's variance that the others explain on held-out rows.
        unexplained: one minus the strength, without its rounding error.
        formula: for the target, or None if none was found.
        error: of the formula: root mean squared error on held-out rows, in units of the target's standard deviation.
        equation: the formula as an equation, or None.
        separation: probability that a row of the table comes nearer to the relation than a row whose columns were
            permuted independently (the area under the ROC curve); 0.5 is chance.
        seeds_agreeing: on how many of ``seeds`` divisions into training and held-out rows it was confirmed.
        seeds: number of divisions.
        inner: the functions of an additive relation, one for each column; empty for other relations.
    """

    __repr__ = brief

    columns: tuple[str, ...]
    target: str
    implicit: bool
    strength: float
    unexplained: float
    formula: Formula | None
    error: float | None
    equation: str | None
    separation: float
    seeds_agreeing: int
    seeds: int
    inner: tuple[InnerFunction, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether less than a millionth of the target's variance is left unexplained."""
        return self.unexplained < EXACT

    @property
    def features(self) -> tuple[str, ...]:
        """The columns without the target."""
        return tuple(name for name in self.columns if name != self.target)

    @property
    def omitted_features(self) -> tuple[str, ...]:
        """Features of the relation that its formula does not contain; empty without a formula."""
        if self.formula is None:
            return ()
        used = {symbol.name for one in self.formula.expressions for symbol in one.free_symbols}
        return tuple(name for name in self.features if name not in used)

    def __str__(self) -> str:
        what = self.equation or f"{self.target} depends on {', '.join(self.features)}"
        if self.equation is None and self.implicit:
            what = f"{', '.join(self.columns)} lie on a curve or a surface"
        omitted = f"; the formula leaves out {', '.join(self.omitted_features)}" if self.omitted_features else ""
        return f"{what}  ({self.strength_text()}{omitted})"

    def strength_text(self) -> str:
        """The strength in words: ``exact``, or the share explained."""
        if self.exact:
            return "exact"
        return f"{100 * self.strength:.{1 if self.strength < 0.995 else 3}f}% explained"

    def to_dict(self) -> dict[str, Any]:
        """The relation for JSON, without its formula object."""
        return {
            "columns": list(self.columns),
            "target": self.target,
            "implicit": self.implicit,
            "exact": self.exact,
            "strength": self.strength,
            "unexplained": self.unexplained,
            "formula": self.equation,
            "formula_error": self.error,
            "separation": self.separation,
            "seeds_agreeing": self.seeds_agreeing,
            "seeds": self.seeds,
            "inner": [{"column": one.column, "looks_like": one.name, "r2": one.r2} for one in self.inner],
        }


@dataclass(frozen=True, eq=False)
class Relations:
    """The relations of a table, exact ones first; a sequence of :class:`~superpose.tasks.relations.Relation`.

    Attributes:
        found: the relations.
        columns: names of the columns that were examined.
        left_out: columns that hold text or a single value.
        rows: of the table.
        threshold: the smallest strength of a relation.
        reason: a sentence that says why the search ended.
        stop: why the search ended.
        seconds: wall-clock time.
        failures: the parts of the search that failed.
    """

    __repr__ = brief

    found: tuple[Relation, ...]
    columns: tuple[str, ...]
    left_out: tuple[str, ...]
    rows: int
    threshold: float
    reason: str
    stop: StopReason = StopReason.NOT_RUN
    seconds: float = 0.0
    source: str = field(default="")
    failures: Failures = field(default_factory=Failures, repr=False)

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[Relation]:
        return iter(self.found)

    def __getitem__(self, position: int) -> Relation:
        return self.found[position]

    @property
    def interrupted(self) -> bool:
        """Whether a user interrupted the search."""
        return self.stop is StopReason.INTERRUPTED

    @property
    def unrelated(self) -> tuple[str, ...]:
        """Columns in no relation."""
        related = {name for relation in self.found for name in relation.columns}
        return tuple(name for name in self.columns if name not in related)

    @property
    def clusters(self) -> list[tuple[str, ...]]:
        """Columns connected by relations, directly or through other columns, largest cluster first."""
        groups: list[set[str]] = []
        for relation in self.found:
            joined = set(relation.columns).union(*(g for g in groups if g & set(relation.columns)))
            groups = [g for g in groups if not g & joined] + [joined]
        ordered = [tuple(name for name in self.columns if name in group) for group in groups]
        return sorted(ordered, key=lambda group: -len(group))

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        if not self.found:
            return html_paragraph(str(self))
        rows = [(str(one).rsplit("  (", 1)[0], one.strength_text(), one.error) for one in self.found]
        unrelated = f"In no relation: {', '.join(self.unrelated)}." if self.unrelated else ""
        head = ("relation", "strength", "error of the formula")
        return html_table(head, rows) + html_paragraph(unrelated)

    def __str__(self) -> str:
        if not self.found:
            return f"no relation explains {100 * self.threshold:g}% of a column"
        lines = [str(relation) for relation in self.found]
        if self.unrelated:
            lines.append(f"in no relation: {', '.join(self.unrelated)}")
        return "\n".join(lines)

    def to_frame(self) -> pandas.DataFrame:
        """One row for each relation."""
        import pandas

        names = ("columns", "target", "implicit", "exact", "strength", "unexplained", "formula", "formula_error",
                 "separation", "seeds_agreeing", "seeds")  # fmt: skip
        rows = [{name: relation.to_dict()[name] for name in names} for relation in self.found]
        for row in rows:
            row["columns"] = ", ".join(row["columns"])
        return pandas.DataFrame(rows, columns=list(names))

    def to_dict(self) -> dict[str, Any]:
        """The relations for JSON."""
        return {
            "relations": [relation.to_dict() for relation in self.found],
            "clusters": [list(cluster) for cluster in self.clusters],
            "unrelated": list(self.unrelated),
            "columns": list(self.columns),
            "left_out": list(self.left_out),
            "rows": self.rows,
            "threshold": self.threshold,
            "reason": self.reason,
            "stop": self.stop.value,
            "interrupted": self.interrupted,
            "seconds": self.seconds if math.isfinite(self.seconds) else None,
            "warnings": list(self.failures.sentences),
        }

    def summary(self) -> str:
        """The number of relations in one line."""
        exact = sum(relation.exact for relation in self.found)
        return (
            f"{counted(len(self.found), 'relation')} among {counted(len(self.columns), 'column')}, {exact} exact; "
            f"{self.reason}"
        )
