"""Files of code around the expressions of a formula, one template for each language."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from superpose.export.identifiers import comment_text, identifiers
from superpose.export.reserved_words import RESERVED


@dataclass(frozen=True)
class Program:
    """A formula as the templates need it.

    Attributes:
        columns, targets: the names as they were.
        arguments, functions: the identifiers for them.
        codes: the code of each target.
        splines: the code of the functions that are splines.
    """

    columns: tuple[str, ...]
    targets: tuple[str, ...]
    arguments: list[str]
    functions: list[str]
    codes: list[str]
    splines: list[str]

    def mapping(self, comment: str) -> str:
        """Comment lines that say which identifier stands for which name."""
        pairs = [*zip(self.arguments, self.columns, strict=True), *zip(self.functions, self.targets, strict=True)]
        return _mapping(comment, pairs)


def _mapping(comment: str, pairs: list[tuple[str, str]]) -> str:
    return "".join(f"{comment} {identifier} = {comment_text(name)}\n" for identifier, name in pairs)


# Python raises an error where other languages give NaN or an infinity. Those that a formula needs stand before it.
_PYTHON_HELPERS = {
    "_defined": '''
def _defined(function, x):
    """A function of the module math, with NaN outside its domain and infinities beyond the largest number."""
    try:
        return function(x)
    except ValueError:
        if function is math.atanh and abs(x) == 1:
            return math.copysign(math.inf, x)
        return -math.inf if function is math.log and x == 0 else math.nan
    except OverflowError:
        return math.copysign(math.inf, x) if function is math.sinh else math.inf
''',
    "_exp": """
def _exp(x):
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf
""",
    "_power": '''
def _power(x, y):
    """x to the power of y; NaN where that is not real."""
    try:
        return math.pow(x, y)
    except ValueError:
        return math.inf if x == 0 else math.nan
    except OverflowError:
        return -math.inf if x < 0 and y % 2 == 1 else math.inf
''',
    "_sign": """
def _sign(x):
    return x if x == 0 or x != x else math.copysign(1.0, x)
""",
    "_divide": """
def _divide(x, y):
    try:
        return x / y
    except ZeroDivisionError:
        return math.nan if x == 0 or x != x else math.copysign(math.inf, x) * math.copysign(1.0, y)
""",
}


def _definitions(program: Program) -> str:
    """The splines and the functions, in Python."""
    arguments = ", ".join(program.arguments)
    body = "".join(f"\n\n{spline}" for spline in program.splines)
    for name, value in zip(program.functions, program.codes, strict=True):
        body += f"\n\ndef {name}({arguments}):\n    return {value}\n"
    return body


def _python(program: Program) -> str:
    # The first two lines could name the encoding of the file, so no name of a column stands there.
    text = '"""A formula that superpose wrote; it needs the standard library only."""\n\nimport math\n\n'
    body = _definitions(program)
    helpers = "".join(f"\n{helper}" for name, helper in _PYTHON_HELPERS.items() if f"{name}(" in body)
    return text + program.mapping("#") + helpers + body


# torch.where keeps the digits of two numbers only where they are tensors of float64.
_TORCH_CHOICE = """
def _choose(condition, then, otherwise):
    parts = (torch.as_tensor(one, dtype=None if torch.is_tensor(one) else torch.float64) for one in (then, otherwise))
    return torch.where(torch.as_tensor(condition), *parts)
