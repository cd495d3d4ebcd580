"""Whether residuals have structure: then there is more to explain; else they are noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.formulas.from_table.surrogate import fit_surrogate, held_out


@dataclass(frozen=True)
class _Neighbours:
    """How the nearest rows predict residuals.

    Attributes:
        rows: first rows. A round number.
        count: nearest rows whose mean predicts. Not compared with other numbers.
        share: of the squared residuals that is no chance. Of noise the mean of 6 others predicts -1/6, give or take
            about sqrt(2 / 2000) = 0.03.
    """

    rows: int = 2000
    count: int = 6
    share: float = 0.1


_NEIGHBOURS_RULE = _Neighbours()


def structure(x: Tensor, residual: Tensor, used: list[int]) -> float:
    """The share of squared residuals that a polynomial, or the nearest rows, predict; noise gives 0.

    Args:
        x: ``[N, n]`` columns, rows in random order.
        residual: ``[N]``.
        used: the columns that stand in the law: with these alone, a polynomial of the same size sees more.
    """
    size = float(residual.square().mean().sqrt())
    if not size > 0:
        return 0.0
    # Beside the same held-out rows' own size, so that chance in their choice cancels.
    own = float((residual[: held_out(len(residual))] / size).square().mean())
    if not own > 0:
        return 0.0
    found = 0.0
    for columns in {tuple(range(x.shape[1])), tuple(used)} - {()}:
        # 25 rows for each monomial, 200 at most, so that chance predicts little. Round numbers.
        most = max(len(columns) + 1, min(200, len(x) // 25))
        error = fit_surrogate(x[:, columns], residual / size, torch.ones_like(residual), 1.0, most=most).error
        found = max(found, 1 - error**2 / own, _neighbours(x[:, columns], residual / size))
    return found


def _neighbours(x: Tensor, residual: Tensor) -> float:
    """The share of squared residuals that those of the nearest rows predict, where it is much; noise gives 0.

    It sees what waves or jumps too much for polynomials.
    """
    some, values = x[: _NEIGHBOURS_RULE.rows], residual[: _NEIGHBOURS_RULE.rows]
    scaled = (some - some.mean(0)) / some.std(0).clamp(min=1e-300)  # no division by zero
    distance = torch.cdist(scaled, scaled)
    distance.fill_diagonal_(math.inf)
    nearest = distance.topk(min(_NEIGHBOURS_RULE.count, len(some) - 1), largest=False).indices
    left = float((values - values[nearest].mean(-1)).square().mean())
    share = 1 - left / float(values.square().mean())
    return share if share > _NEIGHBOURS_RULE.share else 0.0


__all__ = ["structure"]
