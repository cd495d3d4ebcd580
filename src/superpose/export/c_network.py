"""A network as a pair of C99 files with constant tables, for programs and microcontrollers."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from superpose.errors import OptionError
from superpose.export.identifiers import comment_text
from superpose.export.printers import literal, printed
from superpose.export.tables import LayerTable, NetworkTable, SymbolicEntry, cut_points, network_table
from superpose.nn.likelihood import GAUSSIAN_EDGE, Head
from superpose.nn.model import KAN
from superpose.nn.symbolic_functions import argument

# Numbers to a line; a round number.
_PER_LINE = 5
PRECISIONS = ("double", "float")


@dataclass(frozen=True)
class _Writer:
    """The name and the numbers of the files."""

    name: str
    precision: str

    @property
    def suffix(self) -> str:
        return "f" if self.precision == "float" else ""

    @property
    def language(self) -> str:
        return "c_float" if self.suffix else "c"

    def number(self, value: float) -> str:
        return literal(float(np.float32(value)) if self.suffix else value) + self.suffix

    def array(self, name: str, values: np.ndarray, kind: str = "real") -> str:
        flat = values.ravel().tolist()
        numbers = [self.number(value) if kind == "real" else str(value) for value in flat]
        lines = [", ".join(numbers[start : start + _PER_LINE]) for start in range(0, len(numbers), _PER_LINE)]
        body = "".join(f"\n    {line}," for line in lines)
        return f"static const {kind} {name}[{len(flat)}] = {{{body}\n}};\n"


def c99(model: KAN, *, name: str = "network", precision: str = "double") -> dict[str, str]:
    """A network as C99: the texts of ``NAME.h`` and ``NAME.c``.

    The files hold constant tables and ``void NAME_predict(const real x[], real y[])`` in the user's units, and for a
    classifier ``NAME_probabilities``, ``NAME_class`` and the names of the classes. They need ``math.h`` only, reserve
    no memory, and write to the stack and to ``y``.

    Args:
        model: any, with splines, symbolic edges, products and a head.
        name: of the files and the prefix of what they define, an identifier.
        precision: ``"double"``, or ``"float"`` for processors that compute in single precision.

    Returns:
        The texts by the names of the files.

    Raises:
        OptionError: for a name that is no identifier, an unknown precision, and a model that holds a NaN or a
            registered function for which there is no C code.

    >>> sorted(c99(KAN([2, 3, 1]), name="curve"))
    ['curve.c', 'curve.h']
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", name):
        raise OptionError(f"name must be a letter and up to 30 letters, digits and underscores, not {name!r}")
    if precision not in PRECISIONS:
        raise OptionError(f"precision must be double or float, not {precision!r}")
    table, writer = network_table(model), _Writer(name, precision)
    return {f"{name}.h": _header(table, writer), f"{name}.c": _source(table, writer)}


def _header(table: NetworkTable, writer: _Writer) -> str:
    name, guard = writer.name, f"{writer.name.upper()}_H"
    inputs, outputs = len(table.feature_names), len(table.target_names)
    columns = "".join(f"// x[{n}] = {comment_text(column)}\n" for n, column in enumerate(table.feature_names))
    columns += "".join(f"// y[{n}] = {comment_text(target)}\n" for n, target in enumerate(table.target_names))
    text = f"/* A Kolmogorov-Arnold network that superpose wrote, in C99; it needs math.h only. */\n\n#ifndef {guard}\n"
    text += f'#define {guard}\n\n#ifdef __cplusplus\nextern "C" {{\n#endif\n\n#define {name.upper()}_INPUTS {inputs}\n'
    text += f"#define {name.upper()}_OUTPUTS {outputs}\ntypedef {writer.precision} {name}_real;\n\n{columns}"
    text += f"void {name}_predict(const {name}_real x[{inputs}], {name}_real y[{outputs}]);\n"
    if table.head is not None:
        count = len(table.head.classes)
        text += (
            f"\n#define {name.upper()}_CLASSES {count}\n"
            f"extern const char *const {name}_classes[{count}];\n"
            f"/* Probabilities p of the classes. */\n"
            f"void {name}_probabilities(const {name}_real x[{inputs}], {name}_real p[{count}]);\n"
            f"/* Index of the most probable class, -1 where a score is NaN. */\n"
            f"int {name}_class(const {name}_real x[{inputs}]);\n"
        )
    return f"{text}\n#ifdef __cplusplus\n}}\n#endif\n\n#endif\n"


