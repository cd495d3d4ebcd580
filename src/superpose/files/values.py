"""How a file or a model is refused, and checks of single JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from superpose.errors import FileError
from superpose.messages import listed, quoted

# Numbers in the description stay below it, so that none is an infinity written out.
LARGEST = 1e300


class Refusal(Exception):
    """Why a file or a model is refused: the rest of a sentence whose subject it is."""


class Damage(Refusal):
    """What is not as :func:`save` would have written it: a sentence."""


def refused(label: str, refusal: Refusal) -> FileError:
    if isinstance(refusal, Damage):
        return FileError(f"{label} is damaged: {refusal}; save the model again")
    return FileError(f"{label} {refusal}")


def damaged(reason: str) -> NoReturn:
    raise Damage(reason)


def as_object(value: Any, what: str, keys: set[str], *, others: bool = False) -> dict[str, Any]:
    if not isinstance(value, dict):
        damaged(f"{what} is not an object")
    missing, extra = sorted(keys - value.keys()), sorted(value.keys() - keys)
    if missing:
        damaged(f"{what} lacks {listed(missing)}")
    if extra and not others:
        damaged(f"{what} has {listed(extra)}, which it should not have")
    return value


def as_array(value: Any, what: str, least: int, most: int) -> Sequence[Any]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        expected = f"{least}" if least == most else f"{least} to {most}"
        damaged(f"{what} should be a list of {expected}")
    return value


def as_whole(value: Any, what: str, least: int, most: int | None) -> int:
    if type(value) is not int or value < least or (most is not None and value > most):
        upper = "or more" if most is None else f"to {most}"
        damaged(f"{what} is {quoted(value)} and should be a whole number, {least} {upper}")
    return value


def check_finite(value: Any, what: str) -> None:
    if type(value) not in (int, float) or not abs(value) < LARGEST:
        damaged(f"{what} is {quoted(value)} and should be a number")
