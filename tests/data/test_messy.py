"""Tables as people have them are read right, or refused with one sentence that names the place and the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from data import messy, messy_exports
from helpers import is_one_sentence
from superpose import read_csv
from superpose.data.reading import read_table
from superpose.errors import DataError, SuperposeError

CASES = [*messy.FIRST, *messy.SECOND, *messy_exports.TEXT, *messy_exports.FILES, *messy_exports.JSON]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_a_table_is_read_right_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: messy.Case) -> None:
    monkeypatch.chdir(tmp_path)
    case.write(Path("t"))
    try:
        table = read_table("t", **case.options)
    except SuperposeError as error:
        assert case.columns is None, str(error)
        assert is_one_sentence(str(error)) and all(word in str(error) for word in case.words), str(error)
        return
    assert case.columns is not None, "the table was read"
    assert sorted(table.names) == sorted([*case.columns, *case.faults])
    for name, expected in case.columns.items():
        if isinstance(expected[0], str):
            assert table.columns[table.names.index(name)] == expected
        else:
            assert numpy.array_equal(table.numbers(name), numpy.array(expected))
    for name, words in case.faults.items():
        assert not table.is_label(name)
        with pytest.raises(DataError) as caught:
            table.numbers(name)
        assert words in str(caught.value) and is_one_sentence(str(caught.value))
    said = "\n".join([*table.notes, *table.faults.values()])
    assert all(word in said for word in case.words), said
    assert all(is_one_sentence(note) for note in table.notes), said


def test_marks_of_missing_values_of_many_programs(tmp_path: Path) -> None:
    marks = [
        "NA",
        "#N/A",
        "\\N",
        "(null)",
        "..",
        ":",
        "n.a.",
        "n.d.",
        "k.A.",
        "–",
        "#DIV/0!",
        "#WERT!",
        "1.#QNAN",
        "-nan(ind)",
    ]
    rows = [(k, k % 7) for k in range(60)] + [(k, mark) for k, mark in enumerate(marks, start=60)]
    (tmp_path / "t").write_text("x,y,f\n" + "".join(f"{x},{y},{x + 1}\n" for x, y in rows))
    dropped = read_csv(tmp_path / "t", target="f", missing="drop")
    assert dropped.n_rows == 60 and dropped.feature_names == ("x", "y")


@dataclass(frozen=True)
class Dialect:
    """How a program writes a table."""

    delimiter: str
    decimal: str
    thousands: str
    encoding: str
    title: str
    remark: str
    index: int | None
    units: bool
    total: bool
    trailing: str
    before: str
    behind: str
    quotes: bool
    end: str


dialects = st.builds(
    Dialect,
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
    thousands=st.sampled_from(["", "", ",", ".", " ", "'", "\u00a0"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    title=st.sampled_from(["", "", "A größe title\n", "Made by, us; today\n\n", "Station: 5\nLat: 59.9\n"]),
    remark=st.sampled_from(["", "", "# made by hand\n", "% 1,2;3\n"]),
    index=st.sampled_from([None, None, 0, 1]),
    units=st.booleans(),
    total=st.booleans(),
    trailing=st.sampled_from(["", "", "d", "rows"]),
    before=st.sampled_from(["", "", "", "$", "€ "]),
    behind=st.sampled_from(["", "", "", " kg", "kg", " €"]),
    quotes=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
)
decimals = st.decimals(min_value=-99999, max_value=9999999, places=3, allow_nan=False)
values = st.lists(st.tuples(decimals, st.integers(0, 5)), min_size=3, max_size=8)


def spelt(value: Decimal, places: int, dialect: Dialect) -> str:
    """A number as the dialect has it."""
    text = f"{value:,.{min(places, 3)}f}"
    return text.translate(str.maketrans({",": dialect.thousands, ".": dialect.decimal}))


def table_in(dialect: Dialect, rows: Sequence[tuple[Decimal, int]]) -> tuple[str, list[float]]:
    """A table in a dialect with a column of these numbers, and what they are."""
    numbers = [round(value, min(places, 3)) for value, places in rows]
    cells = [
        f"{dialect.before}{spelt(value, places, dialect)}{dialect.behind}"
        for value, (_, places) in zip(numbers, rows, strict=True)
    ]
    body = [["x", "größe", "kind"], *([str(k), cell, f"k{k % 2}"] for k, cell in enumerate(cells))]
    if dialect.units:
        body.insert(1, ["s", "m", ""])
    if dialect.total:
        total = sum(numbers)
        body.append(
            [str(sum(range(len(cells)))), f"{dialect.before}{spelt(total, 3, dialect)}{dialect.behind}", "Total"]
        )
    if dialect.index is not None:
        first = dialect.index - (2 if dialect.units else 1)
        body = [[str(first + k) if k > (1 if dialect.units else 0) else "", *row] for k, row in enumerate(body)]
    mark = dialect.delimiter
    lines = []
    for k, row in enumerate(body):
        quoted = [f'"{cell}"' if dialect.quotes or mark in cell else cell for cell in row]
        lines.append(mark.join(quoted) + (mark if dialect.trailing == "d" or (dialect.trailing and k) else ""))
    text = dialect.title + dialect.remark + "\n".join(lines) + "\n"
    return text.replace("\n", dialect.end), [float(value) for value in numbers]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dialects, values)
def test_no_number_is_read_as_another_one(tmp_path: Path, dialect: Dialect, rows: list[tuple[Decimal, int]]) -> None:
    """Whatever a program writes is read exactly or refused; the decimal mark is said where the cells cannot tell."""
    # Dollars have no decimal commas.
    assume(dialect.thousands != dialect.decimal and (dialect.before, dialect.decimal) != ("$", ","))
    text, expected = table_in(dialect, rows)
    try:
        content = text.encode(dialect.encoding)
    except UnicodeEncodeError:
        return
    (tmp_path / "t").write_bytes(content)
    for options in ({}, {"decimal": dialect.decimal}):
        try:
            table = read_table(tmp_path / "t", **options)
            found = table.numbers("größe")
        except SuperposeError as error:
            assert is_one_sentence(str(error)), str(error)
            continue
        assert found.tolist() == expected
        assert table.numbers("x").tolist() == list(range(len(expected)))
