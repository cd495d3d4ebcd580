"""The JSON description of a model: made of one, checked by itself and against its tensors."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from superpose.errors import OptionError
from superpose.files import preparation, uncertainty
from superpose.files.values import LARGEST, Refusal, as_array, as_object, as_whole, check_finite, damaged
from superpose.messages import listed, nearest, quoted
from superpose.nn import KAN, Head, KANLayer, library
from superpose.nn.symbolic_edges import CONSTANTS
from superpose.nn.symbolic_functions import find, is_known
from superpose.spline import reference

SCHEMA = 6
# Of models that hold nothing of a later one, so that earlier versions read them too.
_WITHOUT_PREPARATION = 5
DTYPES = {"float32": torch.float32, "float64": torch.float64}
_MODEL_KIND = "KAN"
_LAYER_KIND = "splines"
_LAYER_LIMIT = 1000
_NODE_LIMIT = 1 << 20
_GRID_LIMIT = 1 << 24
# Where a symbolic function is compared with the one that was saved; on both sides of 0 and of 1.
_PROBES = (-1.7, -0.6, 0.3, 0.8, 2.1)
_PROBE_TOLERANCE = 1e-4
# What may be frozen on an edge: each choice of its constants, in their order.
_FREEZINGS = tuple("".join(chosen) for n in range(5) for chosen in itertools.combinations(CONSTANTS, n))


def describe(model: KAN) -> dict[str, Any]:
    layers = model.kan_layers()
    used = {name for layer in layers for _, _, name, _ in _symbolic(layer)}
    return {
        "schema": _WITHOUT_PREPARATION if model.preparation is None else SCHEMA,
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
                "products": list(layer.products),
                "symbolic": _symbolic(layer),
            }
            for layer in layers
        ],
        "functions": {name: _probe(name) for name in sorted(used)},
        **_head_of(model),
        **({} if model.uncertainty is None else {"uncertainty": uncertainty.describe(model.uncertainty)}),
        **({} if model.preparation is None else {"preparation": preparation.describe(model.preparation)}),
    }


def _head_of(model: KAN) -> dict[str, Any]:
    head = model.head
    if not isinstance(head, Head):
        return {}
    return {"head": {"kind": head.kind, "classes": list(head.classes), "scale": head.scale, "name": head.name}}


def head_in(description: Mapping[str, Any]) -> Head | None:
    """The head of a description, its values checked."""
    if "head" not in description:
        return None
    made = as_object(description["head"], "its head", {"kind", "classes", "scale", "name"})
    classes = as_array(made["classes"], "its classes", 2, _NODE_LIMIT)
    check_finite(made["scale"], "the scale of its head")
    if not all(isinstance(text, str) for text in (made["kind"], made["name"], *classes)):
        damaged("its head is not as superpose.save writes it")
    try:
        head = Head(made["kind"], tuple(classes), float(made["scale"]), made["name"])
    except OptionError as error:
        damaged(str(error))
    if description["widths"][-1] != head.n_scores:
        damaged(f"its head reads {head.n_scores} scores, and its network has {description['widths'][-1]}")
    return head


def _symbolic(layer: KANLayer) -> list[list[Any]]:
    edges = layer.symbolic
    return [] if edges is None else [[i, o, edges.names[i, o], edges.frozen.get((i, o), "")] for i, o in edges.edges]


def _probe(name: str) -> list[float | None]:
    values = find(name).evaluate(torch.tensor(_PROBES, dtype=torch.float64)).tolist()
    return [value if abs(value) < LARGEST else None for value in values]


def checked(description: Any) -> dict[str, Any]:
    """Check the description by itself: kinds of values, limits, and counts that belong together."""
    made = as_object(description, "its description", {"schema"}, others=True)
    schema = as_whole(made["schema"], "its schema", 1, None)
    if schema > SCHEMA:
        raise Refusal(f"was written by a later superpose (schema {schema}; this one reads {SCHEMA}); upgrade superpose")
    if made.get("kind", _MODEL_KIND) != _MODEL_KIND:
        damaged(f"{quoted(made['kind'])} is no kind of model that schema {schema} has")
    as_object(
        made,
        "its description",
        {"schema", "kind", "dtype", "widths", "feature_names", "target_names", "layers", "functions"}
        | ({"head"} & made.keys() if schema > 2 else set())
        | ({"uncertainty"} & made.keys() if schema > 4 else set())
        | ({"preparation"} & made.keys() if schema > 5 else set()),
    )
    if not isinstance(made["dtype"], str) or made["dtype"] not in DTYPES:
        raise Refusal(f"has numbers of dtype {quoted(made['dtype'])}; a model's are float32 or float64")
    widths = as_array(made["widths"], "its widths", 2, _LAYER_LIMIT + 1)
    for width in widths:
        as_whole(width, "a width", 1, _NODE_LIMIT)
    _check_names(made["feature_names"], "feature", widths[0])
    _check_names(made["target_names"], "target", widths[-1])
    layers = as_array(made["layers"], "its layers", len(widths) - 1, len(widths) - 1)
    used: set[str] = set()
    for n, layer in enumerate(layers):
        used |= _check_layer(layer, n, widths[n], widths[n + 1], schema)
    functions = as_object(made["functions"], "its table of functions", used)
    for name, values in functions.items():
        for value in as_array(values, f"function {quoted(name)}", len(_PROBES), len(_PROBES)):
            if value is not None:
                check_finite(value, f"a value of function {quoted(name)}")
    head_in(made)
    if "uncertainty" in made:
        uncertainty.check(made["uncertainty"])
    if "preparation" in made:
        preparation.built(made["preparation"])
    return made


def _check_layer(layer: Any, n: int, inputs: int, nodes: int, schema: int) -> set[str]:
    """Check one layer's description; returns the names of the symbolic functions in it."""
    where = f"layer {n}"
    kind = as_object(layer, where, {"kind"}, others=True)["kind"]
    if kind != _LAYER_KIND:
        damaged(f"{quoted(kind)} is no kind of layer that schema {SCHEMA} has")
    keys = {"kind", "degree", "grid_size", "base", "spline_scale", "symbolic"}
    as_object(layer, where, keys | ({"products"} if schema > 2 else set()))
    outputs = _check_products(layer.get("products", []), where, nodes)
    as_whole(layer["degree"], f"the degree of {where}", 0, 5)
    as_whole(layer["grid_size"], f"the grid size of {where}", 1, _GRID_LIMIT)
    if layer["base"] not in tuple(reference.BASES):
        damaged(f"{where} has the base function {quoted(layer['base'])}, which does not exist")
    check_finite(layer["spline_scale"], f"the spline scale of {where}")
    seen: set[tuple[int, int]] = set()
    names: set[str] = set()
    for edge in as_array(layer["symbolic"], f"the symbolic edges of {where}", 0, inputs * outputs):
        length = 4 if schema > 3 else 3
        i, o, name, *frozen = as_array(edge, f"a symbolic edge of {where}", length, length)
        as_whole(i, f"the input of a symbolic edge of {where}", 0, inputs - 1)
        as_whole(o, f"the output of a symbolic edge of {where}", 0, outputs - 1)
        if (i, o) in seen:
            damaged(f"two functions stand on edge {i} -> {o} of {where}")
        if not isinstance(name, str):
            damaged(f"the function on edge {i} -> {o} of {where} has no name")
        if frozen and frozen[0] not in _FREEZINGS:
            damaged(f"edge {i} -> {o} of {where} freezes {quoted(frozen[0])} instead of some of a, b, c, d")
        seen.add((i, o))
        names.add(name)
    return names


