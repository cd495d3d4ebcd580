"""Dragged curves, and edits of classifiers: what is near the hand moves, what is far stays."""

from __future__ import annotations

import pytest
import torch

from edit.editing_cases import rough, some_x
from superpose import KAN, Dataset, edit
from superpose.edit.pruning import surviving_edges
from superpose.edit.setting_functions import table_constants
from superpose.errors import OptionError
from superpose.nn import Head
from superpose.plot.edge_numbers import units


def dragged_curve(model: KAN, edge: tuple[int, int, int], x: torch.Tensor) -> torch.Tensor:
    n, i, o = edge
    with torch.no_grad():
        return model.layer(n).edge_function(i, o, x)


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 5])
def test_a_dragged_curve_comes_near_and_stays_as_it_is_far_away(degree: int) -> None:
    model = rough(KAN([1, 1], grid_size=40, degree=degree, seed=0))
    x = torch.linspace(-0.3, 0.3, 21, dtype=torch.float64)
    wanted = torch.sin(4 * x)
    moved = edit.drag(model, (0, 0, 0), x.tolist(), wanted.tolist(), units="scaled")
    inside = torch.linspace(-0.15, 0.15, 50, dtype=torch.float64)
    error = (dragged_curve(moved, (0, 0, 0), inside) - torch.sin(4 * inside)).abs().max()
    assert float(error) < (0.3 if degree == 0 else 0.1)
    far = torch.cat([torch.linspace(-1, -0.6, 50), torch.linspace(0.6, 1, 50)]).double()
    assert torch.equal(dragged_curve(moved, (0, 0, 0), far), dragged_curve(model, (0, 0, 0), far))


def test_a_course_along_the_curve_changes_nothing() -> None:
    model = rough(KAN([2, 2, 1], grid_size=6, seed=0))
    x = torch.linspace(-0.9, 0.9, 400, dtype=torch.float64)
    y = dragged_curve(model, (0, 1, 1), x)
    moved = edit.drag(model, (0, 1, 1), x.tolist(), y.tolist(), units="scaled")
    assert torch.allclose(dragged_curve(moved, (0, 1, 1), x), y, atol=2e-3)
    kept = moved.with_mask([(0, 1, 1)], alive=False).state_dict()
    for name, value in model.with_mask([(0, 1, 1)], alive=False).state_dict().items():
        if name != "layers.0.coefficients":
            assert torch.equal(kept[name], value), name


