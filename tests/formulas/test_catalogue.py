"""Textbook laws: the catalogue is consistent, laws are recognised in small tables, and none in noise."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch

from benchmarks.textbook_laws import made, page
from helpers import ROOT
from superpose.data import Dataset
from superpose.deadline import Deadline
from superpose.formulas import TextbookLaw, parse_form, recognise
from superpose.formulas.catalogue.all import LAWS
from superpose.formulas.catalogue.trial import not_told_from


def law(name: str) -> TextbookLaw:
    return next(one for one in LAWS if one.name == name)


@pytest.mark.parametrize("one", LAWS, ids=lambda one: one.name)
def test_a_law_has_a_meaning_for_each_name_of_its_form_and_values_in_its_usual_ranges(one: TextbookLaw) -> None:
    form = parse_form(one.form, list(one.columns))
    assert set(form.constants) == set(one.constants)
    assert set(form.used()) == set(one.columns)
    assert re.search(r"1[5-9]\d\d|20\d\d", one.source)
    for constant in one.constants.values():
        assert constant.limits[0] <= constant.low < constant.high <= constant.limits[1]
    assert bool(made(one, 0).y.isfinite().all())


def test_no_two_laws_have_one_name_or_one_form() -> None:
    assert len({one.name for one in LAWS}) == len(LAWS)
    # The values at the middles of all ranges, with columns renamed by their order.
    seen = {}
    for one in LAWS:
        form = parse_form(one.form, list(one.columns))
        columns = [torch.tensor([0.3, 0.7, 0.9], dtype=torch.float64) + 0.1 * n for n in range(len(one.columns))]
        # Laws with as many constants and the same function of constants 1.1, 1.2, ... would be one form written alike.
        constants = torch.tensor([[1.1 + 0.1 * n for n in range(len(form.constants))]], dtype=torch.float64)
        values = tuple(round(v, 9) for v in form.values(columns, constants)[0].tolist())
        key = (len(form.constants), values)
        assert key not in seen or any(math.isnan(v) for v in values), (one.name, seen.get(key))
        seen[key] = one.name


@pytest.mark.parametrize("name", ["Gaussian peak", "competitive inhibition"])
def test_a_law_comes_first_in_a_table_made_of_it(name: str) -> None:
    data = made(law(name), 0)
    found = recognise(data)
    assert found[0].law.name == name
    assert all(one.standard_error > 0 for one in found[0].fit.constants.values())


def test_columns_take_their_roles_in_any_order() -> None:
    data = made(law("ideal gas"), 0)
    turned = Dataset.from_arrays(
        data.features(data.train).flip(1), data.y[data.train], feature_names=["volume", "kelvin"], test=0.0
    )
    assert recognise(turned)[0].columns == {"T": "kelvin", "V": "volume"}


def test_noise_follows_no_law() -> None:
    random = np.random.default_rng(0)
    assert recognise(Dataset.from_arrays(random.uniform(1, 5, (20, 1)), random.normal(size=20), test=0.0)) == []


def test_after_the_deadline_no_further_law_is_tried() -> None:
    data = made(law("Gaussian peak"), 0)
    assert not any(one.law.name == "Gaussian peak" for one in recognise(data, deadline=Deadline(0.0)))


def test_the_answer_is_the_same_under_any_generous_deadline() -> None:
    data = made(law("Gaussian peak"), 0)
    first, again = (
        recognise(data, laws=(*LAWS[::12], law("Gaussian peak")), deadline=Deadline(limit)) for limit in (1e3, 1e6)
    )
    assert first[0].law.name == "Gaussian peak"
    assert [(one.law.name, one.length) for one in first] == [(one.law.name, one.length) for one in again]


def test_another_name_for_the_same_curve_is_listed_and_a_worse_law_is_not() -> None:
    x = np.linspace(0.3, 9, 15)
    y = 5 * (np.exp(-0.3 * x) - np.exp(-1.4 * x)) + 0.01 * np.random.default_rng(2).normal(size=15)
    names = ("intermediate of two reactions", "Platt with photoinhibition", "gamma variate", "alpha function")
    found = recognise(Dataset.from_arrays(x[:, None], y, test=0.0), laws=[law(name) for name in names])
    others = [one.law.name for one in not_told_from(found[0], found)]
    assert {found[0].law.name, *others} == set(names[:2])


def test_a_row_on_which_a_constant_rests_alone_does_not_speak_against_a_law() -> None:
    one = law("decay of n-th order")
    data = made(one, 7)
    found = recognise(data, laws=[one])
    # Without the first row the initial value is unknown.
    assert found[0].fit.leave_one_out > float(data.y.std())
    assert found[0].supported


def test_what_leaves_structure_between_neighbours_or_explains_little_has_no_name() -> None:
    x, random = np.linspace(1, 10, 30), np.random.default_rng(0)

    def supported(y: np.ndarray) -> bool:
        found = recognise(Dataset.from_arrays(x[:, None], y, test=0.0), laws=[law("straight line")])
        assert len(found) == 1
        return found[0].supported

    assert supported(x + 0.5 * random.normal(size=30))
    assert not supported(x + 0.7 * np.sin(2 * x))
    assert not supported(x + 2.5 * random.normal(size=30))


def test_the_page_lists_the_laws() -> None:
    assert (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8") == page()


def test_one_constant_may_differ_between_two_groups_of_rows() -> None:
    conc = np.tile([0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.1, 1.6], 2)
    treated = np.repeat([0.0, 1.0], 8)
    rate = (150 + 60 * treated) * conc / (0.1 + conc) + 2 * np.random.default_rng(0).normal(size=16)
    data = Dataset.from_arrays(
        np.stack([conc, treated], 1), rate, feature_names=["conc", "treated"], target_names=["rate"], test=0.0
    )
    best = recognise(data)[0]
    assert best.law.name == "Michaelis-Menten, V different in two groups"
    assert best.columns == {"S": "conc", "group": "treated"}
    fit = best.fit.constants["difference"]
    assert abs(fit.value - 60) < 4 * fit.standard_error
