"""``superpose fit``: one run, whatever is learnt, and what it says of numbers."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from superpose.cli import console, parsing
from superpose.errors import OptionError

if TYPE_CHECKING:
    from superpose.tasks.regression.search import Result

Listener = Callable[[str], None]
TableArgument = Annotated[str, typer.Argument(metavar="TABLE", help="a table: CSV, TSV, either in gzip, or Parquet")]

# A generous end that keeps a slip of the finger from asking for all of the memory.
_MOST_PARAMETERS = 10**9


def limits(options: dict[str, Any]) -> dict[str, Any]:
    """Of ``parameters`` and ``time_limit``, text that was typed or None, those that were given, checked."""
    made: dict[str, Any] = {}
    if options["parameters"] is not None:
        made["parameters"] = parsing.whole("--parameters", options["parameters"], 1, _MOST_PARAMETERS)
    if options["time_limit"] is not None:
        made["time_limit"] = parsing.seconds("--time-limit", options["time_limit"])
    return made


@dataclass(frozen=True)
class Job(ABC):
    """One run of ``superpose fit``, its options checked; each task has a class of its own."""

    table: str
    target: str
    features: list[str] | None
    folder: Path
    options: dict[str, Any]
    as_json: bool
    quiet: bool

    # Which error the front is listed with, and what it is called.
    error: ClassVar[tuple[str, str]] = ("rmse", "error")

    @staticmethod
    @abstractmethod
    def checked(options: dict[str, Any]) -> dict[str, Any]:
        """What was typed as the options of this task; raises :class:`OptionError` for what it does not have."""

    @abstractmethod
    def learn(self, listener: Listener | None) -> tuple[Any, Any]:
        """The result, and the options that it was found with."""

    @abstractmethod
    def lines(self, result: Any, summary: dict[str, Any]) -> Iterator[str]:
        """What was found, for a person."""

    def run(self) -> None:
        """Read, search, write, and say what was found."""
        console.one_thread()
        from superpose import report
        from superpose.files.json_numbers import finite

        with console.progress(self.quiet, "reading the table") as listener:
            result, options = self.learn(listener)
            report.write(result, self.folder, settings=asdict(options))
        where = {"left_out": list(result.data.left_out), "out": str(self.folder)}

        summary = finite(result.metrics | where)
        if self.as_json:
            print(json.dumps(summary, allow_nan=False))
            return
        for line in self.lines(result, summary):
            print(line)
        console.show_front(summary.get("front", []), summary.get("recommendation"), *self.error)
        if summary["left_out"]:
            print(f"{console.LEFT_OUT}: {', '.join(summary['left_out'])}")
        if summary.get("interrupted"):
            print("interrupted: this is the best model so far")
        print(f"written to {summary['out']}; begin with {os.path.join(summary['out'], 'report.html')}")


class Regression(Job):
    """``superpose fit``: a number is learnt."""

    @staticmethod
    def checked(options: dict[str, Any]) -> dict[str, Any]:
        """What was typed as the options of :func:`superpose.discover`."""
        made = {name: value for name, value in options.items() if name not in ("head", "parameters", "time_limit")}
        if options["head"] is not None:
            raise OptionError("--head is for classes; add --task classification, or leave it out")
        chosen = made["shape"] != "auto" or made["grid_size"] is not None or made["optimizer"] != "lm"
        if options["parameters"] is not None and (made["formula"] or chosen):
            raise OptionError(
                "--parameters limits the search for a network; it needs --no-formula, and no --shape, --grid or "
                "--optimizer"
            )
        return made | limits(options)

    def learn(self, listener: Listener | None) -> tuple[Result, Any]:
        """The network and its formula."""
        from superpose.data import read_csv
        from superpose.tasks.regression.search import DiscoverOptions, discover

        options = DiscoverOptions(**self.options)
        data = read_csv(self.table, target=self.target, features=self.features, seed=options.seed)
        return discover(data, options, listener=listener), options

    def lines(self, result: Result, summary: dict[str, Any]) -> Iterator[str]:
        """The formula, and how far it and the network err."""
        target = result.data.target_names[0]
        errors = f"network error {console.figure(summary['network_rmse'])}"
        if summary["formula"] is None:
            yield f"no formula for {target}; the network stands by itself"
        else:
            yield f"{target} = {summary['formula']}"
            errors = f"formula error {console.figure(summary['formula_rmse'])}, {errors}"
        yield (
            f"{errors}: RMSE on {len(result.data.test)} rows held out for the test, where {target} has "
            f"a standard deviation of {console.figure(summary['target_std'])}"
        )
