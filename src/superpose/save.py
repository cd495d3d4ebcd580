"""Models as files: one safetensors file, checked through before anything is built, never a pickle.

>>> import tempfile, torch, superpose
>>> model = superpose.KAN([2, 3, 1], seed=0)
>>> with tempfile.TemporaryDirectory() as folder:
...     superpose.save(model, f"{folder}/model.safetensors")
...     again = superpose.load(f"{folder}/model.safetensors")
>>> bool((again(torch.ones(2)) == model(torch.ones(2))).all())
True

A file holds the tensors of ``model.state_dict()`` as they are, and in its header, under the key
``superpose``, one JSON description:

    {"schema": 1, "kind": "KAN", "dtype": "float64", "widths": [2, 3, 1],
     "feature_names": ["x1", "x2"], "target_names": ["y"],
     "layers": [{"kind": "splines", "degree": 3, "grid_size": 5, "base": "silu",
                 "spline_scale": 0.1, "symbolic": [[0, 2, "sin"]]}, ...],
     "functions": {"sin": [...]}}

``symbolic`` lists input, output and function of each symbolic edge, in the order of the rows of
that layer's ``symbolic.constants``. ``functions`` holds a few values of each function in use, so
that a name that means something else on the reading side is noticed. A later schema may add kinds
of models and of layers; this one refuses what it does not know.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import stat
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import torch
from torch import Tensor

from superpose._errors import FileError, OptionError, nearest
from superpose._tables import counted, listed, quoted
from superpose.nn import KAN, KANLayer, library
from superpose.spline import reference

__all__ = ["load", "save", "write_atomically"]

_SCHEMA = 1
_KEY = "superpose"
_MODEL_KIND = "KAN"
_LAYER_KIND = "splines"
_DTYPES = {"float32": torch.float32, "float64": torch.float64}
# safetensors' own names for them, and their sizes in bytes.
_STORED = {"float32": ("F32", 4), "float64": ("F64", 8), "bool": ("BOOL", 1)}
_HEADER_LIMIT = 16 << 20
_DEEPEST = 5
_LAYER_LIMIT = 1000
_NODE_LIMIT = 1 << 20
_GRID_LIMIT = 1 << 24
# Where a symbolic function is compared with the one that was saved; on both sides of 0 and of 1.
_PROBES = (-1.7, -0.6, 0.3, 0.8, 2.1)
_PROBE_TOLERANCE = 1e-4
# Numbers in the description stay below it, so that none is an infinity written out.
_LARGEST = 1e300


def save(model: KAN, path: str | os.PathLike[str]) -> None:
    """Write a model to one safetensors file, whole or not at all.

    >>> save(KAN([1, 1]), "no/such/folder/model.safetensors")
    Traceback (most recent call last):
        ...
    superpose._errors.FileError: 'no/such/folder/model.safetensors' cannot be written, since the \
