"""``J^T J`` and ``J^T r`` of a KAN for least squares, summed over samples: the Jacobian is never held whole.

A layer's part of the Jacobian is an outer product of the sensitivities of the network's outputs, propagated back to the
layer's own sums, and the layer's rows, of which a sample moves only ``degree + 2`` for each edge: the splines that are
not zero there, and the base function. (A product node hands its sensitivity to each factor times the other factors.)
With the compiled kernels a pair of edges therefore costs ``(degree + 2)^2`` multiply-adds a sample whatever the grid.
Without them the Jacobian is written out in blocks of samples and multiplied by BLAS; that is also the definition with
which the kernels are compared.
"""

from __future__ import annotations

import torch
from torch import Tensor

from superpose.nn.layer import KANLayer
from superpose.nn.likelihood import Head
from superpose.optim.parameters import LayerPlan, Parameters
from superpose.spline import normal_matrix, ops, reference

# The Jacobian of one block of samples has at most this many elements (float64: 32 MiB).
_BLOCK_ELEMENTS = 1 << 22
# Samples whose records (64 bytes for each input of each layer) are kept at once, unless the matrix itself is larger
# than they are: 16 MiB for 16 inputs. A round number.
_BLOCK_SAMPLES = 1 << 14


@torch.no_grad()
def normal_equations(
    parameters: Parameters, x: Tensor, y: Tensor, weights: Tensor | None = None, head: Head | None = None
) -> tuple[Tensor, Tensor]:
    """The normal matrix ``J^T W J / N`` and the gradient ``J^T W r / N``, with ``N`` the number of residuals.

    With a head, the matrix and the gradient of its losses instead: ``J^T A^T A J / N`` and ``J^T s / N``, with
    ``A^T A`` their curvature and ``s`` their slopes by the outputs.

    Args:
        parameters: of the model; ``P`` of them.
        x: ``[B, n_in]`` scaled inputs.
        y: ``[B, n_out]`` scaled targets.
        weights: ``[B]`` of the samples, or None for ones.
        head: whose losses are minimised; None for squared errors.

    Returns:
        ``([P, P], [P])``.
    """
    compiled = normal_matrix.kernels(x, [layer.degree for layer in parameters.layers])
    if compiled is None:
        normal, gradient = _dense(parameters, x, y, weights, head)
    else:
        normal, gradient = _in_blocks(compiled, parameters, x, y, weights, head)
    return normal.div_(y.numel()), gradient.div_(y.numel())


