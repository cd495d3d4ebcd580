"""Formula: a symbolic network as expressions in the columns' names and units, with text, code, values and errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from superpose.data import Dataset, Split, read_features
from superpose.data.arrays import root_mean_square
from superpose.data.preparation import Preparation
from superpose.data.sampling import evenly
from superpose.deadline import Deadline
from superpose.formulas.expressions import constants, mathml, numpy_code, rewrite
from superpose.formulas.expressions.splines import SplineEdge, absorb_constants, used_splines
from superpose.nn.model import KAN
from superpose.nn.rows import values_at
from superpose.nn.symbolic_functions import torch_function

if TYPE_CHECKING:
    import sympy

# Constants are fitted to at most this many rows while a formula is simplified. A round number: the time grows with it.
_MAX_ROWS = 2048
# Rows of the standard errors of constants: no more are fitted to (``all_rows`` of ``law_ranking.py``).
_MOST_FITTED = 20_000
# A simplified formula may have a mean squared error 2% larger than the original. Below the second number, in units of
# the target's variance, both are exact: the square of ``FLOORS.constants``. 2% is a round number.
_TOLERATED, _EXACT = 1.02, 1e-20
# Formula.read needs this many points with finite values. A round number.
_MIN_POINTS = 100


@dataclass(frozen=True)
class Formula:
    """Formulas for the targets of a model, one SymPy expression each.

    Make one with :meth:`of`.

    Attributes:
        expressions: one for each target, in symbols named like the columns.
        symbols: of the columns, in the model's order.
        feature_names, target_names: the columns.
        splines: edges that stayed splines, by the names they have in the expressions.
        preparation: how the columns were made of those of a table; None where they are these.
    """

    expressions: tuple[sympy.Expr, ...]
    symbols: tuple[sympy.Symbol, ...]
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    splines: Mapping[str, SplineEdge] = field(default_factory=dict, repr=False)
    preparation: Preparation | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        model: KAN,
        data: Dataset | None = None,
        *,
        time_limit: float | None = None,
        sensible: constants.Sensible | None = None,
    ) -> Formula:
        """The formula of a model.

        Args:
            model: its symbolic edges are written out, its splines become named functions.
            data: if given, the formula is simplified: constants are fitted to the training and validation rows and
                replaced by simple values where the error allows. The simplified formula is kept only if its error is
                no larger than that of the original.
            time_limit: seconds after which simplification stops; no limit by default.
            sensible: whether an expression makes sense; of one that does no constant is replaced by a simple value
                with which it does not.

        >>> model = KAN([1, 1], feature_names=["x"], seed=0)
        >>> model.layer(0).set_symbolic({(0, 0): ("x^2", (1.0, 0.0, 3.0, 0.5))})
        >>> print(Formula.of(model))
        3.0*x**2 + 0.5
        """
        import sympy

        symbols = tuple(sympy.Symbol(name, real=True) for name in model.feature_names)
        splines: dict[str, SplineEdge] = {}
        raw = _written_out(model, symbols, splines)
        formula = cls(raw, symbols, model.feature_names, model.target_names, splines, model.preparation)
        if data is None:
            return formula
        return formula._simplified(data, Deadline(time_limit), sensible)

    @classmethod
    def from_expressions(
        cls, expressions: Sequence[sympy.Expr], data: Dataset, splines: Mapping[str, SplineEdge] | None = None
    ) -> Formula:
        """A formula of these expressions, one for each target, in real symbols named like the columns of a table."""
        import sympy

        symbols = tuple(sympy.Symbol(name, real=True) for name in data.feature_names)
        return cls(tuple(expressions), symbols, data.feature_names, data.target_names, splines or {}, data.preparation)

    @classmethod
    def read(cls, model: KAN, *, time_limit: float | None = None) -> Formula:
        """The simplified formula of a model without data: it is simplified on the model's own values.

        The values are those at random points over the range of the inputs. Meant for models whose constants were
        fitted to a simplified formula, as :func:`superpose.discover` does: this gives the same formula.
        """
        generator = torch.Generator().manual_seed(0)
        # More than are used, since the model need not be finite at all of them. A round number.
        shares = torch.rand(4 * _MAX_ROWS, len(model.feature_names), generator=generator, dtype=torch.float64)
        x = model.input_center.double().cpu() + (2 * shares - 1) * model.input_scale.double().cpu()
        with torch.no_grad():
            y = model(x.to(model.input_center.device)).double().cpu()
        kept = torch.isfinite(y).all(-1)
        if int(kept.sum()) < _MIN_POINTS or not bool((y[kept].std(0) > 0).all()):
            return cls.of(model)
        # Without the model's names, of which a column and a target may share one.
        data = Dataset.from_arrays(x[kept], y[kept], test=0.0)
        return cls.of(model, data, time_limit=time_limit)

    def _simplified(self, data: Dataset, deadline: Deadline, sensible: constants.Sensible | None) -> Formula:
        rows = torch.cat([data.train, data.validation])
        rows = rows[evenly(len(rows), _MAX_ROWS)]
        found = []
        splines = dict(self.splines)
        for target, expression in enumerate(self.expressions):
            plain, own = absorb_constants(expression, self.splines)
            splines |= own
            problem = self._constant_fit(data, target, splines, rows, deadline)
            problem.sensible = sensible
            plain = rewrite.without_signs(plain, problem.sign)
            forms = [rewrite.canonical(plain, multiply_out=flat) for flat in (False, True)]
            forms = [form for form in dict.fromkeys(forms) if math.isfinite(problem.error(form))]
            best = constants.simplest(problem, forms) if forms else None
            # All training and validation rows judge, since those in the fit are a sample.
            whole = self._constant_fit(data, target, splines)
            before = whole.error(expression)
            better = best is not None and whole.error(best.expression) <= max(before * _TOLERATED, _EXACT)
            found.append(best.expression if best is not None and better else expression)
        used, names = used_splines(found, splines)
        made = tuple(rewrite.rename_functions(expression, names) for expression in found)
        return replace(self, expressions=made, splines=used)

    def _constant_fit(
        self,
        data: Dataset,
        target: int,
        splines: Mapping[str, SplineEdge],
        rows: Tensor | None = None,
        deadline: Deadline | None = None,
    ) -> constants.ConstantFit:
        """The fit of constants to some rows, by default those of training and validation."""
        rows = torch.cat([data.train, data.validation]) if rows is None else rows
        weights = None if data.weights is None else data.weights[rows] / data.weights[rows].mean()
        return constants.ConstantFit(
            self.symbols, data.features(rows), data.y[rows, target], splines, deadline, weights
        )

    @property
    def expression(self) -> sympy.Expr:
        """The expression of the first target."""
        return self.expressions[0]

    @property
    def complexity(self) -> int:
        """Nodes of the expressions' trees."""
        return sum(rewrite.complexity(expression) for expression in self.expressions)

    def __str__(self) -> str:
        texts = self.texts()
        if len(texts) == 1:
            return texts[0]
        return "\n".join(f"{name} = {text}" for name, text in zip(self.target_names, texts, strict=True))

    # Of the 16 digits of float64, 12 show no rounding: ``0.1`` and not ``0.10000000000000001``.
    def texts(self, digits: int = 12) -> list[str]:
        """The expressions of the targets as text, with this many digits to a number.

        A name is that of a column if there is one, and a name before a bracket is a function's; so where a column is
        called ``pi`` or ``E``, the constant of that name is written as a number. A name with anything but letters,
        digits, underscores and dots stands between backticks.

        >>> import sympy
        >>> pi, x = sympy.Symbol("pi", real=True), sympy.Symbol("a-b", real=True)
        >>> Formula((pi * sympy.sin(sympy.pi * x),), (pi, x), ("pi", "a-b"), ("y",)).texts(6)
        ['pi*sin(3.14159*`a-b`)']
        >>> Formula((2.0 * x**0.49996,), (x,), ("x",), ("y",)).texts(3)
        ['2.0*sqrt(x)']
        >>> Formula((sympy.Float(67.01),), (x,), ("x",), ("y",)).texts()
        ['67.01']
        """
        names = {symbol: _quoted(name) for symbol, name in zip(self.symbols, self.feature_names, strict=True)}
        return [_text(_rounded(self._plain(expression), digits), names) for expression in self.expressions]

    def short(self) -> list[str]:
        """The expressions of the targets as text, with six digits to a number."""
        return self.texts(6)  # enough to read; a round number

    def _plain(self, expression: sympy.Expr) -> sympy.Expr:
        """An expression with constants as numbers where a column has their name."""
        import sympy

        taken = {"π": "pi"}
        names = {taken.get(name, name) for name in self.feature_names}
        # E**u is the function exp, which stays.
        constants = {one for one in expression.atoms(sympy.NumberSymbol) if str(one) in names}
        # 17 digits determine a float64.
        return expression.xreplace({one: sympy.Float(one.evalf(17)) for one in constants})

    def latex(self) -> str:
        """LaTeX source, each target's formula on its own line."""

        names = {symbol: _latex_name(name) for symbol, name in zip(self.symbols, self.feature_names, strict=True)}
        printer = _latex_printer(names, spelt_out="e" in self.feature_names)
        lines = []
        for name, expression in zip(self.target_names, self.expressions, strict=True):
            right = printer.doprint(_rounded(self._plain(expression), 6))  # six digits, as in ``short``
            lines.append(f"{_latex_name(name)} = {right}")
        return " \\\\\n".join(lines)

    def _repr_latex_(self) -> str:
        """What a notebook shows."""
        text = self.latex()
        if len(self.expressions) > 1:
            text = f"\\begin{{gathered}}\n{text}\n\\end{{gathered}}"
        return f"$\\displaystyle {text}$"

    def mathml_trees(self) -> list[mathml.Tree]:
        """MathML of each target's formula as a tree of elements, ``[name, attributes, children...]``."""
        names = dict(zip(self.symbols, self.feature_names, strict=True))
        trees = []
        for name, expression in zip(self.target_names, self.expressions, strict=True):
            right = mathml.mathml_tree(_rounded(self._plain(expression), 6), names)  # six digits, as in ``short``
            trees.append(mathml.equation(name, right))
        return trees

    def mathml(self) -> str:
        """MathML of each target's formula, on its own line.

        >>> import sympy
        >>> x = sympy.Symbol("x", real=True)
        >>> Formula((x / 2,), (x,), ("x",), ("y",)).mathml()
        '<math display="block"><mrow><mi>y</mi><mo>=</mo><mrow><mfrac><mi>x</mi><mn>2</mn></mfrac></mrow></mrow></math>'
        """
        return "\n".join(mathml.markup(tree) for tree in self.mathml_trees())

    def python(self) -> str:
        """Text of a standalone module with ``predict(**columns)`` that needs NumPy only."""
        return numpy_code.module(
            self.expressions, self.symbols, self.feature_names, self.target_names, self.splines, self.meanings
        )

    @property
    def meanings(self) -> Mapping[str, str]:
        """How each column was made of those of a table, in words; none for a column that is one of these."""
        if self.preparation is None:
            return {}
        raw = {column.name for column in self.preparation.columns if column.plain}
        known = self.preparation.meanings
        return {name: known[name] for name in self.feature_names if name in known and name not in raw}

    def torch(self, x: Tensor) -> Tensor:
        """Values ``[N, n_out]`` at ``x [N, n_in]``, differentiable."""
        columns = list(x.unbind(-1))
        values = [torch_function(e, self.symbols, self.splines)(*columns) for e in self.expressions]
        return torch.stack([value.expand(x.shape[:-1]) for value in values], -1)

    def predict(self, table: Any) -> np.ndarray:
        """Values ``[N, n_out]`` for a table, its columns taken by name; see :meth:`superpose.KAN.predict`."""
        with torch.no_grad():
            values: np.ndarray = self.torch(read_features(table, self.feature_names, self.preparation)).numpy()
        return values

    def rmse(self, data: Dataset, split: Split | None = None) -> float:
        """Root mean squared error in the target's units (over all targets); infinite where it is not defined.

        The split is by default the test, or all rows where there is none. Rows count by their weights if they have
        any.
        """
        split = split or data.evaluation_split
        found = data.rmse(values_at(self.torch, data, data.index(split)), split)
        return found if math.isfinite(found) else math.inf

    def r2(self, data: Dataset, split: Split | None = None) -> float:
        """Coefficient of determination, ``1 - rmse**2 / variance`` on the same rows; see :meth:`Dataset.r2`."""
        split = split or data.evaluation_split
        return data.r2(values_at(self.torch, data, data.index(split)), split)

    def constants(self, data: Dataset) -> list[dict[str, float]]:
        """The constants that were fitted, with their standard errors on 20,000 training and validation rows at most.

        Integers, fractions and multiples of pi in a formula are not fitted, and are not listed. The standard errors are
        those of least squares, from the Jacobian at the fitted values and the mean squared residual. They hold if the
        formula is right and the residuals are independent and of equal variance.

        Returns:
            ``{"value": ..., "standard_error": ...}`` of each, target by target, in the order of their size.
        """
        found = []
        for target, expression in enumerate(self.expressions):
            rows = torch.cat([data.train, data.validation])
            problem = self._constant_fit(data, target, self.splines, rows[evenly(len(rows), _MOST_FITTED)])
            errors = problem.standard_errors(expression)
            found += [{"value": value, "standard_error": errors[value]} for value in sorted(errors, key=abs)]
        return found

    def difference(self, model: KAN, x: Tensor) -> float:
        """Root mean squared difference from a network on samples ``x [N, n_in]``, in the target's units."""
        with torch.no_grad():
            return _root_mean_square(self.torch(x) - model(x))


