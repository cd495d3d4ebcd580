"""superpose: Kolmogorov-Arnold networks that are fast, accurate and readable."""

from superpose._errors import DataError, FileError, OptionError, ShapeError, SuperposeError
from superpose.data import Affine, Dataset, read_csv, read_features
from superpose.nn import KAN, KANLayer, LayerTrace, SymbolicFunction, Trace, library, register
from superpose.train import History, fit

__version__ = "0.1.0"

__all__ = [
    "KAN",
    "Affine",
    "DataError",
    "Dataset",
    "FileError",
    "History",
    "KANLayer",
    "LayerTrace",
    "OptionError",
    "ShapeError",
    "SuperposeError",
    "SymbolicFunction",
    "Trace",
    "fit",
    "library",
    "read_csv",
    "read_features",
    "register",
]
