"""KAN layers and models."""

from superpose.nn.conversion import convert
from superpose.nn.layer import KANLayer
from superpose.nn.likelihood import Head
from superpose.nn.model import KAN
from superpose.nn.symbolic_functions import SymbolicFunction, library, register
from superpose.nn.trace import LayerTrace, Trace
from superpose.nn.training_grids import adapt_grids, match_grids, refine_grids
from superpose.nn.uncertainty import Intervals, Uncertainty

__all__ = [
    "KAN",
    "Head",
    "Intervals",
    "KANLayer",
    "LayerTrace",
    "SymbolicFunction",
    "Trace",
    "Uncertainty",
    "adapt_grids",
    "convert",
    "library",
    "match_grids",
    "refine_grids",
    "register",
]
