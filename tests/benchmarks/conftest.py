"""Stand-ins for what takes time in the benchmarks on functions."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from bench_cases import SMALL

from benchmarks.methods import regression, superpose_network
from benchmarks.methods.fitted import Fitted


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """Stands in for training, which takes its time; remembers who was trained on what."""
    seen: list[tuple[str, str, int]] = []

    def train(name: str, problem: Any, x: Any, y: Any, *, time_limit: float, seed: int, parameters: Any) -> Fitted:
        seen.append((problem.name, name, seed))
        assert x.shape == (SMALL.points, len(problem.variables)) and y.shape == (SMALL.points,)
        assert parameters == (None if name == "superpose" else 17)
        off = 10.0 ** -(len(name) + seed)
        return Fitted(lambda points: problem(points) + off, 17, (2, 2, 1), (5, 10))

    monkeypatch.setattr(regression, "fit", train)
    monkeypatch.setattr("benchmarks.harness.suite.methods.load", lambda names, known: None)
    return seen


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches for networks end after a few steps, at the same place on every machine."""
    search = functools.partial(superpose_network.train.search, steps=60)
    monkeypatch.setattr(superpose_network.train, "search", search)
