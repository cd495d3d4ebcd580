"""Models of raw columns: files, formulas, pictures and the command line take the table as people have it."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
import torch

import superpose
from broken_models import joined, parts_of
from helpers import is_one_sentence
from superpose import plot
from superpose.cli.program import main
from superpose.errors import FileError
from superpose.formulas.expressions.formula import Formula

N = 40
FEATURES = ("kind = a", "kind = b", "kind = c", "size", "size is missing", "ringed")


def frame() -> pandas.DataFrame:
    row = numpy.arange(N)
    made = pandas.DataFrame(
        {
            "kind": numpy.array(["a", "b", "c"])[row * 7 % 11 % 3],
            "size": row * 37 % 50 / 7.0,
            "ringed": numpy.array(["yes", "no"])[row % 5 % 2],
        }
    )
    made["f"] = made["size"] + 5 * (made["kind"] == "b")
    made.loc[[3, 4], "size"] = numpy.nan
    return made


@pytest.fixture(scope="module")
def model() -> superpose.KAN:
    """One edge for each column, fitted."""
    return fitted("indicator")


def fitted(missing: str) -> superpose.KAN:
    data = superpose.Dataset.from_frame(frame(), target="f", missing=missing)
    made = superpose.KAN([data.n_features, 1], grid_size=1, degree=1, base="none", seed=0)
    superpose.fit(made, data, steps=3)
    return made


def test_a_model_takes_the_table_as_it_was(model: superpose.KAN, tmp_path: Path) -> None:
    data = superpose.Dataset.from_frame(frame(), target="f", missing="indicator")
    assert model.feature_names == FEATURES and model.preparation == data.preparation
    expected = model.predict(data)
    frame().sample(frac=1, axis=1, random_state=0).to_csv(tmp_path / "t.csv", index=False)
    for table in (frame(), tmp_path / "t.csv", frame()[["kind", "size", "ringed"]].to_numpy(dtype=object), data.x):
        assert numpy.array_equal(model.predict(table), expected)
    assert model.copy().preparation == model.preparation
    plot.network(model, frame())


def test_a_file_keeps_what_became_of_the_columns(model: superpose.KAN, tmp_path: Path) -> None:
    superpose.save(model, tmp_path / "model")
    again = superpose.load(tmp_path / "model")
    assert again.preparation == model.preparation
    assert numpy.array_equal(again.predict(frame()), model.predict(frame()))
    assert parts_of((tmp_path / "model").read_bytes())[1]["schema"] == 6


def test_models_of_numbers_are_written_as_before(tmp_path: Path) -> None:
    superpose.save(superpose.KAN([2, 1], seed=0), tmp_path / "model")
    description = parts_of((tmp_path / "model").read_bytes())[1]
    assert description["schema"] == 5 and "preparation" not in description


def _columns(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda entry: change(entry["columns"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda entry: entry.update(missing="mean"), "'mean'", id="rule"),
        pytest.param(lambda entry: entry.update(notes="x"), "'notes'", id="key"),
        pytest.param(lambda entry: entry.update(columns={}), "columns", id="no list"),
        pytest.param(_columns(lambda columns: columns.append(7)), "not an object", id="no object"),
        pytest.param(_columns(lambda columns: columns[0].update(kind="pickle")), "'pickle'", id="kind"),
        pytest.param(_columns(lambda columns: columns[0].update(kind=["category"])), "no kind", id="kind of no text"),
        pytest.param(_columns(lambda columns: columns[0].pop("rare")), "'rare'", id="field"),
        pytest.param(_columns(lambda columns: columns[0].update(levels=["a", "a"])), "levels", id="level twice"),
        pytest.param(_columns(lambda columns: columns[0].update(levels=["a", 7])), "levels", id="level of no text"),
        pytest.param(_columns(lambda columns: columns[0].update(levels=[])), "too few levels", id="no levels"),
        pytest.param(_columns(lambda columns: columns[0].update(rare=["a"])), "is rare and is not", id="rare"),
        pytest.param(_columns(lambda columns: columns[0].update(other=1)), "neither true nor false", id="truth"),
        pytest.param(_columns(lambda columns: columns[0].update(fill=9)), "fills cells with a level", id="fill"),
        pytest.param(_columns(lambda columns: columns[1].update(fill=10**400)), "should be a number", id="infinity"),
        pytest.param(_columns(lambda columns: columns[1].update(name="")), "has no name", id="no name"),
        pytest.param(_columns(lambda columns: columns[1].update(name=3)), "should be text", id="name of no text"),
        pytest.param(_columns(lambda columns: columns.append(columns[0])), "two columns of one name", id="twice"),
        pytest.param(
            _columns(lambda columns: columns[1].update(name="kind = a", indicator=False)), "two columns", id="clash"
        ),
    ],
)
def test_damaged_preparations_are_refused(
    model: superpose.KAN, tmp_path: Path, change: Callable[[dict[str, Any]], Any], words: str
) -> None:
    superpose.save(model, tmp_path / "model")
    header, description, tensors = parts_of((tmp_path / "model").read_bytes())
    change(description["preparation"])
    header["__metadata__"]["superpose"] = json.dumps(description)
    (tmp_path / "model").write_bytes(joined(header, tensors))
    with pytest.raises(FileError, match="is damaged") as caught:
        superpose.load(tmp_path / "model")
    assert is_one_sentence(str(caught.value)) and words in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"unit": "fortnights"}, "'fortnights'"),
        ({"order": "year"}, "'year'"),
        ({"order": 1}, "should be text"),
        ({"parts": ["minute"]}, "parts of dates"),
        ({"origin": 1e20}, "no date"),
        ({"origin": None}, "should be a number"),
    ],
)
def test_damaged_columns_of_dates_are_refused(tmp_path: Path, entry: dict[str, Any], words: str) -> None:
    raw = frame().assign(day=pandas.Timestamp("2024-01-31") + pandas.to_timedelta(numpy.arange(N), unit="D"))
    data = superpose.Dataset.from_frame(raw, target="f", features=["day"], dates="day:month")
    model = superpose.KAN([3, 1], feature_names=data.feature_names, seed=0)
    model.preparation = data.preparation
    superpose.save(model, tmp_path / "model")
    assert superpose.load(tmp_path / "model").preparation == data.preparation
    header, description, tensors = parts_of((tmp_path / "model").read_bytes())
    description["preparation"]["columns"][0] |= entry
    header["__metadata__"]["superpose"] = json.dumps(description)
    (tmp_path / "model").write_bytes(joined(header, tensors))
    with pytest.raises(FileError, match="is damaged") as caught:
        superpose.load(tmp_path / "model")
    assert is_one_sentence(str(caught.value)) and words in str(caught.value)


def test_a_preparation_in_a_file_of_an_earlier_schema_is_refused(model: superpose.KAN, tmp_path: Path) -> None:
    superpose.save(model, tmp_path / "model")
    header, description, tensors = parts_of((tmp_path / "model").read_bytes())
    header["__metadata__"]["superpose"] = json.dumps(description | {"schema": 5})
    (tmp_path / "model").write_bytes(joined(header, tensors))
    with pytest.raises(FileError, match="'preparation'"):
        superpose.load(tmp_path / "model")


def test_a_formula_takes_the_table_and_says_what_its_columns_are(model: superpose.KAN, tmp_path: Path) -> None:
    formula = Formula.of(model)
    assert numpy.allclose(formula.predict(frame()), model.predict(frame()))
    assert "`kind = b`" in str(formula)
    code = formula.python()
    assert "kind = b: 1 where kind is b, else 0" in code and "size is missing: 1 where size is missing" in code
    (tmp_path / "formula.py").write_text(code)
    space = runpy.run_path(str(tmp_path / "formula.py"))
    columns = superpose.Dataset.from_frame(frame(), target="f", missing="indicator").to_frame()[list(FEATURES)]
    assert numpy.allclose(space["predict"](**columns), model.predict(frame())[:, 0])


def test_rows_that_were_dropped_in_training_get_no_prediction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = fitted("drop")
    found = model.predict(frame())
    assert numpy.flatnonzero(numpy.isnan(found).any(1)).tolist() == [3, 4]
    superpose.save(model, tmp_path / "model")
    frame().assign(kind=["new", *frame()["kind"][1:]]).to_csv(tmp_path / "t.csv", index=False)
    code = main(["predict", str(tmp_path / "model"), str(tmp_path / "t.csv"), "--out", str(tmp_path / "p.csv")])
    errors = capsys.readouterr().err.splitlines()
    assert code == 0 and len(errors) == 2
    assert "the level 'new' in 1 row" in errors[0]
    assert errors[1].startswith("warning: 2 of 40 rows (line 5, line 6) have missing cells")
    written = pandas.read_csv(tmp_path / "p.csv")
    assert written["f_predicted"].isna().to_numpy().nonzero()[0].tolist() == [3, 4]
    assert numpy.allclose(written["f_predicted"][5:], found[5:, 0])


def test_a_table_is_described_before_anything_is_fitted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = str(tmp_path / "t.csv")
    frame().assign(day="2024-01-31", name=[f"n{n}" for n in range(N)]).to_csv(table, index=False)
    assert main(["describe", table, "--target", "f", "--missing", "median", "--json"]) == 0
    columns = {one["name"]: one for one in json.loads(capsys.readouterr().out)["columns"]}
    assert columns["kind"]["kind"] == "category" and columns["kind"]["distinct"] == 3
    assert columns["kind"]["becomes"] == list(FEATURES[:3])
    assert columns["size"]["missing"] == 2 and columns["size"]["role"] == "feature"
    assert columns["ringed"]["kind"] == "boolean" and columns["f"]["role"] == "target"
    assert columns["name"]["role"] == "left out" and columns["day"]["kind"] == "date"
    assert main(["describe", table]) == 0
    assert "refused; say what is done with missing cells" in capsys.readouterr().out
    assert main(["describe", table, "--target", "g"]) == 2
    assert is_one_sentence(capsys.readouterr().err.strip())


def test_networks_made_of_others_keep_it(model: superpose.KAN) -> None:
    from superpose.formulas import compile_formula
    from superpose.nn.parallel import weighted_sum

    data = superpose.Dataset.from_frame(frame(), target="f", missing="indicator")
    formula = Formula.of(model)
    compiled = compile_formula(formula.expressions, splines=formula.splines, data=data)
    for made in (weighted_sum([fitted("indicator"), model], [0.5, 0.5]), compiled):
        assert made.preparation == model.preparation and numpy.isfinite(made.predict(frame())).all()
    assert torch.equal(compiled.features(frame()), data.x)
