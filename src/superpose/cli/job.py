"""One run of ``superpose fit``, whatever is learnt: read, search, print, write."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from superpose import parallel
from superpose.cli import console, parsing
from superpose.cli.time_plan import TimePlan
from superpose.data.options import SplitRule
from superpose.errors import OptionError

if TYPE_CHECKING:
    from superpose.checkpoint import Checkpoint

Listener = Callable[[str], None]

# The folder of the finished stages of a run, in that of its files.
CHECKPOINT = "checkpoint"
_GO_ON = "the same command with --resume goes on where it was"

# Options that are text or None until the task checks them.
LATER = ("parameters", "time_limit", "cv")
# More than the rows of any table leave one row out at a time.
MAX_FOLDS = 10**9
# A generous limit that keeps a slip of the finger from asking for all of the memory.
_MAX_PARAMETERS = 10**9


def row_options(typed: dict[str, str | None]) -> dict[str, Any]:
    """What was typed on rows as the options of a data set.

    Raises:
        OptionError: for a share or a rule that makes no sense, or two options that exclude each other.
    """
    for first, second, why in (
        ("test", "test_share", "both say which rows are for the test"),
        ("weights", "sigma", "both say how much each row counts"),
    ):
        if typed[first] is not None and typed[second] is not None:
            names = " and ".join(f"--{name.replace('_', '-')}" for name in (first, second))
            raise OptionError(f"{names} {why}; give one of them")
    for name in ("test", "weights", "sigma"):
        if not (typed[name] or "left out").strip():
            raise OptionError(f"--{name} is empty; name a {'file' if name == 'test' else 'column'}, or leave it out")
    SplitRule.read(typed["split"], "--split")
    made: dict[str, Any] = {name: value for name in ("test", "split", "weights", "sigma") if (value := typed[name])}
    if typed["test_share"] is not None:
        made["test"] = parsing.share("--test-share", typed["test_share"])
    return made


def limits(options: dict[str, Any]) -> dict[str, Any]:
    """Of ``parameters`` and ``time_limit``, text that was typed or None, those that were given, checked."""
    made: dict[str, Any] = {}
    if options["parameters"] is not None:
        made["parameters"] = parsing.whole("--parameters", options["parameters"], 1, _MAX_PARAMETERS)
    if options["time_limit"] is not None:
        made["time_limit"] = parsing.seconds("--time-limit", options["time_limit"])
    return made


@dataclass(frozen=True)
class Job(ABC):
    """One run of ``superpose fit``, its options checked; each task has a class of its own."""

    table: str
    target: str
    features: list[str] | None
    rows: dict[str, Any]
    folder: Path
    options: dict[str, Any]
    as_json: bool
    quiet: bool
    resume: bool = False

    # Which error the front is listed with, and what it is called.
    error: ClassVar[tuple[str, str]] = ("rmse", "error")

    @staticmethod
    @abstractmethod
    def parsed(options: dict[str, Any]) -> dict[str, Any]:
        """What was typed as the options of this task; raises :class:`OptionError` for what it does not have."""

    @abstractmethod
    def learn(
        self, listener: Listener | None, announce: Listener, plan: TimePlan, checkpoint: Checkpoint
    ) -> tuple[Any, Any]:
        """The result, and the options that it was found with; ``announce`` takes the headline once it is known."""

    def settings(self, options: Any) -> dict[str, Any]:
        """The options of the run, for the report."""
        return asdict(options) | self.rows

    @abstractmethod
    def headline(self, result: Any) -> str:
        """The formula, or that there is none."""

    @abstractmethod
    def lines(self, result: Any, summary: dict[str, Any]) -> Iterator[str]:
        """What else was found, for a person."""

    def run(self) -> None:
        """Read and search, print what was found as soon as it is known, then draw the pictures and write the files."""
        plan = TimePlan()
        parallel.one_thread()
        from superpose.checkpoint import Checkpoint

        checkpoint = Checkpoint(self.folder / CHECKPOINT, resume=self.resume)
        try:
            self._run(plan, checkpoint)
        except KeyboardInterrupt:
            if checkpoint.empty:
                raise
            raise KeyboardInterrupt(f"interrupted; {_GO_ON}") from None

    def _run(self, plan: TimePlan, checkpoint: Checkpoint) -> None:
        announced: list[str] = []
        with console.progress(self.quiet, "reading the table") as progress:

            def announce(line: str) -> None:
                if not self.as_json:
                    announced.append(line)
                    # A reader that wants no more than this line is no reason to lose the run.
                    with contextlib.suppress(BrokenPipeError):
                        progress.print(line)

            result, options = self.learn(progress.listener, announce, plan, checkpoint)
        from superpose import report
        from superpose.files.json_numbers import json_ready
        from superpose.tasks.result import warnings_of

        left_out = list(result.data.left_out)
        summary = json_ready(result.metrics | {"left_out": left_out, "out": str(self.folder)})
        if not self.as_json:
            part = result.failures.part("what was found could not be printed", "it is in the files")
            with part, contextlib.suppress(BrokenPipeError):
                self._print(result, summary, announced)
        with console.progress(self.quiet, "drawing the pictures"):
            written = report.write(
                result, self.folder, settings=self.settings(options), deadline=plan.files(options.time_limit)
            )
        if not summary.get("interrupted"):
            checkpoint.remove()
        if self.as_json:
            # What failed while the files were written is known only now.
            more = {"warnings": warnings_of(result), "resumed": checkpoint.resumed}
            print(json.dumps(summary | more, allow_nan=False))
            return
        console.show_warnings(warnings_of(result))
        if self.resume and not checkpoint.resumed:
            print(f"there was nothing to resume in {self.folder}; the run began anew")
        if not checkpoint.empty:
            print(_GO_ON)
        begin = f"; begin with {os.path.join(self.folder, 'report.html')}" if "report.html" in written else ""
        print(f"written to {self.folder}{begin}")

    def _print(self, result: Any, summary: dict[str, Any], announced: list[str]) -> None:
        if not announced:
            print(self.headline(result))
        for line in self.lines(result, summary):
            print(line)
        if reason := summary.get("screening", {}).get("reason"):
            print(reason)
        console.show_front(summary.get("front", []), summary.get("recommendation"), *self.error)
        made = [column for column in result.data.raw_columns if column.role == "feature" and column.kind != "number"]
        if made:
            print(f"columns that were made: {'; '.join(column.made() for column in made)}")
        if summary["left_out"]:
            print(f"{console.LEFT_OUT}: {', '.join(summary['left_out'])}")
        if summary.get("interrupted"):
            print("interrupted: this is the best model so far")
        sys.stdout.flush()
