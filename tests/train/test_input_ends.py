"""Ends of inputs at which a function is steep: seen in errors, taken away by roots in a first layer."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from superpose import KAN, Dataset, Formula, KANLayer, fit, load, save, search
from superpose.nn import symbolic_functions
from superpose.nn.symbolic_functions import ROOT
from superpose.train import endpoint_singularities, input_layer
from superpose.train.architecture_search import ArchitectureSearch as Search
from superpose.train.architecture_search import SearchResult
from superpose.train.budget import Budget
from superpose.train.candidate_shapes import Hidden
from superpose.train.endpoint_singularities import EndpointSingularity
from superpose.train.linear_combinations import Combinations
from superpose.train.trial import Architecture, Trial


def uniform(n: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(n, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def steep(n: int = 900, seed: int = 0, offset: float = 0.0, sign: float = 1.0) -> tuple[Tensor, Tensor]:
    """1 + a + 2 sqrt(a) cos(d), with a that begins, or ends, at ``offset``."""
    a, d = uniform(n, 2, seed).unbind(-1)
    return torch.stack([offset + sign * a, 6 * d], -1), 1 + a + 2 * a.sqrt() * torch.cos(6 * d)


@pytest.mark.parametrize("feature", [0, 1])
@pytest.mark.parametrize("side", [1, -1])
def test_errors_at_an_end_tell_of_it(feature: int, side: int) -> None:
    x = uniform(1000, 2)
    squares = torch.full((1000,), 1e-3)
    order = (side * x[:, feature]).argsort()
    squares[order[:5]] = 0.3
    assert endpoint_singularities.detect(x, squares) == (feature, side)
    # The same errors a little further inside.
    squares = torch.full((1000,), 1e-3)
    squares[order[25:30]] = 0.3
    assert endpoint_singularities.detect(x, squares) is None


@pytest.mark.parametrize("squares", [torch.ones(500), torch.zeros(500), torch.full((500,), torch.nan)])
def test_other_errors_tell_of_none(squares: Tensor) -> None:
    assert endpoint_singularities.detect(uniform(500, 3), squares) is None


def data_with(column: Tensor) -> Dataset:
    return Dataset.from_arrays(torch.stack([uniform(len(column), 1)[:, 0], column], -1), column)


@pytest.mark.parametrize(
    ("column", "side", "at", "known"),
    [
        (uniform(300, 1)[:, 0], 1, 0.0, True),
        (-5 * uniform(300, 1)[:, 0], -1, 0.0, True),
        (torch.linspace(0, 3, 301, dtype=torch.float64), 1, 0.0, True),
        (torch.linspace(-1, 3, 401, dtype=torch.float64), 1, -1 - 4 / 401, False),
        (torch.linspace(1, 3, 201, dtype=torch.float64), 1, 1 - 2 / 201, False),
        (torch.linspace(1, 3, 201, dtype=torch.float64), -1, 3 + 2 / 201, False),
    ],
)
def test_ends_are_at_zero_or_just_outside(column: Tensor, side: int, at: float, known: bool) -> None:
    data = data_with(column)
    end = endpoint_singularities.located(data, 1, side)
    assert (end.feature, end.side, end.known) == (1, side, known)
    assert end.at * float(data.x_scale.scale[1]) + float(data.x_scale.center[1]) == pytest.approx(at, abs=1e-12)


def test_the_layer_computes_sums_and_roots() -> None:
    layer = KANLayer(4, 3, dtype=torch.float64)
    ends = (EndpointSingularity(1, 1, -1.25, True), EndpointSingularity(3, -1, 1.5, False))
    input_layer.compute(layer, (((0, 0.5), (2, -0.5)), ((1, 1.0),), ((3, 1.0),)), ends)
    x = 2 * uniform(50, 4) - 1
    expected = torch.stack([0.5 * (x[:, 0] - x[:, 2]), (x[:, 1] + 1.25).sqrt(), (1.5 - x[:, 3]).sqrt()], -1)
    torch.testing.assert_close(layer(x), expected)
    assert layer.symbolic is not None
    moving = {
        edge for edge, held in zip(layer.symbolic.edges, layer.symbolic.held.tolist(), strict=True) if False in held
    }
    assert moving == {(2, 0)}
    endpoint_singularities.release(layer, ends)
    torch.testing.assert_close(layer(x), expected)
    assert layer.frozen_table() == {(0, 0): "abcd", (2, 0): "abd", (1, 1): "abcd", (3, 2): "acd"}


def test_an_input_of_a_sum_has_no_root() -> None:
    layer = KANLayer(2, 1, dtype=torch.float64)
    input_layer.compute(layer, (((0, 0.5), (1, 0.5)),), (EndpointSingularity(0, 1, -1.0, True),))
    assert {name for name, _ in layer.symbolic_table().values()} == {"x"}


def test_the_root_is_defined_everywhere() -> None:
    root = symbolic_functions.find(ROOT)
    x = torch.tensor([-4.0, -1e-300, 0.0, 1e-8, 9.0], dtype=torch.float64, requires_grad=True)
    y = root.evaluate(x)
    torch.testing.assert_close(y, torch.tensor([2.0, 1e-150, 0.0, 1e-4, 3.0], dtype=torch.float64))
    (slopes,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(slopes, torch.tensor([-0.25, -5e149, 0.0, 5e3, 1 / 6], dtype=torch.float64))
    torch.testing.assert_close(root.derivative(x.detach()), slopes)


def test_the_root_is_no_candidate_for_edges_and_its_name_is_taken() -> None:
    import sympy

    assert ROOT not in symbolic_functions.library()
    assert symbolic_functions.is_known(ROOT)
    with pytest.raises(Exception, match="belongs to a built-in"):
        symbolic_functions.register(ROOT, sympy.Symbol("z") ** 2)


def searched(rows: tuple[Tensor, Tensor], shapes: tuple[Hidden, ...], steps: int) -> tuple[SearchResult, list[str]]:
    """What a search of few shapes that looks for ends finds, and what it says on the way."""
    heard: list[str] = []
    data, budget = Dataset.from_arrays(*rows), Budget(steps=steps)
    return Search(data, shapes, None, budget, None, 0, True, heard.append).run(), heard


A_PRODUCT: Hidden = ((0, (2,)),)


@functools.cache
def learnt_steep(offset: float, sign: float) -> tuple[SearchResult, list[str]]:
    # Of an end at zero, which stays where it is, more steps are needed.
    return searched(steep(seed=3, offset=offset, sign=sign), (A_PRODUCT,), 420 if offset else 700)


@pytest.mark.parametrize(("offset", "sign"), [(0.0, 1.0), (300.0, 1.0), (-2.0, -1.0)])
def test_a_search_takes_roots_where_the_function_is_steep(offset: float, sign: float) -> None:
    found, heard = learnt_steep(offset, sign)
    assert f"steep at the {'lower' if sign > 0 else 'upper'} end of x1" in heard
    assert {edge: name for edge, (name, _) in found.model.layer(0).symbolic_table().items()} == {
        (0, 0): ROOT,
        (1, 1): "x",
    }
    x, y = steep(4000, seed=1, offset=offset, sign=sign)
    with torch.no_grad():
        error = (found.model(x)[:, 0] - y).square().mean().sqrt()
    # Without roots it is 3e-4 at best.
    assert error < 3e-5


def test_predictions_beyond_the_end_are_numbers() -> None:
    found, _ = learnt_steep(0.0, 1.0)
    x = torch.tensor([[0.0, 1.0], [-0.01, 1.0], [-5.0, 1.0]], dtype=torch.float64)
    assert ROOT in {name for name, _ in found.model.layer(0).symbolic_table().values()}
    assert torch.isfinite(found.model(x)).all()


def test_smooth_and_noisy_functions_get_none() -> None:
    x = 2 * uniform(300, 2) - 1
    y = torch.exp(torch.sin(3 * x[:, 0]) + x[:, 1] ** 2)
    noise = 0.05 * torch.randn(300, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    # One hidden node learns the last as exp(log(x1 + 1) - x2).
    for values in (y, y + noise, (x[:, 0] + 1) * torch.exp(-x[:, 1])):
        found, heard = searched((x, values), ((1,), A_PRODUCT, (2,)), 250)
        assert all(layer.symbolic is None for layer in found.model.kan_layers())
        assert not any("steep" in event for event in heard)


def test_shapes_that_are_named_get_none() -> None:
    found = search(steep(400), shapes=[(2,), (5,)], steps=80, time_limit=1e6)
    assert all(layer.symbolic is None for layer in found.model.kan_layers())


def test_a_root_that_does_not_help_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    run = Search(Dataset.from_arrays(*steep()), ((2,), (3,)), None, Budget(), None, 0, True, heard.append)
    run._enter(run.waiting.pop(0), 0)
    waiting, teller = list(run.waiting), run.trials[0]
    monkeypatch.setattr(
        Search, "_enter", lambda self, architecture, seed: _trial(self, architecture, 0.35 * teller.error)
    )
    run._detect_singularity()
    assert (
        run.trials[-1].architecture.singularities
        and run.singularities == ()
        and run.waiting == waiting
        and not any("steep" in h for h in heard)
    )
    # The same end is not tried again with the same shape.
    run._detect_singularity()
    assert len(run.trials) == 2
    run.roots_tried.clear()
    monkeypatch.setattr(
        Search, "_enter", lambda self, architecture, seed: _trial(self, architecture, 0.25 * teller.error)
    )
    run.trials.pop()
    run._detect_singularity()
    (end,) = run.singularities
    assert (end.feature, end.side, end.at < -1, end.known) == (0, 1, True, True)
    assert run.waiting == [replace(waiting[0], singularities=run.singularities), *waiting]


@pytest.mark.parametrize(
    ("error", "combinations", "singularities"),
    [
        # Not learnt yet, learnt to the last digits, an input of a sum, an end that is a root already.
        (0.02, None, ()),
        (1e-14, None, ()),
        (0.003, (((0, 0.5), (1, -0.5)),), ()),
        (0.003, None, (EndpointSingularity(0, 1, -1.0, True),)),
    ],
)
def test_some_ends_are_not_tried(
    error: float, combinations: Combinations | None, singularities: tuple[EndpointSingularity, ...]
) -> None:
    run = Search(Dataset.from_arrays(*steep(300)), ((2,), (3,)), None, Budget(), None, 0, True, lambda event: None)
    teller = SimpleNamespace(
        error=error, architecture=Architecture((2,), 5, combinations, singularities), seed=0, singularity=lambda: (0, 1)
    )
    run.trials = [teller]  # type: ignore[list-item]
    run._detect_singularity()
    assert run.trials == [teller]


def test_sums_keep_the_roots_of_inputs_that_stand_alone() -> None:
    x = uniform(300, 4)
    run = Search(Dataset.from_arrays(x, x[:, 0]), ((2,), (3,)), None, Budget(), None, 0, True, lambda event: None)
    plain = list(run.waiting)
    alone, joined = EndpointSingularity(0, 1, -1.0, True), EndpointSingularity(2, 1, -1.0, True)
    run.singularities = (alone, joined)
    run.waiting = [*run._architectures(), *plain]
    sums = (((0, 1.0),), ((1, 1.0),), ((2, 0.5), (3, -0.5)))
    run.trials = [SimpleNamespace(error=0.01, combinations=lambda: sums)]  # type: ignore[list-item]
    run._detect_combinations()
    assert run.singularities == (alone,) and run.combinations == sums
    with_sums, others = run.waiting[: -len(plain)], run.waiting[-len(plain) :]
    assert others == plain
    assert {(architecture.combinations, architecture.singularities) for architecture in with_sums} == {
        (sums, (alone,))
    } and len(with_sums) > 5


def test_networks_that_are_not_the_best_tell_of_ends_too() -> None:
    run = Search(Dataset.from_arrays(*steep(300)), ((2,), (3,)), None, Budget(), None, 0, True, lambda event: None)

    def trial(error: float, hidden: Hidden, end: tuple[int, int] | None) -> SimpleNamespace:
        return SimpleNamespace(error=error, architecture=Architecture(hidden, 5), seed=0, singularity=lambda: end)

    # One node learns products in a way that is steep by itself.
    run.trials = [trial(0.001, (2,), None), trial(0.002, (1,), (0, 1)), trial(0.003, (3,), (1, -1))]  # type: ignore[list-item]
    assert run._singularity() == (1, -1)
    run.roots_tried = [(1, -1, (3,))]
    assert run._singularity() == (1, -1)
    run.roots_tried = [(1, -1, (2,))]
    assert run._singularity() is None
    run.roots_tried = [(1, -1, (n,)) for n in (3, 4, 5, 6)]
    assert run._singularity() is None


def _trial(run: Search, architecture: Architecture, error: float) -> Trial:
    trial = Trial(architecture, run.data, 0, Budget())
    trial.run.tracker.best = (error, trial.run.tracker.best[1])
    run.trials.append(trial)
    return trial


def test_ends_that_are_not_known_move_after_the_first_grid() -> None:
    data = Dataset.from_arrays(*steep(400, offset=3.0))
    end = endpoint_singularities.located(data, 0, 1)
    trial = Trial(Architecture((5,), 5, None, (end,)), data, 0, Budget())
    assert trial.run.model.widths == [2, 2, 5, 1]
    trial.run.begin()
    trial.visit(5)
    held = trial.run.model.layer(0).symbolic_table()[0, 0][1]
    assert held == (1.0, -end.at, 1.0, 0.0)
    trial.visit(10)
    _, place, *others = trial.run.model.layer(0).symbolic_table()[0, 0][1]
    assert others == [1.0, 0.0]
    truth = (3.0 - float(data.x_scale.center[0])) / float(data.x_scale.scale[0])
    assert abs(-place - truth) < 0.1 * abs(end.at - truth)
    assert trial.constants(10) == trial.run.model.parameter_count()


def test_a_network_with_roots_is_saved_and_read(tmp_path: Path) -> None:
    model = KAN([2, 2, 1], seed=0)
    input_layer.compute(model.layer(0), input_layer.alone(2), (EndpointSingularity(0, 1, -1.5, True),))
    x, y = steep(200)
    fit(model, (x, y), starts=1, progress=False)
    save(model, tmp_path / "model.superpose")
    read = load(tmp_path / "model.superpose")
    torch.testing.assert_close(read(x), model(x))
    assert read.layer(0).frozen_table() == model.layer(0).frozen_table() == {(0, 0): "abcd", (1, 1): "abcd"}


def test_a_network_with_roots_is_written_out_as_a_formula() -> None:
    model = KAN([1, 1, 1], seed=0)
    input_layer.compute(model.layer(0), input_layer.alone(1), (EndpointSingularity(0, 1, -1.5, True),))
    model.layer(1).set_symbolic({(0, 0): ("x^2", (1.0, 0.0, 2.0, 1.0))})
    x = 4 * uniform(20, 1) - 2
    torch.testing.assert_close(Formula.of(model).torch(x), model(x))
    assert "Abs" in str(Formula.of(model)) and "abs" in Formula.of(model).python()
    # Read over the inputs' range, from -1 to 1, signs are known.
    assert "Abs" not in str(Formula.read(model))
