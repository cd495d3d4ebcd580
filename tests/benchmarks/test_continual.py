"""The benchmark of continual learning: what is shown, what is measured, what is written."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.continual import learners
from benchmarks.continual import suite as continual
from benchmarks.harness import suite
from benchmarks.harness.settings import Settings
from helpers import is_one_sentence
from superpose.errors import OptionError


def outcome(rmse: list[list[float]]) -> continual.Outcome:
    return continual.Outcome("KAN", 1, 0, 203, tuple(map(tuple, rmse)), 1.0, ())


@pytest.mark.parametrize("dims", [1, 2])
def test_phases_show_their_own_box_and_together_all(dims: int) -> None:
    shown = continual.task(dims)
    boxes = [shown.samples(n, 400, torch.Generator().manual_seed(0))[0] for n in range(len(shown.centers))]
    for box, center in zip(boxes, shown.centers, strict=True):
        assert float((box - center).abs().max()) <= shown.half + 1e-12
    volume = len(boxes) * (2 * shown.half) ** dims
    assert volume == pytest.approx(2**dims)
    assert float(torch.cat(boxes).abs().max()) <= 1 + 1e-12
    assert torch.allclose(shown.target(shown.centers), torch.ones(1, dtype=torch.float64), atol=1e-6)


def test_only_changes_of_peaks_that_were_shown_count() -> None:
    assert outcome([[0.1, 9.0], [0.3, 0.2]]).largest_change == pytest.approx(0.2)
    assert outcome([[0.1, 9.0, 9.0], [0.1, 0.2, 5.0], [0.1, 0.05, 0.1]]).largest_change == pytest.approx(0.15)
    assert outcome([[3.0, 9.0], [3.0, 4.0]]).final == pytest.approx(12.5**0.5)


def test_peaks_on_a_line_stay_and_the_perceptron_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners, "_MLP_STEPS", 200)
    outcomes = {name: continual.run(name, dims=1) for name in continual.LEARNERS[1]}
    for name in ("KAN", "KAN with memory", "KAN, base SiLU, with memory"):
        assert outcomes[name].largest_change < 1e-6 and outcomes[name].final < 1e-5
    for name in ("KAN, base SiLU", "MLP"):
        assert outcomes[name].largest_change > 0.05
    kept, forgot = outcomes["KAN"], outcomes["MLP"]
    assert abs(forgot.parameters - kept.parameters) < 0.05 * kept.parameters


def test_a_strong_memory_holds_on_a_plane_what_is_lost_without() -> None:
    lost, held = (continual.run(name, dims=2) for name in ("KAN [2,5,1]", learners.STRONG.format(5)))
    assert held.largest_change < 0.1 * lost.largest_change and held.final < 0.1 * lost.final


def test_runs_repeat_and_differ_by_seed(untouched_globals: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners, "_MLP_STEPS", 5)
    short = learners.LEARNERS[2] | {"KAN [2,5,1]": learners._on_a_plane(5, steps=5)}
    monkeypatch.setattr(continual, "LEARNERS", {2: short})
    for name in ("KAN [2,5,1]", "MLP beside [2,5,1]"):
        first, second, other = (continual.run(name, dims=2, seed=seed, time_limit=1e6).rmse for seed in (1, 1, 2))
        assert first == second != other


def test_every_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners, "_MLP_STEPS", 2)
    names = {1: ("KAN with memory", "MLP"), 2: ("MLP beside [2,5,1]",)}
    chosen = {dims: {name: continual.LEARNERS[dims][name] for name in names[dims]} for dims in names}
    monkeypatch.setattr(continual, "LEARNERS", chosen)
    store = suite.run("continual", Settings(seeds=(0, 1)), tmp_path)
    document: dict[str, Any] = json.loads((tmp_path / "results.json").read_text())
    assert len(document["results"]) == 6 and set(document["problems"]) == {"line", "plane"}
    table = list(csv.DictReader(io.StringIO((tmp_path / "results.csv").read_text())))
    assert len(table) == 2 * (2 * 25 + 16) and {row["shown"] for row in table} == {"True", "False"}
    for name in ("line", "plane"):
        assert (tmp_path / f"{name}.svg").read_text().rstrip().endswith("</svg>")
    page = (tmp_path / "results.md").read_text()
    assert "| line | KAN with memory | 203 |" in page and "seeds 0, 1" in page
    assert len(suite.of("continual").lines(store)) == 3


def test_one_task_alone_is_drawn_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continual, "LEARNERS", {1: {"KAN": continual.LEARNERS[1]["KAN"]}, 2: {}})
    suite.run("continual", Settings(only=("line",)), tmp_path)
    assert (tmp_path / "line.svg").exists() and not (tmp_path / "plane.svg").exists()


def test_a_fit_that_a_person_stops_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(self: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("superpose.optim.levenberg_marquardt.LevenbergMarquardt.step", step)
    with pytest.raises(KeyboardInterrupt):
        continual.run("KAN", dims=1)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: continual.run("KAM", dims=1), "did you mean 'KAN'"),
        (lambda: continual.run("KAN", dims=3), "dims must be 1 or 2"),
        (lambda: suite.of("continual").order(Settings(peers=("mlp",))), "leave out --peer"),
        (lambda: suite.of("continual").order(Settings(only=("lime",))), "did you mean 'line'"),
    ],
)
def test_what_is_not_there_is_said(call: Any, named: str) -> None:
    with pytest.raises(OptionError) as caught:
        call()
    assert named in str(caught.value) and is_one_sentence(str(caught.value))
