"""The safetensors file around a model: its header and its bytes, checked against each other."""

from __future__ import annotations

import json
import math
import os
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import torch
from torch import Tensor

from superpose.atomic_write import path_label
from superpose.errors import FileError
from superpose.files.schema import Spec
from superpose.files.values import Refusal, as_array, as_object, as_whole, damaged, refused
from superpose.messages import counted, nearest, quoted

KEY = "superpose"
HEADER_LIMIT = 16 << 20
# safetensors' own names for dtypes, and their sizes in bytes.
_STORED = {"float32": ("F32", 4), "float64": ("F64", 8), "bool": ("BOOL", 1)}
_DEEPEST = 5


def read(path: str | os.PathLike[str]) -> tuple[str, dict[str, Any], bytearray]:
    """The file's name for messages, its header, and the bytes of its tensors."""
    label = path_label(path, "a model")
    try:
        # Asked before it is opened: opening a pipe would wait for ever.
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise FileError(f"{label} is a directory; name the model inside it{_inside(path)}")
        if not stat.S_ISREG(mode):
            raise FileError(f"{label} is not a file that holds anything; name a model")
        with open(path, "rb") as file:
            return label, *read_open(label, file, os.fstat(file.fileno()).st_size)
    except FileError:
        raise
    except FileNotFoundError:
        raise FileError(f"{label} does not exist{_similar(Path(path))}") from None
    except PermissionError:
        raise FileError(f"{label} may not be read; change its permissions") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"{label} cannot be read: {reason}; check the path") from None


def _inside(path: str | os.PathLike[str]) -> str:
    found = sorted(name for name in os.listdir(path) if name.endswith(".safetensors"))
    return f", such as {quoted(found[0])}" if found else ""


def _similar(path: Path) -> str:
    try:
        hint = nearest(path.name, os.listdir(path.parent))
    except OSError:
        return "; its folder does not exist either, check the path"
    return hint or "; check the path"


def read_open(label: str, file: BinaryIO, size: int) -> tuple[dict[str, Any], bytearray]:
    """The header of an open file of so many bytes, and the bytes of its tensors."""
    if not size:
        raise FileError(f"{label} is empty; save the model again")
    start = file.read(9)
    length = struct.unpack("<Q", start[:8])[0] if len(start) == 9 else 0
    if start[8:] != b"{" or not 2 <= length <= HEADER_LIMIT:
        _foreign(label, start)
    if size < 8 + length:
        raise FileError(
            f"{label} is cut short: its header alone has {length} bytes, the whole file {size}; "
            "copy or save the model again"
        )
    text = b"{" + file.read(length - 1)
    body = bytearray(file.read(size - 8 - length))
    try:
        header = parse(text)
    except Refusal as refusal:
        raise refused(label, refusal) from None
    return header, body


def _foreign(label: str, start: bytes) -> NoReturn:
    if start.startswith((b"PK", b"\x80")):
        # What torch.save and pickle write can run any program when it is opened.
        raise FileError(
            f"{label} is a pickle or an archive and not a safetensors file, and superpose never "
            "opens those, since they can run programs; write models with superpose.save"
        )
    raise FileError(f"{label} is not a safetensors file; a model is a file that superpose.save wrote")


def parse(text: str | bytes, deepest: int = _DEEPEST) -> Any:
    """JSON without what JSON does not have (NaN, endless numbers) or should not (double keys), nested no deeper."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            damaged("its header has the same key twice")
        return made

    def no_constant(name: str) -> NoReturn:
        damaged(f"its header holds {name}")

    try:
        # Decoded here, since json would also take bytes for UTF-16.
        text = text if isinstance(text, str) else text.decode("utf-8")
        parsed = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
        _check_depth(parsed, deepest)
    except RecursionError:
        damaged("its header is nested too deep")
    except ValueError:
        damaged("its header is not JSON")
    return parsed


def _check_depth(parsed: Any, deepest: int) -> None:
    level = [parsed]
    for _ in range(deepest + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    if level:
        damaged("its header is nested too deep")


def description_of(header: Mapping[str, Any]) -> str:
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or KEY not in metadata:
        raise Refusal(
            "is a safetensors file, but not of a superpose model; a model is a file that superpose.save wrote"
        )
    description = metadata[KEY]
    if not isinstance(description, str) or len(metadata) > 1:
        damaged("its metadata is not as superpose.save writes it")
    return description


def check_entries(header: Mapping[str, Any], expected: Mapping[str, Spec], size: int) -> None:
    """Check what the header says of each tensor, and that they fill the file without a gap."""
    names = set(header) - {"__metadata__"}
    if names != expected.keys():
        wrong = sorted(names ^ expected.keys())
        damaged(f"tensor {quoted(wrong[0])} {'is missing' if wrong[0] in expected else 'does not belong to the model'}")
    spans = []
    for name, spec in expected.items():
        entry = as_object(header[name], f"tensor {quoted(name)}", {"dtype", "shape", "data_offsets"})
        stored, bytes_each = _STORED[spec.dtype]
        if entry["dtype"] != stored:
            damaged(f"tensor {quoted(name)} is of dtype {quoted(entry['dtype'])} instead of {stored}")
        shape = as_array(entry["shape"], f"the shape of {quoted(name)}", 0, 8)
        if not all(type(length) is int for length in shape) or tuple(shape) != spec.shape:
            damaged(f"tensor {quoted(name)} has shape {quoted(shape)}, and its description makes it {list(spec.shape)}")
        offsets = as_array(entry["data_offsets"], f"the place of {quoted(name)}", 2, 2)
        begin, end = (as_whole(n, f"the place of {quoted(name)}", 0, None) for n in offsets)
        if end - begin != math.prod(spec.shape) * bytes_each:
            damaged(f"tensor {quoted(name)} has another number of bytes than its shape needs")
        spans.append((begin, end, name))
    place = 0
    for begin, end, name in sorted(spans):
        if begin != place:
            damaged(f"tensor {quoted(name)} overlaps another or leaves a gap")
        place = end
    if place > size:
        raise Refusal(
            f"is cut short: its tensors need {place} bytes and {size} are there; copy or save the model again"
        )
    if place < size:
        damaged(f"{counted(size - place, 'byte')} follow the last tensor")


def tensor(entry: Mapping[str, Any], body: bytearray) -> Tensor:
    """One tensor, copied out of the file's bytes; the entry has been checked."""
    begin, end = entry["data_offsets"]
    if entry["dtype"] == "BOOL":
        if body[begin:end].strip(b"\0\1"):
            damaged("a mask holds what is neither true nor false")
        flat = torch.frombuffer(bytearray(body[begin:end]), dtype=torch.uint8).bool()
    else:
        dtype = torch.float32 if entry["dtype"] == "F32" else torch.float64
        # A copy, since numbers of 8 bytes need not start at a multiple of 8 in a file.
        flat = torch.frombuffer(bytearray(body[begin:end]), dtype=dtype)
    return flat.reshape(entry["shape"])
