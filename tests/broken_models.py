"""Files that look like models and are none: each maker writes one, the way it would come about."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

import superpose
from superpose.files import save

Maker = Callable[[Path], None]
TARGET = "f"
FEATURES = ("x", "y")


def good_model(dtype: torch.dtype = torch.float64, frozen: dict[tuple[int, int], str] | None = None) -> superpose.KAN:
    """A small model with removed and symbolic edges, for a table of x and y."""
    model = superpose.KAN([2, 3, 1], grid_size=4, seed=0, dtype=dtype, feature_names=FEATURES, target_names=[TARGET])
    model.layer(0).set_symbolic({(0, 1): ("sin", (1.5, 0.25, -2.0, 0.5))}, frozen)
    model.layer(1).mask[2, 0] = False
    return model


def parts_of(data: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Header, description and tensors of a file's bytes."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["superpose"]), data[8 + length :]


def without_later_parts(description: dict[str, Any], schema: int) -> None:
    """Take out of a description what files of this schema did not have."""
    for layer in description["layers"]:
        if schema < 3:
            assert layer.pop("products") == []
        if schema < 4:
            layer["symbolic"] = [edge[:3] for edge in layer["symbolic"]]


def joined(header: Any, body: bytes) -> bytes:
    """The bytes of a file with this header (an object, or its text) and these tensors."""
    text = header if isinstance(header, str) else json.dumps(header)
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded + body


def old_file(path: Path, *, change: Callable[[dict[str, torch.Tensor]], None] | None = None) -> None:
    """The good model as schema 1 had it: base weights apart, and each spline with a factor of its own."""
    model = good_model()
    save(model, path)
    _, description, _ = parts_of(path.read_bytes())
    description["schema"] = 1
    without_later_parts(description, 1)
    tensors = model.state_dict()
    for n in range(len(model.layers)):
        rows, factor = tensors[f"layers.{n}.coefficients"], 0.5
        tensors[f"layers.{n}.coefficients"] = (rows[:, :-1] / factor).contiguous()
        tensors[f"layers.{n}.spline_weight"] = torch.full_like(rows[:, 0], factor)
        tensors[f"layers.{n}.base_weight"] = rows[:, -1].contiguous()
    if change is not None:
        change(tensors)
    save_file(tensors, path, metadata={"superpose": json.dumps(description)})


def old(name: str, change: Callable[[torch.Tensor], torch.Tensor] | None = None) -> Maker:
    """A file of schema 1 in which one tensor is another, or is missing."""

    def changed(tensors: dict[str, torch.Tensor]) -> None:
        tensor = tensors.pop(name)
        if change is not None:
            tensors[name] = change(tensor)

    return lambda path: old_file(path, change=changed)


def _old_and_large(path: Path) -> None:
    """Numbers of schema 1 that are each finite, and their products not."""

    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in ("coefficients", "spline_weight"):
            tensors[f"layers.0.{name}"] += 1e200

    old_file(path, change=change)


def edited(
    change: Callable[[dict[str, Any], dict[str, Any]], None] | None = None,
    *,
    text: Callable[[str], str] = lambda text: text,
    body: Callable[[bytes], bytes] = lambda body: body,
) -> Maker:
    """A good file after a change of its header and description, its header's text, its tensors."""

    def make(path: Path) -> None:
        save(good_model(), path)
        header, description, tensors = parts_of(path.read_bytes())
        if change is not None:
            change(header, description)
        header["__metadata__"]["superpose"] = json.dumps(description)
        path.write_bytes(joined(text(json.dumps(header)), body(tensors)))

    return make


def described(**values: Any) -> Maker:
    """A good file whose description says something else; None takes the key away."""

    def change(header: dict[str, Any], description: dict[str, Any]) -> None:
        description.update(values)
        for name in [name for name, value in values.items() if value is None]:
            del description[name]

    return edited(change)


def layered(**values: Any) -> Maker:
    """A good file whose first layer is described otherwise."""
    return edited(lambda header, description: description["layers"][0].update(values))


def entry(name: str, **values: Any) -> Maker:
    """A good file whose header says something else about one tensor."""
    return edited(lambda header, description: header[name].update(values))


