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
# Inches of a picture of bars: its width, a bar, and what is above and below them. Design choices.
_BAR_WIDTH, _BAR, _HEAD, _FOOT = 5.6, 0.27, 0.62, 0.36


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


def bars(title: str, subtitle: str, names: Sequence[str], values: np.ndarray) -> Figure:
    """Draw a bar ``[N]`` for each name, the first above."""
    height = _HEAD + _FOOT + _BAR * len(names)
    shown = [canvas.shortened(canvas.clean(name), 28) for name in names]
    label = max((canvas.text_size(name, 9)[0] for name in shown), default=0.0) + 0.2
    with canvas.default_style():
        figure = canvas.figure(_BAR_WIDTH, height)
        left = label / _BAR_WIDTH
        axes = figure.add_axes((left, _FOOT / height, 0.97 - left, 1 - (_HEAD + _FOOT) / height))
        canvas.plain_axes(axes)
        lengths = np.where(np.isfinite(values), values, np.nan)
        axes.barh(range(len(shown)), lengths, height=0.62, color=style.PREDICTION, gid="bars")
        axes.axvline(0, color=style.GRID_LINE, linewidth=1, zorder=1)
        axes.set_yticks(range(len(shown)), shown)
        for text in axes.get_yticklabels():
            text.set_parse_math(False)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.grid(False, axis="y")
        canvas.heading(axes, title, subtitle)
        return figure


def cells(
    title: str, subtitle: str, names: tuple[str, str], values: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> Figure:
    """Draw values of two columns as coloured cells.

    Args:
        title, subtitle: above the picture.
        names: of the columns, across and up.
        values: places ``[G]`` across, ``[H]`` up, and the values ``[G, H]`` there.
    """
    across, up, heights = values
    with canvas.default_style():
        figure = canvas.figure(4.8, 4.2)
        axes = figure.add_axes((0.16, 0.13, 0.66, 0.69))
        canvas.plain_axes(axes)
        axes.grid(False)
        most = float(np.nanmax(np.abs(heights))) or 1.0
        image = axes.pcolormesh(
            across, up, heights.T, cmap=style.SIGNED_VALUES, vmin=-most, vmax=most, shading="nearest", rasterized=True
        )
        image.set_gid("cells")
        bar = figure.colorbar(image, cax=figure.add_axes((0.85, 0.13, 0.03, 0.69)))
        bar.ax.tick_params(labelsize=8, colors=style.QUIET_TEXT)
        bar.outline.set_visible(False)
        axes.set_xlabel(canvas.shortened(names[0], 40), size=10, color=style.TEXT, parse_math=False)
        axes.set_ylabel(canvas.shortened(names[1], 40), size=10, color=style.TEXT, parse_math=False)
        canvas.heading(axes, canvas.shortened(title, 60), subtitle)
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
