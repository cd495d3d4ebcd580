"""Settings of every test run."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import os
import time
from collections.abc import Iterator
from typing import Any

# Read when torch is first imported: two test processes share the machine's cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A checkout whose kernels were not built is tested too, on purpose, so without the warning.
if importlib.util.find_spec("superpose.spline._native") is None:
    os.environ.setdefault("SUPERPOSE_BACKEND", "reference")

# What a run would say in a sentence is an error here; see superpose.partial. Tests of that unset it.
os.environ["SUPERPOSE_STRICT"] = "1"

import hypothesis
import numpy
import pytest
import torch

from helpers import CountingClock
from superpose import deadline

torch.set_num_threads(1)

# Times on a busy machine say nothing about the code, and a failure has to come back on every run.
hypothesis.settings.register_profile("superpose", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("superpose")


@pytest.fixture
def own_functions() -> Iterator[None]:
    """Take back what a test registers in the library of symbolic functions, for this process goes on."""
    from superpose.nn import symbolic_functions

    before = dict(symbolic_functions._REGISTERED)
    yield
    symbolic_functions._REGISTERED.clear()
    symbolic_functions._REGISTERED.update(before)


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of a run that fails is a sentence, as outside the tests."""
    monkeypatch.delenv("SUPERPOSE_STRICT")


@pytest.fixture
def few_compositions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search among compositions ends after a quarter of a second; compiled code does not look at the clock."""
    from superpose.formulas.from_table import composition_search

    few = dataclasses.replace(composition_search._SETTINGS, first=10_000, tried=20_000)
    monkeypatch.setattr(composition_search, "_SETTINGS", few)


@pytest.fixture
def counted_time(monkeypatch: pytest.MonkeyPatch, few_compositions: None) -> CountingClock:
    """Time limits in steps and evaluations, the same on every machine; see :class:`helpers.CountingClock`."""
    clock = CountingClock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def counted_work(few_compositions: None) -> Iterator[None]:
    """Time limits in seconds of work, as estimators count it: for runs that end at a limit of some seconds."""
    with deadline.counted_time():
        yield


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """Stands in for training in the benchmarks on functions; remembers who was trained on what."""
    from bench_cases import SMALL

    from benchmarks.methods import regression
    from benchmarks.methods.fitted import Fitted

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
    """Searches for networks in the benchmarks end after a few steps, at the same place on every machine."""
    from benchmarks.methods import superpose_network

    search = functools.partial(superpose_network.train.search, steps=60)
    monkeypatch.setattr(superpose_network.train, "search", search)


@pytest.fixture
def untouched_globals() -> Iterator[None]:
    """Fail if the test changed global random state, the default dtype or the thread count."""
    before = _global_state()
    yield
    assert _global_state() == before


def _global_state() -> tuple[object, ...]:
    name, keys, *rest = numpy.random.get_state()  # noqa: NPY002  (it is the global state that is watched)
    return (
        torch.get_rng_state().tolist(),
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        (name, keys.tolist(), *rest),
    )
