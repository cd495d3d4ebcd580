"""Levenberg-Marquardt for KANs: the damped Gauss-Newton method on all edges' curves at once.

The residuals are ``(model(x) - y)`` in scaled units, the parameters the rows ``C[i, :, o]`` of every spline edge and
the constants ``a, b, c, d`` of every symbolic one. A layer's part of the Jacobian is an outer product of the
back-propagated sensitivities of the outputs and the layer's basis values, so ``J^T J`` is summed over blocks of
samples and the Jacobian is never held whole.

Sources: D. Marquardt, SIAM J. Appl. Math. 11 (1963); H. B. Nielsen, *Damping parameter in Marquardt's method*
(1999), whose gain-ratio rule sets the damping here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN
from superpose.spline import reference

# The Jacobian of one block of samples has at most this many elements (float64: 32 MiB).
_BLOCK_ELEMENTS = 1 << 22
_LEAST_DAMPING, _MOST_DAMPING = 1e-14, 1e8


@dataclass(frozen=True)
class _LayerPlan:
    """Which parameters of one layer are free, in the order of the parameter vector."""

    inputs: Tensor
    outputs: Tensor
    rows: int
    symbolic: tuple[tuple[int, int], ...]

    # Whether all edges are splines: then the parameters are the coefficients in another order, and views suffice.
    whole: bool

    @property
    def splines(self) -> int:
        return len(self.inputs) * self.rows

    @property
    def size(self) -> int:
        return self.splines + 4 * len(self.symbolic)


def _plan(layer: KANLayer) -> _LayerPlan:
    mask = layer.spline_mask()
    inputs, outputs = torch.nonzero(mask, as_tuple=True)
    symbolic = () if layer.symbolic is None else layer.symbolic.edges
    return _LayerPlan(inputs, outputs, layer.coefficients.shape[1], symbolic, len(inputs) == mask.numel())


class Parameters:
    """The free constants of a model as one vector, and the way back."""

    def __init__(self, model: KAN) -> None:
        self.layers = model.kan_layers()
        self.plans = [_plan(layer) for layer in self.layers]
        self.size = sum(plan.size for plan in self.plans)

    def get(self) -> Tensor:
        """The parameter vector ``[P]``."""
        parts = []
        for layer, plan in zip(self.layers, self.plans, strict=True):
            rows = layer.coefficients.detach()
            rows = rows.transpose(1, 2) if plan.whole else rows[plan.inputs, :, plan.outputs]
            parts.append(rows.reshape(-1))
            if layer.symbolic is not None:
                parts.append(layer.symbolic.constants.detach().flatten())
        return torch.cat(parts)

    @torch.no_grad()
    def set(self, vector: Tensor) -> None:
        """Write a parameter vector back into the model."""
        start = 0
        for layer, plan in zip(self.layers, self.plans, strict=True):
            rows, free = layer.coefficients, vector[start : start + plan.splines]
            if plan.whole:
                rows.copy_(free.view(rows.shape[0], rows.shape[2], plan.rows).transpose(1, 2))
            else:
                rows[plan.inputs, :, plan.outputs] = free.view(-1, plan.rows)
            if layer.symbolic is not None:
                layer.symbolic.constants.copy_(vector[start + plan.splines : start + plan.size].view(-1, 4))
            start += plan.size


@dataclass(frozen=True)
class Quadratic:
    """A penalty ``theta^T matrix theta / 2`` on some entries of the parameter vector, summed over a list of these."""

    start: int
    matrix: Tensor


@dataclass(frozen=True)
class StepResult:
    """What one step did: the mean squared residual after it, whether it was taken, whether all hope is gone."""

    loss: float
    accepted: bool
    stalled: bool


class LevenbergMarquardt:
    """Minimises the mean squared residual of a model on ``x, y`` (scaled units), one :meth:`step` at a time.

    Args:
        model: changed in place by accepted steps.
        x: ``[B, n_in]`` scaled inputs.
        y: ``[B, n_out]`` scaled targets.
        penalties: quadratic terms added to half the mean squared residual.
        weights: ``[B]`` weights of the samples with mean 1, or None.
        damping: at the first step, relative to the diagonal of the normal matrix.
    """

    def __init__(
        self,
        model: KAN,
        x: Tensor,
        y: Tensor,
        *,
        penalties: Sequence[Quadratic] = (),
        weights: Tensor | None = None,
        damping: float = 1e-2,
    ) -> None:
        self.model, self.x, self.y = model, x, y
        self.weights = weights
        self.parameters = Parameters(model)
        self.penalties = list(penalties)
        self.damping, self._growth = damping, 2.0
        self._system: tuple[Tensor, Tensor] | None = None
        self.theta = self.parameters.get()
        self.loss = self._loss()

    @torch.no_grad()
    def _loss(self) -> float:
        h = self.x
        for layer in self.parameters.layers:
            h = layer(h)
        squares = (h - self.y).square()
        if self.weights is not None:
            squares = squares * self.weights[:, None]
        return float(squares.mean())

    def _penalty(self, theta: Tensor) -> float:
        total = 0.0
        for term in self.penalties:
            part = theta[term.start : term.start + term.matrix.shape[0]]
            total += float(part @ term.matrix @ part)
        return total

    @torch.no_grad()
    def _assemble(self) -> tuple[Tensor, Tensor]:
        """The normal matrix ``J^T J / N`` and the gradient ``J^T r / N``, penalties included."""
        count, outputs = self.y.shape
        normal = self.x.new_zeros((self.parameters.size, self.parameters.size))
        gradient = self.x.new_zeros(self.parameters.size)
        step = max(1, _BLOCK_ELEMENTS // max(1, self.parameters.size * outputs))
        for start in range(0, count, step):
            block = slice(start, start + step)
            jacobian, residual = jacobian_block(self.parameters, self.x[block], self.y[block])
            if self.weights is not None:
                root = self.weights[block].sqrt()
                jacobian, residual = jacobian * root[:, None, None], residual * root[:, None]
            flat = jacobian.flatten(0, 1)
            normal.addmm_(flat.T, flat)
            gradient.addmv_(flat.T, residual.flatten())
        normal /= count * outputs
        gradient /= count * outputs
        for term in self.penalties:
            part = slice(term.start, term.start + term.matrix.shape[0])
            normal[part, part] += term.matrix
            gradient[part] += term.matrix @ self.theta[part]
        return normal, gradient

    @torch.no_grad()
    def step(self, tries: int = 8) -> StepResult:
        """One accepted step, or up to ``tries`` rejected ones with growing damping."""
        if self._system is None:
            self._system = self._assemble()
        normal, gradient = self._system
        if not bool(torch.isfinite(gradient).all()):
            return StepResult(self.loss, False, True)
        diagonal = normal.diagonal()
        # The floor keeps directions that no sample sees where they are.
        scale = diagonal + 1e-6 * diagonal.max().clamp(min=1e-30)
        before = self.loss + self._penalty(self.theta)
        for _ in range(tries):
            damped = normal + torch.diag(self.damping * scale)
            factor, failed = torch.linalg.cholesky_ex(damped)
            if int(failed) == 0:
                move = -torch.cholesky_solve(gradient[:, None], factor)[:, 0]
                predicted = float(move @ (self.damping * scale * move - gradient))
                self.parameters.set(self.theta + move)
                loss = self._loss()
                gain = (before - loss - self._penalty(self.theta + move)) / max(predicted, 1e-300)
                if loss == loss and gain > 1e-4:
                    self.theta = self.theta + move
                    self.loss, self._system = loss, None
                    self._relax(gain)
                    return StepResult(loss, True, False)
            self.damping *= self._growth
            self._growth *= 2.0
            if self.damping > _MOST_DAMPING:
                break
        self.parameters.set(self.theta)
        stalled = self.damping > _MOST_DAMPING
        if stalled:
            self.damping, self._growth = 1e-2, 2.0
        return StepResult(self.loss, False, stalled)

    def _relax(self, gain: float) -> None:
        factor = max(1 / 10, 1 - (2 * min(gain, 1.0) - 1) ** 3)
        self.damping = max(self.damping * factor, _LEAST_DAMPING)
        self._growth = 2.0


def jacobian_block(parameters: Parameters, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Jacobian ``[b, n_out, P]`` and residuals ``[b, n_out]`` of one block of samples, scaled units."""
    layers, plans = parameters.layers, parameters.plans
    inputs, bases = [x], []
    for layer in layers:
        basis = reference.dense_basis(layer.knots, layer.degree, layer.base, inputs[-1])
        bases.append(basis)
        h = basis.flatten(1) @ layer.rows().flatten(0, 1)
        if layer.symbolic is not None:
            h = h + layer.symbolic(inputs[-1], layer.out_features)
        inputs.append(h)
    outputs = inputs[-1].shape[1]
    sensitivity = torch.eye(outputs, dtype=x.dtype, device=x.device).expand(x.shape[0], -1, -1)
    parts: list[Tensor] = []
    for n in range(len(layers) - 1, -1, -1):
        layer, plan, h = layers[n], plans[n], inputs[n]
        part = sensitivity[:, :, plan.outputs, None] * bases[n][:, None, plan.inputs, :]
        columns = [part.flatten(2)]
        slopes = (
            None
            if n == 0
            else torch.einsum(
                "bir,iro->bio",
                reference.dense_basis(layer.knots, layer.degree, layer.base, h, 1),
                layer.rows(),
            )
        )
        if layer.symbolic is not None:
            for index, (i, o) in enumerate(plan.symbolic):
                a, b, c, _ = layer.symbolic.constants[index]
                function, point = layer.symbolic.functions[index], a * h[:, i] + b
                value, slope = function.evaluate(point), c * function.derivative(point)
                local = torch.stack([slope * h[:, i], slope, value, torch.ones_like(value)], -1)
                columns.append(sensitivity[:, :, o, None] * local[:, None, :])
                if slopes is not None:
                    slopes[:, i, o] = slope * a
        parts.insert(0, torch.cat(columns, -1))
        if slopes is not None:
            sensitivity = torch.einsum("bno,bio->bni", sensitivity, slopes)
    return torch.cat(parts, -1), inputs[-1] - y
