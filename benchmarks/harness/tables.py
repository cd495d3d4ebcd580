"""Parts that all result pages share: medians over the seeds, a table in Markdown, how the figures came about."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from benchmarks.harness.store import Row, Store


def median(rows: Iterable[Row], figure: str, **key: Any) -> float | None:
    """The median over seeds of a figure in the rows with these values; a failed run counts as infinite.

    >>> rows = [{"seed": n, "test_rmse": error} for n, error in enumerate([0.1, None, 0.3])]
    >>> median(rows, "test_rmse"), median(rows, "test_rmse", seed=1)
    (0.3, None)
    """
    values = [math.inf if row.get(figure) is None else float(row[figure]) for row in select(rows, **key)]
    middle = statistics.median(values) if values else math.inf
    return middle if math.isfinite(middle) else None


def medians(rows: Sequence[Row], figures: Sequence[str]) -> Iterator[tuple[str, str, list[float]]]:
    """Each problem and method of the rows with the medians of these figures, infinite where there is none.

    >>> rows = [{"problem": "heat", "method": "mlp", "seconds": seconds} for seconds in (1.0, 2.0, 3.0)]
    >>> list(medians(rows, ["seconds", "squared_l2"]))
    [('heat', 'mlp', [2.0, inf])]
    """
    for problem, method in dict.fromkeys((row["problem"], row["method"]) for row in rows):
        found = [median(rows, figure, problem=problem, method=method) for figure in figures]
        yield problem, method, [math.inf if value is None else value for value in found]


def select(rows: Iterable[Row], **key: Any) -> list[Row]:
    """The rows with these values."""
    return [row for row in rows if all(row.get(name) == value for name, value in key.items())]


def methods_of(rows: Iterable[Row], known: Iterable[str]) -> list[str]:
    """The methods in the rows, in the order of those known."""
    present = {row["method"] for row in rows}
    return [name for name in known if name in present]


def markdown(heads: Sequence[str], lines: Iterable[Sequence[str]], words: int = 1) -> list[str]:
    """A table in Markdown.

    Args:
        heads: one for each column.
        lines: the cells of each line.
        words: how many columns at the left hold words; the others hold numbers and stand at the right.
    """
    rules = ["---"] * words + ["---:"] * (len(heads) - words)
    return ["| " + " | ".join(cells) + " |" for cells in (heads, rules, *lines)]


def seeds(store: Store) -> str:
    """The seeds of the results in words, such as ``seeds 0, 1, 2``."""
    found = sorted({row["seed"] for row in store.rows()})
    return f"{'seeds' if len(found) > 1 else 'seed'} {', '.join(map(str, found))}"


def provenance(store: Store) -> str:
    """Machine, versions and date of the results, as the end of a sentence."""
    document = store.document()
    machine, versions = document["machine"], document["versions"]
    return (
        f"{machine.get('processor', machine['architecture'])}, threads: {machine['threads']}, superpose "
        f"{versions['superpose']}, torch {versions['torch']}; begun {document['began'][:10]}."
    )
