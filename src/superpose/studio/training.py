"""Training that can be stopped, and what of it a script repeats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from superpose.data import Dataset
from superpose.nn.model import KAN
from superpose.stopping import StopReason
from superpose.train import History, Record, fit

Listener = Callable[[Record], None]


class Stopped(KeyboardInterrupt):
    """Raised by a listener to end a training; the best state so far is kept, as after Ctrl-C."""


def stop_after(records: int) -> Listener:
    """A listener for :func:`superpose.fit` that ends the training with its record of that number, counted from 1.

    A training that a person stopped is repeated by it: the same records come before the end, whatever the time.

    >>> import torch
    >>> x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    >>> history = fit(KAN([1, 1], seed=0), (x, torch.sin(3 * x)), listener=stop_after(5))
    >>> len(history.records), history.interrupted
    (5, True)
    """

    count = 0

    def listener(record: Record) -> None:
        nonlocal count
        count += 1
        if count >= records:
            raise Stopped

    return listener


def train(
    model: KAN, data: Dataset, arguments: dict[str, Any], listener: Listener | None
) -> tuple[History, dict[str, Any]]:
    """Train a model in place; returns what happened, and the arguments that repeat it on every machine.

    Args:
        arguments: of the verb ``train``; ``records`` is the number after which it ends.
        listener: called with every record; may raise :class:`Stopped`.
    """
    options = dict(arguments)
    records = options.pop("records", None)
    ends = None if records is None else stop_after(records)

    def both(record: Record) -> None:
        if listener is not None:
            listener(record)
        if ends is not None:
            ends(record)

    if model.head is not None:
        options["loss"] = model.head
    history = fit(model, data, listener=both, progress=False, **options)
    # A time limit ends elsewhere on another machine.
    repeated = {name: value for name, value in arguments.items() if name != "time_limit"}
    if history.stop in (StopReason.INTERRUPTED, StopReason.TIME_LIMIT):
        repeated["records"] = len(history.records)
    return history, repeated
