"""The studio: a network taken in hand step by step, with a history, by a program, in a notebook or in a browser.

>>> import torch, superpose
>>> x = 2 * torch.rand(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1
>>> data = superpose.Dataset.from_arrays(x, torch.exp(torch.sin(3 * x[:, 0]) + x[:, 1] ** 2))
>>> session = superpose.studio.Session.start(data, [2, 1, 1])
>>> for step in (
...     {"verb": "train", "arguments": {"grids": [5], "steps": 20}},
...     {"verb": "fix", "arguments": {"edge": [0, 0, 0], "function": "sin"}},
... ):
...     entry = session.do(step)
>>> session.undo()["text"]
'train with lm on grids of 5 intervals, 20 steps on each'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superpose.studio.session import Session
    from superpose.studio.steps import Step
    from superpose.studio.training import Stopped, stop_after

# Imported when they are asked for: the server of the page does without torch, which its engines load.
_HOMES = {"Session": "session", "Step": "steps", "Stopped": "training", "stop_after": "training"}

__all__ = ["Session", "Step", "Stopped", "stop_after"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'superpose.studio' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"superpose.studio.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
