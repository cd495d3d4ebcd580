"""The fifteen special functions of two variables of the KAN paper."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from benchmarks.catalogue import install
from benchmarks.problems import published
from benchmarks.problems.known_function import FloatArray, KnownFunction
from superpose.errors import OptionError


def special() -> dict[str, KnownFunction]:
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
        problems[name] = KnownFunction(
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
    special_functions = scipy_special()

    def jacobi(u: FloatArray, m: FloatArray) -> Any:
        return special_functions.ellipj(u, m)[0]

    def legendre(m: int) -> Any:
        return lambda degree, z: special_functions.lpmv(m, degree, z)

    def harmonic(m: int, n: int) -> Any:
        return lambda azimuth, polar: special_functions.sph_harm_y(n, m, polar, azimuth).real

    two = ("ellipkinc", "ellipeinc", "jv", "yv", "kv", "iv")
    return (
        {"ellipj(x, y)": ("ellipj", jacobi)}
        | {f"{name}(x, y)": (name, getattr(special_functions, name)) for name in two}
        | {f"lpmv({m}, x, y)": (f"lpmv_{m}", legendre(m)) for m in (0, 1, 2)}
        | {
            f"sph_harm({m}, {n}, x, y)": (f"sph_harm_{m}_{n}", harmonic(m, n))
            for m, n in ((0, 1), (1, 1), (0, 2), (1, 2), (2, 2))
        }
    )


def scipy_special() -> Any:
    """The module :mod:`scipy.special`.

    Raises:
        OptionError: if SciPy is missing, which superpose itself does not need.
    """
    try:
        from scipy import special as found
    except ImportError:
        raise OptionError(
            f"this benchmark computes special functions by SciPy, which is not installed; install it with {install()}"
        ) from None
    return found
