"""The law that a run recommends is named, with its constants; where there is none, none is."""

from __future__ import annotations

import numpy as np
import pytest

from superpose import DiscoverOptions, discover
from superpose.data import Dataset

CONC = [0.02, 0.06, 0.11, 0.22, 0.56, 1.1, 0.02, 0.06, 0.11, 0.22, 0.56, 1.1]
RATE = [76.0, 97.0, 123.0, 159.0, 191.0, 207.0, 47.0, 107.0, 139.0, 152.0, 201.0, 200.0]


def test_michaelis_menten_is_named_with_its_constants() -> None:
    data = Dataset.from_arrays([[c] for c in CONC], RATE, feature_names=["conc"], target_names=["rate"], test=0.0)
    # Some seconds are taken; a slow machine may take more.
    result = discover(data, DiscoverOptions(time_limit=60))
    law = result.metrics["law"]
    assert law["name"] == "Michaelis-Menten"
    assert law["columns"] == {"S": "conc"}
    assert law["constants"]["V"]["value"] == pytest.approx(212.7, abs=0.1)
    assert law["constants"]["K"]["standard_error"] == pytest.approx(0.0083, abs=1e-4)
    assert result.formula is not None and result.formula.complexity < 12


def test_an_exact_law_is_named_and_other_functions_are_not_tried() -> None:
    x = np.linspace(0.5, 9, 30)
    result = discover(Dataset.from_arrays(x[:, None], 3 * x / (2 + x), test=0.0), DiscoverOptions(time_limit=60))
    law = result.metrics["law"]
    assert law["name"] == "Michaelis-Menten"
    assert law["constants"]["K"]["value"] == pytest.approx(2)
    assert result.metrics["formula_rmse"] < 1e-8


def test_no_law_is_named_in_noise() -> None:
    random = np.random.default_rng(0)
    data = Dataset.from_arrays(random.uniform(1, 5, (20, 1)), random.normal(size=20), test=0.0)
    assert "law" not in discover(data, DiscoverOptions(time_limit=4)).metrics