_CURVES = """
/* Adds the curves of one input: polynomials in (x - centre)*scale between the ends, straight lines outside. */
typedef struct {
    const real *ends, *centres, *scales, *coefficients;
    const int *sums;
    int intervals, curves, terms;
} grid;

static void add_curves(const grid *table, real x, real *sums)
{
    int low = 0, high = table->intervals, piece, n, k;
    real t;
    /* As many of the ends, but for the last, as are at or below x. */
    while (low < high) {
        const int middle = (low + high)/2;
        if (table->ends[middle] <= x) low = middle + 1;
        else high = middle;
    }
    piece = low + (x > table->ends[table->intervals]);
    t = (x - table->centres[piece])*table->scales[piece];
    for (n = 0; n < table->curves; n++) {
        const real *c = table->coefficients + (piece*table->curves + n)*table->terms;
        real value = c[table->terms - 1];
        for (k = table->terms - 2; k >= 0; k--) value = value*t + c[k];
        sums[table->sums[n]] += value;
    }
}
"""


def _source(table: NetworkTable, writer: _Writer) -> str:
    name = writer.name
    inputs, outputs = len(table.feature_names), len(table.target_names)
    text = f'/* A Kolmogorov-Arnold network that superpose wrote. */\n\n#include <math.h>\n#include "{name}.h"\n\n'
    text += f"typedef {name}_real real;\n"
    if any(found is not None for layer in table.layers for found in layer.curves):
        text += _CURVES
    layers = "".join(_layer(layer, n, writer) for n, layer in enumerate(table.layers))
    if "sign_of(" in layers:
        text += "\nstatic real sign_of(real x)\n{\n    return x > 0 ? 1 : x < 0 ? -1 : x;\n}\n"
    text += layers + "\n"
    for part in ("input_center", "input_scale", "output_center", "output_scale"):
        text += writer.array(part, getattr(table, part))
    largest = max(max(layer.inputs, len(layer.arities)) for layer in table.layers)
    text += f"\nvoid {name}_predict(const real x[{inputs}], real y[{outputs}])\n{{\n"
    text += f"    real from[{largest}], to[{largest}];\n    int n;\n"
    text += f"    for (n = 0; n < {inputs}; n++) from[n] = (x[n] - input_center[n])/input_scale[n];\n"
    buffers = ["from", "to"]
    for n in range(len(table.layers)):
        text += f"    layer_{n}({buffers[0]}, {buffers[1]});\n"
        buffers.reverse()
    text += f"    for (n = 0; n < {outputs}; n++) y[n] = output_center[n] + output_scale[n]*{buffers[0]}[n];\n}}\n"
    return text + ("" if table.head is None else _classes(table.head, inputs, outputs, writer))


def _layer(layer: LayerTable, n: int, writer: _Writer) -> str:
    """The tables of one layer, and the function ``layer_n``."""
    tables, body = "\n", ""
    for i, found in enumerate(layer.curves):
        if found is None:
            continue
        own, (sums, curve) = f"layer_{n}_input_{i}", found
        for part in ("ends", "centres", "scales", "coefficients"):
            tables += writer.array(f"{own}_{part}", getattr(curve, part))
        tables += writer.array(f"{own}_sums", np.array(sums), "int")
        parts = ", ".join(f"{own}_{part}" for part in ("ends", "centres", "scales", "coefficients", "sums"))
        sizes = len(curve.ends) - 1, curve.coefficients.shape[1], curve.coefficients.shape[2]
        tables += f"static const grid {own} = {{{parts}, {', '.join(map(str, sizes))}}};\n"
        body += f"    add_curves(&{own}, x[{i}], sums);\n"
    if layer.silu is not None:
        tables += writer.array(f"layer_{n}_silu", layer.silu)
        body += f"    for (i = 0; i < {layer.inputs}; i++) {{\n"
        body += f"        const real silu = x[i]/(1 + exp{writer.suffix}(-x[i]));\n"
        body += (
            f"        for (n = 0; n < {layer.sums}; n++) sums[n] += layer_{n}_silu[i*{layer.sums} + n]*silu;\n    }}\n"
        )
    body += "".join(_symbolic(entry, writer) for entry in layer.symbolic)
    if not body:
        body = "    (void)x;\n"
    head = f"    real sums[{layer.sums}];\n    int n{', i' if layer.silu is not None else ''};\n"
    head += f"    for (n = 0; n < {layer.sums}; n++) sums[n] = 0;\n"
    start = 0
    for node, arity in enumerate(layer.arities):
        body += f"    y[{node}] = {'*'.join(f'sums[{start + k}]' for k in range(arity))};\n"
        start += arity
    return f"{tables}\nstatic void layer_{n}(const real *x, real *y)\n{{\n{head}{body}}}\n"


