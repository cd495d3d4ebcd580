"""The sentence that says which method to use."""

from __future__ import annotations

from collections.abc import Sequence

from superpose.messages import quoted
from superpose.tasks.comparison.choice import Choice
from superpose.tasks.comparison.result import MethodResult


def sentence(results: Sequence[MethodResult], choice: Choice | None, target: str) -> str:
    """Which method to use, why, and which others are as good.

    >>> results = [MethodResult("gp", "the Gaussian process", score=0.51, rmse=54.0),
    ...            MethodResult("line", "the straight line", score=0.5, rmse=54.5, size=11)]
    >>> sentence(results, Choice("line", "gp", ()), "y")
    "use the straight line for 'y' (RMSE 54.5, 11 constants): the Gaussian process has the least error, 54, but the \
difference is within its uncertainty over the folds"
    """
    name = quoted(target)
    if choice is None:
        return f"no method can be named for {name}, since every one failed"
    by_name = {one.name: one for one in results}
    named, best = by_name[choice.named], by_name[choice.best]
    judged = [one for one in results if one.score is not None]
    # The best is the reference of the ties, and is mentioned by itself.
    ties = _listed([by_name[one].label for one in choice.ties])
    if len(judged) == 1:
        return f"use {named.label} for {name} ({_figures(named)}), the only method that could be judged"
    if named.name in ("mean", "majority"):
        reason = f"no method is better than {named.label} by more than the uncertainty over the folds"
        return f"use {named.label} for {name} ({_figures(named)}): {reason}, so look for other features"
    least = "the least error" if named.rmse is not None else "the highest accuracy"
    if named is not best:
        also = f"; {ties} {_tie(choice.ties)}" if choice.ties else ""
        return (
            f"use {named.label} for {name} ({_figures(named)}): {best.label} has {least}, {_error(best)}, but "
            f"the difference is within its uncertainty over the folds{also}"
        )
    if choice.ties:
        return f"use {named.label} for {name} ({_figures(named)}): it has {least}, but {ties} {_tie(choice.ties)}"
    return f"use {named.label} for {name} ({_figures(named)}): it has {least} in cross-validation, without a tie"


def _tie(names: Sequence[str]) -> str:
    return f"{'is' if len(names) == 1 else 'are'} as good within the uncertainty"


def _figures(one: MethodResult) -> str:
    size = "" if one.size is None else f", {one.size:,.0f} {'constant' if one.size == 1 else 'constants'}"
    return f"{'accuracy' if one.rmse is None else 'RMSE'} {_error(one)}{size}"


def _error(one: MethodResult) -> str:
    if one.rmse is not None:
        return f"{one.rmse:.3g}"
    return f"{one.score:.1%}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
