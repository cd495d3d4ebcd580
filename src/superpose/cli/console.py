"""What commands share: progress on the terminal, lines of output."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LEFT_OUT = "columns left out, since they hold names or other text without levels that repeat, or one value only"
# Relations are between numbers.
NOT_NUMBERS = (
    "columns left out, since they hold text (true and false, yes and no, 12% are text too; write 1 and 0, 0.12 to use "
    "them) or one value only"
)


@dataclass(frozen=True)
class Progress:
    """A line on stderr that shows what is being done; none where stderr is no terminal."""

    status: Any = None

    @property
    def listener(self) -> Callable[[str], None] | None:
        """Shows a sentence in the line; None where there is no line."""
        if self.status is None:
            return None
        from rich.text import Text

        return lambda event: self.status.update(Text(event))

    def print(self, line: str) -> None:
        """Print a line of the output at once."""
        if self.status is not None:
            # While it is shown, the status takes stdout for itself, and would send the line to stderr.
            self.status.stop()
        print(line, flush=True)
        if self.status is not None:
            self.status.start()


@contextlib.contextmanager
def progress(quiet: bool, first: str) -> Iterator[Progress]:
    """Show what is being done, ``first`` at first, while the block runs; nothing where stderr is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console

    with Console(stderr=True).status(first) as status:
        yield Progress(status)


# Where nobody looks, lines are no longer than this.
_WIDTH = 100


def units(facts: Mapping[str, Any]) -> Iterator[str]:
    """What units say of a formula: ``metrics["units"]``.

    >>> list(units({"sentence": "its units agree", "constants": ["4820 ± 30 K"]}))
    ['units: its units agree; constants: 4820 ± 30 K']
    """
    if sentence := facts.get("sentence"):
        constants = "; ".join(facts.get("constants", []))
        yield f"units: {sentence}" + (f"; constants: {constants}" if constants else "")


def show_front(rows: Sequence[Mapping[str, Any]], recommendation: str | None, error: str, heading: str) -> None:
    """The formulas of a run from simple to accurate, each on a line, a mark at the recommended one, and why it is.

    Args:
        rows: ``metrics["front"]``; those of networks, and a single formula, which was said already, are not shown.
        recommendation: a sentence.
        error: which of the errors.
        heading: what it is called.

    >>> rows = [
    ...     {"complexity": 3, "formula": "x + y", "rmse": 0.25, "recommended": False},
    ...     {"complexity": 9, "formula": "x*y + 1", "rmse": None, "recommended": True},
    ... ]
    >>> show_front(rows, "recommended by chance", "rmse", "error")
      nodes  error     formula
          3  0.25      x + y
    *     9  -         x*y + 1
    * recommended by chance
    """
    rows = [row for row in rows if "formula" in row]
    if not rows:
        return
    if len(rows) > 1 and sys.stdout.isatty():
        _front_grid(rows, error, heading)
    elif len(rows) > 1:
        width = max(8, len(heading))
        more = "R²      " if "r2" in rows[0] else ""
        print(f"  nodes  {heading:<{width}}  {more}formula")
        for row in rows:
            mark = "*" if row["recommended"] else " "
            share = f"{r2(row['r2']):<8}" if more else ""
            line = f"{mark} {row['complexity']:5}  {figure(row[error]):<{width}}  {share}{_marked(row)}"
            print(line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}...")
    if recommendation:
        print(f"{'* ' if len(rows) > 1 else ''}{recommendation}")


def _marked(row: Mapping[str, Any]) -> str:
    """A formula of the front, with a mark if its units do not agree."""
    return f"{'(units do not agree) ' if row.get('inconsistent') else ''}{row['formula']}"


def _front_grid(rows: Sequence[Mapping[str, Any]], error: str, heading: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    width = max(8, len(heading))
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("", min_width=1)
    grid.add_column("nodes", justify="right", min_width=5)
    grid.add_column(heading, min_width=width)
    more = 8 if "r2" in rows[0] else 0
    if more:
        grid.add_column("R²", min_width=6)
    # What the others and the space between the columns leave; rich would take from all of them.
    left = max(len("formula"), console.width - 1 - 5 - width - more - 13)
    grid.add_column("formula", no_wrap=True, overflow="ellipsis", max_width=left)
    for row in rows:
        best = bool(row["recommended"])
        shares = [r2(row["r2"])] if more else []
        cells = ("*" if best else "", str(row["complexity"]), figure(row[error]), *shares, _marked(row))
        grid.add_row(*(Text(cell) for cell in cells), style="bold" if best else "")
    console.print(grid)


def show_warnings(sentences: Sequence[str]) -> None:
    """What failed in a run, a line for each.

    >>> show_warnings(["front.svg could not be drawn (ValueError); all other files are there"])
    warning: front.svg could not be drawn (ValueError); all other files are there
    """
    for sentence in sentences:
        print(f"warning: {sentence}")


def figure(value: float | None) -> str:
    """A number of three digits, and a dash for one that is missing or not finite.

    >>> figure(0.012345), figure(None)
    ('0.0123', '-')
    """
    return "-" if value is None or not math.isfinite(value) else f"{value:.3g}"


def error(summary: Mapping[str, Any], what: str) -> str:
    """An error with its R², where there is one.

    >>> error({"network_rmse": 0.012345, "network_r2": 0.99987}, "network")
    '0.0123 (R² 0.9999)'
    """
    rmse, share = figure(summary[f"{what}_rmse"]), r2(summary.get(f"{what}_r2"))
    return rmse if share == "-" else f"{rmse} (R² {share})"


def r2(value: float | None) -> str:
    """A coefficient of determination of four digits, and a dash for one that is missing or not finite.

    >>> r2(0.99987), r2(None), r2(-4e-16)
    ('0.9999', '-', '0')
    """
    # What rounding leaves of the mean's.
    return "-" if value is None or not math.isfinite(value) else f"{0.0 if abs(value) < 1e-9 else value:.4g}"
