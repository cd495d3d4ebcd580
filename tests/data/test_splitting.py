"""Folds for cross-validation: what each row is tested on, and what must not be in its training."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from superpose.data import Dataset
from superpose.data.splitting import folds
from superpose.errors import DataError, OptionError


def table(rows: int, **options: float) -> Dataset:
    x = torch.arange(float(rows))[:, None]
    return Dataset.from_arrays(x, x**2, **({"validation": 0.1, "test": 0.2} | options))


@given(rows=st.integers(10, 60), k=st.integers(2, 70), seed=st.integers(0, 100))
def test_each_row_outside_the_test_is_tested_once(rows: int, k: int, seed: int) -> None:
    data = table(rows)
    available = torch.cat([data.train, data.validation]).sort().values
    found = folds(data, k, seed)
    assert len(found) == min(k, len(available))
    assert torch.equal(torch.cat([test for _, test in found]).sort().values, available)
    for train, test in found:
        assert torch.equal(torch.cat([train, test]).sort().values, available)
        assert torch.equal(train, train.sort().values) and train.dtype == torch.int64
    sizes = [len(test) for _, test in found]
    assert max(sizes) - min(sizes) <= 1


def test_the_seed_alone_decides_on_the_folds() -> None:
    data = table(20)
    first, again, other = (torch.cat([test for _, test in folds(data, 3, seed)]) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_targets_of_few_values_are_dealt_out_evenly() -> None:
    data = table(60, validation=0.0, test=0.0)
    data = replace(data, y=(data.x % 4 == 0).double())
    for _, test in folds(data, 5, 0):
        assert int(data.y[test].sum()) == 3


@given(groups=st.lists(st.integers(0, 6), min_size=10, max_size=30), k=st.integers(2, 9), seed=st.integers(0, 9))
def test_no_group_is_divided(groups: list[int], k: int, seed: int) -> None:
    data = replace(table(len(groups)), groups=torch.tensor(groups))
    available = torch.cat([data.train, data.validation]).sort().values
    different = len(set(data.groups[available].tolist()))
    if different < 2:
        with pytest.raises(DataError, match="belong to one group"):
            folds(data, k, seed)
        return
    found = folds(data, k, seed)
    assert len(found) == min(k, different)
    assert torch.equal(torch.cat([test for _, test in found]).sort().values, available)
    for train, test in found:
        assert len(train) and not set(data.groups[train].tolist()) & set(data.groups[test].tolist())


@given(times=st.lists(st.integers(0, 40), min_size=10, max_size=30), k=st.integers(2, 40))
def test_the_past_is_never_predicted_from_the_future(times: list[int], k: int) -> None:
    data = replace(table(len(times)), order=torch.tensor(times))
    available = torch.cat([data.train, data.validation])
    order = data.order[available]
    first_two = order.sort().values[1]
    if not bool((order > first_two).any()):
        with pytest.raises(DataError, match="too few times"):
            folds(data, k, 0)
        return
    found = folds(data, k, 0)
    assert 1 <= len(found) <= k
    tested = torch.cat([test for _, test in found])
    assert len(tested.unique()) == len(tested) and set(tested.tolist()) <= set(available.tolist())
    for train, test in found:
        assert len(train) >= 2 and len(test)
        assert data.order[train].max() < data.order[test].min()
        # All of the past, and nothing between.
        assert len(train) == int((order < data.order[test].min()).sum())


def test_stretches_of_time_are_as_long_as_each_other() -> None:
    data = table(23, validation=0.0, test=0.0)
    data = replace(data, order=torch.arange(23).flip(0))
    found = folds(data, 4, 0)
    assert [len(test) for _, test in found] == [4, 4, 4, 4] and [len(train) for train, _ in found] == [7, 11, 15, 19]
    assert found[-1][1].tolist() == [0, 1, 2, 3]


def test_fewer_than_two_folds_are_refused() -> None:
    for k in (1, 0, 2.0, True):
        with pytest.raises(OptionError, match="k must be a whole number of at least 2"):
            folds(table(20), k, 0)  # type: ignore[arg-type]
