"""The twenty-seven Feynman equations of the KAN paper, in its dimensionless forms."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmarks.problems import published
from benchmarks.problems.known_function import KnownFunction


def feynman() -> dict[str, KnownFunction]:
    """Twenty-seven equations of the Feynman lectures, by their numbers, in the order of the paper's table.

    ``shape`` is that of the paper's best network, whichever column it stands in.

    >>> feynman()["I.16.6"].title
    '(a+b)/(1+a*b)'
    """
    problems = {}
    for row in published.rows("feynman_equations.csv"):
        errors, shapes = published.errors(row), published.shapes(row)
        problems[row["name"]] = KnownFunction(
            row["name"],
            row["formula"],
            published.variables(row["ranges"]),
            _EQUATIONS[row["name"]],
            _best_shape(errors, shapes),
            MappingProxyType(errors),
            MappingProxyType(shapes),
        )
    return problems


def _best_shape(errors: dict[str, float], shapes: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    # The shapes of unpruned networks were not published. This is the better one of the two published shapes.
    return shapes["human"] if errors["human"] < errors["pruned"] else shapes["best_pruned"]


def _gaussian(theta: Any, sigma: Any) -> Any:
    return np.exp(-(theta**2) / (2 * sigma**2)) / np.sqrt(2 * np.pi * sigma**2)


# One array [N] for each variable, in the order of the table's ranges.
_EQUATIONS: dict[str, Callable[..., Any]] = {
    "I.6.2": _gaussian,
    "I.6.2b": lambda theta, theta1, sigma: _gaussian(theta - theta1, sigma),
    "I.9.18": lambda a, b, c, d, e, f: a / ((b - 1) ** 2 + (c - d) ** 2 + (e - f) ** 2),
    "I.12.11": lambda a, theta: 1 + a * np.sin(theta),
    "I.13.12": lambda a, b: a * (1 / b - 1),
    "I.15.3x": lambda a, b: (1 - a) / np.sqrt(1 - b**2),
    "I.16.6": lambda a, b: (a + b) / (1 + a * b),
    "I.18.4": lambda a, b: (1 + a * b) / (1 + a),
    "I.26.2": lambda n, theta2: np.arcsin(n * np.sin(theta2)),
    "I.27.6": lambda a, b: 1 / (1 + a * b),
    "I.29.16": lambda a, theta1, theta2: np.sqrt(1 + a**2 - 2 * a * np.cos(theta1 - theta2)),
    "I.30.3": lambda n, theta: np.sin(n * theta / 2) ** 2 / np.sin(theta / 2) ** 2,
    "I.30.5": lambda a, n: np.arcsin(a / n),
    "I.37.4": lambda a, delta: 1 + a + 2 * np.sqrt(a) * np.cos(delta),
    "I.40.1": lambda n0, a: n0 * np.exp(-a),
    "I.44.4": lambda n, a: n * np.log(a),
    "I.50.26": lambda a, alpha: np.cos(a) + alpha * np.cos(a) ** 2,
    "II.2.42": lambda a, b: (a - 1) * b,
    "II.6.15a": lambda a, b, c: c * np.sqrt(a**2 + b**2) / (4 * np.pi),
    "II.11.7": lambda n0, a, theta: n0 * (1 + a * np.cos(theta)),
    "II.11.27": lambda n, alpha: n * alpha / (1 - n * alpha / 3),
    "II.35.18": lambda n0, a: n0 / (np.exp(a) + np.exp(-a)),
    "II.36.38": lambda a, alpha, b: a + alpha * b,
    "II.38.3": lambda a, b: a / b,
    # NumPy's sinc is sin(pi z)/(pi z), and 1 at z = 0.
    "III.9.52": lambda a, b, c: a * np.sinc((b - c) / (2 * np.pi)) ** 2,
    "III.10.19": lambda a, b: np.sqrt(1 + a**2 + b**2),
    "III.17.37": lambda beta, alpha, theta: beta * (1 + alpha * np.cos(theta)),
}
