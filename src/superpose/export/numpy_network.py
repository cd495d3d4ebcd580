"""A network as one Python module that needs NumPy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from superpose.export.printers import printed
from superpose.export.tables import LayerTable, SymbolicEntry, cut_points, network_table
from superpose.nn.likelihood import GAUSSIAN_EDGE, Head
from superpose.nn.model import KAN
from superpose.nn.symbolic_functions import argument

_SCALING = ("input_center", "input_scale", "output_center", "output_scale")
# Numbers to a line; a round number.
_PER_LINE = 5
_HEAD = '''"""A Kolmogorov-Arnold network that superpose wrote. It needs NumPy only.

predict(x) takes an array of shape [..., {inputs}] with the columns COLUMNS and returns the TARGETS, [..., {outputs}].
"""

import numpy

{names}

{scaling}


def _curves(x, ends, centres, scales, coefficients):
    """Values [N, S] of curves that are polynomials in (x - centre) * scale between the ends, straight lines outside."""
    piece = numpy.searchsorted(ends[:-1], x, side="right") + (x > ends[-1])
    t = ((x - centres[piece]) * scales[piece])[:, None]
    value = coefficients[piece, :, -1]
    for power in range(coefficients.shape[2] - 2, -1, -1):
        value = value * t + coefficients[piece, :, power]
    return value
'''
_SILU = """

def _silu(x):
    return 0.5 * x * (1.0 + numpy.tanh(0.5 * x))
"""
_PREDICT = '''

def predict(x):
    """Values [..., {outputs}] of the TARGETS at x [..., {inputs}], the columns in the order of COLUMNS."""
    x = numpy.asarray(x, dtype=float)
    if x.shape[-1:] != ({inputs},):
        raise ValueError(f"x needs {inputs} columns in its last dimension, and has the shape {{x.shape}}")
    shape = x.shape[:-1]
    x = (x.reshape(-1, {inputs}) - INPUT_CENTER) / INPUT_SCALE
    with numpy.errstate(all="ignore"):
{calls}
        x = OUTPUT_CENTER + OUTPUT_SCALE * x
    return x.reshape(*shape, {outputs})
'''


def numpy_module(model: KAN) -> str:
    """A network as the text of a Python module that needs NumPy only.

    The module has ``predict(x)`` for arrays ``[..., n_in]`` in the user's units, and for a classifier
    ``probabilities(x)`` and ``label(x)``. Its values are those of ``model(x)`` in float64, to rounding.

    Args:
        model: any, with splines, symbolic edges, products and a head.

    Raises:
        OptionError: if the model holds a NaN, or a registered function for which there is no NumPy code.

    >>> print(numpy_module(KAN([2, 3, 1], feature_names=["a", "b"])).splitlines()[0])
    \"""A Kolmogorov-Arnold network that superpose wrote. It needs NumPy only.
    """
    table = network_table(model)
    inputs, outputs = len(table.feature_names), len(table.target_names)
    text = _HEAD.format(
        inputs=inputs,
        outputs=outputs,
        names=f"COLUMNS = {_names(table.feature_names)}\nTARGETS = {_names(table.target_names)}",
        scaling="\n".join(_array(name.upper(), getattr(table, name)) for name in _SCALING),
    )
    if any(layer.silu is not None for layer in table.layers):
        text += _SILU
    text += "".join(_layer(layer, n) for n, layer in enumerate(table.layers))
    calls = "\n".join(f"        x = _layer_{n}(x)" for n in range(len(table.layers)))
    text += _PREDICT.format(inputs=inputs, outputs=outputs, calls=calls)
    return text + ("" if table.head is None else _classes(table.head))


def _names(names: Sequence[str]) -> str:
    """Names as a tuple of string literals in ASCII."""
    return "(" + "".join(f"{name!a}, " for name in names).strip() + ")"


