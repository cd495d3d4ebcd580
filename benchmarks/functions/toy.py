"""The toy functions: as the other functions, and how the test error falls as the grid grows."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks import problems
from benchmarks.functions import suite as functions
from benchmarks.harness.settings import Settings
from benchmarks.harness.store import Row, Store, as_csv
from benchmarks.harness.tables import markdown, median
from benchmarks.methods import superpose_network
from benchmarks.methods.fitted import as_dataset
from benchmarks.problems import KnownFunction
from superpose.nn import KAN
from superpose.plot import canvas, render, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRIDS = (5, 10, 20, 40, 80)
DEGREES = (2, 3, 4, 5)
# Problems whose published network is exact but for its splines; the networks of the others are larger than necessary.
PROBLEMS = ("bessel", "exp_sin", "product")
# The error between two grids counts as falling where it falls by this factor or more while the grid doubles. Degree 2,
# the slowest, falls by 8 where the grid resolves the function; 3 is a round number below that.
_MIN_FALL = 3.0
_SECTION = "scaling"
_COLORS = {2: "#CCAA00", 3: "#EE3377", 4: "#009988", 5: "#0077BB"}


def suite(name: str) -> Toy:
    """The benchmark of that name."""
    return Toy(functions.TITLES[name], problems.toy)


class Toy(functions.Functions):
    """The toy functions, with a section ``scaling``."""

    def measure(self, settings: Settings, store: Store, listener: Callable[[str], None]) -> None:
        super().measure(settings, store, listener)
        problems = functions.chosen(self.problems(), settings.only)
        for problem in (problem for problem in problems if problem.name in PROBLEMS):
            for degree in DEGREES:
                for seed in settings.seeds:
                    if store.found(_SECTION, problem=problem.name, degree=degree, seed=seed) is None:
                        listener(f"{problem.name}, seed {seed}: error against the grid, degree {degree}")
                        store.add(scaling(problem, degree, settings, seed), _SECTION)

    def pages(self, store: Store) -> dict[str, bytes]:
        files = super().pages(store)
        rows = store.rows(_SECTION)
        if rows:
            files["results.md"] += exponents(rows).encode()
            files["scaling.csv"] = as_csv(rows)
            files["scaling.svg"] = render(picture(rows), "svg")
        return files

    def lines(self, store: Store) -> list[str]:
        rows = store.rows(_SECTION)
        kinds = dict.fromkeys((row["problem"], row["degree"]) for row in rows)
        return super().lines(store) + [
            f"{problem}, degree {degree}: error ~ G^{_number(median(rows, 'exponent', problem=problem, degree=degree))}"
            for problem, degree in kinds
        ]


def scaling(problem: KnownFunction, degree: int, settings: Settings, seed: int) -> Row:
    """Train one network through nested grids and measure its test error at each: one row."""
    x, y = problem.sample(settings.points, (seed, 0))
    test_x, test_y = problem.sample(settings.test_points, (seed, 1))
    data = as_dataset(x, y, seed)
    model = KAN(problem.shape, grid_size=GRIDS[0], degree=degree, seed=seed)
    began = time.monotonic()
    grids: list[int] = []
    errors: list[float] = []
    for size in GRIDS:
        left = settings.time_limit - (time.monotonic() - began)
        if left <= 0:
            break
        fitted = superpose_network.continued(model, data, grids=(size,), time_limit=left, seed=seed)
        if fitted.grids[-1:] != (size,):
            break
        grids.append(size)
        errors.append(functions.root_mean_square(fitted.predict(test_x) - test_y))
    used = falling(errors)
    return {
        "problem": problem.name,
        "degree": degree,
        "seed": seed,
        "shape": list(problem.shape),
        "grids": grids,
        "test_rmse": errors,
        "grids_used": grids[used],
        "exponent": slope(grids[used], errors[used]),
        "seconds": time.monotonic() - began,
    }


def falling(errors: Sequence[float]) -> slice:
    """The errors that fall: after the grid resolves the function, before rounding or the training stops the fall.

    >>> falling([1e-2, 1e-3, 1e-4]), falling([0.3, 0.2, 1e-2, 1e-3, 1e-4]), falling([1e-2, 1e-8, 3e-13, 2e-13])
    (slice(0, 3, None), slice(1, 5, None), slice(0, 2, None))
    """
    falls = [before > _MIN_FALL * after for before, after in itertools.pairwise(errors)]
    first = falls.index(True) if True in falls else 0
    last = first
    while last < len(falls) and falls[last]:
        last += 1
    # The last error may already lie on the floor that later errors show.
    floor = min(errors[last + 1 :], default=0.0)
    while last > first + 1 and errors[last] < _MIN_FALL * floor:
        last -= 1
    return slice(first, last + 1)


def slope(grids: Sequence[int], errors: Sequence[float]) -> float | None:
    """The exponent ``a`` of ``error ~ G^a`` by least squares of logarithms, None with fewer than two errors.

    >>> round(slope([5, 10, 20], [1e-3, 1e-3 / 16, 1e-3 / 256]), 12)
    -4.0
    """
    points = [(math.log(size), math.log(error)) for size, error in zip(grids, errors, strict=True) if error > 0]
    if len(points) < 2:
        return None
    middle = [sum(values) / len(points) for values in zip(*points, strict=True)]
    across = sum((a - middle[0]) * (b - middle[1]) for a, b in points)
    return float(across / sum((a - middle[0]) ** 2 for a, _ in points))


def exponents(rows: list[Row]) -> str:
    """The table of exponents in Markdown, medians over the seeds."""
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    degrees = sorted({row["degree"] for row in rows})
    cells = [
        [problem, *(_number(median(rows, "exponent", problem=problem, degree=degree)) for degree in degrees)]
        for problem in problems
    ]
    lines = [
        "",
        "Exponent a of test RMSE ~ G^a, over the grids between which the error falls by 3 or more; splines of degree k",
        "can reach -(k + 1), and the KAN paper's own run on exp_sin shows about -3:",
        "",
        *markdown(["problem", *(f"degree {degree}" for degree in degrees)], cells),
    ]
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def picture(rows: list[Row]) -> Figure:
    """Test error against the grid, a panel for each problem, beside the slopes -4 and -3."""
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    width = 0.75 + 2.6 * len(problems)
    with canvas.default_style():
        figure = canvas.figure(max(width, 4.0), 4.2)
        panels: Any = figure.subplots(1, len(problems), squeeze=False, sharey=True)[0]
        figure.subplots_adjust(left=0.75 / max(width, 4.0), right=0.98, bottom=0.285, top=0.84, wspace=0.1)
        for axes, problem in zip(panels, problems, strict=True):
            _panel(axes, problem, [row for row in rows if row["problem"] == problem])
        panels[0].set_ylabel("RMSE on fresh points", size=10, color=style.INK)
        canvas.heading(panels[0], "Error against grid size", "")
        return figure


def _panel(axes: Any, problem: str, rows: list[Row]) -> None:
    canvas.plain_axes(axes)
    axes.set_title(problem, loc="left", size=9, color=style.GREY)
    axes.set_xscale("log")
    axes.set_yscale("log")
    first = min(row["seed"] for row in rows)
    for row in rows:
        values = [error or math.nan for error in row["test_rmse"]]
        exponent = _number(median(rows, "exponent", degree=row["degree"]))
        label = f"degree {row['degree']}: G^{exponent}" if row["seed"] == first else None
        axes.plot(row["grids"], values, "o-", color=_COLORS[row["degree"]], markersize=3, linewidth=1.2, label=label)
    for row in rows:
        if row["degree"] == 3 and row["seed"] == first and row["grids_used"]:
            _references(axes, row)
    axes.set_xticks(GRIDS, [str(size) for size in GRIDS])
    axes.minorticks_off()
    axes.set_xlabel("grid intervals G", size=10, color=style.INK)
    axes.legend(
        frameon=False,
        fontsize=7.5,
        labelcolor=style.GREY,
        loc="upper left",
        bbox_to_anchor=(-0.1, -0.17),
        ncols=2,
        columnspacing=0.8,
        handlelength=1.4,
    )


def _references(axes: Any, row: Row) -> None:
    """The claimed and the paper's measured slope, from where the cubic splines' error begins to fall."""
    start = row["grids"].index(row["grids_used"][0])
    sizes, error = GRIDS[start:], row["test_rmse"][start]
    for power, dashes, whose in ((-4, (0, (4, 2)), "claim"), (-3, (0, (1, 2)), "paper")):
        values = [error * (size / sizes[0]) ** power for size in sizes]
        label = f"G^{power} ({whose})"
        axes.plot(sizes, values, color=style.GREY, linestyle=dashes, linewidth=1, label=label, zorder=1)
