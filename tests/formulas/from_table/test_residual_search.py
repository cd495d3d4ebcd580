"""Laws of what another law leaves."""

from __future__ import annotations

import pytest
import sympy
import torch

from superpose.deadline import Deadline
from superpose.formulas.from_table.law_pool import LawPool
from superpose.formulas.from_table.residual_search import search_residuals
from superpose.formulas.from_table.subproblem import Guess

pytestmark = pytest.mark.usefixtures("few_compositions")

DOUBLE = torch.float64
SYMBOLS = A, B, C = sympy.symbols("a b c", real=True)


def pool(law: sympy.Expr, first: sympy.Expr, noise: float = 0.0, rows: int = 120) -> LawPool:
    """A pool for rows of ``law`` that holds ``first`` alone, its constants fitted."""
    generator = torch.Generator().manual_seed(0)
    x = 6 * torch.rand(rows, 3, generator=generator, dtype=DOUBLE) - 3
    y = sympy.lambdify(SYMBOLS, law, "numpy")(*x.numpy().T)
    y = torch.as_tensor(y) + noise * torch.randn(rows, generator=generator, dtype=DOUBLE)
    made = LawPool(x, y, SYMBOLS)
    found = made.fitted(Guess(lambda: first, 0.1, "first", 9))
    assert found is not None
    made.laws.append(found)
    return made


@pytest.mark.parametrize("rest", [2 * sympy.cos(C), sympy.exp(C / 2)])
def test_a_law_of_the_residuals_is_added_to_the_first(rest: sympy.Expr) -> None:
    # The constants of the first law are wrong as long as the second is missing.
    made = pool(A**2 + B * C + rest - 2, 1.1 * A**2 + 0.9 * B * C - 1.9)
    assert not made.exact()
    search_residuals(made, Deadline())
    assert made.exact()


def test_noise_is_no_law() -> None:
    made = pool(A**2 + B * C, 1.1 * A**2 + 0.9 * B * C, noise=0.3)
    search_residuals(made, Deadline())
    assert len(made.laws) == 1
