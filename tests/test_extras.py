"""Every optional package belongs to an extra, and the sentence that misses it names that extra."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import ROOT, SOURCE, is_one_sentence
from superpose.errors import SuperposeError

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# For those who work on the package, or measure it.
OF_DEVELOPERS = {"test", "bench", "discovery"}
# Packages by the names under which they are imported, where these differ.
IMPORTED = {"scikit-learn": "sklearn"}
# Used where they are there, and by nothing that asks for them by an extra: the peers of `compare` that are named with
# pip's own name, clusters that a person has set up, and what scikit-learn brings.
WITHOUT_EXTRA = {"interpret", "tabpfn", "polars", "ray", "dask", "distributed", "IPython", "scipy", "threadpoolctl"}


def names_of(requirements: list[str]) -> set[str]:
    names = {re.split(r"[<>=\[ ]", one, maxsplit=1)[0] for one in requirements}
    return {IMPORTED.get(name, name) for name in names}


EXTRAS = {
    extra: names_of(found) for extra, found in PROJECT["optional-dependencies"].items() if extra not in OF_DEVELOPERS
}


def compare(folder: Path) -> None:
    import pandas

    from superpose import compare

    compare(pandas.DataFrame({"x": range(40), "y": [k * k for k in range(40)]}), "y")


def onnx(folder: Path) -> None:
    from superpose import KAN, export

    export.onnx(KAN([1, 1]), folder / "model.onnx")


def excel(folder: Path) -> None:
    import zipfile

    from superpose.data import read_table

    with zipfile.ZipFile(folder / "t.xlsx", "w") as archive:
        archive.writestr("[Content_Types].xml", "")
        archive.writestr("xl/workbook.xml", "")
    read_table(folder / "t.xlsx")


def duckdb(folder: Path) -> None:
    from superpose.data import read_table

    (folder / "t").write_bytes(bytes(8) + b"DUCK" + bytes(100))
    read_table(folder / "t")


def sklearn(folder: Path) -> None:
    spec = importlib.util.spec_from_file_location("estimators_again", SOURCE / "superpose" / "sklearn" / "__init__.py")
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def units(folder: Path) -> None:
    from superpose.formulas.units.reading import registry

    registry.__wrapped__()


def sweep(folder: Path) -> None:
    from superpose import parallel

    parallel.check_jobs(2)


def sweep_bar(folder: Path) -> None:
    from superpose.tasks.sweeps.progress import bar

    bar("tqdm", 1, 0)


def plotly(folder: Path) -> None:
    from superpose import plot

    plot.interactive(plot.parity([1.0, 2.0], [1.0, 2.0]))


def studio(folder: Path) -> None:
    from superpose.studio.server import serve

    serve(folder / "missing.csv", browser=False)


def notebook(folder: Path) -> None:
    from superpose import KAN, Dataset, widget

    widget(KAN([1, 1]), Dataset.from_arrays([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0]))


# What asks for each package of each extra.
PROVOKED: dict[tuple[str, str], Callable[[Path], None]] = {
    ("compare", "sklearn"): compare,
    ("onnx", "onnx"): onnx,
    ("excel", "openpyxl"): excel,
    ("duckdb", "duckdb"): duckdb,
    ("sklearn", "sklearn"): sklearn,
    ("units", "pint"): units,
    ("plotly", "plotly"): plotly,
    ("sweep", "joblib"): sweep,
    ("sweep", "tqdm"): sweep_bar,
    ("studio", "starlette"): studio,
    ("studio", "uvicorn"): studio,
    ("notebook", "anywidget"): notebook,
    ("notebook", "traitlets"): notebook,
}


def test_every_extra_is_tried() -> None:
    assert set(PROVOKED) == {(extra, package) for extra, packages in EXTRAS.items() for package in packages}
    pinned = names_of(PROJECT["optional-dependencies"]["test"])
    assert set().union(*EXTRAS.values()) <= pinned


@pytest.mark.parametrize(("extra", "package"), sorted(PROVOKED))
def test_the_sentence_that_misses_a_package_names_its_extra(
    extra: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == package else real(name, *more))
    with pytest.raises(SuperposeError) as caught:
        PROVOKED[extra, package](tmp_path)
    message = str(caught.value)
    assert f"pip install 'superpose[{extra}]'" in message and is_one_sentence(message), message


def test_every_package_that_is_imported_is_required_or_has_an_extra() -> None:
    known = names_of(PROJECT["dependencies"]).union(*EXTRAS.values()) | WITHOUT_EXTRA | {"superpose"}
    found = {
        name
        for path in (SOURCE / "superpose").rglob("*.py")
        for name in re.findall(
            r"^ *(?:import|from(?=.* import )) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    assert {"torch", "pint"} <= found and found - set(sys.stdlib_module_names) - known == set()
