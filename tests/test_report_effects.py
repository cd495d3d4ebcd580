"""The page on single columns: effects with their bands, residuals, terms; and errors side by side."""

from __future__ import annotations

import base64
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sympy
import torch

from superpose import report
from superpose.data import Dataset
from superpose.deadline import Deadline
from superpose.formulas.expressions.formula import Formula
from superpose.nn import KAN
from superpose.plot import dependence
from superpose.report import effects, models, pictures, residuals, terms
from superpose.report.orientation import oriented
from superpose.train.anova import AnovaAverage, AnovaMixture, AnovaSettings, fit_anova
from superpose.train.anova.dependence import effect_of
from test_report import SCRIPT, page, result

GENERATOR = torch.Generator().manual_seed(0)
X = torch.rand(200, 3, generator=GENERATOR, dtype=torch.float64)
NOISE = torch.randn(200, generator=GENERATOR, dtype=torch.float64)


def average(x: torch.Tensor, y: torch.Tensor, **settings: Any) -> AnovaAverage:
    return AnovaAverage(((1.0, AnovaMixture(((1.0, fit_anova(x, y, AnovaSettings(**settings))),))),))


def lines(slopes: tuple[float, ...], **changes: Any) -> Any:
    """A run on 200 rows of as many columns whose network is a sum of straight lines, with a residual of NOISE / 10."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(200, len(slopes), generator=generator, dtype=torch.float64)
    names = tuple(f"c{n}" for n in range(len(slopes)))
    y = x @ torch.tensor(slopes, dtype=torch.float64) + NOISE / 10
    data = changes.pop("data", None) or Dataset.from_arrays(x, y, feature_names=names, target_names=["y"])
    model = KAN([len(slopes), 1], feature_names=names, target_names=["y"])
    model.layer(0).set_symbolic({(n, 0): ("x", (1.0, 0.0, slope, 0.0)) for n, slope in enumerate(slopes)})
    return result(network=model, model=model, data=data, formula=None, metrics={}, **changes)


@pytest.mark.parametrize("settings", [{}, {"interactions": True}], ids=["sums", "products"])
def test_the_effect_of_a_column_is_the_mean_prediction_less_its_mean(settings: dict[str, Any]) -> None:
    fit = average(X, (4 * X[:, 0]).sin() + X[:, 0] * X[:, 1] + X[:, 1] * X[:, 2].square(), **settings)
    places = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)
    # Over all rows of the fit the functions of single columns have means of zero, and products no part in effects.
    some = X[(X[:, 0] > 0.5) & (X[:, 2] > 0.5)]

    def mean(value: torch.Tensor) -> torch.Tensor:
        rows = some.clone()
        rows[:, 1] = value
        return fit.predict(rows).mean()

    expected = torch.stack([mean(value) for value in places]) - torch.stack([mean(v) for v in some[:, 1]]).mean()
    assert torch.allclose(effect_of(fit, 1, places, some)[0], expected, atol=1e-9)


def test_the_effect_on_a_logarithm_is_in_the_target_s_units() -> None:
    fit = average(X, (1 + 2 * X[:, 0]).exp(), log_target=True)
    places = torch.tensor([0.2, 0.8], dtype=torch.float64)
    values, _ = effect_of(fit, 0, places, X)
    assert float(values[1] - values[0]) == pytest.approx(math.exp(2.6) - math.exp(1.4), rel=0.01)


def test_bands_are_as_wide_as_those_of_least_squares() -> None:
    fit = average(X[:, :1], 5 * X[:, 0] + NOISE, curves=False)
    x = X[:, 0] - X[:, 0].mean()
    y = 5 * X[:, 0] + NOISE
    left = y - y.mean() - x * (x @ y) / (x @ x)
    deviation = (left @ left / 198).sqrt() / (x @ x).sqrt()
    _, errors = effect_of(fit, 0, torch.ones(1, dtype=torch.float64), X[:, :1])
    assert float(errors) == pytest.approx(float(deviation * (1 - X[:, 0].mean())), rel=0.05)


def test_columns_are_sorted_by_their_effects_in_the_target_s_units() -> None:
    made = lines((0.5, -3.0, 0.0))
    found, left = effects.effects(made, Deadline())
    assert [one.column for one in found] == [1, 0, 2] and left == []
    first = found[0]
    assert float(first.deviation) == pytest.approx(3 * float(made.data.x[:, 1].std(correction=0)), rel=0.02)
    assert float(first.values[-1] - first.values[0]) == pytest.approx(-3 * float(first.places[-1] - first.places[0]))
    assert first.increase > 0.9 and found[2].increase == 0 and first.errors is None


def test_of_many_columns_those_that_matter_are_drawn_and_the_others_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "RULES", replace(effects.RULES, columns=3))
    made = effects.effects_of(lines((0.1, 0.1, 0.1, 0.1, 2.0)), Deadline())
    assert made is not None
    names = [card.name for card in made.groups[0].cards]
    assert names[0] == "c4" and len(names) == 3
    assert sorted([*names, *made.others]) == ["c0", "c1", "c2", "c3", "c4"]


def test_bands_are_drawn_where_there_are_standard_errors_only() -> None:
    made = lines((1.0, 2.0))
    for smooth in (None, average(made.data.x, made.data.y[:, 0])):
        made.smooth = smooth
        found = effects.effects_of(made, Deadline())
        assert found is not None
        (group,) = found.groups
        drawn = [base64.b64decode(card.picture.source.partition(",")[2]) for card in group.cards]
        assert [b'id="band"' in one for one in drawn] == [smooth is not None] * 2
        assert group.banded == (smooth is not None)


def test_columns_of_few_values_have_dots() -> None:
    places, discrete = dependence.places_of(torch.tensor([1.0, 2.0] * 50))
    assert discrete and places.tolist() == [1.0, 2.0]
    places, discrete = dependence.places_of(torch.arange(1000.0))
    assert not discrete and places[0] == pytest.approx(10, abs=0.5) and len(places) == dependence.RULES.points


def test_structure_that_is_left_is_seen_in_the_column_that_has_it() -> None:
    made = lines((1.0, 1.0, 1.0))
    y = made.data.y + (made.data.x[:, 1:2] - 0.5).square() * 4
    made = lines((1.0, 1.0, 1.0), data=Dataset.from_arrays(made.data.x, y, feature_names=["c0", "c1", "c2"]))
    found = residuals.residuals_of(made, Deadline())
    assert found is not None and found.rows == "all rows"
    assert found.pictures[0].text == "Residuals against c1" and len(found.pictures) == 3
    left = y[:, 0] - made.network(made.data.x)[:, 0].detach()
    places, means = residuals.running_mean(made.data.x[:, 1], left)
    assert means[0] > means[len(means) // 2] + 0.3 and means[-1] > means[len(means) // 2] + 0.3
    assert places[0] < 0.2 and places[-1] > 0.8


def test_an_exact_model_leaves_no_residuals_to_draw() -> None:
    assert residuals.residuals_of(result(), Deadline()) is None


@pytest.mark.parametrize(("network", "formula", "better"), [(0.1, 0.2, True), (0.2, 0.1, False), (0.1, 0.1, False)])
def test_the_pictures_are_of_the_model_that_predicts_better(network: float, formula: float, better: bool) -> None:
    made = result()
    made.metrics |= {"network_rmse": network, "formula_rmse": formula}
    assert pictures.drawn_network(made) is (made.network if better else made.model)
    assert models.predictor(made)[0] == ("network" if better else "formula")
    assert [row.model for row in models.error_rows(made) if row.shown] == ["network" if better else "formula"]


def test_errors_stand_side_by_side_with_their_standard_errors() -> None:
    made = lines((1.0, 2.0))
    y = made.data.y
    made.data = Dataset.from_arrays(made.data.x, y, feature_names=["c0", "c1"], validation=0.0, test=0.25)
    x, y = made.data.rows("test")
    squares = (made.network(x).detach() - y).square()[:, 0]
    rmse = float(squares.mean().sqrt())
    made.metrics = {"network_rmse": rmse, "network_r2": 0.5, "cross_validation": {"constants": 3.14159}}
    made.smooth = average(x, y[:, 0])
    network, mean = models.error_rows(made)
    error = float(squares.std()) / len(squares) ** 0.5 / (2 * rmse)
    constants = f"{made.network.parameter_count()} (3.14 effective)"
    assert network.cells[:4] == (f"{rmse:.3g}", f"{error:.3g}", "0.5", constants)
    trained = made.data.y[made.data.train].mean()
    assert float(mean.cells[0]) == pytest.approx(float((y - trained).square().mean().sqrt()), rel=0.01)


def test_a_formula_of_many_terms_is_a_table_of_coefficients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = lines((1.0, -2.0, 3.0, 4.0, 5.0, 6.0))
    names = made.data.feature_names
    symbols = [sympy.Symbol(name, real=True) for name in names]
    slopes = [1.5, -2.5, 3.5, 4.5, 5.5, 60.5]
    terms_made = [
        sympy.Float(c) * (symbol**2 if n else symbol) for n, (c, symbol) in enumerate(zip(slopes, symbols, strict=True))
    ]
    made.formula = Formula.from_expressions([sympy.Add(*terms_made, sympy.Float(-7.25))], made.data)
    made.metrics = {"constants": made.formula.constants(made.data)}
    found = terms.terms_of(made)
    assert [found[0].text, found[0].coefficient] == ["c5**2", "60.5"]
    assert {term.text: term.coefficient for term in found}["c1**2"] == "−2.5"
    assert found[-1].text == "1" and found[-1].coefficient == "−7.25"
    errors = {one["value"]: one["standard_error"] for one in made.metrics["constants"]}
    assert float(found[0].error) == pytest.approx(errors[60.5], rel=0.01)
    for name in ("effects_of", "residuals_of"):
        monkeypatch.setattr(f"superpose.report.page.{name}", lambda *given: None)
    report.write(made, tmp_path)
    assert "a sum of 7 terms" in page(tmp_path).words
    made.formula = Formula.from_expressions([sympy.Add(*terms_made[:3])], made.data)
    assert terms.terms_of(made) == []


def test_products_can_be_seen_in_latex() -> None:
    def latex(*names: str) -> str:
        symbols = tuple(sympy.Symbol(name, real=True) for name in names)
        return Formula((sympy.Mul(*symbols),), symbols, names, ("y",)).latex()

    assert latex("longitude", "meridian_im") == r"y = \mathrm{longitude} \cdot \mathrm{meridian\_im}"
    assert latex("a", "b") == "y = a b"


def test_pictures_of_columns_leave_names_as_data_and_load_nothing(tmp_path: Path) -> None:
    names = (SCRIPT, "\"><img src=x onerror='alert(2)'>")
    made = result(names=names, targets=(f"{SCRIPT}y",))
    made.metrics |= {"network_rmse": 0.1, "formula_rmse": 0.2}
    report.write(made, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in text and "onerror='alert" not in text.replace("&#39;", "\u2019")
    shown = page(tmp_path)
    assert "Effects of the columns" in shown.words and "Residuals against the columns" in shown.words
    assert all(str(a["src"]).startswith("data:") for tag, a in shown.tags if tag == "img")
    for picture in shown.pictures:
        assert not [one for one in picture.iter() if one.tag.endswith("script")]


@pytest.mark.parametrize("part", ["effect", "residual"])
def test_a_picture_of_a_column_that_fails_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, part: str, lenient: None
) -> None:
    def fails(*given: Any, **options: Any) -> Any:
        raise OverflowError("Exceeded cell block limit")

    monkeypatch.setattr(f"superpose.plot.column_charts.{part}", fails)
    made = lines((1.0, 2.0))
    effects.effects_of(made, Deadline())
    residuals.residuals_of(made, Deadline())
    assert len(made.failures.sentences) == 1
    assert "could not be drawn (OverflowError" in made.failures.sentences[0]


def rising(model: KAN, x: torch.Tensor) -> list[bool]:
    """Of each hidden node, whether the edge from it that matters most rises."""
    found = []
    with torch.no_grad():
        for layer in model.trace(x).layers[1:]:
            for i in range(layer.inputs.shape[1]):
                o = int(layer.edges[:, i].std(0).argmax())
                found.append(float(torch.corrcoef(torch.stack([layer.inputs[:, i], layer.edges[:, i, o]]))[0, 1]) > 0)
    return found


@pytest.mark.parametrize("base", ["none", "silu", "identity"])
@pytest.mark.parametrize("shape", [[2, 3, 1], [2, 3, 2, 1], [2, [1, [2]], 1]], ids=str)
def test_turned_networks_are_the_same_functions_and_rise_with_the_output(base: str, shape: Any) -> None:
    model = KAN(shape, seed=1, base=base)
    x = torch.rand(100, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        for layer in model.kan_layers()[1:]:
            # Splines that fall, on uneven knots.
            layer.set_knots(layer.knots + 0.1 * layer.knots.square())
            identity = layer.knots.unfold(1, layer.degree, 1)[:, 1:-1].mean(2)
            layer.spline_coefficients.copy_(0.01 * layer.spline_coefficients - identity[:, :, None])
    turned = oriented(model, Dataset.from_arrays(x, x[:, 0]))
    beyond = torch.cat([x, 4 * x])
    assert torch.allclose(turned(beyond), model(beyond), atol=1e-12)
    assert all(rising(turned, x)) and not all(rising(model, x))


def test_slopes_of_straight_edges_to_the_output_go_to_the_sums_below() -> None:
    model = KAN([2, 2, 1], seed=0)
    model.layer(1).set_symbolic({(0, 0): ("x", (1.0, 0.0, -4.0, 0.5)), (1, 0): ("x", (2.0, 0.0, 3.0, 0.0))})
    turned = oriented(model, Dataset.from_arrays(X[:, :2], X[:, 0]))
    assert [constants for _, constants in turned.layer(1).symbolic_table().values()] == [
        (1.0, 0.0, 1.0, 0.5),
        (1.0, 0.0, 1.0, 0.0),
    ]
    assert torch.allclose(turned(X[:, :2]), model(X[:, :2]))
    edges = [one.trace(X[:, :2]).layers[0].edges.detach() for one in (model, turned)]
    assert torch.allclose(edges[1], edges[0] * torch.tensor([-4.0, 6.0]))


def test_targets_have_effects_each_and_poles_do_not_flatten_them() -> None:
    made = result(targets=("y", "z"), formula=None, metrics={})
    made.network = KAN([2, 2], target_names=["y", "z"], feature_names=["a", "b"])
    made.network.layer(0).set_symbolic(
        {(0, 0): ("x", (1.0, 0.0, 1.0, 0.0)), (0, 1): ("1/x", (1.0, -0.5001, 1.0, 0.0)), (1, 1): ("x", (1.0, 0, 2, 0))}
    )
    found = effects.effects_of(made, Deadline())
    assert found is not None and [group.title for group in found.groups] == ["y", "z"]
    assert [group.cards[0].name for group in found.groups] == ["a", "a"]
    limits = effects._limits(effects.effects(made, Deadline())[0], [1], effects._most(made, 1))
    assert max(map(abs, limits)) < 1.5 * float(made.data.y[:, 1].max() - made.data.y[:, 1].min())


def test_the_effect_of_the_other_model_is_dashed_and_bands_are_the_network_s() -> None:
    made = lines((1.0, 2.0))
    columns = [sympy.Symbol(name, real=True) for name in ("c0", "c1")]
    made.formula = Formula.from_expressions([columns[0] + 3 * columns[1]], made.data)
    made.metrics = {"network_rmse": 0.100, "formula_rmse": 0.0999}
    made.smooth = average(made.data.x, made.data.y[:, 0])
    (first, _), left = effects.effects(made, Deadline())
    assert first.column == 1 and first.errors is not None and first.beside is not None and not left
    places = first.places - first.places.mean()
    assert float(first.beside[-1] - first.beside[0]) == pytest.approx(3 * float(places[-1] - places[0]))
    assert float(first.values[-1] - first.values[0]) == pytest.approx(2 * float(places[-1] - places[0]), rel=0.05)
    made.metrics["formula_rmse"] = 0.01
    (first, _), _ = effects.effects(made, Deadline())
    assert first.errors is None and float(first.values[-1] - first.values[0]) > 2.5 * float(places[-1] - places[0])
    found = effects.effects_of(made, Deadline())
    assert found is not None and (found.model, found.beside) == ("formula", "network")
    assert b'id="beside"' in base64.b64decode(found.groups[0].cards[0].picture.source.partition(",")[2])


def test_rows_with_gross_errors_neither_choose_the_model_nor_bend_the_residuals() -> None:
    made = result()
    made.metrics |= {"network_rmse": 0.01, "formula_rmse": 5.0, "network_rmse_without_suspicious_rows": 0.01}
    made.metrics["formula_rmse_without_suspicious_rows"] = 0.009
    assert not models.shows_network(made) and models.advantage(made) is None
    assert [row.cells[-1] for row in models.error_rows(made)] == ["0.01", "0.009", "–"]
    assert len(models.error_headings(made)) == len(models.error_rows(made)[0].cells)
    made = lines((1.0, 1.0))
    y = made.data.y.clone()
    y[7] += 1000
    made.data = Dataset.from_arrays(made.data.x, y, feature_names=["c0", "c1"])
    made.metrics = {"suspicious_rows": [7]}
    found = residuals.residuals_of(made, Deadline())
    assert found is not None and found.rows == "all rows without gross errors"
    assert models.ordinary(made, torch.arange(9)).tolist() == [0, 1, 2, 3, 4, 5, 6, 8]
    assert all(one.increase > 0.2 for one in effects.effects(made, Deadline())[0])