def _dense(
    parameters: Parameters, x: Tensor, y: Tensor, weights: Tensor | None, head: Head | None
) -> tuple[Tensor, Tensor]:
    normal = x.new_zeros((parameters.size, parameters.size))
    gradient = x.new_zeros(parameters.size)
    step = max(1, _BLOCK_ELEMENTS // max(1, parameters.size * y.shape[1]))
    for start in range(0, len(y), step):
        block = slice(start, start + step)
        jacobian, residual = jacobian_block(parameters, x[block], y[block])
        if head is not None:
            outputs = residual + y[block]
            jacobian = head.hessian_root(outputs, y[block]) @ jacobian
            residual = head.residuals(outputs, y[block])
        if weights is not None:
            root = weights[block].sqrt()
            jacobian, residual = jacobian * root[:, None, None], residual * root[:, None]
        flat = jacobian.flatten(0, 1)
        normal.addmm_(flat.T, flat)
        gradient.addmv_(flat.T, residual.flatten())
    return normal, gradient


def _in_blocks(
    kernels: normal_matrix.Kernels,
    parameters: Parameters,
    x: Tensor,
    y: Tensor,
    weights: Tensor | None,
    head: Head | None,
) -> tuple[Tensor, Tensor]:
    """The sums over all samples, so many of them at a time that what is kept of each takes little memory."""
    inputs = sum(layer.in_features for layer in parameters.layers)
    step = max(_BLOCK_SAMPLES, parameters.size**2 // (normal_matrix.RECORD * inputs))
    if len(y) <= step:
        return _sparse(kernels, parameters, x, y, weights, head)
    normal, gradient = x.new_zeros((parameters.size, parameters.size)), x.new_zeros(parameters.size)
    for start in range(0, len(y), step):
        block = slice(start, start + step)
        part = _sparse(kernels, parameters, x[block], y[block], None if weights is None else weights[block], head)
        normal += part[0]
        gradient += part[1]
    return normal, gradient


def _sparse(
    kernels: normal_matrix.Kernels,
    parameters: Parameters,
    x: Tensor,
    y: Tensor,
    weights: Tensor | None,
    head: Head | None,
) -> tuple[Tensor, Tensor]:
    layers, plans, starts = parameters.layers, parameters.plans, parameters.starts
    inputs, sums = [x], []
    for layer in layers:
        sums.append(layer.sums(inputs[-1]))
        inputs.append(layer.nodes(sums[-1]))
    residual = (inputs[-1] - y).T
    # sensitivity[n, o, b]: how output n of the network moves with node o of the layer, and from within the loop on with
    # its sum o. The square roots of the weights stand in it and in the residual: in their products, the weights.
    if head is None:
        sensitivity = torch.eye(y.shape[1], dtype=x.dtype)[..., None].repeat(1, 1, len(y))
    else:
        sensitivity = head.hessian_root(inputs[-1], y).permute(1, 2, 0).contiguous()
        residual = head.residuals(inputs[-1], y).T
    if weights is not None:
        root = weights.sqrt()
        sensitivity, residual = sensitivity * root, residual * root
    edges: list[normal_matrix.Edges] = []
    columns: list[tuple[int, Tensor]] = []
    sensitivities: list[Tensor] = []
    gradient = x.new_zeros(parameters.size)
    for n in range(len(layers) - 1, -1, -1):
        layer, plan, h = layers[n], plans[n], inputs[n]
        if layer.products:
            sensitivity = sensitivity[:, list(layer.owners)] * layer.node_derivatives(sums[n]).T
        sensitivities.insert(0, sensitivity)
        # How the squared residuals move with each sum of the layer.
        pull = torch.einsum("nob,nb->bo", sensitivity, residual)
        if plan.splines:
            edges.append(
                kernels.edges(
                    layer.knots, layer.degree, layer.base, h, plan.inputs, plan.outputs, sensitivity, starts[n]
                )
            )
            gradient[starts[n] : starts[n] + plan.splines] = _rows(layer, plan, h, pull)
        local = _symbolic_columns(layer, plan, h)
        for index, (_, o) in enumerate(plan.symbolic):
            place = starts[n] + plan.splines + 4 * index
            gradient[place : place + 4] = local[index] @ pull[:, o]
            columns.append((place, sensitivity[:, None, o] * local[index]))
        if n:
            sensitivity = _pulled_back(layer, plan, h, sensitivity)
    normal = x.new_zeros((parameters.size, parameters.size))
    for first, left in enumerate(edges):
        for right in edges[first:]:
            kernels.add(normal, left, right)
    if columns:
        _add_symbolic(normal, parameters, inputs, sensitivities, columns)
    return normal, gradient


def _rows(layer: KANLayer, plan: LayerPlan, h: Tensor, g: Tensor) -> Tensor:
    """The gradient ``g [B, O]`` of a layer's sums by the rows of its spline edges."""
    return ops.grad_coefficients(None, g, h, layer.knots, layer.degree, layer.base)[
        plan.inputs, :, plan.outputs
    ].flatten()


def _symbolic_columns(layer: KANLayer, plan: LayerPlan, h: Tensor) -> list[Tensor]:
    """How each symbolic edge's output moves with its constants ``a, b, c, d``: ``[4, B]`` each."""
    columns = []
    for index, (i, _) in enumerate(plan.symbolic):
        assert layer.symbolic is not None
        a, b, c, _ = layer.symbolic.constants[index]
        function, point = layer.symbolic.functions[index], a * h[:, i] + b
        value, slope = function.evaluate(point), c * function.derivative(point)
        columns.append(torch.stack([slope * h[:, i], slope, value, torch.ones_like(value)]))
    return columns


def _pulled_back(layer: KANLayer, plan: LayerPlan, h: Tensor, sensitivity: Tensor) -> Tensor:
    """The sensitivities ``[n_out, I, B]`` to the layer's inputs, from those to its sums."""
    rows = layer.rows()
    pulled = torch.stack(
        [ops.grad_input(one.T, rows, h, layer.knots, layer.degree, layer.base, 1).T for one in sensitivity]
    )
    for index, (i, o) in enumerate(plan.symbolic):
        assert layer.symbolic is not None
        a, b, c, _ = layer.symbolic.constants[index]
        pulled[:, i] += sensitivity[:, o] * (a * c * layer.symbolic.functions[index].derivative(a * h[:, i] + b))
    return pulled


def _add_symbolic(
    normal: Tensor,
    parameters: Parameters,
    inputs: list[Tensor],
    sensitivities: list[Tensor],
    columns: list[tuple[int, Tensor]],
) -> None:
    """The rows and columns of the symbolic edges' constants, which every sample moves."""
    places = torch.cat([place + torch.arange(4) for place, _ in columns])
    dense = torch.cat([column for _, column in columns], 1)
    normal[places[:, None], places] = torch.einsum("ncb,ndb->cd", dense, dense)
    for layer, plan, h, sensitivity, start in zip(
        parameters.layers, parameters.plans, inputs[:-1], sensitivities, parameters.starts, strict=True
    ):
        if not plan.splines:
            continue
        # All columns at once, as if they were outputs of the layer.
        pull = torch.einsum("nob,ncb->boc", sensitivity, dense)
        rows = ops.grad_coefficients(None, pull.flatten(1), h, layer.knots, layer.degree, layer.base)
        across = rows.view(*rows.shape[:2], *pull.shape[1:])[plan.inputs, :, plan.outputs].flatten(0, 1)
        own = torch.arange(start, start + plan.splines)
        normal[own[:, None], places] = across
        normal[places[:, None], own] = across.T


def jacobian_block(parameters: Parameters, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Jacobian ``[b, n_out, P]`` and residuals ``[b, n_out]`` of one block of samples, scaled units."""
    layers, plans = parameters.layers, parameters.plans
    inputs, sums, bases = [x], [], []
    for layer in layers:
        basis = reference.dense_basis(layer.knots, layer.degree, layer.base, inputs[-1])
        bases.append(basis)
        h = basis.flatten(1) @ layer.rows().flatten(0, 1)
        if layer.symbolic is not None:
            h = h + layer.symbolic(inputs[-1], layer.sum_count)
        sums.append(h)
        inputs.append(layer.nodes(h))
    outputs = inputs[-1].shape[1]
    sensitivity = torch.eye(outputs, dtype=x.dtype, device=x.device).expand(x.shape[0], -1, -1)
    parts: list[Tensor] = []
    for n in range(len(layers) - 1, -1, -1):
        layer, plan, h = layers[n], plans[n], inputs[n]
        if layer.products:
            sensitivity = sensitivity[..., list(layer.owners)] * layer.node_derivatives(sums[n])[:, None]
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
