"""KAN layers and models."""

from superpose.nn.head import Head
from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN, LayerTrace, Trace
from superpose.nn.symbolic_functions import SymbolicFunction, library, register

__all__ = ["KAN", "Head", "KANLayer", "LayerTrace", "SymbolicFunction", "Trace", "library", "register"]
