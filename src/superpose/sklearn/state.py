"""Pickles that hold plain values: networks as the bytes of model files, formulas node by node.

What a pickle of an estimator holds of superpose is checked when it is read, as :func:`superpose.load` does. The pickle
itself is Python's: open only files that you trust.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from superpose.checkpoint.values import SHARED, Packed, unpack
from superpose.data.preparation import Preparation
from superpose.files import from_bytes, to_bytes
from superpose.files.preparation import built, describe
from superpose.files.values import Damage, refused
from superpose.formulas.expressions.formula import Formula
from superpose.nn import KAN

# Keys of what stands in place of networks, formulas, preparations and arrays.
_MODEL, _FORMULA, _ARRAY = "superpose model file", "superpose formula", "array"
_PREPARATION = "superpose preparation"


class SafeState:
    """An estimator whose state is plain values."""

    def __getstate__(self) -> dict[str, Any]:
        state: Mapping[str, Any] = super().__getstate__()  # type: ignore[assignment]
        return {name: _plain(value) for name, value in state.items()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__({name: _restored(value) for name, value in state.items()})  # type: ignore[misc]


def _plain(value: Any) -> Any:
    if isinstance(value, KAN):
        return {_MODEL: to_bytes(value)}
    if isinstance(value, Formula):
        return {_FORMULA: _serialised(value)}
    if isinstance(value, Preparation):
        return {_PREPARATION: describe(value)}
    if isinstance(value, np.ndarray):
        return {_ARRAY: value.tolist(), "dtype": value.dtype.str}
    return value


def _restored(value: Any) -> Any:
    keys = set(value) if isinstance(value, dict) else set()
    if keys == {_MODEL}:
        return from_bytes(value[_MODEL])
    if keys == {_FORMULA}:
        return _formula(value[_FORMULA])
    if keys == {_PREPARATION}:
        try:
            return built(value[_PREPARATION])
        except Damage as damage:
            raise refused("the estimator", damage) from None
    if keys == {_ARRAY, "dtype"}:
        return np.array(value[_ARRAY], dtype=value["dtype"])
    return value


def _serialised(formula: Formula) -> bytes:
    """One safetensors file: the expressions node by node in its header, and the tensors of splines."""
    from safetensors.torch import save

    packed = Packed(formula, SHARED)
    found: bytes = save(packed.tensors, {_FORMULA: json.dumps(packed.json)})
    return found


def _formula(data: bytes) -> Formula:
    from safetensors.torch import load

    length = int.from_bytes(data[:8], "little")
    text = json.loads(data[8 : 8 + length])["__metadata__"][_FORMULA]
    found = unpack(json.loads(text), load(data), SHARED)
    assert isinstance(found, Formula)
    return found
