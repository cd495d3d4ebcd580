"""Differential equations: derivatives of a KAN, residual problems and their solution."""

from superpose.tasks.pde.operators import derivative, divergence, gradient, hessian, laplacian
from superpose.tasks.pde.problem import Field, Problem, Residual
from superpose.tasks.pde.regions import Box, Image, Part, Region, Union
from superpose.tasks.pde.settings import Solution, SolveRecord, SolveSettings
from superpose.tasks.pde.solve import solve

__all__ = [
    "Box",
    "Field",
    "Image",
    "Part",
    "Problem",
    "Region",
    "Residual",
    "Solution",
    "SolveRecord",
    "SolveSettings",
    "Union",
    "derivative",
    "divergence",
    "gradient",
    "hessian",
    "laplacian",
    "solve",
]
