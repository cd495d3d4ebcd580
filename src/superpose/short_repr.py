"""Short texts for large objects: what a notebook shows of a data set is a line, not its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy
import torch

# A line of a terminal: what is longer is said by its size.
_LONGEST = 80
# Numbers of a tensor that fit into such a line.
_MOST_NUMBERS = 4


def brief(value: Any) -> str:
    """The fields of a dataclass on one line, large values by their sizes; to be its ``__repr__``.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Pair:
    ...     first: torch.Tensor
    ...     second: list
    ...     __repr__ = brief
    >>> Pair(torch.zeros(100, 2), list(range(50)))
    Pair(first=<tensor of shape [100, 2]>, second=<50 of int>)
    """
    shown = (f"{one.name}={_shown(getattr(value, one.name))}" for one in fields(value) if one.repr)
    return f"{type(value).__qualname__}({', '.join(shown)})"


def _shown(value: Any) -> str:
    if isinstance(value, torch.Tensor | numpy.ndarray):
        size = value.numel() if isinstance(value, torch.Tensor) else value.size
        kind = "tensor" if isinstance(value, torch.Tensor) else "array"
        if value.ndim > 1 or size > _MOST_NUMBERS:
            return f"<{kind} of shape {list(value.shape)}>"
        return f"{kind}({value.tolist()})"
    if isinstance(value, torch.nn.Module):
        return f"{type(value).__name__}({value.extra_repr()})"
    if isinstance(value, Mapping | list | tuple):
        return _collection(value)
    text = repr(value)
    if _is_brief(value):
        return text
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _is_brief(value: Any) -> bool:
    """Whether a value's own text is one of these, and may be as long as it is."""
    return vars(type(value)).get("__repr__") is brief


def _collection(value: Any) -> str:
    count = len(value)
    if count <= _MOST_NUMBERS:
        if isinstance(value, Mapping):
            text = f"{{{', '.join(f'{name!r}: {_shown(one)}' for name, one in value.items())}}}"
        else:
            inner = ", ".join(_shown(one) for one in value)
            text = f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (count == 1)})"
        if len(text) <= _LONGEST:
            return text
    kinds = {type(one).__name__ for one in value}
    return f"<{count} {'keys' if isinstance(value, Mapping) else f'of {kinds.pop()}' if len(kinds) == 1 else 'items'}>"
