"""The law that a run recommends is named, with its constants; where there is none, none is."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from helpers import CountingClock
from superpose import DiscoverOptions, discover
from superpose.data import Dataset
from superpose.formulas import recognise
from superpose.formulas.catalogue.all import LAWS
from superpose.tasks.regression.textbook import NamedLaw, NamedLaws, law_facts, law_of

pytestmark = pytest.mark.usefixtures("few_compositions")

CONC = [0.02, 0.06, 0.11, 0.22, 0.56, 1.1, 0.02, 0.06, 0.11, 0.22, 0.56, 1.1]
RATE = [76.0, 97.0, 123.0, 159.0, 191.0, 207.0, 47.0, 107.0, 139.0, 152.0, 201.0, 200.0]


def test_michaelis_menten_is_named_with_its_constants(counted_work: None) -> None:
    data = Dataset.from_arrays([[c] for c in CONC], RATE, feature_names=["conc"], target_names=["rate"], test=0.0)
    result = discover(data, DiscoverOptions(time_limit=60))
    law = result.metrics["law"]
    assert law["name"] == "Michaelis-Menten"
    assert law["columns"] == {"S": "conc"}
    assert law["constants"]["V"]["value"] == pytest.approx(212.7, abs=0.1)
    assert law["constants"]["K"]["standard_error"] == pytest.approx(0.0083, abs=1e-4)
    assert result.formula is not None and result.formula.complexity < 12


def test_the_sentence_has_the_constant_of_each_group() -> None:
    conc = np.tile([0.02, 0.06, 0.11, 0.22, 0.56, 1.1], 2)
    treated = np.repeat([0.0, 1.0], 6)
    rate = (160 + 50 * treated) * conc / (0.06 + conc) + np.random.default_rng(0).normal(size=12)
    data = Dataset.from_arrays(np.c_[conc, treated], rate, feature_names=["conc", "treated"], test=0.0)
    laws = [one for one in LAWS if one.name == "Michaelis-Menten"]
    found = recognise(data, laws=laws)
    law = NamedLaw(found[0], SimpleNamespace(formula=found[0].fit.formula), False)  # type: ignore[arg-type]
    sentence = law_facts(law, NamedLaws((law,), tuple(found)), data, {})["law"]["sentence"]
    assert re.search(r"; V is 1[56]\d\.\d where treated is 0 and 2[01]\d\.?\d? where treated is 1$", sentence), sentence


@pytest.mark.parametrize("own", ["Arrhenius", "Eyring", "Fowler-Nordheim"])
def test_a_formula_is_called_by_its_own_name_where_the_rows_allow_others(own: str) -> None:
    temperature = np.linspace(329.0, 373.0, 14)
    pressure = 4.4e7 * np.exp(-4950 / temperature) + 0.2 * np.random.default_rng(0).normal(size=14)
    data = Dataset.from_arrays(temperature[:, None], pressure, feature_names=["T"], target_names=["P"], test=0.0)
    names = ["Arrhenius", "Eyring", "Fowler-Nordheim"]
    found = recognise(data, laws=[one for one in LAWS if one.name in names])
    assert {one.law.name for one in found if one.supported} == set(names)
    laws = [NamedLaw(one, SimpleNamespace(formula=one.fit.formula), False) for one in found]  # type: ignore[arg-type]
    context = SimpleNamespace(sample=data)
    # A formula of its own, with the same values.
    formula = next(one.fit.formula for one in found if one.law.name == own)
    law = law_of(context, NamedLaws(tuple(laws), tuple(found)), SimpleNamespace(formula=formula))  # type: ignore[arg-type]
    assert law is not None and law.found.law.name == own


def test_an_exact_law_is_named_and_other_functions_are_not_tried() -> None:
    x = np.linspace(0.5, 9, 30)
    result = discover(Dataset.from_arrays(x[:, None], 3 * x / (2 + x), test=0.0), DiscoverOptions(time_limit=60))
    law = result.metrics["law"]
    assert law["name"] == "Michaelis-Menten"
    assert law["constants"]["K"]["value"] == pytest.approx(2)
    assert result.metrics["formula_rmse"] < 1e-8


def test_no_law_is_named_in_noise(counted_time: CountingClock) -> None:
    random = np.random.default_rng(0)
    data = Dataset.from_arrays(random.uniform(1, 5, (20, 1)), random.normal(size=20), test=0.0)
    assert "law" not in discover(data, DiscoverOptions(time_limit=4)).metrics
