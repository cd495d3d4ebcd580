"""A function with its inputs' ranges and what was published about learning it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.errors import DataError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Variable:
    """An input and the range that it is sampled from."""

    name: str
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class KnownFunction:
    """A function to be learnt from samples of it.

    Attributes:
        name: short, for the command line and tables.
        title: what the function is called, or its formula.
        variables: the inputs in the order of the columns of ``x``.
        function: takes one array [N] for each variable, returns [N].
        shape: widths of the network that did best in the publication, inputs and output included.
        published: root mean squared errors by the name of the network they belong to.
        shapes: the widths of these networks, where they were published.
    """

    name: str
    title: str
    variables: tuple[Variable, ...]
    function: Callable[..., FloatArray] = field(repr=False)
    shape: tuple[int, ...]
    published: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def best_kan(self) -> float | None:
        """The least error that was published for a KAN, None where there is none."""
        return min((error for name, error in self.published.items() if name != "mlp"), default=None)

    @property
    def best_published(self) -> float | None:
        """The least error that was published for any network."""
        return min(self.published.values(), default=None)

    def __call__(self, x: Any) -> FloatArray:
        """The values [N] at ``x`` [N, n].

        Raises:
            DataError: if ``x`` has another number of columns.
        """
        points = np.asarray(x, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != len(self.variables):
            names = ", ".join(variable.name for variable in self.variables[:8])
            raise DataError(
                f"{self.name} takes points of shape [N, {len(self.variables)}] ({names}), "
                f"not of shape {list(points.shape)}"
            )
        return np.asarray(self.function(*points.T), dtype=np.float64)

    def sample(self, n: int, seed: int | Sequence[int]) -> tuple[FloatArray, FloatArray]:
        """Draw ``n`` points evenly from the ranges, and their values: ``x`` [n, variables] and ``y`` [n].

        Args:
            n: how many.
            seed: of a generator of its own; the same seed gives the same points.
        """
        low = np.array([variable.low for variable in self.variables])
        high = np.array([variable.high for variable in self.variables])
        x = np.random.default_rng(seed).uniform(low, high, (n, len(low)))
        return x, self(x)
