"""The constants by which sums of functions are chosen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SelectionRules:
    """Constants of the choice. Looked at on 22 tables of R's datasets and SRBench's black-box sets.

    Attributes:
        doubt: rows for each degree of complexity: a candidate weighs ``exp(-doubt * degree / N)`` before its errors are
            known, since with few rows complex ones look good by luck. Of 0, 30 and 60, 30 predicted best.
        power: the weight of a candidate is ``(mean squared error)^(-power * N)``: half of what it would be were the
            squared errors known. Of 1/2, 1/4 and 1/8, 1/4 predicted best.
        sure: standard errors by which the logarithm of the target must be more probable.
        worse: by how much its squared error in the target's own units may be larger then.
        decades: a target whose 95th percentile is more than this many times its 5th spans decades: errors are relative
            there, and
        worse_over_decades: is allowed instead.
        weight: share below which a candidate does not enter the mean.
        groups: variables that are mixed at most. A round number.
        gross: robust deviations beyond which a residual is gross, if it is so under every candidate. One of a million
            of normal residuals is.
        alike: a candidate whose median error is less than this many times the least one does about as well. A round
            number.
        most_gross: more than this share of rows are no outliers but another distribution.
        cheap: rows or coefficients, whichever are fewer, squared, times coefficients, of the first two candidates, up
            to which they are fitted even if the time is over: half a second.
        entries: numbers of a design at most: 160 MB.
    """

    doubt: float = 30.0
    power: float = 0.25
    sure: float = 2.0
    worse: float = 1.1
    decades: float = 100.0
    worse_over_decades: float = 2.0
    weight: float = 0.05
    groups: int = 3
    gross: float = 5.0
    alike: float = 1.5
    most_gross: float = 0.15
    cheap: float = 1e7
    entries: float = 2e7


RULES = SelectionRules()
