"""What several tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
EXAMPLES = ROOT / "examples"
# The shares that large tables hold out by themselves, for small ones.
HELD_OUT = {"validation": 0.15, "test": 0.15}


def run_python(*arguments: str, timeout: float = 120.0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run this interpreter on this checkout in a process of its own, with one thread; by default where tests run."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(SOURCE), str(ROOT))), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
        check=False,
        cwd=cwd,
    )


def is_one_sentence(message: str) -> bool:
    """Return whether a message is one plain line: no traceback, no type names, no line breaks."""
    return (
        bool(message.strip())
        and "\n" not in message
        and "Traceback" not in message
        and ". " not in message
        and len(message) < 400
    )


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Let torch and the kernels use that many threads inside a ``with`` block."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class CountingClock:
    """A clock that goes on when somebody looks at it, and at no other time.

    Searches look once in each optimiser step, evaluation or candidate. A limit of seconds is thus a number of these,
    and what is found within it does not depend on the speed of the machine. A look takes a fiftieth of a second,
    at which searches with limits of a few seconds took about as long on two cores; under
    :func:`superpose.deadline.until`, which looks at every call of a function, a millionth.
    """

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        # Who asks: a function of Deadline, or what asked that.
        frame = sys._getframe(1)
        while frame.f_globals["__name__"] == "superpose.deadline" and frame.f_code.co_name != "check" and frame.f_back:
            frame = frame.f_back
        self.now += 1e-6 if frame.f_globals["__name__"] == "superpose.deadline" else 2e-2
        return self.now