folder 'no/such/folder' does not exist; create it first

    Parameters
    ----------
    model
        Of dtype float32 or float64, on any device; symbolic edges, removed edges, names and scaling
        are kept, and :func:`load` gives every tensor back bit for bit.
    path
        The file; one that is there already is replaced once the new one is complete.

    Raises
    ------
    OptionError
        If the model is none, or holds what :func:`load` would refuse, such as a NaN.
    FileError
        If the file cannot be written.
    """
    from safetensors.torch import save as serialise

    if not isinstance(model, KAN):
        raise OptionError(f"save writes a superpose.KAN, not a {type(model).__name__}")
    tensors = {
        # Copies, since tensors that share their memory are refused.
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
    description = _describe(model)
    try:
        _check_model(description, tensors)
    except _Damage as damage:
        raise OptionError(f"the model cannot be saved: {damage}") from None
    except _Refusal as refusal:
        raise OptionError(f"the model cannot be saved, since it {refusal}") from None
    # One key only: the order of several would differ from run to run.
    data = serialise(tensors, metadata={_KEY: json.dumps(description, allow_nan=False)})
    if struct.unpack("<Q", data[:8])[0] > _HEADER_LIMIT:
        raise OptionError("the model cannot be saved: its names are too long")
    write_atomically(path, data)


def load(path: str | os.PathLike[str]) -> KAN:
    """Read a model that :func:`save` wrote; it comes back on the CPU.

    Everything is checked before anything is built: the sizes that the header gives against the
    file's own, the names, dtypes and shapes of all tensors against the description, every number.
    No file can make it run code, or take more memory than a few times the size of the file.

    Raises
    ------
    FileError
        If the file is missing, damaged, of another kind, made by a later version, or uses a
        symbolic function that has to be registered first.
    """
    label, header, body = _read(path)
    try:
        description = _parse(_metadata(header))
        expected = _expected(_checked(description))
        _check_entries(header, expected, len(body))
        tensors = {name: _tensor(header[name], body) for name in expected}
        _check_values(description, tensors)
        _check_functions(description)
    except _Refusal as refusal:
        raise _refused(label, refusal) from None
    return _build(description, tensors)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that others see it complete or not at all.

    The bytes go to a temporary file in the same folder, to the disk, and only then to ``path``.

    Raises
    ------
    FileError
        If the file cannot be written; what was there before is left as it is.
    """
    label = quoted(os.fspath(path), 120)
    # A link stays a link, and what it points to is replaced.
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise FileError(f"{label} is a directory; name a file inside it")
    if not target.parent.is_dir():
        raise FileError(
            f"{label} cannot be written, since the folder {quoted(Path(path).parent, 120)} does "
            "not exist; create it first"
        )
    # Not mkstemp, whose files nobody else may read: the file gets the permissions of any new file.
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with _removed_on_failure(temporary), open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, target)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(
            f"{label} cannot be written: {reason}; choose another place, or make room for it"
        ) from None


