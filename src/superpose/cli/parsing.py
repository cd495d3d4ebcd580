"""What stands on the command line, from text to values; each mistake is one sentence.

>>> shape("5,1")
(5, 1)
>>> whole("--grid", "5.5", 1, 1000)
Traceback (most recent call last):
    ...
superpose.errors.OptionError: --grid is '5.5' and must be a whole number from 1 to 1000
"""

from __future__ import annotations

import csv
import math
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from superpose.errors import FileError, OptionError, SuperposeError
from superpose.messages import nearest

_MAX_NODES = 1000
_MAX_LAYERS = 20
_MAX_JOBS = 1000


def quoted(text: str) -> str:
    """What was typed as it may stand in a message, however long it is.

    >>> quoted("5,2"), quoted("9" * 500)
    ("'5,2'", "'9999999999999999999999999999999999999...'")
    """
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def whole(option: str, text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,30}", text.strip()) or not least <= int(text) <= most:
        raise OptionError(f"{option} is {quoted(text)} and must be a whole number from {least} to {most}")
    return int(text)


def jobs(text: str) -> int:
    """How many jobs run at a time, -1 for one on each core.

    >>> jobs("2"), jobs("-1")
    (2, -1)
    """
    return -1 if text.strip() == "-1" else whole("--jobs", text, 1, _MAX_JOBS)


