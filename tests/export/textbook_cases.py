"""Twenty laws of textbooks as a search finds them, over columns whose names are words of every language."""

from __future__ import annotations

import sympy
import torch
from sympy import Float, Rational, S
from torch import Tensor

# Keywords, constants, functions, cells and aliases of the languages.
COLUMNS = ("T (K)", "select", "e", "i", "lambda", "x2", "Größe", "höhe", "order by", "2θ", "NaN", "end")
T, Q, R, J, WAVE, V, BIG, SMALL, N, ANGLE, X, K = SYMBOLS = tuple(sympy.Symbol(name, real=True) for name in COLUMNS)

PLANCK, LIGHT, BOLTZMANN = Float("6.62607015e-34"), Float("299792458.0"), Float("1.380649e-23")
LAWS: dict[str, sympy.Expr] = {
    "Planck": 2 * PLANCK * LIGHT**2 / WAVE**5 / (sympy.exp(PLANCK * LIGHT / (BOLTZMANN * WAVE * T)) - 1),
    "Arrhenius": Float("1.2e13") * sympy.exp(Float(-8.5e4) / (Float("8.314462618") * T)),
    "Stefan and Boltzmann": Float("5.670374419e-8") * (T**4 - 293**4),
    "Kepler": R ** Rational(3, 2) / sympy.sqrt(Q),
    "Coulomb": Q * R / (4 * sympy.pi * Float("8.8541878128e-12") * J**2),
    "Gauss": sympy.exp(-(((X - V) / Q) ** 2) / 2) / (sympy.sqrt(2 * sympy.pi) * Q),
    "Lorentz": Q / sympy.sqrt(1 - V**2 / LIGHT**2),
    "Snell": sympy.asin(sympy.sin(ANGLE) / Float(1.33)),
    "grating": SMALL * sympy.sin(N * ANGLE / 2) ** 2 / sympy.sin(ANGLE / 2) ** 2,
    "Hill": BIG * Q**N / (K**N + Q**N),
    "Debye and Hückel": Float(-0.509) * N**2 * sympy.sqrt(J) / (1 + sympy.sqrt(J)),
    "Antoine": 10 ** (Float(8.07131) - Float(1730.63) / (T - Float(39.724))),
    "logistic": K / (1 + (K / Q - 1) * sympy.exp(-R * J)),
    "van der Waals": Float("8.314462618") * T / (BIG - Float("4.267e-5")) - Float(0.3640) / BIG**2,
    "Manning": R ** Rational(2, 3) * sympy.sqrt(J) / Q,
    "Newton": Float("6.6743e-11") * Q * R / ((V - X) ** 2 + (BIG - SMALL) ** 2),
    "pH": -sympy.log(Q * Float("1e-30")) / sympy.log(10),
    "Lennard-Jones": 4 * K * ((Q / R) ** 12 - (Q / R) ** 6),
    "two thirds and a seventh": Rational(2, 3) * N / 7 - N ** Rational(-7, 3) - 1 / (3 * N) + Rational(-1, 2),
    "signed root": sympy.sign(X) * sympy.Abs(X) ** Float(0.7) - -(X**2) - (V - (X - 2**-K)),
    "moles": Float("6.02214076e23") * Q + Float("1e-30") / R ** S(3) - 10**20 * J,
}


def rows(count: int = 40) -> Tensor:
    """Rows ``[count, 12]`` in the ranges of the laws; those of the column "order by" are whole numbers."""
    x = torch.rand(count, len(COLUMNS), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    low = torch.tensor([280, 0.5, 0.5, 0.01, 4e-7, -2, 1, 1, 1, 0.1, -2, 0.5], dtype=torch.float64)
    high = torch.tensor([6000, 3, 3, 0.5, 3e-6, 2, 4, 4, 6, 1.5, 2, 3], dtype=torch.float64)
    x = low + x * (high - low)
    x[:, COLUMNS.index("order by")] = x[:, COLUMNS.index("order by")].round()
    return x
