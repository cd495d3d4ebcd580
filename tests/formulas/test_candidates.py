"""fit_curve: every function is found in its own samples, whatever its constants, with little memory."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from superpose.formulas.candidates import Candidate, fit_curve
from superpose.nn.symbolic_functions import SymbolicFunction, library

DOUBLE = torch.float64
# Where a * x + b runs, for each function: far enough for it to look like itself, and inside its domain.
INNER = {
    "0": (-1.0, 1.0),
    "x": (-1.0, 2.0),
    **{f"x^{n}": (-0.7, 1.3) for n in (2, 3, 4, 5)},
    **dict.fromkeys(("1/x", "1/x^2", "1/x^3", "1/x^4", "1/x^5", "1/sqrt"), (0.5, 2.5)),
    "sqrt": (0.02, 2.0),
    "x^1.5": (0.02, 2.0),
    "exp": (-1.5, 1.5),
    "log": (0.05, 3.0),
    "sin": (-2.0, 3.5),
    "cos": (-1.0, 4.5),
    "tan": (-1.2, 1.3),
    "tanh": (-1.5, 2.5),
    "arcsin": (-0.98, 0.95),
    "arccos": (-0.98, 0.95),
    "arctan": (-2.0, 4.0),
    "arctanh": (-0.95, 0.9),
    "cosh": (-1.5, 2.5),
    "sinh": (-2.0, 1.5),
    "abs": (-1.0, 1.5),
    "sign": (-1.0, 1.5),
    "gaussian": (-1.0, 2.0),
    "sigmoid": (-3.0, 5.0),
}


def built_in() -> dict[str, SymbolicFunction]:
    """The library without what other tests register."""
    return {name: function for name, function in library().items() if name in INNER}


def curve(name: str, seed: int, count: int = 400) -> tuple[Tensor, Tensor]:
    """Samples of ``c * f(a * x + b) + d`` with random constants, ``x`` anywhere."""
    generator = torch.Generator().manual_seed(1000 * seed + sorted(INNER).index(name))

    def draw(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator, dtype=DOUBLE))

    low, high = INNER[name]
    inner = torch.rand(count, generator=generator, dtype=DOUBLE) * (high - low) + low
    a = 10 ** draw(-2, 2) * (1 if draw(0, 1) < 0.5 else -1)
    b, c, d = a * draw(-5, 5), draw(0.3, 30) * (1 if draw(0, 1) < 0.5 else -1), draw(-3, 3)
    return (inner - b) / a, c * library()[name].evaluate(inner) + d


def values(candidate: Candidate, x: Tensor) -> Tensor:
    a, b, c, d = candidate.constants
    return c * library()[candidate.name].evaluate(a * x + b) + d


def test_the_table_of_this_test_is_the_library() -> None:
    from superpose.nn import symbolic_functions

    assert INNER.keys() == symbolic_functions._builtin().keys()


@pytest.mark.parametrize("name", sorted(INNER))
def test_every_function_is_found_in_its_own_samples(name: str) -> None:
    for seed in range(2):
        x, y = curve(name, seed)
        found = fit_curve(x, y, built_in())
        place = [candidate.name for candidate in found].index(name)
        assert place < 4, [(c.name, c.r2) for c in found[:5]]
        assert found[place].r2 > (0.9 if name == "sign" else 1 - 1e-10)
        # What it says of itself holds for every sample, not for those that it looked at.
        left = (values(found[place], x) - y).square().mean() / y.var().clamp(min=1e-300)
        # Where a sign jumps has no slope to follow, and is known as well as the lattice is fine.
        assert float(left) < (0.1 if name == "sign" else 1e-9) or name == "0"
        # Nothing simpler explains the curve as well.
        for better in found[:place]:
            assert better.r2 > (0.9 if name == "sign" else 1 - 1e-8)


def test_what_is_said_of_each_candidate_is_true_and_in_order() -> None:
    x = torch.linspace(-1, 1, 300, dtype=DOUBLE)
    y = torch.exp(x) + 0.3 * torch.sin(7 * x)
    found = fit_curve(x, y, built_in())
    assert [c.score for c in found] == sorted(c.score for c in found)
    assert len({c.name for c in found}) == len(found)
    for candidate in found:
        if candidate.name == "sign":
            continue
        left = float((values(candidate, x) - y).square().sum() / (y - y.mean()).square().sum())
        assert 1 - candidate.r2 == pytest.approx(left, rel=0.1, abs=1e-12), candidate
        assert candidate.complexity == library()[candidate.name].complexity
        assert all(math.isfinite(value) for value in candidate.constants)


def test_simplicity_decides_between_near_equals() -> None:
    x = torch.linspace(-1, 1, 300, dtype=DOUBLE)
    y = x + 1e-3 * x**3
    assert fit_curve(x, y, built_in(), simplicity=3.0)[0].name == "x"
    assert fit_curve(x, y, built_in(), simplicity=0.0)[0].name != "x"


def test_a_constant_curve_is_the_constant() -> None:
    x = torch.linspace(-1, 1, 50, dtype=DOUBLE)
    (found,) = fit_curve(x, torch.full_like(x, 2.5), built_in())
    assert found.name == "0" and found.constants[3] == 2.5
    (found,) = fit_curve(torch.ones_like(x), x, built_in())
    assert found.name == "0"
    assert fit_curve(x, torch.ones_like(x), built_in(), only=["sin"]) == []


def test_functions_without_values_on_the_samples_are_left_out() -> None:
    # Samples over so wide a range that no log can hold them all once 0 lies in the middle of an even function.
    x = torch.linspace(-1, 1, 200, dtype=DOUBLE)
    for candidate in fit_curve(x, torch.cos(9 * x), built_in()):
        assert math.isfinite(candidate.r2) and bool(torch.isfinite(values(candidate, x)).all())


def test_registered_functions_are_found_too() -> None:
    import sympy

    from superpose.nn import symbolic_functions

    z = sympy.Symbol("z")
    name = "test-candidates-bump"
    bump = symbolic_functions.register(name, 1 / (1 + z**2), complexity=3)
    try:
        x = torch.linspace(-3, 2, 300, dtype=DOUBLE)
        y = 2 * bump.evaluate(1.7 * x + 0.4) - 1
        found = fit_curve(x, y, built_in() | {name: bump})
        assert found[0].name == name and found[0].r2 > 1 - 1e-10
    finally:
        symbolic_functions._REGISTERED.pop(name)


class Largest(TorchDispatchMode):
    """Watches how many elements the largest tensor has."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, Tensor) and value.untyped_storage().nbytes() > 0:
                self.elements = max(self.elements, value.untyped_storage().nbytes() // value.element_size())
        return result


def test_memory_does_not_grow_with_the_number_of_samples() -> None:
    # Complaint 3: a lattice of constants times all samples asked for 102 GB.
    largest = []
    for count in (1_000, 100_000):
        x = torch.linspace(-1, 1, count, dtype=DOUBLE)
        with Largest() as watch:
            found = fit_curve(x, torch.sin(4 * x + 1), built_in())
        assert found[0].name in ("sin", "cos") and found[0].r2 > 1 - 1e-10
        largest.append(watch.elements)
    assert largest[0] < 2**20
    assert largest[1] <= largest[0] + 100_000
