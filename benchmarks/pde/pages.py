"""Result pages of differential equations: a table; pictures of the solution, its error, and the error over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.harness.store import Row, Store
from benchmarks.harness.tables import markdown, medians, provenance, seeds
from superpose.plot import canvas, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FIGURES = ("parameters", "seconds", "squared_l2", "squared_h1", "relative_l2")
_COLORS = {"superpose": style.ORANGE, "mlp": style.TEAL}


def table(store: Store) -> str:
    """Medians over the seeds."""
    cells = [
        [problem, method, f"{count:.0f}", f"{seconds:.1f}", f"{l2:.1e}", f"{h1:.1e}", f"{relative:.1e}"]
        for problem, method, (count, seconds, l2, h1, relative) in medians(store.rows(), _FIGURES)
    ]
    lines = [
        f"# {store.benchmark.capitalize()}",
        "",
        "Errors against the exact solution or the reference, squared ones as integrals over the domain; medians over "
        f"{seeds(store)}. {provenance(store)}",
        "",
        *markdown(
            ["problem", "by", "parameters", "seconds", "squared L2", "squared H1", "relative L2"], cells, words=2
        ),
    ]
    return "\n".join(lines) + "\n"


def lines(store: Store) -> list[str]:
    """The same for a terminal."""
    return [
        f"{problem:16}  {method:9}  squared L2 {l2:.1e}, squared H1 {h1:.1e}, relative L2 {relative:.1e} in "
        f"{seconds:.1f} s"
        for problem, method, (_, seconds, l2, h1, relative) in medians(store.rows(), _FIGURES)
    ]


def picture(
    title: str,
    variables: Sequence[str],
    points: np.ndarray[Any, Any],
    exact: np.ndarray[Any, Any],
    rows: Sequence[Row],
) -> Figure:
    """The solution, the error of superpose's first run, and the errors of all runs over time.

    Args:
        title: of the problem.
        variables: names of the two axes.
        points: ``[M, 2]``.
        exact: ``[M]``.
        rows: of this problem.
    """
    with canvas.default_style():
        figure = canvas.figure(11.0, 3.5)
        left, middle, right = figure.subplots(
            1, 3, gridspec_kw={"left": 0.06, "right": 0.98, "top": 0.8, "bottom": 0.15, "wspace": 0.32}
        )
        first = next((row for row in rows if row["method"] == "superpose"), rows[0])
        _field(left, variables, points, exact, "viridis", "solution")
        error = np.array([math.nan if value is None else abs(value) for value in first["difference"]])
        exponent = np.log10(np.maximum(error, 1e-17))
        _field(middle, variables, points, exponent, "magma", "log10 of the error")
        for row in rows:
            seconds, errors = zip(*((a, b) for a, b in row["history"] if b is not None), strict=True)
            name = row["method"] if row["seed"] == rows[0]["seed"] else None
            right.semilogy(seconds, errors, color=_COLORS.get(row["method"], style.INK), label=name)
        right.set_xlabel("seconds", color=style.GREY)
        right.set_title("relative L2 error", loc="left", size=9, color=style.INK)
        right.legend(frameon=False, fontsize=8)
        canvas.plain_axes(right)
        figure.suptitle(canvas.clean(title), x=0.05, ha="left", size=11, weight="bold", color=style.INK)
    return figure


def _field(
    axes: Axes,
    variables: Sequence[str],
    points: np.ndarray[Any, Any],
    values: np.ndarray[Any, Any],
    colors: str,
    title: str,
) -> None:
    # Squares beside each other: domains need not be rectangles. As an image, since there are thousands.
    side = 190 / min(len(np.unique(column)) for column in points.T)
    drawn = axes.scatter(points[:, 0], points[:, 1], c=values, s=side**2, marker="s", linewidths=0, cmap=colors)
    drawn.set_rasterized(True)
    axes.margins(0)
    axes.tick_params(labelsize=8, colors=style.GREY)
    axes.figure.colorbar(drawn, ax=axes, pad=0.03)
    axes.set_xlabel(variables[0], color=style.GREY)
    axes.set_ylabel(variables[1], color=style.GREY)
    axes.set_title(title, loc="left", size=9, color=style.INK)