def _root_mean_square(values: Tensor) -> float:
    found = root_mean_square(values)
    return found if math.isfinite(found) else math.inf


def _written_out(
    model: KAN, symbols: tuple[sympy.Symbol, ...], splines: dict[str, SplineEdge]
) -> tuple[sympy.Expr, ...]:
    """Expressions of the outputs in the user's units, constants as floats."""
    import sympy

    def number(value: float) -> sympy.Expr:
        return sympy.Float(value)

    def affine(scale: float, inner: sympy.Expr, shift: float) -> sympy.Expr:
        # Into a sum, but not into products of sums, which stay as they are.
        terms = [number(scale) * term for term in sympy.Add.make_args(inner)]
        return sympy.Add(*terms) + (number(shift) if shift else 0)

    def unit(scale: float, inner: sympy.Expr, shift: float) -> sympy.Expr:
        """As ``affine``, with scales of one and shifts of zero left out."""
        return inner if scale == 1 and shift == 0 else affine(scale, inner, shift)

    centers, scales = model.input_center.tolist(), model.input_scale.tolist()
    nodes = [unit(1 / s, x, -c / s) for x, c, s in zip(symbols, centers, scales, strict=True)]
    for n, layer in enumerate(model.kan_layers()):
        table, rows = layer.symbolic_table(), layer.rows().detach()
        sums: list[list[sympy.Expr]] = [[] for _ in range(layer.sum_count)]
        for i, o in torch.nonzero(layer.mask).tolist():
            if (i, o) in table:
                _, (a, b, c, d) = table[i, o]
                function = layer.symbolic.functions[layer.symbolic.edges.index((i, o))] if layer.symbolic else None
                assert function is not None
                value = number(c) * function.at(affine(a, nodes[i], b)) + number(d)
                if function.name == "x":
                    value = affine(c * a, nodes[i], c * b + d)
                elif function.name == "0":
                    value = number(d)
            else:
                made = SplineEdge(f"spline_{n}_{i}_{o}", layer.knots[i], rows[i, :, o], layer.degree, layer.base)
                splines[made.name] = made
                value = sympy.Function(made.name, real=True)(nodes[i])
            # A root of a negative constant, for example: neither the network nor its formula has a value there.
            sums[o].append(sympy.nan if value.has(sympy.I) else value)
        factors: list[list[sympy.Expr]] = [[] for _ in range(layer.out_features)]
        for owner, parts in zip(layer.owners, sums, strict=True):
            factors[owner].append(sympy.Add(*parts))
        nodes = [sympy.Mul(*parts) for parts in factors]
    outputs = zip(nodes, model.output_center.tolist(), model.output_scale.tolist(), strict=True)
    return tuple(unit(scale, node, center) for node, center, scale in outputs)


