"""What a person may say to :func:`superpose.discover`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from superpose.checks import check_positive, check_seed, check_whole
from superpose.choices import OPTIMIZERS
from superpose.data import Dataset
from superpose.edit.combining import Pair
from superpose.errors import DataError, OptionError
from superpose.formulas.expressions import functions
from superpose.messages import counted, nearest
from superpose.nn.products import Width, read_width
from superpose.tasks.regression.column_units import read_column_units
from superpose.tasks.regression.knowledge import Knowledge


@dataclass(frozen=True)
class DiscoverOptions:
    """Options of :func:`discover`.

    Attributes:
        shape: ``"auto"`` or the widths after the inputs, such as ``(5, 1)``: five hidden nodes and one output; as in
            :class:`~superpose.KAN`, ``((3, (2, 4)), 1)`` has three hidden sums, a product of two and one of four.
        grid_size: intervals of the final network's grids; None doubles them while the validation error falls.
        degree: of the splines; if None 3, and for a network whose shape is searched for without a formula what
            :func:`superpose.search` takes.
        optimizer: ``"lm"``, ``"lbfgs"`` or ``"adamw"``.
        time_limit: seconds for everything.
        seed: of every random choice.
        formula: whether to look for a formula; if not, only a network is fitted, and its shape and grid are searched
            for within the time limit unless they are given; see :func:`superpose.search`.
        parameters: the most free constants of that network; None for no limit.
        functions: names of the functions that formulas may hold beside sums and products (see
            :func:`superpose.library`); any if None.
        linear: columns that enter linearly: formulas are of the form ``A + column * B``, and a network's edges from
            such a column are straight lines.
        reduce: whether columns that show no influence on the target are left out of a table with more than 12; see
            :func:`superpose.data.screen`.
        cv: folds of the cross-validation that estimates errors, at least 2; as many as rows leave one out at a time.
            None chooses.
        units: of columns and targets by their names, such as ``{"m": "kg", "v": "m/s"}``, with ``"1"`` for numbers; or
            ``"names"`` for units in brackets in the names themselves. Nothing is assumed of columns that are left out.
            See :func:`superpose.formulas.check_units`.
        combine: pairs of columns that enter together, such as ``("x/y", "u-v")``; see :func:`superpose.edit.combine`.
        knowledge: what is known of the target beforehand; formulas that contradict it are left out.
        log_target: whether the logarithm of the target is fitted, which has to be positive, so that errors count in
            proportion; None decides by the rows. Of one target, where the shape is searched for.
    """

    shape: Literal["auto"] | tuple[Width, ...] = "auto"
    grid_size: int | None = None
    degree: int | None = None
    optimizer: str = "lm"
    time_limit: float = 45.0
    seed: int = 0
    formula: bool = True
    parameters: int | None = None
    functions: tuple[str, ...] | None = None
    linear: tuple[str, ...] = ()
    combine: tuple[str, ...] = ()
    reduce: bool = True
    cv: int | None = None
    knowledge: Knowledge = field(default_factory=Knowledge)
    units: Mapping[str, str] | Literal["names"] | None = None
    log_target: bool | None = None

    @property
    def spline_degree(self) -> int:
        """That of networks whose shape is not searched for alone."""
        return 3 if self.degree is None else self.degree

    def checked(self, data: Dataset) -> DiscoverOptions:
        """These options if they make sense with the data; raises :class:`OptionError` otherwise."""
        if self.shape != "auto":
            counts = _node_counts(self.shape)
            if not counts or counts[-1] != data.n_targets:
                plain = bool(counts) and counts == list(self.shape)
                shown = ",".join(map(str, self.shape)) if plain else repr(self.shape)
                raise OptionError(
                    f"the shape must end with {data.n_targets}, the number of targets, and have positive widths "
                    f"that are whole numbers (5,1 means 5 hidden nodes and 1 output), not {shown}"
                )
        if self.optimizer not in OPTIMIZERS:
            raise OptionError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        check_whole("grid_size", self.grid_size, optional=True)
        check_whole("degree", self.degree, least=0, most=5, optional=True)
        check_whole("parameters", self.parameters, optional=True)
        check_whole("cv", self.cv, least=2, optional=True)
        if self.parameters is not None and not self.searches_for_a_network():
            raise OptionError(
                "parameters limits the search for a network; it needs formula=False, optimizer 'lm' and no shape "
                "or grid_size"
            )
        self._check_forms(data)
        if self.units is not None:
            if self.combine:
                raise OptionError("units and combine exclude each other; give the units alone, or the pairs")
            read_column_units(self.units, data)
        free = self.shape == "auto" and self.optimizer == "lm" and not self.linear
        check_log_target(self.log_target, data, free=free)
        check_seed(self.seed)
        check_positive("time_limit", self.time_limit, unit="seconds")
        if not isinstance(self.knowledge, Knowledge):
            raise OptionError(f"knowledge must be superpose.Knowledge(...), not {type(self.knowledge).__name__}")
        known = self.knowledge.checked(data.feature_names)
        if data.n_targets > 1 and not known.empty:
            raise OptionError(f"knowledge is of one target, and the table has {data.n_targets}; choose one of them")
        return replace(self, knowledge=known)

    def _check_forms(self, data: Dataset) -> None:
        if self.functions is not None:
            functions.resolve_names(self.functions)
        for name, value in (("linear", self.linear), ("combine", self.combine)):
            if isinstance(value, str):
                raise OptionError(f"{name} is a list; write {name}=({value!r},)")
        pairs = [Pair.read(text, data.feature_names) for text in self.combine]
        for column in self.linear:
            if column not in data.feature_names:
                known = nearest(column, data.feature_names)
                raise OptionError(f"there is no column {column!r} to enter linearly{known}")
            for pair in pairs:
                if column in (pair.left, pair.right):
                    raise OptionError(
                        f"column {column!r} enters as a part of {pair.name!r} and linearly at once; choose one"
                    )

    def searches_for_a_network(self) -> bool:
        """Whether only a network is wanted, its shape and grid searched for."""
        given = self.formula or self.shape != "auto" or self.grid_size is not None or bool(self.linear)
        return not given and self.optimizer == "lm"


def check_log_target(log_target: bool | None, data: Dataset, *, free: bool) -> None:
    """Raise unless the logarithm of the target can be fitted or left, as is wanted; None is always right.

    Args:
        log_target: what is wanted.
        data: the table.
        free: whether the form of the network is free; one of a given form is fitted to the target itself.
    """
    if log_target is None:
        return
    if not isinstance(log_target, bool):
        raise OptionError(f"log_target must be True, False or None, which decides by the rows, not {log_target!r}")
    if data.n_targets > 1 or not free:
        raise OptionError(
            "log_target is of one target, with a network whose form is searched for; leave it out (--log-target), or "
            "the form of the network and all targets but one"
        )
    wrong = ~(data.y[:, 0] > 0)
    if log_target and bool(wrong.any()):
        first = wrong.nonzero()[:1, 0]
        row = int(data.table_rows(first)) + 1
        raise DataError(
            f"the target {data.target_names[0]!r} has no logarithm in {counted(int(wrong.sum()), 'row')}: it is "
            f"{float(data.y[first, 0]):g} in row {row} (counting from 1); leave out such rows, or log_target "
            "(--log-target)"
        )


def _node_counts(shape: object) -> list[int]:
    """How many nodes each layer has; nothing for what is no shape."""
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        return []
    try:
        counts = [read_width(width)[0] for width in shape]
    except OptionError:
        return []
    return counts if min(counts, default=0) > 0 else []
