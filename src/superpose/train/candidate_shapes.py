"""Candidate shapes of networks for all tasks, the order in which they are trained, and the choice among them.

The tasks train one shape after another (:func:`in_order`) and stop at a rule of their own: they need the smallest
network that is good enough. :func:`superpose.search` wants the most accurate network of its budget, and races shapes:
all are trained to about as many constants, since equal grids favour large shapes ("Shapes" in docs/lab/training.md),
and only the better ones continue, since there is no time for fine grids of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from superpose.nn.products import Width

# Hidden layers: nodes of each, or a pair (sum nodes, arities of the product nodes).
Hidden = tuple[Width, ...]
Candidate = TypeVar("Candidate")
Network = TypeVar("Network")

_PRODUCT, _SUM_AND_PRODUCT = (0, (2,)), (1, (2,))
# The shape with the most edge functions, which shows best how inputs enter ("Sums of inputs" in docs/lab/training.md:
# smaller shapes saw only one of two linear combinations).
PROBE_SHAPE: Hidden = (4, 2)


@dataclass(frozen=True)
class CandidateShapes:
    """Hidden layers of the networks that are tried, from small to large, as long as time lasts.

    The search for the most accurate network has wide and deep shapes with products. The tasks have few and small ones,
    which can be read as formulas or are trained for many subsets of columns.

    Attributes:
        few_inputs: of :func:`superpose.search`, up to ``few`` inputs; those that did best on special functions.
        more_inputs: for more; those that did best on Feynman equations of up to six inputs, where sums of products and
            quotients need two hidden layers.
        few: most inputs, or linear combinations of inputs, of ``few_inputs``. With more, constants and time are better
            spent on finer grids than on quintic splines ("Degrees" in docs/lab/training.md).
        probed: with these numbers of inputs :data:`PROBE_SHAPE` is tried second. With fewer inputs a smaller shape
            shows as much, and with more it takes too long ("Sums of inputs").
        formula_first: of :func:`superpose.discover`, always trained. Chosen on the AI Feynman equations and the tables
            in ``examples/data``, as are the later ones; neighbouring lists were not compared.
        formula_later: trained while no formula is good enough.
        classifier: chosen on the knot table and on tables with known boundaries.
        column: of one column from few others: a sum; a function of a sum; products of two columns, and sums of these;
            products of three. ``z = x3*x4*x5`` among ten columns needs 4 nodes: 2 leave 44%, 4 leave 1e-8
            (docs/lab/relations.md).
        column_from_many: without the single hidden node, to save time.
    """

    few_inputs: tuple[Hidden, ...] = (
        *((), (1,), (_PRODUCT,), (2,), (_SUM_AND_PRODUCT,), (5,)),
        *((3, 2), (8,), (2, 2), (3,), (5, 3)),
    )
    more_inputs: tuple[Hidden, ...] = (
        *((), (1,), (2,), (2, 1), (5,), (4, 2), (4, 2, _PRODUCT)),
        *((3,), (4, 2, 2), (3, 2), (8,)),
    )
    few: int = 2
    probed: range = range(4, 9)
    formula_first: tuple[Hidden, ...] = ((), (1,), (2,))
    formula_later: tuple[Hidden, ...] = ((3,), (1, 1), (5,), (2, 1), (3, 2))
    classifier: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (3,), (2, 1), (5,))
    column: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (4,))
    column_from_many: tuple[tuple[int, ...], ...] = ((), (2,), (4,))

    def of(self, n_features: int) -> tuple[Hidden, ...]:
        """The shapes of a search for so many inputs, in the order in which they are tried."""
        shapes = self.few_inputs if n_features <= self.few else self.more_inputs
        return (shapes[0], PROBE_SHAPE, *shapes[1:]) if n_features in self.probed else shapes

    def of_combinations(self, count: int) -> tuple[Hidden, ...]:
        """The shapes behind so many linear combinations; the probe first, since there may be further ones."""
        return self.few_inputs if count <= self.few else (PROBE_SHAPE, *self.more_inputs)


SHAPES = CandidateShapes()


def in_order(
    candidates: Iterable[Candidate], train: Callable[[Candidate], Network | None], late: Callable[[], bool]
) -> Iterator[Network]:
    """Train shapes from small to large until the time is over; the caller leaves the loop when one is good enough.

    ``train`` returns None for a shape that is left out, such as one of too many constants. One network is trained even
    if ``late`` is true at once.
    """
    trained = False
    for candidate in candidates:
        if trained and late():
            return
        if (network := train(candidate)) is not None:
            trained = True
            yield network


def smallest_near_best(
    networks: Sequence[Network],
    error: Callable[[Network], float],
    size: Callable[[Network], int],
    near: Callable[[Network, Network], bool],
) -> Network:
    """The network with the fewest constants among those whose error is ``near`` that of the best network."""
    best = min(networks, key=error)
    return min((one for one in networks if one is best or near(one, best)), key=size)
