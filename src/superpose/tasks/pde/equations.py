"""The normal equations of a problem's residuals, for Levenberg-Marquardt.

A residual is a function of derivatives of the outputs, ``r = R(u, u_x, u_xx, ...; x)``. Its derivative by the row
``C_ro`` of an edge is, with ``y_S`` the derivatives of the sums of the edge's layer and ``v_Sm`` the factors beside
``phi^(m)`` in them (:mod:`superpose.tasks.pde.operators`),

    dr/dC_iro = sum_m w_iom beta_r^(m)(h_i),     w_iom = sum_S dr/dy_So v_Smi

``dr/dy_S`` of all samples, layers and ``S`` comes from one backward pass of the sum of the residuals, since a sample's
residual depends on no other sample. So an edge has ``degree + 2`` entries for a sample, as in regression, and the same
kernels sum their products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN
from superpose.optim.gauss_newton import DampedGaussNewton, Quadratic
from superpose.optim.parameters import LayerPlan, Parameters
from superpose.spline import normal_matrix, reference
from superpose.tasks.pde.operators import Derivatives, Index, symbolic_part
from superpose.tasks.pde.problem import Problem, Residual

# Elements of the Jacobian of one block of samples: 32 MiB in float64, a round number.
_BLOCK_ELEMENTS = 1 << 22

Adjoints = list[dict[Index, Tensor]]


@dataclass(frozen=True)
class Term:
    """A residual at its points; ``weight`` times its mean square enters the loss."""

    residual: Residual
    points: Tensor
    weight: float


class ResidualSteps(DampedGaussNewton):
    """Levenberg-Marquardt on the weighted mean squares of a problem's residuals."""

    def __init__(
        self,
        model: KAN,
        problem: Problem,
        terms: Sequence[Term],
        *,
        penalties: Sequence[Quadratic] = (),
        damping: float = 1e-2,
    ) -> None:
        self.model, self.problem, self.terms = model, problem, list(terms)
        super().__init__(Parameters(model), penalties, damping)

    @torch.no_grad()
    def _loss(self) -> float:
        return float(sum(square(self.problem, self.model, term) for term in self.terms))

    def _equations(self) -> tuple[Tensor, Tensor]:
        return normal_equations(self.problem, self.model, self.parameters, self.terms)


def square(problem: Problem, model: nn.Module, term: Term) -> Tensor:
    """The weighted mean square of a term, the squares summed over its equations."""
    value, _ = problem.evaluate(term.residual, model, term.points)
    return term.weight * value.square().sum(1).mean()


def adjoints(value: Tensor, known: Sequence[Derivatives]) -> list[Adjoints]:
    """Derivatives of one residual ``[B]`` by each layer's derivatives, ``dr/dy_S [B, O]``, for each set of points."""
    places = [
        (number, n, index) for number, one in enumerate(known) for n, found in enumerate(one.sums) for index in found
    ]
    if not value.requires_grad:
        return [[{} for _ in one.sums] for one in known]
    sums = [known[number].sums[n][index] for number, n, index in places]
    gradients = torch.autograd.grad(value, sums, torch.ones_like(value), retain_graph=True, allow_unused=True)
    result: list[Adjoints] = [[{} for _ in one.sums] for one in known]
    for (number, n, index), gradient in zip(places, gradients, strict=True):
        if gradient is not None:
            result[number][n][index] = gradient
    return result


def _weights(known: Derivatives, adjoint: Adjoints, n: int, plan: LayerPlan) -> dict[int, Tensor]:
    """The factors of ``beta^(m)`` in the derivatives by each spline edge's coefficients: ``{m: [E, B]}``."""
    found: dict[int, Tensor] = {}
    for index, sensitivity in adjoint[n].items():
        outer = sensitivity.T[plan.outputs]
        for order, factor in known.factors[n][index].items():
            part = outer if factor is None else outer * factor.detach().T[plan.inputs]
            found[order] = found[order] + part if order in found else part
    return found


def normal_equations(
    problem: Problem, model: KAN, parameters: Parameters, terms: Sequence[Term]
) -> tuple[Tensor, Tensor]:
    """``J^T W J`` and ``J^T W r``, with the weights of the terms and the numbers of their points in ``W``."""
    # A record holds the entries of one spline at one point. Residuals that join several points, and symbolic edges,
    # have more entries for a sample; their rows are written out.
    joined: list[tuple[Tensor, list[Derivatives], list[Adjoints]]] = []
    single: list[tuple[Tensor, Derivatives, Adjoints]] = []
    compiled = normal_matrix.kernels(model.input_center, [layer.degree for layer in parameters.layers])
    if any(plan.symbolic for plan in parameters.plans):
        compiled = None
    for term in terms:
        # The root of the weight enters the adjoints and the residual, so that their products hold the weight.
        share = (term.weight / len(term.points)) ** 0.5
        with torch.enable_grad():
            value, known = problem.evaluate(term.residual, model, term.points, leaves=True)
            columns = (share * value).unbind(1)
        for column in columns:
            adjoint = adjoints(column, known)
            if len(known) == 1 and compiled is not None:
                single.append((column.detach(), known[0], adjoint[0]))
            else:
                joined.append((column.detach(), known, adjoint))
    with torch.no_grad():
        normal = model.input_center.new_zeros((parameters.size, parameters.size))
        gradient = model.input_center.new_zeros(parameters.size)
        if compiled is not None and single:
            _add_sparse(compiled, parameters, single, normal, gradient)
        for column, known, adjoint in joined:
            _add_dense(parameters, column, known, adjoint, normal, gradient)
    return normal, gradient


