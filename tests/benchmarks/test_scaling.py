"""Errors of the benchmarks against the size of the grid."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bench_cases import FILES, written

from benchmarks.functions import toy
from benchmarks.harness import suite
from benchmarks.harness.settings import Settings

pytest.importorskip("scipy")


@pytest.mark.parametrize("power", [-3.0, -4.0, -6.0])
def test_an_exponent_is_found_whatever_stands_before_and_after(power: float) -> None:
    errors = [0.5, *(0.5 * 2 ** (power * n) for n in range(1, 5))]
    assert toy.slope(toy.GRIDS, errors) == pytest.approx(power)
    used = toy.falling([0.6, *errors[:4]])
    assert toy.slope(toy.GRIDS[used], [0.6, *errors[:4]][used]) == pytest.approx(power)
    floor = [*errors[:3], 0.9 * errors[2], 0.8 * errors[2]]
    used = toy.falling(floor)
    assert toy.slope(toy.GRIDS[used], floor[used]) == pytest.approx(power)


@pytest.mark.parametrize(
    ("errors", "used"),
    [
        ([1.0, 1.0, 1.0], slice(0, 1)),
        ([1.0], slice(0, 1)),
        ([1e-3, 1e-2, 0.1], slice(0, 1)),
        # By less than a third at each grid.
        ([1.0, 0.4, 0.16, 0.064], slice(0, 1)),
        # The same errors with one that does fall, behind them and before them.
        ([1.0, 1.0, 1.0, 0.1], slice(2, 4)),
        ([1.0, 0.1, 0.1, 0.1], slice(0, 2)),
    ],
)
def test_errors_that_do_not_fall_have_no_exponent(errors: list[float], used: slice) -> None:
    assert toy.falling(errors) == used
    exponent = toy.slope(toy.GRIDS[used], errors[used])
    falls = used.stop - used.start > 1
    assert (exponent is not None) == falls
    if exponent is not None:
        assert exponent == pytest.approx(math.log2(0.1))


def test_scaling_of_a_network_that_can_be_exact(
    few_steps: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy, "GRIDS", (5, 10, 20))
    monkeypatch.setattr(toy, "DEGREES", (3,))
    monkeypatch.setattr(toy, "PROBLEMS", ("exp_sin",))
    settings = Settings(time_limit=60.0, points=400, test_points=200, only=("exp_sin",))
    store = suite.run("toy", settings, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"scaling.csv", "scaling.svg"}
    (row,) = written(tmp_path)["scaling"]
    assert row["grids"] == list(toy.GRIDS[: len(row["grids"])]) and len(row["test_rmse"]) == len(row["grids"]) >= 3
    assert row["exponent"] < -2.5
    assert "| exp_sin | -" in (tmp_path / "results.md").read_text()
    assert any(line.startswith("exp_sin, degree 3: error ~ G^-") for line in suite.of("toy").lines(store))
    text = "".join(ElementTree.parse(tmp_path / "scaling.svg").getroot().itertext())
    assert "claim" in text and "degree 3" in text
