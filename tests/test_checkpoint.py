"""Checkpoints: a run that is stopped anywhere goes on, and ends as if nothing had happened."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sympy
import torch

from helpers import is_one_sentence
from superpose.checkpoint import Checkpoint, folder
from superpose.checkpoint.expressions import as_lists, from_lists
from superpose.checkpoint.stages import Stages
from superpose.checkpoint.values import SHARED, Packed, unpack
from superpose.cli import main
from superpose.data import Dataset
from superpose.deadline import Deadline
from superpose.errors import OptionError
from superpose.formulas.from_scores.one_score import ScoreFormula
from superpose.nn import KAN
from superpose.partial import Failures
from superpose.stopping import StopReason
from superpose.tasks.classification import ClassificationDataset, ClassifyOptions, classify
from superpose.tasks.regression import DiscoverOptions, discover
from superpose.train import History, Record, SearchResult
from superpose.train.architecture_search import prepared
from superpose.train.budget import Budget
from superpose.train.state import RunState, State

DOUBLE = torch.float64
X, Y = sympy.Symbol("x", real=True), sympy.Symbol("a b", real=True)


class Killed(BaseException):
    """Stands in for the end of the process."""


def values(count: int = 120) -> torch.Tensor:
    return torch.rand(count, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))


def table() -> Dataset:
    x = values()
    return Dataset.from_arrays(x, x[:, :1] + x[:, 1:] ** 2, feature_names=["x", "y"], target_names=["f"])


def through_json(value: Any, *kinds: type) -> Any:
    packed = Packed(value, (*SHARED, *kinds))
    return unpack(json.loads(json.dumps(packed.json, allow_nan=False)), packed.tensors, (*SHARED, *kinds))


@pytest.mark.parametrize(
    "expression",
    [
        2 * X + sympy.sin(sympy.pi * X) ** 2,
        sympy.Mul(2, sympy.Add(X, 1, evaluate=False), evaluate=False),
        sympy.Add(Y, X, X, evaluate=False),
        sympy.Pow(sympy.Mul(1, X, evaluate=False), 1, evaluate=False),
        sympy.exp(-sympy.Float(0.1, 12) * X) + sympy.Float("1e-400", 40) / Y,
        sympy.Rational(-3, 7) * sympy.Abs(X) + sympy.E + sympy.I,
        sympy.Function("spline_0_1_0", real=True)(X + 1) * sympy.sign(Y),
        sympy.log(sympy.tanh(X), evaluate=False) + sympy.asin(X),
        sympy.nan,
        sympy.Symbol("t", positive=True) * sympy.Symbol("z"),
    ],
    ids=str,
)
def test_expressions_come_back_node_by_node(expression: sympy.Expr) -> None:
    again = from_lists(json.loads(json.dumps(as_lists(expression))))
    assert again == expression and sympy.srepr(again) == sympy.srepr(expression)
    assert [n._prec for n in again.atoms(sympy.Float)] == [n._prec for n in expression.atoms(sympy.Float)]


@pytest.mark.parametrize(
    "lists",
    [["system", ["Integer", "1"]], ["Integer", 1], ["Symbol", "x", "odd"], ["Float", 0], [], 7, ["Add", "x"], ["sin"]],
)
def test_other_lists_are_no_expressions(lists: Any) -> None:
    with pytest.raises(OptionError):
        from_lists(lists)


def test_an_expression_that_would_not_come_back_is_refused() -> None:
    with pytest.raises(OptionError):
        as_lists(sympy.Piecewise((X, X > 0), (0, True)))


def test_values_come_back_with_every_bit_and_as_the_same_objects() -> None:
    model = KAN([2, 3, 1], seed=1, feature_names=["x", "y"])
    model.layer(0).set_symbolic({(0, 0): ("x^2", (1.0, 0.0, 1.0, 0.1))})
    record = Record(0, "start", 3, 0.1, float("nan"), 0.1)
    history = History([record, record], "lm", stop=StopReason.TIME_LIMIT, notes=["a"])
    value = (model, history, {"a": [1, 2.5, None, float("-inf")], 3: torch.arange(4)}, model, X**2)
    again = through_json(value)
    assert again[0] is again[3] and again[1].records[0] is again[1].records[1]
    assert all(torch.equal(one, again[0].state_dict()[name]) for name, one in model.state_dict().items())
    assert again[0].layer(0).symbolic_table() == model.layer(0).symbolic_table()
    assert again[1].stop is StopReason.TIME_LIMIT and again[1].notes == ["a"]
    assert again[2]["a"] == value[2]["a"] and torch.equal(again[2][3], value[2][3]) and again[4] == X**2


def test_what_a_checkpoint_cannot_hold() -> None:
    with pytest.raises(TypeError, match="Deadline"):
        Packed([Deadline()], SHARED)
    model = KAN([1, 1])
    with torch.no_grad():
        model.layer(0).coefficients[:] = float("nan")
    with pytest.raises(OptionError):
        Packed(model, SHARED)
    for json_value in ({"kind": "Popen", "parts": ["ls"]}, {"kind": "tensor", "parts": ["t0"]}, {"kind": "tuple"}):
        with pytest.raises(OptionError):
            unpack(json_value, {}, SHARED)


def squares(place: Path, log: list[int], *, resume: bool = True, stop: int = 5, **run: Any) -> list[torch.Tensor]:
    """A run of five stages; ``log`` gets the numbers of those that are computed."""
    checkpoint = Checkpoint(place, resume=resume)
    checkpoint.begin({"seed": 0, **run})
    stages = Stages(checkpoint)

    def square(number: int) -> torch.Tensor:
        log.append(number)
        return torch.tensor([float(number**2)])

    found = []
    for number in range(5):
        if number == stop:
            raise Killed
        found.append(stages.run("square", lambda number=number: square(number)))  # type: ignore[misc]
    assert [float(one) for one in found] == [0, 1, 4, 9, 16]
    return found


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    # In a number: the file still looks like one.
    data[-2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [cut, flip, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("number", [0, 2])
def test_a_damaged_stage_and_those_behind_it_do_not_count(
    tmp_path: Path, harm: Callable[[Path], Any], number: int
) -> None:
    place, log = tmp_path / "checkpoint", []
    with pytest.raises(Killed):
        squares(place, log, stop=4)
    assert log == [0, 1, 2, 3]
    harm(place / f"{number:04d}.safetensors")
    log.clear()
    with pytest.raises(Killed):
        squares(place, log, stop=3)
    # Nothing is left of what was behind the damage.
    assert log == list(range(number, 3)) and len(list(place.glob("*.safetensors"))) == 3
    log.clear()
    squares(place, log)
    assert log == [3, 4]


def test_a_run_that_does_not_resume_begins_anew_and_removes_only_its_own_files(tmp_path: Path) -> None:
    log: list[int] = []
    with pytest.raises(Killed):
        squares(tmp_path, log, stop=3)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(Killed):
        squares(tmp_path, log, resume=False, stop=1, seed=1)
    assert log == [0, 1, 2, 0] and len(list(tmp_path.glob("*.safetensors"))) == 1
    checkpoint = Checkpoint(tmp_path, resume=True)
    checkpoint.begin({"seed": 1})
    assert checkpoint.resumed and not checkpoint.empty
    checkpoint.remove()
    assert os.listdir(tmp_path) == ["notes.txt"]


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"run": 1, "id": "a"}'])
def test_a_damaged_description_is_nothing_to_resume(tmp_path: Path, content: str | None) -> None:
    log: list[int] = []
    with pytest.raises(Killed):
        squares(tmp_path, log, stop=2)
    (tmp_path / "run.json").unlink() if content is None else (tmp_path / "run.json").write_text(content)
    squares(tmp_path, log)
    assert log == [0, 1, 0, 1, 2, 3, 4]


def test_another_run_is_one_sentence_and_loses_nothing(tmp_path: Path) -> None:
    log: list[int] = []
    with pytest.raises(Killed):
        squares(tmp_path, log, stop=2, options={"seed": 0, "linear": ["x"]}, table="abc")
    for changes, words in (
        ({"options": {"seed": 1, "linear": ["x"]}, "table": "abc"}, "with seed '0' and not '1'"),
        ({"options": {"seed": 0, "linear": []}, "table": "abc"}, "with linear x and not nothing"),
        ({"options": {"seed": 0, "linear": ["x"]}, "table": "xyz"}, "on a table with other contents"),
    ):
        with pytest.raises(OptionError, match=words) as caught:
            squares(tmp_path, log, **changes)
        assert is_one_sentence(str(caught.value))
    squares(tmp_path, log, options={"seed": 0, "linear": ["x"]}, table="abc")
    assert log == [0, 1, 2, 3, 4]


def test_stages_that_do_not_depend_on_changed_options_are_kept(tmp_path: Path) -> None:
    names = ("screening", "laws of target 0", "network [2, 1]", "formula of the network [2, 1]")
    run = {"task": "regression", "options": {"functions": None, "seed": 0}, "table": "1"}
    first = Checkpoint(tmp_path)
    first.begin(run)
    for number, name in enumerate(names):
        first.write(folder.Stage(name, float(number), {"is": name}, {}))
    other = {**run, "options": {"functions": ["exp"], "seed": 0}}
    with pytest.raises(OptionError):
        Checkpoint(tmp_path, resume=True).begin(other)
    with pytest.raises(OptionError, match="on a table with other contents"):
        Checkpoint(tmp_path, resume=True, kept=("screening",)).begin({**other, "table": "2"})
    changed = Checkpoint(tmp_path, resume=True, kept=("screening", "network ["))
    changed.begin(other)
    # Killed now, it goes on from these as a run with the options of now.
    again = Checkpoint(tmp_path, resume=True)
    again.begin(other)
    for one in (changed, again):
        assert [name for name in names if one.get(name) is not None] == ["screening", "network [2, 1]"]


def test_the_clock_and_the_failures_of_before_count(tmp_path: Path, lenient: None) -> None:
    for resume in (False, True):
        checkpoint = Checkpoint(tmp_path, resume=resume)
        checkpoint.begin({})
        deadline, failures = Deadline(100), Failures()
        half, stages = deadline.share(0.5), Stages(checkpoint, deadline, failures)

        def compute(deadline: Deadline = deadline, failures: Failures = failures) -> int:
            deadline.clock.advance(60)
            with failures.part("this failed"):
                raise ZeroDivisionError
            return 7

        assert stages.run("slow", compute) == 7
        assert 60 <= deadline.elapsed() < 70 and half.passed() and not deadline.passed()
        assert failures.sentences == ["this failed (ZeroDivisionError)"] and len(failures.tracebacks) == 1


def test_what_was_interrupted_is_no_finished_stage(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    checkpoint.begin({})
    assert Stages(checkpoint).run("part", lambda: 1, keep=lambda value: value > 1) == 1
    assert checkpoint.empty and not checkpoint.folder.exists()


def test_a_checkpoint_that_cannot_be_written_costs_itself(
    tmp_path: Path, lenient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "write_atomically", fail)
    result = discover(table(), DiscoverOptions(shape=(1,), time_limit=300), checkpoint=Checkpoint(tmp_path))
    assert str(result.formula) == "x + y**2"
    expected = "the checkpoint could not be written (No space left on device); the run goes on without it"
    assert result.metrics["warnings"] == [expected]


def killed_after(count: int, monkeypatch: pytest.MonkeyPatch, run: Callable[[], Any]) -> None:
    """Run until so many stages are written, and no further."""
    write, written = Checkpoint.write, []

    def watched(self: Checkpoint, stage: folder.Stage) -> None:
        if len(written) == count:
            raise Killed
        written.append(stage.name)
        write(self, stage)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "write", watched)
        with pytest.raises(Killed):
            run()


@pytest.mark.parametrize(
    ("shape", "counts"),
    # Laws, network of the formula, network, final network; or network, formula, network of the formula, final network.
    [("auto", (2,)), ((1,), (1, 3))],
)
def test_a_killed_search_goes_on_to_the_same_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: Any, counts: tuple[int, ...]
) -> None:
    data, options = table(), DiscoverOptions(shape=shape, time_limit=300)
    alone = discover(data, options)
    for count in counts:
        place = tmp_path / str(count)
        killed_after(count, monkeypatch, lambda place=place: discover(data, options, checkpoint=Checkpoint(place)))
        checkpoint = Checkpoint(place, resume=True)
        result = discover(data, options, checkpoint=checkpoint)
        assert checkpoint.resumed and len(list(place.glob("*.safetensors"))) == 4
        assert result.formula == alone.formula
        assert torch.equal(result.model(data.x), alone.model(data.x))
        assert torch.equal(result.network(data.x), alone.network(data.x))
        assert result.metrics | {"seconds": 0} == alone.metrics | {"seconds": 0}
    with pytest.raises(OptionError, match="with seed"):
        discover(data, DiscoverOptions(shape=shape, time_limit=300, seed=1), checkpoint=checkpoint)
    with pytest.raises(OptionError, match="other contents"):
        discover(Dataset.from_arrays(data.x, -data.y), options, checkpoint=checkpoint)


def test_a_killed_search_for_a_network_goes_on_to_the_same_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = values(60)

    def run(place: Path | None) -> SearchResult:
        stage = None
        if place is not None:
            checkpoint = Checkpoint(place, resume=True)
            checkpoint.begin({})
            stage = Stages(checkpoint, kinds=(RunState, State)).run
        # A budget of steps ends the search, and those before the kill count.
        return prepared((x, torch.sin(3 * x[:, :1])), Budget(steps=400), shapes=[(), (1,)], degree=3, stage=stage).run()

    alone = run(None)
    for count in (1, 3):
        killed_after(count, monkeypatch, lambda count=count: run(tmp_path / str(count)))
        found = run(tmp_path / str(count))
        assert torch.equal(found.model(x), alone.model(x)) and found.tried == alone.tried
        assert found.stop is alone.stop is StopReason.STEP_BUDGET
        losses = [[record.validation_loss for record in one.history.records] for one in (found, alone)]
        assert losses[0] == losses[1]


def test_a_killed_classifier_goes_on_to_the_same_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = 2 * values() - 1
    data = ClassificationDataset.from_arrays(x, ["in" if a * a + b * b < 0.5 else "out" for a, b in x.tolist()])
    options = ClassifyOptions(time_limit=300, formula=False, shape=(1,), grid_size=3)
    alone = classify(data, options)
    killed_after(1, monkeypatch, lambda: classify(data, options, checkpoint=Checkpoint(tmp_path)))
    checkpoint = Checkpoint(tmp_path, resume=True)
    result = classify(data, options, checkpoint=checkpoint)
    assert checkpoint.resumed and result.head == alone.head
    assert torch.equal(result.network(x), alone.network(x))
    assert result.metrics | {"seconds": 0} == alone.metrics | {"seconds": 0}


def test_formulas_of_scores_come_back() -> None:
    found = [[ScoreFormula(X**2 - sympy.Float(0.1), 0.3, 1.5, 5, 20.0)], []]
    assert through_json(found, ScoreFormula) == found


def test_the_program_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{a!r},{b!r},{a + b * b!r}" for a, b in values().tolist()]
    Path("table.csv").write_text("\n".join(["x,y,f", *rows]))
    monkeypatch.setattr("superpose.report.write", lambda *given, **options: {})
    line = ["fit", "table.csv", "--target", "f", "--shape", "1", "--out", "out", "--time-limit", "300", "--resume"]
    killed_after(2, monkeypatch, lambda: main(line))
    assert len(list(Path("out/checkpoint").iterdir())) == 3
    assert main([*line, "--seed", "1"]) == 2
    said = capsys.readouterr().err
    assert "was begun with seed '0' and not '1'" in said and is_one_sentence(said.strip())
    assert main([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["resumed"] is True and found["formula"] == "x + y**2"
    # The run is complete.
    assert not Path("out/checkpoint").exists()


def test_nothing_to_resume_and_interruptions_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{a!r},{b!r},{a + b * b!r}" for a, b in values().tolist()]
    Path("table.csv").write_text("\n".join(["x,y,f", *rows]))
    from superpose.tasks.regression import search

    real = search.discover

    def interrupted(*given: Any, **options: Any) -> Any:
        result = real(*given, **options)
        result.metrics["interrupted"] = True
        return result

    monkeypatch.setattr(search, "discover", interrupted)
    monkeypatch.setattr("superpose.report.write", lambda *given, **options: {})
    line = ["fit", "table.csv", "--target", "f", "--shape", "1", "--out", "out", "--time-limit", "300", "--resume"]
    assert main(line) == 0
    printed = capsys.readouterr().out
    assert "there was nothing to resume in out; the run began anew" in printed
    assert "the same command with --resume goes on where it was" in printed
    assert len(list(Path("out/checkpoint").iterdir())) == 5

    def stopped(*given: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    # All is found already, and an interruption while the files are written loses nothing.
    monkeypatch.setattr("superpose.report.write", stopped)
    assert main(line) == 130
    said = capsys.readouterr().err
    assert said == "error: interrupted; the same command with --resume goes on where it was\n"
