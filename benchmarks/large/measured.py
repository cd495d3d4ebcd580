"""A command in a process of its own: seconds, peak memory, and what it printed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Keeps a core busy until its standard input is closed, which happens at the latest when the benchmark ends.
_BUSY = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0))).start()
while True:
    pass
"""


@dataclass(frozen=True)
class Measured:
    """What a process did.

    Attributes:
        seconds: wall-clock time from its start to its end.
        peak_mb: its largest resident set, in 10^6 bytes.
        code: its exit code.
        output, errors: what it wrote.
    """

    seconds: float
    peak_mb: float
    code: int
    output: str
    errors: str


def run(command: Sequence[str], *, threads: str = "1") -> Measured:
    """Run a command to its end, and measure it."""
    environment = os.environ | {"OMP_NUM_THREADS": threads}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(list(command), stdout=output, stderr=errors, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        # Linux gives units of 1,024 bytes.
        return Measured(seconds, usage.ru_maxrss * 1.024e-3, process.returncode, output.read(), errors.read())


def python(code: str) -> Measured:
    """Run a piece of Python."""
    return run([sys.executable, "-c", code])


@contextlib.contextmanager
def busy(cores: int) -> Iterator[None]:
    """Keep so many cores busy while the block runs."""
    running = [subprocess.Popen([sys.executable, "-c", _BUSY], stdin=subprocess.PIPE) for _ in range(cores)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()
