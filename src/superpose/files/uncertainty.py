"""What a model file holds for prediction intervals: an entry of its description, and tensors in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from superpose.files.values import Refusal, as_object, as_whole, check_finite, damaged
from superpose.messages import quoted
from superpose.nn.local_scale import DEGREE, LocalScale
from superpose.nn.support import Support
from superpose.nn.uncertainty import SOURCES, Uncertainty

PREFIX = "uncertainty."
_MOST_ROWS = 1 << 20
_MOST_INTERVALS = 1 << 10
_SCALE = ("low", "high", "knots", "coefficients", "bounds", "growth")
_SUPPORT = ("low", "high", "center", "precision")


def describe(found: Uncertainty) -> dict[str, Any]:
    """The entry of the description, ready for JSON."""
    scale = found.scale
    return {
        "rows": len(found.residuals),
        "points": len(found.values),
        "log": found.log,
        "freedom": float(found.freedom),
        "source": found.source,
        "grid_size": None if scale is None else scale.coefficients.shape[1] - DEGREE,
        "limit": found.support.limit if len(found.support.precision) else None,
    }


def tensors(found: Uncertainty) -> dict[str, Tensor]:
    """The tensors by their names in the file."""
    made = {"residuals": found.residuals, "values": found.values}
    made |= {f"support.{name}": getattr(found.support, name) for name in _SUPPORT}
    if not len(found.support.precision):
        del made["support.precision"]
    if found.scale is not None:
        made |= {f"scale.{name}": getattr(found.scale, name) for name in _SCALE}
    return {PREFIX + name: tensor for name, tensor in made.items()}


def check(made: Any) -> None:
    """Check the entry by itself."""
    what = "its uncertainty"
    entry = as_object(made, what, {"rows", "points", "log", "freedom", "source", "grid_size", "limit"})
    as_whole(entry["rows"], f"the number of rows of {what}", 2, _MOST_ROWS)
    as_whole(entry["points"], f"the number of points of {what}", 0, _MOST_ROWS)
    if entry["grid_size"] is not None:
        as_whole(entry["grid_size"], f"the grid size of {what}", 1, _MOST_INTERVALS)
    for name in ("freedom", "limit"):
        if entry[name] is not None or name == "freedom":
            check_finite(entry[name], f"the {name} of {what}")
            if entry[name] < 0:
                damaged(f"the {name} of {what} is negative")
    if type(entry["log"]) is not bool:
        damaged(f"{what} does not say whether logarithms are compared")
    if entry["source"] not in SOURCES:
        damaged(f"{quoted(entry['source'])} is no source of errors")


def shapes(entry: Mapping[str, Any], inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor by its name."""
    made: dict[str, tuple[int, ...]] = {"residuals": (entry["rows"], outputs), "values": (entry["points"], outputs)}
    made |= {f"support.{name}": (inputs,) for name in ("low", "high", "center")}
    if entry["limit"] is not None:
        made["support.precision"] = (inputs, inputs)
    if entry["grid_size"] is not None:
        rows, features = entry["grid_size"] + DEGREE, inputs + 1
        made |= {
            "scale.low": (features,),
            "scale.high": (features,),
            "scale.knots": (features, rows + DEGREE + 1),
            "scale.coefficients": (features, rows),
            "scale.bounds": (2,),
            "scale.growth": (2, inputs),
        }
    return {PREFIX + name: shape for name, shape in made.items()}


def check_values(entry: Mapping[str, Any], found: Mapping[str, Tensor]) -> None:
    """Check the numbers, which are finite already."""
    if bool((found[PREFIX + "residuals"].diff(dim=0) < 0).any()):
        raise Refusal("holds residuals that are not in ascending order")
    if bool((found[PREFIX + "support.low"] > found[PREFIX + "support.high"]).any()):
        raise Refusal("holds ranges of columns that end before they begin")
    if entry["grid_size"] is None:
        return
    knots = found[PREFIX + "scale.knots"]
    if bool((knots.diff(dim=-1) < 0).any()) or not bool((knots[:, -1 - DEGREE] > knots[:, DEGREE]).all()):
        raise Refusal("holds knots of a local scale that are not in ascending order")
    if not bool((found[PREFIX + "scale.low"] < found[PREFIX + "scale.high"]).all()):
        raise Refusal("holds limits of a local scale that end before they begin")
    if bool((found[PREFIX + "scale.growth"] < 0).any()) or bool(found[PREFIX + "scale.bounds"].diff() < 0):
        raise Refusal("holds a local scale that is not as superpose.save writes it")


def built(entry: Mapping[str, Any], found: Mapping[str, Tensor]) -> Uncertainty:
    """The uncertainty of an entry and tensors that were checked."""
    own = {name.removeprefix(PREFIX): tensor for name, tensor in found.items() if name.startswith(PREFIX)}
    scale = None
    if entry["grid_size"] is not None:
        scale = LocalScale(*(own[f"scale.{name}"] for name in _SCALE))
    low, high, center = (own[f"support.{name}"] for name in ("low", "high", "center"))
    precision = own.get("support.precision", torch.empty(0, 0, dtype=torch.float64))
    limit = math.inf if entry["limit"] is None else float(entry["limit"])
    support = Support(low, high, center, precision, limit)
    return Uncertainty(
        own["residuals"], entry["log"], float(entry["freedom"]), entry["source"], scale, support, own["values"]
    )
