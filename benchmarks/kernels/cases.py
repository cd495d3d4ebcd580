"""What is measured: layers of a given shape, by contenders behind one interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

Call = Callable[[], object]
Shape = tuple[int, int, int]

SHAPES: tuple[Shape, ...] = (
    (256, 784, 64),
    (64, 64, 64),
    (1024, 128, 128),
    (512, 512, 512),
    (1000, 2, 5),
    (10_000, 10, 10),
)
GRIDS = (5, 20, 100, 1000)
FORWARD, GRADIENTS, STEP = "forward", "gradients", "step"
MEASURES = {
    GRADIENTS: "forward and backward, with the gradients of all parameters and of the input",
    STEP: "the same, then fused AdamW",
    FORWARD: "forward alone, without gradients",
}
# Small enough that no parameter leaves its range however many steps are timed; no effect on the time of one.
LEARNING_RATE = 1e-5


@dataclass(frozen=True)
class LayerCase:
    """One layer and its batch."""

    batch: int
    inputs: int
    outputs: int
    grid: int
    degree: int = 3
    dtype: str = "float32"

    @property
    def shape(self) -> Shape:
        return self.batch, self.inputs, self.outputs

    @property
    def rows(self) -> int:
        """Parameters of one edge: the spline's coefficients and the weight of the base function."""
        return self.grid + self.degree + 1

    @property
    def parameters(self) -> int:
        return self.inputs * self.rows * self.outputs

    @property
    def item_size(self) -> int:
        return 8 if self.dtype == "float64" else 4

    def __str__(self) -> str:
        return f"{self.batch} x {self.inputs} -> {self.outputs}, G = {self.grid}"


class Trial(Protocol):
    """A contender's layer for one case, ready to be called."""

    note: str
    parameters: int

    def call(self, measure: str) -> Call:
        """What is timed: one such call returns when its results are there."""

    def inside(self) -> AbstractContextManager[object]:
        """Entered around the timed calls."""

    def release(self) -> None:
        """Give back the gradients."""


def only(build: Callable[[LayerCase], Trial]) -> Callable[[LayerCase], Sequence[Callable[[], Trial]]]:
    """The variants of a contender that has but one."""
    return lambda case: [partial(build, case)]


@dataclass(frozen=True)
class Contender:
    """A library's layer.

    Attributes:
        name: as on the command line and in the JSON.
        kind: ``superpose``, ``peer`` (a KAN library that the targets compare with), ``slow peer`` or ``mlp``.
        variants: ways to make the layer for a case, the library's own choice first. What counts is the fastest.
        transient: about how many numbers a pass holds at its peak, besides parameters and gradients.
        unfit: why a case cannot be done, or None.
        grows: whether its time grows with the grid, so that a longer time can be estimated.
    """

    name: str
    kind: str
    variants: Callable[[LayerCase], Sequence[Callable[[], Trial]]]
    transient: Callable[[LayerCase], float]
    unfit: Callable[[LayerCase], str | None] = lambda case: None
    grows: bool = True

    def build(self, case: LayerCase) -> Trial:
        """The library's own choice."""
        return self.variants(case)[0]()

    def persistent_bytes(self, case: LayerCase, measure: str) -> float:
        """Parameters, and AdamW's two moments where they are kept."""
        count = case.inputs * case.outputs if self.name == "mlp same width" else case.parameters
        return case.item_size * count * (3 if measure == STEP else 1)

    def transient_bytes(self, case: LayerCase, measure: str) -> float:
        return case.item_size * (self.transient(case) + (0 if measure == FORWARD else case.parameters))
