"""Twenty laws of textbooks, as code of every language that is at hand, have the values of the formula."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from formula_cases import PROGRAMS, RUNNERS, formula_of, imported, run_sql
from textbook_cases import COLUMNS, LAWS, rows

from superpose.export import code

WHOLE = COLUMNS.index("order by")


def run_numpy(text: str, x: np.ndarray, targets: int, folder: Path) -> np.ndarray:
    module = imported(text, folder, {"numpy"})
    return np.stack(module.predict(**dict(zip(COLUMNS, x.T, strict=True))), -1)


def run_sqlite(text: str, x: np.ndarray, targets: int, folder: Path) -> np.ndarray:
    return run_sql(text, x, targets, folder, COLUMNS)


def run_duckdb(text: str, x: np.ndarray, targets: int, folder: Path) -> np.ndarray:
    """With a column of whole numbers, whose quotients must not be whole."""
    import duckdb

    names = ['"' + name.replace('"', '""') + '"' for name in COLUMNS]
    kinds = ["INTEGER" if k == WHOLE else "DOUBLE" for k in range(len(COLUMNS))]
    with duckdb.connect() as base:
        base.execute(f"CREATE TABLE observations ({', '.join(map(' '.join, zip(names, kinds, strict=True)))})")
        base.executemany(f"INSERT INTO observations VALUES ({', '.join('?' * len(names))})", x.tolist())
        return np.array(base.execute(text).fetchall(), dtype=float)


def run_spreadsheet(text: str, x: np.ndarray, targets: int, folder: Path) -> np.ndarray:
    """LibreOffice computes a workbook with the formulas beside every row."""
    import openpyxl

    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(list(COLUMNS))
    lines = [line for line in text.splitlines() if line.startswith("=")]
    for number, row in enumerate(x.tolist(), start=2):
        book.active.append([*row, *(re.sub(r"\b([A-L])2\b", rf"\g<1>{number}", line) for line in lines)])
    book.save(folder / "in.xlsx")
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    convert = ["soffice", "--headless", profile, "--convert-to", "xlsx:Calc MS Excel 2007 XML"]
    convert += ["--outdir", str(folder / "out"), str(folder / "in.xlsx")]
    subprocess.run(convert, check=True, capture_output=True, timeout=120)
    sheet = openpyxl.load_workbook(folder / "out" / "in.xlsx", data_only=True).active
    assert sheet is not None
    return np.array([row[len(COLUMNS) :] for row in sheet.iter_rows(min_row=2, values_only=True)], dtype=float)


LANGUAGES = {
    **{(name, name): runner for name, runner in RUNNERS.items() if name != "sql"},
    ("numpy", "numpy"): run_numpy,
    ("sql", "sqlite"): run_sqlite,
    ("sql", "duckdb"): run_duckdb,
    ("excel", "soffice"): run_spreadsheet,
}


@pytest.mark.parametrize(("language", "program"), sorted(LANGUAGES))
def test_laws_of_textbooks_have_their_values_in_every_language(language: str, program: str, tmp_path: Path) -> None:
    needed = {**PROGRAMS, "soffice": "soffice"}.get(program)
    if program == "soffice" and not os.environ.get("SUPERPOSE_OFFICE"):
        pytest.skip("a spreadsheet program takes several seconds; set SUPERPOSE_OFFICE=1")
    if needed is not None and shutil.which(needed) is None:
        pytest.skip(f"{needed} is not installed")
    formula, x = formula_of(list(LAWS.values()), COLUMNS), rows()
    wanted = formula.predict(x)
    assert len(LAWS) > 20 and np.isfinite(wanted).all()
    found = LANGUAGES[language, program](code(formula, language), x.numpy(), len(LAWS), tmp_path)
    # Cells of a spreadsheet are read with 15 digits, and a sine near its zero loses two more.
    np.testing.assert_allclose(found, wanted, rtol=1e-11 if program == "soffice" else 1e-12)
