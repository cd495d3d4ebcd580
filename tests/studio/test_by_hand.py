"""The whole way by hand: train, prune, set functions, refit; undone and redone; and the script that does the same."""

from __future__ import annotations

import contextlib
import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

import superpose
from helpers import ROOT, run_python
from superpose import KAN, Dataset, Formula
from superpose.errors import FileError, OptionError
from superpose.studio import Session
from superpose.tasks.classification import read_classification

HELLO = ROOT / "examples/data/hello.csv"
KNOTS = ROOT / "examples/data/knots.csv"


def step(verb: str, **arguments: Any) -> dict[str, Any]:
    return {"verb": verb, "arguments": arguments}


def same(one: KAN, other: KAN) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def run_script(session: Session, folder: Path, *arguments: Any, fresh: bool = False, **options: Any) -> KAN:
    """The model that the session's script saves, run in a folder, in a fresh process or in this one."""
    (folder / "script.py").write_text(session.script(*arguments, **options), encoding="utf-8")
    start = session.start_file()
    if start is not None:
        (folder / "start.safetensors").write_bytes(start)
    if fresh:
        finished = run_python("script.py", cwd=folder)
        assert finished.returncode == 0, finished.stderr
    else:
        with contextlib.chdir(folder):
            runpy.run_path("script.py")
    return superpose.load(folder / "model.safetensors")


def test_hello_by_hand(tmp_path: Path) -> None:
    data = superpose.read_csv(HELLO, target="f")
    session = Session.start(data, [2, 5, 1])
    session.do(step("train", grids=[5], steps=40, sparsity=1e-2))
    session.do(step("straighten"))
    assert session.do(step("prune", threshold=0.1))["shape"] == [2, 1, 1]
    for edge, function in (([0, 0, 0], "sin"), ([0, 1, 0], "x^2"), ([1, 0, 0], "exp")):
        session.do(step("fix", edge=edge, function=function))
    entry = session.do(step("refit"))
    assert entry["error_train"] < 1e-10 and entry["error_validation"] < 1e-10
    assert len(session.history()) == 8
    while session.entry["parent"] is not None:
        session.undo()
    for _ in range(7):
        session.redo()
    assert session.entry["id"] == entry["id"]
    assert session.formula()["texts"] == ["exp(y**2 + sin(pi*x))"]
    result = session.result()
    assert str(result.formula) == "exp(y**2 + sin(pi*x))" and result.metrics["formula_rmse"] < 1e-10
    again = run_script(session, tmp_path, str(HELLO), fresh=True)
    assert str(Formula.of(again, data)) == "exp(y**2 + sin(pi*x))"
    assert same(again, session.model)


def test_classes_by_hand(tmp_path: Path) -> None:
    # A few hundred rows: the way is the same, and quick.
    lines = KNOTS.read_text(encoding="utf-8").splitlines()
    small = tmp_path / "knots.csv"
    small.write_text("\n".join([lines[0], *lines[1::40]]) + "\n", encoding="utf-8")
    features = ["longitude", "meridian_re", "meridian_im"]
    table = read_classification(small, target="signature", features=features)
    session = Session.start(table, [3, 1, 1], head="ordinal", seed=1)
    trained = session.do(step("train", grids=[3], steps=15))
    assert trained["measure"] == "share of wrong classes"
    assert trained["error_train"] < 0.5 and trained["loss_train"] < session.history()[0]["loss_train"]
    session.do(step("fix", edge=[1, 0, 0], function="x"))
    refitted = session.do(step("refit", steps=10))
    assert refitted["loss_train"] < session.history()[2]["loss_train"] + 1e-9
    assert "signature is the class nearest to" in session.formula()["rule"]
    result = session.result()
    assert result.formula is None
    assert result.metrics["network_accuracy"] == pytest.approx(1 - refitted["error_train"])
    assert sum(map(sum, result.metrics["confusion"])) == len(lines[1::40])
    found = session.predict({"longitude": 5.0})
    assert sum(one["probability"] for one in found["classes"]) == pytest.approx(1)
    again = run_script(session, tmp_path, "knots.csv", features=features)
    assert same(again, session.model) and again.head == session.model.head


