"""replace, remove, linear, compare, and constants that are frozen: new models, the old one as it was."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import sympy
import torch
from test_edges import frozen as parts_of
from test_edges import network, random, same, table

from helpers import HELD_OUT, is_one_sentence
from superpose import plot
from superpose.data import Dataset
from superpose.edit import compare, fix, linear, merge, prune, refit, release, remove, replace
from superpose.errors import DataError, OptionError
from superpose.files import load, save
from superpose.formulas import Formula, symbolify
from superpose.formulas.expressions.functions import resolve_function, resolve_names, uses_only
from superpose.nn import KAN
from superpose.nn.surgery import slice_model
from superpose.train import fit

Z = sympy.Symbol("z")


def held(model: KAN, edge: tuple[int, int, int] = (0, 0, 0)) -> tuple[float, ...]:
    n, i, o = edge
    return model.layer(n).symbolic_table()[i, o][1]


def with_sine(frozen: bool | str = "ab", model: KAN | None = None) -> KAN:
    return fix(model or network(), table(), (0, 0, 0), "sin", (1.7, 0.1, 0.6, 0.2), frozen=frozen)


# -- frozen constants


@pytest.mark.parametrize("frozen", ["", "a", "bd", "abcd"])
@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adamw"])
def test_no_optimiser_moves_what_is_frozen_and_each_moves_the_rest(optimizer: str, frozen: str) -> None:
    model = with_sine(frozen)
    before = held(model)
    fit(model, table(), optimizer=optimizer, steps=5, grids=(8,), starts=1, adapt=False)
    moved = [letter for letter, one, other in zip("abcd", before, held(model), strict=True) if one != other]
    assert moved == [letter for letter in "abcd" if letter not in frozen]


def test_refitting_with_frozen_constants_ends_at_the_least_error_for_them() -> None:
    data = table()
    model = with_sine("abcd")
    fitted = refit(model, data, steps=60, tolerance=1e-9)
    assert held(fitted) == held(model) and same(parts_of(model), parts_of(with_sine("abcd")))
    freed = refit(fix(fitted, data, (0, 0, 0), "sin", held(fitted)), data, steps=60, tolerance=1e-9)
    errors = [compare([one], data)["1"].train for one in (model, fitted, freed)]
    assert errors[0] > errors[1] > errors[2]


def test_gradients_of_frozen_constants_are_zero_and_values_are_the_same() -> None:
    x = random(30, 2)
    free, half = with_sine(""), with_sine("ac")
    assert torch.equal(free(x), half(x))
    for model in (free, half):
        model(x).square().sum().backward()
    grads = [model.layer(0).symbolic.constants.grad[0] for model in (free, half)]  # type: ignore[union-attr]
    assert (grads[0] != 0).all()
    assert torch.equal(grads[1] != 0, torch.tensor([False, True, False, True]))
    assert torch.equal(grads[1][1::2], grads[0][1::2])


def test_what_is_frozen_is_counted_shown_saved_and_copied(tmp_path: Path) -> None:
    free, model = with_sine(""), with_sine("ab")
    assert model.parameter_count() == free.parameter_count() - 2
    trace = model.trace(random(5, 2)).layers[0]
    assert trace.symbolic == {(0, 0): "sin"} and trace.frozen == {(0, 0): "ab"}
    assert free.trace(random(5, 2)).layers[0].frozen == {}
    save(model, tmp_path / "model")
    for again in (load(tmp_path / "model"), model.copy(), model.refine(9), model.with_mask([(0, 1, 0)], False)):
        assert again.layer(0).frozen_table() == {(0, 0): "ab"}
    assert "frozen: a, b" in plot.render(plot.edge(model, table(), 0, 0, 0), "svg").decode()


def test_what_is_frozen_stays_with_its_edge() -> None:
    data = table()
    model = with_sine("ab")
    other = fix(model, data, (0, 1, 1), "x^2", frozen=True)
    assert other.layer(0).frozen_table() == {(0, 0): "ab", (1, 1): "abcd"}
    assert slice_model(other, [[1]]).layer(0).frozen_table() == {(1, 0): "abcd"}
    assert prune(other, data, nodes=[(1, 0)]).layer(0).frozen_table() == {(1, 0): "abcd"}
    assert release(other, data, (0, 0, 0)).layer(0).frozen_table() == {(1, 1): "abcd"}
    assert fix(other, data, (0, 0, 0), "exp").layer(0).frozen_table() == {(1, 1): "abcd"}
    assert fix(other, data, (0, 0, 0), "sin").layer(0).frozen_table() == {(1, 1): "abcd"}


def test_frozen_edges_are_merged_into_no_other_and_symbolify_keeps_them() -> None:
    data = table()
    twin = KAN([1, 2, 1], seed=0)
    for layer in twin.kan_layers():
        edges = [(i, o) for i in range(layer.in_features) for o in range(layer.sum_count)]
        layer.set_symbolic(dict.fromkeys(edges, ("sin", (1.0, 0.2, 0.5, 0.0))))
    x = random(60, 1)
    assert merge(twin, x).widths == [1, 1, 1]
    layer = twin.layer(1)
    layer.set_symbolic(layer.symbolic_table(), {(0, 0): "a"})
    assert merge(twin, x).widths == [1, 2, 1]
    small = KAN([2, 1, 1], seed=0)
    fit(small, data, grids=(5,), steps=30, starts=2)
    cubed = fix(small, data, (0, 0, 0), "x^3", frozen=True)
    read = symbolify(cubed, data)
    assert read.layer(0).symbolic_table()[0, 0] == cubed.layer(0).symbolic_table()[0, 0]


# -- replace, remove, linear


def test_replace_fits_one_edge_to_the_targets_and_nothing_else() -> None:
    data = table()
    exact = KAN([2, 1, 1], seed=0)
    exact.set_scaling(data.x_scale, data.y_scale)
    s, t = data.x_scale.scale.tolist()
    p, q = data.x_scale.center.tolist()
    mean, spread = data.y_scale.center.item(), data.y_scale.scale.item()
    exact.layer(0).set_symbolic({(0, 0): ("sin", (2 * s, 2 * p, 1.0, 0.0)), (1, 0): ("x^2", (t, q, 1.0, 0.0))})
    exact.layer(1).set_symbolic({(0, 0): ("exp", (1.0, 0.0, 1 / spread, -mean / spread))})
    assert compare([exact], data)["1"].test < 1e-12
    wrong = fix(exact, data, (0, 0, 0), "x", (0.3, 0.0, 1.0, 0.0))
    before = parts_of(wrong)
    as_it_looks = fix(wrong, data, (0, 0, 0), "sin")
    mended = replace(wrong, data, (0, 0, 0), "sin")
    assert compare([as_it_looks], data)["1"].test > 0.1
    assert compare([mended], data)["1"].test < 1e-6
    assert same(before, parts_of(wrong))
    assert held(mended, (0, 1, 0)) == held(exact, (0, 1, 0)) and held(mended, (1, 0, 0)) == held(exact, (1, 0, 0))
    assert replace(wrong, data, (0, 0, 0), sympy.sin, frozen="a").layer(0).frozen_table() == {(0, 0): "a"}


def test_constants_may_be_given_in_the_units_of_the_table() -> None:
    generator = torch.Generator().manual_seed(0)
    t = 300 + 50 * torch.rand(100, 1, generator=generator, dtype=torch.float64)
    data = Dataset.from_arrays(t, 5e3 * torch.exp(-0.02 * t) + 7, feature_names=["t"], **HELD_OUT)
    model = KAN([1, 1], seed=0)
    model.set_scaling(data.x_scale, data.y_scale)
    model.feature_names = ("t",)
    shift = 7 - data.y_scale.center.item()
    for verb in (fix, replace):
        made = verb(model, data, (0, 0, 0), "exp", (-0.02, 0.0, 5e3, shift), units="table")
        assert compare([made], data)["1"].test < 1e-10


def test_removing_an_edge_leaves_its_mean() -> None:
    model, data = network(), table()
    before = parts_of(model)
    smaller = remove(model, data, (0, 0, 0))
    assert (0, 0, 0) not in smaller.active_edges() and len(smaller.active_edges()) == 5
    assert same(before, parts_of(model))
    x = data.rows("train")[0]
    means = [one.trace(x).layers[0].sums[:, 0].mean() for one in (model, smaller)]
    assert torch.allclose(*means)


def test_a_column_is_made_linear() -> None:
    x = random(300, 2)
    data = Dataset.from_arrays(x, 3 * x[:, 0] + torch.sin(3 * x[:, 1]), feature_names=["m", "t"], **HELD_OUT)
    model = KAN([2, 1], seed=0)
    fit(model, data, grids=(5, 10), steps=20)
    straight = linear(model, data, "m")
    assert {name for name, _ in straight.layer(0).symbolic_table().values()} == {"x"}
    assert (straight.layer(0).mask == model.layer(0).mask).all()
    slope = Formula.of(straight).expression.diff(sympy.Symbol("m", real=True))
    assert float(slope) == pytest.approx(3, abs=1e-4)
    assert same(parts_of(linear(model, data, 0)), parts_of(straight))
    rough = KAN([2, 1], seed=0)
    fit(rough, data, grids=(5,), steps=1, starts=1)
    errors = [compare([linear(rough, data, "m", steps=steps)], data)["1"].train for steps in (0, 20)]
    assert errors[1] < 0.5 * errors[0]
    with pytest.raises(OptionError, match="did you mean"):
        linear(model, data, "mm")
    with pytest.raises(OptionError, match="does not read 'm'"):
        linear(prune(model, data, inputs=["m"]), data, "m")


# -- which function is meant


@pytest.mark.parametrize(
    ("function", "name"),
    [("asin", "arcsin"), ("Abs", "abs"), ("x^(2/3)", "x^(2/3)"), (sympy.sin, "sin"), (1 / Z, "1/x"), (Z**7, "x^7")],
)
def test_functions_by_any_name(function: Any, name: str) -> None:
    assert resolve_function(function).name == name
    assert resolve_names([name, name]) == (name,)


def test_registered_functions_are_found_by_expression(own_functions: None) -> None:
    from superpose.nn import register

    register("softplus", sympy.log(1 + sympy.exp(Z)))
    assert resolve_function(sympy.log(1 + sympy.exp(sympy.Symbol("other")))).name == "softplus"
    assert fix(network(), table(), (0, 0, 0), "softplus").layer(0).symbolic_table()[0, 0][0] == "softplus"


@pytest.mark.parametrize(
    ("functions", "expression", "yes"),
    [
        (["sin"], "cos", True),
        (["exp"], "exp", True),
        (["exp"], "sin", False),
        (["x^2"], "square", True),
        (["x"], "square", False),
        (["1/x", "x^2"], "one over a square", True),
        (["x^2"], "one over a square", False),
        (["exp", "log"], "a power of a column", False),
        (["x"], "sums and products", True),
        (["gaussian"], "exp", True),
    ],
)
def test_expressions_of_allowed_functions(functions: list[str], expression: str, yes: bool) -> None:
    x, y = sympy.symbols("x y", real=True)
    forms = {
        "cos": sympy.cos(2 * x + 1) * y,
        "sin": x + sympy.sin(x),
        "exp": sympy.exp(x + y),
        "square": 3 * x**2,
        "one over a square": y * (x + 1) ** -2,
        "a power of a column": sympy.Pow(x, y, evaluate=False),
        "sums and products": 2 * x * y - sympy.pi * y + sympy.sqrt(2),
    }
    assert uses_only(forms[expression], functions) is yes


# -- compare


def test_models_and_formulas_side_by_side() -> None:
    data, model = table(), network()
    formula = Formula.of(fix(model, data, (0, 0, 0), "sin"))
    found = compare({"spline": model, "formula": formula}, data)
    assert [row.name for row in found] == ["spline", "formula"] and len(found) == 2
    row = found["spline"]
    assert row.parameters == model.parameter_count() and row.edges == 6 and row.symbolic == 0
    x, y = data.rows("test")
    assert row.test == pytest.approx(float((model(x) - y).detach().square().mean().sqrt()))
    assert found["formula"].parameters is None and found["formula"].nodes == formula.complexity
    assert found["formula"].train == pytest.approx(formula.rmse(data, "train"))
    assert list(found.to_frame().index) == ["spline", "formula"]
    lines = str(found).splitlines()
    assert len(lines) == 3 and "parameters" in lines[0] and lines[1].startswith("spline")
    with pytest.raises(KeyError):
        found["neither"]


def test_a_split_without_rows_has_no_error() -> None:
    data = Dataset.from_arrays(random(40, 2), random(40, 1), test=0.0)
    assert math.isnan(compare([network()], data)["1"].test)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda m, d: compare([], d), OptionError),
        (lambda m, d: compare(["m"], d), OptionError),
        (lambda m, d: compare([KAN([3, 1])], d), DataError),
        (lambda m, d: fix(m, d, (0, 0, 0), "sin", frozen="e"), OptionError),
        (lambda m, d: fix(m, d, (0, 0, 0), "sin", frozen=1), OptionError),
        (lambda m, d: fix(m, d, (0, 0, 0), "sin", (1, 2, 3, math.inf)), OptionError),
        (lambda m, d: fix(m, d, (0, 0, 0), "sin", "abcd"), OptionError),
        (lambda m, d: fix(m, d, (0, 0, 0), "sin", (1, 2, 3, 4), units="metres"), OptionError),
        (lambda m, d: replace(m, d, (0, 0, 0), Z + sympy.Symbol("w")), OptionError),
        (lambda m, d: replace(m, d, (0, 0, 0), sympy.gamma(Z)), OptionError),
        (lambda m, d: replace(m, d, (0, 0, 0), torch.sin), OptionError),
        (lambda m, d: remove(m, d, (0, 0, 9)), OptionError),
        (lambda m, d: resolve_names([]), OptionError),
        (lambda m, d: resolve_names("sin"), OptionError),
    ],
)
def test_mistakes_are_one_sentence(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        call(network(), table())
    assert is_one_sentence(str(caught.value))