def _array(name: str, values: np.ndarray, kind: str = "") -> str:
    """An assignment of an array, a few numbers to a line."""
    numbers = [repr(value) for value in values.ravel().tolist()]
    lines = [", ".join(numbers[start : start + _PER_LINE]) for start in range(0, len(numbers), _PER_LINE)]
    body = "".join(f"\n    {line}," for line in lines)
    shape = "" if values.ndim == 1 else f".reshape({', '.join(map(str, values.shape))})"
    return f"{name} = numpy.array([{body}\n]{kind}){shape}"


def _layer(layer: LayerTable, n: int) -> str:
    """The tables of one layer, and the function ``_layer_n``."""
    tables, body = "", f"    sums = numpy.zeros((len(x), {layer.sums}))\n"
    for i, found in enumerate(layer.curves):
        if found is None:
            continue
        sums, curve = found
        own = f"_LAYER_{n}_INPUT_{i}"
        for part in ("ends", "centres", "scales", "coefficients"):
            tables += f"\n{_array(f'{own}_{part.upper()}', getattr(curve, part))}"
        names = ", ".join(f"{own}_{part}" for part in ("ENDS", "CENTRES", "SCALES", "COEFFICIENTS"))
        body += f"    sums[:, {list(sums)}] += _curves(x[:, {i}], {names})\n"
    if layer.silu is not None:
        tables += f"\n{_array(f'_LAYER_{n}_SILU', layer.silu)}"
        body += f"    sums += _silu(x) @ _LAYER_{n}_SILU\n"
    body += "".join(_symbolic(entry) for entry in layer.symbolic)
    if all(arity == 1 for arity in layer.arities):
        body += "    return sums\n"
    else:
        starts = np.cumsum([0, *layer.arities[:-1]]).tolist()
        body += f"    return numpy.multiply.reduceat(sums, {starts}, axis=1)\n"
    return f"{tables}\n\n\ndef _layer_{n}(x):\n{body}"


def _symbolic(entry: SymbolicEntry) -> str:
    a, b, c, d = map(repr, entry.constants)
    value = printed(entry.function.expression, "numpy", {argument(): "u"}, {})
    return f"    u = {a} * x[:, {entry.source}] + {b}\n    sums[:, {entry.sum}] += {c} * ({value}) + {d}\n"


_PROBABILITIES = {
    "softmax": """    powers = numpy.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
""",
    "sigmoid": """    half = 0.5 * numpy.tanh(0.5 * scores)
    return numpy.concatenate([0.5 - half, 0.5 + half], -1)
""",
    "gaussian": """    return numpy.concatenate([-numpy.expm1(-(scores**2)), numpy.exp(-(scores**2))], -1)
""",
    "ordinal": """    below = 0.5 + 0.5 * numpy.tanh(0.5 * (CUTS - scores) / {scale})
    ends = numpy.zeros_like(scores)
    return numpy.concatenate([below, ends + 1.0], -1) - numpy.concatenate([ends, below], -1)
""",
}
_INDICES = {
    "softmax": "scores.argmax(-1)",
    "sigmoid": "(scores[..., 0] > 0).astype(int)",
    "gaussian": f"(numpy.abs(scores[..., 0]) < {GAUSSIAN_EDGE!r}).astype(int)",
    "ordinal": "numpy.searchsorted(CUTS, scores[..., 0])",
}


def _classes(head: Head) -> str:
    """The functions of a classifier."""
    text = f"\n\nCLASSES = {_names(head.classes)}\n"
    if head.kind == "ordinal":
        text += f"{_array('CUTS', cut_points(head))}\n"
    text += (
        '\n\ndef probabilities(x):\n    """Probabilities [..., K] of the CLASSES at x; predict gives the scores."""\n'
        f"    scores = predict(x)\n{_PROBABILITIES[head.kind].format(scale=repr(float(head.scale)))}"
        '\n\ndef label(x):\n    """The most probable class at x; empty where a score is NaN."""\n'
        f"    scores = predict(x)\n    names = numpy.asarray(CLASSES)[{_INDICES[head.kind]}]\n"
        '    return numpy.where(numpy.isnan(scores).any(-1), "", names)\n'
    )
    return text
