"""One edge close up as numbers that JSON can hold: its curve, slope, errors and knots, and functions like it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.edit import suggest
from superpose.edit.edge_curves import check_edge
from superpose.edit.setting_functions import table_constants
from superpose.files.json_numbers import json_ready
from superpose.nn.model import KAN, Edge
from superpose.nn.symbolic_functions import library
from superpose.plot.curve_errors import curve_errors
from superpose.plot.edge_closeup import described, node_names
from superpose.plot.edge_numbers import edge_numbers, units, without_poles
from superpose.plot.samples import traced
from superpose.studio.network_numbers import rounded

# Candidates that are shown, points of each curve, and rows at most, since someone waits. Round numbers.
_CANDIDATES, _POINTS, _ROWS = 8, 201, 4000


def edge_panel(model: KAN, data: Dataset, edge: Sequence[int], *, candidates: bool) -> dict[str, Any]:
    """All that is shown of one edge, in the units of :func:`superpose.plot.edge`.

    Args:
        candidates: whether the functions that are closest to it are sought, which takes about a second.

    Raises:
        OptionError: for an edge that is not there.
    """
    where = check_edge(model, tuple(edge))
    few = replace(data, train=data.train[evenly(len(data.train), _ROWS)])
    trace = traced(model, few.features(few.train))
    found = edge_numbers(model, trace, where, curve_errors(model, few), _POINTS)
    start, end = node_names(model, where)
    # Standard errors fall with the root of the number of rows.
    error = found.standard_error
    if error is not None:
        error = error * math.sqrt(len(few.train) / len(data.train))
    panel = rounded(
        {
            "edge": list(where),
            "start": start,
            "end": end,
            "described": described(model, where),
            "function": found.symbol,
            "frozen": model.layer(where[0]).frozen_table().get(where[1:], ""),
            "curve": {"x": found.x, "y": without_poles(found.y)},
            "slope": without_poles(found.slope),
            "band": None if error is None else {"low": found.y - 2 * error, "high": found.y + 2 * error},
            "knots": found.knots if found.symbol is None else [],
            "density": {"bins": found.bins, "counts": found.counts},
            "candidates": _candidates(model, data, where, found.places) if candidates else None,
            "functions": sorted(library()),
        }
    )
    # In full, since they can be set again as they are.
    return {**panel, "constants": None if found.symbol is None else json_ready(table_constants(model, where))}


@torch.no_grad()
def _candidates(model: KAN, data: Dataset, edge: Edge, places: torch.Tensor) -> list[dict[str, Any]]:
    _, out = units(model, edge)
    functions = library()
    listed = []
    # An edge that is nearly nothing is removed, and not set to zero.
    found = [one for one in suggest(model, data, edge, top=len(functions)) if one.name != "0"]
    # Who looks for a function looks at the curves first: by half decades of what they leave unexplained.
    found.sort(key=lambda one: (round(2 * math.log10(max(1 - one.r2, 1e-16))), one.complexity, one.score))
    for one in found[:_CANDIDATES]:
        a, b, c, d = one.constants
        curve = c * functions[one.name].evaluate(a * places + b) + d
        values: np.ndarray = without_poles(out(curve))
        listed.append(
            {"function": one.name, "r2": one.r2, "complexity": one.complexity, "score": one.score, "y": values}
        )
    return listed
