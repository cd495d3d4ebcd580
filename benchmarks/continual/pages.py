"""Result pages of continual learning: a table, curves after each phase, errors by phase and peak."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.harness.store import Row, Store
from benchmarks.harness.tables import markdown, medians, provenance, seeds
from superpose.plot import canvas, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FIGURES = ("parameters", "seconds", "largest_change", "final_rmse")


def phases(rows: Sequence[Row]) -> Iterator[Row]:
    """One row for each learner, seed, phase and peak."""
    for row in rows:
        for phase, errors in enumerate(row["rmse"], 1):
            for peak, rmse in enumerate(errors, 1):
                named = {name: row[name] for name in ("problem", "seed", "method", "parameters")}
                yield named | {"phase": phase, "peak": peak, "shown": peak <= phase, "rmse": rmse}


def table(title: str, store: Store) -> str:
    """Medians over the seeds."""
    cells = [
        [problem, learner, f"{parameters:.0f}", f"{seconds:.1f}", f"{change:.1e}", f"{final:.1e}"]
        for problem, learner, (parameters, seconds, change, final) in medians(store.rows(), _FIGURES)
    ]
    lines = [
        f"# {title}",
        "",
        "The largest change of an earlier peak's RMSE from the end of its own phase to any later one, and the RMSE "
        f"over all peaks at the end, on fresh points; medians over {seeds(store)}. {provenance(store)}",
        "",
        *markdown(["problem", "learner", "constants", "seconds", "largest change", "RMSE at the end"], cells, words=2),
    ]
    return "\n".join(lines) + "\n"


def lines(store: Store) -> list[str]:
    """The same for a terminal."""
    return [
        f"{problem:5}  {learner:48}  earlier peaks changed by {change:.1e}, RMSE at the end {final:.1e}"
        for problem, learner, (_, _, change, final) in medians(store.rows(), _FIGURES)
    ]


def curves(rows: Sequence[Row], problem: dict[str, Any]) -> Figure:
    """The curve of each learner after each phase, as in figure 3.4 of the paper.

    Grey is the target, the band is what the phase showed.

    Args:
        rows: of one seed, with ``curves [phases][points]`` on even points of [-1, 1].
        problem: what the store holds of it.
    """
    centers = [center for (center,) in problem["centers"]]
    half = problem["half_side"]
    with canvas.default_style():
        height = 1.45 * len(rows) + 0.9
        figure = canvas.figure(2.0 * len(centers) + 0.6, height)
        spaces = {"left": 0.05, "right": 0.99, "top": 1 - 0.86 / height, "bottom": 0.28 / height}
        grid = figure.add_gridspec(len(rows), len(centers), wspace=0.12, hspace=0.55, **spaces)
        x = np.linspace(-1, 1, 401)
        target = np.exp(-problem["sharpness"] * np.square(x[:, None] - centers)).sum(1)
        for line, row in enumerate(rows):
            for phase, curve in enumerate(row["curves"]):
                axes = figure.add_subplot(grid[line, phase])
                canvas.plain_axes(axes)
                axes.tick_params(labelsize=7, labelleft=phase == 0)
                axes.axvspan(
                    centers[phase] - half, centers[phase] + half, color=style.LIGHT_GREY, alpha=0.45, linewidth=0
                )
                axes.plot(x, target, color=style.GREY, linewidth=1.0)
                axes.plot(np.linspace(-1, 1, len(curve)), curve, color=style.ORANGE, linewidth=1.4)
                axes.set(xlim=(-1, 1), ylim=(-0.6, 1.6), xticks=[-0.5, 0, 0.5], yticks=[0, 1])
                if phase == 0:
                    note = f"{row['method']}, {row['parameters']} constants; earlier peaks' RMSE changed by at most"
                    _label(axes, f"{note} {row['largest_change']:.1e}")
                if line == 0:
                    _label(axes, f"after phase {phase + 1}", center=True)
        _title(figure, "Five peaks shown in turn")
    return figure


def tables(rows: Sequence[Row], problem: dict[str, Any]) -> Figure:
    """The RMSE of each learner by phase and peak.

    Args:
        rows: of one seed.
        problem: what the store holds of it.
    """
    with canvas.default_style():
        lines = math.ceil(len(rows) / 2)
        height = 1.9 * lines + 0.7
        figure = canvas.figure(8.0, height)
        spaces = {"left": 0.1, "right": 0.98, "top": 1 - 0.85 / height, "bottom": 0.3 / height}
        grid = figure.add_gridspec(lines, 2, wspace=0.3, hspace=0.55, **spaces)
        for n, row in enumerate(rows):
            _table(figure.add_subplot(grid[n % lines, n // lines]), row)
        _title(figure, "Four peaks on a plane shown in turn: RMSE, bold once shown (constants in brackets)")
    return figure


def _table(axes: Axes, row: Row) -> None:
    sizes = [[math.log10(max(value, 1e-12)) for value in errors] for errors in row["rmse"]]
    axes.imshow(sizes, cmap="YlOrBr", vmin=-4, vmax=0.5, aspect="auto")
    for phase, errors in enumerate(row["rmse"]):
        for peak, value in enumerate(errors):
            weight = "bold" if peak <= phase else "normal"
            color = "white" if sizes[phase][peak] > -0.9 else style.INK
            axes.text(peak, phase, f"{value:.1e}", ha="center", va="center", size=8, color=color, weight=weight)
    ticks = range(len(sizes))
    axes.set_xticks(ticks, [f"peak {n + 1}" for n in ticks], size=7, color=style.GREY)
    axes.set_yticks(ticks, [f"phase {n + 1}" for n in ticks], size=7, color=style.GREY)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _label(axes, f"{row['method']} ({row['parameters']})")


def _title(figure: Figure, text: str) -> None:
    y = 1 - 0.12 / figure.get_size_inches()[1]
    figure.suptitle(text, x=0.02, y=y, ha="left", va="top", size=11, weight="bold", color=style.INK)


def _label(axes: Axes, text: str, *, center: bool = False) -> None:
    """A line above the axes, at their left; or one more above that, in the middle."""
    axes.annotate(
        text,
        (0.5 if center else 0, 1),
        xytext=(0, 22 if center else 5),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center" if center else "left",
        annotation_clip=False,
        parse_math=False,
        size=9 if center else 8,
        color=style.GREY if center else style.INK,
    )
