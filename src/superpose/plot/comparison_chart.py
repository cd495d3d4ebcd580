"""The chart of a comparison of methods: a line for each method, its error with its standard error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from superpose.messages import counted
from superpose.plot import canvas, style
from superpose.tasks.comparison.result import MethodComparison, MethodResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches. The sizes here are design choices, judged by eye.
_WIDTH, _LINE_HEIGHT, _TOP, _BOTTOM = 7.0, 0.3, 0.66, 0.4
_LEFT, _RIGHT = 0.16, 0.97
# Errors of regression that differ by more than this factor are drawn on a logarithmic axis, and of the worst methods
# only so many times the median is shown on a linear one.
_LOGARITHMIC, _SHOWN = 20.0, 3.0
_TITLE_LENGTH = 60


def draw(comparison: MethodComparison) -> Figure:
    """Draw the error of each method that was judged, the least above, with a bar of one standard error to both sides.

    The error is the RMSE in the target's units, for classes the share of wrong rows. The method to use is filled; an
    arrow stands for an error beyond the axes.
    """
    judged = [one for one in comparison if one.error is not None]
    if not judged:
        return canvas.notice("Comparison", comparison.sentence)
    height = _TOP + _BOTTOM + _LINE_HEIGHT * len(judged)
    with canvas.default_style():
        figure = canvas.figure(_WIDTH, height)
        bottom = _BOTTOM / height
        axes = figure.add_axes((_LEFT, bottom, _RIGHT - _LEFT, 1 - bottom - _TOP / height))
        canvas.plain_axes(axes)
        _scale(axes, judged, comparison.task == "regression")
        for line, one in enumerate(judged):
            _bar(axes, line, one, one.name == comparison.named)
        axes.set_ylim(len(judged) - 0.5, -0.5)
        axes.set_yticks(range(len(judged)), [one.name for one in judged])
        target = canvas.shortened(comparison.target, _TITLE_LENGTH)
        what = f"RMSE of {target}" if comparison.task == "regression" else f"share of rows with a wrong {target}"
        rows = f"{counted(comparison.rows, 'row')}, {counted(comparison.cv, 'fold')}; bars are one standard error"
        canvas.heading(axes, f"Cross-validated {what}", rows)
        return figure


def _scale(axes: Axes, judged: list[MethodResult], numbers: bool) -> None:
    """The axis of errors."""
    errors = sorted(one.error for one in judged if one.error is not None)
    positive = [error for error in errors if error > 0]
    if numbers and positive and positive[-1] > _LOGARITHMIC * positive[0]:
        axes.set_xscale("log")
        axes.set_xlim(positive[0] / 2, positive[-1] * 2)
        return
    most = min(max(one.error_high or 0.0 for one in judged), _SHOWN * (errors[len(errors) // 2] or math.inf))
    least = min(one.error_low or 0.0 for one in judged)
    space = 0.05 * (most - least) or 0.05 * abs(most) or 1.0
    axes.set_xlim(max(least - space, -space), most + space)


def _bar(axes: Axes, line: int, one: MethodResult, named: bool) -> None:
    color = style.RECOMMENDED_FORMULA if named else style.FORMULA
    low, high = axes.get_xlim()
    assert one.error is not None and one.error_low is not None and one.error_high is not None
    ends = [min(max(end, low), high) for end in (one.error_low, one.error_high)]
    axes.plot(ends, [line, line], "-", color=color, linewidth=1.6, zorder=2, gid=f"bar-{line}")
    axes.plot(
        [min(max(one.error, low), high)],
        [line],
        ">" if one.error > high else "o",
        markersize=7,
        markerfacecolor=color if named else "white",
        markeredgecolor=color,
        markeredgewidth=1.6,
        clip_on=False,
        zorder=3,
        gid="named" if named else f"method-{line}",
    )
