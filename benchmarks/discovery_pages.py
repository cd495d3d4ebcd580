"""What a person looks at after ``bench discovery``: who found how many, and what was found instead."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.competitors import OURS
from benchmarks.pages import LOOKS
from benchmarks.peers import SEEKERS
from benchmarks.store import Row, Store
from superpose.plot import canvas, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LONGEST = 160
_COLORS = {name: color for name, (color, _) in LOOKS.items()} | {"operon": "#009988", "gplearn": "#CCAA00"}


def competitors_of(rows: Iterable[Row]) -> list[str]:
    """Who is in the rows, superpose first."""
    seen = {row["competitor"] for row in rows}
    return [name for name in (OURS, *SEEKERS) if name in seen]


def noises_of(rows: Iterable[Row]) -> list[float]:
    """The levels of noise, rising."""
    return sorted({row["noise"] for row in rows})


def some(rows: Iterable[Row], **key: Any) -> list[Row]:
    """The rows with these values."""
    return [row for row in rows if all(row[name] == value for name, value in key.items())]


def table(title: str, store: Store) -> str:
    """Counts by noise and competitor, and every law that superpose did not find."""
    rows = store.rows()
    names = competitors_of(rows)
    heads = ["noise", *(f"{name}: recovered" for name in names), *(f"{name}: seconds" for name in names)]
    grid = [[_percent(noise), *_counts(rows, noise, names), *_times(rows, noise, names)] for noise in noises_of(rows)]
    lines = [f"# {title}", "", facts(store), "", *_grid(heads, grid)]
    for noise in noises_of(rows):
        for name in names:
            lines += _missed(some(rows, noise=noise, competitor=name), noise, name, store)
    return "\n".join(lines) + "\n"


def facts(store: Store) -> str:
    """A few sentences on how the figures came about."""
    document = store.document()
    rows = store.rows()
    seeds, jobs = sorted({row["seed"] for row in rows}), sorted({row["jobs"] for row in rows})
    settings, machine, versions = document["settings"], document["machine"], document["versions"]
    return (
        "Recovered: on fresh rows of wider ranges the formula is the law, and it is not much longer; the page on "
        f"benchmarks has it exactly. {settings['points']:,} rows, at most {settings['time_limit']:g} s and one core "
        f"for each law, noise, seed and competitor; {'seeds' if len(seeds) > 1 else 'seed'} "
        f"{', '.join(map(str, seeds))}; {' or '.join(map(str, jobs))} at a time. Seconds are medians over all runs, "
        f"those that failed included. {machine.get('processor', machine['architecture'])}, superpose "
        f"{versions['superpose']}, torch {versions['torch']}; begun {document['began'][:10]}."
    )


def _percent(noise: float) -> str:
    return f"{100 * noise:g}%"


def _counts(rows: list[Row], noise: float, names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        own = some(rows, noise=noise, competitor=name)
        count, unaided = (sum(row.get(what, False) for row in own) for what in ("recovered", "unaided"))
        # Rows of older runs do not say who needed help.
        aid = f" ({unaided} unaided)" if unaided < count and all("unaided" in row for row in own) else ""
        found.append(f"{count} of {len(own)}{aid}" if own else "-")
    return found


def _times(rows: list[Row], noise: float, names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        seconds = [row["seconds"] for row in some(rows, noise=noise, competitor=name) if row["seconds"] is not None]
        found.append(f"{statistics.median(seconds):.1f}" if seconds else "-")
    return found


def _grid(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    rules = ["---", *["---:"] * (len(heads) - 1)]
    return ["| " + " | ".join(cells) + " |" for cells in (heads, rules, *lines)]


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
    text = row["formula"] if len(row["formula"]) <= _LONGEST else row["formula"][: _LONGEST - 3] + "..."
    figures = [
        f"{words} {row[name]:.1e}" if row[name] is not None else f"{words} infinite"
        for name, words in (("error", "error"), ("wider_error", "on the wider ranges"))
    ]
    return f"`{text}`, {', '.join(figures)}, {row['complexity']} nodes; {row['failure'] or row['reason']}"


def lines(store: Store) -> list[str]:
    """One line for each law, and the counts."""
    rows = store.rows()
    names = competitors_of(rows)
    found = []
    for row in some(rows, competitor=OURS):
        seconds = "" if row["seconds"] is None else f" after {row['seconds']:.1f} s"
        what = "recovered" if row["recovered"] else f"not recovered{seconds}: {instead(row)}"
        label = f"{row['problem']}, noise {_percent(row['noise'])}, seed {row['seed']}"
        found.append(f"{label}: {what}{seconds if row['recovered'] else ''}")
    for noise in noises_of(rows):
        counts = zip(names, _counts(rows, noise, names), strict=True)
        found.append(f"noise {_percent(noise)}: " + ", ".join(f"{name} recovered {count}" for name, count in counts))
    return found


def picture(title: str, store: Store) -> Figure:
    """How many laws each competitor had found after how many seconds, a panel for each level of noise."""
    rows = store.rows()
    noises, names = noises_of(rows), competitors_of(rows)
    limit = store.document()["settings"]["time_limit"]
    width = max(0.9 + 2.9 * len(noises), 4.4)
    with canvas.default_style():
        figure = canvas.figure(width, 3.6)
        panels: Any = figure.subplots(1, len(noises), squeeze=False, sharey=True)[0]
        figure.subplots_adjust(left=0.75 / width, right=1 - 0.2 / width, bottom=0.14, top=0.74, wspace=0.12)
        most = max(len(some(rows, noise=noise, competitor=name)) for noise in noises for name in names)
        for axes, noise in zip(panels, noises, strict=True):
            canvas.plain_axes(axes)
            axes.set_title(f"noise {_percent(noise)}", loc="left", size=9, color=style.GREY)
            axes.set_ylim(0, 1.03 * most)
            axes.set_xlim(0, 1.05 * limit)
            axes.set_xlabel("seconds", size=10, color=style.INK)
            for name in names:
                own = some(rows, noise=noise, competitor=name, recovered=True)
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