def test_a_table_of_twenty_features_by_hand(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(400, 20, generator=generator, dtype=torch.float64) - 1
    names = [f"column {k}" for k in range(20)]
    frame = Dataset.from_arrays(x, x[:, 3] ** 2 + torch.sin(2 * x[:, 7]), feature_names=names).to_frame()
    frame.to_csv(tmp_path / "table.csv", index=False)
    data = superpose.read_csv(tmp_path / "table.csv", target="y", validation=0.2)
    session = Session.start(data, [20, 1])
    session.do(step("train", grids=[5], steps=10))
    entry = session.do(step("prune", threshold=0.05))
    assert entry["edges"] == 2
    session.do(step("fix", edge=[0, 3, 0], function="x^2"))
    session.do(step("fix", edge=[0, 7, 0], function="sin"))
    assert session.do(step("refit"))["error_validation"] < 1e-10
    again = run_script(session, tmp_path, "table.csv", validation=0.2)
    assert same(again, session.model)
    # Another split makes another network, which the script says.
    (tmp_path / "wrong.py").write_text(session.script("table.csv"), encoding="utf-8")
    with contextlib.chdir(tmp_path), pytest.raises(SystemExit, match="read the same file with the same options"):
        runpy.run_path("wrong.py")


@pytest.fixture
def session() -> Session:
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(120, 2, generator=generator, dtype=torch.float64) - 1
    names = ['a"""b\\', "'; import os; '\n\n"]
    y = x[:, 0] * x[:, 1] + 0.05 * torch.randn(120, generator=generator, dtype=torch.float64)
    data = Dataset.from_arrays(x, y, feature_names=names, target_names=["</script>"], validation=0.3)
    model = KAN([2, [0, [2]]], seed=0)
    superpose.fit(model, data, grids=(3,), steps=5, progress=False)
    return Session(model, data)


def test_names_are_texts_in_the_script(session: Session, tmp_path: Path) -> None:
    session.data.to_frame().to_csv(tmp_path / "t.csv", index=False)
    session.do(step("linear", column="'; import os; '\n\n", steps=2))
    session.name(1, '"""\nimport os')
    script = session.script("t.csv", validation=0.3)
    compile(script, "script.py", "exec")
    assert not any(line.startswith("import os") for line in script.splitlines())


@pytest.mark.parametrize(
    "options",
    [{"x=1)\nimport os\n(y": 1}, {"weights": object()}, {"validation": float("nan")}, {"seeds": 1}],
    ids=["code", "object", "nan", "name"],
)
def test_no_script_of_what_is_no_option(options: dict[str, Any], session: Session) -> None:
    with pytest.raises(OptionError):
        session.script("t.csv", **options)


def test_a_table_without_a_file_has_no_script(session: Session) -> None:
    with pytest.raises(OptionError, match="table="):
        session.script()


def test_what_was_saved_comes_back(session: Session, tmp_path: Path) -> None:
    session.do(step("fix", edge=[0, 0, 0], function="x"))
    session.save(tmp_path / "one")
    session.undo()
    session.do(step("refit", steps=2))
    session.name(2, "refitted")
    session.save(tmp_path / "one")
    again = Session.restore(tmp_path / "one")
    assert again.history() == session.history()
    assert all(same(a.model, b.model) for a, b in zip(again.tree.states, session.tree.states, strict=True))
    assert torch.equal(again.data.x, session.data.x) and again.data.feature_names == session.data.feature_names
    again.go(0)
    again.redo()
    assert again.entry["id"] == 2
    assert again.script("t.csv") == session.script("t.csv")


def test_damaged_sessions_are_refused(session: Session, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no session"):
        Session.restore(tmp_path)
    session.do(step("refit", steps=1))
    session.save(tmp_path)
    whole = json.loads((tmp_path / "session.json").read_text())
    for change in (
        {"states": whole["states"][::-1]},
        {"current": 9},
        {"schema": 2},
        {"origin": {"widths": [2], "options": {"path": "/etc"}}},
        {"states": [whole["states"][0], {**whole["states"][1], "step": {"verb": "exec"}}]},
        {"later": [[0, 5]]},
    ):
        (tmp_path / "session.json").write_text(json.dumps({**whole, **change}))
        with pytest.raises(FileError):
            Session.restore(tmp_path)
    (tmp_path / "session.json").write_text(json.dumps(whole))
    table = (tmp_path / "table.safetensors").read_bytes()
    (tmp_path / "table.safetensors").write_bytes(table[: len(table) // 2])
    with pytest.raises(FileError, match="damaged"):
        Session.restore(tmp_path)


def test_predictions_move_with_the_inputs(session: Session) -> None:
    names = session.data.feature_names
    found = json.loads(json.dumps(session.predict({names[0]: 0.5, names[1]: 0.25}), allow_nan=False))
    row = torch.tensor([[0.5, 0.25]], dtype=torch.float64)
    assert found["outputs"][0]["value"] == pytest.approx(float(session.model.values(row)[0, 0]))
    assert found["outputs"][0]["low"] < found["outputs"][0]["value"] < found["outputs"][0]["high"]
    assert found["warnings"] == []
    curve = found["inputs"][0]["curve"]
    at = torch.tensor([[x, 0.25] for x in curve["x"]], dtype=torch.float64)
    assert curve["y"][0] == pytest.approx(session.model.values(at)[:, 0].tolist(), abs=1e-7)
    far = session.predict({names[0]: 7})
    assert "beyond the table's" in far["warnings"][0] and far["inputs"][0]["outside"]
    for bad in ({"z": 1}, {names[0]: "1"}, [1]):
        with pytest.raises(OptionError):
            session.predict(bad)  # type: ignore[arg-type]
