"""Laws with every function of the library, and runners of their code."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import json
import math
import re
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sympy
import torch
from torch import Tensor

from superpose.formulas import Formula

DOUBLE = torch.float64
# Words of languages, names that differ in one character only, and attempts to end a comment or a string.
COLUMNS = (
    "flow rate",
    "flow-rate",
    'class"; DROP TABLE observations; --',
    "*/ abort(); /*",
    "pi",
    "# -*- coding: utf-16 -*-\nimport os\\",
)
A, B, C, D, E, F = (sympy.Symbol(name, real=True) for name in COLUMNS)
LAWS: tuple[sympy.Expr, ...] = (
    2 * A + B**2 - sympy.Rational(1, 3) * C**3,
    A**5 / B**4 - C**-3,
    sympy.sqrt(sympy.Abs(D)) + sympy.sqrt(B),
    1 / sympy.sqrt(B) + A ** sympy.Rational(3, 2),
    sympy.sign(D) * sympy.Abs(D) ** sympy.Rational(1, 3),
    sympy.exp(-A / (B + 1)) * sympy.pi,
    sympy.log(A + sympy.E) - sympy.log(B),
    sympy.sin(sympy.pi * D) + sympy.cos(2 * E),
    sympy.tan(D / 2) * sympy.tanh(E),
    sympy.asin(D / 4) - sympy.acos(E / 4),
    sympy.atan(D * E) + sympy.atanh(D / 4),
    sympy.cosh(D) - sympy.sinh(E),
    sympy.exp(-(D**2)) / (1 + sympy.exp(-E)),
    sympy.Float("6.02214076e23") * A - sympy.Float("1.380649e-23") * B,
    sympy.Float("1e-300") * C + sympy.Float(-0.5) * D,
    sympy.Abs(D - E) * sympy.sign(E),
    2**D * A**B,
    A ** sympy.Float(-1.7) * B ** sympy.Rational(-2, 3),
    -D / (B * C) - 10**12 / C + F,
    (D - (E - F)) / -((A + 1) ** 2),
    sympy.asinh(D) + sympy.acosh(B + 1),
    sympy.log(D) + sympy.sqrt(E),
)


def rows(count: int = 50) -> Tensor:
    """Rows ``[count, 6]``: the first three columns positive, the others of both signs."""
    x = 0.2 + 2 * torch.rand(count, 6, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    x[:, 3:] = (x[:, 3:] - 1.2) * 2
    return x


def formula_of(expressions: Sequence[sympy.Expr], names: Sequence[str] = COLUMNS) -> Formula:
    targets = tuple(f"law {n}" for n in range(len(expressions)))
    symbols = tuple(sympy.Symbol(name, real=True) for name in names)
    return Formula(tuple(expressions), symbols, tuple(names), targets)


_numbers = itertools.count()


def imported(text: str, folder: Path, allowed: set[str]) -> Any:
    """A module from a file of this text; it may import these packages and nothing else."""
    found = {
        alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert found <= allowed
    name = f"exported_{next(_numbers)}"
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_python(text: str, x: np.ndarray, targets: int, folder: Path) -> np.ndarray:
    module = imported(text, folder, {"math"})
    functions = [getattr(module, f"predict_law_{n}") for n in range(targets)]
    return np.array([[function(*row) for function in functions] for row in x.tolist()])


def run_torch(text: str, x: np.ndarray, targets: int, folder: Path) -> np.ndarray:
    module = imported(text, folder, {"math", "torch"})
    values: np.ndarray = module.Formula()(torch.from_numpy(x)).numpy()
    assert values.shape == (len(x), targets)
    columns = torch.from_numpy(x).unbind(-1)
    for n in range(targets):
        np.testing.assert_array_equal(
            torch.as_tensor(getattr(module, f"predict_law_{n}")(*columns)).expand(len(x)), values[:, n]
        )
    return values


def compiled(sources: Sequence[Path], folder: Path) -> Path:
    """The program that gcc makes of C99 files, every warning an error."""
    program = folder / "program"
    flags = ["-std=c99", "-O1", "-Wall", "-Wextra", "-pedantic", "-Werror", "-Wno-trigraphs"]
    done = subprocess.run(
        ["gcc", *flags, "-o", str(program), *map(str, sources), "-lm"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return program


def run_c(text: str, x: np.ndarray, targets: int, folder: Path) -> np.ndarray:
    width = x.shape[1]
    arguments = ", ".join(f"x[{n}]" for n in range(width))
    calls = "".join(f'        printf("%.17g ", predict_law_{n}({arguments}));\n' for n in range(targets))
    reads = " && ".join(f'scanf("%lf", &x[{n}]) == 1' for n in range(width))
    main = f"\n#include <stdio.h>\nint main(void)\n{{\n    double x[{width}];\n    while ({reads}) {{\n{calls}    }}\n"
    (folder / "formula.c").write_text(text + main + "    return 0;\n}\n", encoding="utf-8")
    program = compiled([folder / "formula.c"], folder)
    rows_text = "\n".join(" ".join(map(repr, row)) for row in x.tolist())
    done = subprocess.run([str(program)], input=rows_text, capture_output=True, text=True, check=True)
    return np.array([float(word) for word in done.stdout.split()]).reshape(len(x), targets)


def run_javascript(text: str, x: np.ndarray, targets: int, folder: Path) -> np.ndarray:
    (folder / "formula.js").write_text(text, encoding="utf-8")
    (folder / "main.js").write_text(
        'const formula = require("./formula.js");\n'
        f"const names = Array.from({{ length: {targets} }}, (_, n) => `predict_law_${{n}}`);\n"
        f"for (const row of {json.dumps(x.tolist())})\n"
        '  console.log(names.map((name) => String(formula[name](...row))).join(" "));\n'
    )
    done = subprocess.run(["node", "main.js"], capture_output=True, text=True, check=True, cwd=folder, timeout=60)
    return np.array(
        [[float(word.replace("Infinity", "inf")) for word in line.split()] for line in done.stdout.splitlines()]
    )


def run_octave(text: str, x: np.ndarray, targets: int, folder: Path) -> np.ndarray:
    (folder / "predict.m").write_text(text)
    columns = ", ".join(f"x(:,{n + 1})" for n in range(x.shape[1]))
    script = f"x = {json.dumps(x.tolist()).replace('], [', '; ')[1:-1]};\n[y{{1:{targets}}}] = predict({columns});\n"
    script += "y = [y{:}]; printf('%.17g ', y');"
    done = subprocess.run(["octave", "-qf", "--eval", script], capture_output=True, text=True, check=True, cwd=folder)
    return np.array([float(word) for word in done.stdout.split()]).reshape(len(x), targets)


# Not every build of SQLite has them, so that they are registered.
_SQL_FUNCTIONS = (
    *("exp", "sin", "cos", "tan", "asin", "acos", "atan", "sqrt", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
)


def run_sql(text: str, x: np.ndarray, targets: int, folder: Path, names: Sequence[str] = COLUMNS) -> np.ndarray:
    with sqlite3.connect(":memory:") as base:
        functions: dict[str, Callable[[float], float]] = {
            **{
                name.upper(): getattr(math, name)
                for name in ("exp", "sin", "cos", "tan", "asin", "acos", "atan", "sqrt")
            },
            **{name.upper(): getattr(math, name) for name in ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh")},
            "LN": math.log,
            "SIGN": lambda value: float(np.sign(value)),
        }
        for name, function in functions.items():
            base.create_function(name, 1, _or_null(function))
        base.create_function("POWER", 2, _or_null(math.pow))
        quoted = ['"' + name.replace('"', '""') + '"' for name in names]
        base.execute(f"CREATE TABLE observations ({', '.join(quoted)})")
        base.executemany(f"INSERT INTO observations VALUES ({', '.join('?' * len(names))})", x.tolist())
        found = base.execute(text).fetchall()
    return np.array([[math.nan if value is None else value for value in row] for row in found])


def _or_null(function: Callable[..., float]) -> Callable[..., float | None]:
    def call(*values: float | None) -> float | None:
        try:
            return None if None in values else function(*values)
        except (ValueError, OverflowError):
            return None

    return call


def run_excel(text: str, x: np.ndarray, targets: int, folder: Path) -> np.ndarray:
    lines = [line for line in text.splitlines() if not line.startswith("'")]
    assert len(lines) == targets and all(line.startswith("=") for line in lines)
    cells = [{f"{chr(65 + n)}2": value for n, value in enumerate(row)} for row in x.tolist()]
    return np.array([[_Cell(line[1:], row).value() for line in lines] for row in cells])


class _Cell:
    """A formula of a spreadsheet, evaluated: an unary minus binds before everything else, as it does in Excel."""

    def __init__(self, text: str, cells: dict[str, float]) -> None:
        self.tokens = re.findall(r"[\d.]+(?:[eE][+-]?\d+)?|[A-Z]+\d*|<>|<=|>=|[-+*/^(),<>=]", text)
        assert "".join(self.tokens) == text.replace(" ", "")
        self.cells = cells

    def value(self) -> float:
        with np.errstate(all="ignore"):
            found = float(self.compared())
        assert not self.tokens
        return found

    def take(self, *words: str) -> str | None:
        return self.tokens.pop(0) if self.tokens and self.tokens[0] in words else None

    def compared(self) -> Any:
        left = self.sum()
        while sign := self.take("<", ">", "<=", ">=", "=", "<>"):
            right = self.sum()
            compare = {"<": np.less, ">": np.greater, "<=": np.less_equal, ">=": np.greater_equal, "=": np.equal}
            left = compare.get(sign, np.not_equal)(left, right)
        return left

    def sum(self) -> Any:
        left = self.product()
        while sign := self.take("+", "-"):
            left = left + self.product() if sign == "+" else left - self.product()
        return left

    def product(self) -> Any:
        left = self.signed()
        while sign := self.take("*", "/"):
            left = left * self.signed() if sign == "*" else left / self.signed()
        return left

    def signed(self) -> Any:
        # The only powers are POWER(x, y).
        return -self.signed() if self.take("-") else self.atom()

    def atom(self) -> Any:
        word = self.tokens.pop(0)
        if word == "(":
            inner = self.compared()
            assert self.take(")")
            return inner
        if word in self.cells:
            return np.float64(self.cells[word])
        if not word[0].isalpha():
            return np.float64(word)
        assert self.take("(")
        values = [] if self.take(")") else [self.compared()]
        while values and self.take(","):
            values.append(self.compared())
        assert not values or self.take(")")
        return _EXCEL[word](*values)


_EXCEL: dict[str, Callable[..., Any]] = {
    **{name: getattr(np, name.lower()) for name in ("EXP", "SIN", "COS", "TAN", "SQRT", "ABS", "SIGN", "TANH")},
    **{"ASIN": np.arcsin, "ACOS": np.arccos, "ATAN": np.arctan, "SINH": np.sinh, "COSH": np.cosh},
    **{"ASINH": np.arcsinh, "ACOSH": np.arccosh, "ATANH": np.arctanh, "LN": np.log, "POWER": np.power},
    "PI": lambda: np.pi,
    "NA": lambda: np.nan,
    "IF": lambda condition, a, b: a if condition else b,
    "AND": lambda *parts: all(parts),
    "OR": lambda *parts: any(parts),
    "NOT": lambda one: not one,
}

RUNNERS: dict[str, Callable[..., np.ndarray]] = {
    "python": run_python,
    "torch": run_torch,
    "c": run_c,
    "javascript": run_javascript,
    "matlab": run_octave,
    "excel": run_excel,
    "sql": run_sql,
}
PROGRAMS = {"c": "gcc", "javascript": "node", "matlab": "octave"}
