"""One-variable splines and the three contractions of a KAN layer."""

from superpose.spline import library as library
from superpose.spline.backend import Backends, backends
from superpose.spline.grid import (
    adapted_breakpoints,
    breakpoints,
    clamped_knots,
    counts,
    extended_knots,
    insertion_matrix,
    split_breakpoints,
    uniform_knots,
    widened_breakpoints,
)
from superpose.spline.ops import coef_pull, edge_sum, input_pull

__all__ = [
    "Backends",
    "adapted_breakpoints",
    "backends",
    "breakpoints",
    "clamped_knots",
    "coef_pull",
    "counts",
    "edge_sum",
    "extended_knots",
    "input_pull",
    "insertion_matrix",
    "split_breakpoints",
    "uniform_knots",
    "widened_breakpoints",
]
