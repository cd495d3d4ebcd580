"""Each method of the benchmarks on functions learns, with a tiny budget."""

from __future__ import annotations

import importlib.util
import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
from bench_cases import SMALL, written

from benchmarks import problems
from benchmarks.command import main
from benchmarks.functions.suite import root_mean_square
from benchmarks.harness import suite
from benchmarks.methods import REGRESSION_PEERS, load, regression, superpose_network

pytest.importorskip("scipy")


def test_a_fit_that_a_person_stops_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """fit keeps its best state and returns; a benchmark must not take that for a whole run."""

    def step(self: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("superpose.optim.levenberg_marquardt.LevenbergMarquardt.step", step)
    problem = problems.toy()["product"]
    with pytest.raises(KeyboardInterrupt):
        superpose_network.fit(problem, *problem.sample(50, 0), time_limit=5.0, seed=0)


def test_discover_predicts_with_the_laws_own_network(counted_work: None) -> None:
    problem = problems.feynman()["I.16.6"]
    x, y = problem.sample(200, (0, 0))
    trained = regression.fit("discover", problem, x, y, time_limit=20.0, seed=0)
    new, true = problem.sample(100, (0, 1))
    assert abs(trained.predict(new) - true).max() < 1e-9 and trained.parameters < 30


def loaded(name: str) -> None:
    """Load what a peer needs as the program does, which lets it warn; skip the test where it is not installed."""
    package = REGRESSION_PEERS[name].imports.partition(".")[0]
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    load([name])


@pytest.mark.parametrize("name", ["superpose", *REGRESSION_PEERS])
def test_each_method_learns(
    name: str, few_steps: None, untouched_globals: None, capsys: pytest.CaptureFixture[str]
) -> None:
    if name in REGRESSION_PEERS:
        loaded(name)
    problem = problems.toy()["product"]
    x, y = problem.sample(150, seed=0)
    # The user's units are not those that a method computes in.
    # The others end by themselves; how far these get in that time depends on the machine.
    hasty = name in ("mlp", "pykan")
    limit = 2.0 if hasty else 60.0
    found = regression.fit(name, problem, 3 + 100 * x, 1e6 * y, time_limit=limit, seed=0, parameters=60)
    fresh, values = problem.sample(100, seed=1)
    predicted = found.predict(3 + 100 * fresh)
    assert predicted.shape == (100,) and predicted.dtype == numpy.float64
    error = root_mean_square(predicted - 1e6 * values) / (1e6 * values.std())
    assert error < (1.5 if hasty else 0.05)
    assert found.parameters > 0
    if name in ("gp", "rbf"):
        assert found.parameters == 150 and not found.shape
    else:
        # A law may end in a product.
        assert found.shape[0] == 2 and (found.shape[-1] == 1 or name == "discover")
    assert capsys.readouterr() == ("", "")


def test_the_fewest_points_that_the_options_allow(few_steps: None, tmp_path: Path) -> None:
    line = f"toy --only mean_100 --points 10 --test-points 1 --time-limit 2 --peer mlp,rbf --out {tmp_path} --quiet"
    assert main(line.split()) == 0
    rows = written(tmp_path)["results"]
    assert [row["method"] for row in rows] == ["superpose", "mlp", "rbf"]
    # One value has no spread to measure an error against, and ten points determine no quadratic in 100 dimensions.
    assert rows[0]["test_rmse"] > 0 and rows[0]["relative_rmse"] is None
    assert "ValueError" in rows[2]["failure"]


def test_superpose_learns_in_a_few_steps(few_steps: None, tmp_path: Path) -> None:
    settings = replace(SMALL, only=("II.2.42",), seeds=(0,), points=300, time_limit=60.0)
    store = suite.run("feynman", settings, tmp_path)
    (row,) = store.rows()
    assert row["relative_rmse"] < 1
    assert row["grids"][0] == 5 and row["shape"][0] == 2


def test_pykan_survives_nan(monkeypatch: pytest.MonkeyPatch, untouched_globals: None) -> None:
    """Its L-BFGS and its least squares can give NaN; the best state before is what counts."""
    loaded("pykan")
    from benchmarks.methods import pykan

    keep = pykan._Run._keep

    def spoilt(self: Any) -> Any:
        error = keep(self)
        for parameter in self.model.parameters():
            parameter.data.fill_(math.nan)
        return error

    monkeypatch.setattr(pykan._Run, "_keep", spoilt)
    monkeypatch.setattr(pykan, "GRIDS", (3, 5))
    monkeypatch.setattr(pykan, "STEPS", 2)
    problem = problems.toy()["product"]
    x, y = problem.sample(100, seed=0)
    found = pykan.fit(problem, x, y, time_limit=20.0, seed=0)
    assert numpy.isfinite(found.predict(x)).all()


def test_the_search_keeps_to_the_constants_of_the_published_shape(few_steps: None) -> None:
    problem = problems.special()["lpmv_0"]
    x, y = problem.sample(200, 0)
    trained = superpose_network.fit(problem, x, y, time_limit=60.0, seed=0)
    edges = sum(a * b for a, b in itertools.pairwise(problem.shape))
    assert 0 < trained.parameters <= 204 * edges and trained.shape[0] == 2 and trained.grids[0] == 5
