"""Problem: equations and conditions on an unknown function, written as residuals that should be zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from superpose.checks import check_positive, check_whole
from superpose.errors import DataError, OptionError, ShapeError
from superpose.messages import nearest
from superpose.nn.model import KAN
from superpose.short_repr import brief
from superpose.tasks.pde.operators import Derivatives, NestedDerivatives, index_of
from superpose.tasks.pde.regions import Region


class Field:
    """What a residual sees: the unknown function and its derivatives at some points.

    ``u.value`` is the function, ``u.d("x", "x")`` a derivative, ``u["x"]`` the points' coordinate, each ``[B]``. With
    several outputs ``u.value`` and ``u.d`` are ``[B, n_out]``, and ``of="v"`` picks one out.
    """

    def __init__(
        self,
        model: nn.Module,
        points: Tensor,
        variables: Sequence[str],
        outputs: Sequence[str],
        leaves: bool = False,
    ) -> None:
        self.points, self.variables, self.outputs = points, tuple(variables), tuple(outputs)
        self._of = model, leaves
        self.derivatives = (
            Derivatives(model, points, leaves=leaves) if isinstance(model, KAN) else NestedDerivatives(model, points)
        )
        self._others: list[Field] = []

    def d(self, *by: int | str, of: int | str | None = None) -> Tensor:
        """The derivative by these variables, names or numbers, in any order; none of them: the value.

        Raises:
            OptionError: if there is no such variable or output.
        """
        found = self.derivatives.of(index_of(by, self.variables))
        if of is None:
            return found[:, 0] if found.shape[1] == 1 else found
        if isinstance(of, str) and of in self.outputs:
            of = self.outputs.index(of)
        if isinstance(of, str) or not 0 <= of < found.shape[1]:
            hint = nearest(str(of), self.outputs)
            raise OptionError(f"there is no output {of!r} among {', '.join(self.outputs)}{hint}")
        return found[:, of]

    @property
    def value(self) -> Tensor:
        """The unknown function itself."""
        return self.d()

    def __getitem__(self, name: int | str) -> Tensor:
        return self.points[:, index_of(name, self.variables)[0]]

    def laplacian(self, *by: int | str) -> Tensor:
        """The sum of second derivatives, by all variables or by those given."""
        total = torch.zeros((), dtype=self.points.dtype, device=self.points.device)
        for one in by or self.variables:
            total = total + self.d(one, one)
        return total

    def at(self, points: Tensor) -> Field:
        """The same function at other points ``[B, n_in]``, one for each: for periodic and other joined conditions.

        >>> periodic = lambda u: u.value - u.at(u.points + torch.tensor([0.0, 2.0])).value
        """
        if points.shape != self.points.shape:
            raise ShapeError(f"u.at takes points of shape {tuple(self.points.shape)}, not {tuple(points.shape)}")
        model, leaves = self._of
        other = Field(model, points, self.variables, self.outputs, leaves)
        self._others.append(other)
        return other

    def all_derivatives(self) -> list[Derivatives]:
        """Those of this field and of all that were made of it, of a KAN."""
        own = [self.derivatives] if isinstance(self.derivatives, Derivatives) else []
        return [*own, *(one for other in self._others for one in other.all_derivatives())]


@dataclass(frozen=True)
class Residual:
    """An equation or a condition: a function of a :class:`Field` that should be zero at some points.

    Attributes:
        function: ``u -> [B]``, or ``[B, m]`` for several equations at once.
        where: a :class:`~superpose.tasks.pde.Region` to draw points from, or the points themselves ``[B, n_in]``.
        weight: of its mean squared value in the loss.
        count: how many points are drawn from a region; equations get more when the network needs them to be
            determined.
        name: in messages and records.

    >>> from superpose.tasks.pde import Box
    >>> square = Box((-1, -1), (1, 1))
    >>> equation = Residual(lambda u: u.d("x", "x") + u.d("y", "y") - u["x"], square)
    >>> edge = Residual(lambda u: u.value, square.boundary(), weight=100.0, count=200)
    """

    __repr__ = brief

    function: Callable[[Field], Tensor]
    where: Region | Tensor
    weight: float = 1.0
    count: int = 1000
    name: str = ""

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise OptionError(f"a residual is a function of the field u, not {self.function!r}")
        check_positive("the weight of a residual", self.weight)
        check_whole("the count of points", self.count)
        if not isinstance(self.where, Region):
            points = self.where
            if not isinstance(points, Tensor) or points.dim() != 2 or not len(points):
                shape = f"shape {tuple(points.shape)}" if isinstance(points, Tensor) else type(points).__name__
                raise DataError(
                    f"a residual needs a region or a tensor of points [N, n_in] with N at least 1, not {shape}"
                )
            if not bool(torch.isfinite(points).all()):
                raise DataError("the points of a residual must be finite numbers; leave out those that are not")

    @property
    def dimension(self) -> int:
        """The number of variables."""
        return self.where.dimension if isinstance(self.where, Region) else self.where.shape[1]


class Problem:
    """Residuals that belong together.

    Args:
        residuals: equations, boundary and initial conditions.
        variables: names of the inputs, in their order.
        outputs: names of the unknown functions.

    Raises:
        OptionError: for no residuals, or names that cannot be.
        ShapeError: if the residuals' points differ in their number of variables.
    """

    def __init__(
        self, residuals: Sequence[Residual], *, variables: Sequence[str], outputs: Sequence[str] = ("u",)
    ) -> None:
        self.residuals = tuple(residuals)
        for what, names in (("variables", variables), ("outputs", outputs)):
            if isinstance(names, str) or not names or len(set(names)) != len(names):
                raise OptionError(f"{what} must be different names such as ('t', 'x'), not {names!r}")
        self.variables, self.outputs = tuple(variables), tuple(outputs)
        if not self.residuals:
            raise OptionError("a problem needs at least one residual")
        for residual in self.residuals:
            if residual.dimension != len(self.variables):
                raise ShapeError(
                    f"the points of {self.title(residual)} have {residual.dimension} coordinates, but the problem has "
                    f"the variables {', '.join(self.variables)}"
                )

    def title(self, residual: Residual) -> str:
        """What a residual is called in messages."""
        return residual.name or f"residual {self.residuals.index(residual) + 1}"

    def points(self, residual: Residual, seed: int, count: int | None = None) -> Tensor:
        """The points given, or ``count`` points drawn from the region."""
        if not isinstance(residual.where, Region):
            return residual.where
        return residual.where.sample(count or residual.count, seed=seed)

    def evaluate(
        self, residual: Residual, model: nn.Module, points: Tensor, *, leaves: bool = False
    ) -> tuple[Tensor, list[Derivatives]]:
        """A residual's values ``[B, m]`` at points, and the derivatives that it asked for.

        The model is a KAN; any other torch module will do where only the values are wanted.

        Raises:
            DataError: if the function gives anything else than one row for each point.
        """
        points = points.to(next(model.parameters()))
        field = Field(model, points, self.variables, self.outputs, leaves)
        value: Any = residual.function(field)
        if not isinstance(value, Tensor) or value.dim() not in (1, 2) or len(value) != len(points):
            given = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise DataError(
                f"{self.title(residual)} must give one value for each of its {len(points)} points, but it gave {given}"
            )
        return value if value.dim() == 2 else value[:, None], field.all_derivatives()

    def check(self, model: KAN, seed: int = 0) -> None:
        """Try every residual at its points.

        Raises:
            ShapeError: if the model has other inputs or outputs than the problem.
            DataError: if a residual is not finite.
        """
        if [model.widths[0], model.widths[-1]] != [len(self.variables), len(self.outputs)]:
            raise ShapeError(
                f"the model has {model.widths[0]} inputs and {model.widths[-1]} outputs, but the problem has the "
                f"variables {', '.join(self.variables)} and the unknowns {', '.join(self.outputs)}; make it "
                f"KAN([{len(self.variables)}, ..., {len(self.outputs)}])"
            )
        for residual in self.residuals:
            points = self.points(residual, seed)
            with torch.no_grad():
                value, _ = self.evaluate(residual, model, points)
            bad = torch.nonzero(~torch.isfinite(value).all(1))
            if len(bad):
                place = ", ".join(
                    f"{name} = {number:g}"
                    for name, number in zip(self.variables, points[bad[0, 0]].tolist(), strict=True)
                )
                raise DataError(
                    f"{self.title(residual)} is not a finite number at {place}; check its function there, or leave "
                    "that point out"
                )
