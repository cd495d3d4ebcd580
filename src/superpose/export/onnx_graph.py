"""Graphs of ONNX operators under construction, and SymPy expressions as such graphs."""

from __future__ import annotations

import importlib.util
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from superpose.errors import OptionError

if TYPE_CHECKING:
    import sympy

# Version 18 of the standard operators and 8 of the file format are of 2023; all runtimes since then read them.
OPSET, IR_VERSION = 18, 8
_OPERATORS = {
    **{name: name.capitalize() for name in ("exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "erf")},
    **{name: name.capitalize() for name in ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh")},
    "Abs": "Abs",
}
# Powers up to this one are products, which are faster and more exact than the general power. A round number.
_LARGEST_PRODUCT = 8
# Up to so many ranges from 0 a center may lie that is subtracted after the division, or added to by a sum: it costs two
# bits of float32.
FAR = 4.0


def required_onnx() -> Any:
    """The package onnx.

    Raises:
        OptionError: if it is not installed.
    """
    if importlib.util.find_spec("onnx") is None:
        raise OptionError(
            "ONNX files are written with the package onnx, which is not installed; "
            "pip install 'superpose[onnx]' adds it"
        )
    import onnx

    return onnx


class Graph:
    """Operators that were added one after another; values are known by their names."""

    def __init__(self) -> None:
        self._onnx = required_onnx()
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._numbers = itertools.count()

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """A constant tensor; texts stay texts."""
        name = f"constant_{next(self._numbers)}"
        array = np.asarray(value, dtype=dtype)
        self.initializers.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """An operator with one output, whose name is returned."""
        name = output or f"{operator.lower()}_{next(self._numbers)}"
        self.nodes.append(self._onnx.helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def split(self, x: str, sizes: list[int]) -> list[str]:
        """Neighbouring columns of ``x [N, I]``: as many as each of the sizes, in turn."""
        if len(sizes) == 1:
            return [x]
        names = [f"split_{next(self._numbers)}" for _ in sizes]
        self.nodes.append(self._onnx.helper.make_node("Split", [x, self.constant(sizes, np.int64)], names, axis=1))
        return names

    def columns(self, x: str, places: list[int]) -> str:
        """Some columns of ``x [N, I]``, in this order."""
        return self.add("Gather", x, self.constant(places, np.int64), axis=1)

    def product(self, x: str, weights: np.ndarray, total: str | None) -> str:
        """``x @ weights``, plus ``total`` if there is one."""
        inputs = [x, self.constant(weights)] + ([] if total is None else [total])
        return self.add("Gemm", *inputs)

    def affine(self, x: str, center: np.ndarray, scale: np.ndarray, near: float = 1.0) -> str:
        """``(x - center) / scale`` for ``x [N, I]``.

        Args:
            near: the range of the values in units of ``scale``.
        """
        if np.all(np.abs(center) <= FAR * near * scale):
            # A product of matrices is several times as fast as operators that repeat a short row.
            return self.product(x, np.diag(1 / scale), self.constant(-center / scale))
        # The difference first, which is exact for values near the center, such as years.
        return self.add("Div", self.add("Sub", x, self.constant(center)), self.constant(scale))

    def expression(self, expression: sympy.Expr, argument: sympy.Symbol, x: str) -> str:
        """The values of an expression in one variable, where ``x`` holds those of the variable.

        Raises:
            OptionError: for a function that is no standard operator.
        """
        node = expression
        if node == argument:
            return x
        if node.is_number:
            if not node.is_extended_real:
                return self.constant(np.nan)
            return self.constant(float(node))
        if node.is_Add or node.is_Mul:
            parts = [self.expression(part, argument, x) for part in node.args]
            return self._reduced("Add" if node.is_Add else "Mul", parts)
        if node.is_Pow:
            return self._power(node.base, node.exp, argument, x)
        name = node.func.__name__
        if name in ("Max", "Min"):
            return self.add(name, *(self.expression(part, argument, x) for part in node.args))
        if len(node.args) == 1 and name in (*_OPERATORS, "sign"):
            inner = self.expression(node.args[0], argument, x)
            if name != "sign":
                return self.add(_OPERATORS[name], inner)
            # The operator need not keep NaN.
            return self.add("Where", self.add("IsNaN", inner), inner, self.add("Sign", inner))
        raise OptionError(f"{name} is no standard operator of ONNX; export the model as numpy or c, or refit its edge")

    def zeros(self, x: str) -> str:
        """Zeros of the shape of ``x``, also where ``x`` is NaN."""
        return self.add("Cast", self.add("Less", x, x), to=1)

    def _reduced(self, operator: str, parts: list[str]) -> str:
        total = parts[0]
        for part in parts[1:]:
            total = self.add(operator, total, part)
        return total

    def _power(self, base: sympy.Expr, exponent: sympy.Expr, argument: sympy.Symbol, x: str) -> str:
        inner = self.expression(base, argument, x)
        if exponent.is_Number and exponent.is_negative:
            return self.add("Reciprocal", self._power_of(inner, -exponent, argument, x))
        return self._power_of(inner, exponent, argument, x)

    def _power_of(self, inner: str, exponent: sympy.Expr, argument: sympy.Symbol, x: str) -> str:
        if exponent.is_Integer and 1 <= int(exponent) <= _LARGEST_PRODUCT:
            return self._reduced("Mul", [inner] * int(exponent))
        if exponent.is_Number and float(exponent) == 0.5:
            return self.add("Sqrt", inner)
        return self.add("Pow", inner, self.expression(exponent, argument, x))
