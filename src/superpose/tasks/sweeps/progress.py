"""How far a sweep is: a bar of rich on a terminal, one of tqdm in a notebook."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable
from typing import Any

from superpose.errors import OptionError
from superpose.parallel import INSTALL


class Bar:
    """A bar that is not shown; the others derive from it."""

    def advance(self, sentence: str) -> None:
        """One more fit is finished."""

    def close(self) -> None:
        """Leave the bar as it is."""


class RichBar(Bar):
    """On stderr."""

    def __init__(self, total: int, done: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("", total=total, completed=done)
        self._progress.start()

    def advance(self, sentence: str) -> None:
        self._progress.update(self._task, advance=1, description=sentence)

    def close(self) -> None:
        self._progress.stop()


class TqdmBar(Bar):
    """Of ``tqdm.auto``: a widget in a notebook, a line elsewhere."""

    def __init__(self, total: int, done: int) -> None:
        with warnings.catch_warnings():
            # Without ipywidgets it says that it draws text.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm

            self._bar: Any = tqdm(total=total, initial=done, unit="fit")

    def advance(self, sentence: str) -> None:
        self._bar.set_postfix_str(sentence, refresh=False)
        self._bar.update(1)

    def close(self) -> None:
        self._bar.close()


def bar(wanted: bool | str | None, total: int, done: int) -> Bar:
    """The bar of a sweep.

    Args:
        wanted: as in :class:`~superpose.tasks.sweeps.SweepOptions`.
        total, done: fits, and those that are finished already.

    Raises:
        OptionError: if tqdm is asked for and missing.
    """
    has_tqdm = importlib.util.find_spec("tqdm") is not None
    if wanted == "tqdm" and not has_tqdm:
        raise OptionError(f"a bar of tqdm needs tqdm, which is not installed; {INSTALL} adds it")
    made: Callable[[int, int], Bar] = TqdmBar if wanted == "tqdm" or (in_notebook() and has_tqdm) else RichBar
    if wanted in (False, None) and (wanted is False or not (sys.stderr.isatty() or in_notebook())):
        return Bar()
    return RichBar(total, done) if wanted == "rich" else made(total, done)


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this."""
    return "ipykernel" in sys.modules
