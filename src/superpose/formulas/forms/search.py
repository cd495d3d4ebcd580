"""The constants of a form by least squares, from many starts at once.

Constants in which a form is linear follow from the others by linear least squares (variable projection, G. Golub and
V. Pereyra, 1973), so only the others are searched: candidates are compared first, and Levenberg-Marquardt goes down
from the best ones, all in one batch, with L. Kaufman's derivative of the projected residuals (1975).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from superpose.formulas.forms.starts import candidates, scales
from superpose.formulas.forms.tape import Form, inverse, linear_constants


@dataclass(frozen=True)
class Effort:
    """How much is tried.

    Attributes:
        candidates: points that are compared, for each constant that is searched for, and
        most_candidates: at most.
        starts: of them, so many go down.
        first: steps of all of these,
        few: of the best of them so many
        last: take so many steps more, at most.
        rows: of more rows, evenly spread ones are used until the last steps.
        apart: starts are apart by this share in some constant.

    Chosen on decays, rate laws, logistic and vapour pressure curves of 11 to 100 rows; all round numbers.
    """

    candidates: int = 256
    most_candidates: int = 1024
    starts: int = 24
    first: int = 12
    few: int = 6
    last: int = 60
    rows: int = 500
    apart: float = 0.3


EFFORT = Effort()
# Of linear least squares with columns of unit length: keeps dependent columns from dividing by zero, and changes
# determined ones by its square.
_RIDGE = 1e-9
# A row without a finite value counts as an error of so many squared deviations of the target.
_LOST = 4.0
# Damping at the start, its changes after good and bad steps, and its limits.
_DAMPING, _LESS, _MORE, _LEAST, _LARGEST = 1e-2, 0.2, 6.0, 1e-14, 1e12
# A relative decrease of the squared error below this is no progress.
_PROGRESS = 1e-13
# Last steps, and their damping: small, and large enough that undetermined constants stay where they are.
_POLISHING, _PROGRESS_DAMPING = 5, 1e-8


@dataclass(frozen=True)
class Problem:
    """A form, the rows it is fitted to, and the limits of its constants.

    Attributes:
        form: with its constants unknown.
        columns: ``[S]`` each, all columns of the table.
        y: ``[S]`` target.
        roots: ``[S]`` square roots of the weights.
        bounds: least and largest value of each constant.
        start: values to begin at, by the place of the constant.
        root: the operation of the form that gives ``y``.
        own: ``[S, m]`` further columns, which are added with coefficients of their own: bases of splines.
        bend: ``[m]`` what the square of each of these coefficients counts, beside squared errors.
    """

    form: Form
    columns: tuple[Tensor, ...]
    y: Tensor
    roots: Tensor
    bounds: tuple[tuple[float, float], ...]
    start: Mapping[int, float]
    root: int
    own: Tensor | None = None
    bend: Tensor | None = None

    def some(self, rows: Tensor) -> Problem:
        """The same with some of the rows."""
        return replace(
            self,
            columns=tuple(column[rows] for column in self.columns),
            y=self.y[rows],
            roots=self.roots[rows],
            own=None if self.own is None else self.own[rows],
            bend=None if self.bend is None else self.bend * (len(rows) / len(self.y)),
        )


@dataclass
class _State:
    """A batch of values of the constants ``[B, P]``, and their squared errors ``[B]``."""

    constants: Tensor
    loss: Tensor


class Projected(NamedTuple):
    """What a batch of constants leaves, the linear ones being the best.

    Attributes:
        constants: ``[B, P]``.
        loss: ``[B]``, squared residuals and penalties.
        rest: ``[B, S + K]`` residuals, of the ``K`` linear coefficients' penalties too.
        q: ``[B, S + K, K]``, an orthonormal basis of what the linear part can represent.
        finite: ``[B, S]``, where the form is.
        own: ``[B, m]`` coefficients of ``Problem.own``.
    """

    constants: Tensor
    loss: Tensor
    rest: Tensor
    q: Tensor
    finite: Tensor
    own: Tensor


class Descent:
    """Projected Levenberg-Marquardt on one problem, with some constants linear."""

    def __init__(self, problem: Problem, linear: Sequence[int]) -> None:
        self.problem, self.linear = problem, list(linear)
        self.searched = [place for place in range(len(problem.form.constants)) if place not in self.linear]
        self.y = problem.y * problem.roots
        mean = (problem.roots * self.y).sum() / problem.roots.square().sum()
        self.deviations = _LOST * (problem.roots * (problem.y - mean)).square()
        self.lower, self.upper = (
            torch.tensor([problem.bounds[place] for place in self.searched], dtype=torch.float64)
            .reshape(-1, 2)
            .unbind(-1)
        )

    def projected(self, constants: Tensor) -> Projected:
        """Constants ``[B, P]`` with the best linear ones, and what they leave."""
        form, columns = self.problem.form, self.problem.columns
        constants = constants.clone()
        constants[:, self.linear] = 0.0
        offset, basis = form.derivatives(columns, constants, self.linear, self.problem.root)
        finite = offset.isfinite() & basis.isfinite().all(-1)
        if self.problem.own is not None:
            basis = torch.cat([basis, self.problem.own.expand(len(basis), -1, -1)], -1)
        basis = torch.where(finite[..., None], basis, 0.0) * self.problem.roots[:, None]
        rest = torch.where(finite, self.y - self.problem.roots * offset, 0.0)
        count = basis.shape[-1]
        if not count:
            q, own = basis, rest[:, :0]
        else:
            size = basis.abs().amax(1).clamp(min=1e-300)
            scaled = basis / size[:, None]
            norm = scaled.square().sum(1).sqrt().clamp(min=1e-300)
            ridge = torch.full_like(norm, _RIDGE)
            if self.problem.bend is not None:
                after = slice(len(self.linear), None)
                ridge[:, after] += self.problem.bend.sqrt() / norm[:, after] / size[:, after]
            # A row for the ridge or the penalty of each coefficient.
            q, r = torch.linalg.qr(torch.cat([scaled / norm[:, None], torch.diag_embed(ridge)], 1))
            rest = torch.nn.functional.pad(rest, (0, count))
            inner = q.mT @ rest[..., None]
            solved = torch.linalg.solve_triangular(r, inner, upper=True)[..., 0] / norm / size
            constants[:, self.linear], own = solved[:, : len(self.linear)], solved[:, len(self.linear) :]
            rest = rest - (q @ inner)[..., 0]
        loss = rest.square().sum(-1) + torch.where(finite, 0.0, self.deviations).sum(-1)
        return Projected(constants, torch.nan_to_num(loss, nan=math.inf), rest, q, finite, own)

    def begin(self, searched: Tensor) -> _State:
        """The state of these values ``[B, p]`` of the constants that are searched for."""
        constants = searched.new_zeros(len(searched), len(self.problem.form.constants))
        constants[:, self.searched] = searched
        made, loss, *_ = self.projected(constants)
        return _State(made, loss)

    def best(self, state: _State, count: int) -> _State:
        """The best ones that are apart from one another in some constant."""
        order = state.loss.argsort(stable=True)
        chosen: list[int] = []
        values = state.constants[:, self.searched]
        for place in order.tolist():
            if len(chosen) == count or not math.isfinite(float(state.loss[place])):
                break
            if chosen and len(self.searched):
                others = values[chosen]
                largest = torch.maximum(others.abs(), values[place].abs()).clamp(min=1e-300)
                if bool((((others - values[place]).abs() / largest) < EFFORT.apart).all(-1).any()):
                    continue
            chosen.append(place)
        return _State(state.constants[chosen], state.loss[chosen])

    def down(self, state: _State, steps: int) -> _State:
        """So many steps of every start, fewer where none makes progress any more."""
        if not self.searched or not len(state.loss):
            return state
        constants = state.constants
        constants, loss, rest, q, finite, _ = self.projected(constants)
        damping = torch.full_like(loss, _DAMPING)
        active = torch.ones_like(loss, dtype=torch.bool)
        for _ in range(steps):
            step = self._step(constants, rest, q, finite, damping)
            trial = constants.clone()
            trial[:, self.searched] = (constants[:, self.searched] + step).clamp(self.lower, self.upper)
            trial, trial_loss, trial_rest, trial_q, trial_finite, _ = self.projected(trial)
            better = trial_loss < loss
            moved = (loss - trial_loss) > _PROGRESS * loss
            constants = torch.where(better[:, None], trial, constants)
            rest = torch.where(better[:, None], trial_rest, rest)
            q = torch.where(better[:, None, None], trial_q, q)
            finite = torch.where(better[:, None], trial_finite, finite)
            loss = torch.where(better, trial_loss, loss)
            active = torch.where(better, moved, active) & (damping < _LARGEST)
            damping = torch.where(better, damping * _LESS, damping * _MORE).clamp(_LEAST, _LARGEST)
            if not bool(active.any()):
                break
        return _State(constants, loss)

    def polished(self, constants: Tensor, loss: float) -> Tensor:
        """Constants ``[P]`` after a few steps that are hardly damped, as long as the loss stays the same.

        The loss is flat at its minimum: where it no longer changes, constants are known to half of its digits only.
        """
        if not self.searched:
            return constants
        best = constants
        for _ in range(_POLISHING):
            batch, _, rest, q, finite, _ = self.projected(best[None])
            step = self._step(batch, rest, q, finite, torch.full((1,), _PROGRESS_DAMPING, dtype=torch.float64))
            batch[:, self.searched] = (batch[:, self.searched] + step).clamp(self.lower, self.upper)
            made, after, *_ = self.projected(batch)
            if not float(after[0]) <= loss * (1 + 1e-12):
                break
            best = made[0]
        return best

    def _step(self, constants: Tensor, rest: Tensor, q: Tensor, finite: Tensor, damping: Tensor) -> Tensor:
        """Damped Gauss-Newton steps ``[B, p]``; constants at a limit, which would pass it, stay there."""
        _, slope = self.problem.form.derivatives(self.problem.columns, constants, self.searched, self.problem.root)
        slope = torch.where(finite[..., None] & slope.isfinite(), slope, 0.0) * self.problem.roots[:, None]
        slope = torch.nn.functional.pad(slope, (0, 0, 0, rest.shape[1] - slope.shape[1]))
        slope = slope - q @ (q.mT @ slope)
        gradient = (slope.mT @ rest[..., None])[..., 0]
        values = constants[:, self.searched]
        held = ((values <= self.lower) & (gradient < 0)) | ((values >= self.upper) & (gradient > 0))
        size = slope.square().sum(1).sqrt()
        size = torch.where(size > 0, size, 1.0)
        unit = torch.where(held[:, None], 0.0, slope / size[:, None])
        matrix = unit.mT @ unit
        eye = torch.eye(len(self.searched), dtype=torch.float64)
        matrix = matrix + eye * (damping[:, None, None] + held[..., None])
        right = torch.where(held, 0.0, gradient / size)
        finite_start = matrix.isfinite().all(-1).all(-1) & right.isfinite().all(-1)
        matrix = torch.where(finite_start[:, None, None], matrix, eye)
        right = torch.where(finite_start[:, None], right, 0.0)
        step, _ = torch.linalg.solve_ex(matrix, right[..., None])
        return torch.nan_to_num(step[..., 0] / size, nan=0.0, posinf=0.0, neginf=0.0)


@dataclass(frozen=True)
class Found:
    """The best constants ``[P]``, their squared error, and how many of the last starts reached it of how many."""

    constants: Tensor
    loss: float
    agreeing: int
    starts: int


def search(problem: Problem, seed: int = 0, effort: Effort = EFFORT) -> Found | None:
    """The constants with the least squared error; None if the form is finite at no start.

    Linear constants are first free of their limits: where the best ones keep to them, they are the best within. Those
    that do not are searched for with the others.
    """
    linear = linear_constants(problem.form, range(len(problem.form.constants)), problem.root)
    while True:
        found = _search(problem, linear, seed, effort)
        if found is None:
            return None
        beyond = [
            place
            for place in linear
            if not problem.bounds[place][0] <= float(found.constants[place]) <= problem.bounds[place][1]
        ]
        if not beyond:
            return found
        linear = [place for place in linear if place not in beyond]


def rough_loss(problem: Problem, effort: Effort, seed: int = 0) -> float:
    """The squared error after the first steps from the best starts; infinite if the form is finite at none of them."""
    descent = Descent(problem, linear_constants(problem.form, range(len(problem.form.constants)), problem.root))
    state = descent.best(_compared(descent, seed, effort), effort.starts)
    if not len(state.loss) or not bool(state.loss.isfinite().any()):
        return math.inf
    state = descent.best(descent.down(state, effort.first), effort.few)
    loss = float(descent.down(state, effort.last).loss.min())
    return loss if math.isfinite(loss) else math.inf


def _search(problem: Problem, linear: Sequence[int], seed: int, effort: Effort) -> Found | None:
    rows = len(problem.y)
    few = problem
    if rows > effort.rows:
        few = problem.some(torch.linspace(0, rows - 1, effort.rows).round().long())
    descent = Descent(few, linear)
    started = descent.best(_compared(descent, seed, effort), effort.starts)
    peeled = _from_inverse(few, seed)
    if peeled is not None:
        extra = descent.begin(peeled[:, descent.searched])
        started = _State(torch.cat([started.constants, extra.constants]), torch.cat([started.loss, extra.loss]))
    if not len(started.loss) or not bool(started.loss.isfinite().any()):
        return None
    state = descent.best(descent.down(started, effort.first), effort.few)
    state = descent.down(state, effort.last)
    last = descent
    if few is not problem:
        last = Descent(problem, linear)
        state = last.begin(state.constants[:3, last.searched])  # the best three; a round number
        state = last.down(state, effort.last)
    place = int(state.loss.argmin())
    least = float(state.loss[place])
    if not math.isfinite(least):
        return None
    # The same to a millionth, or to rounding.
    floor = 1e-20 * float((problem.y * problem.roots).square().sum())
    agreeing = int((state.loss <= least * (1 + 1e-6) + floor).sum())
    constants = last.polished(state.constants[place], least)
    return Found(plainest(last, constants, least, floor), least, agreeing, len(state.loss))


def plainest(descent: Descent, constants: Tensor, least: float, floor: float) -> Tensor:
    """Of constants with the same squared error, those with the fewest minus signs and then the smallest sum.

    The width of a bell curve enters squared, a phase only up to whole turns: all sign changes of up to six constants
    that are searched for are tried, and each as a phase, in (-pi, pi] and turned by half, and two that change places,
    as those of a difference of exponentials may.
    """
    searched = descent.searched[:6]
    if not searched:
        return constants
    tried = [constants]
    for first, second in itertools.combinations(searched, 2):
        swapped = constants.clone()
        swapped[[first, second]] = constants[[second, first]]
        tried.append(swapped)
    for count in range(2 ** len(searched)):
        flipped = constants.clone()
        for bit, place in enumerate(searched):
            if count >> bit & 1:
                flipped[place] = -flipped[place]
        tried.append(flipped)
        for place in searched:
            turned = flipped.clone()
            turned[place] = torch.remainder(turned[place] + math.pi, 2 * math.pi) - math.pi
            half = turned.clone()
            half[place] = turned[place] - math.copysign(math.pi, float(turned[place]))
            tried += [turned, half]
    batch = torch.stack(tried)
    lower, upper = torch.tensor(descent.problem.bounds, dtype=torch.float64).unbind(-1)
    made, loss, *_ = descent.projected(batch)
    inside = ((made >= lower) & (made <= upper)).all(-1)
    # The same to rounding, which whole turns of a large phase have.
    same = (inside & (loss <= least * (1 + 1e-9) + floor)).nonzero()[:, 0].tolist()
    if not same:
        return constants
    return made[min(same, key=lambda n: (int((made[n] < 0).sum()), float(made[n].abs().sum())))]


def _compared(descent: Descent, seed: int, effort: Effort) -> _State:
    """Candidates with their losses."""
    problem = descent.problem
    every = scales(problem.form, problem.root, problem.columns, problem.y)
    count = min(effort.candidates * max(len(descent.searched), 1), effort.most_candidates)
    if problem.own is not None:
        # Each has a matrix of its own.
        count = min(count, effort.candidates)
    start = {n: problem.start[place] for n, place in enumerate(descent.searched) if place in problem.start}
    made = candidates(
        [every[place] for place in descent.searched],
        [problem.bounds[place] for place in descent.searched],
        start,
        count,
        seed,
    )
    return descent.begin(made)


def _from_inverse(problem: Problem, seed: int) -> Tensor | None:
    """Constants ``[n, P]`` of the form without its outermost operations, fitted to what these make of the target."""
    if problem.own is not None:
        return None
    root, y, roots, changed = problem.root, problem.y, problem.roots, False
    while (made := inverse(problem.form, root, problem.columns, y)) is not None:
        kind = problem.form.operations[root].kind
        changed = (
            changed
            or kind in ("call", "power")
            or (kind == "divide" and made[0] != problem.form.operations[root].parts[0])
        )
        root, y = made[0], made[1]
        # Residuals of the new target count by what they are in the old one.
        roots = roots / made[2].abs()
    if not changed:
        return None
    usable = y.isfinite() & roots.isfinite() & (roots > 0)
    if int(usable.sum()) <= len(problem.form.constants) // 2 + 1:
        return None
    below = replace(problem, y=y, roots=roots / roots[usable].max(), root=root, start={}).some(usable.nonzero()[:, 0])
    linear = linear_constants(problem.form, range(len(problem.form.constants)), root)
    descent = Descent(below, linear)
    state = descent.best(_compared(descent, seed, EFFORT), EFFORT.few)
    if not len(state.loss):
        return None
    state = descent.down(state, EFFORT.first)
    lower, upper = torch.tensor(problem.bounds, dtype=torch.float64).unbind(-1)
    return state.constants.clamp(lower, upper)