"""
_TORCH_MODULE = '''

class Formula(torch.nn.Module):
    """Values [..., {targets}] of the functions above, at their columns [..., {columns}]."""

    def forward(self, x):
        columns = x.unbind(-1)
        values = [{calls}]
        values = [torch.as_tensor(one, dtype=x.dtype, device=x.device).expand(x.shape[:-1]) for one in values]
        return torch.stack(values, -1)
'''


def _torch(program: Program) -> str:
    text = '"""A formula that superpose wrote; it needs torch only."""\n\nimport math\n\nimport torch\n\n'
    body = _definitions(program)
    choice = f"\n{_TORCH_CHOICE}" if "_choose(" in body else ""
    calls = ", ".join(f"{name}(*columns)" for name in program.functions)
    module = _TORCH_MODULE.format(targets=len(program.targets), columns=len(program.columns), calls=calls)
    return text + program.mapping("#") + choice + body + module


def _c(program: Program) -> str:
    arguments = ", ".join(f"double {name}" for name in program.arguments)
    text = "/* A formula that superpose wrote, in C99; link it with the library of mathematics (-lm). */\n\n"
    text += "#include <math.h>\n\n" + program.mapping("//")
    if any("sign_of(" in body for body in program.codes):
        text += "\nstatic double sign_of(double x)\n{\n    return x > 0 ? 1.0 : x < 0 ? -1.0 : x;\n}\n"
    text += "".join(f"\n{spline}" for spline in program.splines)
    for name, body in zip(program.functions, program.codes, strict=True):
        # Every function takes all columns, and compilers warn of those that are not used.
        unused = [own for own in program.arguments if not re.search(rf"\b{own}\b", body)]
        ignored = "".join(f"    (void){own};\n" for own in unused)
        text += f"\ndouble {name}({arguments})\n{{\n{ignored}    return {body};\n}}\n"
    return text


def _javascript(program: Program) -> str:
    arguments, names = ", ".join(program.arguments), ", ".join(program.functions)
    text = "// A formula that superpose wrote.\n" + program.mapping("//")
    text += "".join(f"\n{spline}" for spline in program.splines)
    for name, body in zip(program.functions, program.codes, strict=True):
        text += f"\nfunction {name}({arguments}) {{\n  return {body};\n}}\n"
    return text + f'\nif (typeof module !== "undefined") module.exports = {{ {names} }};\n'


def _julia(program: Program) -> str:
    text = "# A formula that superpose wrote. For arrays call its functions with a dot: f.(x).\n" + program.mapping("#")
    text += (
        "\n# NaN outside the domain of a function, where Julia throws an error.\n"
        "function defined(f, x...)\n    try\n        return f(float.(x)...)\n    catch error\n"
        "        error isa DomainError || rethrow()\n        return NaN\n    end\nend\n"
    )
    text += "".join(f"\n{spline}" for spline in program.splines)
    for name, body in zip(program.functions, program.codes, strict=True):
        text += f"\nfunction {name}({', '.join(program.arguments)})\n    return {body}\nend\n"
    return text


def _matlab(program: Program) -> str:
    arguments = ", ".join(program.arguments)
    results = identifiers(program.targets, (*RESERVED["matlab"], *program.arguments))
    pairs = zip([*program.arguments, *results], [*program.columns, *program.targets], strict=True)
    text = f"function [{', '.join(results)}] = predict({arguments})\n"
    text += "% A formula that superpose wrote, for MATLAB and Octave: a file predict.m. It takes numbers or arrays.\n"
    text += _mapping("%", list(pairs))
    text += "".join(f"  {name} = {body};\n" for name, body in zip(results, program.codes, strict=True)) + "end\n"
    text += (
        "\nfunction y = defined(z)\n  % NaN where a power, a root or a logarithm is not real.\n"
        "  y = real(z);\n  y(imag(z) ~= 0) = NaN;\nend\n"
        "\nfunction y = choose(condition, a, b)\n"
        "  zero = zeros(size(condition + a + b));\n  condition = (condition + zero) ~= 0;\n"
        "  y = b + zero;\n  a = a + zero;\n  y(condition) = a(condition);\nend\n"
    )
    return text + "".join(f"\n{spline}" for spline in program.splines)


def _excel(program: Program) -> str:
    # An apostrophe first makes a cell of a spreadsheet a text, whatever follows.
    text = _mapping("'", list(zip(program.arguments, program.columns, strict=True)))
    for target, body in zip(program.targets, program.codes, strict=True):
        text += _mapping("'", [("the next cell", target)]) + f"={body}\n"
    return text


def _sql(program: Program) -> str:
    def quoted(name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    # As floating-point numbers, since a quotient of whole ones would be cut off.
    inner = [
        f"CAST({quoted(name)} AS DOUBLE PRECISION) AS {own}"
        for name, own in zip(program.columns, program.arguments, strict=True)
    ]
    outer = [f"{body} AS {quoted(name)}" for name, body in zip(program.targets, program.codes, strict=True)]
    lines = ",\n  ".join(outer), ",\n    ".join(inner)
    return (
        "-- A formula that superpose wrote, as a query of the table observations.\n"
        f"SELECT\n  {lines[0]}\nFROM (\n  SELECT\n    {lines[1]}\n  FROM observations\n) AS inputs;\n"
    )


TEMPLATES: Mapping[str, Callable[[Program], str]] = {
    "python": _python,
    "torch": _torch,
    "c": _c,
    "javascript": _javascript,
    "julia": _julia,
    "matlab": _matlab,
    "excel": _excel,
    "sql": _sql,
}
