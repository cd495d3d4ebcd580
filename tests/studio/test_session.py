"""A session: steps, their history, and what is shown of a network."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas
import pytest
import torch

import superpose
from helpers import is_one_sentence
from superpose import KAN, Dataset, edit
from superpose.errors import DataError, OptionError, SuperposeError
from superpose.studio import Session, Step, Stopped
from superpose.train import Record


@pytest.fixture(scope="module")
def data() -> Dataset:
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(300, 2, dtype=torch.float64, generator=generator) - 1
    y = torch.exp(torch.sin(torch.pi * x[:, 0]) + x[:, 1] ** 2)
    return Dataset.from_arrays(x, y, feature_names=["x", "y"], target_names=["f"], validation=0.2)


@pytest.fixture(scope="module")
def trained(data: Dataset) -> KAN:
    model = KAN([2, 1, 1], seed=0)
    superpose.fit(model, data, grids=(5,), steps=25, progress=False)
    return model


@pytest.fixture
def session(trained: KAN, data: Dataset) -> Session:
    return Session(trained, data)


def step(verb: str, **arguments: Any) -> dict[str, Any]:
    return {"verb": verb, "arguments": arguments}


def same(one: KAN, other: KAN) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


STEPS: list[tuple[Mapping[str, Any], Any]] = [
    (step("fix", edge=[0, 0, 0], function="sin"), lambda m, d: edit.fix(m, d, (0, 0, 0), "sin")),
    (
        step("fix", edge=[0, 1, 0], function="x^2", constants=[1, 0, 2, 0], frozen="ab", units="table"),
        lambda m, d: edit.fix(m, d, (0, 1, 0), "x^2", (1, 0, 2, 0), frozen="ab", units="table"),
    ),
    (step("replace", edge=[0, 0, 0], function="sin"), lambda m, d: edit.replace(m, d, (0, 0, 0), "sin")),
    (step("remove", edge=[0, 0, 0]), lambda m, d: edit.remove(m, d, (0, 0, 0))),
    (step("prune", inputs=["y"]), lambda m, d: edit.prune(m, d, inputs=["y"])),
    (step("straighten", min_strength=1e-2), lambda m, d: edit.straighten(m, d, min_strength=1e-2)),
    (step("refit", steps=3), lambda m, d: edit.refit(m, d, steps=3)),
    (step("linear", column="y", steps=2), lambda m, d: edit.linear(m, d, "y", steps=2)),
    (
        step("drag", edge=[0, 0, 0], x=[-0.5, 0.0, 0.5], y=[0, 1, 0]),
        lambda m, d: edit.drag(m, (0, 0, 0), [-0.5, 0.0, 0.5], [0, 1, 0]),
    ),
    (step("refine", grid_size=7), lambda m, d: m.refine(7, d.features(d.train))),
]


@pytest.mark.parametrize(("what", "function"), STEPS, ids=[one["verb"] for one, _ in STEPS])
def test_a_step_does_what_the_public_function_does(
    what: dict[str, Any], function: Any, session: Session, trained: KAN, data: Dataset
) -> None:
    before = session.model
    entry = session.do(what)
    assert same(session.model, function(trained, data))
    assert not same(session.model, before)
    assert entry["parent"] == 0 and entry["verb"] == what["verb"] and entry["text"]
    rmse = data.rmse(torch.from_numpy(session.model.values(data.rows("validation")[0])), "validation")
    assert entry["error_validation"] == pytest.approx(rmse)
    session.undo()
    assert same(session.model, before)


def test_training_and_its_release(session: Session, data: Dataset) -> None:
    entry = session.do(step("train", grids=[5], steps=3))
    assert entry["note"]
    session.do(step("fix", edge=[0, 0, 0], function="sin"))
    assert session.entry["symbolic"] == 1
    assert session.do(step("release", edge=[0, 0, 0]))["symbolic"] == 0


def test_twins_are_merged(data: Dataset) -> None:
    model = KAN([2, 2, 1], base="none", seed=0)
    model.layer(0).coefficients.data[..., 1] = 3 * model.layer(0).coefficients.data[..., 0]
    session = Session(model, data)
    assert session.do(step("merge"))["shape"] == [2, 1, 1]
    with pytest.raises(OptionError, match="merging changes nothing"):
        session.do(step("merge"))


def test_the_history_is_a_tree(session: Session) -> None:
    session.do(step("fix", edge=[0, 0, 0], function="sin"))
    session.do(step("fix", edge=[0, 1, 0], function="x^2"))
    first = session.model
    session.undo()
    session.undo()
    assert session.entry["id"] == 0
    session.redo()
    session.redo()
    assert session.entry["id"] == 2 and same(session.model, first)
    session.go(1)
    session.do(step("fix", edge=[0, 1, 0], function="cosh"))
    assert [entry["parent"] for entry in session.history()] == [None, 0, 1, 1]
    # Redo goes where one was last.
    session.go(0)
    session.redo()
    session.redo()
    assert session.entry["id"] == 3
    session.go(2)
    session.undo()
    session.redo()
    assert session.entry["id"] == 2
    assert session.name(2, " the square ")["name"] == "the square"
    with pytest.raises(OptionError, match="nothing to redo"):
        session.redo()
    session.go(0)
    with pytest.raises(OptionError, match="nothing to undo"):
        session.undo()


BAD: list[Any] = [
    "fix",
    {"verb": "fixed"},
    {"verb": 3},
    step("fix", edge=[0, 0, 0]),
    step("fix", edge=[0, 0, 0], function="sine"),
    step("fix", edge=[0, 0], function="sin"),
    step("fix", edge=[0, 0, 9], function="sin"),
    step("fix", edge="000", function="sin"),
    step("fix", edge=[0, 0, 0], function="sin", constants=["a", 0, 0, 0]),
    step("fix", edge=[0, 0, 0], function=7),
    step("fix", edge=[0, 0, 0], function="sin", path="/etc/passwd"),
    {"verb": "fix", "arguments": [1]},
    step("prune", threshold="much"),
    step("prune", threshold=0.0),
    step("prune", threshold=float("nan")),
    step("prune", inputs="x"),
    step("refine", grid_size=5),
    step("train", optimizer="sgd"),
    step("train", steps=True),
    step("train", listener="print"),
    step("drag", edge=[0, 0, 0], x=[0, 0], y=[1, 1]),
    step("drag", edge=[0, 0, 0], x=[0, 99], y=[1, 1]),
    step("release", edge=[0, 0, 0]),
]


@pytest.mark.parametrize("what", BAD, ids=[str(number) for number in range(len(BAD))])
def test_what_cannot_be_done_is_a_sentence_and_changes_nothing(what: Any, session: Session) -> None:
    before = session.history()
    with pytest.raises(SuperposeError) as failure:
        session.do(what)
    assert "\n" not in str(failure.value) and len(str(failure.value)) > 20
    assert session.history() == before


@pytest.mark.parametrize("id", [-1, 7, "0", True, None, 0.0])
def test_states_that_are_not_there(id: Any, session: Session) -> None:
    with pytest.raises(OptionError, match="has no state"):
        session.go(id)
    with pytest.raises(OptionError, match="has no state"):
        session.name(id, "a")


def test_a_preview_says_what_the_step_does_and_does_nothing(session: Session) -> None:
    what = step("prune", inputs=["y"])
    before = session.history()
    found = session.preview(what)
    assert session.history() == before
    assert found["removed"] == [[0, 1, 0]]
    entry = session.do(what)
    for name in ("error_train", "error_validation", "edges", "shape", "text"):
        assert entry[name] == found[name]
    # What was tried in one state is not taken in another.
    session.undo()
    sine = step("fix", edge=[0, 0, 0], function="sin")
    assert session.preview(sine)["symbolic"] == 1
    session.do(step("fix", edge=[0, 1, 0], function="x^2"))
    assert session.do(sine)["symbolic"] == 2


def test_trainings_are_stopped_and_shown_while_they_run(data: Dataset) -> None:
    session = Session.start(data, [2, 1, 1], seed=1)
    seen: list[float] = []

    def listener(record: Record) -> None:
        seen.append(session.network()["edges"][0]["values"][0])
        if record.step == 3:
            raise Stopped

    entry = session.do(step("train", grids=[5], steps=50), listener=listener)
    assert len(seen) == 4 and len(set(seen)) > 1
    assert entry["arguments"]["records"] == 4 and "interrupted" in entry["note"]
    first = session.model
    session.go(0)
    session.do({"verb": entry["verb"], "arguments": entry["arguments"]})
    assert same(session.model, first)
    with pytest.raises(OptionError, match="no preview"):
        session.preview(step("train"))


def test_the_network_is_shown_by_numbers(session: Session) -> None:
    session.do(step("fix", edge=[0, 0, 0], function="sin"))
    shown = json.loads(json.dumps(session.network(), allow_nan=False))
    assert [edge["edge"] for edge in shown["edges"]] == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert [edge["status"] for edge in shown["edges"]] == ["symbolic", "spline", "spline"]
    assert {node["name"] for node in shown["nodes"]} == {"x", "y", "f", ""}
    assert all(max(map(abs, edge["shown"])) <= 1 for edge in shown["edges"])


def test_an_edge_is_shown_with_its_candidates(session: Session, data: Dataset) -> None:
    shown = json.loads(json.dumps(session.edge([0, 0, 0]), allow_nan=False))
    model = session.model
    x = torch.tensor(shown["curve"]["x"], dtype=torch.float64)
    scaled = (x - model.input_center[0]) / model.input_scale[0]
    with torch.no_grad():
        y = model.layer(0).edge_function(0, 0, scaled)
    assert torch.allclose(torch.tensor(shown["curve"]["y"], dtype=torch.float64), y, rtol=1e-6, atol=1e-6)
    slope = torch.gradient(y, spacing=(x,))[0]
    assert torch.allclose(torch.tensor(shown["slope"], dtype=torch.float64)[2:-2], slope[2:-2], rtol=0.05, atol=0.02)
    assert sum(shown["density"]["counts"]) == len(data.train)
    assert "sin" in [one["function"] for one in shown["candidates"]][:2]
    assert session.edge([0, 0, 0], candidates=False)["candidates"] is None
    with pytest.raises(OptionError):
        session.edge([0, 5, 0])


def test_constants_are_shown_as_they_can_be_set(session: Session) -> None:
    session.do(step("fix", edge=[1, 0, 0], function="exp"))
    session.do(step("fix", edge=[0, 0, 0], function="sin"))
    for edge, function in (([0, 0, 0], "sin"), ([1, 0, 0], "exp")):
        constants = session.edge(edge, candidates=False)["constants"]
        before = session.entry["error_train"]
        again = session.do(step("fix", edge=edge, function=function, constants=constants, units="table", frozen="ab"))
        assert again["error_train"] == pytest.approx(before, rel=1e-11)
        assert session.edge(edge, candidates=False)["frozen"] == "ab"


def test_the_formula_of_a_symbolic_network(session: Session) -> None:
    assert session.formula()["splines"] == ["spline_0_0_0", "spline_0_1_0", "spline_1_0_0"]
    for edge, function in (([0, 0, 0], "sin"), ([0, 1, 0], "x^2"), ([1, 0, 0], "exp")):
        session.do(step("fix", edge=edge, function=function))
    session.do(step("refit"))
    found = json.loads(json.dumps(session.formula(), allow_nan=False))
    assert found["texts"] == ["exp(y**2 + sin(pi*x))"]
    assert found["errors"]["train"] < 1e-10
    assert found["mathml"][0][0] == "math"
    assert "exp" in session.code("numpy")
    with pytest.raises(OptionError, match="language"):
        session.code("cobol")


def test_what_begins_no_session(data: Dataset, trained: KAN) -> None:
    with pytest.raises(DataError, match="features"):
        Session(KAN([3, 1]), data)
    with pytest.raises(OptionError, match=r"superpose\.KAN"):
        Session("model", data)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="Dataset"):
        Session(trained, "table")  # type: ignore[arg-type]


def test_steps_go_through_json() -> None:
    one = Step("fix", {"edge": [0, 0, 0], "function": "sin", "frozen": None})
    assert Step.of(json.loads(json.dumps(one.json()))) == one


def test_predictions_take_columns_as_the_table_has_them(tmp_path: Path) -> None:
    lines = ["size,colour,when,f"]
    for k in range(60):
        size, colour = (k * 37 % 60) / 20, ("red", "green", "blue")[k % 3]
        value = size**2 + {"red": 0, "green": 1, "blue": 3}[colour]
        lines.append(f"{'' if k % 11 == 3 else size},{colour},2024-{1 + k // 28:02d}-{1 + k % 28:02d},{value}")
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = superpose.read_csv(tmp_path / "table.csv", target="f", missing="indicator")
    session = Session.start(data, [data.n_features, 1])
    session.do(step("train", grids=[3], steps=8))
    size, colour, when = session.predict()["columns"]
    assert size["missing"] and not colour["missing"] and size["inputs"] == ["size", "size is missing"]
    assert colour["choices"] == ["blue", "green", "red"] and colour["value"] in colour["choices"]
    assert (when["low"], when["high"]) == ("2024-01-01", "2024-03-04")
    # The same numbers as the model's own, whatever the cell holds.
    model, given = session.model, {"colour": "blue", "size": None, "when": "2024-02-10"}
    frame = pandas.DataFrame({"colour": ["blue"], "size": [math.nan], "when": ["2024-02-10"]})
    found = session.predict(given)
    assert found["outputs"][0]["value"] == pytest.approx(float(model.predict(frame)[0, 0]), rel=1e-8)
    assert [one["value"] for one in found["columns"]] == [None, "blue", "2024-02-10"]
    assert dict(found["columns"][1]["outcomes"])["blue"][0] == pytest.approx(found["outputs"][0]["value"])
    assert "which the model was not fitted to" in session.predict({"colour": "pink"})["warnings"][0]
    # Numbers that were made are taken too.
    one = session.predict(
        {"colour = blue": 1, "colour = green": 0, "colour = red": 0, "size is missing": 0, "size": 1.0}
    )
    assert one["columns"][0]["value"] == 1 and one["columns"][1]["value"] == "blue"
    for wrong in ({"when": "soon"}, {"colour": [1]}, {"weight": 1}):
        with pytest.raises(SuperposeError) as caught:
            session.predict(wrong)
        assert is_one_sentence(str(caught.value))
