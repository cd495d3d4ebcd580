"""``python -m benchmarks limits``: see :mod:`benchmarks.large.program`."""

from benchmarks.large.program import limits as main

__all__ = ["main"]