def _add_sparse(
    kernels: normal_matrix.Kernels,
    parameters: Parameters,
    parts: Sequence[tuple[Tensor, Derivatives, Adjoints]],
    normal: Tensor,
    gradient: Tensor,
) -> None:
    edges = []
    residual = torch.cat([column for column, _, _ in parts])
    for n, (layer, plan, start) in enumerate(zip(parameters.layers, parameters.plans, parameters.starts, strict=True)):
        if not plan.splines:
            continue
        records = torch.cat([_records(kernels, layer, known, adjoint, n, plan) for _, known, adjoint in parts], 1)
        edges.append(kernels.own_edges((layer.knots, layer.degree, layer.base), records, start))
        gradient[start : start + plan.splines] = _gradient(records, residual, layer, plan.rows)
    for first, left in enumerate(edges):
        for right in edges[first:]:
            kernels.add(normal, left, right)


def _records(
    kernels: normal_matrix.Kernels, layer: KANLayer, known: Derivatives, adjoint: Adjoints, n: int, plan: LayerPlan
) -> Tensor:
    """The rows that are not zero, ``[E, B, 8]``."""
    h = known.layer_input(n).detach()
    total = h.new_zeros((len(plan.inputs), len(h), 8))
    for order, weight in _weights(known, adjoint, n, plan).items():
        rows = kernels.records(layer.knots, layer.degree, layer.base, h, order)
        total.addcmul_(rows[plan.inputs], weight[..., None])
    places = kernels.records(layer.knots, layer.degree, layer.base, h)[..., 7]
    total[..., 7] = places[plan.inputs]
    return total


def _gradient(records: Tensor, residual: Tensor, layer: KANLayer, rows: int) -> Tensor:
    """``J^T r`` of a layer's edges, ``[E * rows]``."""
    first = records[..., 7].view(torch.int64 if records.dtype == torch.float64 else torch.int32).long()
    index = first[..., None] + torch.arange(layer.degree + 1)
    values = records[..., : layer.degree + 1] * residual[:, None]
    total = records.new_zeros((len(records), rows)).scatter_add_(1, index.flatten(1), values.flatten(1))
    if layer.base != "none":
        total[:, -1] = records[..., 6] @ residual
    return total.flatten()


def _add_dense(
    parameters: Parameters,
    residual: Tensor,
    known: Sequence[Derivatives],
    adjoint: Sequence[Adjoints],
    normal: Tensor,
    gradient: Tensor,
) -> None:
    step = max(1, _BLOCK_ELEMENTS // max(1, parameters.size))
    for start in range(0, len(residual), step):
        block = slice(start, start + step)
        rows = torch.zeros((len(residual[block]), parameters.size), dtype=normal.dtype, device=normal.device)
        for one, own in zip(known, adjoint, strict=True):
            rows += jacobian(parameters, one, own, block)
        normal.addmm_(rows.T, rows)
        gradient.addmv_(rows.T, residual[block])


def jacobian(parameters: Parameters, known: Derivatives, adjoint: Adjoints, block: slice) -> Tensor:
    """The rows of the Jacobian ``[b, P]`` that belong to a block of samples."""
    parts = []
    for n, (layer, plan) in enumerate(zip(parameters.layers, parameters.plans, strict=True)):
        h = known.layer_input(n).detach()[block]
        total = h.new_zeros((len(h), len(plan.inputs), plan.rows))
        for order, weight in _weights(known, adjoint, n, plan).items():
            basis = reference.dense_basis(layer.knots, layer.degree, layer.base, h, order)
            total.addcmul_(basis[:, plan.inputs], weight.T[block, :, None])
        parts.append(total.flatten(1))
        parts += [_constants(layer, known, adjoint, n, place)[block] for place in range(len(plan.symbolic))]
    return torch.cat(parts, 1)


def _constants(layer: KANLayer, known: Derivatives, adjoint: Adjoints, n: int, place: int) -> Tensor:
    """The columns ``[B, 4]`` of one symbolic edge's constants."""
    assert layer.symbolic is not None
    (i, o), function = layer.symbolic.edges[place], layer.symbolic.functions[place]
    h = known.layer_input(n).detach()
    with torch.enable_grad():
        constants = layer.symbolic.constants[place].detach().expand(len(h), 4).clone().requires_grad_()
        total = h.new_zeros(())
        for index, sensitivity in adjoint[n].items():
            factors = {
                order: factor if factor is None else factor.detach()
                for order, factor in known.factors[n][index].items()
            }
            total = total + (symbolic_part(function, constants, h[:, i], factors, i) * sensitivity[:, o]).sum()
        if not total.requires_grad:
            return torch.zeros_like(constants)
        return torch.autograd.grad(total, constants, materialize_grads=True)[0]
