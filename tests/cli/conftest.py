"""A folder with a table and its model for every test of the command line, and stand-ins for what takes time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import superpose
from cli_cases import symbolic_model
from superpose.files import save
from superpose.formulas.expressions.formula import Formula
from superpose.tasks.regression import search
from superpose.train.history import History, Record


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in a folder with a table of f = 2*x + y^2 and its model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SUPERPOSE_DEBUG", raising=False)
    lines = [f"p{n},{n % 7},{0.1 * n % 3:.1f}" for n in range(40)]
    rows = [line.split(",") for line in lines]
    body = [f"{a},{x},{y},{2 * int(x) + float(y) ** 2:.17g}" for a, x, y in rows]
    Path("table.csv").write_text("\n".join(["name,x,y,f", *body]) + "\n")
    save(symbolic_model(), "model.safetensors")
    return tmp_path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[search.DiscoverOptions]:
    """Stands in for the search, which takes its time; remembers what it was asked for."""
    seen: list[search.DiscoverOptions] = []

    def discover(data: superpose.Dataset, options: Any, **others: Any) -> Any:
        seen.append(options)
        if (listener := others["listener"]) is not None:
            listener("searching [for] a formula")
        model = symbolic_model(feature_names=data.feature_names, target_names=data.target_names)
        history = History([Record(0, "start", 3, 1.0, 1.0, 0.0)], "lm", reason="it was found", seconds=0.1)
        formula = Formula.of(model) if options.formula else None
        metrics = {
            "formula": None if formula is None else str(formula),
            "formula_rmse": 0.0 if options.formula else None,
            "network_rmse": 1e-9,
            "target_std": data.target_std,
            "shape": model.widths,
            "seconds": 0.1,
            "interrupted": False,
            "reason": "it was found",
            "front": [{"complexity": 9, "formula": "f", "rmse": 0.0, "recommended": True}] if formula else [],
        }
        return search.Result(model, model if formula else None, formula, history, data, metrics)

    monkeypatch.setattr(search, "discover", discover)
    return seen


@pytest.fixture
def unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saves the second that the files of a run take, where they are not what is tested."""
    monkeypatch.setattr("superpose.report.write", lambda *arguments, **options: {})
