"""How the time of a search for classes is divided."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """How the time is divided, and when another head is tried. Chosen on the knot table; not compared singly.

    Attributes:
        screening: share of the time limit for choosing columns of wide tables.
        reference, other_reference: shares of the time limit after which no further kind of smooth sums is tried, with
            the first head and with another.
        first_head, other_head, columns, shapes, final: shares of the time limit after which each part ends: networks
            with the first head, with another head, removal of columns, shapes for the columns that are left, training
            on all rows.
        formulas: share after which the search for formulas ends. The rest is for their comparison with the network.
        much_better: a head with more scores replaces the first one if its cross-entropy is below this share, and lower
            by two standard errors on held-out rows; by one where both are smooth sums, which cross-validation compares
            on all rows.
        worse: a formula whose accuracy is lower than the network's by this much is a reason to try another head; the
            formula of the other head must be more accurate by half of it.
        formula_columns: share of the time left in which a network of the formula's columns is trained.
    """

    screening: float = 0.1
    reference: float = 0.2
    other_reference: float = 0.35
    first_head: float = 0.3
    other_head: float = 0.4
    columns: float = 0.5
    shapes: float = 0.55
    final: float = 0.65
    formulas: float = 0.9
    much_better: float = 0.8
    worse: float = 0.02
    formula_columns: float = 0.6


SCHEDULE = Schedule()
