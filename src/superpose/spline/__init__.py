"""One-variable splines and the three contractions of a KAN layer."""

from superpose.spline import operators as operators
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
from superpose.spline.ops import edge_sum, grad_coefficients, grad_input

__all__ = [
    "Backends",
    "adapted_breakpoints",
    "backends",
    "breakpoints",
    "clamped_knots",
    "counts",
    "edge_sum",
    "extended_knots",
    "grad_coefficients",
    "grad_input",
    "insertion_matrix",
    "split_breakpoints",
    "uniform_knots",
    "widened_breakpoints",
]
