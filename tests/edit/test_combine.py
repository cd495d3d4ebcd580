"""combine: columns that enter as one, and the way back to the original columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import is_one_sentence
from superpose.data import Dataset
from superpose.edit import combine, refit
from superpose.edit.combining import Pair
from superpose.errors import DataError, OptionError
from superpose.files import load, save
from superpose.formulas import Formula, find_laws
from superpose.nn import KAN
from superpose.tasks.regression.search import DiscoverOptions, discover
from superpose.train import fit

pytestmark = pytest.mark.usefixtures("few_compositions")

NAMES = ("x", "m", "y", "t")
# Long enough for the busiest machine: these searches end when they have found what there is.
LIMIT = 300.0


def table(function: Any = None, *, count: int = 200, noise: float = 0.0) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    x = 1 + 2 * torch.rand(count, 4, generator=generator, dtype=torch.float64)
    f = (function or (lambda x, m, y, t: torch.sin(x / y) + m * t))(*x.unbind(-1))
    f = f + noise * f.std() * torch.randn(count, generator=generator, dtype=torch.float64)
    return Dataset.from_arrays(x, f, feature_names=NAMES, target_names=["f"])


@settings(max_examples=25)
@given(
    pairs=st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from("+-*/"), st.sampled_from(NAMES)).filter(
            lambda p: p[0] != p[2]
        ),
        min_size=1,
        max_size=3,
        unique=True,
    ),
    seed=st.integers(0, 99),
)
def test_a_model_of_combined_columns_says_the_same_in_the_original_ones(
    pairs: list[tuple[str, ...]], seed: int
) -> None:
    data = table()
    combined = combine(data, ["".join(pair) for pair in pairs])
    assert len(combined.data.feature_names) == combined.data.n_features
    model = KAN([combined.data.n_features, 2, 1], seed=seed, feature_names=combined.data.feature_names)
    model.set_scaling(combined.data.x_scale, combined.data.y_scale)
    with torch.no_grad():
        wanted = model(combined.data.x)
        whole = combined.model(model)
        assert whole.feature_names == NAMES
        assert torch.allclose(whole(data.x), wanted, rtol=1e-11, atol=1e-11)
        said = combined.formula(Formula.of(model))
        assert said.feature_names == NAMES
        assert torch.allclose(said.torch(data.x), wanted, rtol=1e-9, atol=1e-9)
        assert torch.allclose(Formula.of(whole).torch(data.x), wanted, rtol=1e-9, atol=1e-9)


def test_what_makes_the_combined_columns_is_not_trained_and_comes_back_from_a_file(tmp_path: Path) -> None:
    data = table()
    combined = combine(data, ["x/y", "m*t"])
    model = KAN([2, 1], seed=0, feature_names=combined.data.feature_names, target_names=["f"])
    model.set_scaling(combined.data.x_scale, combined.data.y_scale)
    whole = combined.model(model)
    assert whole.shape == [4, [0, [2, 2]], 1]
    assert whole.parameter_count() == model.parameter_count()
    save(whole, tmp_path / "model")
    again = load(tmp_path / "model")
    assert torch.equal(again(data.x), whole(data.x))
    before = whole.layer(0).symbolic_table()
    for trained in (refit(again, data), again):
        if trained is again:
            fit(trained, data, grids=(5,), steps=5)
        assert trained.layer(0).symbolic_table() == before
        assert not torch.equal(trained(data.x), whole(data.x))


@pytest.mark.parametrize("text", ["x/y", " x / y "])
def test_pairs_are_read(text: str) -> None:
    assert Pair.read(text, NAMES) == Pair("x", "/", "y")
    assert combine(table(), [text]).data.feature_names == ("m", "t", "x/y")


@pytest.mark.parametrize(
    ("pairs", "error", "words"),
    [
        ("x/y", OptionError, "is a list"),
        ([], OptionError, "needs pairs"),
        (["x/y", "x/y"], OptionError, "each once"),
        (["x/z"], OptionError, "no column 'z'"),
        (["x"], OptionError, "write x\\+y"),
        (["x/x"], OptionError, "write x\\+y"),
        (["x^y"], OptionError, "write x\\+y"),
    ],
)
def test_what_is_no_pair_is_one_sentence(pairs: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        combine(table(), pairs)
    assert is_one_sentence(str(caught.value))


def test_names_that_can_be_read_in_two_ways_are_refused() -> None:
    with pytest.raises(OptionError, match="2 ways"):
        Pair.read("a-b-c", ["a", "b-c", "a-b", "c"])
    x = table().x
    data = Dataset.from_arrays(x, x[:, 0], feature_names=["a", "b", "a/b", "d"])
    with pytest.raises(OptionError, match="rename"):
        combine(data, ["a/b"])


@pytest.mark.parametrize(("pair", "words"), [("a/b", "not finite in row 4"), ("a/c", "the same in every row")])
def test_combined_columns_without_values_are_refused(pair: str, words: str) -> None:
    a = torch.linspace(1, 2, 20, dtype=torch.float64)
    b = a.flip(0).clone()
    b[3] = 0
    data = Dataset.from_arrays(torch.stack([a, b, 2 * a], -1), a, feature_names=["a", "b", "c"])
    with pytest.raises(DataError, match=words) as caught:
        combine(data, [pair])
    assert is_one_sentence(str(caught.value))


def test_a_model_of_other_columns_is_refused() -> None:
    combined = combine(table(), ["x/y"])
    with pytest.raises(OptionError, match=r"combined\.data"):
        combined.model(KAN([4, 1], feature_names=NAMES))
    model = KAN([3, 1], feature_names=combined.data.feature_names)
    model.input_center.fill_(1.0)
    with pytest.raises(OptionError, match="zero of 'x/y'"):
        combined.model(model)


# -- in discover


@pytest.mark.usefixtures("counted_time")
def test_discover_with_combined_columns_says_its_formula_in_the_original_ones() -> None:
    data = table(noise=0.01)
    result = discover(data, DiscoverOptions(combine=("x/y",), time_limit=4.0))
    x, y = (sympy.Symbol(name, real=True) for name in ("x", "y"))
    assert result.formula is not None and result.data is data
    assert "no structure" in result.metrics["recommendation"]
    assert result.formula.expression.has(x / y) and result.formula.feature_names == NAMES
    assert result.metrics["features"] == list(NAMES) and "x/y" in result.metrics["formula"]
    assert result.formula.difference(result.model, data.x) < 1e-6 * data.target_std
    assert result.network.feature_names == NAMES and result.metrics["network_rmse"] < 0.1 * data.target_std
    ratio = data.x.clone()
    ratio[:, [0, 2]] *= 1.1
    with torch.no_grad():
        for model in (result.network, result.model):
            assert torch.allclose(model(ratio), model(data.x), rtol=1e-9)


@pytest.mark.usefixtures("counted_time")
def test_a_network_alone_may_have_combined_columns_too() -> None:
    data = table()
    result = discover(data, DiscoverOptions(combine=("x/y",), formula=False, time_limit=2.0))
    assert result.network.feature_names == NAMES and result.network.shape[1] == [2, [2]]


@pytest.mark.usefixtures("counted_time")
def test_columns_that_enter_linearly_do_so_in_the_law_and_in_the_network() -> None:
    data = table(lambda x, m, y, t: m * torch.exp(-x) + torch.sin(y), noise=0.02)
    result = discover(data, DiscoverOptions(linear=("m",), time_limit=3.0))
    assert result.formula is not None
    m = sympy.Symbol("m", real=True)
    assert all(sympy.expand(one.formula.expression.diff(m, 2)) == 0 for one in result.findings)
    table_of = result.network.layer(0).symbolic_table()
    lines = [table_of[i, o][0] for _, i, o in result.network.active_edges() if _ == 0 and i == 1]
    assert lines and set(lines) == {"x"}


@pytest.mark.usefixtures("counted_time")
def test_laws_are_made_of_the_functions_that_are_allowed() -> None:
    data = table(lambda x, m, y, t: torch.exp(x) * m + 0 * y, noise=0.0)
    assert sympy.exp in {f.func for f in find_laws(data, time_limit=LIMIT).best.expression.atoms(sympy.Function)}  # type: ignore[union-attr]
    found = find_laws(data, time_limit=6, functions=["x^2", "x^3"])
    assert found.laws
    for law in found.laws:
        assert not law.expression.atoms(sympy.Function)
        powers = {p.exp for p in law.expression.atoms(sympy.Pow) if p.free_symbols}
        assert powers <= {2, 3}


@pytest.mark.usefixtures("counted_time")
@pytest.mark.parametrize("asked", [{"linear": ("m",)}, {"functions": ("x^2", "sin")}])
def test_formulas_that_are_read_from_networks_keep_to_what_is_asked_for_too(asked: dict[str, Any]) -> None:
    data = table(lambda x, m, y, t: torch.exp(x + m) + 0 * y)
    free = discover(data, DiscoverOptions(shape=(1, 1), time_limit=LIMIT))
    assert free.formula is not None and free.formula.expression.has(sympy.exp)
    held = discover(data, DiscoverOptions(shape=(1, 1), time_limit=4.0, **asked))
    assert all(not one.formula.expression.has(sympy.exp) for one in held.findings)


@pytest.mark.usefixtures("counted_time")
def test_discover_keeps_to_the_functions_that_are_allowed() -> None:
    data = table(lambda x, m, y, t: torch.exp(0.5 * x) + m**2, noise=0.02)
    result = discover(data, DiscoverOptions(functions=("x^2",), time_limit=4.0))
    assert all(not one.formula.expression.atoms(sympy.exp, sympy.sin, sympy.log) for one in result.findings)


@pytest.mark.parametrize(
    "options",
    [
        {"linear": ("z",)},
        {"linear": "m"},
        {"combine": "x/y"},
        {"combine": ("x/z",)},
        {"combine": ("x/y",), "linear": ("x",)},
        {"functions": ("sine",)},
        {"functions": ()},
    ],
)
def test_mistakes_in_what_is_asked_for_are_one_sentence(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError) as caught:
        discover(table(), DiscoverOptions(**options))
    assert is_one_sentence(str(caught.value))
    if "linear" in options and "combine" not in options and options["linear"] != "m":
        with pytest.raises(OptionError):
            find_laws(table(), linear=options["linear"])
