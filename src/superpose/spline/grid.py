"""Knots: uniform, clamped, adapted to samples; exact knot insertion.

Knots are tensors ``[I, G + 2k + 1]``, one non-decreasing row for each input of a layer; their middle ``G + 1`` values
are the breakpoints, the first and last of which bound the domain.
"""

from __future__ import annotations

import torch
from torch import Tensor

# So many samples a part of an interval is to hold: a cubic has four constants, and follows the noise of a few.
_ENOUGH = 12


def breakpoints(knots: Tensor, degree: int) -> Tensor:
    """The ``[I, G + 1]`` ends of the grid intervals."""
    return knots[:, degree : knots.shape[-1] - degree]


def extended_knots(points: Tensor, degree: int) -> Tensor:
    """Knots for breakpoints ``[I, G + 1]``: the end intervals are repeated ``degree`` times on either side.

    >>> extended_knots(torch.tensor([[0.0, 1.0, 3.0]]), 2)
    tensor([[-2., -1.,  0.,  1.,  3.,  5.,  7.]])
    """
    steps = torch.arange(1, degree + 1, dtype=points.dtype, device=points.device)
    left = points[:, :1] - steps.flip(0) * (points[:, 1] - points[:, 0])[:, None]
    right = points[:, -1:] + steps * (points[:, -1] - points[:, -2])[:, None]
    return torch.cat([left, points, right], -1)


def clamped_knots(points: Tensor, degree: int) -> Tensor:
    """Knots for breakpoints ``[I, G + 1]`` with the two ends of the domain repeated ``degree`` times.

    >>> clamped_knots(torch.tensor([[0.0, 1.0, 3.0]]), 2)
    tensor([[0., 0., 0., 1., 3., 3., 3.]])
    """
    return torch.cat([points[:, :1].expand(-1, degree), points, points[:, -1:].expand(-1, degree)], -1)


def uniform_knots(low: Tensor, high: Tensor, grid_size: int, degree: int) -> Tensor:
    """Evenly spaced knots on ``[low, high]`` (each ``[I]``), continued with the same spacing outside.

    >>> uniform_knots(torch.tensor([0.0]), torch.tensor([2.0]), 2, 1)
    tensor([[-1.,  0.,  1.,  2.,  3.]])
    """
    steps = torch.arange(-degree, grid_size + degree + 1, dtype=low.dtype, device=low.device) / grid_size
    return low[:, None] * (1 - steps) + high[:, None] * steps


def adapted_breakpoints(x: Tensor, grid_size: int, *, blend: float = 0.5, margin: float = 0.0) -> Tensor:
    """Breakpoints ``[I, G + 1]`` that follow samples ``x [B, I]``.

    Args:
        x: the samples of each input; their range, widened on both sides by ``margin`` times itself, is the domain.
        grid_size: ``G``.
        blend: 0 for evenly spaced, 1 for quantiles of the samples, between them a weighted mean of the two.
        margin: share of the range added on either side.
    """
    low, high = x.amin(0), x.amax(0)
    width = high - low
    # A constant input still needs an interval to live on.
    floor = torch.maximum(low.abs(), torch.ones_like(low)) * 1e-3
    half = torch.where(width > 0, torch.zeros_like(width), floor)
    low, high = low - half - margin * width, high + half + margin * width
    shares = torch.linspace(0, 1, grid_size + 1, dtype=x.dtype, device=x.device)
    even = low[:, None] * (1 - shares) + high[:, None] * shares
    if blend == 0:
        return even
    ranked = x.sort(0).values
    place = shares * (x.shape[0] - 1)
    below = place.floor().long().clamp(max=max(0, x.shape[0] - 2))
    above = (below + 1).clamp(max=x.shape[0] - 1)
    part = (place - below)[:, None]
    quantiles = (ranked[below] * (1 - part) + ranked[above] * part).T.clone()
    quantiles[:, 0], quantiles[:, -1] = low, high
    return (1 - blend) * even + blend * quantiles