def _check_products(products: Any, where: str, nodes: int) -> int:
    """Check the arities of a layer's products; returns its number of sums."""
    arities = as_array(products, f"the products of {where}", 0, nodes)
    for arity in arities:
        as_whole(arity, f"the arity of a product of {where}", 1, _NODE_LIMIT)
    if arities and arities[0] == 1:
        damaged(f"the first product of {where} has one factor")
    sums: int = nodes - len(arities) + sum(arities)
    as_whole(sums, f"the number of sums of {where}", 1, _NODE_LIMIT)
    return sums


def _check_names(names: Any, role: str, count: int) -> None:
    listed_names = as_array(names, f"its {role} names", count, count)
    for name in listed_names:
        if not isinstance(name, str) or not name:
            damaged(f"{quoted(name)} is no name of a {role}")
    if len(set(listed_names)) < count:
        twice = next(name for name in listed_names if listed_names.count(name) > 1)
        damaged(f"two {role}s are named {quoted(twice)}")


@dataclass(frozen=True)
class Spec:
    dtype: str
    shape: tuple[int, ...]


def expected_tensors(description: Mapping[str, Any]) -> dict[str, Spec]:
    """Name, dtype and shape of every tensor that a file of this description has."""
    dtype, widths = description["dtype"], description["widths"]
    inputs, outputs = Spec(dtype, (widths[0],)), Spec(dtype, (widths[-1],))
    expected = {
        "input_center": inputs,
        "input_scale": inputs,
        "output_center": outputs,
        "output_scale": outputs,
        "scaled": Spec("bool", ()),
    }
    for n, layer in enumerate(description["layers"]):
        products = layer.get("products", [])
        edges = widths[n], widths[n + 1] - len(products) + sum(products)
        degree, grid_size = layer["degree"], layer["grid_size"]
        apart = description["schema"] == 1
        rows = grid_size + degree + (layer["base"] != "none" and not apart)
        parts = {
            "knots": Spec(dtype, (edges[0], grid_size + 2 * degree + 1)),
            "mask": Spec("bool", tuple(edges)),
            "coefficients": Spec(dtype, (edges[0], rows, edges[1])),
        }
        if apart:
            parts["spline_weight"] = Spec(dtype, tuple(edges))
            if layer["base"] != "none":
                parts["base_weight"] = Spec(dtype, tuple(edges))
        if layer["symbolic"]:
            parts["symbolic.constants"] = Spec(dtype, (len(layer["symbolic"]), 4))
        expected |= {f"layers.{n}.{name}": spec for name, spec in parts.items()}
    if "uncertainty" in description:
        shapes = uncertainty.shapes(description["uncertainty"], widths[0], widths[-1])
        expected |= {name: Spec("float64", shape) for name, shape in shapes.items()}
    return expected


