"""Running a benchmark: measure, keep every row, write tables and pictures."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from benchmarks import methods
from benchmarks.catalogue import BENCHMARKS
from benchmarks.harness.settings import Settings
from benchmarks.harness.store import Store
from superpose.cli.parsing import quoted
from superpose.errors import FileError, OptionError
from superpose.messages import nearest

Listener = Callable[[str], None]


class Suite(Protocol):
    """What a benchmark consists of."""

    def order(self, settings: Settings) -> tuple[str, ...]:
        """Check what is asked for, load what it needs, and return all problems' and methods' names in order.

        Raises:
            OptionError: if a problem or a method is asked for that is not there.
        """

    def measure(self, settings: Settings, store: Store, listener: Listener) -> None:
        """Add every row that the store does not hold yet."""

    def pages(self, store: Store) -> dict[str, bytes]:
        """Files by name, made of what is in the store: a table for people, one for programs, pictures."""

    def lines(self, store: Store) -> list[str]:
        """What was found, in a few lines for a terminal."""


def of(name: str) -> Suite:
    """The benchmark of that name."""
    suite: Suite = importlib.import_module(BENCHMARKS[name].module).suite(name)
    return suite


def _check_rows(suite: Suite, store: Store) -> None:
    """Raise unless rows of an earlier run can be shown: better now than after hours of measuring more."""
    try:
        if store.rows():
            suite.pages(store)
            suite.lines(store)
    except (AttributeError, LookupError, TypeError, ValueError):
        raise FileError(
            f"--resume: {quoted(str(store.path))} holds rows that are damaged, or of another version; leave out "
            "--resume to start anew"
        ) from None


def run(
    name: str,
    settings: Settings,
    folder: Path,
    *,
    resume: bool = False,
    listener: Listener | None = None,
) -> Store:
    """Run a benchmark and write its files into a folder.

    When a person interrupts it, what was measured until then is written, and the store is marked as interrupted.

    Args:
        name: one of :data:`benchmarks.catalogue.BENCHMARKS`.
        settings: what to measure.
        folder: gets ``results.json``, ``results.csv``, ``results.md`` and pictures.
        resume: whether results in the folder are kept and added to, instead of replaced.
        listener: called with a few words about what is being done.

    Raises:
        FileError: if the folder's results are damaged.
        OptionError: if something that is asked for is not there, or the folder's results were measured otherwise.
        KeyboardInterrupt: if it is interrupted before there is a result.
    """
    suite = of(name)
    order = suite.order(settings)
    methods.load(settings.peers, methods.of(BENCHMARKS[name]))
    store = Store(folder, name, settings, order=order)
    if resume:
        store.resume()
        _check_rows(suite, store)
    try:
        suite.measure(settings, store, listener or (lambda event: None))
    except KeyboardInterrupt:
        if not store.rows():
            raise
        store.interrupted = True
    store.save()
    store.write(suite.pages(store))
    return store


def check_names(only: Iterable[str], known: Iterable[str]) -> None:
    """Raise :class:`OptionError` unless every name is one of those known."""
    known = list(known)
    for name in only:
        if name not in known:
            hint = nearest(name, known) or f"; the problems are {', '.join(known)}"
            raise OptionError(f"--only: there is no problem {quoted(name)}{hint}")
