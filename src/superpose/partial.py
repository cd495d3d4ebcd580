"""Parts of a run that fail cost that part only: one sentence for people, and the traceback for a report of the fault.

>>> failures = Failures(strict=False)
>>> formula = None
>>> with failures.part("the formula could not be read from the network [5, 1]", "the network itself is complete"):
...     formula = 1 / 0
>>> formula, failures.sentences
(None, ['the formula could not be read from the network [5, 1] (ZeroDivisionError: division by zero); the network \
itself is complete'])

Where the environment variable ``SUPERPOSE_STRICT`` is set, as in the tests of this package, exceptions are raised:
a fault must not hide in a sentence.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeVar

from superpose.errors import SuperposeError

__all__ = ["Failures"]

Value = TypeVar("Value")
Otherwise = TypeVar("Otherwise")

STRICT = "SUPERPOSE_STRICT"
# Characters of an exception's own text in a sentence; the traceback has all of it. A round number.
_LONGEST = 200


@dataclass(eq=False)
class Failures:
    """What failed in a run without ending it.

    Attributes:
        strict: whether exceptions are raised instead of recorded; the environment variable decides if None.
        sentences: one for each part, in order, none twice.
        tracebacks: of unexpected exceptions, each below its sentence.
    """

    strict: bool | None = field(default=None, repr=False)
    sentences: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list, repr=False)

    def part(self, failed: str, kept: str = "") -> Part:
        """A context for one part of a run. An exception inside it is recorded, and the run goes on behind the block.

        KeyboardInterrupt and SystemExit pass.

        Args:
            failed: what is lost if the part fails, as the beginning of a sentence.
            kept: what is not, as its end.
        """
        return Part(self, failed, kept)

    def attempt(
        self, failed: str, compute: Callable[[], Value], otherwise: Otherwise, kept: str = ""
    ) -> Value | Otherwise:
        """The value of ``compute()``, or ``otherwise`` if it fails; see :meth:`part`.

        >>> Failures(strict=False).attempt("the picture could not be drawn", lambda: 1 / 0, 0.0)
        0.0
        """
        with self.part(failed, kept):
            return compute()
        return otherwise

    def record(self, failed: str, error: Exception, kept: str = "") -> None:
        """Record an exception that was caught elsewhere; the arguments are those of :meth:`part`."""
        sentence = f"{failed} ({reason(error)}){f'; {kept}' if kept else ''}"
        if sentence in self.sentences:
            return
        self.sentences.append(sentence)
        # What a user or the surroundings caused is no fault to report.
        if not isinstance(error, SuperposeError | OSError):
            self.tracebacks.append(f"{sentence}\n{''.join(traceback.format_exception(error))}")

    def extend(self, other: Failures) -> None:
        """Add the failures of a part that kept its own."""
        self.sentences += [one for one in other.sentences if one not in self.sentences]
        self.tracebacks += [one for one in other.tracebacks if one not in self.tracebacks]


class Part:
    """One part of a run; see :meth:`Failures.part`.

    Attributes:
        has_failed: whether an exception was recorded.
    """

    def __init__(self, failures: Failures, failed: str, kept: str) -> None:
        self.failures, self.failed, self.kept = failures, failed, kept
        self.has_failed = False

    def __enter__(self) -> Part:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        strict = self.failures.strict
        if not isinstance(error, Exception) or (_strict_here() if strict is None else strict):
            return False
        self.failures.record(self.failed, error, self.kept)
        self.has_failed = True
        return True


def _strict_here() -> bool:
    return os.environ.get(STRICT, "0") not in ("", "0")


def reason(error: Exception) -> str:
    """An exception in one line: its own sentence if people are meant to read it, else its type and its text.

    >>> reason(OverflowError("too\\nlarge")), reason(OSError(28, "No space left on device"))
    ('OverflowError: too large', 'No space left on device')
    """
    name = type(error).__name__
    try:
        text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    except Exception:
        # The text of an exception is computed by its own code, which may fail like any other.
        text = ""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST - 3]}..."
    if isinstance(error, SuperposeError | OSError) and line:
        return line
    return f"{name}: {line}" if line else name
