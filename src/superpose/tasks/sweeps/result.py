"""What a sweep returns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpose.errors import OptionError
from superpose.files import from_bytes, load
from superpose.messages import counted, nearest, quoted
from superpose.nn import KAN
from superpose.short_repr import brief

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class SweptFit:
    """One fit of a sweep.

    Attributes:
        table: its name.
        options: of the fit, without the seed.
        seed: of every random choice.
        rows: what is known of it: one mapping from names to numbers and texts, for a comparison one for each method.
        failure: why there is no fit; empty if there is one.
        seconds: that it took by the clock.
        key: the name of its file; empty if its table could not be read.
        read: whether it was read from the folder, and not made now.
    """

    __repr__ = brief

    table: str
    options: dict[str, Any]
    seed: int
    rows: list[dict[str, Any]] = field(default_factory=list)
    failure: str = ""
    seconds: float = 0.0
    key: str = ""
    read: bool = False
    content: bytes | None = field(default=None, repr=False, compare=False)
    file: Path | None = field(default=None, repr=False, compare=False)

    @property
    def label(self) -> str:
        """Options and seed in words."""
        return ", ".join([*(f"{name}={value}" for name, value in self.options.items()), f"seed {self.seed}"])

    @property
    def facts(self) -> dict[str, Any]:
        """The first row; for a comparison that of the method with the least error."""
        return self.rows[0] if self.rows else {}

    def model(self) -> KAN:
        """The model.

        Raises:
            OptionError: if the fit has none, or it was not kept.
            FileError: if its file is missing or damaged.
        """
        if self.content is not None:
            return from_bytes(self.content)
        if self.file is None:
            why = f", since {self.failure}" if self.failure else " that was kept"
            raise OptionError(f"the fit with {self.label} has no model{why}")
        return load(self.file)


@dataclass(frozen=True)
class SweepResult:
    """What :func:`superpose.sweep` returns: a sequence of :class:`~superpose.tasks.sweeps.SweptFit`.

    Attributes:
        task: of every fit.
        fits: in the order of tables, options and seeds, those that failed included.
        total: how many there are to be; more than there are in ``fits`` where a user interrupted.
        folder: where they are kept; None for nowhere.
        interrupted: whether a user interrupted.
        seconds: wall-clock time of this run.
    """

    __repr__ = brief

    task: str
    fits: tuple[SweptFit, ...]
    total: int
    folder: Path | None = None
    interrupted: bool = False
    seconds: float = 0.0

    def __len__(self) -> int:
        return len(self.fits)

    def __iter__(self) -> Iterator[SweptFit]:
        return iter(self.fits)

    def __getitem__(self, number: int) -> SweptFit:
        return self.fits[number]

    @property
    def failed(self) -> tuple[SweptFit, ...]:
        """The fits that failed."""
        return tuple(one for one in self.fits if one.failure)

    def frame(self) -> pandas.DataFrame:
        """Table, options, seed, facts, failure and seconds: a row for each fit, or for each method of one."""
        import pandas

        return pandas.DataFrame(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """The rows of :meth:`frame`."""
        found = []
        for one in self.fits:
            for facts in one.rows or [{}]:
                row = {"table": one.table, **one.options, "seed": one.seed, **facts}
                found.append(row | {"failure": facts.get("failure") or one.failure, "seconds": one.seconds})
        return found

    def best(self, by: str = "error") -> SweptFit:
        """The fit with the least value of a fact, the first one of several.

        Args:
            by: a column of :meth:`frame`. ``"error"`` is that on the validation rows; without these what generalised
                cross-validation or, for formulas, cross-validation expects on new rows (``"judged"`` says which). A
                test error is no fair choice: the chosen fit would look better than it is.

        Raises:
            OptionError: if no fit has such a number.
        """
        values = [(_number(one.facts, by), number) for number, one in enumerate(self.fits) if not one.failure]
        least, number = min(values, default=(math.inf, 0))
        if math.isfinite(least):
            return self.fits[number]
        known = {name for one in self.fits for name, value in one.facts.items() if isinstance(value, int | float)}
        if values and by not in known:
            raise OptionError(
                f"no fit has a number named {quoted(by)}{nearest(str(by), known) or f'; there are {_names(known)}'}"
            )
        first = f"; the first: {self.failed[0].failure}" if self.failed else ""
        raise OptionError(f"no fit of the sweep has a finite {by}{first}")

    def sentences(self) -> list[str]:
        """What failed, a sentence for each failure, with the fits that it cost."""
        reasons: dict[str, list[SweptFit]] = {}
        for one in self.failed:
            reasons.setdefault(one.failure, []).append(one)
        lines = []
        for reason, lost in reasons.items():
            more = f" and {counted(len(lost) - 1, 'more fit')}" if len(lost) > 1 else ""
            lines.append(f"{lost[0].table} with {lost[0].label}{more}: {reason}")
        return lines


def _names(known: set[str]) -> str:
    return ", ".join(sorted(known)) or "none"


def _number(facts: Mapping[str, Any], by: str) -> float:
    value = facts.get(by)
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable and value is not None else math.inf


def hashable(value: Any) -> Any:
    """Lists as tuples, so that a frame can be grouped by them.

    >>> hashable([3, [1, [2]]])
    (3, (1, (2,)))
    """
    return tuple(hashable(one) for one in value) if isinstance(value, list | tuple | range) else value
