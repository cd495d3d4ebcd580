"""sweep: many fits side by side, each kept as it comes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from superpose.atomic_write import write_atomically
from superpose.checks import is_whole
from superpose.deadline import Deadline
from superpose.errors import FileError, OptionError
from superpose.messages import nearest
from superpose.parallel import Lost, check_jobs, work_off
from superpose.tasks.sweeps.jobs import Job, Outcome, answer
from superpose.tasks.sweeps.kinds import KINDS, AnyTable
from superpose.tasks.sweeps.options import SweepOptions, check_names, checked_seeds, expanded, plain
from superpose.tasks.sweeps.progress import Bar, bar
from superpose.tasks.sweeps.result import SweepResult, SweptFit, hashable
from superpose.tasks.sweeps.store import TABLE, Store, key_of
from superpose.tasks.sweeps.tables import SweptTable, read


def sweep(
    tables: Any,
    target: str | None = None,
    *,
    vary: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    seeds: int | Sequence[int] = (0,),
    task: str = "fit",
    n_jobs: int | None = None,
    **more: Unpack[SweepOptions],
) -> SweepResult:
    """Make many fits: every combination of tables, options and seeds.

    With ``folder`` each finished fit is written at once, and a later call with the same folder makes only those that
    are missing, after a kill as after a change of the sweep. A fit that fails costs that fit only. Fits are the same
    whatever ``n_jobs`` and the backend are: each uses one thread, and its time limit counts work instead of seconds.

    Args:
        tables: a path, a data frame, a :class:`~superpose.Dataset` or a
            :class:`~superpose.tasks.classification.ClassificationDataset`; a list of these, or a mapping from names.
        target: the column to be learnt; left out for data sets.
        vary: for each option of the task its value, or a list of values, of which every combination is made; or a list
            of mappings, one for each fit.
        seeds: of the fits. How rows are divided does not depend on them.
        task: ``"fit"`` (a network: ``hidden`` layers such as ``(5,)``, ``grid_size``, ``degree``, ``optimizer`` and the
            options of :class:`~superpose.FitSettings`), ``"search"`` (:func:`superpose.search`), ``"discover"``
            (:class:`~superpose.DiscoverOptions`), ``"classify"`` (:class:`~superpose.ClassifyOptions`) or ``"compare"``
            (:class:`~superpose.CompareOptions`).
        n_jobs: fits at a time, each in a process of its own; -1 for one on each core. If left out, one, and with
            ``backend`` as many as that has.
        **more: see :class:`~superpose.tasks.sweeps.SweepOptions`, such as ``folder`` and ``backend``.

    Returns:
        A :class:`~superpose.SweepResult`. If a user interrupts, with the fits that are finished.

    Raises:
        OptionError: for options that the task does not have, or if joblib or a backend is missing.
        FileError: if the folder cannot be written into.
        KeyboardInterrupt: if a user interrupts before a fit is finished.

    >>> import pandas, superpose
    >>> frame = pandas.DataFrame({"x": [n / 40 for n in range(40)], "y": [(n / 40) ** 2 for n in range(40)]})
    >>> found = superpose.sweep(frame, "y", vary={"hidden": [()], "grid_size": [2, 3], "steps": 5}, seeds=(0, 1))
    >>> found.frame().groupby("grid_size")["train_rmse"].median().round(6).tolist()
    [0.0, 0.0]
    """
    check_names(more)
    if task not in KINDS:
        raise OptionError(f"task must be one of {', '.join(KINDS)}, not {task!r}{nearest(str(task), KINDS)}")
    check_jobs(n_jobs, more.get("backend"))
    clock = Deadline()
    varied = [_checked(options, task) for options in expanded(vary)]
    rows: Mapping[str, Any] = more.get("row_options") or {}
    swept = read(tables, target, more.get("features"), rows, task)
    fits = _fits(swept, varied, checked_seeds(seeds), task)
    run = _Sweep(task, fits, Store(more.get("folder"), more.get("keep_models", True)), n_jobs, more)
    return run.run(clock)


def _checked(options: Mapping[str, Any], task: str) -> dict[str, Any]:
    """The options of a fit, if the task has all of them; their values are checked by the fit."""
    known = KINDS[task].options
    for name, value in options.items():
        if name not in known:
            seed = "; seeds are given in seeds" if name == "seed" else ""
            hint = seed or nearest(str(name), known) or f"; it has {', '.join(known)}"
            raise OptionError(f"the task {task} has no option {name!r}{hint}")
        plain(name, value)
    # One layer may be given by its number of nodes; it is the same fit.
    return {name: (value,) if name == "hidden" and is_whole(value) else value for name, value in options.items()}


@dataclass(frozen=True, eq=False)
class _Fit:
    """A fit to be made: how it will stand in the result, and what it is made of."""

    swept: SweptFit
    options: Mapping[str, Any]
    data: AnyTable | None

    def description(self) -> dict[str, Any]:
        one = self.swept
        return {"key": one.key, "table": one.table, "options": one.options, "seed": one.seed}


def _fits(
    tables: Sequence[SweptTable], varied: Sequence[dict[str, Any]], seeds: Sequence[int], task: str
) -> list[_Fit]:
    fits = []
    for table in tables:
        for options in varied:
            texts = {name: plain(name, value) for name, value in options.items()}
            for seed in seeds:
                key = key_of(task, table.content, texts, seed) if table.data is not None else ""
                shown = {name: hashable(value) for name, value in texts.items()}
                made = SweptFit(table.name, shown, seed, failure=table.failure, key=key)
                fits.append(_Fit(made, options, table.data))
    return fits


@dataclass
class _Sweep:
    """One call of :func:`sweep`, its options checked."""

    task: str
    fits: list[_Fit]
    store: Store
    n_jobs: int | None
    options: SweepOptions

    def run(self, clock: Deadline) -> SweepResult:
        # Of two fits that are the same, such as of two files with the same content, one is made.
        places: dict[str, list[int]] = {}
        for number, fit in enumerate(self.fits):
            places.setdefault(fit.swept.key or f"unread {number}", []).append(number)
        done: dict[int, SweptFit] = {}
        missing: list[int] = []
        self.store.begin(
            {"task": self.task, "fits": [fit.description() | _failure(fit.swept) for fit in self.fits]},
        )
        for first, *others in places.values():
            found = self._kept(self.fits[first])
            if found is None:
                missing.append(first)
                continue
            done |= {number: self._as(number, found) for number in (first, *others)}
        progress = bar(self.options.get("progress"), len(self.fits), len(done))
        interrupted = False
        try:
            self._make(missing, places, done, progress)
        except KeyboardInterrupt:
            if not any(one.rows for one in done.values()):
                raise
            interrupted = True
        finally:
            progress.close()
        fits = tuple(done[number] for number in sorted(done))
        folder = self.store.folder
        result = SweepResult(self.task, fits, len(self.fits), folder, interrupted, clock.elapsed())
        if folder is not None:
            write_atomically(folder / TABLE, result.frame().to_csv(index=False).encode())
        return result

    def _make(
        self, missing: Sequence[int], places: Mapping[str, list[int]], done: dict[int, SweptFit], progress: Bar
    ) -> None:
        """Make the fits that are missing, and keep each at once."""
        tell, keep = self.options.get("listener"), self.options.get("keep_models", True)
        jobs = (self._job(self.fits[number], keep) for number in missing)
        with contextlib.closing(
            work_off(answer, jobs, n_jobs=self.n_jobs, backend=self.options.get("backend"))
        ) as answers:
            for place, found in answers:
                first = missing[place]
                fit = self.fits[first]
                outcome = Outcome(failure=found.reason) if isinstance(found, Lost) else found
                self.store.write(fit.swept.key, {"task": self.task, **fit.description()}, outcome)
                made = self._swept(fit, outcome)
                for number in places[fit.swept.key]:
                    done[number] = self._as(number, made)
                    sentence = self._sentence(done[number], len(done))
                    progress.advance(sentence)
                    if tell is not None:
                        tell(sentence)

    def _job(self, fit: _Fit, keep: bool) -> Job:
        assert fit.data is not None
        return Job(self.task, fit.data, fit.options, fit.swept.seed, keep)

    def _kept(self, fit: _Fit) -> SweptFit | None:
        """A fit that need not be made: it was finished before, or its table cannot be read."""
        if fit.swept.failure:
            return fit.swept
        found = self.store.read(fit.swept.key) if self.options.get("resume", True) else None
        return None if found is None or found.failure else replace(self._swept(fit, found), read=True)

    def _swept(self, fit: _Fit, outcome: Outcome) -> SweptFit:
        return filled(fit.swept, outcome, self.store)

    def _as(self, number: int, found: SweptFit) -> SweptFit:
        """A fit under the name of another table with the same content."""
        return replace(found, table=self.fits[number].swept.table)

    def _sentence(self, fit: SweptFit, count: int) -> str:
        several = len({one.swept.table for one in self.fits}) > 1
        error = fit.facts.get("error")
        what = f"failed: {fit.failure}" if fit.failure else f"error {'-' if error is None else format(error, '.3g')}"
        return f"{count} of {len(self.fits)}: {f'{fit.table}, ' if several else ''}{fit.label}: {what}"


def _failure(fit: SweptFit) -> dict[str, str]:
    return {"failure": fit.failure} if fit.failure else {}


def filled(fit: SweptFit, outcome: Outcome, store: Store) -> SweptFit:
    """A fit with what became of it."""
    kept = outcome.has_model and store.folder is not None and store.keep_models
    return replace(
        fit,
        rows=outcome.rows,
        failure=outcome.failure,
        seconds=outcome.seconds,
        content=None if kept else outcome.model,
        file=store.model_file(fit.key) if kept else None,
    )


def read_sweep(folder: str | os.PathLike[str]) -> SweepResult:
    """The sweep that was written to a folder last, as far as it got; nothing is fitted.

    Raises:
        FileError: if it is no folder of a sweep.
    """
    store = Store(folder)
    described = store.described()
    fits = []
    try:
        for made in described["fits"]:
            options = {name: hashable(value) for name, value in made["options"].items()}
            one = SweptFit(made["table"], options, made["seed"], failure=made.get("failure", ""), key=made["key"])
            found = store.read(one.key)
            if one.failure or found is not None:
                fits.append(one if found is None else replace(filled(one, found, store), read=True))
    except (KeyError, TypeError, AttributeError):
        raise FileError(f"the sweep in {os.fspath(folder)!r} is damaged; run it again") from None
    return SweepResult(str(described["task"]), tuple(fits), len(described["fits"]), Path(folder))
