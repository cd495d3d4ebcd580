"""The gallery and the page on the output are what the program writes."""

from __future__ import annotations

import json

import pytest

from benchmarks.gallery import program
from benchmarks.gallery.entries import ENTRIES
from helpers import ROOT

STORE = json.loads(program.STORE.read_text(encoding="utf-8"))


def test_the_page_is_what_the_program_writes_of_its_runs() -> None:
    assert {entry.name for entry in ENTRIES} == set(STORE["runs"])
    assert program.PAGE.read_text(encoding="utf-8") == program.page(STORE["runs"], STORE["machine"])


def test_the_output_that_is_explained_is_that_of_a_run() -> None:
    text = program.EXPLAINED.read_text(encoding="utf-8")
    run = STORE["runs"][program.EXPLAINED_RUN]
    assert program.explained(text, run) == text and run["output"][0] in text
    # Every line that a run prints is explained by its beginning.
    explained = text.partition(program.END)[2]
    starts = (
        "formula error",
        "Michaelis-Menten, ",
        "the form of the formula is chosen again in",
        "next: ",
        "* recommended",
    )
    for line in run["output"][1:]:
        begins = [start for start in (*starts, "written to") if line.startswith(start)]
        assert begins or line.startswith(("  nodes", "* ", "  ")), line
        assert all(start.strip() in explained for start in begins)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_table_is_there_with_its_source_licence_and_picture(entry: program.Entry) -> None:
    assert (ROOT / entry.file).exists()
    assert "Source: " in entry.description and "Licence: " in entry.description
    assert len(entry.meaning) > 100
    picture = program.PICTURES / f"{entry.name}.svg"
    assert picture.stat().st_size < 60_000
    assert picture.read_text(encoding="utf-8").startswith("<?xml")