def with_numbers(name: str, position: int, value: float) -> Maker:
    """A good file in which one number was overwritten."""

    def make(path: Path) -> None:
        save(good_model(), path)
        header, _, tensors = parts_of(path.read_bytes())
        start = header[name]["data_offsets"][0] + 8 * position
        changed = tensors[:start] + struct.pack("<d", value) + tensors[start + 8 :]
        path.write_bytes(joined(header, changed))

    return make


class Canary:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path.with_name("canary"),))


def a_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Canary(path)))


def a_torch_file(path: Path) -> None:
    torch.save(good_model().state_dict(), path)


def a_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model", "nothing")


def cut_to(share: float) -> Maker:
    def make(path: Path) -> None:
        save(good_model(), path)
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return make


def bytes_of(data: bytes) -> Maker:
    return lambda path: path.write_bytes(data) and None


def foreign(path: Path) -> None:
    save_file({"weight": torch.ones(3)}, path)


def asks_for_too_much(path: Path) -> None:
    """A header of a few hundred bytes that wants 10^12 coefficients, consistently."""

    def change(header: dict[str, Any], description: dict[str, Any]) -> None:
        size = 10**12 // (2 * 3) - 3
        description["layers"][0]["grid_size"] = size
        header["layers.0.coefficients"]["shape"] = [2, size + 4, 3]
        header["layers.0.coefficients"]["data_offsets"] = [0, 8 * 2 * (size + 4) * 3]
        header["layers.0.knots"]["shape"] = [2, size + 7]

    edited(change)(path)


def asks_for_too_many_nodes(path: Path) -> None:
    edited(lambda header, description: description.update(widths=[2, 10**12, 1]))(path)


def asks_for_much_within_limits(path: Path) -> None:
    """10^12 coefficients in sizes that are each allowed, with offsets to match."""

    def change(header: dict[str, Any], description: dict[str, Any]) -> None:
        nodes, rows = 10**6, 500_000
        description["widths"] = [2, nodes, 1]
        description["layers"][0]["grid_size"] = rows - 3
        place = 0
        shapes: dict[str, list[int]] = {
            "layers.0.knots": [2, rows + 4],
            "layers.0.coefficients": [2, rows + 1, nodes],
            "layers.0.mask": [2, nodes],
            "layers.1.knots": [nodes, 11],
            "layers.1.coefficients": [nodes, 8, 1],
            "layers.1.mask": [nodes, 1],
        }
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            entry["shape"] = shapes.get(name, entry["shape"])
            count = 1
            for length in entry["shape"]:
                count *= length
            size = count * (1 if entry["dtype"] == "BOOL" else 8)
            entry["data_offsets"] = [place, place + size]
            place += size

    edited(change)(path)


def _twice(text: str) -> str:
    return text[:-1] + ', "input_center": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}}'


def _without_tensor(header: dict[str, Any], description: dict[str, Any]) -> None:
    del header["layers.1.knots"]


def _with_tensor(header: dict[str, Any], description: dict[str, Any]) -> None:
    header["extra"] = {"dtype": "F64", "shape": [0], "data_offsets": [0, 0]}


def _later_kind(header: dict[str, Any], description: dict[str, Any]) -> None:
    description["layers"][0]["kind"] = "products"


def _old_schema(schema: int) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def change(header: dict[str, Any], description: dict[str, Any]) -> None:
        description["schema"] = schema
        without_later_parts(description, schema)
        for layer in description["layers"]:
            layer.pop("products", None)

    return change


def _unknown_function(header: dict[str, Any], description: dict[str, Any]) -> None:
    description["layers"][0]["symbolic"] = [[0, 1, "bessel", ""]]
    description["functions"] = {"bessel": [1.0, 1.0, 1.0, 1.0, 1.0]}


def _other_function(header: dict[str, Any], description: dict[str, Any]) -> None:
    description["functions"]["sin"][0] = 0.5


def _swapped(header: dict[str, Any], description: dict[str, Any]) -> None:
    header["input_center"]["data_offsets"] = header["input_scale"]["data_offsets"]


def _gap(header: dict[str, Any], description: dict[str, Any]) -> None:
    for name, values in header.items():
        if name != "__metadata__":
            values["data_offsets"] = [place + 8 for place in values["data_offsets"]]


