"""Result pages of function fitting: a table in Markdown, a picture, a few lines for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.harness.store import Row, Store
from benchmarks.harness.tables import markdown, median, methods_of, provenance, seeds
from benchmarks.methods import DISCOVER, REGRESSION_PEERS, SUPERPOSE
from superpose.plot import canvas, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours of P. Tol's bright set, which colour-blind readers can tell apart, and a marker for each method.
STYLES = {
    SUPERPOSE: ("#EE3377", "o"),
    DISCOVER: ("#AA3377", "*"),
    "pykan": ("#0077BB", "s"),
    "mlp": ("#333333", "^"),
    "gp": ("#009988", "D"),
    "rbf": ("#CCAA00", "v"),
}
_METHODS = (SUPERPOSE, *REGRESSION_PEERS)
_PAPER = "#888888"
# Factors between two errors that the summary counts; round numbers.
_FACTORS = (1, 10, 30)


def table(title: str, store: Store) -> str:
    """Medians over the seeds, one line for each problem."""
    rows = store.rows()
    names = methods_of(rows, _METHODS)
    others = [name for name in names if name != SUPERPOSE]
    heads = [
        "problem",
        "shape",
        "parameters",
        "seconds",
        SUPERPOSE,
        *others,
        "paper's best KAN",
        "ratio",
        "paper's best of all",
    ]
    lines = [
        f"# {title}",
        "",
        facts(store),
        "",
        *markdown(heads, [_cells(name, rows, others, store) for name in store.problems], words=2),
        "",
        *(f"- {line}" for line in _summary(store)),
    ]
    failures = [
        f"- {row['method']} on {row['problem']}, seed {row['seed']}: {row['failure']}" for row in rows if row["failure"]
    ]
    if failures:
        lines += ["", "Failed:", "", *failures]
    return "\n".join(lines) + "\n"


def facts(store: Store) -> str:
    """A sentence on how the figures came about."""
    settings = store.document()["settings"]
    return (
        f"Root mean squared errors on {settings['test_points']:,} fresh points, medians over {seeds(store)}; learnt "
        f"from {settings['points']:,} points in at most {settings['time_limit']:g} s each. {provenance(store)}"
    )


def _cells(problem: str, rows: list[Row], others: Sequence[str], store: Store) -> list[str]:
    def figure(name: str, method: str = SUPERPOSE) -> float | None:
        return median(rows, name, problem=problem, method=method)

    shapes = {str(row["shape"]) for row in rows if row["problem"] == problem and row["method"] == SUPERPOSE}
    paper, network = store.problems[problem]["published_best_kan"], figure("test_rmse")
    parameters, seconds = figure("parameters"), figure("seconds")
    return [
        problem,
        " or ".join(sorted(shapes)) or "-",
        "-" if parameters is None else f"{parameters:.0f}",
        "-" if seconds is None else f"{seconds:.1f}",
        _error(network),
        *(_error(figure("test_rmse", name)) for name in others),
        _error(paper),
        "-" if paper is None or not network else _times(paper / network),
        _error(store.problems[problem]["published_best"]),
    ]


def _error(value: float | None) -> str:
    return "-" if value is None else f"{value:.2e}"


def _times(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def lines(store: Store) -> list[str]:
    """One line for each problem, and how often superpose is better than each of the others."""
    rows = store.rows()
    found = []
    for problem, about in store.problems.items():
        parts = [
            f"{name} {_error(median(rows, 'test_rmse', problem=problem, method=name))}"
            for name in methods_of(rows, _METHODS)
        ]
        if about["published_best_kan"] is not None:
            parts.append(f"paper {_error(about['published_best_kan'])}")
        found.append(f"{problem}: {', '.join(parts)}")
    return found + _summary(store)


def _summary(store: Store) -> list[str]:
    present = methods_of(store.rows(), _METHODS)
    found = [f"superpose {line}" for line in counts(store, present[1:])]
    if DISCOVER in present:
        found += [f"superpose.discover {line}" for line in counts(store, (), DISCOVER)]
    return found


def counts(store: Store, peers: Sequence[str], method: str = SUPERPOSE) -> list[str]:
    """On how many problems a method's error is at or below the paper's and some peers', and how often far below."""
    rows = store.rows()
    others: dict[str, dict[str, float | None]] = {
        f"the paper's {words}": {problem: about[key] for problem, about in store.problems.items()}
        for words, key in (("best KAN", "published_best_kan"), ("best of all", "published_best"))
    }
    for name in peers:
        others[name] = {problem: _median_error(rows, problem, name) for problem in store.problems}
    found = []
    for name, errors in others.items():
        ratios = [
            _ratio(error, _median_error(rows, problem, method))
            for problem, error in errors.items()
            if error is not None and store.found(problem=problem, method=name if name in REGRESSION_PEERS else method)
        ]
        if ratios:
            least = [sum(not ratio < times for ratio in ratios) for times in _FACTORS]
            far = ", ".join(f"{times}x below in {count}" for times, count in zip(_FACTORS[1:], least[1:], strict=True))
            found.append(f"is at or below {name} in {least[0]} of {len(ratios)}, {far}")
    return found


