"""The split of rows and the scaling of columns in a data set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from table_cases import GOOD, X, Y, finite, written

from superpose.data import Dataset, read_csv
from superpose.errors import DataError, OptionError


@given(
    rows=st.integers(10, 200),
    validation=st.floats(0.0, 0.3),
    test=st.floats(0.0, 0.19),
    seed=st.integers(0, 2**63 - 1),
)
def test_the_split_deals_out_every_row_once(rows: int, validation: float, test: float, seed: int) -> None:
    x = torch.arange(float(rows))[:, None]
    options = {"validation": validation, "test": test, "seed": seed}
    data = Dataset.from_arrays(x, x**2, **options)
    parts = [data.train, data.validation, data.test]
    assert sorted(torch.cat(parts).tolist()) == list(range(rows))
    assert abs(len(data.validation) - validation * rows) <= 0.5
    assert abs(len(data.test) - test * rows) <= 0.5
    again = Dataset.from_arrays(x, x**2, **options)
    for part, same in zip(parts, [again.train, again.validation, again.test], strict=True):
        assert part.dtype == torch.int64 and torch.equal(part, same)
        assert torch.equal(part, part.sort().values)


def test_another_seed_gives_another_split() -> None:
    splits = {tuple(Dataset.from_arrays(X, Y, test=0.15, seed=seed).test.tolist()) for seed in range(20)}
    assert len(splits) > 15


@given(st.lists(finite, min_size=10, max_size=30), st.integers(0, 100))
def test_scaled_features_fill_the_interval_and_scaled_targets_are_standard(values: Sequence[float], seed: int) -> None:
    column = numpy.array(values)
    try:
        data = Dataset.from_arrays(column[:, None], column, seed=seed)
    except DataError as error:
        assert "is constant" in str(error)
        return
    scaled = data.x_scale.apply(data.x)
    assert torch.isfinite(scaled).all()
    assert abs(float(scaled.min()) + 1) < 1e-2 and abs(float(scaled.max()) - 1) < 1e-2
    assert math.isfinite(data.target_std) and data.target_std >= 0
    assert torch.isfinite(data.y_scale.center).all() and torch.isfinite(data.y_scale.scale).all()
    assert float(data.y_scale.scale) > 0


def test_scaling_in_ordinary_numbers() -> None:
    data = Dataset.from_arrays(X, Y, test=0.15, seed=3)
    scaled = data.x_scale.apply(data.x)
    assert torch.allclose(scaled.amin(dim=0), torch.tensor(-1.0, dtype=torch.float64), atol=1e-14)
    assert torch.allclose(scaled.amax(dim=0), torch.tensor(1.0, dtype=torch.float64), atol=1e-14)
    assert torch.allclose(data.x_scale.undo(scaled), data.x, atol=1e-15)
    standard = data.y_scale.apply(data.rows("train")[1])
    assert abs(float(standard.mean())) < 1e-14
    assert float(standard.std(correction=0)) == pytest.approx(1.0, abs=1e-14)
    assert data.target_std == pytest.approx(float(numpy.std(Y[data.test.numpy()])), rel=1e-14)


def test_rows_and_frames_of_a_split() -> None:
    data = Dataset.from_arrays(X, Y, feature_names=["a", "b"], target_names=["c"])
    for split in ("train", "validation", "test", "all"):
        x, y = data.rows(split)
        frame = data.to_frame(split)
        assert list(frame.columns) == ["a", "b", "c"]
        assert numpy.array_equal(frame.to_numpy(), torch.cat([x, y], dim=1).numpy())
        assert numpy.array_equal(X[frame.index], x.numpy())
    with pytest.raises(OptionError, match="there is no split 'training'; it is one of"):
        data.rows("training")  # type: ignore[arg-type]


def test_each_split_has_the_rows_that_bear_its_name() -> None:
    data = Dataset.from_arrays(X, Y, validation=0.3, test=0.1, seed=3)
    counts = {"train": round(0.6 * len(X)), "validation": round(0.3 * len(X)), "test": round(0.1 * len(X))}
    for split, index in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        x, y = data.rows(split)  # type: ignore[arg-type]
        assert torch.equal(x, data.x[index]) and torch.equal(y, data.y[index])
        assert len(x) == counts[split]
        assert data.to_frame(split).index.tolist() == index.tolist()  # type: ignore[arg-type]
    assert torch.cat([data.train, data.validation, data.test]).sort().values.tolist() == list(range(len(X)))


def test_without_a_test_split_the_target_deviation_is_that_of_all_rows() -> None:
    data = Dataset.from_arrays(X, Y, test=0.0)
    assert len(data.test) == 0
    assert data.target_std == pytest.approx(float(numpy.std(Y)))


def test_a_data_set_does_not_share_memory_with_what_it_was_made_of() -> None:
    x, y = X.copy(), Y.copy()
    data = Dataset.from_arrays(x, y)
    x[:], y[:] = 0.0, 0.0
    assert numpy.array_equal(data.x.numpy(), X) and numpy.array_equal(data.y[:, 0].numpy(), Y)


def test_global_state_is_left_alone(tmp_path: Path, untouched_globals: None) -> None:
    Dataset.from_arrays(X, Y, seed=7)
    read_csv(written(tmp_path, GOOD), target="f", seed=7)
