"""The widget of notebooks: its messages and its state, in Python."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

import superpose
from helpers import EXAMPLES
from superpose import KAN, Dataset
from superpose.errors import OptionError
from superpose.studio import Session


@pytest.fixture
def data() -> Dataset:
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(80, 2, dtype=torch.float64, generator=generator) - 1
    return Dataset.from_arrays(x, torch.sin(2 * x[:, 0]) + x[:, 1] ** 2, validation=0.25)


@pytest.fixture
def model(data: Dataset) -> KAN:
    made = KAN([2, 1], seed=0)
    superpose.fit(made, data, grids=(4,), steps=5, progress=False)
    return made


def ask(view: Any, **request: Any) -> dict[str, Any]:
    """What the front end hears when it sends a request."""
    heard: list[Any] = []
    view.send = lambda content, *more: heard.append(content)
    view._handle_custom_msg({"id": "view-1", **request}, [])
    (found,) = heard
    assert found["id"] == "view-1"
    answered: dict[str, Any] = json.loads(json.dumps(found, allow_nan=False))
    return answered


def test_clicks_change_the_model_in_python(model: KAN, data: Dataset) -> None:
    view = superpose.widget(model, data)
    assert len(view.state["network"]["edges"]) == 2
    step = {"verb": "fix", "arguments": {"edge": [0, 0, 0], "function": "sin"}}
    assert ask(view, action="preview", step=step)["symbolic"] == 1
    assert len(view.state["history"]) == 1
    assert ask(view, action="do", step=step)["entry"]["id"] == 1
    assert view.model.layer(0).symbolic_table()[0, 0][0] == "sin"
    assert [edge["function"] for edge in view.state["network"]["edges"]] == ["sin", None]
    ask(view, action="undo")
    assert view.model.layer(0).symbolic_table() == {} == model.layer(0).symbolic_table()
    assert "nothing to undo" in ask(view, action="undo")["error"]
    assert "no action" in ask(view, action="eval")["error"]
    json.dumps(view.state, allow_nan=False)


def test_what_is_done_in_python_is_shown(model: KAN, data: Dataset) -> None:
    view = superpose.widget(model, data)
    view.do("fix", edge=(0, 1, 0), function="x^2")
    assert view.state["network"]["edges"][1]["function"] == "x^2"
    view.session.undo()
    assert view.state["network"]["edges"][1]["function"] is None
    view.model = superpose.edit.prune(model, data, inputs=["x2"])
    assert len(view.state["network"]["edges"]) == 1
    assert view.state["history"][-1]["text"] == "changed in Python"


def test_a_training_in_python_is_shown_while_it_runs(data: Dataset) -> None:
    model = KAN([2, 1], seed=1)
    view = superpose.widget(model, data)
    seen: list[Any] = []
    view.observe(lambda change: seen.append(change["new"]), "state")
    superpose.fit(model, data, grids=(6,), steps=3, listener=view, progress=False)
    assert seen and "training: step" in seen[0]["message"]
    # The model was changed in place: it is a state of the history as soon as something is asked for.
    assert torch.equal(view.model.layer(0).coefficients, model.layer(0).coefficients)
    assert len(view.state["history"]) == 2
    ask(view, action="do", step={"verb": "refit", "arguments": {"steps": 1}})
    assert len(view.state["history"]) == 3


def test_a_training_by_a_click_is_shown_while_it_runs(model: KAN, data: Dataset) -> None:
    view = superpose.widget(Session(model, data))
    seen: list[Any] = []
    view.observe(lambda change: seen.append(change["new"]["busy"]), "state")
    ask(view, action="do", step={"verb": "train", "arguments": {"grids": [4], "steps": 3}})
    assert seen[0]["record"]["step"] == 0 and seen[-1] is None
    assert view.state["busy"] is None


def test_states_made_elsewhere_are_loaded_by_the_script(model: KAN, data: Dataset) -> None:
    session = Session.start(data, [2, 1])
    session.do({"verb": "train", "arguments": {"grids": [4], "steps": 2}})
    assert session.start_file() is None
    session.put(model)
    session.do({"verb": "refit", "arguments": {"steps": 1}})
    script = session.script("table.csv", validation=0.25)
    assert "superpose.load" in script and "fit(" not in script.replace("refit(", "")
    loaded = superpose.files.from_bytes(session.start_file() or b"")
    assert torch.equal(loaded.layer(0).coefficients, model.layer(0).coefficients)


def test_what_is_no_widget(model: KAN) -> None:
    with pytest.raises(OptionError, match=r"superpose\.widget\(model, data\)"):
        superpose.widget(model)


def test_the_notebook_of_the_examples_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = json.loads((EXAMPLES / "network_in_hand.ipynb").read_text(encoding="utf-8"))
    assert all(not cell.get("outputs") for cell in notebook["cells"])
    monkeypatch.chdir(EXAMPLES)
    names: dict[str, Any] = {}
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            exec(compile(cell["source"], f"cell {number}", "exec"), names)  # noqa: S102
    assert str(names["formula"]) == "exp(y**2 + sin(pi*x))"
    assert names["entry"]["error_validation"] < 1e-10
