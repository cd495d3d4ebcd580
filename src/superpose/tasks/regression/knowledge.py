"""What a person knows of the target beforehand, and which formulas contradict it.

Statements are checked by numbers, on the rows and on a grid of each column's range and a tenth of it beyond, the other
columns as they are in some rows. A formula that contradicts one of them is not recommended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.errors import OptionError
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.recommendation import Finding
from superpose.messages import listed, nearest, quoted

# A value at a point: values of some columns, and of the target there.
Value = tuple[tuple[tuple[str, float], ...], float]


@dataclass(frozen=True)
class KnowledgeRules:
    """Constants of the check. Round numbers.

    Attributes:
        rows: whose other columns each column is moved at.
        steps: of the grid of a column.
        margin: share of a column's range beyond it to which the grid reaches; a column keeps its sign there.
        tolerance: share of the target's standard deviation below which a difference is none.
        near: share of a column's range beside a point that stands for it where a formula has no value, as at 0*log(0).
    """

    rows: int = 30
    steps: int = 60
    margin: float = 0.1
    tolerance: float = 1e-3
    near: float = 1e-9


RULES = KnowledgeRules()
_PROPERTIES = ("increasing", "decreasing", "even", "odd")
_EXCLUSIVE = (("increasing", "decreasing"), ("even", "odd"), ("even", "increasing"), ("even", "decreasing"))


@dataclass(frozen=True)
class Knowledge:
    """What is known of the target beforehand, whatever the rows say.

    Attributes:
        increasing, decreasing: columns in which it never falls, or never rises.
        even, odd: columns whose sign changes nothing, or the target's sign.
        values: at points: pairs of the columns' values, by name, and the target's value; columns that a point leaves
            out may have any.
        lower, upper: what it never falls below, or exceeds.

    >>> known = Knowledge(increasing=("dose",), values=(({"dose": 0.0}, 0.0),), lower=0.0)
    >>> print("; ".join(known.checked(["dose", "age"]).statements()))
    increasing in dose; 0 at dose = 0; at least 0
    """

    increasing: tuple[str, ...] = ()
    decreasing: tuple[str, ...] = ()
    even: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    values: Sequence[tuple[Mapping[str, float] | Iterable[tuple[str, float]], float]] = ()
    lower: float | None = None
    upper: float | None = None

    def checked(self, columns: Sequence[str]) -> Knowledge:
        """The same, if it makes sense for a table with these columns.

        Raises:
            OptionError: for a column that is not there, a number that is none, or statements that exclude each other.
        """
        for name in _PROPERTIES:
            given = getattr(self, name)
            if isinstance(given, str):
                raise OptionError(f"{name} is a list of columns; write {name}=({given!r},)")
            for column in given:
                _known(name, column, columns)
        for one, other in (
            ("increasing", "decreasing"),
            ("even", "odd"),
            ("even", "increasing"),
            ("even", "decreasing"),
        ):
            if both := set(getattr(self, one)) & set(getattr(self, other)):
                raise OptionError(
                    f"the target cannot be {one} and {other} in {listed(sorted(both))} at once; choose one"
                )
        for name in ("lower", "upper"):
            if (limit := getattr(self, name)) is not None:
                _finite(name, limit)
        low, high = (-math.inf if self.lower is None else self.lower), (math.inf if self.upper is None else self.upper)
        if not low < high:
            raise OptionError(f"lower is {low:g} and upper is {high:g}; lower must be less")
        return replace(self, values=tuple(_value(one, columns, low, high) for one in self.values))

    @property
    def columns(self) -> set[str]:
        """The columns of which something is said."""
        points = {name for point, _ in self.points() for name, _ in point}
        return {*self.increasing, *self.decreasing, *self.even, *self.odd, *points}

    @property
    def empty(self) -> bool:
        """Whether nothing is said."""
        return not self.columns and self.lower is None and self.upper is None

    def points(self) -> Iterator[Value]:
        """The values at points, as tuples."""
        for point, value in self.values:
            pairs = point.items() if isinstance(point, Mapping) else point
            yield tuple((name, float(number)) for name, number in pairs), float(value)

    def statements(self) -> list[str]:
        """What is known, in words."""
        said = [
            f"{how} in {column}" for how in ("increasing", "decreasing", "even", "odd") for column in getattr(self, how)
        ]
        said += [f"{value:g} at {_place(point)}" for point, value in self.points()]
        said += [] if self.lower is None else [f"at least {self.lower:g}"]
        return said + ([] if self.upper is None else [f"at most {self.upper:g}"])

    def contradiction(self, function: Callable[[Tensor], Tensor], data: Dataset) -> str:
        """What of this a function contradicts first, as the end of a sentence; nothing if it does not.

        Args:
            function: from ``[N, d]`` to ``[N]``.
            data: the table.
        """
        check = _Check.of(function, data)
        for column in self.increasing:
            if check.falls(column) > check.tolerance:
                return f"is not increasing in {column}"
        for column in self.decreasing:
            if check.falls(column, sign=-1.0) > check.tolerance:
                return f"is not decreasing in {column}"
        for sign, how in ((1.0, self.even), (-1.0, self.odd)):
            for column in how:
                if not check.mirrors(column, sign):
                    return f"is not {'even' if sign > 0 else 'odd'} in {column}"
        for point, value in self.points():
            if (found := check.other_value(point, value)) is not None:
                return f"is {found:.3g} and not {value:g} at {_place(point)}"
        least, most = check.range() if self.lower is not None or self.upper is not None else (0.0, 0.0)
        if self.lower is not None and not least >= self.lower - check.tolerance:
            return f"falls to {least:.3g}, below {self.lower:g}"
        if self.upper is not None and not most <= self.upper + check.tolerance:
            return f"rises to {most:.3g}, above {self.upper:g}"
        return ""


def _known(option: str, column: str, columns: Sequence[str]) -> None:
    if column not in columns:
        hint = nearest(column, columns) or f"; the columns are {listed(columns)}"
        raise OptionError(f"{option} names {quoted(column)}, which is no column to learn from{hint}")


def _finite(option: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise OptionError(f"{option} must be a number, not {quoted(value)}")
    return float(value)


def _value(given: Any, columns: Sequence[str], low: float, high: float) -> Value:
    """A value at a point, checked."""
    try:
        point, value = given
        pairs = tuple((str(name), number) for name, number in (point.items() if isinstance(point, Mapping) else point))
    except (TypeError, ValueError):
        raise OptionError(
            f"values is a list of pairs of a point and a value, such as (({{'x': 0.0}}, 0.0),), and has {quoted(given)}"
        ) from None
    names = [name for name, _ in pairs]
    if not names or len(set(names)) < len(names):
        raise OptionError(f"the point {quoted(point)} of values must name each of its columns once, and one at least")
    for name in names:
        _known("a point of values", name, columns)
    made = tuple((name, _finite(f"the value of {quoted(name)} at a point", number)) for name, number in pairs)
    value = _finite("a value at a point", value)
    if not low <= value <= high:
        raise OptionError(
            f"the target cannot be {value:g} at {_place(made)}, beyond lower or upper; change one of them"
        )
    return made, value


def _place(point: Iterable[tuple[str, float]]) -> str:
    return " and ".join(f"{name} = {value:g}" for name, value in point)


@dataclass(frozen=True)
class _Check:
    """A function on the rows of a table and on grids of its columns.

    Attributes:
        function: from ``[N, d]`` to ``[N]``.
        data: the table.
        rows: ``[n, d]``, some rows, evenly chosen.
        extent: ``[2, d]``, the least and largest value of each column, with the margin.
        tolerance: below which a difference is none.
    """

    function: Callable[[Tensor], Tensor]
    data: Dataset
    rows: Tensor
    extent: Tensor
    tolerance: float

    @classmethod
    def of(cls, function: Callable[[Tensor], Tensor], data: Dataset) -> _Check:
        x = data.features(torch.cat([data.train, data.validation]).sort().values)
        low, high = x.amin(0), x.amax(0)
        room = RULES.margin * (high - low)
        least = torch.where(low > 0, (low - room).maximum(low / 2), torch.where(low == 0, low, low - room))
        most = torch.where(high < 0, (high + room).minimum(high / 2), torch.where(high == 0, high, high + room))
        spread = data.target_std or 1.0
        rows = x[evenly(len(x), RULES.rows)]
        return cls(function, data, rows, torch.stack([least, most]), RULES.tolerance * spread)

    def values(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.function(x)

    def sweep(self, column: str) -> Tensor:
        """``[n, steps, d]``: the rows with a column moved over its grid."""
        place = self.data.feature_names.index(column)
        low, high = self.extent[:, place].tolist()
        moved = self.rows[:, None].repeat(1, RULES.steps + 1, 1)
        moved[:, :, place] = torch.linspace(low, high, RULES.steps + 1, dtype=moved.dtype)
        return moved

    def falls(self, column: str, *, sign: float = 1.0) -> float:
        """By how much the function, or its negative, falls at most where a column grows."""
        moved = self.sweep(column)
        values = sign * self.values(moved.flatten(0, 1)).view(moved.shape[:2])
        before = values.where(values.isfinite(), torch.tensor(-math.inf, dtype=values.dtype)).cummax(1).values
        fallen = (before - values).where(values.isfinite() & before.isfinite(), torch.zeros_like(values))
        return float(fallen.max())

    def mirrors(self, column: str, sign: float) -> bool:
        """Whether the function has the same value, or its negative, where a column has the other sign."""
        moved = self.sweep(column).flatten(0, 1)
        mirrored = moved.clone()
        mirrored[:, self.data.feature_names.index(column)] *= -1
        values, others = self.values(moved), sign * self.values(mirrored)
        some = values.isfinite() | others.isfinite()
        return bool(((values - others).abs() <= self.tolerance)[some].all())

    def other_value(self, point: Sequence[tuple[str, float]], value: float) -> float | None:
        """Another value that the function has at a point, the farthest from what it should be, if there is one."""
        values = torch.full((len(self.rows),), math.nan, dtype=self.rows.dtype)
        for side in (0.0, 1.0, -1.0):
            there = self.rows.clone()
            for name, number in point:
                place = self.data.feature_names.index(name)
                width = float(self.extent[1, place] - self.extent[0, place])
                there[:, place] = number + side * RULES.near * width
            values = torch.where(values.isfinite(), values, self.values(there))
        apart = (values - value).abs().nan_to_num(nan=math.inf)
        place = int(apart.argmax())
        return float(values[place]) if float(apart[place]) > self.tolerance else None

    def range(self) -> tuple[float, float]:
        """The least and the largest value on the rows and all grids; NaN is none."""
        moved = [self.rows, *(self.sweep(column).flatten(0, 1) for column in self.data.feature_names)]
        values = self.values(torch.cat(moved))
        values = values[~values.isnan()]
        return (float(values.min()), float(values.max())) if len(values) else (math.nan, math.nan)


@dataclass
class KnowledgeFilter:
    """Leaves out the formulas of a run that contradict what is known, and keeps account of them.

    Attributes:
        knowledge: checked.
        data: the table.
        written: a finding in the columns of the table, where the search had others; None if it cannot be written so.
        left_out: the formulas that contradict it, and why, in the order in which they were found.
        unmatched: whether all formulas do, so that the best of them stand.
    """

    knowledge: Knowledge
    data: Dataset
    written: Callable[[Finding], Finding | None]
    left_out: list[tuple[Finding, str]] = field(default_factory=list)
    unmatched: bool = False

    def kept(self, found: Iterable[Finding]) -> list[Finding]:
        """The findings that do not contradict it."""
        if self.knowledge.empty:
            return list(found)
        return [one for one in found if not self._contradicts(one)]

    def _contradicts(self, finding: Finding) -> bool:
        if any(finding is other for other, _ in self.left_out):
            return True
        own = self.written(finding)
        why = "" if own is None else self.why(own.formula)
        if why:
            self.left_out.append((finding, why))
        return bool(why)

    def why(self, formula: Formula) -> str:
        """What a formula contradicts, as the end of a sentence."""
        return self.knowledge.contradiction(lambda x: formula.torch(x)[:, 0], self.data)

    def warnings(self, network: Callable[[Tensor], Tensor]) -> list[str]:
        """A sentence if the network contradicts what is known."""
        if self.knowledge.empty:
            return []
        why = self.knowledge.contradiction(lambda x: network(x)[:, 0], self.data)
        return [f"the network contradicts what is known beforehand: it {why}"] if why else []

    def facts(self) -> dict[str, Any]:
        """What the metrics say, ready for JSON; nothing where nothing was said to be known."""
        if self.knowledge.empty:
            return {}
        left_out = [{"formula": str(one.formula), "why": f"it {why}"} for one, why in self.left_out]
        sentence = self.sentence()
        return {"knowledge": {"known": self.knowledge.statements(), "left_out": left_out, "sentence": sentence}}

    def sentence(self) -> str:
        """What a person reads."""
        known = f"known beforehand: {self.data.target_names[0]} is {', '.join(self.knowledge.statements())}"
        if not self.left_out:
            return f"{known}; no formula that was found contradicts it"
        (first, why), count = self.left_out[0], len(self.left_out)
        text = first.formula.short()[0]
        # Enough to tell which one. A round number.
        text = text if len(text) <= 60 else f"{text[:57]}..."
        if self.unmatched:
            all_do = "every formula that was found contradicts it, and the best of them stands all the same"
            return f"{known}; {all_do}: {text} {why}"
        if count == 1:
            return f"{known}; the formula {text} was left out, since it {why}"
        return f"{known}; {count} formulas were left out, such as {text}, since it {why}"
