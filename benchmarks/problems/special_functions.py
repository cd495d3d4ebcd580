"""The fifteen special functions of two variables of the KAN paper."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from benchmarks.problems import published
from benchmarks.problems.problem import FloatArray, Problem
from superpose.errors import OptionError


def special() -> dict[str, Problem]:
    """Fifteen special functions of two variables, by name, in the order of the paper's table.

    In the spherical harmonics, of which the real part is taken, ``x`` is the azimuth and ``y`` the polar angle.

    Raises:
        OptionError: if SciPy, which computes them, is missing.

    >>> problem = special()["jv"]
    >>> problem.title, problem.shape, problem.published["best"]
    ('Bessel function of the first kind', (2, 3, 1, 1, 1), 0.00164)
    """
    functions = _functions()
    problems = {}
    for row in published.rows("special_functions.csv"):
        name, function = functions[row["paper_call"]]
        shapes = published.shapes(row)
        problems[name] = Problem(
            name,
            row["name"].replace("$", ""),
            published.variables(row["ranges"]),
            function,
            shapes["best"],
            MappingProxyType(published.errors(row)),
            MappingProxyType(shapes),
        )
    return problems


def _functions() -> dict[str, tuple[str, Any]]:
    """Name and function by how the paper calls it."""
    try:
        from scipy import special as scipy_special
    except ImportError:
        raise OptionError(
            "the special functions are computed by SciPy, which is not installed; pip install 'superpose[bench]'"
        ) from None

    def jacobi(u: FloatArray, m: FloatArray) -> Any:
        return scipy_special.ellipj(u, m)[0]

    def legendre(m: int) -> Any:
        return lambda degree, z: scipy_special.lpmv(m, degree, z)

    def harmonic(m: int, n: int) -> Any:
        return lambda azimuth, polar: scipy_special.sph_harm_y(n, m, polar, azimuth).real

    two = ("ellipkinc", "ellipeinc", "jv", "yv", "kv", "iv")
    return (
        {"ellipj(x, y)": ("ellipj", jacobi)}
        | {f"{name}(x, y)": (name, getattr(scipy_special, name)) for name in two}
        | {f"lpmv({m}, x, y)": (f"lpmv_{m}", legendre(m)) for m in (0, 1, 2)}
        | {
            f"sph_harm({m}, {n}, x, y)": (f"sph_harm_{m}_{n}", harmonic(m, n))
            for m, n in ((0, 1), (1, 1), (0, 2), (1, 2), (2, 2))
        }
    )
