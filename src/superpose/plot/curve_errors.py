"""Standard errors of the curves of a network, from the rows that it was fitted to.

The errors are those of a linear model about the fit, with the strengths of the roughness penalty under which the data
are most probable (:mod:`superpose.optim.smoothness`): ``variance * (J^T J + Q)^-1`` (D. MacKay, *Bayesian
interpolation*, 1992). Curves that end at other sums are held fixed, since a scale can pass from one layer, or
factor of a product, to another; and the mean of a curve over the rows is taken as known, since another curve of the sum
can take up what it loses.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.nn import KAN
from superpose.nn.model import Edge
from superpose.optim import penalty
from superpose.optim.levenberg_marquardt import LevenbergMarquardt
from superpose.optim.parameters import Parameters
from superpose.optim.smoothness import Smoothness
from superpose.spline import reference

# Constants of a network beyond which its matrix takes a second. A round number.
_MOST = 800
# Steps of the strengths, each by a factor of ten at most, from a first value far below the others. A round number.
_STEPS = 12
# Directions that neither rows nor penalties see, such as constants that pass from one curve to another.
_RIDGE = 1e-9


@dataclass(frozen=True)
class CurveErrors:
    """Standard errors of the curves of one network.

    Attributes:
        model: in float64.
        covariances: of the constants of each layer, the layer's block alone.
        places: where the constants of each edge stand in that block.
        inputs: of each layer, ``[B, I]``.
    """

    model: KAN
    covariances: tuple[Tensor, ...]
    places: dict[Edge, slice]
    inputs: list[Tensor]

    @torch.no_grad()
    def at(self, edge: Edge, x: Tensor) -> Tensor | None:
        """The standard error ``[G]`` of a curve at scaled inputs ``x [G]``; None of a removed one."""
        if edge not in self.places:
            return None
        n, i, _ = edge
        moves = self._moves(edge, torch.cat([x.double(), self.inputs[n][:, i]]))
        moved = moves[: len(x)] - moves[len(x) :].mean(0)
        covariance = self.covariances[n][self.places[edge], self.places[edge]]
        return ((moved @ covariance) * moved).sum(1).clamp(min=0).sqrt()

    def _moves(self, edge: Edge, x: Tensor) -> Tensor:
        """How a curve moves with its constants, ``[G, constants]``."""
        n, i, o = edge
        layer = self.model.layer(n)
        if layer.symbolic is None or (i, o) not in layer.symbolic.edges:
            return reference.dense_basis(layer.knots[i : i + 1], layer.degree, layer.base, x[:, None])[:, 0]
        index = layer.symbolic.edges.index((i, o))
        a, b, c, _ = layer.symbolic.constants[index]
        function, inner = layer.symbolic.functions[index], a * x + b
        value, slope = function.evaluate(inner), c * function.derivative(inner)
        return torch.stack([slope * x, slope, value, torch.ones_like(value)], 1)


@torch.no_grad()
def curve_errors(model: KAN, data: Dataset) -> CurveErrors | None:
    """The errors of the curves of a network of numbers at its training rows.

    Returns:
        None of a classifier, of a network with too many constants, and where rows leave no errors.
    """
    model = model.copy().double().cpu()
    parameters = Parameters(model)
    if model.head is not None or not 0 < parameters.size <= _MOST or data.n_targets != model.widths[-1]:
        return None
    raw, targets = (rows.double() for rows in data.rows("train"))
    x, y = model.scale_inputs(raw), (targets - model.output_center) / model.output_scale
    finite = y.isfinite().all(1) & model(raw).isfinite().all(1)
    weights = data.weights_of("train")
    x, y, weights = x[finite], y[finite], None if weights is None else weights[finite]
    if len(x) < 2:
        return None
    stepper = LevenbergMarquardt(model, x, y, weights=weights)
    smoothness = Smoothness(parameters, x)
    for _ in range(_STEPS):
        stepper.set_penalties(smoothness.terms())
        if not smoothness.update(stepper.normal_matrix(), stepper.theta, stepper.loss, y.numel()):
            break
    stepper.set_penalties(smoothness.terms())
    # As many constants as residuals leave no errors to learn from; see ``Smoothness.update``.
    free = max(y.numel() - stepper.effective_parameters(), 0.1 * y.numel())
    covariances, places = [], {}
    for n, (start, plan) in enumerate(zip(parameters.starts, parameters.plans, strict=True)):
        own = torch.arange(start, start + plan.size)
        own = own[~torch.isin(own, parameters.frozen)]
        # Of each constant the sum that its curve ends at.
        ends = torch.cat([plan.outputs.repeat_interleave(plan.rows), *(torch.full((4,), o) for _, o in plan.symbolic)])
        ends = ends[own - start]
        block = stepper.normal_matrix()[own][:, own] * (ends[:, None] == ends)
        diagonal = block.diagonal()
        ridge = _RIDGE * (diagonal + diagonal.max()) if len(own) else diagonal
        factor, failed = torch.linalg.cholesky_ex(block + torch.diag(ridge))
        if int(failed):
            return None
        # Constants that are frozen have no errors.
        covariance = torch.zeros(plan.size, plan.size, dtype=torch.float64)
        covariance[(own - start)[:, None], own - start] = torch.cholesky_inverse(factor) * (stepper.loss / free)
        covariances.append(covariance)
        for index, (i, o) in enumerate(plan.symbolic):
            first = plan.splines + 4 * index
            places[n, i, o] = slice(first, first + 4)
    for n, _, i, o, where in penalty.edges(parameters):
        places[n, i, o] = slice(where.start - parameters.starts[n], where.stop - parameters.starts[n])
    return CurveErrors(model, tuple(covariances), places, penalty.layer_inputs(parameters, x))
