"""The bytes of a file, decompressed, as a stream: a table of many rows is never held as text."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from superpose.errors import DataError, FileError
from superpose.messages import nearest, quoted

_GZIP, BYTE_ORDER_MARK = b"\x1f\x8b", b"\xef\xbb\xbf"
# Bytes that are read at once; a round number.
_BLOCK = 1 << 20


class Scan(NamedTuple):
    """What one pass over a text shows.

    Attributes:
        lines: no fewer than it has.
        quotes: whether it holds a quotation mark.
        size: its bytes.
    """

    lines: int
    size: int
    quotes: bool


@dataclass(frozen=True)
class Source:
    """A file that can be read as often as it is wanted.

    Attributes:
        label: its name, for messages.
        open: a stream of its bytes as they are on the disk.
        compressed: whether that is gzip.
    """

    label: str
    open: Callable[[], BinaryIO]
    compressed: bool = False

    @classmethod
    def of_path(cls, path: str | os.PathLike[str]) -> Source:
        """The file of that name.

        Raises:
            FileError: if it cannot be read.
            DataError: if ``path`` is no path.
        """
        try:
            label = quoted(os.fspath(path), 120)
        except TypeError:
            raise DataError(
                f"a table is named by its path, not by a {type(path).__name__}; "
                "for a data frame or arrays use Dataset.from_frame or Dataset.from_arrays"
            ) from None
        try:
            with open(path, "rb") as file:
                compressed = file.read(len(_GZIP)) == _GZIP
        except FileNotFoundError:
            raise FileError(f"{label} does not exist{_similar_file(Path(path))}") from None
        except IsADirectoryError:
            raise FileError(f"{label} is a directory; name the table inside it") from None
        except PermissionError:
            raise FileError(f"{label} may not be read; change its permissions") from None
        except (OSError, ValueError) as error:
            raise FileError(f"{label} cannot be read: {error}; check the path") from None
        return cls(label, lambda: open(path, "rb"), compressed)

    @classmethod
    def of_bytes(cls, content: bytes, label: str = "the text") -> Source:
        """Bytes as if they were a file.

        >>> Source.of_bytes(b"x,y").head(2)
        b'x,'
        """
        return cls(label, lambda: io.BytesIO(content))

    @contextlib.contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """The bytes, decompressed."""
        with self.open() as raw:
            if self.compressed:
                with gzip.GzipFile(fileobj=raw) as unpacked, io.BufferedReader(unpacked, _BLOCK) as stream:
                    yield stream
            else:
                yield raw

    @contextlib.contextmanager
    def text(self) -> Iterator[BinaryIO]:
        """The bytes behind a byte order mark, if there is one."""
        with self.stream() as stream:
            if stream.read(len(BYTE_ORDER_MARK)) != BYTE_ORDER_MARK:
                stream.seek(0)
            yield stream

    def head(self, count: int) -> bytes:
        """The first bytes."""
        return b"".join(self._blocks(count))

    def whole(self) -> bytes:
        """All bytes behind a byte order mark."""
        return b"".join(self._blocks()).removeprefix(BYTE_ORDER_MARK)

    def scan(self) -> Scan:
        """Look at every byte once.

        Raises:
            FileError: if the compressed file is damaged.
        """
        size = feeds = returns = 0
        quotes = False
        for block in self._blocks():
            size += len(block)
            feeds += block.count(b"\n")
            returns += block.count(b"\r")
            quotes = quotes or b'"' in block
        return Scan(max(feeds, returns) + 1, size, quotes)

    def blank(self) -> bool:
        """Whether there is nothing but white space."""
        return all(block.isspace() for block in self._blocks())

    def _blocks(self, most: int | None = None) -> Iterator[bytes]:
        try:
            with self.stream() as stream:
                while block := stream.read(_BLOCK if most is None else min(most, _BLOCK)):
                    yield block
                    if most is not None:
                        most -= len(block)
        except (OSError, EOFError, zlib.error) as error:
            if self.compressed:
                raise FileError(f"{self.label} is a damaged gzip file; fetch or make it again") from None
            raise FileError(f"{self.label} cannot be read: {error}; check the path") from None


def _similar_file(path: Path) -> str:
    try:
        hint = nearest(path.name, os.listdir(path.parent))
    except OSError:
        return "; its folder does not exist either, check the path"
    return hint or "; check the path"
