"""A formula as code of a programming language, a spreadsheet or a query.

Names of columns and targets are data: they become identifiers, and stand as they are in comments and quoted names only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from superpose.choices import LANGUAGES
from superpose.errors import OptionError
from superpose.export.identifiers import identifiers
from superpose.export.printers import literal, printed
from superpose.export.reserved_words import RESERVED
from superpose.export.tables import PolynomialTable, edge_table
from superpose.export.templates import TEMPLATES, Program
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.expressions.splines import SplineEdge
from superpose.messages import counted, nearest


def code(formula: Formula, language: str) -> str:
    """A formula as code.

    The values are those of :meth:`superpose.Formula.predict` to rounding. Identifiers are made of the names of the
    columns, and comments say which stands for which.

    Args:
        formula: any; edges that stayed splines are written out as functions, except in Excel and SQL.
        language: one of ``superpose.export.LANGUAGES``. ``"python"`` needs the standard library only, ``"numpy"`` takes
            arrays by the names of the columns, ``"torch"`` has a ``torch.nn.Module``, ``"c"`` is C99, ``"matlab"`` runs
            in Octave too, ``"excel"`` reads the columns from the cells A2, B2, ..., and ``"sql"`` is a query of the
            table ``observations``.

    Raises:
        OptionError: for an unknown language, and for a function that the language does not have.

    >>> import sympy, torch
    >>> from superpose import Dataset
    >>> x = torch.linspace(1, 2, 20, dtype=torch.float64)[:, None]
    >>> data = Dataset.from_arrays(x, x, feature_names=["flow rate"], target_names=["f"])
    >>> rate = sympy.Symbol("flow rate", real=True)
    >>> print(code(Formula.from_expressions([sympy.exp(-rate) / 3], data), "excel"))
    ' A2 = "flow rate"
    ' the next cell = "f"
    =0.3333333333333333*EXP(-A2)
    <BLANKLINE>
    """
    if language not in LANGUAGES:
        raise OptionError(
            f"language must be one of {', '.join(LANGUAGES)}, not {language!r}{nearest(str(language), LANGUAGES)}"
        )
    if language == "text":
        return f"{formula}\n"
    if language == "latex":
        return f"{formula.latex()}\n"
    if language == "numpy":
        return formula.python()
    if language == "sympy":
        import sympy

        return "".join(f"{sympy.srepr(expression)}\n" for expression in formula.expressions)
    return TEMPLATES[language](_program(formula, language))


def _program(formula: Formula, language: str) -> Program:
    splines = list(formula.splines.values())
    if splines and language in ("excel", "sql"):
        raise OptionError(
            f"{counted(len(splines), 'edge')} of the formula stayed a spline, which {language} cannot hold; choose "
            "python, c, javascript, julia, matlab, numpy or torch"
        )
    places = range(len(formula.symbols))
    if language == "excel":
        arguments = [f"{_column_letters(n)}2" for n in places]
    elif language == "sql":
        # Every dialect has words of its own that no name may be.
        arguments = [f"x{n + 1}" for n in places]
    else:
        arguments = identifiers(formula.feature_names, (*RESERVED[language], *formula.splines))
    functions = [f"predict_{name}" for name in identifiers(formula.target_names)]
    names = dict(zip(formula.symbols, arguments, strict=True))
    # The names of splines in a formula are made by this package, so they are identifiers already.
    pattern = "arrayfun(@{}, {{}})" if language == "matlab" else "{}({{}})"
    known = {name: pattern.format(name) for name in formula.splines}
    codes = [printed(expression, language, names, known) for expression in formula.expressions]
    written = [_spline_function(edge, name, language) for name, edge in formula.splines.items()]
    return Program(formula.feature_names, formula.target_names, arguments, functions, codes, written)


def _column_letters(index: int) -> str:
    """The letters of a column of a spreadsheet.

    >>> _column_letters(0), _column_letters(25), _column_letters(26), _column_letters(702)
    ('A', 'Z', 'AA', 'AAA')
    """
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


# Head, one line for each interval, and end of a function that is a spline, with the exponential of each language.
_SPLINE_TEMPLATES: Mapping[str, tuple[str, str, str, str]] = {
    "python": ("def {name}(x):\n", "    if x < {end}:\n        return {value}\n", "    return {value}\n", "_exp"),
    "c": (
        "static double {name}(double x)\n{{\n",
        "    if (x < {end}) return {value};\n",
        "    return {value};\n}}\n",
        "exp",
    ),
    "javascript": (
        "function {name}(x) {{\n",
        "  if (x < {end}) return {value};\n",
        "  return {value};\n}}\n",
        "Math.exp",
    ),
    "julia": ("function {name}(x)\n", "    x < {end} && return {value}\n", "    return {value}\nend\n", "exp"),
    "matlab": (
        "function y = {name}(x)\n  ",
        "if x < {end}\n    y = {value};\n  else",
        "\n    y = {value};\n  end\nend\n",
        "exp",
    ),
}


def _spline_function(edge: SplineEdge, name: str, language: str) -> str:
    """A function that finds the interval of ``x`` and evaluates its polynomial by Horner's rule."""
    table, silu = edge_table(edge)
    if language == "torch":
        return _torch_spline(table, name, silu)
    head, inner, last, exponential = _SPLINE_TEMPLATES[language]
    base = f" + {literal(silu)}*x/(1.0 + {exponential}(-x))" if silu else ""
    text = head.format(name=name)
    # The last interval holds its right end too, so the straight line after it begins at the next larger number.
    ends = [*table.ends[:-1].tolist(), math.nextafter(float(table.ends[-1]), math.inf)]
    for piece, (centre, scale) in enumerate(zip(table.centres.tolist(), table.scales.tolist(), strict=True)):
        numbers = table.coefficients[piece, 0].tolist()
        t = f"((x - ({literal(centre)}))*{literal(scale)})"
        value = literal(numbers[-1])
        for number in reversed(numbers[:-1]):
            value = f"({value}*{t} + {literal(number)})"
        value += base
        text += inner.format(end=literal(ends[piece]), value=value) if piece < len(ends) else last.format(value=value)
    return text


def _torch_spline(table: PolynomialTable, name: str, silu: float) -> str:
    """The same for tensors: each element with the numbers of its interval."""
    # As in a function of numbers the last interval holds its right end.
    ends = [*table.ends[:-1].tolist(), math.nextafter(float(table.ends[-1]), math.inf)]
    rows = zip(table.centres.tolist(), table.scales.tolist(), table.coefficients[:, 0].tolist(), strict=True)
    numbers = ",\n".join(
        f"        ({', '.join(literal(one) for one in (centre, scale, *row))})" for centre, scale, row in rows
    )
    base = f" + {literal(silu)}*x*torch.sigmoid(x)" if silu else ""
    return (
        f"def {name}(x):\n"
        "    # Of each interval its middle, one over half its width, and coefficients of 1, t, t**2, ...\n"
        f"    table = torch.tensor((\n{numbers},\n    ), dtype=x.dtype, device=x.device)\n"
        f"    ends = torch.tensor(({', '.join(map(literal, ends))},), dtype=x.dtype, device=x.device)\n"
        "    own = table[torch.bucketize(x.detach().contiguous(), ends, right=True)]\n"
        "    t = (x - own[..., 0])*own[..., 1]\n    value = own[..., -1]\n"
        "    for power in range(own.shape[-1] - 2, 1, -1):\n        value = value*t + own[..., power]\n"
        f"    return value{base}\n"
    )
