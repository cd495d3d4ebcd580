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

    {"schema": 5, "kind": "KAN", "dtype": "float64", "widths": [2, 3, 1],
     "feature_names": ["x1", "x2"], "target_names": ["y"],
     "layers": [{"kind": "splines", "degree": 3, "grid_size": 5, "base": "silu",
                 "spline_scale": 0.1, "products": [], "symbolic": [[0, 2, "sin", ""]]}, ...],
     "functions": {"sin": [...]}}

``widths`` counts nodes, of which the last ones of a layer are the products whose arities
``products`` lists; tensors and edges count the factors of a product one by one. ``symbolic`` lists
input, output and function of each symbolic edge, and those of its constants ``a, b, c, d`` that
are frozen (such as ``"ab"``), in the order of the rows of that layer's ``symbolic.constants``.
``functions`` holds a few values of each function in use, so that a name that means something else
on the reading side is noticed. A classifier has one more entry,
``"head": {"kind": "sigmoid", "classes": ["no", "yes"], "scale": 1.0, "name": "answer"}``. A model
with prediction intervals has an entry ``"uncertainty"``, and tensors whose names begin with
``uncertainty.``. A model of columns that were made of others (categories, gaps) has an entry
``"preparation"`` and schema 6; all others are written with schema 5. A later schema may add kinds
of models and of layers; this one refuses what it does not know.

Files of earlier schemas are read too. Schema 5 has no preparation. Schema 4 has no prediction
intervals. Schema 3 does not say what is frozen either. Schema 2 has no ``products``. Nor has schema
1, which holds a layer's curves in three tensors: the spline coefficients (``coefficients``), a
factor for each edge that multiplies them (``spline_weight``), and the base weights
(``base_weight``, unless the base is ``"none"``).
"""

from __future__ import annotations

import io
import json
import os
import struct
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from superpose.atomic_write import write_atomically
from superpose.errors import OptionError
from superpose.files import container, preparation, schema, uncertainty
from superpose.files.values import Damage, Refusal, refused
from superpose.nn import KAN, KANLayer

__all__ = ["from_bytes", "load", "save", "to_bytes", "write_atomically"]


def save(model: KAN, path: str | os.PathLike[str]) -> None:
    """Write a model to one safetensors file, whole or not at all.

    >>> save(KAN([1, 1]), "no/such/folder/model.safetensors")
    Traceback (most recent call last):
        ...
    superpose.errors.FileError: 'no/such/folder/model.safetensors' cannot be written, since the \
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
    write_atomically(path, to_bytes(model))


def to_bytes(model: KAN) -> bytes:
    """The content of the file that :func:`superpose.save` writes.

    >>> from_bytes(to_bytes(KAN([2, 3, 1], seed=0))).widths
    [2, 3, 1]

    Raises
    ------
    OptionError
        As :func:`superpose.save`.
    """
    from safetensors.torch import save as serialise

    description, tensors = model_parts(model)
    # One key only: the order of several would differ from run to run.
    data: bytes = serialise(tensors, metadata={container.KEY: json.dumps(description, allow_nan=False)})
    if struct.unpack("<Q", data[:8])[0] > container.HEADER_LIMIT:
        raise OptionError("the model cannot be saved: its names are too long")
    return data


def model_parts(model: KAN) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The description of a model, ready for JSON, and copies of its tensors; checked as in :func:`save`."""
    if not isinstance(model, KAN):
        raise OptionError(f"save writes a superpose.KAN, not a {type(model).__name__}")
    tensors = {
        # Copies, since tensors that share their memory are refused.
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in _tensors(model).items()
    }
    description = schema.describe(model)
    try:
        schema.check_model(description, tensors)
    except Damage as damage:
        raise OptionError(f"the model cannot be saved: {damage}") from None
    except Refusal as refusal:
        raise OptionError(f"the model cannot be saved, since it {refusal}") from None
    return description, tensors


def _tensors(model: KAN) -> dict[str, Tensor]:
    own = model.state_dict()
    return own if model.uncertainty is None else own | uncertainty.tensors(model.uncertainty)


def model_from_parts(description: Any, tensors: Mapping[str, Tensor]) -> KAN:
    """The model of what :func:`model_parts` gave.

    Raises
    ------
    FileError
        If description and tensors are not as they were.
    """
    try:
        schema.check_model(description, tensors)
        schema.check_functions(description)
    except Refusal as refusal:
        raise refused("a model", refusal) from None
    return _build(description, tensors)


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
    return _read(*container.read(path))


def from_bytes(data: bytes) -> KAN:
    """The model whose file holds these bytes, checked as in :func:`superpose.load`.

    Raises
    ------
    FileError
        As :func:`superpose.load`.
    """
    label = "the model"
    return _read(label, *container.read_open(label, io.BytesIO(data), len(data)))


def _read(label: str, header: dict[str, Any], body: bytearray) -> KAN:
    try:
        description = container.parse(container.description_of(header))
        expected = schema.expected_tensors(schema.checked(description))
        container.check_entries(header, expected, len(body))
        tensors = {name: container.tensor(header[name], body) for name in expected}
        schema.check_values(description, tensors)
        tensors = schema.up_to_date(description, tensors)
        schema.check_functions(description)
    except Refusal as refusal:
        raise refused(label, refusal) from None
    return _build(description, tensors)


def _build(description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> KAN:
    widths, dtype = description["widths"], schema.DTYPES[description["dtype"]]
    layers = description["layers"]
    apart = description["schema"] > 3
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
            products=made.get("products", ()),
            generator=generator,
            dtype=dtype,
        )
        layer.knots = tensors[f"layers.{n}.knots"]
        layer.coefficients = torch.nn.Parameter(tensors[f"layers.{n}.coefficients"])
        constants = (0.0, 0.0, 0.0, 0.0)
        symbolic = {(i, o): (name, constants) for i, o, name, *_ in made["symbolic"]}
        layer.set_symbolic(symbolic, {(i, o): letters for i, o, _, letters in made["symbolic"]} if apart else {})
        model.layers[n] = layer
    model.load_state_dict({name: one for name, one in tensors.items() if not name.startswith(uncertainty.PREFIX)})
    model.head = schema.head_in(description)
    if "uncertainty" in description:
        model.uncertainty = uncertainty.built(description["uncertainty"], tensors)
    if "preparation" in description:
        model.preparation = preparation.built(description["preparation"])
    return model