@pytest.mark.parametrize("widths", [[1, 1], [1, [0, [2]]]])
def test_points_are_in_the_units_of_the_picture(widths: list[object]) -> None:
    x = 50 + 10 * some_x(60, 1)
    data = Dataset.from_arrays(x, 1000 * x[:, 0])
    model = KAN(widths, grid_size=20, seed=0)
    model.set_scaling(data.x_scale, model.output_scaling(data.y_scale))
    moved = edit.drag(model, (0, 0, 0), [47.0, 50.0, 53.0], [2000.0, 2000.0, 2000.0])
    _, out = units(moved, (0, 0, 0))
    middle = (torch.tensor([50.0], dtype=torch.float64) - model.input_center) / model.input_scale
    assert out(dragged_curve(moved, (0, 0, 0), middle))[0] == pytest.approx(2000, rel=0.05)


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        ([0.0], [1.0], "two or more points"),
        ([0.0, 0.0], [1.0, 1.0], "different places"),
        ([0.0, 0.5], [1.0], "a y for each x"),
        ([0.0, 9.0], [1.0, 1.0], "beyond the grid"),
        ([0.0, float("nan")], [1.0, 1.0], "finite"),
        (["a", "b"], [1.0, 1.0], "lists of numbers"),
    ],
)
def test_courses_that_cannot_be(x: list[float], y: list[float], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        edit.drag(KAN([1, 1], seed=0), (0, 0, 0), x, y)


def test_symbolic_edges_are_not_dragged() -> None:
    model = KAN([1, 1], seed=0)
    model.layer(0).set_symbolic({(0, 0): ("sin", (1.0, 0.0, 1.0, 0.0))})
    with pytest.raises(OptionError, match="release it first"):
        edit.drag(model, (0, 0, 0), [0, 1], [0, 1])
    with pytest.raises(OptionError, match="'scaled' or 'table'"):
        edit.drag(KAN([1, 1]), (0, 0, 0), [0, 1], [0, 1], units="metres")  # type: ignore[arg-type]


@pytest.fixture
def classes() -> tuple[KAN, Dataset]:
    x = some_x(200, 2)
    head = Head("sigmoid", ("no", "yes"))
    probability = torch.sigmoid(4 * x[:, 0] ** 2 - 2 * x[:, 1] - 1)
    draw = torch.rand(200, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    data = Dataset.from_arrays(x, (draw < probability).double())
    unit = type(data.y_scale)(torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    model = rough(KAN([2, 1], grid_size=3, seed=0))
    model.set_scaling(data.x_scale, unit)
    model.head = head
    return model, data


def loss(model: KAN, data: Dataset) -> float:
    assert model.head is not None
    x, y = data.rows("train")
    return float(model.head(torch.from_numpy(model.values(x)), y))


def test_a_classifier_is_refitted_on_its_likelihood(classes: tuple[KAN, Dataset]) -> None:
    model, data = classes
    square = edit.fix(model, data, (0, 0, 0), "x^2")
    line = edit.fix(square, data, (0, 1, 0), "x")
    fitted = edit.refit(line, data)
    assert loss(fitted, data) < loss(line, data)
    # At a minimum of the likelihood its gradient vanishes, and that of squared errors does not.
    fitted.requires_grad_(True)
    x, y = data.rows("train")
    assert fitted.head is not None and fitted.layer(0).symbolic is not None
    constants = fitted.layer(0).symbolic.constants
    (slope,) = torch.autograd.grad(fitted.head(fitted(x), y), constants)
    assert float(slope.abs().max()) < 2e-2
    assert loss(edit.replace(square, data, (0, 1, 0), "x"), data) < loss(square, data) + 0.1


def test_a_classifier_keeps_its_scores_when_it_is_straightened(classes: tuple[KAN, Dataset]) -> None:
    model, data = classes
    fitted = edit.refit(model, data, steps=10)
    straight = edit.straighten(fitted, data)
    x, _ = data.rows("train")
    before, after = torch.from_numpy(fitted.values(x)), torch.from_numpy(straight.values(x))
    assert float((after - before).std()) < 0.1 * float(before.std())


def test_the_edges_that_pruning_keeps_are_known_beforehand() -> None:
    model, x = rough(KAN([3, 4, 2], seed=0)), some_x(100, 3)
    for options in ({"threshold": 0.5}, {"inputs": [1]}, {"nodes": [(1, 2)]}, {"edges": [(0, 0, 0)]}):
        kept = surviving_edges(model, x, **options)  # type: ignore[arg-type]
        assert len(kept) == len(edit.prune(model, x, **options).active_edges())  # type: ignore[arg-type]
        assert kept < set(model.active_edges())


@pytest.mark.parametrize("function", ["x^2", "1/x", "sqrt", "abs"])
def test_the_constants_of_powers_keep_no_arbitrary_factor(function: str) -> None:
    x = 2 + some_x(80, 1)
    model = KAN([1, 1], seed=0)
    fixed = edit.fix(model, x, (0, 0, 0), function)
    a, *_ = fixed.layer(0).symbolic_table()[0, 0][1]
    assert abs(a) == pytest.approx(1)
    again = edit.fix(fixed, x, (0, 0, 0), function, table_constants(fixed, (0, 0, 0)), units="table")
    assert torch.allclose(again(x), fixed(x), rtol=1e-12)
