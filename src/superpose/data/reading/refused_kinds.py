"""Files that are no tables, or tables that are not read here: each is named, with what to do."""

from __future__ import annotations

import re
from typing import NamedTuple

_EXPORT = "save the table as CSV (UTF-8), xlsx or Parquet"


class Kind(NamedTuple):
    """A kind of file that is refused.

    Attributes:
        name: what one is called.
        begins: its first bytes, behind white space and a byte order mark for kinds of text.
        remedy: what to do.
    """

    name: str
    begins: re.Pattern[bytes]
    remedy: str = _EXPORT


def _binary(mark: bytes) -> re.Pattern[bytes]:
    return re.compile(mark, re.DOTALL)


def _text(mark: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(?:\xef\xbb\xbf)?\s*" + mark, re.IGNORECASE)


_KINDS = (
    Kind("a page in HTML", _text(rb"<(?:!doctype html|html|head|body|table|meta)\b"),
         f"{_EXPORT} in the program that wrote it, or fetch the file itself if this is a page in its place"),
    Kind("XML", _text(rb"<\?xml\b")),
    Kind("a pointer of Git LFS in the place of a file", _text(rb"version https://git-lfs\.github\.com/spec/"),
         "fetch the file with git lfs pull"),
    Kind("an ARFF file of Weka", _text(rb"(?:%[^\n]*\n\s*)*@relation\b"), f"{_EXPORT}, with the names in a first line"),
    Kind("a PDF document", _binary(rb"%PDF-")),
    Kind("an array of NumPy", _binary(rb"\x93NUMPY"),
         "give the array to Dataset.from_arrays, or save it with names as CSV"),
    Kind("an HDF5 or MATLAB 7.3 file", _binary(rb"\x89HDF\r\n\x1a\n|MATLAB 7\.3")),
    Kind("a MATLAB file", _binary(rb"MATLAB 5\.0 MAT-file")),
    Kind("a NetCDF file", _binary(rb"CDF[\x01\x02\x05]")),
    Kind("a FITS file", _binary(rb"SIMPLE  =")),
    Kind("a file of Stata", _binary(rb"<stata_dta>|[\x6e-\x73][\x01\x02]\x01\x00")),
    Kind("a file of SPSS", _binary(rb"\$FL[23]@\(#\)")),
    Kind("a file of SAS", _binary(rb"\x00{12}\xc2\xea\x81\x60")),
    Kind("data of R", _binary(rb"RD[AX][23]\n|X\n\x00\x00\x00[\x02\x03]")),
    Kind("an Avro file", _binary(rb"Obj\x01")),
    # A pickle is a program; nobody but its author should run it.
    Kind("a pickle of Python", _binary(rb"\x80[\x02-\x05](?:\x95|[c}\]])")),
    Kind("an archive of 7-Zip", _binary(rb"7z\xbc\xaf\x27\x1c"), "unpack it and name the table"),
    Kind("an archive of RAR", _binary(rb"Rar!\x1a\x07"), "unpack it and name the table"),
    Kind("a file packed with Zstandard", _binary(rb"\x28\xb5\x2f\xfd"), "unpack it, or pack it with gzip"),
    Kind("an archive of tar", _binary(rb".{257}ustar"), "unpack it and name the table"),
    Kind("an image", _binary(rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a"), "give the table that it shows"),
)  # fmt: skip


def other_kind(first: bytes) -> Kind | None:
    """The kind of file that begins so, of those that are not read.

    >>> kind = other_kind(b"<!DOCTYPE html><html>")
    >>> kind.name, other_kind(b"x,y") is None
    ('a page in HTML', True)
    """
    return next((kind for kind in _KINDS if kind.begins.match(first)), None)
