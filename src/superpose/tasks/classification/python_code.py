"""The Python module of a formula, with a function that names classes where it is a classifier's."""

from __future__ import annotations

import itertools

from superpose.formulas.expressions.formula import Formula
from superpose.nn.likelihood import GAUSSIAN_EDGE, Head


def python_module(formula: Formula, head: Head | None) -> str:
    """A module that needs NumPy only: ``predict``, and for classes ``label``."""
    return formula.python() + ("" if head is None else _label_code(head))


def _label_code(head: Head) -> str:
    """A function that names classes, to stand behind the module of a formula."""
    if head.kind == "softmax":
        index = "numpy.argmax(numpy.stack(numpy.broadcast_arrays(*predict(**columns))), 0)"
    elif head.kind == "ordinal":
        levels = [float(name) for name in head.classes]
        cuts = [(low + high) / 2 for low, high in itertools.pairwise(levels)]
        index = f"numpy.searchsorted({cuts!r}, predict(**columns))"
    elif head.kind == "gaussian":
        index = f"(numpy.abs(predict(**columns)) < {GAUSSIAN_EDGE!r}).astype(int)"
    else:
        index = "(predict(**columns) > 0).astype(int)"
    names = "".join(f"{name!a}, " for name in head.classes).strip()
    return (
        f"\n\nCLASSES = ({names})\n\n\ndef label(**columns):\n"
        f'    """The class at the given columns; predict gives the scores."""\n'
        f"    return numpy.asarray(CLASSES)[{index}]\n"
    )
