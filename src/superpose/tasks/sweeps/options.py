"""What a sweep varies: lists of options, and every combination of them."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, TypedDict

from superpose.checks import check_seed, is_whole
from superpose.data import RowOptions
from superpose.data.reading.options import TableOptions, check_options
from superpose.errors import OptionError
from superpose.messages import nearest, quoted

PROGRESS = ("rich", "tqdm")


class SweepOptions(TypedDict, total=False):
    """Further options of :func:`superpose.sweep`.

    Attributes:
        folder: where each finished fit is written; None for nowhere. It is made when it is needed.
        resume: whether fits that the folder holds are read instead of made again, True by default. Failed fits are
            always tried again.
        backend: name of a joblib backend, such as ``"loky"`` (default), ``"dask"`` or ``"ray"``; None for loky, or for
            what ``joblib.parallel_config`` says.
        features: the columns to learn from; all that can be learnt from if None.
        row_options: see :class:`~superpose.data.RowOptions`; for tables that are read.
        keep_models: whether the models are kept too, True by default.
        listener: called with a short sentence after each fit.
        progress: ``"rich"`` or ``"tqdm"`` for a bar, False for none; by default a bar of rich on a terminal and one of
            ``tqdm.auto`` in a notebook.
    """

    folder: str | os.PathLike[str] | None
    resume: bool
    backend: str | None
    features: Sequence[str] | None
    row_options: RowOptions | TableOptions | None
    keep_models: bool
    listener: Callable[[str], None] | None
    progress: bool | str | None


def check_names(options: SweepOptions) -> None:
    """Raise :class:`OptionError` for an option that :func:`superpose.sweep` does not have."""
    own = ("tables", "target", "vary", "seeds", "task", "n_jobs")
    for name in options:
        if name not in SweepOptions.__annotations__:
            known = [*SweepOptions.__annotations__, *own]
            raise OptionError(
                f"sweep has no option {name!r}{nearest(name, known)}; options of the fits are given in vary, those of "
                "the tables in row_options"
            )
    rows: Any = options.get("row_options") or {}
    check_options("row_options", rows)
    progress = options.get("progress")
    if progress not in (None, True, False, *PROGRESS):
        raise OptionError(f"progress must be one of {', '.join(PROGRESS)}, or False for none, not {quoted(progress)}")


def expanded(vary: Any) -> list[dict[str, Any]]:
    """The options of each fit of one table and seed.

    Args:
        vary: for each option its values, of which every combination is made: a list or a range holds several values,
            anything else is one. Or a list of mappings, each the options of one fit. None for the default options.

    Raises:
        OptionError: if it is neither, or empty.

    >>> expanded({"hidden": [(3,), (5,)], "grid_size": 5})
    [{'hidden': (3,), 'grid_size': 5}, {'hidden': (5,), 'grid_size': 5}]
    """
    if vary is None:
        return [{}]
    if isinstance(vary, Mapping):
        lists = [list(value) if isinstance(value, list | range) else [value] for value in vary.values()]
        for name, values in zip(vary, lists, strict=True):
            if not values:
                raise OptionError(f"vary has no value for {quoted(name)}; give at least one, or leave it out")
        return [dict(zip(vary, values, strict=True)) for values in itertools.product(*lists)]
    if isinstance(vary, list | tuple) and vary and all(isinstance(one, Mapping) for one in vary):
        return [dict(one) for one in vary]
    raise OptionError(
        "vary is a mapping from options to lists of values, such as {'hidden': [(3,), (5,)]}, or a list of mappings, "
        f"one for each fit, not {quoted(vary)}"
    )


def checked_seeds(seeds: Any) -> list[int]:
    """The seeds, each once.

    Raises:
        OptionError: if one is no seed, or there is none, or one twice.
    """
    if is_whole(seeds):
        seeds = [seeds]
    if isinstance(seeds, str | bytes) or not isinstance(seeds, Sequence | range) or not len(seeds):
        raise OptionError(f"seeds is a list of whole numbers such as range(3), not {quoted(seeds)}")
    found = [check_seed(seed) for seed in seeds]
    if len(set(found)) < len(found):
        raise OptionError(f"seeds {quoted(found)} has a seed twice; give each once")
    return found


def plain(name: str, value: Any) -> Any:
    """An option as JSON: its text says which fit was made.

    Raises:
        OptionError: for what has no such text, such as a function.

    >>> plain("hidden", (3, (1, [2]))), plain("grid_size", range(2))
    ([3, [1, [2]]], [0, 1])
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Enum):
        return plain(name, value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {one.name: plain(name, getattr(value, one.name)) for one in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {str(key): plain(name, one) for key, one in value.items()}
    if isinstance(value, list | tuple | range | set | frozenset):
        parts = [plain(name, one) for one in value]
        return sorted(parts, key=json.dumps) if isinstance(value, set | frozenset) else parts
    if is_whole(value):
        return int(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise OptionError(
            f"{quoted(name)} cannot be varied with a {type(value).__name__}, since no text says which one it is; "
            "a sweep varies numbers, texts and lists of them"
        ) from None
    return number
