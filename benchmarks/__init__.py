"""Benchmarks: problems with known answers, superpose and its peers on the same points in the same time.

``superpose bench NAME`` runs one; :data:`BENCHMARKS` lists them. This module is all that the command line loads before
there is work to do, so it imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Benchmark:
    """A benchmark's name on the command line.

    Attributes:
        name: what is typed.
        summary: a few words for ``--help``.
        module: in this package; its function ``suite(name)`` returns the :class:`~benchmarks.suite.Suite`.
        formulas: whether formulas are looked for: there are levels of noise then, several processes, and peers of
            their own.
    """

    name: str
    summary: str
    module: str
    formulas: bool = False


BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark("special", "15 special functions of two variables", "functions"),
        Benchmark("feynman", "27 equations from the Feynman lectures", "functions"),
        Benchmark("toy", "5 compositions of smooth functions, and how errors scale with the grid", "toy"),
        Benchmark("poisson", "Poisson's equation on a square, two solutions", "pde"),
        Benchmark("heat", "the heat equation on a line", "pde"),
        Benchmark("burgers", "Burgers' equation with a sharp front", "pde"),
        Benchmark("helmholtz", "Helmholtz's equation on a square", "pde"),
        Benchmark("disc", "Poisson's equation on a disc and on an L", "pde"),
        Benchmark("continual", "peaks shown one after another, and what is left of the earlier ones", "continual"),
        Benchmark("discovery", "100 equations from the Feynman lectures found in tables", "discovery", formulas=True),
        Benchmark("laws", "nine laws found in tables", "discovery", formulas=True),
    )
}
