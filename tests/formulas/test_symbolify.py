"""symbolify: trained networks become symbols, as simple as the data allow, and new models."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from helpers import is_one_sentence
from superpose.data import Dataset
from superpose.edit import fix, straighten
from superpose.errors import OptionError
from superpose.formulas import Formula, symbolify
from superpose.formulas.from_network.recognition import complexity
from superpose.nn import KAN
from superpose.train import fit

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(*shape, generator=generator, dtype=DOUBLE) - 1


def trained(data: Dataset, widths: list[int], seed: int = 0) -> KAN:
    model = KAN(widths, seed=seed)
    fit(model, data, grids=(5, 10), progress=False)
    return model


def frozen(model: KAN) -> list[Tensor]:
    return [value.clone() for value in model.state_dict().values()]


def additive(noise: float = 0.0) -> Dataset:
    x = random(250, 2)
    y = torch.sin(3 * x[:, :1]) + 0.5 * x[:, 1:] ** 2
    y = y + noise * torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    return Dataset.from_arrays(x, y, feature_names=["x", "y"], target_names=["f"])


def test_a_sum_of_curves_becomes_a_sum_of_functions() -> None:
    data = additive()
    model = trained(data, [2, 1])
    before = frozen(model)
    symbolic = symbolify(model, data)
    assert all(torch.equal(a, b) for a, b in zip(frozen(model), before, strict=True))
    assert {name for name, _ in symbolic.layer(0).symbolic_table().values()} == {"sin", "x^2"}
    x, y = data.rows("all")
    with torch.no_grad():
        assert float((symbolic(x) - y).abs().max()) < 1e-10
    assert str(Formula.of(symbolic, data)) == "y**2/2 + sin(3*x)"


def test_clear_sines_are_not_flattened() -> None:
    # What peers' automatic modes do when simplicity outweighs the fit (their issue 415): a wave becomes a zero.
    x = random(300, 1)
    data = Dataset.from_arrays(x, 0.7 * torch.sin(5 * x + 0.4), feature_names=["x"])
    symbolic = symbolify(trained(data, [1, 1]), data)
    (found,) = symbolic.layer(0).symbolic_table().values()
    assert found[0] == "sin" and abs(found[1][2]) > 0.5


def test_symbols_that_were_fixed_before_stay() -> None:
    data = additive()
    model = fix(trained(data, [2, 1]), data, (0, 1, 0), "cosh")
    symbolic = symbolify(model, data, simplicity=0.3)
    assert {edge[:2] for edge in symbolic.layer(0).symbolic_table()} == {(0, 0), (1, 0)}


def test_only_the_functions_that_were_named_are_used() -> None:
    data = additive(0.01)
    symbolic = symbolify(trained(data, [2, 1]), data, functions=["x", "x^2", "x^3", "x^5"], keep_splines=False)
    assert {name for name, _ in symbolic.layer(0).symbolic_table().values()} <= {"x", "x^2", "x^3", "x^5"}
    with pytest.raises(OptionError, match="did you mean 'sin'") as caught:
        symbolify(trained(data, [2, 1]), data, functions=["sinn"])
    assert is_one_sentence(str(caught.value))


def test_an_edge_that_no_function_describes_stays_a_spline() -> None:
    x = random(600, 2)
    # Steps of unequal heights: nothing in the library comes near.
    steps = sum(h * torch.tanh(30 * (x[:, :1] - c)) for h, c in ((1.0, -0.6), (-1.5, -0.1), (0.8, 0.3), (1.2, 0.7)))
    assert isinstance(steps, Tensor)
    data = Dataset.from_arrays(x, steps + x[:, 1:] ** 2, feature_names=["x", "y"], target_names=["f"])
    model = KAN([2, 1], seed=0)
    fit(model, data, grids=(10, 40), progress=False)
    symbolic = symbolify(model, data)
    assert (0, 0) not in symbolic.layer(0).symbolic_table()
    assert symbolic.layer(0).symbolic_table()[1, 0][0] == "x^2"
    formula = Formula.of(symbolic, data)
    assert list(formula.splines) == ["spline_0_0_0"]
    assert complexity(symbolic) == 12


def test_a_deadline_that_is_over_still_gives_a_model() -> None:
    data = additive()
    symbolic = symbolify(trained(data, [2, 1]), data, time_limit=0.0)
    x, _ = data.rows("test")
    assert bool(torch.isfinite(symbolic(x)).all())
    assert symbolic.widths == [2, 1]


def test_straightening_keeps_the_function_and_bends_less() -> None:
    x = random(300, 2)
    data = Dataset.from_arrays(x, (x[:, :1] + x[:, 1:]) ** 2, validation=0.15, test=0.15)

    def bend(network: KAN) -> float:
        with torch.no_grad():
            layer = network.trace(data.x).layers[0]
        total = 0.0
        for i in range(2):
            line = torch.linalg.qr(torch.stack([torch.ones(len(x), dtype=DOUBLE), layer.inputs[:, i]], -1))[0]
            edges = layer.edges[:, i] - line @ (line.T @ layer.edges[:, i])
            total += float(edges.norm() / layer.edges[:, i].norm())
        return total

    bends = []
    for seed in range(3):
        model = KAN([2, 2, 1], seed=seed)
        # Rougher than fit leaves it by itself.
        fit(model, data, grids=(5, 10), roughness=1e-11, seed=seed, progress=False)
        before = frozen(model)
        straight = straighten(model, data)
        assert all(torch.equal(a, b) for a, b in zip(frozen(model), before, strict=True))
        bends.append((bend(model), bend(straight)))
        with torch.no_grad():
            assert float((straight(data.x) - data.y).square().mean().sqrt()) < 0.05 * float(data.y.std())
    # One start may be as straight as can be by itself, and which one depends on rounding.
    assert sum(after for _, after in bends) < 0.85 * sum(rough for rough, _ in bends)


def test_complexity_counts_symbols_and_splines() -> None:
    model = KAN([2, 1], seed=0)
    assert complexity(model) == 20
    model.layer(0).set_symbolic({(0, 0): ("sin", (1.0, 0.0, 1.0, 0.0))})
    assert complexity(model) == 13
    assert complexity(model.with_mask([(0, 1, 0)], alive=False)) == 3


@pytest.mark.parametrize("noise", [0.03, 0.05, 0.06, 20.0])
def test_networks_of_any_error_are_read(noise: float) -> None:
    # With several nodes in a layer, curves that are no squares and more than 4.5% of error, no floor was left.
    x = random(250, 1)
    data = Dataset.from_arrays(x, torch.sin(20 * x), feature_names=["x"], target_names=["f"])
    model = KAN([1, 2, 1], seed=0, feature_names=data.feature_names, target_names=data.target_names)
    symbolic = symbolify(model, data, noise=noise, keep_splines=False, time_limit=0.0)
    for layer in symbolic.kan_layers():
        assert {(i, o) for i, o in torch.nonzero(layer.mask).tolist()} <= set(layer.symbolic_table())
    with torch.no_grad():
        assert bool(symbolic(data.rows("train")[0]).isfinite().all())
