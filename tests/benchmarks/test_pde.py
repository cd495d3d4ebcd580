"""Benchmarks of equations: what is measured and written."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

import pytest
import torch

from benchmarks.harness import suite
from benchmarks.harness.settings import Settings
from benchmarks.pde import cases, perceptron
from benchmarks.pde import suite as pde
from superpose.errors import OptionError


def quick(name: str) -> cases.EquationCase:
    """A case with a network that is trained in no time."""
    options = {"grids": (3,), "steps": 2, "starts": 1, "points": 0.0}
    return dataclasses.replace(
        cases.CASES[name](), widths=(2, 2, 1), grid_size=3, options=options, easier=(), easier_options={}
    )


def test_every_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pde, "case", quick)
    monkeypatch.setattr(pde, "_MAX_SHOWN", 500)
    wanted = Settings(time_limit=0.5, seeds=(0, 1), peers=("mlp",))
    store = suite.run("disc", wanted, tmp_path)
    rows = json.loads((tmp_path / "results.json").read_text())["results"]
    assert [(row["problem"], row["seed"], row["method"]) for row in rows[:3]] == [
        ("disc", 0, "superpose"), ("disc", 0, "mlp"), ("disc", 1, "superpose"),
    ]  # fmt: skip
    for row in rows:
        assert row["squared_h1"] > row["squared_l2"] > 0 and row["relative_l2"] > 0
        assert len(row["history"]) > 0 and 500 >= len(row["difference"]) > 100
    table = list(csv.DictReader(io.StringIO((tmp_path / "results.csv").read_text())))
    assert len(table) == 8 and "history" not in table[0]
    for name in ("disc", "lshape"):
        assert (tmp_path / f"{name}.svg").read_text().rstrip().endswith("</svg>")
    assert "| lshape | mlp |" in (tmp_path / "results.md").read_text()
    assert len(suite.of("disc").lines(store)) == 4
    again = suite.run("disc", wanted, tmp_path, resume=True, listener=lambda event: pytest.fail("measured again"))
    assert again.rows() == store.rows()


def test_the_perceptron_has_about_as_many_parameters_and_its_own_start() -> None:
    one = cases.case("heat")
    count = perceptron.parameters_of(one)
    state = torch.get_rng_state()
    made = [perceptron.ScaledPerceptron(one.test.amin(0), one.test.amax(0), count, seed) for seed in (0, 0, 1)]
    assert torch.equal(state, torch.get_rng_state())
    assert sum(p.numel() for p in made[0].parameters()) == pytest.approx(count, rel=0.1)
    values = [model(one.test) for model in made]
    assert torch.equal(values[0], values[1]) and not torch.equal(values[0], values[2])


def test_only_what_is_there_can_be_asked_for() -> None:
    with pytest.raises(OptionError, match="--only: there is no problem"):
        pde.suite("heat").order(Settings(only=("burgers",)))
    with pytest.raises(OptionError, match="--peer: only mlp solves equations here, not gp"):
        pde.suite("heat").order(Settings(peers=("gp",)))
