"""The stages of one run: each is computed once, and read from the checkpoint when the run goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from superpose.checkpoint.folder import Checkpoint, Stage, fingerprint
from superpose.checkpoint.values import SHARED, Packed, unpack
from superpose.deadline import Deadline
from superpose.errors import OptionError, SuperposeError
from superpose.partial import Failures

Value = TypeVar("Value")


class Stages:
    """The stages of one run; without a checkpoint every stage is computed.

    A stage is named, and has a value of the kinds that :mod:`superpose.checkpoint.values` can write. A run that goes
    on takes the same decisions as before, since they follow from the stages' values, and since the clock of the run is
    set at each stage to what it was at its end.

    Args:
        checkpoint: where finished stages are written; None for nowhere.
        deadline: of the run; its clock is set.
        failures: of the run; those within a stage are kept with it.
        kinds: classes of dataclasses in the values, beside those that all tasks share.

    >>> stages = Stages()
    >>> stages.run("sum", lambda: 1 + 1)
    2
    """

    def __init__(
        self,
        checkpoint: Checkpoint | None = None,
        deadline: Deadline | None = None,
        failures: Failures | None = None,
        kinds: Sequence[type] = (),
    ) -> None:
        self.checkpoint = checkpoint
        self.deadline = deadline or Deadline()
        self.failures = Failures() if failures is None else failures
        self.kinds = (*SHARED, Failures, *kinds)
        self._names: Counter[str] = Counter()

    def begin(self, task: str, table: Any, options: dict[str, Any]) -> None:
        """Read what was finished before.

        Args:
            task: such as ``"regression"``.
            table: the data set, of which a checksum is kept.
            options: of the run.

        Raises:
            OptionError: if the checkpoint belongs to another task or table, or to other options.
        """
        from superpose import __version__

        if self.checkpoint is not None:
            # The table last, since options such as the seed change how it is divided.
            run = {"superpose": __version__, "task": task, "options": options, "table": fingerprint(table)}
            self.checkpoint.begin(run)

    def run(self, name: str, compute: Callable[[], Value], keep: Callable[[Value], bool] = lambda value: True) -> Value:
        """The value of a stage, computed or read.

        Args:
            name: of the stage; the second stage of one name is another one.
            compute: called for a stage that was not finished before.
            keep: whether the value is that of a finished stage, not of one that a user interrupted.
        """
        if self.checkpoint is None:
            return compute()
        self._names[name] += 1
        name = f"{name} #{self._names[name]}"
        stage = self.checkpoint.get(name)
        if stage is not None:
            try:
                value, failures = unpack(stage.values, stage.tensors, self.kinds)
            except SuperposeError:
                self.checkpoint.drop(name)
            else:
                self.deadline.clock.advance(stage.seconds - self.deadline.elapsed())
                self.failures.extend(failures)
                found: Value = value
                return found
        sentences, tracebacks = len(self.failures.sentences), len(self.failures.tracebacks)
        value = compute()
        if keep(value):
            own = Failures(None, self.failures.sentences[sentences:], self.failures.tracebacks[tracebacks:])
            with self.failures.part("the checkpoint could not be written", "the run goes on without it"):
                self._write(name, (value, own))
        return value

    def _write(self, name: str, value: Any) -> None:
        assert self.checkpoint is not None
        try:
            packed = Packed(value, self.kinds)
        except OptionError:
            # Such as a network with a NaN, which no file may hold. A run that goes on computes the stage again.
            return
        self.checkpoint.write(Stage(name, self.deadline.elapsed(), packed.json, packed.tensors))
