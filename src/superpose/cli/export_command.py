"""``superpose export``: models and formulas for programs without superpose."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.choices import EXPORTS, LANGUAGES
from superpose.cli import parsing
from superpose.errors import FileError, OptionError

if TYPE_CHECKING:
    from superpose.nn import KAN

_SUFFIXES = {"onnx": (".onnx",), "numpy": (".py",), "c": (".c",)}
_PRECISIONS = ("double", "float")


def command(
    source: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="a model.safetensors that 'fit' wrote, or the folder of a run"),
    ],
    to: Annotated[str, typer.Option("--to", metavar="|".join(EXPORTS), help="what is written")],
    out: Annotated[str, typer.Option("--out", metavar="PATH", help="the file; a folder for hub")],
    language: Annotated[
        str | None, typer.Option("--language", metavar="NAME", help=f"Of a formula: {', '.join(LANGUAGES)}.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", metavar="double|float", help="Of C; double if left out.")
    ] = None,
) -> Callable[[], None]:
    """Write a model for programs without superpose.

    As ONNX, as a NumPy module, as C99 (a .c and a .h), as a folder for a model hub, or its formula as code.
    """
    parsing.one_of("--to", to, EXPORTS)
    if to == "formula":
        if language is None:
            raise OptionError(f"--to formula needs --language, one of {', '.join(LANGUAGES)}")
        parsing.one_of("--language", language, LANGUAGES)
    elif language is not None:
        raise OptionError(f"--language is for --to formula, and --to is {to}; leave one of them out")
    if precision is not None:
        if to != "c":
            raise OptionError(f"--precision is for --to c, and --to is {to}; leave one of them out")
        parsing.one_of("--precision", precision, _PRECISIONS)
    model_file, metrics = _files_of(source)
    if to == "hub":
        parsing.folder("--out", out, out)
    else:
        parsing.check_file("--out", out, _SUFFIXES.get(to, ("",)), model_file)
    if to == "c" and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", Path(out).stem):
        raise OptionError(
            f"--out {parsing.quoted(out)} gives the functions their name, which must be a letter and up to 30 letters, "
            "digits and underscores; write network.c"
        )
    return functools.partial(_export, model_file, metrics, to, out, language or "", precision or "double")


def _files_of(source: str) -> tuple[str, str]:
    """The model file that is meant, and where the metrics of its run would be."""
    inside = os.path.join(source, "model.safetensors")
    model = inside if os.path.exists(inside) else source
    return model, os.path.join(os.path.dirname(model), "metrics.json")


def _export(model_file: str, metrics: str, to: str, out: str, language: str, precision: str) -> None:
    from superpose import export
    from superpose.files import load, write_atomically

    model = load(model_file)
    if to == "onnx":
        export.onnx(model, out)
    elif to == "numpy":
        write_atomically(out, export.numpy_module(model).encode())
    elif to == "c":
        for name, text in export.c99(model, name=Path(out).stem, precision=precision).items():
            write_atomically(Path(out).with_name(name), text.encode())
    elif to == "hub":
        export.hub(model, out, metrics=_read_metrics(metrics))
    else:
        write_atomically(out, _code(model, language).encode("utf-8", errors="surrogatepass"))


def _code(model: KAN, language: str) -> str:
    from superpose.export import code
    from superpose.formulas.expressions.formula import Formula

    formula = Formula.read(model)
    if language == "numpy":
        from superpose.tasks.classification.python_code import python_module

        return python_module(formula, model.head)
    return code(formula, language)


def _read_metrics(path: str) -> Any:
    """The metrics of a run; None where there are none."""
    if not os.path.exists(path):
        return None
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise FileError(f"{parsing.quoted(path)} does not hold the metrics of a run; move it away, or run fit again")
    return found
