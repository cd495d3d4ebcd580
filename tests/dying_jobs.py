"""A job that ends its process, in a module that is imported quickly: each new process imports it."""

from __future__ import annotations

import os


def end_if_negative(number: int) -> int:
    """The number, unless it is negative."""
    if number < 0:
        os._exit(1)
    return number
