"""What is known of the target beforehand, and the formulas that contradict it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict

import pytest
import sympy
import torch
from torch import Tensor

from helpers import is_one_sentence
from superpose import DiscoverOptions, Knowledge, OptionError, discover
from superpose.cli import knowledge_options
from superpose.data import Dataset
from superpose.formulas import Finding, fit_formula
from superpose.tasks.regression import FormOptions, findings, judge_forms
from superpose.tasks.regression.choice import choose
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.knowledge import KnowledgeFilter
from superpose.tasks.regression.networks import Networks
from superpose.tasks.regression.reference import fit_reference
from superpose.tasks.regression.search import _searched
from superpose.tasks.regression.structure import Structure
from superpose.tasks.regression.textbook import NamedLaws

pytestmark = pytest.mark.usefixtures("few_compositions")

DOUBLE = torch.float64


def table(low: float = 0.5, *, noise: float = 0.1) -> Dataset:
    """Two columns, of which the first gives the target: a root, and noise."""
    generator = torch.Generator().manual_seed(0)
    x = torch.stack([torch.linspace(low, 4, 20, dtype=DOUBLE), torch.rand(20, generator=generator, dtype=DOUBLE)], -1)
    y = x[:, 0].abs().sqrt() + noise * torch.randn(20, generator=generator, dtype=DOUBLE)
    return Dataset.from_arrays(x, y, feature_names=("x", "z"), target_names=("y",), validation=0.0, test=0.0)


def says(knowledge: Knowledge, function: Callable[[Tensor, Tensor], Tensor], low: float = 0.5) -> str:
    data = table(low)
    return knowledge.checked(data.feature_names).contradiction(lambda rows: function(rows[:, 0], rows[:, 1]), data)


@pytest.mark.parametrize(
    ("knowledge", "right", "wrong", "why"),
    [
        (Knowledge(increasing=("x",)), lambda x, z: x + z.sin(), lambda x, z: x * (z - 0.5), "not increasing in x"),
        # It turns only beyond the rows, within the margin.
        (
            Knowledge(increasing=("x",)),
            lambda x, z: -((x - 4.5) ** 2),
            lambda x, z: -((x - 4.1) ** 2),
            "increasing in x",
        ),
        (Knowledge(decreasing=("z",)), lambda x, z: x - z, lambda x, z: x + 0.01 * z, "not decreasing in z"),
        (Knowledge(even=("x",)), lambda x, z: x**2 + z, lambda x, z: x**2 + 0.01 * x, "not even in x"),
        (Knowledge(odd=("x",)), lambda x, z: x * z, lambda x, z: x * z + 0.01, "not odd in x"),
        (Knowledge(even=("x",)), lambda x, z: x.abs().sqrt(), lambda x, z: x.sqrt(), "not even in x"),
        (
            Knowledge(values=(({"x": 0.0}, 1.0),)),
            lambda x, z: x * z + 1,
            lambda x, z: x * z + z,
            "and not 1 at x = 0",
        ),
        # Without a value at the point itself, that beside it counts.
        (
            Knowledge(values=(({"x": 0.0, "z": 1.0}, 0.0),)),
            lambda x, z: z * x * x.log(),
            lambda x, z: z + x * x.log(),
            "is 1 and not 0 at x = 0 and z = 1",
        ),
        (Knowledge(lower=0.0), lambda x, z: x * z, lambda x, z: x - 0.6, "below 0"),
        (Knowledge(upper=4.0), lambda x, z: 4 * x.tanh(), lambda x, z: x, "above 4"),
    ],
)
def test_a_function_that_contradicts_a_statement_is_told_from_one_that_does_not(
    knowledge: Knowledge,
    right: Callable[[Tensor, Tensor], Tensor],
    wrong: Callable[[Tensor, Tensor], Tensor],
    why: str,
) -> None:
    assert says(knowledge, right) == ""
    assert why in says(knowledge, wrong)
    assert says(Knowledge(), wrong) == ""


def test_a_column_keeps_its_sign_beyond_the_rows() -> None:
    # A logarithm that has no value below zero is no contradiction, nor is a slope there.
    for low in (0.0, 0.01):
        assert says(Knowledge(increasing=("x",)), lambda x, z: torch.where(x >= 0, x, 10.0), low) == ""
    assert says(Knowledge(increasing=("x",)), lambda x, z: torch.where(x >= -0.2, x, 10.0), -0.1) != ""


@pytest.mark.parametrize(
    ("knowledge", "names"),
    [
        (Knowledge(increasing=("w",)), "'w'"),
        (Knowledge(odd=("X",)), "did you mean 'x'"),
        (Knowledge(even="x"), "write even=('x',)"),  # type: ignore[arg-type]
        (Knowledge(increasing=("x",), decreasing=("x",)), "increasing and decreasing in 'x'"),
        (Knowledge(even=("x",), odd=("x",)), "even and odd"),
        (Knowledge(lower=1.0, upper=1.0), "lower must be less"),
        (Knowledge(upper=math.nan), "upper must be a number"),
        (Knowledge(values=(({"w": 0.0}, 0.0),)), "'w'"),
        (Knowledge(values=(({}, 0.0),)), "one at least"),
        (Knowledge(values=(({"x": math.inf}, 0.0),)), "'x'"),
        (Knowledge(values=(({"x": 0.0}, -1.0),), lower=0.0), "-1 at x = 0"),
        (Knowledge(values=(("x", 0.0),)), "pairs of a point and a value"),
        (Knowledge(values=(0.0,)), "pairs of a point and a value"),  # type: ignore[arg-type]
    ],
)
def test_statements_that_make_no_sense_are_one_sentence(knowledge: Knowledge, names: str) -> None:
    with pytest.raises(OptionError) as caught:
        DiscoverOptions(knowledge=knowledge).checked(table())
    assert names in str(caught.value) and is_one_sentence(str(caught.value).capitalize() + ".")


def test_points_are_mappings_or_pairs() -> None:
    made = [Knowledge(values=((point, 2.0),)).checked(["x"]) for point in ({"x": 1}, (("x", 1.0),))]
    assert made[0] == made[1] and asdict(made[0])["values"] == (((("x", 1.0),), 2.0),)
    assert made[0].columns == {"x"} and not made[0].empty and Knowledge().empty


def found(context: Context, form: str) -> Finding:
    finding = findings.from_expressions(context, [fit_formula(context.data, form).formula.expression], {})
    assert finding is not None
    return finding


def run_of(knowledge: Knowledge, data: Dataset) -> Context:
    return Context.start(data, DiscoverOptions(knowledge=knowledge).checked(data), lambda event: None)


def test_the_account_names_what_was_left_out() -> None:
    data = table()
    run = run_of(Knowledge(values=(({"x": 0.0}, 0.0),), lower=0.0), data)
    power, line, logarithm = (found(run, form) for form in ("p*x^q", "p + q*x", "p + q*log(x)"))
    known = KnowledgeFilter(run.options.knowledge, data, lambda finding: finding)
    assert known.kept([power, line, logarithm]) == [power] == known.kept([power, line])
    (facts,) = known.facts().values()
    assert facts["known"] == ["0 at x = 0", "at least 0"] and len(facts["left_out"]) == 2
    assert str(line.formula) == facts["left_out"][0]["formula"] and "at x = 0" in facts["left_out"][0]["why"]
    assert "2 formulas were left out" in facts["sentence"] and is_one_sentence(facts["sentence"].capitalize() + ".")
    assert KnowledgeFilter(Knowledge(), data, lambda finding: finding).facts() == {}


def test_what_is_known_outweighs_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    data = table(noise=0.3)
    run = run_of(Knowledge(values=(({"x": 0.0}, 0.0),)), data)
    reference = fit_reference(run)
    assert reference is not None
    monkeypatch.setattr("superpose.tasks.regression.choice.comes_near", lambda *run, **options: False)
    power = found(run, "p*x^q")
    for bound, place in ((True, None), (False, 0)):
        choice = choose(run, Structure(), Networks(found=[power]), reference, [], bound=bound)
        assert choice.place == place
    # One that does not even predict better than the mean is no answer.
    far = findings.from_expressions(run, [sympy.Float(9.5) * run_symbol("x") ** 2], {})
    assert far is not None
    assert choose(run, Structure(), Networks(found=[far]), reference, [], bound=False).place is None


def run_symbol(name: str) -> sympy.Symbol:
    return sympy.Symbol(name, real=True)


@pytest.mark.parametrize("rising", [True, False])
def test_laws_that_contradict_are_not_recommended(monkeypatch: pytest.MonkeyPatch, rising: bool) -> None:
    data = table()
    run = run_of(Knowledge(increasing=("x",)) if rising else Knowledge(decreasing=("x",)), data)
    law, other = found(run, "p + q*log(x)"), found(run, "p + q/x")
    where = "superpose.tasks.regression.search."
    monkeypatch.setattr(where + "search_structure", lambda run: Structure((), (law, other), law))
    monkeypatch.setattr(where + "textbook_laws", lambda run, reference: NamedLaws())
    monkeypatch.setattr(where + "lines_of", lambda run, reference: [])
    monkeypatch.setattr(where + "search_networks", lambda run, structure, error: Networks(found=list(structure.found)))
    known = KnowledgeFilter(run.options.knowledge, data, lambda finding: finding)
    searched = _searched(run, known)
    # Where every formula contradicts it, all stand and the answer says so.
    assert searched.state.found == [law, other] and known.unmatched is not rising
    assert searched.structure.complete is rising
    assert ("every formula that was found contradicts it" in known.sentence()) is not rising


def test_a_form_and_a_network_that_contradict_are_warned_of() -> None:
    data = table()
    options = DiscoverOptions(knowledge=Knowledge(decreasing=("x",)), time_limit=30.0)
    result = judge_forms(data, FormOptions(["p*x^q"], search=False), options)
    assert any("the form contradicts what is known" in sentence for sentence in result.metrics["warnings"])
    exact = Dataset.from_arrays(data.x, data.x[:, 0] * 2, feature_names=("x", "z"), validation=0.0, test=0.0)
    small = DiscoverOptions(knowledge=Knowledge(decreasing=("x",)), time_limit=5.0, formula=False)
    alone = discover(exact, small)
    assert any("the network contradicts what is known" in sentence for sentence in alone.metrics["warnings"])
    assert alone.metrics["knowledge"]["known"] == ["decreasing in x"]


def test_options_of_the_command_line() -> None:
    columns = {"increasing": ["a,b"], "decreasing": None, "even": ['"c,d"'], "odd": None}
    made = knowledge_options.knowledge(columns, ["a=0: -1e3", "a = 1, `b` = 2 : 3"], "-2", None)
    assert made == {
        "increasing": ("a", "b"),
        "even": ("c,d",),
        "values": (((("a", 0.0),), -1000.0), ((("a", 1.0), ("`b`", 2.0)), 3.0)),
        "lower": -2.0,
    }
    assert knowledge_options.knowledge({}, None, None, None) == {}
    for at in ("", "0", "a=0", "a=0:", "a=x: 1", ": 1", "a: 1", "a=0, b: 1", "a=nan: 1"):
        with pytest.raises(OptionError, match="--at"):
            knowledge_options.value(at)
    with pytest.raises(OptionError, match="--upper"):
        knowledge_options.knowledge({}, None, None, "high")