def check_model(description: dict[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """What :func:`load` will check, before the file is written."""
    expected = expected_tensors(checked(description))
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in expected:
            raise Refusal(f"holds {quoted(name)}, which is no part of a KAN; remove it first")
        if name not in tensors:
            raise Refusal(f"lacks its tensor {quoted(name)}")
        dtype = str(tensors[name].dtype).removeprefix("torch.")
        if dtype != expected[name].dtype:
            raise Refusal(
                f"holds {quoted(name)} in {dtype} instead of {expected[name].dtype}; use model.to(torch.float64)"
            )
        if tuple(tensors[name].shape) != expected[name].shape:
            raise Refusal(
                f"holds {quoted(name)} of shape {tuple(tensors[name].shape)} instead of {expected[name].shape}"
            )
    check_values(description, tensors)


def check_values(description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Check every number: finite, knots in order around a domain, scales positive."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise Refusal(f"holds a NaN or an infinity in {quoted(name)}; train the model again")
    for name in ("input_scale", "output_scale"):
        if not bool((tensors[name] > 0).all()):
            raise Refusal(f"holds a scale in {quoted(name)} that is not positive")
    for n, layer in enumerate(description["layers"]):
        knots, degree = tensors[f"layers.{n}.knots"], layer["degree"]
        width = knots[:, -1 - degree] - knots[:, degree]
        if bool((knots.diff(dim=-1) < 0).any()):
            raise Refusal(f"holds knots of layer {n} that are not in ascending order")
        if not bool(((width > 0) & torch.isfinite(width)).all()):
            raise Refusal(f"holds knots of layer {n} that span no interval")
    if "uncertainty" in description:
        uncertainty.check_values(description["uncertainty"], tensors)


def up_to_date(description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file that was checked, as a model of today has them."""
    made = dict(tensors)
    if description["schema"] > 1:
        return made
    for n in range(len(description["layers"])):
        name = f"layers.{n}.coefficients"
        rows = made[name] * made.pop(f"layers.{n}.spline_weight")[:, None, :]
        if (base_weight := made.pop(f"layers.{n}.base_weight", None)) is not None:
            rows = torch.cat([rows, base_weight[:, None, :]], 1)
        made[name] = rows
    # A product of two numbers may have grown too large.
    check_values(description, made)
    return made


def check_functions(description: Mapping[str, Any]) -> None:
    """Check that the symbolic functions in use are known here and mean what they meant."""
    known = library() if description["functions"] else {}
    missing = [name for name in sorted(description["functions"]) if not is_known(name)]
    if missing:
        one = len(missing) == 1
        raise Refusal(
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
                raise Refusal(
                    f"was saved with a symbolic function {quoted(name)} that had other values than "
                    "the one registered here; register the one that it was saved with"
                )
