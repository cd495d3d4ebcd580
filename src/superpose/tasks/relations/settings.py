"""Settings of a search for relations, and its clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from superpose.deadline import Deadline

Listener = Callable[[str], None]


@dataclass(frozen=True)
class SearchSettings:
    """The arguments of :func:`superpose.relations`, checked."""

    threshold: float
    seeds: int
    time_limit: float
    formulas: bool
    seed: int

    def splits(self) -> list[int]:
        """One seed for each division of the rows."""
        return [self.seed + n for n in range(self.seeds)]


@dataclass(frozen=True)
class SearchRules:
    """Limits of the stages. Round numbers, chosen on the knot table; other values were not compared.

    Attributes:
        search_share: share of the time for finding relations; the rest is for formulas.
        max_features: of more columns a network gets those that explain most of its target.
        max_inexact: so many sums that are not exact are learnt as functions, the strongest first.
        chance_factor: a sum has to explain so many times what the best sum of permuted columns explains by chance.
        max_chance: the share that chance may demand at most.
        max_formula_seconds, min_formula_seconds: for the formula of one relation.
        noisy: with more left unexplained the time for a formula is halved, since there may be none.
        power_error: smallest share of an inner function that a power may leave; otherwise twice what the relation
            leaves.
    """

    search_share: float = 0.6
    max_features: int = 12
    max_inexact: int = 20
    chance_factor: float = 1.5
    max_chance: float = 0.99
    max_formula_seconds: float = 40.0
    min_formula_seconds: float = 4.0
    noisy: float = 0.02
    power_error: float = 0.01


RULES = SearchRules()


class SearchClock:
    """When the search for relations ends, when everything ends, and whether a stage was cut short."""

    def __init__(self, settings: SearchSettings) -> None:
        self.deadline = Deadline(settings.time_limit)
        self.search_deadline = self.deadline.share(RULES.search_share) if settings.formulas else self.deadline
        self.cut_short = False

    def late(self) -> bool:
        """Whether the search for relations has to end; remembered in ``cut_short``."""
        if self.search_deadline.passed():
            self.cut_short = True
        return self.cut_short

    def end_search(self) -> None:
        """End the search for relations now."""
        self.search_deadline = Deadline(0)

    def time_is_over(self) -> bool:
        """Whether a stage was cut short or the time limit has passed."""
        return self.cut_short or self.deadline.passed()