def _median_error(rows: list[Row], problem: str, method: str) -> float:
    error = median(rows, "test_rmse", problem=problem, method=method)
    return math.inf if error is None else error


def _ratio(a: float, b: float) -> float:
    """Of errors: nothing is smaller than zero, and two that are infinite or zero are alike."""
    return 1.0 if a == b else math.inf if b == 0 else a / b


def dots(title: str, store: Store) -> Figure:
    """Test errors on a logarithmic scale, a line for each problem: small dots for seeds, a large one for the median."""
    rows = store.rows()
    names = methods_of(rows, _METHODS)
    problems = list(store.problems)
    height = 1.15 + 0.3 * len(problems)
    with canvas.default_style():
        figure = canvas.figure(7.6, height)
        axes = figure.add_axes((0.19, 0.5 / height, 0.78, 1 - 1.1 / height))
        canvas.plain_axes(axes)
        axes.set_xscale("log")
        for name in names:
            _draw(axes, name, names, problems, [row for row in rows if row["method"] == name])
        papers = [(store.problems[problem]["published_best_kan"], place) for place, problem in enumerate(problems)]
        marks = [(value, place) for value, place in papers if value]
        if marks:
            values, places = zip(*marks, strict=True)
            axes.scatter(
                values, places, marker="|", s=150, color=_PAPER, linewidths=2, label="paper's best KAN", zorder=2
            )
        axes.set_yticks(range(len(problems)), [canvas.shortened(problem, 18) for problem in problems])
        axes.set_ylim(len(problems) - 0.4, -0.6)
        axes.set_xlabel("RMSE on fresh points", size=10, color=style.INK)
        axes.legend(
            frameon=False,
            fontsize=9,
            labelcolor=style.GREY,
            ncols=len(names) + 1,
            loc="lower left",
            bbox_to_anchor=(-0.2, 1.0),
            handletextpad=0.2,
            columnspacing=1.2,
        )
        canvas.heading(axes, title, "")
        return figure


def _draw(axes: Any, name: str, names: list[str], problems: list[str], rows: list[Row]) -> None:
    """One method's dots, a little above or below the line so that they do not cover each other."""
    color, marker = STYLES.get(name, ("#555555", "P"))
    shift = 0.5 * (names.index(name) - (len(names) - 1) / 2) / max(len(names), 1)
    single = [(row["test_rmse"], problems.index(row["problem"]) + shift) for row in rows if row["test_rmse"]]
    middles = [(median(rows, "test_rmse", problem=problem), place + shift) for place, problem in enumerate(problems)]
    large = [(value, place) for value, place in middles if value]
    if single:
        axes.scatter(*zip(*single, strict=True), marker=marker, s=7, color=color, alpha=0.45, linewidths=0, zorder=3)
    if large:
        axes.scatter(*zip(*large, strict=True), marker=marker, s=30, color=color, linewidths=0, label=name, zorder=4)
