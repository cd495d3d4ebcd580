"""Formulas from simple to accurate: their errors against their sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from superpose.errors import OptionError
from superpose.messages import counted, nearest
from superpose.plot import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What the errors of a front are called in it, and on the picture.
_ERRORS = {"rmse": "RMSE", "relative_error": "RMSE / spread", "cross_entropy": "cross-entropy"}
# Errors below this share of the largest are rounding, and drawn at its place.
_ROUNDING = 1e-15
_LABEL, _SIZE = 34, 8.5


def front(formulas: Sequence[Mapping[str, Any]], *, error: str = "rmse", spread: float | None = None) -> Figure:
    """Draw the errors of formulas, on a logarithmic scale, against the nodes of their expressions' trees.

    The recommended one is filled and has its formula beside it, as far as there is room.

    Args:
        formulas: ``metrics["front"]`` of a run: mappings with ``complexity``, ``formula``,
            ``recommended`` and an error.
        error: which of the errors: ``"rmse"``, ``"relative_error"`` or ``"cross_entropy"``.
        spread: the standard deviation of the target, if a line is to show it: the error of the best constant.

    Raises:
        OptionError: for an error that does not exist, or that a formula does not have, or for what is no formula.

    >>> rows = [
    ...     {"complexity": 3, "formula": "x + y", "rmse": 0.2, "recommended": False},
    ...     {"complexity": 5, "formula": "x*y + 1", "rmse": 1e-9, "recommended": True},
    ... ]
    >>> "x*y + 1" in canvas.render(front(rows, spread=0.5), "svg").decode()
    True
    """
    if error not in _ERRORS:
        raise OptionError(f"error must be one of {', '.join(_ERRORS)}, not {error!r}{nearest(str(error), _ERRORS)}")
    if isinstance(formulas, str) or not isinstance(formulas, Sequence):
        raise OptionError(f"formulas must be a list such as result.metrics['front'], not a {type(formulas).__name__}")
    for row in formulas:
        if not isinstance(row, Mapping):
            raise OptionError(
                f"a formula of a front is a mapping as in result.metrics['front'], not a {type(row).__name__}"
            )
        for key in ("complexity", error):
            if key not in row:
                raise OptionError(f"a formula of a front has {key!r}, but one has only {', '.join(map(str, row))}")
            if row[key] is not None and not _is_number(row[key]):
                raise OptionError(f"the {key!r} of a formula of a front must be a number, not {row[key]!r}")
    if spread is not None and not _is_number(spread):
        raise OptionError(f"spread must be a number, not {spread!r}")
    seen = [row for row in formulas if row[error] is not None and math.isfinite(row[error])]
    with canvas.settings():
        figure = canvas.figure(7.0, 3.8)
        axes = figure.add_axes((0.105, 0.14, 0.845, 0.68))
        canvas.plain_axes(axes)
        lost = len(formulas) - len(seen)
        more = [f"{counted(lost, 'formula')} without finite errors left out"] if lost else []
        if not seen:
            axes.text(0.5, 0.5, "no formula was found", transform=axes.transAxes, ha="center", color=canvas.GREY)
            axes.set(xticks=[], yticks=[])
            canvas.heading(axes, "Formulas from simple to accurate", *more)
            return figure
        axes.set_xlabel("nodes of the formula", size=10, color=canvas.INK)
        axes.set_ylabel(_ERRORS[error], size=10, color=canvas.INK)
        _points(axes, seen, error, spread)
        canvas.make_room_at_the_left(axes)
        if any(row.get("recommended") for row in seen):
            more.insert(0, "filled: the recommended one")
        canvas.heading(axes, "Formulas from simple to accurate", *more)
        return figure


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _points(axes: Axes, rows: Sequence[Mapping[str, Any]], error: str, spread: float | None) -> None:
    from matplotlib.ticker import MaxNLocator

    nodes = [int(row["complexity"]) for row in rows]
    largest = max([float(row[error]) for row in rows] + [spread or 0.0]) or 1.0
    values = [max(float(row[error]), _ROUNDING * largest) for row in rows]
    axes.set_yscale("log")
    beside = max(2.0, 0.08 * (max(nodes) - min(nodes)))
    axes.set_xlim(min(nodes) - beside, max(nodes) + beside)
    low, high = math.log10(min(values)), math.log10(max([*values, spread or 0.0]))
    around = max(0.3, 0.12 * (high - low))
    axes.set_ylim(10 ** (low - around), 10 ** (high + around))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    if spread:
        axes.axhline(spread, color=canvas.GREY, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1, gid="spread")
        axes.annotate(
            "spread of the target",
            (1, spread),
            xycoords=axes.get_yaxis_transform(),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            size=8,
            color=canvas.GREY,
        )
    axes.plot(nodes, values, color=canvas.LIGHT, linewidth=1.4, zorder=2, gid="front")
    for row, x, y in zip(rows, nodes, values, strict=True):
        best = bool(row.get("recommended"))
        axes.plot(
            [x],
            [y],
            "o",
            markersize=8 if best else 6.5,
            markerfacecolor=canvas.ACCENT if best else "white",
            markeredgecolor=canvas.ACCENT if best else canvas.INK,
            markeredgewidth=1.5,
            zorder=3,
            gid="recommended" if best else "formula",
        )
        if best:
            _label(axes, str(row.get("formula", "")), x, y)


def _label(axes: Axes, formula: str, x: float, y: float) -> None:
    """The formula beside its point, where the line through the points does not pass: it falls to the right."""
    left = x > sum(axes.get_xlim()) / 2
    axes.annotate(
        canvas.shortened(formula, _LABEL),
        (x, y),
        xytext=(-8, -3) if left else (8, 3),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top" if left else "bottom",
        size=_SIZE,
        color=canvas.ACCENT,
        parse_math=False,
        zorder=4,
    )
