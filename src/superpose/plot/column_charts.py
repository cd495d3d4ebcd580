"""Charts against one column: its effect on the prediction, and what a model leaves there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from superpose.plot import canvas, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE = 3.6, 2.5
_BOX = 0.17, 0.13, 0.79, 0.71


@dataclass(frozen=True)
class Curves:
    """What the effect of a column looks like.

    Attributes:
        places: ``[G]``, values of the column.
        values: ``[G, L]``, one line each.
        errors: ``[G]``, standard errors of a single line, drawn twice to either side.
        beside: ``[G]``, the effect by another model, drawn dashed.
        discrete: whether the column has few values; then these are dots.
    """

    places: np.ndarray
    values: np.ndarray
    errors: np.ndarray | None = None
    beside: np.ndarray | None = None
    discrete: bool = False


def effect(
    name: str, curves: Curves, *, rows: np.ndarray, limits: tuple[float, float], labels: Sequence[str] = ()
) -> Figure:
    """Draw the effect of the column of this name.

    Args:
        name: of the column.
        curves: its effect.
        rows: ``[R]``, values of the column in the rows, as ticks.
        limits: of the effect's axis.
        labels: of the lines, if they are several.
    """
    places, values = curves.places, curves.values
    with canvas.default_style():
        figure, axes = _axes(name)
        colors = [style.PREDICTION, style.SPLINE_EDGE, style.KNOT, style.QUIET_TEXT]
        if curves.errors is not None:
            low, high = values[:, 0] - 2 * curves.errors, values[:, 0] + 2 * curves.errors
            if curves.discrete:
                axes.vlines(places, low, high, color=style.PREDICTION, linewidth=5, alpha=0.25, zorder=2, gid="band")
            else:
                axes.fill_between(
                    places, low, high, color=style.PREDICTION, alpha=0.2, linewidth=0, zorder=2, gid="band"
                )
        for k, line in enumerate(values.T):
            axes.plot(
                places,
                line,
                color=colors[k % len(colors)],
                linestyle=("-", "--", ":")[k // len(colors) % 3],
                linewidth=1 if curves.discrete else 1.8,
                marker="o" if curves.discrete else "",
                markersize=4,
                zorder=3,
                label=canvas.shortened(labels[k], 16) if labels else None,
                gid=f"effect-{k}",
            )
        if curves.beside is not None:
            axes.plot(places, curves.beside, "--", color=style.SPLINE_EDGE, linewidth=1.1, zorder=2.5, gid="beside")
        _draw_rug(axes, rows)
        axes.set_ylim(*limits)
        if labels:
            axes.legend(frameon=False, fontsize=7, loc="best", labelcolor=style.QUIET_TEXT)
        return figure


def residual(name: str, places: np.ndarray, residuals: np.ndarray, trend: tuple[np.ndarray, np.ndarray]) -> Figure:
    """Draw residuals ``[N]`` against a column, and their running mean at some of its values."""
    with canvas.default_style():
        figure, axes = _axes(name)
        axes.plot(
            places, residuals, "o", color=style.QUIET_TEXT, markersize=2.2, alpha=0.5, markeredgewidth=0, gid="points"
        )
        axes.plot(*trend, "-", color=style.PREDICTION, linewidth=1.8, zorder=3, gid="trend")
        # A single row far off must not flatten the others.
        most = float(np.quantile(np.abs(residuals), 0.99)) * 1.15 or 1.0
        axes.set_ylim(-most, most)
        return figure


def _axes(name: str) -> tuple[Figure, Axes]:
    figure = canvas.figure(*_SIZE)
    axes = figure.add_axes(_BOX)
    canvas.plain_axes(axes)
    axes.tick_params(labelsize=8)
    # Ticks take most of the time of a picture.
    axes.locator_params(axis="x", nbins=4)
    axes.locator_params(axis="y", nbins=5)
    axes.grid(False)
    axes.axhline(0, color=style.GRID_LINE, linewidth=1, zorder=1)
    canvas.heading(axes, canvas.shortened(name, 32))
    return figure, axes


def _draw_rug(axes: Axes, rows: np.ndarray) -> None:
    """The rows as ticks at the lower end, as a single line with gaps."""
    gaps = np.full_like(rows, np.nan)
    x = np.stack([rows, rows, gaps], 1).ravel()
    y = np.tile([0.0, 0.035, np.nan], len(rows))
    axes.plot(x, y, color=style.QUIET_TEXT, linewidth=0.5, transform=axes.get_xaxis_transform(), gid="rug")
