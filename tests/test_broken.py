"""Broken inputs: each gives one sentence and exit code 2, and leaves no file behind."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas
import pytest

from broken_models import BROKEN_MODELS, good_model
from helpers import is_one_sentence, run_python
from superpose.cli import main
from superpose.files import save
from superpose.tasks.regression import search

GOOD = "x,y,f\n" + "".join(f"{n % 7},{0.1 * n:.1f},{n * n}\n" for n in range(40))
FIT = "fit table.csv --target f"


@dataclass(frozen=True)
class Case:
    """A command line, the files around it, and words that its sentence has to hold."""

    line: str
    words: str
    table: str | bytes = GOOD
    prepare: Callable[[], Any] = lambda: None


def table(text: str | bytes, words: str, line: str = FIT) -> Case:
    return Case(line, words, text)


def replaced(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def parquet_of_text() -> None:
    pandas.DataFrame({"x": ["a"] * 20, "f": range(20)}).to_parquet("table.parquet")


TABLES = {
    "a table that is missing": Case("fit tabel.csv --target f", "did you mean 'table.csv'?"),
    "a folder that is missing": Case("fit no/table.csv --target f", "folder does not exist"),
    "a directory for a table": Case("fit . --target f", "is a directory"),
    "an empty table": table("", "is empty"),
    "a table of white space": table(" \n\n", "is empty"),
    "a header and nothing else": table("x,y,f\n", "no rows"),
    "no header": table(GOOD.split("\n", 1)[1], "no header"),
    "too few rows": table("".join(GOOD.splitlines(True)[:3]), "2 rows"),
    "one column": table("f\n" + "1\n2\n3\n" * 9, "one column"),
    "a wrong target": Case("fit table.csv --target F2", "did you mean 'f'?"),
    "a target of another case": Case("fit table.csv --target F", "did you mean 'f'?"),
    "a target that is nothing like any": Case("fit table.csv --target zzz", "'x', 'y', 'f'"),
    "text in a number": table(replaced("3,0.3,9", "3,abc,9"), "line 5: column 'y' holds 'abc'"),
    "text in the target": table(replaced("3,0.3,9", "3,0.3,?"), "line 5: column 'f' holds '?'"),
    "an empty cell": table(replaced("3,0.3,9", "3,,9"), "line 5: column 'y' is empty"),
    "a NaN": table(replaced("3,0.3,9", "3,nan,9"), "column 'y' holds nan"),
    "an infinity": table(replaced("3,0.3,9", "3,0.3,-inf"), "column 'f' holds -inf"),
    "a number too large": table(replaced("3,0.3,9", "3,1e999,9"), "line 5"),
    "a constant target": table("x,f\n" + "".join(f"{n},4\n" for n in range(40)), "the target 'f' is constant"),
    "a constant feature, asked for": Case(
        f"{FIT} --features x",
        "the feature 'x' is constant",
        "x,f\n" + "".join(f"4,{n}\n" for n in range(40)),
    ),
    "features that are all constant": table(
        "x,f\n" + "".join(f"4,{n}\n" for n in range(40)), "no feature beside the target"
    ),
    "features that are all text": table(
        "x,f\n" + "".join(f"a{n},{n}\n" for n in range(40)), "no feature beside the target"
    ),
    "two columns of one name": table(replaced("x,y,f", "x,x,f"), "two columns are named 'x'"),
    "a column without a name": table(replaced("x,y,f", "x,,f"), "column 2 has no name"),
    "a row that is too short": table(replaced("3,0.3,9", "3,0.3"), "line 5: the row has 2 cells"),
    "a row that is too long": table(replaced("3,0.3,9", "3,0.3,9,1"), "line 5: the row has 4"),
    "commas and points mixed": table(
        replaced("3,0.3,9", "3,0x3,9").replace(",", ";").replace("0x3", "0,3"), "mix decimal"
    ),
    "a text file": table("This is no table.\nIt has lines.\n", "the row has 3 cells, but the header names 4 columns"),
    "a workbook": table(b"PK\x03\x04" + bytes(100), "damaged archive (zip) or workbook"),
    "a binary file": table(bytes(range(256)) * 8, "binary"),
    "damaged gzip": table(gzip.compress(GOOD.encode())[:-9], "damaged gzip"),
    "damaged Parquet": table(b"PAR1" + bytes(100) + b"PAR1", "damaged Parquet"),
    "Parquet without a number": Case(
        "fit table.parquet --target f", "no feature beside the target", prepare=parquet_of_text
    ),
    "a model for a table": Case("fit model.safetensors --target f", "binary"),
    "a path with a null": Case("fit a\0b --target f", "cannot be read"),
}

FEATURES = {
    "an unknown feature": Case(f"{FIT} --features x,yy", "did you mean 'y'?"),
    "the target among the features": Case(f"{FIT} --features x,f", "target and a feature at once"),
    "a feature twice": Case(f"{FIT} --features x,x", "named twice"),
    "an empty feature": Case(f"{FIT} --features x,,y", "--features 'x,,y' has an empty name"),
    "no features at all": Case(f"{FIT} --features=", "--features '' has an empty name"),
    "a feature of names": Case(
        f"{FIT} --features x",
        "column 'x' holds text such as 'a0', 40 values in 40 rows",
        "x,y,f\n" + "".join(f"a{n},{0.1 * n:.1f},{n * n}\n" for n in range(40)),
    ),
}

OPTIONS = {
    "no table": Case("fit --target f", "superpose fit needs TABLE"),
    "no target": Case("fit table.csv", "superpose fit needs --target"),
    "an empty target": Case("fit table.csv --target=", "--target is empty"),
    "two tables": Case(f"{FIT} other.csv", "does not know what to do with 'other.csv'"),
    "an unknown command": Case("predcit model.safetensors table.csv", "did you mean 'predict'?"),
    "a command that is none": Case("zzz", "the commands are fit, predict"),
    "a table for a command": Case("table.csv --target f", "superpose fit table.csv --target NAME"),
    "a table of a wild name for a command": Case(
        "a\x1b[2J\nb", "superpose fit", prepare=lambda: Path("a\x1b[2J\nb").touch()
    ),
    "an unknown option": Case(f"{FIT} --sede 1", "did you mean '--seed'?"),
    "an unknown short option": Case(f"{FIT} -x", "has no option '-x'"),
    "an option of the program": Case("--verison", "did you mean '--version'?"),
    "an option without its value": Case(f"{FIT} --grid", "--grid needs a value"),
    "a value for a switch": Case(f"{FIT} --json=yes", "--json takes no value"),
    "a product of one": Case(f"{FIT} --shape p1,1", "3+p2,1 has 3 sums and a product of 2 sums"),
    "sums behind a product": Case(f"{FIT} --shape p2+3,1", "3+p2,1 has 3 sums"),
    "a product that is none": Case(f"{FIT} --shape 0p2,1", "3+p2,1 has 3 sums"),
    "too many factors": Case(f"{FIT} --shape 9999p9999,1", "1 to 1000 nodes"),
    "two products at the end": Case(f"{FIT} --shape 2p2", "must end in 1"),
    "products of a classifier": Case(f"{FIT} --task classification --shape p2,1", "sums only"),
    "a library of classes": Case(f"{FIT} --task classification --library sin", "--library"),
    "a shape of letters": Case(f"{FIT} --shape five", "5,1 is 5 hidden nodes and 1 output"),
    "a shape with two outputs": Case(f"{FIT} --shape 5,2", "must end in 1"),
    "a shape of zero": Case(f"{FIT} --shape 0,1", "1 to 1000 nodes"),
    "a negative shape": Case(f"{FIT} --shape -5,1", "'-5,1' is no shape"),
    "a shape that ends in nothing": Case(f"{FIT} --shape 5,", "is no shape"),
    "a shape in brackets": Case(f"{FIT} --shape [2,5,1]", "is no shape"),
    "a shape of a million": Case(f"{FIT} --shape 1000000,1", "1 to 1000 nodes"),
    "a shape of many layers": Case(f"{FIT} --shape {'5,' * 50}1", "at most 20 layers"),
    "a grid of zero": Case(f"{FIT} --grid 0", "--grid is '0'"),
    "a grid of a fraction": Case(f"{FIT} --grid 2.5", "--grid is '2.5'"),
    "a grid of a billion": Case(f"{FIT} --grid 1000000000", "from 1 to 1000"),
    "a grid of 10,000 digits": Case(f"{FIT} --grid {'9' * 10000}", "from 1 to 1000"),
    "a degree of 6": Case(f"{FIT} --degree 6", "from 1 to 5"),
    "a degree of zero": Case(f"{FIT} --degree 0", "from 1 to 5"),
    "a degree in words": Case(f"{FIT} --degree cubic", "'cubic'"),
    "an unknown optimizer": Case(f"{FIT} --optimizer adam", "did you mean 'adamw'?"),
    "no time": Case(f"{FIT} --time-limit 0", "--time-limit is '0'"),
    "negative time": Case(f"{FIT} --time-limit -5", "above 0"),
    "endless time": Case(f"{FIT} --time-limit inf", "above 0"),
    "time that is no number": Case(f"{FIT} --time-limit nan", "above 0"),
    "time in words": Case(f"{FIT} --time-limit 1min", "'1min'"),
    "a negative seed": Case(f"{FIT} --seed -1", "--seed is '-1'"),
    "a seed in words": Case(f"{FIT} --seed lucky", "'lucky'"),
    "a seed too large": Case(f"{FIT} --seed 9223372036854775808", "--seed"),
    "a file for a folder": Case(f"{FIT} --out model.safetensors", "is a file"),
    "a folder below a file": Case(f"{FIT} --out model.safetensors/out", "below a file"),
    "a folder of too long a name": Case(f"{FIT} --out {'x' * 300}", "too long"),
    "a folder with a null": Case(f"{FIT} --out a\0b", "null"),
    "a mistake in an option before one in the table": Case("fit missing.csv --target f --degree 9", "--degree"),
    "an unknown format": Case("formula model.safetensors --format tex", "text, latex, python, sympy"),
    "an unknown export": Case("export model.safetensors --to onx --out a.onnx", "did you mean 'onnx'?"),
    "an export under another name": Case("export model.safetensors --to onnx --out a.txt", "must end in one of .onnx"),
    "an export over its model": Case(
        "export model.safetensors --to formula --language c --out model.safetensors", "also what is read"
    ),
    "a formula in no language": Case(
        "export model.safetensors --to formula --out a.c", "needs --language, one of text"
    ),
    "a formula in an unknown language": Case(
        "export model.safetensors --to formula --language excell --out a", "did you mean 'excel'?"
    ),
    "a language for a network": Case("export model.safetensors --to c --language c --out a.c", "leave one of them out"),
    "a precision for NumPy": Case(
        "export model.safetensors --to numpy --precision float --out a.py", "leave one of them"
    ),
    "half a precision": Case("export model.safetensors --to c --precision half --out a.c", "one of double, float"),
    "a name that C cannot have": Case("export model.safetensors --to c --out a-b.c", "write network.c"),
    "a hub on a file": Case("export model.safetensors --to hub --out model.safetensors", "is a file"),
    "a hub over another README": Case(
        "export model.safetensors --to hub --out .",
        "is no model card",
        prepare=lambda: Path("README.md").write_text("mine"),
    ),
    "metrics that are none": Case(
        "export model.safetensors --to hub --out .",
        "does not hold the metrics of a run",
        prepare=lambda: Path("metrics.json").write_text("{"),
    ),
    "a picture of another kind": Case("plot model.safetensors --out a.jpg", ".svg, .png, .pdf"),
    "a picture without a name": Case("plot model.safetensors", "superpose plot needs --out"),
    "a picture in no folder": Case("plot model.safetensors --out no/a.svg", "create it first"),
    "a picture on a folder": Case(
        "plot model.safetensors --out a.svg", "is a folder", prepare=lambda: os.mkdir("a.svg")
    ),
    "predictions of another kind": Case("predict model.safetensors table.csv --out p.xlsx", ".parquet"),
    "predictions over their table": Case("predict model.safetensors table.csv --out table.csv", "also what is read"),
    "predictions in no folder": Case("predict model.safetensors table.csv --out no/p.csv", "create it first"),
    "predictions without a table": Case("predict model.safetensors", "superpose predict needs TABLE"),
}

MODELS = {
    "a model that is missing": Case("info modle.safetensors", "did you mean 'model.safetensors'?"),
    "a directory for a model": Case("info .", "such as 'model.safetensors'"),
    "a table for a model": Case("info table.csv", "not a safetensors file"),
    "model and table the wrong way round": Case("predict table.csv model.safetensors", "not a safetensors file"),
    "a table without the model's columns": table(
        replaced("x,y,f", "x,why,f"), "'y'", "predict model.safetensors table.csv"
    ),
    "an empty cell at prediction": table(
        replaced("3,0.3,9", "3,,9"),
        "line 5: column 'y' is empty",
        "predict model.safetensors table.csv --out p.csv",
    ),
    "a table that is missing at prediction": Case(
        "predict model.safetensors tabel.csv --out p.csv", "did you mean 'table.csv'?"
    ),
    "a picture for a table without the columns": table(
        replaced("x,y,f", "x,why,f"), "'y'", "plot model.safetensors table.csv --out a.svg"
    ),
}

COMMANDS_ON_MODELS = (
    "info broken.safetensors",
    "formula broken.safetensors",
    "plot broken.safetensors --out a.svg",
    "predict broken.safetensors table.csv --out p.csv",
    "export broken.safetensors --to numpy --out a.py",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good table and a good model; any search is a failure: it must not have begun."""

    def never(*args: Any, **options: Any) -> None:
        raise AssertionError("the search began")

    monkeypatch.setattr(search, "discover", never)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SUPERPOSE_DEBUG", raising=False)
    save(good_model(), "model.safetensors")
    return tmp_path


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def assert_refused(code: int, out: str, err: str, words: str) -> None:
    assert code == 2, err
    assert out == ""
    assert err.startswith("error: ")
    assert err.endswith("\n") and err.count("\n") == 1
    sentence = err.removeprefix("error: ").rstrip("\n")
    assert is_one_sentence(sentence), sentence
    assert sentence.isprintable()
    assert "superpose." not in sentence.replace("superpose.save", "").replace("superpose.register", "")
    assert words in sentence, sentence


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=name) for name, case in (TABLES | FEATURES | OPTIONS | MODELS).items()],
)
def test_one_sentence_and_nothing_else(case: Case, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = case.table.encode() if isinstance(case.table, str) else case.table
    Path("table.csv").write_bytes(data)
    case.prepare()
    before = contents(folder)
    code = main(case.line.split(" "))
    assert_refused(code, *capsys.readouterr(), case.words)
    assert contents(folder) == before


@pytest.mark.parametrize("name", BROKEN_MODELS)
def test_no_command_takes_a_broken_model(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, words = BROKEN_MODELS[name]
    Path("table.csv").write_text(GOOD)
    make(Path("broken.safetensors"))
    before = contents(folder)
    for line in COMMANDS_ON_MODELS:
        code = main(line.split())
        assert_refused(code, *capsys.readouterr(), words)
        assert contents(folder) == before


@pytest.mark.parametrize(
    "case",
    [
        TABLES["text in a number"],
        OPTIONS["an unknown command"],
        OPTIONS["a shape with two outputs"],
    ],
)
def test_in_a_process_of_its_own(case: Case, folder: Path) -> None:
    assert isinstance(case.table, str)
    Path("table.csv").write_text(case.table)
    before = contents(folder)
    finished = run_python("-m", "superpose", *case.line.split())
    assert_refused(finished.returncode, finished.stdout, finished.stderr, case.words)
    assert contents(folder) == before


@pytest.mark.parametrize(
    "line",
    [
        f"{FIT} --out new",
        f"{FIT} --out new/and/newer",
        f"{FIT} --out .",
        FIT,
        "plot model.safetensors --out a.svg",
        "predict model.safetensors table.csv --out p.csv",
    ],
)
def test_a_disk_that_takes_nothing_is_noticed_before_the_work(
    line: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever runs the tests may be root, whom permissions do not stop."""

    def refuse(*args: Any, **options: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    Path("table.csv").write_text("not even a table")
    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    before = contents(folder)
    code = main(line.split())
    assert_refused(code, *capsys.readouterr(), "Read-only file system")
    assert contents(folder) == before


def test_what_the_cases_start_from_is_good(folder: Path) -> None:
    """Otherwise they might fail for another reason than the one they are named after."""
    Path("table.csv").write_text(GOOD)
    assert main(["predict", "model.safetensors", "table.csv", "--out", "p.csv"]) == 0
    assert main(["plot", "model.safetensors", "table.csv", "--out", "a.svg"]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "discover", _interrupted)
        assert main([*FIT.split(), "--features", "x,y", "--shape", "5,1", "--grid", "3"]) == 130


def _interrupted(*args: Any, **options: Any) -> None:
    raise KeyboardInterrupt
