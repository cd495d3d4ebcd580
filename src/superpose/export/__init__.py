"""Models and formulas for programs without superpose: code, ONNX, NumPy, C and folders for model hubs."""

from superpose.choices import LANGUAGES
from superpose.export.c_network import c99
from superpose.export.formula_code import code
from superpose.export.hub_folder import hub
from superpose.export.numpy_network import numpy_module
from superpose.export.onnx_network import onnx

__all__ = ["LANGUAGES", "c99", "code", "hub", "numpy_module", "onnx"]
