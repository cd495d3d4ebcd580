"""Numbers of the searches for formulas of class scores."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchRules:
    """Effort of a search. Chosen on the knot table and on tables with known boundaries; not compared one by one.

    Attributes:
        screening_rows: rows on which terms are compared.
        fitting_rows: rows to which constants are fitted.
        max_terms: of a sum; of all scores together in a joint search.
        beam: sums of one length that are extended by another term.
        proposals: terms that each of them, or each score, is extended by.
        products: products and quotients of sums that join the terms, for each score.
        newton_steps: largest number of Newton steps of a fit of coefficients.
        floor: what a term adds beside the others counts as at least this share of the curvature; less is rounding.
        ridge: added to the normal matrix of a fit of coefficients, so that terms which other terms determine do no
            harm. A round number.
        relative_ridge: whether it is relative to the mean diagonal. An absolute one also bounds the scores of classes
            that are separated without error.
    """

    screening_rows: int
    fitting_rows: int
    max_terms: int
    beam: int
    proposals: int
    products: int
    newton_steps: int
    floor: float
    ridge: float = 1e-6
    relative_ridge: bool = True


# :class:`SearchRules` describes how they were chosen.
ONE_SCORE = SearchRules(
    screening_rows=2048, fitting_rows=8192, max_terms=5, beam=4, proposals=6, products=12, newton_steps=15, floor=1e-9
)
# Several scores need more terms, and each fit is of all scores, so that less is tried for each of them.
JOINT = SearchRules(
    screening_rows=1500,
    fitting_rows=8192,
    max_terms=16,
    beam=3,
    proposals=4,
    products=4,
    newton_steps=12,
    floor=1e-6,
    relative_ridge=False,
)