def _symbolic(entry: SymbolicEntry, writer: _Writer) -> str:
    a, b, c, d = map(writer.number, entry.constants)
    value = printed(entry.function.expression, writer.language, {argument(): "u"}, {})
    unused = "" if re.search(r"\bu\b", value) else "(void)u; "
    return (
        f"    {{\n        const real u = {a}*x[{entry.source}] + {b};\n"
        f"        {unused}sums[{entry.sum}] += {c}*({value}) + {d};\n    }}\n"
    )


def _text(name: str) -> str:
    """A string literal of the bytes of a name in UTF-8; octal escapes end after three digits, and hide trigraphs."""
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '\\"?' else f"\\{byte:03o}" for byte in name.encode("utf-8")
    )
    return f'"{plain}"'


def _classes(head: Head, inputs: int, outputs: int, writer: _Writer) -> str:
    """The functions of a classifier."""
    name, count, f = writer.name, len(head.classes), writer.suffix
    text = f"\nconst char *const {name}_classes[{count}] = {{{', '.join(map(_text, head.classes))}}};\n"
    start = f"    real y[{outputs}];\n    int n;\n    {name}_predict(x, y);\n"
    if head.kind == "softmax":
        body = f"    real largest, total = 0;\n{start}    largest = y[0];\n"
        body += f"    for (n = 1; n < {count}; n++) if (y[n] > largest) largest = y[n];\n"
        body += f"    for (n = 0; n < {count}; n++) total += p[n] = exp{f}(y[n] - largest);\n"
        body += f"    for (n = 0; n < {count}; n++) p[n] /= total;\n"
        index = (
            f"    int best = 0;\n{start}    for (n = 0; n < {count}; n++) {{\n        if (y[n] != y[n]) return -1;\n"
        )
        index += "        if (y[n] > y[best]) best = n;\n    }\n    return best;\n"
    elif head.kind == "ordinal":
        text += writer.array("cuts", cut_points(head))
        scale = writer.number(head.scale)
        body = f"    real below = 0;\n{start}    for (n = 0; n < {count - 1}; n++) {{\n"
        body += f"        const real upto = 1/(1 + exp{f}((y[0] - cuts[n])/{scale}));\n"
        body += f"        p[n] = upto - below;\n        below = upto;\n    }}\n    p[{count - 1}] = 1 - below;\n"
        index = f"    int above = 0;\n{start}    if (y[0] != y[0]) return -1;\n"
        index += f"    for (n = 0; n < {count - 1}; n++) above += y[0] > cuts[n];\n    return above;\n"
    else:
        body = start.replace("    int n;\n", "")
        if head.kind == "sigmoid":
            body += f"    p[0] = 1/(1 + exp{f}(y[0]));\n    p[1] = 1/(1 + exp{f}(-y[0]));\n"
            test = "y[0] > 0"
        else:
            body += f"    p[0] = -expm1{f}(-y[0]*y[0]);\n    p[1] = exp{f}(-y[0]*y[0]);\n"
            test = f"fabs{f}(y[0]) < {writer.number(GAUSSIAN_EDGE)}"
        index = start.replace("    int n;\n", "") + f"    if (y[0] != y[0]) return -1;\n    return {test};\n"
    text += f"\nvoid {name}_probabilities(const real x[{inputs}], real p[{count}])\n{{\n{body}}}\n"
    return text + f"\nint {name}_class(const real x[{inputs}])\n{{\n{index}}}\n"
