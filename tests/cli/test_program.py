"""The program itself: help, mistakes, failures, and what it prints to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import superpose
from cli_cases import run, symbolic_model
from helpers import SOURCE, is_one_sentence, run_python
from superpose.cli.program import app
from superpose.files import save

FILE_OPTIONS = "--where CONDITION --exclude A,B --sheet NAME --query --decimal --encoding NAME"


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"superpose {superpose.__version__}\n"
    assert run("") == 0
    bare = capsys.readouterr().out
    assert run("--help") == 0
    assert capsys.readouterr().out == bare
    assert all(name in bare for name in ("fit", "predict", "formula", "plot", "info", "relations", "compare"))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "fit",
            "TABLE --target NAME --features A,B --out DIR --shape auto|5,1 --grid N --degree K "
            "--optimizer lm|lbfgs|adamw --time-limit SECONDS --seed N --no-formula --parameters N --json --quiet "
            "--resume --all-columns --log-target auto|yes|no "
            "--task --head --library --linear --combine --test FILE --test-share SHARE "
            "--increasing A,B --decreasing A,B --even A,B --odd A,B --at --lower VALUE --upper VALUE "
            "--units --form TEXT --bound K=0..1 --start K=0.1 --no-search "
            "--cv K --split random|time:COLUMN|group:COLUMN --weights COLUMN --sigma COLUMN "
            "--missing error|drop|median|indicator --categories A,B|none --dates A:hour,weekday|none "
            f"{FILE_OPTIONS}",
        ),
        (
            "compare",
            "TABLE --target NAME --features A,B --task --cv K --methods --time-limit SECONDS --seed N --out DIR --json "
            f"--quiet --jobs N --missing --categories --dates {FILE_OPTIONS}",
        ),
        ("describe", f"TABLE --target NAME --features A,B --missing --categories --dates --json {FILE_OPTIONS}"),
        ("predict", f"MODEL TABLE --out FILE --probabilities --interval {FILE_OPTIONS}"),
        ("formula", "MODEL --format text|latex|python|sympy"),
        ("plot", "MODEL [TABLE] --out FILE"),
        ("info", "MODEL --json"),
        ("export", "MODEL --to onnx|numpy|c|hub|formula --out PATH --language NAME --precision double|float"),
    ],
)
def test_each_command_explains_itself(command: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"{command} --help") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for word in words.split():
        assert word in printed.out
    options = set(re.findall(r"--[a-z-]+", printed.out))
    assert options == {word for word in words.split() if word.startswith("--")} | {"--help"}


def single_valued() -> list[tuple[str, str]]:
    """Every command with each of its options that takes one value."""
    group: Any = typer.main.get_command(app)
    return [
        (name, parameter.opts[0])
        for name, command in group.commands.items()
        for parameter in command.params
        if parameter.param_type_name == "option" and not parameter.is_flag and not parameter.multiple
    ]


@pytest.mark.parametrize(("command", "option"), single_valued())
@pytest.mark.parametrize("form", ["{0} p {0} q", "{0}=p {0} p"])
def test_an_option_of_one_value_is_given_once(
    command: str, option: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--target p --target q` learnt q from p without a word."""
    assert run(f"{command} table.csv {form.format(option)}") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert is_one_sentence(printed.err.strip())
    assert f"{option} is given 2 times" in printed.err


def test_options_of_several_values_and_flags_may_stand_often(asked: list[Any], unwritten: None) -> None:
    assert run("fit table.csv --target f --features x --features y --quiet --quiet") == 0
    # What stands in the place of a value is one, even if it is called like an option.
    assert run("info model.safetensors --json --json") == 0
    assert run("fit table.csv --out --target --target f --quiet") == 0
    assert len(asked) == 2


def test_the_module_is_the_same_program(folder: Path) -> None:
    finished = run_python("-m", "superpose", "info", str(folder / "model.safetensors"), "--json")
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["widths"] == [2, 1]


def test_help_and_mistakes_in_options_do_without_torch() -> None:
    """The package's door is left out here: it is the command line's own modules that count."""
    script = (
        "import sys, types; package = types.ModuleType('superpose');"
        f"package.__path__ = [{str(SOURCE / 'superpose')!r}]; sys.modules['superpose'] = package;"
        "from superpose.cli import main;"
        "assert main(['fit', '--help']) == 0; assert main(['fit', 't', '--grid', 'x']) == 2;"
        "assert main(['fit', 't', '--target', 'f', '--grid', 'x']) == 2;"
        "print(*{'torch', 'numpy', 'pandas', 'sympy', 'matplotlib'} & set(sys.modules), 'end')"
    )
    finished = run_python("-c", script)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[-1] == "end"


def test_a_failure_of_ours_is_owned_up_to(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*args: Any) -> None:
        raise KeyError("inner")

    monkeypatch.setattr("superpose.files.load", fail)
    assert run("info model.safetensors") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert is_one_sentence(printed.err.strip())
    assert "SUPERPOSE_DEBUG=1" in printed.err
    assert "superpose/" not in printed.err
    monkeypatch.setenv("SUPERPOSE_DEBUG", "1")
    assert run("info model.safetensors") == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_full_disk_is_not_our_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*args: Any) -> None:
        raise OSError(28, "No space left on device", "out/x")

    monkeypatch.setattr("superpose.files.load", fail)
    assert run("info model.safetensors") == 2
    assert capsys.readouterr().err == "error: 'out/x': No space left on device\n"


def test_a_reader_that_has_had_enough_is_no_error(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    with os.fdopen(writing, "wb") as closed:
        finished = subprocess.run(
            [sys.executable, "-m", "superpose", "info", str(folder / "model.safetensors")],
            stdout=closed,
            stderr=subprocess.PIPE,
            env=environment,
            timeout=120,
            check=False,
        )
    assert finished.stderr == b""
    assert finished.returncode == 0


def test_names_survive_a_terminal_that_has_no_letters_for_them(folder: Path) -> None:
    save(symbolic_model(feature_names=["größe", "y"]), "model.safetensors")
    environment = os.environ | {
        "PYTHONPATH": str(SOURCE),
        "OMP_NUM_THREADS": "1",
        "PYTHONIOENCODING": "ascii",
    }
    finished = subprocess.run(
        [sys.executable, "-m", "superpose", "info", "model.safetensors"],
        capture_output=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert b"gr\\xf6\\xdfe" in finished.stdout
