"""Progress: a stream of records; a line on the terminal is one listener among others."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from superpose.train.history import Record

Listener = Callable[[Record], None]


class TerminalProgress:
    """Shows the latest record in one line on stderr; does nothing when stderr is not a terminal."""

    def __init__(self) -> None:
        self._live: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            # Smooth to the eye; a round number.
            self._live = Live(console=Console(stderr=True), transient=True, refresh_per_second=8)
            self._live.start()

    def __call__(self, record: Record) -> None:
        if self._live is not None:
            self._live.update(
                f"step {record.step}  grid {record.grid_size}  train {record.train_loss:.2e}  "
                f"validation {record.validation_loss:.2e}  {record.seconds:.1f} s"
            )

    def close(self) -> None:
        """Remove the line."""
        if self._live is not None:
            self._live.stop()