def widened_breakpoints(points: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Breakpoints ``[I, G + 1]``, the outermost moved out to ``low`` and ``high`` ``[I]`` where those lie further."""
    points = points.clone()
    points[:, 0] = torch.minimum(points[:, 0], low)
    points[:, -1] = torch.maximum(points[:, -1], high)
    return points


def split_breakpoints(points: Tensor, grid_size: int, samples: Tensor | None = None) -> Tensor:
    """Breakpoints with ``grid_size`` intervals that contain the given ones ``[I, G + 1]``.

    Each interval is cut into equal parts, always the one whose parts are widest, so a multiple of an even grid is
    even again. Because the old breakpoints stay, the splines on them are splines on the new ones.

    Args:
        points: ``[I, G + 1]``.
        grid_size: how many intervals there are to be.
        samples: ``[B, I]``; intervals whose parts would hold too few of them to tell a curve are cut last.

    >>> split_breakpoints(torch.tensor([[0.0, 1.0, 3.0]]), 3)
    tensor([[0., 1., 2., 3.]])
    """
    widths = points.diff(dim=-1)
    parts = torch.ones_like(widths)
    if grid_size < widths.shape[-1]:
        raise ValueError(f"cannot split {widths.shape[-1]} intervals into {grid_size}")
    held = None if samples is None else counts(points, samples)
    if held is None:
        # Parts that follow from the widths alone, a little too few, then the rest one by one.
        total = widths.sum(-1, keepdim=True)
        ideal = (widths / total * (grid_size - widths.shape[-1])).floor()
        parts = torch.maximum(parts, ideal)
    # Equal widths computed in floating point differ in the last digits; the first of equals is split first.
    for _ in range(int(grid_size - parts.sum(-1).min())):
        open_rows = parts.sum(-1) < grid_size
        current = widths / parts
        if held is not None:
            enough = held >= (parts + 1) * _ENOUGH
            current = torch.where(enough | ~enough.any(-1, keepdim=True), current, 0.0)
        widest = current.amax(-1, keepdim=True) * (1 - 1e-9)
        chosen = (current >= widest).to(torch.int8).argmax(-1)
        rows = torch.nonzero(open_rows)[:, 0]
        parts[rows, chosen[rows]] += 1
    split = parts.long()
    start = torch.repeat_interleave(points[:, :-1].flatten(), split.flatten()).view(-1, grid_size)
    step = torch.repeat_interleave((widths / parts).flatten(), split.flatten()).view(-1, grid_size)
    first = split.cumsum(-1) - split
    index = torch.arange(grid_size, device=points.device) - torch.repeat_interleave(
        first.flatten(), split.flatten()
    ).view(-1, grid_size)
    return torch.cat([start + step * index, points[:, -1:]], -1)


def counts(points: Tensor, samples: Tensor) -> Tensor:
    """How many of ``samples [B, I]`` lie in each interval of ``points [I, G + 1]``; others count for the ends."""
    size = points.shape[-1] - 1
    inner = points[:, 1:-1].contiguous()
    intervals = torch.searchsorted(inner, samples.T.contiguous(), right=True)
    found = torch.zeros((len(points), size), dtype=points.dtype, device=points.device)
    return found.scatter_add_(1, intervals, torch.ones_like(intervals, dtype=points.dtype))


def insertion_matrix(old: Tensor, new: Tensor, degree: int, *, wider: bool = False) -> Tensor:
    """Matrix ``[I, R_new, R_old]`` that turns coefficients on ``old`` knots into the same functions on ``new`` ones.

    Exact when the new breakpoints contain the old ones (with at least their multiplicity) on the same domain; knots
    outside the domain may be anything. With ``wider`` the new domain contains the old one, whose ends need not be
    breakpoints any more: the outermost polynomial pieces go on where a spline on the old knots would be a straight
    line. A new coefficient is the blossom of the old polynomial piece at that coefficient's ``k`` inner knots
    (L. Ramshaw, *Blossoming*, 1987), so no equation is solved.

    Raises:
        ValueError: if the domains differ (with ``wider``: the new one is narrower) or an old breakpoint is missing from
            the new ones.
    """
    _check_nested(old, new, degree, wider)
    inputs, count_old, count_new = (
        old.shape[0],
        old.shape[-1] - degree - 1,
        new.shape[-1] - degree - 1,
    )
    # The polynomial piece to blossom: any non-empty new interval inside the domain that the coefficient touches.
    ends = new[:, degree : count_new + 1]
    filled = ends.diff(dim=-1) > 0
    intervals = torch.arange(degree, count_new, device=new.device)
    touch = intervals - torch.arange(count_new, device=new.device)[:, None]
    reach = (touch >= 0) & (touch <= degree)
    usable = reach[None] & filled[:, None, :]
    middle = torch.where(usable, -(2 * touch - degree).abs()[None], -1000).argmax(-1)
    centre = (ends[:, :-1] + ends[:, 1:]) / 2
    inside = torch.gather(centre, 1, middle)
    interior = old[:, degree + 1 : count_old].contiguous()
    piece = torch.searchsorted(interior, inside, right=True) + degree
    if wider:
        piece = _nearest_filled(old[:, degree : count_old + 1], piece - degree) + degree
    rows = torch.arange(inputs, device=new.device)[:, None]
    # de Boor's triangle with a different argument at each stage, carried for all old coefficients at once.
    blossom = torch.zeros((inputs, count_new, degree + 1, count_old), dtype=new.dtype, device=new.device)
    window = piece[..., None] - degree + torch.arange(degree + 1, device=new.device)
    blossom.scatter_(-1, window[..., None], 1.0)
    for stage in range(1, degree + 1):
        argument = new[:, stage : stage + count_new]
        raised = []
        for j in range(degree - stage + 1):
            left = old[rows, piece - degree + stage + j]
            right = old[rows, piece + 1 + j]
            share = ((argument - left) / (right - left))[..., None]
            raised.append((1 - share) * blossom[:, :, j] + share * blossom[:, :, j + 1])
        blossom = torch.stack(raised, 2)
    # A coefficient that touches no filled interval of the domain never acts inside it.
    return blossom[:, :, 0] * usable.any(-1)[..., None]


def _nearest_filled(ends: Tensor, intervals: Tensor) -> Tensor:
    """``intervals [I, N]`` with those that are empty replaced by the next one that is not, or by the last such one."""
    filled = ends.diff(dim=-1) > 0
    size = filled.shape[-1]
    places = torch.arange(size, device=ends.device)
    following = torch.where(filled, places, size).flip(-1).cummin(-1).values.flip(-1)
    last = torch.where(filled, places, -1).amax(-1, keepdim=True)
    return torch.gather(torch.minimum(following, last), 1, intervals)


def _check_nested(old: Tensor, new: Tensor, degree: int, wider: bool) -> None:
    before, after = breakpoints(old, degree), breakpoints(new, degree)
    if wider:
        if bool((after[:, 0] > before[:, 0]).any()) or bool((after[:, -1] < before[:, -1]).any()):
            raise ValueError("the new domain must contain the old one")
        before = before[:, 1:-1]
    elif not (torch.equal(before[:, 0], after[:, 0]) and torch.equal(before[:, -1], after[:, -1])):
        raise ValueError("knot insertion keeps the domain: the first and last breakpoints must stay")
    below = torch.searchsorted(after.contiguous(), before.contiguous())
    upto = torch.searchsorted(after.contiguous(), before.contiguous(), right=True)
    own = torch.searchsorted(before.contiguous(), before.contiguous(), right=True) - torch.searchsorted(
        before.contiguous(), before.contiguous()
    )
    if bool((upto - below < own).any()):
        raise ValueError("knot insertion needs every old breakpoint among the new ones")