def _rounded(expression: sympy.Expr, digits: int = 12) -> sympy.Expr:  # as in :meth:`Formula.texts`
    """The expression with floats of this many digits, and powers of 0.5 as roots, for reading."""
    import sympy

    rounded = expression.xreplace(
        {number: sympy.Float(float(number), digits) for number in expression.atoms(sympy.Float)}
    )
    return rounded.replace(
        lambda part: part.is_Pow and part.exp.is_Float and f"{abs(float(part.exp)):.{digits}g}" == "0.5",
        lambda part: sympy.Pow(part.base, sympy.Rational(1, 2) if part.exp > 0 else -sympy.Rational(1, 2)),
    )


def _text(expression: sympy.Expr, names: Mapping[sympy.Symbol, str]) -> str:
    """An expression as text, its symbols under these names."""
    from sympy.printing.str import StrPrinter

    class Printer(StrPrinter):  # type: ignore[misc]
        def _print_Symbol(self, symbol: sympy.Symbol) -> str:
            return names.get(symbol, symbol.name)

    text: str = Printer({"full_prec": False}).doprint(expression)
    return text


def _quoted(name: str) -> str:
    """A column's name in text: between backticks, as in pandas and SQL, if it could be read as anything else.

    >>> _quoted("Solar.R"), _quoted("a-b"), _quoted("2"), _quoted("x`")
    ('Solar.R', '`a-b`', '`2`', '`x```')
    """
    plain = bool(name) and all(part.isidentifier() for part in name.split("."))
    return name if plain else "`" + name.replace("`", "``") + "`"


