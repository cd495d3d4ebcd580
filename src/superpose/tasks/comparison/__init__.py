"""How well superpose, and the usual other methods, predict a column: one cross-validation for all of them."""

from superpose.tasks.comparison.options import CompareOptions
from superpose.tasks.comparison.result import MethodComparison, MethodResult
from superpose.tasks.comparison.search import compare

__all__ = ["CompareOptions", "MethodComparison", "MethodResult", "compare"]
