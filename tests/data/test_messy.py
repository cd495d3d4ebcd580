"""Tables as people have them are read right, or refused with one sentence that names the place and the remedy."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

from data import messy
from helpers import is_one_sentence
from superpose.data.reading import read_table
from superpose.errors import DataError, SuperposeError

CASES = [*messy.FIRST, *messy.SECOND]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_a_table_is_read_right_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: messy.Case) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t").write_bytes(case.content.encode() if isinstance(case.content, str) else case.content)
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