def seconds(option: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise OptionError(f"{option} is {quoted(text)} and must be a number of seconds above 0")
    return value


def share(option: str, text: str) -> float:
    """A share of the rows, from 0 up to below 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise OptionError(f"{option} is {quoted(text)} and must be a share of the rows, from 0 up to below 1")
    return value


def one_of(option: str, text: str, known: Sequence[str]) -> str:
    if text not in known:
        choices = f"{', '.join(known)}{nearest(text, known)}"
        raise OptionError(f"{option} is {quoted(text)} and must be one of {choices}")
    return text


Width = int | tuple[int, tuple[int, ...]]


def shape(text: str) -> str | tuple[Width, ...]:
    """Widths after the inputs: ``auto``, or layer by layer; products of sums are written by how many they multiply.

    >>> shape("2p3,1"), shape("4+p2+p3,p2")
    (((0, (3, 3)), 1), ((4, (2, 3)), (0, (2,))))
    """
    example = "write auto, or nodes layer by layer: 5,1 is 5 hidden nodes and 1 output, 3+p2,1 has 3 sums and a product"
    if text.strip() == "auto":
        return "auto"
    layers = [_layer(part) for part in text.split(",")]
    if None in layers:
        raise OptionError(f"--shape {quoted(text)} is no shape; {example} of 2 sums")
    shape = [layer for layer in layers if layer is not None]
    counts = [sums + len(products) for sums, products in shape]
    if (
        min(counts) < 1
        or max(sums + sum(products) for sums, products in shape) > _MAX_NODES
        or len(shape) > _MAX_LAYERS
    ):
        raise OptionError(
            f"--shape {quoted(text)} must have 1 to {_MAX_NODES} nodes in each of at most "
            f"{_MAX_LAYERS} layers; {example} of 2 sums"
        )
    if counts[-1] != 1:
        raise OptionError(
            f"--shape {quoted(text)} ends in {counts[-1]} nodes, but there is one target, so it must "
            "end in 1 (or in a product such as p2); 5,1 is 5 hidden nodes and 1 output"
        )
    return tuple((sums, products) if products else sums for sums, products in shape)


def _layer(text: str) -> tuple[int, tuple[int, ...]] | None:
    """The sums of a layer, and the arities of its products; None for what is no layer."""
    first, *others = (part.strip() for part in text.split("+"))
    sums = 0
    if re.fullmatch("[0-9]{1,9}", first):
        sums = int(first)
    else:
        others = [first, *others]
    products: list[int] = []
    for part in others:
        found = re.fullmatch("([0-9]{0,4})p([0-9]{1,4})", part)
        if found is None or int(found[2]) < 2 or found[1] == "0":
            return None
        products += [int(found[2])] * min(int(found[1] or 1), _MAX_NODES + 1)
    return sums, tuple(products)


def names(option: str, values: list[str] | None) -> list[str] | None:
    """Columns from ``A,B``, from ``'"A,B",C'`` as in a CSV file, or from an option given often."""
    if not values:
        return None
    split = next(csv.reader(values, skipinitialspace=True), []) if len(values) == 1 else values
    names = [name.strip() for name in split]
    if not names or not all(names):
        raise OptionError(f"{option} {quoted(','.join(values))} has an empty name in it; write A,B")
    return names


def words(option: str, text: str, known: Sequence[str] = ()) -> tuple[str, ...]:
    """Names from ``A,B``, each once, and each one of those known if there are any to compare with.

    >>> words("--peer", "gp, rbf", ("gp", "mlp", "rbf"))
    ('gp', 'rbf')
    """
    found = tuple(part.strip() for part in text.split(","))
    if not all(found):
        raise OptionError(f"{option} {quoted(text)} has an empty name in it; write A,B")
    if len(set(found)) < len(found):
        raise OptionError(f"{option} {quoted(text)} has a name twice; write each once")
    if known:
        for name in found:
            one_of(option, name, known)
    return found


def default_folder(table: str, target: str) -> str:
    kinds = "csv|tsv|txt|dat|parquet|xlsx|xlsm|json|jsonl|ndjson|feather|arrow|db|sqlite|sqlite3|duckdb"
    stem = "table" if table == "-" else Path(table).name
    stem = re.sub(rf"(\.({kinds}))?(\.(gz|bz2|xz|zip))?$", "", stem, flags=re.IGNORECASE)
    return os.path.join("out", re.sub(r"[^\w.+-]+", "_", f"{stem}-{target}").strip(".") or "fit")


def folder(option: str, name: str | None, default: str) -> Path:
    """The folder that was named, or that of default, into which files can be written.

    Raises:
        OptionError: if it was named by nothing, or is no folder.
        FileError: if nothing can be written there.
    """
    if name is not None and not name.strip():
        raise OptionError(f"{option} is empty; name a folder to write into, or leave it out")
    chosen = Path(default if name is None else name)
    check_folder(option, chosen)
    return chosen


def check_folder(option: str, folder: Path) -> None:
    """Raise unless files can be written into this folder, or it can be made; makes nothing."""
    label = f"{option} {quoted(str(folder))}"
    try:
        above = folder.absolute()
        while not _exists(above):
            above = above.parent
        if not above.is_dir():
            if above == folder.absolute():
                raise OptionError(f"{label} is a file; name a folder to write into")
            raise OptionError(f"{label} lies below a file; choose another folder")
        _try_writing(above)
    except SuperposeError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"{label} cannot be written into: {reason}; choose another") from None


def _exists(path: Path) -> bool:
    # Path.exists would take a name that no system accepts for a file that is not there yet.
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def check_file(option: str, name: str, suffixes: Sequence[str], *inputs: str) -> None:
    """Raise unless a file of this name can be written and is none of the inputs."""
    label = f"{option} {quoted(name)}"
    if not name.lower().endswith(tuple(suffixes)):
        raise OptionError(f"{label} must end in one of {', '.join(suffixes)}")
    path = Path(name)
    try:
        if path.is_dir():
            raise OptionError(f"{label} is a folder; name a file inside it")
        for other in inputs:
            if path.exists() and os.path.exists(other) and path.samefile(other):
                raise OptionError(f"{label} is also what is read; choose another name")
        if not path.parent.is_dir():
            raise OptionError(f"{label} lies in a folder that does not exist; create it first")
        _try_writing(path.parent)
    except SuperposeError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"{label} cannot be written: {reason}; choose another") from None


def _try_writing(folder: Path) -> None:
    # A try tells more than permissions do: a disk may be read-only, a user may be root.
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".superpose-"):
        pass
