"""Pictures of columns, of any model and table; the numbers of all pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch

import superpose
from helpers import is_one_sentence
from superpose import KAN, Dataset, plot
from superpose.errors import DataError, OptionError, ShapeError, SuperposeError
from superpose.nn import Head

NAMES = ["longitude", "meridian_im", "idle"]


def rows(count: int = 300) -> torch.Tensor:
    return 2 * torch.rand(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1


def values(x: torch.Tensor) -> torch.Tensor:
    return 3 * x[:, :1] * x[:, 1:2] + x[:, 1:2] ** 2


@pytest.fixture(scope="module")
def formula() -> superpose.Formula:
    import sympy

    a, b, c = sympy.symbols("a b c")
    return superpose.Formula([3 * a * b + b**2], (a, b, c), NAMES, ["volume"])


def frame() -> pandas.DataFrame:
    x = rows()
    made = pandas.DataFrame(x.numpy(), columns=NAMES)[NAMES[::-1]]
    return made.assign(volume=values(x).numpy()[:, 0], remark="none")


def test_partial_dependence_is_the_mean_prediction(formula: superpose.Formula) -> None:
    numbers = plot.data(plot.partial_dependence(formula, frame(), "meridian_im"))
    x = rows()
    expected = 3 * float(x[:, 0].mean()) * numbers.place + numbers.place**2
    np.testing.assert_allclose(numbers.prediction, expected, atol=1e-12)
    np.testing.assert_allclose(numbers.prediction - numbers.effect, (numbers.prediction - numbers.effect)[0])
    assert set(numbers.output) == {"volume"}
    idle = plot.data(plot.partial_dependence(formula, x, "idle"))
    np.testing.assert_allclose(idle.effect, 0, atol=1e-12)


def test_importance_is_what_permuting_costs(formula: superpose.Formula) -> None:
    measured = plot.data(plot.importance(formula, frame()))
    assert set(measured.column[:2]) == {"meridian_im", "longitude"} and measured.column[2] == "idle"
    assert measured.increase[0] > measured.increase[1] > 0.5 and measured.increase[2] == 0
    # A model without errors loses what its predictions change.
    np.testing.assert_allclose(measured.increase, measured.change, atol=1e-12)
    alone = plot.data(plot.importance(formula, rows()))
    assert alone.increase.isna().all()
    np.testing.assert_allclose(alone.change, measured.change)
    given = plot.data(plot.importance(formula, rows(), values(rows())[:, 0].tolist()))
    pandas.testing.assert_frame_equal(given, measured)


def test_residuals_are_measured_less_predicted(formula: superpose.Formula) -> None:
    table = frame()
    table["volume"] += 0.5 * table["idle"]
    for given, y in ((table, None), (rows(), table["volume"])):
        numbers = plot.data(plot.residuals(formula, given, "idle", y))
        np.testing.assert_allclose(numbers.residual, 0.5 * numbers.place, atol=1e-12)
        np.testing.assert_allclose(numbers.measured - numbers.predicted, numbers.residual, atol=1e-12)
    data = Dataset.from_arrays(rows(), table["volume"], feature_names=NAMES)
    assert len(plot.data(plot.residuals(formula, data, "longitude"))) == 300


def test_an_interaction_is_what_single_effects_leave(formula: superpose.Formula) -> None:
    picture = plot.interaction(formula, frame(), "longitude", "meridian_im")
    numbers = plot.data(picture)
    a, b = numbers["first"], numbers["second"]
    np.testing.assert_allclose(numbers.interaction, 3 * (a - a.mean()) * (b - b.mean()), atol=1e-12)
    assert "H = 0.9" in plot.render(picture, "svg").decode()
    none = plot.interaction(formula, frame(), "idle", "meridian_im")
    assert "H = 0.00" in plot.render(none, "svg").decode()


def classifier() -> KAN:
    model = KAN([3, 1], seed=0, feature_names=NAMES, target_names=["score"])
    model.head = Head("sigmoid", ("no", "yes"), name="grade")
    return model


def test_classes_have_probabilities_and_cross_entropies() -> None:
    model = classifier()
    numbers = plot.data(plot.partial_dependence(model, rows(), "longitude"))
    assert list(numbers.output.unique()) == ["no", "yes"]
    sums = numbers.pivot_table(index="place", columns="output", values="prediction").sum(axis=1)
    np.testing.assert_allclose(sums, 1)
    table = frame().assign(grade=model.labels(rows()))
    found = plot.data(plot.importance(model, table))
    assert found.increase.max() > 0 and set(found.column) == set(NAMES)
    pandas.testing.assert_frame_equal(plot.data(plot.importance(model, rows(), list(table.grade))), found)
    assert len(plot.data(plot.interaction(model, table, "longitude", "idle"))) > 100


def test_a_network_of_any_precision_is_a_model() -> None:
    model = KAN([3, 2, 2], seed=0, feature_names=NAMES, target_names=["u", "v"])
    for made in (model, model.copy().bfloat16()):
        assert list(plot.data(plot.partial_dependence(made, frame(), "idle")).output.unique()) == ["u", "v"]
        assert len(plot.data(plot.residuals(made, rows(), "idle", rows()[:, :2], target="v"))) == 300


def test_a_result_of_a_task_is_a_model() -> None:
    x = rows(60)
    data = Dataset.from_arrays(x, values(x), feature_names=NAMES, target_names=["volume"])
    history = superpose.fit(model := KAN([3, 1, 1], seed=0), data, steps=2, grids=(3,), progress=False)
    result = superpose.Result(model, None, None, history, data, {})
    for draw in (plot.partial_dependence, plot.residuals):
        assert len(plot.data(draw(result, data, "longitude"))) >= 40
    steps = plot.data(plot.staircase(history))
    assert list(steps.columns) == ["step", "grid_size", "train_loss", "validation_loss"]
    assert len(steps) == len(history.records)


def test_networks_and_edges_and_fronts_have_their_numbers() -> None:
    x = 10 + 5 * rows()
    model = KAN([3, 2, 1], seed=0)
    scaling = superpose.data.Affine(torch.full((3,), 10.0), torch.full((3,), 5.0))
    model.set_scaling(scaling, superpose.data.Affine(torch.zeros(1), torch.full((1,), 2.0)))
    numbers = plot.data(plot.network(model, x))
    assert len(numbers.groupby(["layer", "input", "output"])) == 8 and set(numbers.function) == {"spline"}
    some = numbers[(numbers.layer == 0) & (numbers.input == 1) & (numbers.output == 1)]
    scaled = torch.tensor(some.x.to_numpy() - 10) / 5
    with torch.no_grad():
        expected = model.layer(0).edge_function(1, 1, scaled)
    np.testing.assert_allclose(some.y, expected, rtol=1e-9)
    np.testing.assert_allclose([some.x.min(), some.x.max()], [x[:, 1].min(), x[:, 1].max()])
    last = plot.data(plot.edge(model, x, 1, 0, 0))
    with torch.no_grad():
        np.testing.assert_allclose(last.y, 2 * model.layer(1).edge_function(0, 0, torch.tensor(last.x)))
    front = [
        {"complexity": 3, "formula": "x", "rmse": 0.2, "recommended": False},
        {"complexity": 9, "formula": "y", "rmse": None},
    ]
    table = plot.data(plot.front(front))
    assert table.formula.tolist() == ["x", "y"] and table.rmse[0] == 0.2 and np.isnan(table.rmse[1])


def test_a_table_is_prepared_as_the_model_knows() -> None:
    x = rows(60)
    table = pandas.DataFrame({"a": x[:, 0].numpy(), "kind": ["hot", "cold"] * 30, "f": values(x)[:, 0].numpy()})
    data = Dataset.from_frame(table, target="f")
    superpose.fit(model := KAN([data.n_features, 1], seed=0), data, steps=2, grids=(3,), progress=False)
    for draw in (plot.partial_dependence, plot.residuals):
        numbers = plot.data(draw(model, table, model.feature_names[-1]))
        assert len(numbers) >= 2
    pandas.testing.assert_frame_equal(plot.data(plot.importance(model, table)), plot.data(plot.importance(model, data)))


def awkward() -> dict[str, tuple[Callable[[Any], Any], type[SuperposeError], str]]:
    x = rows()
    missing = frame().drop(columns="idle")
    return {
        "no model": (lambda f: plot.importance(x, f), OptionError, "a KAN, a Formula or the result"),
        "a name": (lambda f: plot.partial_dependence(f, x, "longitud"), OptionError, "did you mean 'longitude'"),
        "no name": (lambda f: plot.residuals(f, x, 3), OptionError, "no column 3"),
        "a frame": (lambda f: plot.importance(f, missing), DataError, "idle"),
        "a shape": (lambda f: plot.importance(f, x[:, :2]), ShapeError, "3 columns"),
        "one row": (lambda f: plot.importance(f, x[:1]), DataError, "two or more rows"),
        "NaN": (lambda f: plot.partial_dependence(f, x * float("nan"), "idle"), DataError, "finite on 0 of 300"),
        "constant": (lambda f: plot.partial_dependence(f, 0 * x + 1, "idle"), DataError, "one value only"),
        "no targets": (lambda f: plot.residuals(f, x, "idle"), OptionError, "pass them as y"),
        "few targets": (lambda f: plot.residuals(f, x, "idle", [1.0]), DataError, "300 rows"),
        "a target": (lambda f: plot.residuals(f, x, "idle", x[:, 0], target="u"), OptionError, "no target 'u'"),
        "wide targets": (lambda f: plot.residuals(f, x, "idle", x), ShapeError, "1 targets, but y has 3"),
        "itself": (lambda f: plot.interaction(f, x, "idle", "idle"), OptionError, "two different columns"),
        "an output": (lambda f: plot.interaction(f, x, "idle", "longitude", output="u"), OptionError, "no output 'u'"),
        "a classifier": (lambda f: plot.residuals(classifier(), x, "idle"), OptionError, "no residuals"),
        "a class": (lambda f: plot.importance(classifier(), x, ["maybe"] * 300), OptionError, "no class 'maybe'"),
        "few classes": (lambda f: plot.importance(classifier(), x, ["no"]), DataError, "one for each row"),
        "text": (lambda f: plot.importance(f, [["a", "b", "c"]]), DataError, "the table"),
        "no table": (lambda f: plot.importance(f, None), DataError, "the table"),
        "no picture": (lambda f: plot.data(frame()), OptionError, "not a DataFrame"),
    }


@pytest.mark.parametrize("kind", awkward())
def test_what_cannot_be_drawn_is_named(kind: str, formula: superpose.Formula) -> None:
    call, error, message = awkward()[kind]
    with pytest.raises(error) as caught:
        call(formula)
    assert is_one_sentence(str(caught.value)) and message in str(caught.value)


def test_pictures_are_written_and_read_again(formula: superpose.Formula, tmp_path: Path) -> None:
    import pickle

    pictures = [plot.importance(formula, frame()), plot.interaction(formula, frame(), "idle", "longitude")]
    for n, picture in enumerate(pictures):
        plot.save_figure(picture, tmp_path / f"{n}.png")
        again = pickle.loads(pickle.dumps(picture))  # noqa: S301  (its own)
        pandas.testing.assert_frame_equal(plot.data(again), plot.data(picture))


def test_names_of_several_letters_do_not_run_together(formula: superpose.Formula) -> None:
    assert r"\mathrm{longitude} \cdot \mathrm{meridian\_im}" in formula.latex()
