"""Networks side by side: the weighted sum of their outputs, exactly."""

from __future__ import annotations

import pytest
import torch

from superpose.data.scaling import Affine
from superpose.errors import OptionError
from superpose.nn import KAN
from superpose.nn.parallel import weighted_sum

DOUBLE = torch.float64


def network(widths: list[object], seed: int, center: float = 0.0, scale: float = 1.0) -> KAN:
    model = KAN(widths, grid_size=4, base="none", seed=seed, dtype=DOUBLE)  # type: ignore[arg-type]
    columns = model.widths[0]
    made = [
        torch.full((n,), value, dtype=DOUBLE) for n, value in ((columns, center), (columns, scale), (1, 3.0), (1, 2.0))
    ]
    model.set_scaling(Affine(made[0], made[1]), Affine(made[2], made[3]))
    return model


def logarithm(columns: int) -> KAN:
    """A sum of products of logarithms: a first layer of functions, removed edges, and frozen constants."""
    model = network([columns, columns, [1, [2]], 1], seed=5)
    edges = {(i, i): ("log", (1.0, 0.0, 0.5, 0.1)) for i in range(columns)}
    model.layer(0).mask[:] = torch.eye(columns, dtype=torch.bool)
    model.layer(0).set_symbolic(edges, dict.fromkeys(edges, "abcd"))
    model.layer(1).mask[0, 1] = False
    return model


@pytest.mark.parametrize("number", range(4))
def test_the_output_is_the_weighted_sum(number: int) -> None:
    pairs = [
        [network([2, 1], 0), network([2, 1], 1)],
        [network([2, 3, 1], 0), network([2, 1], 1), network([2, [1, [2, 3]], 1], 2)],
        [logarithm(2), network([2, 1], 1)],
        [network([2, [0, [2]], 2, 1], 3), logarithm(2), logarithm(2)],
    ]
    models = pairs[number]
    weights = [0.5, -2.0, 0.25][: len(models)]
    x = 0.2 + torch.rand(40, 2, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    made = weighted_sum(models, weights)
    with torch.no_grad():
        # Straight lines outside the knots as well.
        for points in (x, 5 * x):
            torch.testing.assert_close(
                made(points),
                sum(w * model(points) for w, model in zip(weights, models, strict=True)),
                rtol=1e-9,
                atol=1e-9,
            )


def test_scalings_of_the_inputs_may_differ_where_the_knots_are_the_same() -> None:
    first, second = network([2, 2, 1], 0, center=2.0, scale=0.5), network([2, 1], 1)
    # The same knots in the columns' own units.
    with torch.no_grad():
        second.layer(0).knots = first.layer(0).knots * 0.5 + 2.0
    x = 1.5 + torch.rand(40, 2, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    with torch.no_grad():
        torch.testing.assert_close(weighted_sum([first, second], [1.0, 3.0])(x), first(x) + 3 * second(x))


def test_grids_may_differ_beside_each_other() -> None:
    first, second = network([2, 2, 1], 0), network([2, 2, 1], 1)
    finer = second.refine([4, 11])
    x = 4 * torch.rand(40, 2, generator=torch.Generator().manual_seed(0), dtype=DOUBLE) - 2
    with torch.no_grad():
        torch.testing.assert_close(weighted_sum([first, finer], [1.0, 3.0])(x), first(x) + 3 * second(x))


def test_networks_that_do_not_fit_beside_each_other_are_refused() -> None:
    with pytest.raises(OptionError, match="knots"):
        weighted_sum([network([2, 1], 0), network([2, 1], 1, center=0.3)], [0.5, 0.5])
    with pytest.raises(OptionError, match="degrees"):
        weighted_sum([network([2, 1], 0), KAN([2, 1], degree=2, base="none")], [0.5, 0.5])
    with pytest.raises(OptionError, match="base"):
        weighted_sum([network([2, 1], 0), KAN([2, 1])], [0.5, 0.5])
