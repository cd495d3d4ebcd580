"""Result pages of searches for laws: how many each method recovered, and which formulas it gave instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.functions.pages import STYLES
from benchmarks.harness.store import Row, Store
from benchmarks.harness.tables import markdown, median, methods_of, provenance, seeds, select
from benchmarks.methods import FORMULA_PEERS, SUPERPOSE
from superpose.plot import canvas, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_METHODS = (SUPERPOSE, *FORMULA_PEERS)
# Characters of a formula on the page.
_MAX_LENGTH = 160
_COLORS = {name: color for name, (color, _) in STYLES.items()} | {"operon": "#009988", "gplearn": "#CCAA00"}


def noises_of(rows: Iterable[Row]) -> list[float]:
    """The levels of noise, rising."""
    return sorted({row["noise"] for row in rows})


def table(title: str, store: Store) -> str:
    """Counts by noise and method, and every law that superpose did not find."""
    rows = store.rows()
    names = methods_of(rows, _METHODS)
    heads = ["noise", *(f"{name}: recovered" for name in names), *(f"{name}: seconds" for name in names)]
    grid = [[_percent(noise), *_counts(rows, noise, names), *_times(rows, noise, names)] for noise in noises_of(rows)]
    lines = [f"# {title}", "", facts(store), "", *markdown(heads, grid)]
    for noise in noises_of(rows):
        for name in names:
            lines += _missed(select(rows, noise=noise, method=name), noise, name, store)
    return "\n".join(lines) + "\n"


def facts(store: Store) -> str:
    """A few sentences on how the figures came about."""
    settings = store.document()["settings"]
    jobs = sorted({row["jobs"] for row in store.rows()})
    return (
        "Recovered: on fresh rows of wider ranges the formula is the law, and it is not much longer; the page on "
        f"benchmarks has the exact criterion. {settings['points']:,} rows, at most {settings['time_limit']:g} s and "
        f"one core for each law, noise, seed and method; {seeds(store)}; {' or '.join(map(str, jobs))} at a time. "
        f"Seconds are medians over all runs, those that failed included. {provenance(store)}"
    )


def _percent(noise: float) -> str:
    return f"{100 * noise:g}%"


def _counts(rows: list[Row], noise: float, names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        own = select(rows, noise=noise, method=name)
        count, unaided = (sum(row.get(what, False) for row in own) for what in ("recovered", "unaided"))
        # Rows of older runs lack the figure.
        aid = f" ({unaided} unaided)" if unaided < count and all("unaided" in row for row in own) else ""
        found.append(f"{count} of {len(own)}{aid}" if own else "-")
    return found


def _times(rows: list[Row], noise: float, names: Sequence[str]) -> list[str]:
    # A search that crashed has no time, and is not one of infinite time.
    timed = [row for row in select(rows, noise=noise) if row["seconds"] is not None]
    return [_seconds(median(timed, "seconds", method=name)) for name in names]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _missed(rows: list[Row], noise: float, name: str, store: Store) -> list[str]:
    """What was found in place of the laws that were not."""
    missed = [row for row in rows if not row["recovered"]]
    if not missed:
        return []
    several = len({row["seed"] for row in rows}) > 1
    lines = ["", f"## {name}, noise {_percent(noise)}: not recovered", ""]
    for row in missed:
        label = row["problem"] + (f", seed {row['seed']}" if several else "")
        law = f"`{store.problems[row['problem']]['formula']}`"
        lines.append(f"- {label}, {law}: {instead(row)}")
    return lines


def instead(row: Row) -> str:
    """What was found in place of a law."""
    if row["formula"] is None:
        return f"nothing; {row['failure']}"
    text = row["formula"] if len(row["formula"]) <= _MAX_LENGTH else row["formula"][: _MAX_LENGTH - 3] + "..."
    figures = [
        f"{words} {row[name]:.1e}" if row[name] is not None else f"{words} infinite"
        for name, words in (("error", "error"), ("wider_error", "on the wider ranges"))
    ]
    return f"`{text}`, {', '.join(figures)}, {row['complexity']} nodes; {row['failure'] or row['reason']}"


def lines(store: Store) -> list[str]:
    """One line for each law, and the counts."""
    rows = store.rows()
    names = methods_of(rows, _METHODS)
    found = []
    for row in select(rows, method=SUPERPOSE):
        seconds = "" if row["seconds"] is None else f" after {row['seconds']:.1f} s"
        what = "recovered" if row["recovered"] else f"not recovered{seconds}: {instead(row)}"
        label = f"{row['problem']}, noise {_percent(row['noise'])}, seed {row['seed']}"
        found.append(f"{label}: {what}{seconds if row['recovered'] else ''}")
    for noise in noises_of(rows):
        counts = zip(names, _counts(rows, noise, names), strict=True)
        found.append(f"noise {_percent(noise)}: " + ", ".join(f"{name} recovered {count}" for name, count in counts))
    return found


def picture(title: str, store: Store) -> Figure:
    """How many laws each method had found after how many seconds, a panel for each level of noise."""
    rows = store.rows()
    noises, names = noises_of(rows), methods_of(rows, _METHODS)
    limit = store.document()["settings"]["time_limit"]
    width = max(0.9 + 2.9 * len(noises), 4.4)
    with canvas.default_style():
        figure = canvas.figure(width, 3.6)
        panels: Any = figure.subplots(1, len(noises), squeeze=False, sharey=True)[0]
        figure.subplots_adjust(left=0.75 / width, right=1 - 0.2 / width, bottom=0.14, top=0.74, wspace=0.12)
        most = max(len(select(rows, noise=noise, method=name)) for noise in noises for name in names)
        for axes, noise in zip(panels, noises, strict=True):
            canvas.plain_axes(axes)
            axes.set_title(f"noise {_percent(noise)}", loc="left", size=9, color=style.GREY)
            axes.set_ylim(0, 1.03 * most)
            axes.set_xlim(0, 1.05 * limit)
            axes.set_xlabel("seconds", size=10, color=style.INK)
            for name in names:
                own = select(rows, noise=noise, method=name, recovered=True)
                seconds = sorted(row["seconds"] for row in own)
                steps = [0.0, *seconds, 1.05 * limit]
                counts = [*range(len(seconds) + 1), len(seconds)]
                axes.step(steps, counts, where="post", color=_COLORS[name], linewidth=1.6, label=name)
        panels[0].set_ylabel("recovered", size=10, color=style.INK)
        panels[0].legend(
            frameon=False,
            fontsize=9,
            labelcolor=style.GREY,
            ncols=len(names),
            loc="lower left",
            bbox_to_anchor=(-0.05, 1.08),
            handlelength=1.4,
            columnspacing=1.2,
        )
        canvas.heading(panels[0], title, "")
        return figure