def _latex_printer(names: Mapping[sympy.Symbol, str], *, spelt_out: bool) -> Any:
    """A printer of LaTeX with these names of symbols; the exponential as exp if ``spelt_out``, else as a power of e."""
    from sympy.printing.latex import LatexPrinter

    class Printer(LatexPrinter):  # type: ignore[misc]
        def _print_Function(self, expression: Any, exp: Any = None) -> str:
            # The curve of an edge; SymPy would write its indices without commas.
            name = str(expression.func)
            text: str
            if not name.startswith("spline_"):
                text = super()._print_Function(expression, exp)
                return text
            index = name.removeprefix("spline_").replace("_", ",")
            text = rf"\varphi_{{{index}}}\left({self._print(expression.args[0])} \right)"
            return text if exp is None else rf"{text}^{{{exp}}}"

        def _print_ExpBase(self, expression: Any, exp: Any = None) -> str:
            text: str
            if not spelt_out:
                text = super()._print_ExpBase(expression, exp)
                return text
            text = rf"\exp{{\left({self._print(expression.args[0])} \right)}}"
            return text if exp is None else rf"{text}^{{{exp}}}"

    # Names of several letters side by side would read as one.
    long = any(name.startswith(_UPRIGHT) for name in names.values())
    return Printer({"symbol_names": dict(names), "mul_symbol": "dot" if long else None})


def _latex_name(name: str) -> str:
    """A column's name in LaTeX: single letters in italics, anything else upright, every special character escaped."""
    if len(name) == 1 and name.isalpha():
        return name
    special = {"\\": r"\backslash ", "^": r"\hat{}", "~": r"\sim ", " ": r"\ "}
    escaped = "".join(special.get(c, "\\" + c if c in "_{}%$#&" else c) for c in name)
    return f"{_UPRIGHT}{{{escaped}}}"


_UPRIGHT = r"\mathrm"
