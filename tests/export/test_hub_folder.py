"""A folder for a model hub: the model loads again, and the card says what the metrics say, whatever the names are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from formula_cases import COLUMNS

import superpose
from superpose import KAN
from superpose.data.preparation import Preparation
from superpose.data.tables import Table
from superpose.errors import FileError, OptionError
from superpose.export import hub
from superpose.nn import Head

METRICS = {
    "network_rmse": 0.012345678,
    "network_r2": 0.99,
    "formula_rmse": None,
    "formula": "a + `b```c`\n<script>",
    "target_std": 2,
    "rows": {"train": 70, "test": 30},
}


def test_the_model_loads_and_the_card_has_the_metrics(tmp_path: Path) -> None:
    model = KAN([6, 2, 1], feature_names=COLUMNS, target_names=["loss | gain"], seed=1)
    hub(model, tmp_path / "a" / "hub", metrics=METRICS)
    again = superpose.load(tmp_path / "a" / "hub" / "model.safetensors")
    x = torch.ones(3, 6, dtype=torch.float64)
    assert torch.equal(model(x), again(x)) and again.feature_names == COLUMNS
    card = (tmp_path / "a" / "hub" / "README.md").read_text(encoding="utf-8")
    head, _, body = card.removeprefix("---\n").partition("\n---\n")
    # No name stands in the head, whose lines are read as data.
    tags = ["tags:", "- kolmogorov-arnold-network", "- tabular-regression"]
    assert head.splitlines() == ["library_name: superpose", "pipeline_tag: tabular-regression", *tags]
    for words in ("| root mean squared error of the network | 0.0123457 |", "70 train, 30 test", "`loss \\| gain`"):
        assert words in body
    assert "root mean squared error of the formula" not in body
    # A fence longer than any in the formula, and no line break out of a cell.
    assert "````text\na + `b```c`\n<script>\n````\n" in body
    assert sum(line.startswith("| ") for line in body.splitlines()) == 2 + 6 + 2 + 3
    hub(model, tmp_path / "a" / "hub")
    assert "## Errors" not in (tmp_path / "a" / "hub" / "README.md").read_text(encoding="utf-8")


def test_a_card_without_metrics_has_the_formula_of_a_symbolic_model(tmp_path: Path) -> None:
    model = KAN([1, 1], feature_names=["x"])
    model.layer(0).set_symbolic({(0, 0): ("x^2", (1.0, 0.0, 3.0, 0.5))})
    model.head = Head("sigmoid", ("no", "yes"), name="answer")
    hub(model, tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "answer is yes where 3.0*x**2 + 0.5 > 0, else no" in card
    assert "pipeline_tag: tabular-classification" in card and "Classes: `no`, `yes`." in card


def test_a_card_names_the_columns_before_the_preparation(tmp_path: Path) -> None:
    table = Table("'t'", ("size", "species"), (np.array([1.0, 2, 3, 4]), ["cat", "dog", "cat", "dog"]))
    preparation = Preparation.fit(table)
    model = KAN([2, 1], feature_names=preparation.names)
    model.preparation = preparation
    hub(model, tmp_path)
    assert "made from the columns `size`, `species` of a table" in (tmp_path / "README.md").read_text()


def test_another_readme_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# My project\n")
    with pytest.raises(FileError, match=r"holds a README.md that is no model card of superpose; choose another folder"):
        hub(KAN([1, 1]), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    with pytest.raises(FileError, match=r"cannot be used: .*; choose another"):
        hub(KAN([1, 1]), tmp_path / "README.md")
    with pytest.raises(OptionError, match="metrics is a mapping"):
        hub(KAN([1, 1]), tmp_path, metrics=[1])  # type: ignore[arg-type]
