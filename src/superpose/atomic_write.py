"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from superpose.errors import FileError
from superpose.messages import quoted


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that others see it complete or not at all.

    The bytes go to a temporary file in the same folder, to the disk, and only then to ``path``.

    Raises
    ------
    FileError
        If the file cannot be written; what was there before is left as it is.
    """
    label = path_label(path, "a file")
    try:
        # A link stays a link, and what it points to is replaced.
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise FileError(f"{label} is a directory; name a file inside it")
        if not target.parent.is_dir():
            raise FileError(
                f"{label} cannot be written, since the folder {quoted(Path(path).parent, 120)} "
                "does not exist; create it first"
            )
        # Not mkstemp, whose files nobody else may read: it gets the permissions of any new file.
        temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
        with _removed_on_failure(temporary), open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, target)
    except FileError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"{label} cannot be written: {reason}; choose another place, or make room for it") from None


def path_label(path: str | os.PathLike[str], what: str) -> str:
    try:
        return quoted(os.fspath(path), 120)
    except TypeError:
        raise FileError(f"{what} is named by its path, not by a {type(path).__name__}") from None


@contextlib.contextmanager
def _removed_on_failure(temporary: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
