"""What a benchmark is asked for, checked before anything heavy is loaded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Options that all benchmarks share.

    Attributes:
        time_limit: seconds for each problem, seed and method.
        seeds: of the points and of every start.
        points: to learn from; a share of them is held out to choose by, as for any table.
        test_points: to measure the error on, from another seed.
        only: names of problems; all if empty.
        peers: names of methods besides superpose, in the order of the tables.
        noise: standard deviations of noise on the target, as shares of its own; for benchmarks that look for formulas.
        jobs: processes at a time; for the same.
    """

    time_limit: float = 60.0
    seeds: tuple[int, ...] = (0,)
    points: int = 3_000
    test_points: int = 10_000
    only: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    noise: tuple[float, ...] = (0.0,)
    jobs: int = 1