def _two_keys(header: dict[str, Any], description: dict[str, Any]) -> None:
    header["__metadata__"]["format"] = "pt"


# What each is, what makes it, and what its sentence has to name.
BROKEN_MODELS: dict[str, tuple[Maker, str]] = {
    "a pickle, renamed": (a_pickle, "never opens"),
    "what torch.save wrote": (a_torch_file, "never opens"),
    "a zip archive": (a_zip, "never opens"),
    "an empty file": (bytes_of(b""), "is empty"),
    "one byte": (bytes_of(b"{"), "not a safetensors file"),
    "a table": (bytes_of(b"x,y,f\n1,2,3\n4,5,6\n"), "not a safetensors file"),
    "random bytes": (
        lambda path: path.write_bytes(bytes(i * i % 251 for i in range(5000))) and None,
        "not a safetensors file",
    ),
    "eight zeros and more": (bytes_of(bytes(100)), "not a safetensors file"),
    "a header of length 0": (bytes_of(bytes(8) + b"{}"), "not a safetensors file"),
    "cut in the header": (cut_to(0.1), "cut short"),
    "cut in the middle": (cut_to(0.7), "cut short"),
    "cut by one byte": (edited(body=lambda body: body[:-1]), "cut short"),
    "one byte too many": (edited(body=lambda body: body + b"\0"), "1 byte follow"),
    "another program's model": (foreign, "not of a superpose model"),
    "a directory": (lambda path: path.mkdir(), "is a directory"),
    "a header of 10^12 coefficients": (asks_for_too_much, "grid size"),
    "a layer of 10^12 nodes": (asks_for_too_many_nodes, "width"),
    "10^12 coefficients within limits": (asks_for_much_within_limits, "cut short"),
    "a header that is no JSON": (edited(text=lambda text: "{" + text), "not JSON"),
    "a header that is no UTF-8": (
        bytes_of(struct.pack("<Q", 4) + b'{"\xff}'),
        "not JSON",
    ),
    "a header in UTF-16": (
        bytes_of(struct.pack("<Q", 4) + "{}".encode("utf-16-le")),
        "not JSON",
    ),
    "a header nested very deep": (
        lambda path: path.write_bytes(joined('{"a":' + "[" * 200_000, b"")) and None,
        "nested too deep",
    ),
    "a header nested somewhat deep": (
        lambda path: path.write_bytes(joined('{"a":[[[[[[[[1]]]]]]]]}', b"")) and None,
        "nested too deep",
    ),
    "a description nested deep": (described(widths=[[[[[[[2]]]]]]]), "nested too deep"),
    "a key twice": (edited(text=_twice), "same key twice"),
    "NaN in the header": (
        edited(text=lambda text: text.replace("[0, 16]", "[NaN, 16]", 1)),
        "NaN",
    ),
    "NaN in the description": (described(dtype=float("nan")), "NaN"),
    "an endless number": (
        edited(text=lambda text: text.replace("[0, 16]", f"[0, {'9' * 5000}]", 1)),
        "not JSON",
    ),
    "a tensor missing": (edited(_without_tensor), "layers.1.knots"),
    "a tensor too many": (edited(_with_tensor), "extra"),
    "negative offsets": (entry("input_center", data_offsets=[-16, 0]), "input_center"),
    "offsets that overlap": (edited(_swapped), "overlaps"),
    "a gap before the tensors": (edited(_gap), "gap"),
    "offsets that are no pair": (entry("input_center", data_offsets=[0]), "input_center"),
    "offsets of true and false": (entry("input_center", data_offsets=[False, 16]), "place"),
    "a shape of another size": (entry("input_center", shape=[3]), "input_center"),
    "a shape of fractions": (entry("input_center", shape=[2.0]), "input_center"),
    "a negative shape": (entry("input_center", shape=[-2]), "input_center"),
    "an unknown dtype": (entry("input_center", dtype="F16"), "F16"),
    "no description": (described(schema=None), "schema"),
    "a later schema": (described(schema=7), "upgrade superpose"),
    "schema 1 and tensors of today": (edited(_old_schema(1)), "layers.0.base_weight"),
    "schema 2 with products": (described(schema=2), "products"),
    "schema 3 without products": (edited(_old_schema(3)), "products"),
    "more products than nodes": (layered(products=[2, 2, 2, 2]), "the products of layer 0"),
    "products of another number": (layered(products=[2]), "layers.0"),
    "a product of no factor": (layered(products=[0]), "arity"),
    "a product of half a factor": (layered(products=[2.0]), "arity"),
    "a product of one factor first": (layered(products=[1, 2]), "one factor"),
    "a product that is true": (layered(products=[True]), "arity"),
    "products that are no list": (layered(products=2), "the products of layer 0"),
    "a product of 10^12 factors": (layered(products=[10**12]), "arity"),
    "products of 10^7 factors": (layered(products=[2**20, 2**20, 2**20]), "number of sums"),
    "schema 1 without a factor": (old("layers.0.spline_weight"), "layers.0.spline_weight"),
    "schema 1 with a NaN": (old("layers.1.base_weight", lambda t: t * float("nan")), "layers.1.base_weight"),
    "schema 1 of another shape": (old("layers.0.spline_weight", lambda t: t.T.contiguous()), "layers.0.spline_weight"),
    "schema 1 of products too large": (_old_and_large, "layers.0.coefficients"),
    "tensors of schema 1 in a file of today": (
        edited(lambda header, description: header.update({"layers.0.spline_weight": header["layers.0.mask"]})),
        "layers.0.spline_weight",
    ),
    "a schema of no number": (described(schema="1"), "schema"),
    "another kind of model": (described(kind="MLP"), "MLP"),
    "a later kind of layer": (edited(_later_kind), "products"),
    "an unknown key": (described(notes="hello"), "notes"),
    "metadata of others": (edited(_two_keys), "metadata"),
    "no names": (described(feature_names=None), "feature_names"),
    "two features of one name": (described(feature_names=["x", "x"]), "'x'"),
    "too few names": (described(feature_names=["x"]), "feature names"),
    "a name that is a number": (described(target_names=[7]), "'7'"),
    "widths of zero": (described(widths=[2, 0, 1]), "width"),
    "one width": (described(widths=[2]), "widths"),
    "a negative width": (described(widths=[2, -3, 1]), "width"),
    "a width that is true": (described(widths=[2, True, 1]), "width"),
    "half precision": (described(dtype="float16"), "float16"),
    "a list for a dtype": (described(dtype=[]), "dtype"),
    "degree 9": (layered(degree=9), "degree"),
    "no grid": (layered(grid_size=0), "grid size"),
    "an unknown base": (layered(base="relu"), "relu"),
    "an infinite scale": (layered(spline_scale=10**400), "spline scale"),
    "an edge that is not there": (layered(symbolic=[[5, 0, "sin", ""]]), "symbolic edge"),
    "two functions on an edge": (layered(symbolic=[[0, 1, "sin", ""], [0, 1, "sin", ""]]), "0 -> 1"),
    "an edge without a function": (layered(symbolic=[[0, 1]]), "symbolic edge"),
    "an edge of schema 3": (layered(symbolic=[[0, 1, "sin"]]), "symbolic edge"),
    "frozen constants in a file of schema 3": (described(schema=3), "symbolic edge"),
    "a frozen constant that there is not": (layered(symbolic=[[0, 1, "sin", "e"]]), "freezes 'e'"),
    "constants frozen out of their order": (layered(symbolic=[[0, 1, "sin", "ba"]]), "freezes 'ba'"),
    "frozen constants as a number": (layered(symbolic=[[0, 1, "sin", 1]]), "freezes"),
    "a function that is not known": (edited(_unknown_function), "superpose.register"),
    "a function that changed": (edited(_other_function), "'sin'"),
    "a NaN among the coefficients": (
        with_numbers("layers.0.coefficients", 5, float("nan")),
        "layers.0.coefficients",
    ),
    "an infinite center": (with_numbers("input_center", 0, float("inf")), "input_center"),
    "a scale of zero": (with_numbers("output_scale", 0, 0.0), "output_scale"),
    "knots in disorder": (with_numbers("layers.1.knots", 3, 50.0), "ascending"),
    "a mask of twos": (
        edited(body=lambda body: body[:-20] + b"\2" * 20),
        "neither true nor false",
    ),
}