@contextlib.contextmanager
def _removed_on_failure(temporary: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


class _Refusal(Exception):
    """Why a file or a model is refused: the rest of a sentence whose subject it is."""


class _Damage(_Refusal):
    """What is not as :func:`save` would have written it: a sentence."""


def _refused(label: str, refusal: _Refusal) -> FileError:
    if isinstance(refusal, _Damage):
        return FileError(f"{label} is damaged: {refusal}; save the model again")
    return FileError(f"{label} {refusal}")


# -- the description of a model


def _describe(model: KAN) -> dict[str, Any]:
    layers = model.kan_layers()
    used = {name for layer in layers for _, _, name in _symbolic(layer)}
    return {
        "schema": _SCHEMA,
        "kind": _MODEL_KIND,
        "dtype": str(model.input_center.dtype).removeprefix("torch."),
        "widths": model.widths,
        "feature_names": list(model.feature_names),
        "target_names": list(model.target_names),
        "layers": [
            {
                "kind": _LAYER_KIND,
                "degree": layer.degree,
                "grid_size": layer.grid_size,
                "base": layer.base,
                "spline_scale": layer.spline_scale,
                "symbolic": _symbolic(layer),
            }
            for layer in layers
        ],
        "functions": {name: _probe(name) for name in sorted(used)},
    }


def _symbolic(layer: KANLayer) -> list[list[Any]]:
    edges = layer.symbolic
    return [] if edges is None else [[i, o, edges.names[i, o]] for i, o in edges.edges]


def _probe(name: str) -> list[float | None]:
    values = library()[name].evaluate(torch.tensor(_PROBES, dtype=torch.float64)).tolist()
    return [value if abs(value) < _LARGEST else None for value in values]


def _checked(description: Any) -> dict[str, Any]:
    """Check the description by itself: kinds of values, limits, and counts that belong together."""
    made = _object(description, "its description", {"schema"}, others=True)
    schema = _whole(made["schema"], "its schema", 1, None)
    if schema > _SCHEMA:
        raise _Refusal(
            f"was written by a later superpose (schema {schema}; this one reads {_SCHEMA}); "
            "upgrade superpose"
        )
    if made.get("kind", _MODEL_KIND) != _MODEL_KIND:
        _damaged(f"{quoted(made['kind'])} is no kind of model that schema {schema} has")
    _object(
        made,
        "its description",
        {"schema", "kind", "dtype", "widths", "feature_names", "target_names", "layers"}
        | {"functions"},
    )
    if not isinstance(made["dtype"], str) or made["dtype"] not in _DTYPES:
        raise _Refusal(
            f"has numbers of dtype {quoted(made['dtype'])}; a model's are float32 or float64"
        )
    widths = _array(made["widths"], "its widths", 2, _LAYER_LIMIT + 1)
    for width in widths:
        _whole(width, "a width", 1, _NODE_LIMIT)
    _check_names(made["feature_names"], "feature", widths[0])
    _check_names(made["target_names"], "target", widths[-1])
    layers = _array(made["layers"], "its layers", len(widths) - 1, len(widths) - 1)
    used: set[str] = set()
    for n, layer in enumerate(layers):
        used |= _check_layer(layer, n, widths[n], widths[n + 1])
    functions = _object(made["functions"], "its table of functions", used)
    for name, values in functions.items():
        for value in _array(values, f"function {quoted(name)}", len(_PROBES), len(_PROBES)):
            if value is not None:
                _finite(value, f"a value of function {quoted(name)}")
    return made


def _check_layer(layer: Any, n: int, inputs: int, outputs: int) -> set[str]:
    """Check one layer's description; returns the names of the symbolic functions in it."""
    where = f"layer {n}"
    kind = _object(layer, where, {"kind"}, others=True)["kind"]
    if kind != _LAYER_KIND:
        _damaged(f"{quoted(kind)} is no kind of layer that schema {_SCHEMA} has")
    _object(layer, where, {"kind", "degree", "grid_size", "base", "spline_scale", "symbolic"})
    _whole(layer["degree"], f"the degree of {where}", 0, 5)
    _whole(layer["grid_size"], f"the grid size of {where}", 1, _GRID_LIMIT)
    if layer["base"] not in tuple(reference.BASES):
        _damaged(f"{where} has the base function {quoted(layer['base'])}, which does not exist")
    _finite(layer["spline_scale"], f"the spline scale of {where}")
    seen: set[tuple[int, int]] = set()
    names: set[str] = set()
    for edge in _array(layer["symbolic"], f"the symbolic edges of {where}", 0, inputs * outputs):
        i, o, name = _array(edge, f"a symbolic edge of {where}", 3, 3)
        _whole(i, f"the input of a symbolic edge of {where}", 0, inputs - 1)
        _whole(o, f"the output of a symbolic edge of {where}", 0, outputs - 1)
        if (i, o) in seen:
            _damaged(f"two functions stand on edge {i} -> {o} of {where}")
        if not isinstance(name, str):
            _damaged(f"the function on edge {i} -> {o} of {where} has no name")
        seen.add((i, o))
        names.add(name)
    return names


def _check_names(names: Any, role: str, count: int) -> None:
    listed_names = _array(names, f"its {role} names", count, count)
    for name in listed_names:
        if not isinstance(name, str) or not name:
            _damaged(f"{quoted(name)} is no name of a {role}")
    if len(set(listed_names)) < count:
        twice = next(name for name in listed_names if listed_names.count(name) > 1)
        _damaged(f"two {role}s are named {quoted(twice)}")


@dataclass(frozen=True)
class _Spec:
    dtype: str
    shape: tuple[int, ...]


def _expected(description: Mapping[str, Any]) -> dict[str, _Spec]:
    """Name, dtype and shape of every tensor that a model of this description has."""
    dtype, widths = description["dtype"], description["widths"]
    inputs, outputs = _Spec(dtype, (widths[0],)), _Spec(dtype, (widths[-1],))
    expected = {
        "input_center": inputs,
        "input_scale": inputs,
        "output_center": outputs,
        "output_scale": outputs,
        "scaled": _Spec("bool", ()),
    }
    for n, layer in enumerate(description["layers"]):
        edges, degree, grid_size = widths[n : n + 2], layer["degree"], layer["grid_size"]
        parts = {
            "knots": _Spec(dtype, (edges[0], grid_size + 2 * degree + 1)),
            "mask": _Spec("bool", tuple(edges)),
            "coefficients": _Spec(dtype, (edges[0], grid_size + degree, edges[1])),
            "spline_weight": _Spec(dtype, tuple(edges)),
        }
        if layer["base"] != "none":
            parts["base_weight"] = _Spec(dtype, tuple(edges))
        if layer["symbolic"]:
            parts["symbolic.constants"] = _Spec(dtype, (len(layer["symbolic"]), 4))
        expected |= {f"layers.{n}.{name}": spec for name, spec in parts.items()}
    return expected


def _check_model(description: dict[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """What :func:`load` will check, before the file is written."""
    expected = _expected(_checked(description))
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in expected:
            raise _Refusal(f"holds {quoted(name)}, which is no part of a KAN; remove it first")
        if name not in tensors:
            raise _Refusal(f"lacks its tensor {quoted(name)}")
        dtype = str(tensors[name].dtype).removeprefix("torch.")
        if dtype != expected[name].dtype:
            raise _Refusal(
                f"holds {quoted(name)} in {dtype} instead of {expected[name].dtype}; "
                "use model.to(torch.float64)"
            )
        if tuple(tensors[name].shape) != expected[name].shape:
            raise _Refusal(
                f"holds {quoted(name)} of shape {tuple(tensors[name].shape)} instead of "
                f"{expected[name].shape}"
            )
    _check_values(description, tensors)


def _check_values(description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Check every number: finite, knots in order around a domain, scales positive."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise _Refusal(f"holds a NaN or an infinity in {quoted(name)}; train the model again")
    for name in ("input_scale", "output_scale"):
        if not bool((tensors[name] > 0).all()):
            raise _Refusal(f"holds a scale in {quoted(name)} that is not positive")
    for n, layer in enumerate(description["layers"]):
        knots, degree = tensors[f"layers.{n}.knots"], layer["degree"]
        width = knots[:, -1 - degree] - knots[:, degree]
        if bool((knots.diff(dim=-1) < 0).any()):
            raise _Refusal(f"holds knots of layer {n} that are not in ascending order")
        if not bool(((width > 0) & torch.isfinite(width)).all()):
            raise _Refusal(f"holds knots of layer {n} that span no interval")


def _check_functions(description: Mapping[str, Any]) -> None:
    """Check that the symbolic functions in use are known here and mean what they meant."""
    known = library() if description["functions"] else {}
    missing = sorted(set(description["functions"]) - set(known))
    if missing:
        one = len(missing) == 1
        raise _Refusal(
            f"uses the symbolic function{'' if one else 's'} {listed(missing)}, which "
            f"{'is' if one else 'are'} not known here; register {'it' if one else 'them'} with "
            f"superpose.register(name, expression) before loading{nearest(missing[0], known)}"
        )
    for name, saved in description["functions"].items():
        for value, here in zip(saved, _probe(name), strict=True):
            same = value is here is None
            if value is not None and here is not None:
                same = abs(value - here) <= _PROBE_TOLERANCE * max(1.0, abs(value))
            if not same:
                raise _Refusal(
                    f"was saved with a symbolic function {quoted(name)} that had other values than "
                    "the one registered here; register the one that it was saved with"
                )


def _build(description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> KAN:
    widths, dtype = description["widths"], _DTYPES[description["dtype"]]
    layers = description["layers"]
    # One interval at first: the start that a model draws is thrown away, so it should cost nothing.
    model = KAN(
        widths,
        grid_size=1,
        degree=[layer["degree"] for layer in layers],
        dtype=dtype,
        feature_names=description["feature_names"],
        target_names=description["target_names"],
    )
    generator = torch.Generator().manual_seed(0)
    for n, made in enumerate(layers):
        layer = KANLayer(
            widths[n],
            widths[n + 1],
            grid_size=1,
            degree=made["degree"],
            base=made["base"],
            spline_scale=made["spline_scale"],
            generator=generator,
            dtype=dtype,
        )
        layer.knots = tensors[f"layers.{n}.knots"]
        layer.coefficients = torch.nn.Parameter(tensors[f"layers.{n}.coefficients"])
        constants = (0.0, 0.0, 0.0, 0.0)
        layer.set_symbolic({(i, o): (name, constants) for i, o, name in made["symbolic"]})
        model.layers[n] = layer
    model.load_state_dict(dict(tensors))
    return model


# -- the file around it


def _read(path: str | os.PathLike[str]) -> tuple[str, dict[str, Any], bytearray]:
    """The file's name for messages, its header, and the bytes of its tensors."""
    try:
        label = quoted(os.fspath(path), 120)
    except TypeError:
        raise FileError(f"a model is named by its path, not by a {type(path).__name__}") from None
    try:
        # Asked before it is opened: opening a pipe would wait for ever.
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise FileError(f"{label} is a directory; name the model inside it{_inside(path)}")
        if not stat.S_ISREG(mode):
            raise FileError(f"{label} is not a file that holds anything; name a model")
        with open(path, "rb") as file:
            return label, *_read_open(label, file)
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


def _read_open(label: str, file: BinaryIO) -> tuple[dict[str, Any], bytearray]:
    size = os.fstat(file.fileno()).st_size
    if not size:
        raise FileError(f"{label} is empty; save the model again")
    start = file.read(9)
    length = struct.unpack("<Q", start[:8])[0] if len(start) == 9 else 0
    if start[8:] != b"{" or not 2 <= length <= _HEADER_LIMIT:
        _foreign(label, start)
    if size < 8 + length:
        raise FileError(
            f"{label} is cut short: its header alone has {length} bytes, the whole file {size}; "
            "copy or save the model again"
        )
    text = b"{" + file.read(length - 1)
    body = bytearray(file.read(size - 8 - length))
    try:
        header = _parse(text)
    except _Refusal as refusal:
        raise _refused(label, refusal) from None
    if not isinstance(header, dict):
        _foreign(label, start)
    return header, body


def _foreign(label: str, start: bytes) -> NoReturn:
    if start.startswith((b"PK", b"\x80")):
        # What torch.save and pickle write can run any program when it is opened.
        raise FileError(
            f"{label} is a pickle or an archive and not a safetensors file, and superpose never "
            "opens those, since they can run programs; write models with superpose.save"
        )
    raise FileError(
        f"{label} is not a safetensors file; a model is a file that superpose.save wrote"
    )


def _parse(text: str | bytes) -> Any:
    """JSON without what JSON does not have (NaN, endless numbers) or should not (double keys)."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            _damaged("its header has the same key twice")
        return made

    def no_constant(name: str) -> NoReturn:
        _damaged(f"its header holds {name}")

    try:
        # Decoded here, since json would also take bytes for UTF-16.
        text = text if isinstance(text, str) else text.decode("utf-8")
        parsed = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
        _check_depth(parsed)
    except RecursionError:
        _damaged("its header is nested too deep")
    except ValueError:
        _damaged("its header is not JSON")
    return parsed


def _check_depth(parsed: Any) -> None:
    level = [parsed]
    for _ in range(_DEEPEST + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    if level:
        _damaged("its header is nested too deep")


def _metadata(header: Mapping[str, Any]) -> str:
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or _KEY not in metadata:
        raise _Refusal(
            "is a safetensors file, but not of a superpose model; a model is a file that "
            "superpose.save wrote"
        )
    description = metadata[_KEY]
    if not isinstance(description, str) or len(metadata) > 1:
        _damaged("its metadata is not as superpose.save writes it")
    return description


def _check_entries(header: Mapping[str, Any], expected: Mapping[str, _Spec], size: int) -> None:
    """Check what the header says of each tensor, and that they fill the file without a gap."""
    names = set(header) - {"__metadata__"}
    if names != expected.keys():
        wrong = sorted(names ^ expected.keys())
        _damaged(
            f"tensor {quoted(wrong[0])} "
            f"{'is missing' if wrong[0] in expected else 'does not belong to the model'}"
        )
    spans = []
    for name, spec in expected.items():
        entry = _object(header[name], f"tensor {quoted(name)}", {"dtype", "shape", "data_offsets"})
        stored, bytes_each = _STORED[spec.dtype]
        if entry["dtype"] != stored:
            _damaged(
                f"tensor {quoted(name)} is of dtype {quoted(entry['dtype'])} instead of {stored}"
            )
        shape = _array(entry["shape"], f"the shape of {quoted(name)}", 0, 8)
        if not all(type(length) is int for length in shape) or tuple(shape) != spec.shape:
            _damaged(
                f"tensor {quoted(name)} has shape {quoted(shape)}, and its description makes it "
                f"{list(spec.shape)}"
            )
        offsets = _array(entry["data_offsets"], f"the place of {quoted(name)}", 2, 2)
        begin, end = (_whole(n, f"the place of {quoted(name)}", 0, None) for n in offsets)
        if end - begin != math.prod(spec.shape) * bytes_each:
            _damaged(f"tensor {quoted(name)} has another number of bytes than its shape needs")
        spans.append((begin, end, name))
    place = 0
    for begin, end, name in sorted(spans):
        if begin != place:
            _damaged(f"tensor {quoted(name)} overlaps another or leaves a gap")
        place = end
    if place > size:
        raise _Refusal(
            f"is cut short: its tensors need {place} bytes and {size} are there; copy or save the "
            "model again"
        )
    if place < size:
        _damaged(f"{counted(size - place, 'byte')} follow the last tensor")


def _tensor(entry: Mapping[str, Any], body: bytearray) -> Tensor:
    """One tensor, copied out of the file's bytes; the entry has been checked."""
    begin, end = entry["data_offsets"]
    if entry["dtype"] == "BOOL":
        if body[begin:end].strip(b"\0\1"):
            _damaged("a mask holds what is neither true nor false")
        flat = torch.frombuffer(bytearray(body[begin:end]), dtype=torch.uint8).bool()
    else:
        dtype = torch.float32 if entry["dtype"] == "F32" else torch.float64
        # A copy, since numbers of 8 bytes need not start at a multiple of 8 in a file.
        flat = torch.frombuffer(bytearray(body[begin:end]), dtype=dtype)
    return flat.reshape(entry["shape"])


# -- values of the wrong kind


def _damaged(reason: str) -> NoReturn:
    raise _Damage(reason)


def _object(value: Any, what: str, keys: set[str], *, others: bool = False) -> dict[str, Any]:
    if not isinstance(value, dict):
        _damaged(f"{what} is not an object")
    missing, extra = sorted(keys - value.keys()), sorted(value.keys() - keys)
    if missing:
        _damaged(f"{what} lacks {listed(missing)}")
    if extra and not others:
        _damaged(f"{what} has {listed(extra)}, which schema {_SCHEMA} does not have")
    return value


def _array(value: Any, what: str, least: int, most: int) -> Sequence[Any]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        expected = f"{least}" if least == most else f"{least} to {most}"
        _damaged(f"{what} should be a list of {expected}")
    return value


def _whole(value: Any, what: str, least: int, most: int | None) -> int:
    if type(value) is not int or value < least or (most is not None and value > most):
        upper = "or more" if most is None else f"to {most}"
        _damaged(f"{what} is {quoted(value)} and should be a whole number, {least} {upper}")
    return value


def _finite(value: Any, what: str) -> None:
    if type(value) not in (int, float) or not abs(value) < _LARGEST:
        _damaged(f"{what} is {quoted(value)} and should be a number")
