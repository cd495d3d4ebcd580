"""What is counted of textbook laws in tables of few rows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import rows
from superpose.formulas.catalogue.all import LAWS


@pytest.mark.parametrize(("lengths", "counted"), [((5.0, 9.0), (2, 2)), ((5.0, 4.0), (0, 2)), ((9.0, 4.0), (0, 0))])
def test_a_law_counts_where_it_is_first_or_not_told_from_the_first(
    lengths: tuple[float, float], counted: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def table(law: Any, seed: int, count: int, noise: float) -> Any:
        seen.append(law)
        return law

    def found(law: Any, seed: int) -> list[SimpleNamespace]:
        names = [law.name, "another"]
        made = [SimpleNamespace(law=SimpleNamespace(name=n), length=at) for n, at in zip(names, lengths, strict=True)]
        return sorted(made, key=lambda one: one.length)

    monkeypatch.setattr(rows, "table_of", table)
    monkeypatch.setattr(rows, "recognise", found)
    monkeypatch.setattr(rows, "not_told_from", lambda first, all_: [one for one in all_[1:] if one.length < 7])
    assert rows.recovered(2, 15, 0.01, 3) == counted
    assert len(seen) == 2 and {one.name for one in seen} <= {law.name for law in LAWS}
