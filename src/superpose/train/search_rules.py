"""The numbers of the architecture search: when a network is begun, continued or left out.

Measurements stand in docs/lab/training.md, section by section as named here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchRules:
    """When a network of the search is begun, continued, preferred or left out.

    Attributes:
        first_grid: intervals of the first grid of each network. A round number.
        level: networks are compared at about this many constants: each begins with two grids, and continues while the
            next grid has at most this many. On equal grids, large shapes were favoured. A round number.
        kept: how many networks continue in each further round, which doubles the grid. Then the best continues alone.
        forked: how many of the best continue in two ways after the first round, with grids that are split by width and
            by samples. Neither is always better ("where the intervals are cut" in docs/lab/training.md).
        entry: shapes that have not been begun when this share of the time (or of the steps) is over are left out.
        entry_detected: the same after linear combinations or singularities were detected, whose networks come last.
        worse: networks with linear combinations are deprioritised if their probe errs this many times as much as the
            best network without.
        better: networks with roots are begun if the first of them has at most this share of the error without the
            root. True roots had a quarter or less ("Endpoint singularities").
        steps: a network is begun if there is time for so many steps. A round number.
        learnt: a network shows an endpoint singularity only with an error below this ("Endpoint singularities").
        max_root_trials: shapes that are tried with the root at one endpoint ("Endpoint singularities").
        same: errors within this factor count as equal, and the network with fewer constants is better.
        advance: a grid that lowers the error by less than this factor is the last of its network.
        max_restarts: networks that are begun from other random starts. A round number.
        exact: error, in units of the target's spread, at which float64 has no further digits.
        degrees: of the splines, for few inputs; for more inputs all but the first.

    ``kept``, ``forked``, ``entry``, ``worse``, ``same`` and ``advance`` were chosen on special functions and Feynman
    equations; how sensitive results are to each was not recorded.
    """

    first_grid: int = 5
    level: int = 300
    kept: tuple[int, ...] = (4, 4, 2)
    forked: int = 2
    entry: float = 0.4
    entry_detected: float = 0.6
    worse: float = 4.0
    better: float = 0.3
    steps: int = 30
    learnt: float = 0.01
    max_root_trials: int = 4
    same: float = 1.03
    advance: float = 0.98
    max_restarts: int = 50
    exact: float = 1e-13
    degrees: tuple[int, ...] = (5, 3)


RULES = SearchRules()
