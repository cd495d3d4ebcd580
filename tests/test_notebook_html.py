"""What notebooks show of results: valid markup in which names of columns are texts."""

from __future__ import annotations

from typing import Any
from xml.dom import minidom

import pytest
import torch

import superpose
from superpose import KAN, Dataset, Formula, edit

HOSTILE = "<script>alert(1)</script>"


def parsed(markup: str) -> minidom.Document:
    return minidom.parseString(f"<div>{markup}</div>")


@pytest.fixture(scope="module")
def data() -> Dataset:
    x = 2 * torch.rand(60, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1
    y = x[:, 0] ** 2 + x[:, 1]
    return Dataset.from_arrays(x, y, feature_names=[HOSTILE, "b"], target_names=["f&g"], validation=0.25)


@pytest.fixture(scope="module")
def model(data: Dataset) -> KAN:
    made = KAN([2, 2, 1], seed=0)
    superpose.fit(made, data, grids=(4,), steps=3, progress=False)
    made.layer(0).set_symbolic({(0, 0): ("x^2", (1.0, 0.0, 1.0, 0.0))})
    return made


def shown(data: Dataset, model: KAN) -> dict[str, Any]:
    from superpose.tasks.regression import Result
    from superpose.train import fit

    history = fit(KAN([2, 1]), data, grids=(4,), steps=3, progress=False)
    metrics = {"formula_rmse": 0.25, "network_rmse": None, "reason": f"{HOSTILE} was the reason"}
    return {
        "network": model,
        "history": history,
        "scores": edit.attribution_scores(model, data),
        "comparison": edit.compare({HOSTILE: model}, data),
        "result": Result(model, None, Formula.of(model), history, data, metrics),
    }


def test_results_show_themselves_and_names_are_texts(data: Dataset, model: KAN) -> None:
    for name, value in shown(data, model).items():
        page = parsed(value._repr_html_())
        assert page.getElementsByTagName("script") == [], name
        assert page.getElementsByTagName("table"), name
    curves = parsed(model._repr_html_()).getElementsByTagName("path")
    assert len(curves) == 6
    assert [curve.getAttribute("stroke") for curve in curves].count("#c2410c") == 1


def test_relations_and_comparisons_of_methods_show_themselves() -> None:
    from superpose.tasks.comparison import MethodComparison, MethodResult
    from superpose.tasks.relations import Relations

    none = Relations((), ("a", "b"), (), 10, 0.5, "")
    assert "no relation" in none._repr_html_()
    methods = (MethodResult("mean", HOSTILE, 0.5, 0.1, 1.25),)
    found = MethodComparison(methods, "regression", "y", ("x",), 10, 5, 1, 0, "mean", "mean", (), "Use & see.")
    page = parsed(found._repr_html_())
    assert page.getElementsByTagName("script") == [] and "1.25" in found._repr_html_()


def test_a_formula_is_latex(data: Dataset, model: KAN) -> None:
    formula = Formula.of(model)
    assert formula._repr_latex_() == f"$\\displaystyle {formula.latex()}$"
    two = KAN([2, 2], seed=0)
    assert "gathered" in Formula.of(two)._repr_latex_()


def test_large_layers_and_gaps_in_curves(data: Dataset) -> None:
    assert "not drawn" in KAN([20, 1])._repr_html_()
    steep = KAN([1, 1])
    steep.layer(0).set_symbolic({(0, 0): ("log", (1.0, 0.0, 1.0, 0.0))})
    assert "nan" not in steep._repr_html_()
    for dtype in (torch.float32, torch.bfloat16):
        assert "<svg" in KAN([1, 1], dtype=dtype)._repr_html_()
