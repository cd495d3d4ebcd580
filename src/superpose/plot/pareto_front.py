"""The Pareto front of formulas: error against complexity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from superpose.errors import OptionError
from superpose.messages import counted, nearest
from superpose.plot import canvas, style
from superpose.plot.numbers import View, attach

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Keys of the errors in metrics["front"], and the labels of the axis.
_ERRORS = {"rmse": "RMSE", "relative_error": "RMSE / standard deviation", "cross_entropy": "cross-entropy"}
# Smaller shares of the largest error are drawn here: float64 rounds at 1e-16, and log(0) cannot be drawn.
_ROUNDING = 1e-15
# Characters and points of the recommended formula; a design choice.
_LABEL_LENGTH, _LABEL_SIZE = 34, 8.5


def front(formulas: Sequence[Mapping[str, Any]], *, error: str = "rmse", target_std: float | None = None) -> Figure:
    """Draw the errors of formulas, on a logarithmic scale, against the numbers of nodes in their expressions' trees.

    The mark of the recommended formula is filled, and its text, shortened where it is long, stands beside the mark.

    Args:
        formulas: ``metrics["front"]`` of a run: mappings with ``complexity``, ``formula``,
            ``recommended`` and an error.
        error: the error to draw: ``"rmse"``, ``"relative_error"`` or ``"cross_entropy"``.
        target_std: the standard deviation of the target, drawn as a line: the error of the best constant.

    Raises:
        OptionError: for an unknown error, or for entries that lack an error or a complexity.

    >>> rows = [
    ...     {"complexity": 3, "formula": "x + y", "rmse": 0.2, "recommended": False},
    ...     {"complexity": 5, "formula": "x*y + 1", "rmse": 1e-9, "recommended": True},
    ... ]
    >>> "x*y + 1" in canvas.render(front(rows, target_std=0.5), "svg").decode()
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
    if target_std is not None and not _is_number(target_std):
        raise OptionError(f"target_std must be a number, not {target_std!r}")
    seen = [row for row in formulas if row[error] is not None and math.isfinite(row[error])]
    with canvas.default_style():
        figure = canvas.figure(7.0, 3.8)
        axes = figure.add_axes((0.105, 0.14, 0.845, 0.68))
        canvas.plain_axes(axes)
        lost = len(formulas) - len(seen)
        more = [f"{counted(lost, 'formula')} without finite errors left out"] if lost else []
        if not seen:
            axes.text(0.5, 0.5, "no formula was found", transform=axes.transAxes, ha="center", color=style.QUIET_TEXT)
            axes.set(xticks=[], yticks=[])
            canvas.heading(axes, "Formulas from simple to accurate", *more)
            return attach(figure, _columns(formulas, error), View("points", "complexity", (error,), log=True))
        axes.set_xlabel("nodes of the formula", size=10, color=style.TEXT)
        axes.set_ylabel(_ERRORS[error], size=10, color=style.TEXT)
        _points(axes, seen, error, target_std)
        canvas.fit_left_labels(axes)
        if any(row.get("recommended") for row in seen):
            more.insert(0, "filled: the recommended formula")
        canvas.heading(axes, "Formulas from simple to accurate", *more)
        return attach(figure, _columns(formulas, error), View("points", "complexity", (error,), log=True))


def _columns(formulas: Sequence[Mapping[str, Any]], error: str) -> dict[str, list[Any]]:
    return {
        "complexity": [row["complexity"] for row in formulas],
        error: [math.nan if row[error] is None else float(row[error]) for row in formulas],
        "formula": [str(row.get("formula", "")) for row in formulas],
        "recommended": [bool(row.get("recommended")) for row in formulas],
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _points(axes: Axes, rows: Sequence[Mapping[str, Any]], error: str, target_std: float | None) -> None:
    from matplotlib.ticker import MaxNLocator

    nodes = [int(row["complexity"]) for row in rows]
    largest = max([float(row[error]) for row in rows] + [target_std or 0.0]) or 1.0
    values = [max(float(row[error]), _ROUNDING * largest) for row in rows]
    axes.set_yscale("log")
    beside = max(2.0, 0.08 * (max(nodes) - min(nodes)))
    axes.set_xlim(min(nodes) - beside, max(nodes) + beside)
    low, high = math.log10(min(values)), math.log10(max([*values, target_std or 0.0]))
    around = max(0.3, 0.12 * (high - low))
    axes.set_ylim(10 ** (low - around), 10 ** (high + around))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    if target_std:
        axes.axhline(
            target_std, color=style.QUIET_TEXT, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1, gid="target-std"
        )
        axes.annotate(
            "standard deviation of the target",
            (1, target_std),
            xycoords=axes.get_yaxis_transform(),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            size=8,
            color=style.QUIET_TEXT,
        )
    axes.plot(nodes, values, color=style.GRID_LINE, linewidth=1.4, zorder=2, gid="front")
    for row, x, y in zip(rows, nodes, values, strict=True):
        best = bool(row.get("recommended"))
        axes.plot(
            [x],
            [y],
            "o",
            markersize=8 if best else 6.5,
            markerfacecolor=style.RECOMMENDED_FORMULA if best else "white",
            markeredgecolor=style.RECOMMENDED_FORMULA if best else style.FORMULA,
            markeredgewidth=1.5,
            zorder=3,
            gid="recommended" if best else "formula",
        )
        if best:
            _label(axes, str(row.get("formula", "")), x, y)


def _label(axes: Axes, formula: str, x: float, y: float) -> None:
    """Write the formula beside its mark, above on the right or below on the left: the front falls to the right."""
    left = x > sum(axes.get_xlim()) / 2
    axes.annotate(
        canvas.shortened(formula, _LABEL_LENGTH),
        (x, y),
        xytext=(-8, -3) if left else (8, 3),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top" if left else "bottom",
        size=_LABEL_SIZE,
        color=style.RECOMMENDED_FORMULA,
        parse_math=False,
        zorder=4,
    )
