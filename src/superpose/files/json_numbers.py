"""Values that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def json_ready(value: Any) -> Any:
    """The value as JSON can hold it: null for NaN and infinity, tensors and arrays as lists, other objects as text.

    >>> json_ready({"a": [1.0, float("nan")], 2: {"b": (True, None)}})
    {'a': [1.0, None], '2': {'b': [True, None]}}
    """
    if isinstance(value, Mapping):
        return {str(name): json_ready(inner) for name, inner in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [json_ready(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
