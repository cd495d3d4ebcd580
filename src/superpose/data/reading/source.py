"""The bytes of a file, unpacked, as a stream: a table of many rows is never held as text."""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import os
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

from superpose.errors import DataError, FileError
from superpose.messages import listed, nearest, quoted

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Bytes that are read at once; a round number.
_BLOCK = 1 << 20
# What a packed file may grow to: that many bytes in any case, and beyond them that many times its size. Round numbers:
# tables of numbers shrink to a half or a tenth, files that are made to fill a disk to a thousandth.
_FREE, _RATIO = 1 << 28, 100
# Packed files by their first bytes.
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"PK\x03\x04": "zip"}
_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)
_STANDARD_INPUT = "standard input"


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
        packing: ``gzip``, ``bzip2``, ``xz``, ``zip``, or nothing.
        path: None for bytes that are in no file.
    """

    label: str
    open: Callable[[], BinaryIO]
    packing: str = ""
    path: Path | None = None

    @classmethod
    def of_path(cls, path: str | os.PathLike[str]) -> Source:
        """The file of that name; ``-`` is standard input, which is read to its end.

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
        if os.fspath(path) == "-":
            return cls.of_bytes(_standard_input(), _STANDARD_INPUT)
        try:
            with open(path, "rb") as file:
                first = file.read(8)
        except FileNotFoundError:
            raise FileError(f"{label} does not exist{_similar_file(Path(path))}") from None
        except IsADirectoryError:
            raise FileError(f"{label} is a directory; name the table inside it") from None
        except PermissionError:
            raise FileError(f"{label} may not be read; change its permissions") from None
        except (OSError, ValueError) as error:
            raise FileError(f"{label} cannot be read: {error}; check the path") from None
        return cls(label, lambda: open(path, "rb"), path=Path(path))._unpacked(first)

    @classmethod
    def of_bytes(cls, content: bytes, label: str = "the text") -> Source:
        """Bytes as if they were a file.

        >>> Source.of_bytes(b"x,y").head(2)
        b'x,'
        """
        return cls.of_plain(content, label)._unpacked(content[:8])

    @classmethod
    def of_plain(cls, content: bytes, label: str) -> Source:
        """Bytes that are not packed, whatever they begin with."""
        return cls(label, lambda: io.BytesIO(content))

    def _unpacked(self, first: bytes) -> Source:
        packing = next((name for bytes_, name in _PACKED.items() if first.startswith(bytes_)), "")
        if packing == "zip" and not self._is_plain_zip():
            packing = ""
        return Source(self.label, self.open, packing, self.path)

    def _is_plain_zip(self) -> bool:
        """Whether an archive is no document of an office program; one of several files is refused."""
        try:
            with self.open() as raw, zipfile.ZipFile(raw) as archive:
                names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
                secret = any(entry.flag_bits & 1 for entry in archive.infolist())
        except (*_DAMAGED, ValueError):
            raise FileError(f"{self.label} is a damaged archive (zip) or workbook; fetch or make it again") from None
        if "[Content_Types].xml" in names or "mimetype" in names:
            return False
        # What a Mac adds to an archive.
        names = [name for name in names if not name.startswith("__MACOSX/")]
        if len(names) != 1:
            what = f"holds {len(names)} files, {listed(names, 4)}" if names else "holds no file"
            raise FileError(f"{self.label} is an archive that {what}; unpack it and name the table")
        if secret:
            raise FileError(f"{self.label} is an archive with a password; unpack it and name the table")
        return True

    @contextlib.contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """The bytes, unpacked."""
        with self.open() as raw, contextlib.ExitStack() as stack:
            if not self.packing:
                yield raw
                return
            packed_size = raw.seek(0, io.SEEK_END)
            raw.seek(0)
            limit = max(_FREE, _RATIO * packed_size)
            inner = stack.enter_context(_opened(self.packing, raw))
            limited: Any = _Limited(inner, limit, self.label)
            yield stack.enter_context(io.BufferedReader(limited, _BLOCK))

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
            FileError: if the packed file is damaged.
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
        except FileError:
            raise
        except _DAMAGED as error:
            if self.packing:
                raise FileError(f"{self.label} is a damaged {self.packing} file; fetch or make it again") from None
            raise FileError(f"{self.label} cannot be read: {error}; check the path") from None


def _opened(packing: str, raw: BinaryIO) -> Any:
    if packing == "gzip":
        return gzip.GzipFile(fileobj=raw)
    if packing == "bzip2":
        return bz2.BZ2File(raw)
    if packing == "xz":
        return lzma.LZMAFile(raw)
    archive = zipfile.ZipFile(raw)
    names = [entry for entry in archive.infolist() if not entry.is_dir() and not entry.filename.startswith("__MACOSX/")]
    return archive.open(names[0])


class _Limited(io.RawIOBase):
    """The bytes of a stream, with an error once there are too many of them."""

    def __init__(self, stream: IO[bytes], limit: int, label: str) -> None:
        self._stream, self._limit, self._label, self._read = stream, limit, label, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        self._read = self._stream.seek(place, whence)
        return self._read

    def tell(self) -> int:
        return self._read

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        self._read += len(block)
        if self._read > self._limit:
            raise FileError(
                f"{self._label} unpacks to more than {self._limit >> 20} MiB, over {_RATIO} times its size; if that "
                "is what it should be, unpack it first"
            )
        return len(block)


@functools.cache
def _standard_input() -> bytes:
    # Kept, since nobody can read it twice and a file is read as often as it is wanted.
    if sys.stdin is None or sys.stdin.isatty():
        raise FileError("the table - is read from standard input, which is a terminal; pipe a table in, or name a file")
    return sys.stdin.buffer.read()


def _similar_file(path: Path) -> str:
    try:
        hint = nearest(path.name, os.listdir(path.parent))
    except OSError:
        return "; its folder does not exist either, check the path"
    return hint or "; check the path"
