"""Numbers of the search for laws: what surrogates allow to conclude, in which order tables come, how much is tried."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SurrogateRules:
    """What the error of a surrogate, in units of the target's standard deviation, allows to conclude.

    Chosen on the AI Feynman equations, with and without 0.1% of noise; not compared one by one.

    Attributes:
        rough: beyond this error, derivatives show nothing.
        oscillating: beyond this error, the function may oscillate too fast for polynomials, and reductions are tried.
        waves: a surrogate with a wave must err less than this share of a polynomial.
        smooth: below this error, ratios of derivatives can be trusted.
        loss, smooth_loss: a smaller table whose surrogate errs more than this times that of its parent lost something.
            The second holds for parents below ``smooth``, whose errors fall with the number of columns.
        least_loss: but errors below this one count as equal.
        rounding: errors and violations below this are those of derivatives of exact data.
        as_good: surrogates within this factor of the best one explain as much.
        splines, splines_least, splines_most: a sum of splines is read if it errs less than this times the surrogate,
            within these bounds; curves of splines are rough however good the surrogate is.
    """

    rough: float = 0.3
    oscillating: float = 0.015
    waves: float = 0.3
    smooth: float = 1e-3
    loss: float = 1.3
    smooth_loss: float = 3.0
    least_loss: float = 1e-6
    rounding: float = 1e-9
    as_good: float = 1.2
    splines: float = 3.0
    splines_least: float = 1e-5
    splines_most: float = 0.03


@dataclass(frozen=True)
class OrderRules:
    """Priorities in the queue, in decades of a reduction's violation; less comes first.

    Chosen on the AI Feynman equations; not compared one by one.

    Attributes:
        later: how far the second stage of a table comes after its first, so that first stages of others come between.
        next_stage: how far the third look comes after the second.
        sure_first: how far before a table of one column comes, if nothing was lost on the way to it.
        column: for each column that is left.
        factor: for a reduction with a factor.
        alternative: for each equivalent choice of units that comes before.
        rough: a violation is taken to be no less than this share of the surrogate's error.
        first: no later stage of a table comes before this.
        groups: of groups of columns that stand in different terms, where a surrogate errs.
        few_rows, compositions: of the search among compositions, if rows are few, and else.
        other_compositions: of those behind the first ones, if rows are few: after forms with constants inside.
        doubtful: of the search among compositions, if no reduction comes before this.
        relations: of the relations between products of the whole table: right after doubtful compositions.
        constants: how far forms with constants inside their terms come after the first stage of a table.
    """

    later: float = 1.0
    next_stage: float = 0.1
    sure_first: float = -3.0
    column: float = 0.2
    factor: float = 0.1
    alternative: float = 0.4
    rough: float = 0.1
    first: float = -9.0
    groups: float = -9.0
    few_rows: float = -10.0
    compositions: float = 0.9
    other_compositions: float = 0.97
    doubtful: float = -1.0
    relations: float = -0.9
    constants: float = 0.95


@dataclass(frozen=True)
class LimitRules:
    """How much is tried. Chosen on the AI Feynman equations with a time limit of 60 s on one core.

    Attributes:
        rows: of the table that are searched; fits use all.
        points: rows at which derivatives are computed.
        violation: largest violation of a symmetry that is followed.
        sure: a smaller violation leaves no need to look for other reductions.
        children, noisy_children: reductions of one table that are followed: with a sure one among them, and where the
            clearest may all be chance.
        depth: reductions after one another.
        splits, split_share: splits that are followed, and the share of the time left that one of them may take.
        groups, group_share: tables of which groups of columns are taken away, and the share of the time left that
            the functions of these may take.
        many: among more columns than this some are likely to be idle.
        again: seconds that a search goes on at least after a law that leaves noise; if it took longer, as long again.
        few_rows: up to so many rows show little structure, and compositions are tried first.
        compositions: share of the time left that compositions may take.
        constants: tables whose forms have constants inside their terms fitted,
        constants_share: and the share of the time left that one of them may take.
        relations: tables that are searched for algebraic relations, which take a second or two of each.
        patience, floats: this many times longer after a law with more decimal numbers, which may be an expansion.
    """

    rows: int = 6000
    points: int = 700
    violation: float = 0.2
    sure: float = 1e-3
    children: int = 5
    noisy_children: int = 14
    depth: int = 8
    splits: int = 2
    split_share: float = 0.25
    groups: int = 4
    group_share: float = 0.3
    many: int = 3
    again: float = 10.0
    few_rows: int = 500
    compositions: float = 0.5
    constants: int = 2
    constants_share: float = 0.5
    relations: int = 8
    patience: float = 3.0
    floats: int = 4


SURROGATES, ORDER, LIMITS = SurrogateRules(), OrderRules(), LimitRules()
