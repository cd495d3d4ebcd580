"""The five functions on which the KAN paper shows how errors scale with the grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.problems.known_function import KnownFunction, Variable
from benchmarks.problems.special_functions import scipy_special

_MANY = 100


def toy() -> dict[str, KnownFunction]:
    """Five functions that are compositions of smooth functions of one variable, with the shapes of their networks.

    Every input runs from -1 to 1. The paper shows their errors as curves, without a table.

    >>> {name: problem.shape for name, problem in toy().items()}
    {'bessel': (1, 1), 'exp_sin': (2, 1, 1), 'product': (2, 2, 1), 'mean_100': (100, 1, 1), 'four': (4, 4, 2, 1)}
    """
    return {
        problem.name: problem
        for problem in (
            _problem("bessel", "J0(20*x)", _bessel, (1, 1)),
            _problem("exp_sin", "exp(sin(pi*x) + y**2)", lambda x, y: np.exp(np.sin(np.pi * x) + y**2), (2, 1, 1)),
            _problem("product", "x*y", lambda x, y: x * y, (2, 2, 1)),
            _problem("mean_100", "exp(mean of sin(pi*x_i/2)**2 over 100 inputs)", _mean, (_MANY, 1, 1)),
            _problem("four", "exp((sin(pi*(x1**2 + x2**2)) + sin(pi*(x3**2 + x4**2)))/2)", _four, (4, 4, 2, 1)),
        )
    }


def _problem(name: str, title: str, function: Callable[..., Any], shape: tuple[int, ...]) -> KnownFunction:
    names = ("x", "y")[: shape[0]] if shape[0] <= 2 else tuple(f"x{k}" for k in range(1, shape[0] + 1))
    return KnownFunction(name, title, tuple(Variable(v, -1.0, 1.0) for v in names), function, shape)


def _bessel(x: Any) -> Any:
    return scipy_special().j0(20 * x)


def _mean(*x: Any) -> Any:
    return np.exp(np.mean(np.sin(np.pi * np.stack(x) / 2) ** 2, axis=0))


def _four(x1: Any, x2: Any, x3: Any, x4: Any) -> Any:
    return np.exp((np.sin(np.pi * (x1**2 + x2**2)) + np.sin(np.pi * (x3**2 + x4**2))) / 2)
