"""discover: from a table to the formula, small tables in short searches."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sympy
import torch
from torch import Tensor

from helpers import is_one_sentence
from superpose.data import Dataset
from superpose.deadline import Deadline
from superpose.errors import OptionError
from superpose.formulas import Formula
from superpose.nn import KAN
from superpose.stopping import StopReason
from superpose.tasks.regression import DiscoverOptions, Observer, Result, discover, findings, metrics
from superpose.tasks.regression.context import Context
from superpose.train import Record, fit

pytestmark = pytest.mark.usefixtures("few_compositions")

DOUBLE = torch.float64
NAMES = ("x", "y", "u", "v")
# Long enough for the busiest machine: these searches end when they have found what there is.
LIMIT = 300.0


def table(
    function: Callable[..., Tensor],
    *,
    count: int = 300,
    columns: int = 2,
    low: float = -1.0,
    high: float = 1.0,
    noise: float = 0.0,
    seed: int = 0,
    targets: tuple[str, ...] = ("f",),
) -> Dataset:
    generator = torch.Generator().manual_seed(seed)
    x = low + (high - low) * torch.rand(count, columns, generator=generator, dtype=DOUBLE)
    y = function(*x.unbind(-1))
    y = y + noise * y.std(0) * torch.randn(y.shape, generator=generator, dtype=DOUBLE)
    shares = {"validation": 0.15, "test": 0.15}
    return Dataset.from_arrays(x, y, feature_names=NAMES[:columns], target_names=targets, seed=seed, **shares)


def hello(x: Tensor, y: Tensor) -> Tensor:
    return torch.exp(torch.sin(math.pi * x) + y**2)


def found(data: Dataset, **options: Any) -> Result:
    result = discover(data, DiscoverOptions(time_limit=LIMIT, **options))
    assert result.formula is not None
    return result


def equals(result: Result, function: Callable[..., Tensor], low: float = -1.0, high: float = 1.0) -> None:
    """The formula is the truth, on points that nobody has seen."""
    assert result.formula is not None
    count = len(result.formula.symbols)
    generator = torch.Generator().manual_seed(99)
    fresh = low + (high - low) * torch.rand(500, count, generator=generator, dtype=DOUBLE)
    wanted = function(*fresh.unbind(-1))
    size = float(wanted.abs().max())
    assert float((result.formula.torch(fresh)[:, 0] - wanted).abs().max()) < 1e-6 * size, str(result.formula)
    with torch.no_grad():
        # The symbolic network that is saved says the same.
        assert float((result.model(fresh)[:, 0] - wanted).abs().max()) < 1e-6 * size


CASES: dict[str, tuple[Callable[..., Tensor], dict[str, Any], tuple[int, ...] | str]] = {
    "sin(3*x) + y**2/2": (lambda x, y: torch.sin(3 * x) + 0.5 * y**2, {}, "auto"),
    "exp(y**2 + sin(pi*x))": (hello, {"count": 400}, (1, 1)),
    "x*y": (lambda x, y: x * y, {}, (2, 1)),
    "x/y": (lambda x, y: x / y, {"low": 0.5, "high": 2.0}, (1, 1)),
}


@pytest.mark.parametrize("text", CASES)
def test_exact_tables_give_their_formula(text: str) -> None:
    function, made, shape = CASES[text]
    result = found(table(function, **made), shape=shape)
    assert result.formula is not None
    equals(result, function, made.get("low", -1.0), made.get("high", 1.0))
    # Not numerically the same only: the form itself.
    x, y = sympy.symbols("x y", real=True)
    truth = {
        "sin(3*x) + y**2/2": sympy.sin(3 * x) + y**2 / 2,
        "exp(y**2 + sin(pi*x))": sympy.exp(y**2 + sympy.sin(sympy.pi * x)),
        "x*y": x * y,
        "x/y": x / y,
    }[text]
    assert sympy.simplify(result.formula.expression - truth) == 0, str(result.formula)
    check_metrics(result)


def check_metrics(result: Result) -> None:
    metrics = json.loads(json.dumps(result.metrics, allow_nan=False))
    assert metrics["formula"] == str(result.formula)
    assert metrics["shape"] == result.model.widths and metrics["network_shape"] == result.network.widths
    assert result.formula is not None
    assert metrics["formula_rmse"] == pytest.approx(result.formula.rmse(result.data), rel=1e-9)
    x, y = result.data.rows("test")
    with torch.no_grad():
        assert metrics["network_rmse"] == pytest.approx(float((result.network(x) - y).square().mean().sqrt()), rel=1e-9)
    assert metrics["target_std"] == pytest.approx(float(y[:, 0].std(correction=0)), rel=0.1)
    assert not metrics["interrupted"] and metrics["reason"] and metrics["training"]
    assert result.stop == metrics["stop"] and result.stop not in (StopReason.NOT_RUN, StopReason.INTERRUPTED)
    assert metrics["rows"] == {
        "train": len(result.data.train),
        "validation": len(result.data.validation),
        "test": len(y),
    }
    assert not result.network.layer(0).symbolic_table()


def test_noise_leaves_the_form_and_the_constants_alone() -> None:
    result = found(table(hello, count=1000, noise=0.01), shape=(1, 1))
    assert result.formula is not None
    x, y = result.formula.symbols
    a, b, c, d = (sympy.Wild(name, exclude=[x, y]) for name in "abcd")
    constants = result.formula.expression.match(a * sympy.exp(b * y**2 + c * sympy.sin(d * x)))
    assert constants is not None, str(result.formula)
    for name, wanted in ((a, 1.0), (b, 1.0), (c, 1.0), (d, math.pi)):
        assert float(constants[name]) == pytest.approx(wanted, rel=0.02)


def test_columns_that_do_not_matter_do_not_appear() -> None:
    result = found(table(lambda x, y, u, v: 0.5 * x + y**2, columns=4))
    assert result.formula is not None
    assert str(result.formula) == "x/2 + y**2"
    assert {str(symbol) for symbol in result.formula.expression.free_symbols} == {"x", "y"}
    assert "u" not in str(result.formula) and "v" not in str(result.formula)


def test_several_targets_get_a_formula_each() -> None:
    data = table(lambda x, y: torch.stack([x + y**2, torch.sin(3 * x)], -1), targets=("first", "second"))
    result = found(data, shape=(2,))
    assert str(result.formula) == "first = x + y**2\nsecond = sin(3*x)"
    assert result.metrics["target"] == ["first", "second"]


def test_noise_alone_gives_a_result_that_claims_nothing() -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(120, 2, generator=generator, dtype=DOUBLE)
    data = Dataset.from_arrays(x, torch.randn(120, 1, generator=generator, dtype=DOUBLE))
    result = discover(data, DiscoverOptions(shape=(1,), time_limit=6.0))
    json.dumps(result.metrics, allow_nan=False)
    assert math.isfinite(result.metrics["network_rmse"])
    if result.formula is not None:
        # No better than the mean, on rows that were held out, than luck allows.
        assert result.metrics["formula_rmse"] > 0.5 * result.metrics["target_std"]


def test_without_formula_there_is_a_network_only() -> None:
    data = table(lambda x, y: torch.sin(3 * x) + y)
    result = found_network(data, formula=False, shape=(1,), grid_size=12)
    assert result.formula is None and result.symbolic is None and result.model is result.network
    assert result.network.layer(0).grid_size == 12
    assert result.metrics["formula"] is None and result.metrics["network_rmse"] < 1e-2
    other = found_network(data, formula=False, shape=(1,), optimizer="lbfgs", degree=2)
    assert other.network.layer(0).degree == 2 and other.history.optimizer == "lbfgs"


def found_network(data: Dataset, **options: Any) -> Result:
    return discover(data, DiscoverOptions(time_limit=LIMIT, **options))


def test_searches_repeat_from_their_seed_and_touch_nothing(untouched_globals: None) -> None:
    data = table(lambda x, y: torch.exp(x) - y, count=80)
    results = [found(data, shape=(1,), seed=4) for _ in range(2)]
    assert str(results[0].formula) == str(results[1].formula)
    states = [result.network.state_dict() for result in results]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


# -- ways to stop


def test_a_formula_is_simplified_within_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def of(model: KAN, data: Dataset, *, time_limit: float, **more: Any) -> Formula:
        limits.append(time_limit)
        return Formula.from_expressions([sympy.Symbol("x1", real=True)], data)

    monkeypatch.setattr(Formula, "of", of)
    monkeypatch.setattr(findings, "symbolify", lambda model, *args, **options: model)
    x = torch.rand(200, 2, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    context = context_of(Dataset.from_arrays(x, x[:, 0] * x[:, 1]))
    # The search is over, and there are four seconds to the end.
    context = replace(context, search=Deadline(0.0), deadline=Deadline(4.0))
    findings.from_network(context, KAN([2, 1]), 0.1)
    assert len(limits) == 1 and limits[0] <= 4


@pytest.mark.usefixtures("counted_time")
def test_the_time_limit_ends_a_search_that_finds_nothing() -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(100, 3, generator=generator, dtype=DOUBLE)
    data = Dataset.from_arrays(x, torch.cos(40 * x.prod(1)) + torch.sign(torch.sin(30 * x[:, 0])))
    result = discover(data, DiscoverOptions(time_limit=8.0))
    assert result.metrics["reason"] == "the time was over" and result.stop is StopReason.TIME_LIMIT
    # On this clock: the limit, and a little for what must be written out.
    assert result.metrics["seconds"] < 10.0
    assert math.isfinite(result.metrics["network_rmse"])


@pytest.mark.parametrize("event", [1, 2])
def test_an_interruption_gives_the_best_so_far(event: int) -> None:
    heard: list[str] = []

    def listener(sentence: str) -> None:
        heard.append(sentence)
        if len(heard) == event:
            raise KeyboardInterrupt

    data = table(hello, count=200, noise=0.1)
    result = discover(data, DiscoverOptions(time_limit=LIMIT, shape=(1,)), listener=listener)
    assert result.metrics["interrupted"] and "interrupted" in result.metrics["reason"]
    assert result.stop is StopReason.INTERRUPTED
    assert len(heard) == event and all(is_one_sentence(sentence) for sentence in heard)
    assert (result.formula is not None) == (event == 2)
    assert math.isfinite(result.metrics["network_rmse"])
    json.dumps(result.metrics, allow_nan=False)


def context_of(data: Dataset, heard: list[str] | None = None) -> Context:
    return Context.start(data, DiscoverOptions(time_limit=LIMIT), [].append if heard is None else heard.append)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_formula_without_a_value_on_some_row_is_not_kept(split: str) -> None:
    data = table(lambda x, y: x + y)
    place = int(getattr(data, split)[0])
    # The least of the column: to its left the logarithm has no value.
    data.x[place, 0] = -5.0
    heard: list[str] = []
    context, (x, y) = context_of(data, heard), sympy.symbols("x y", real=True)
    assert findings.from_expressions(context, [x + y / 2], {}) is not None
    for bad in (sympy.log(x + 4), 1 / (x + 5), sympy.sqrt(x + 4) + y):
        assert findings.from_expressions(context, [bad], {}) is None
    assert len(heard) == 3 and "no finite value on 1 row of the table" in heard[-1]
    assert all(is_one_sentence(sentence) for sentence in heard)


def test_a_law_without_a_value_on_a_test_row_is_not_recommended() -> None:
    # Exact on all rows that are fitted, and with no value on one that is held out.
    data = table(lambda x, y: torch.log(x + 2) + y)
    data.x[data.test[0], 0] = -3.0
    result = discover(data, DiscoverOptions(time_limit=8.0))
    json.dumps(result.metrics, allow_nan=False)
    assert math.isfinite(result.metrics["network_rmse"])
    for one in result.findings:
        assert bool(one.formula.torch(data.x).isfinite().all())
    if result.formula is not None:
        assert math.isfinite(result.metrics["formula_rmse"])


@pytest.mark.parametrize("base", ["silu", "none"])
def test_a_formula_of_splines_says_what_its_model_says(base: str) -> None:
    # Steps that no symbol gives; the simplified formula has other constants than any network of its shape.
    data = table(lambda x, y: torch.sign(x - 0.3) * (1 + y) + 0.1 * y**2)
    model = KAN([2, 2, 1], base=base, seed=0, feature_names=data.feature_names, target_names=data.target_names)
    fit(model, data, grids=(5,), steps=20, progress=False)
    context = context_of(data)
    read = Formula.of(model)
    changed = [one.xreplace({number: 1.05 * number for number in one.atoms(sympy.Float)}) for one in read.expressions]
    finding = findings.admitted(context, Formula.from_expressions(changed, data, read.splines), model)
    assert finding is not None and finding.formula.splines
    chosen = findings.matched(context, finding)
    spread = float(data.y.std())
    assert chosen.formula.difference(chosen.model, data.x) < 1e-8 * spread
    front = metrics.of_formulas(data, [chosen], chosen, complete=False)
    assert [row["recommended"] for row in front["front"]] == [True]
    assert front["front"][0]["formula"] == str(chosen.formula)
    assert "no closed formula" in front["recommendation"]


def test_an_interruption_before_anything_was_found_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("superpose.tasks.regression.networks.fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        discover(table(hello), DiscoverOptions(shape=(1,)))


def test_the_formula_is_announced_before_the_network_beside_it_is_trained() -> None:
    events: list[Any] = []
    data = table(lambda x, y: x + y**2)
    result = discover(data, DiscoverOptions(time_limit=LIMIT), listener=events.append, on_formula=events.append)
    place = events.index(result.formula)
    assert [event for event in events if isinstance(event, Formula)] == [result.formula]
    assert not any(str(event).startswith("network") for event in events[:place])
    assert any(str(event).startswith("network") for event in events[place:])


# -- wrong options


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"shape": (5, 2)}, "must end with 1"),
        ({"shape": ()}, "must end with 1"),
        ({"shape": (0, 1)}, "positive widths"),
        ({"shape": (-3, 1)}, "positive widths"),
        ({"shape": "big"}, "shape"),
        ({"shape": 5}, "shape"),
        ({"shape": (2.5, 1)}, "whole numbers"),
        ({"optimizer": "adam"}, "optimizer must be one of lm, lbfgs, adamw"),
        ({"time_limit": 0}, "time_limit must be a positive finite number"),
        ({"time_limit": math.nan}, "time_limit must be"),
        ({"time_limit": "long"}, "time_limit must be"),
        ({"grid_size": 0}, "grid_size must be"),
        ({"grid_size": 2.5}, "grid_size must be"),
        ({"degree": 9}, "degree must be"),
        ({"degree": "3"}, "degree must be"),
        ({"formula": False, "parameters": 0}, "parameters must be"),
        ({"parameters": 50}, "parameters limits the search for a network"),
        ({"formula": False, "parameters": 50, "shape": (2, 1)}, "no shape"),
        ({"seed": "x"}, "seed"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_options_are_one_sentence(options: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError) as caught:
        discover(table(hello, count=40), DiscoverOptions(**options))
    assert named in str(caught.value) and is_one_sentence(str(caught.value))


@pytest.mark.usefixtures("counted_time")
def test_without_a_formula_the_shape_is_searched_for_within_a_number_of_constants() -> None:
    generator = torch.Generator().manual_seed(3)
    x = 2 * torch.rand(200, 2, generator=generator, dtype=DOUBLE) - 1
    data = Dataset.from_arrays(x, x.prod(1))
    result = discover(data, DiscoverOptions(formula=False, parameters=100, time_limit=30.0))
    assert result.formula is None and result.symbolic is None and result.model is result.network
    assert result.model.parameter_count() <= 100 and result.metrics["network_rmse"] < 0.05
    front = result.metrics["front"]
    assert front and all(one["parameters"] <= 100 for one in front)
    assert [one["parameters"] for one in front] == sorted(one["parameters"] for one in front)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [([[0, [2]], 1], [2, [0, [2]], 1]), (((1, (2,)), 1), [2, [1, [2]], 1]), (((0, (2,)),), [2, [0, [2]]])],
)
def test_a_shape_may_have_products(shape: Any, wanted: list[Any]) -> None:
    data = table(lambda x, y: (x + 0.5) * torch.exp(y))
    result = found_network(data, formula=False, shape=shape)
    assert result.network.shape == wanted
    assert result.metrics["network_rmse"] < 1e-4 * data.target_std


@pytest.mark.parametrize("shape", [((1, (2,)),), ((0, ()), 1), ("p2", 1), (((1, (0,)),), 1), (2, (0, (2, 2)))])
def test_a_shape_that_cannot_be_is_one_sentence(shape: Any) -> None:
    with pytest.raises(OptionError, match="must end with 1") as caught:
        discover(table(hello), DiscoverOptions(shape=shape))
    assert is_one_sentence(str(caught.value))


def test_an_observer_sees_the_formulas_and_the_training_steps() -> None:
    formulas, widths, losses = [], set(), []

    def step(model: KAN, record: Record) -> None:
        widths.add(tuple(model.widths))
        losses.append(record.train_loss)

    seen = Observer(finding=lambda one: formulas.append(str(one.formula)), step=step)
    data = table(hello, count=400)
    result = discover(data, DiscoverOptions(shape=(1, 1), time_limit=LIMIT), observer=seen)
    assert str(result.formula) in formulas and (2, 1, 1) in widths and min(losses) < losses[0]
