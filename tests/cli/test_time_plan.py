"""The time limit of a command covers reading, the search, and the files."""

from __future__ import annotations

import time

import pytest

from superpose.cli.time_plan import TimePlan


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    return made


@pytest.mark.parametrize(("loading", "reading"), [(0.0, 0.0), (2.0, 0.0), (2.0, 20.0), (9.0, 10.0)])
def test_the_parts_of_a_command_fit_into_its_limit(clock: Clock, loading: float, reading: float) -> None:
    plan = TimePlan()
    clock.now += loading
    plan.loaded()
    clock.now += reading
    search = plan.search(60.0).left()
    assert 6.0 <= search <= 60.0 - loading - reading
    # The slower the machine, the more is left for the files.
    assert 60.0 - loading - reading - search >= min(1.2 * loading, 24.0)
    clock.now += search
    assert plan.files(60.0).left() == pytest.approx(60.0 - loading - reading - search)


def test_a_search_has_some_time_however_long_reading_took(clock: Clock) -> None:
    plan = TimePlan()
    clock.now += 100.0
    assert plan.search(10.0).left() == pytest.approx(1.0)
    assert plan.files(10.0).passed()
