"""KAN layers and models."""

from superpose.nn.layer import KANLayer
from superpose.nn.likelihood import Head
from superpose.nn.model import KAN
from superpose.nn.symbolic_functions import SymbolicFunction, library, register
from superpose.nn.trace import LayerTrace, Trace

__all__ = ["KAN", "Head", "KANLayer", "LayerTrace", "SymbolicFunction", "Trace", "library", "register"]
