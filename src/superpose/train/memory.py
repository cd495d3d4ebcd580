"""Memory: what a model learnt from data that are gone, kept as one quadratic form.

After a phase of training the sum over its samples of the Gauss-Newton matrix, ``M = J^T J``, tells how far the
predictions on them move with the constants: by ``(theta - theta_0)^T M (theta - theta_0)``, exactly for one layer of
splines and to first order in deeper networks. Added to the squared errors of later phases it stands for the samples
themselves. It is the penalty of elastic weight consolidation (J. Kirkpatrick et al., *Overcoming catastrophic
forgetting in neural networks*, 2017) with the whole matrix instead of its diagonal, about the newest state only
(F. Huszár, *Note on the quadratic penalties in elastic weight consolidation*, 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from superpose.checks import check_positive
from superpose.data import Dataset
from superpose.data.arrays import feature_matrix
from superpose.errors import OptionError, ShapeError
from superpose.nn.model import KAN
from superpose.optim.gauss_newton import Quadratic
from superpose.optim.normal_equations import normal_equations
from superpose.optim.parameters import Parameters
from superpose.short_repr import brief

# Its matrix (float64) would be larger than 0.5 GiB.
_MAX_PARAMETERS = 8000


@dataclass(frozen=True)
class Layout:
    """What gives the constants of a model their meaning: a memory holds only while it stands still."""

    __repr__ = brief

    layers: tuple[tuple[Any, ...], ...]
    edges: tuple[tuple[Any, ...], ...]
    grids: tuple[tuple[Any, ...], ...]
    scaling: tuple[tuple[float, ...], ...]

    @staticmethod
    def of(model: KAN) -> Layout:
        layers = model.kan_layers()
        names = [() if layer.symbolic is None else tuple(layer.symbolic.names.items()) for layer in layers]
        scaling = (model.input_center, model.input_scale, model.output_center, model.output_scale)
        return Layout(
            tuple(
                (layer.in_features, layer.out_features, layer.products, layer.degree, layer.base) for layer in layers
            ),
            tuple((*layer.mask.flatten().tolist(), *named) for layer, named in zip(layers, names, strict=True)),
            tuple((layer.grid_size, *layer.knots.flatten().tolist()) for layer in layers),
            tuple(tuple(part.tolist()) for part in scaling),
        )


@dataclass(frozen=True, eq=False)
class Memory:
    """What :func:`remember` keeps of the samples of earlier phases; give it to :func:`~superpose.fit` as ``memory``.

    Attributes:
        center: ``[P]``, the model's constants when it was made.
        matrix: ``[P, P]``, ``J^T J`` summed over the samples, in scaled units of the targets.
        samples: how many samples it stands for.
        layout: the grids, edges and scaling that it holds for.
    """

    __repr__ = brief

    center: Tensor
    matrix: Tensor
    samples: int
    layout: Layout

    def check(self, model: KAN) -> None:
        """Raise :class:`~superpose.OptionError` unless the memory holds for this model."""
        now = Layout.of(model)
        if now.layers != self.layout.layers:
            raise OptionError(
                f"the memory is of a model of other layers than this one, whose widths are {model.shape}; "
                "give each model the memory that was made of it"
            )
        for part, known in (
            ("edges were removed, brought back or made symbolic", self.layout.edges == now.edges),
            ("grids moved or were refined", self.layout.grids == now.grids),
            ("scaling changed", self.layout.scaling == now.scaling),
        ):
            if not known:
                raise OptionError(
                    f"the model's {part} since the memory was made; make a memory of the model as it is now, "
                    "from features of the earlier phases"
                )

    def quadratic(self, residuals: int) -> Quadratic:
        """The penalty to go with half the mean of that many squared residuals."""
        return Quadratic(0, self.matrix / residuals, self.center)

    def forgotten(self, model: KAN) -> Tensor:
        """By how much, squared and summed over the samples, the model's predictions on them have moved.

        In scaled units; exact for one layer of splines, else to first order. Gradients flow through it.
        """
        moved = Parameters(model).vector() - self.center
        return moved @ self.matrix @ moved


def remember(model: KAN, data: Any, memory: Memory | None = None, *, strength: float = 1.0) -> Memory:
    """Make a memory of what a model predicts on some samples, so that later training leaves that alone.

    Args:
        model: after :func:`~superpose.fit` on those samples.
        data: a :class:`~superpose.Dataset`, whose training rows are remembered, or features ``[B, n_in]``: targets
            are not needed.
        memory: of the phases before, which the new one then includes.
        strength: how often each of these samples counts; above 1 the earlier samples outweigh those to come.

    Returns:
        A :class:`Memory` about the model's present state. It holds while the model's grids, edges and scaling stand
        still.

    Raises:
        OptionError: if the model has no scaling yet, changed since ``memory``, or has too many constants; or for a
            strength that is not positive.
        DataError: if the features are no matrix of numbers.
        ShapeError: if the model takes another number of features.

    >>> from superpose.data import Affine
    >>> from superpose import KAN, fit
    >>> zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    >>> model = KAN([1, 1], grid_size=20, base="none", seed=0)
    >>> model.set_scaling(Affine(zero, one), Affine(zero, one))
    >>> left = torch.linspace(-1, 0, 50, dtype=torch.float64)[:, None]
    >>> right = torch.linspace(0, 1, 50, dtype=torch.float64)[:, None]
    >>> first = fit(model, (left, torch.sin(3 * left)), adapt=False, grids=(20,))
    >>> second = fit(model, (right, torch.sin(3 * right)), adapt=False, memory=remember(model, left))
    >>> bool((model(left) - torch.sin(3 * left)).abs().max() < 1e-4)
    True
    """
    check_positive("strength", strength)
    if not bool(model.scaled):
        raise OptionError("the model was never fitted, so there is nothing to remember; call fit first")
    if memory is not None:
        memory.check(model)
    parameters = Parameters(model)
    if parameters.size > _MAX_PARAMETERS:
        raise OptionError(
            f"a memory would need a matrix of {parameters.size} x {parameters.size} for this model; use a smaller grid"
        )
    x = _features(model, data)
    y = x.new_zeros((len(x), model.widths[-1]))
    matrix = normal_equations(parameters, x, y)[0] * (y.numel() * float(strength))
    samples = len(x)
    if memory is not None:
        matrix, samples = matrix + memory.matrix, samples + memory.samples
    return Memory(parameters.get(), matrix, samples, Layout.of(model))


def _features(model: KAN, data: Any) -> Tensor:
    x = data.rows("train")[0] if isinstance(data, Dataset) else torch.from_numpy(feature_matrix(data, "data"))
    if x.shape[1] != model.widths[0]:
        raise ShapeError(f"the model takes {model.widths[0]} features, but the samples to remember have {x.shape[1]}")
    return model.scale_inputs(x.to(model.input_center.device))
