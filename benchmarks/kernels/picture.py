"""The picture: time against grid size, a panel for each shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.kernels.cases import GRADIENTS

# Colours that stay apart for colour-blind readers (P. Tol's bright set and greys); superpose is the thick one.
LOOKS: dict[str, tuple[str, str, str]] = {
    "superpose": ("#EE3377", "-", "o"),
    "superpose reference": ("#EE3377", ":", "o"),
    "mlp same parameters": ("#000000", "-", "s"),
    "mlp same width": ("#000000", ":", "s"),
    "inkan": ("#0077BB", "-", "^"),
    "flashkan": ("#33BBEE", "-", "v"),
    "FastKAN": ("#009988", "-", "D"),
    "efficient-kan": ("#CCBB44", "-", "P"),
    "jaxkan": ("#EE7733", "-", "X"),
    "pykan": ("#AAAAAA", "-", "*"),
}


def draw(result: dict[str, Any], file: Path, measure: str = GRADIENTS) -> None:
    """Write ``file`` (SVG or PNG, by its name)."""
    import matplotlib
    from matplotlib import pyplot

    cells = [cell for cell in result["layers"] if cell["measure"] == measure]
    shapes = list(dict.fromkeys((cell["batch"], cell["in"], cell["out"]) for cell in cells))
    if not shapes:
        return
    columns = min(3, len(shapes))
    lines = -(-len(shapes) // columns)
    # Text stays text, and the same figures give the same file.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "kernels", "font.size": 9}):
        figure, axes = pyplot.subplots(
            lines, columns, figsize=(3.4 * columns, 2.9 * lines + 0.9), squeeze=False, layout="constrained"
        )
        for axis, shape in zip(axes.flat, shapes, strict=False):
            _panel(axis, [c for c in cells if (c["batch"], c["in"], c["out"]) == shape], shape)
        for axis in axes.flat[len(shapes) :]:
            axis.set_visible(False)
        for axis in axes[:, 0]:
            axis.set_ylabel("milliseconds")
        _legend(figure, axes)
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None, dpi=110)
        pyplot.close(figure)


def _panel(axis: Any, cells: list[dict[str, Any]], shape: tuple[int, ...]) -> None:
    grids = sorted({cell["grid"] for cell in cells})
    for name, (colour, line, marker) in LOOKS.items():
        points = [
            (cell["grid"], 1e3 * cell["contenders"][name]["median"])
            for cell in sorted(cells, key=lambda cell: int(cell["grid"]))
            if name in cell["contenders"]
        ]
        if points:
            thick = name == "superpose"
            x, y = zip(*points, strict=True)
            axis.plot(
                x,
                y,
                line,
                color=colour,
                marker=marker,
                label=name,
                lw=2.6 if thick else 1.2,
                ms=5,
                zorder=3 if thick else 2,
            )
    axis.set(xscale="log", yscale="log", title=f"batch {shape[0]:,}, {shape[1]} inputs, {shape[2]} outputs")
    axis.set_xticks(grids, [f"{grid:,}" for grid in grids])
    axis.minorticks_off()
    axis.set_xlabel("grid intervals G")
    axis.grid(True, which="major", color="#dddddd", lw=0.6)


def _legend(figure: Any, axes: Any) -> None:
    """One for all panels, since not every contender is in every panel."""
    found: dict[str, Any] = {}
    for axis in axes.flat:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    names = [name for name in LOOKS if name in found]
    figure.legend([found[name] for name in names], names, loc="outside lower center", ncols=5, frameon=False)
