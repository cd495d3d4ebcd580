"""Models and formulas for programs without superpose: code, ONNX, NumPy, C and folders for model hubs."""

from superpose.export.formula_code import LANGUAGES, code

__all__ = ["LANGUAGES", "code"]
