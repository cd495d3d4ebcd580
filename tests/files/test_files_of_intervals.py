"""Prediction intervals in model files."""

from __future__ import annotations

import functools
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

import superpose
from broken_models import good_model, joined, parts_of
from helpers import is_one_sentence
from model_cases import assert_same_model
from superpose import FileError
from superpose.files import load, save


@functools.cache
def uncertain_model(*, scale: bool = True) -> superpose.KAN:
    """A calibrated model whose errors grow with x, or are alike."""
    x = torch.rand(300, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = torch.randn(300, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = x.sum(1) + noise * (0.02 + scale * x[:, 0])
    data = superpose.Dataset.from_arrays(x, y, validation=0.6, test=0.0, feature_names=["x", "y"], target_names=["f"])
    model = superpose.KAN([2, 1], base="none", feature_names=["x", "y"], target_names=["f"])
    model.layer(0).set_symbolic({(i, 0): ("x", (1.0, 0.0, 1.0, 0.0)) for i in range(2)})
    return superpose.calibrate(model, data)


@pytest.mark.parametrize("scale", [True, False])
def test_intervals_come_back_bit_for_bit(tmp_path: Path, scale: bool) -> None:
    model = uncertain_model(scale=scale)
    assert model.uncertainty is not None and (model.uncertainty.scale is not None) == scale
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    assert_same_model(model, again)
    x = torch.linspace(-1, 3, 40, dtype=torch.float64).reshape(20, 2)
    one, other = model.predict_interval(x), again.predict_interval(x)
    for name in ("prediction", "low", "high", "outside", "beyond"):
        assert (getattr(one, name) == getattr(other, name)).all(), name
    assert again.uncertainty is not None and again.uncertainty.source == model.uncertainty.source
    assert one.outside.any() and not one.outside.all()


def test_a_file_of_schema_4_is_the_same_model_without_intervals(tmp_path: Path) -> None:
    save(good_model(), tmp_path / "model")
    header, description, tensors = parts_of((tmp_path / "model").read_bytes())
    header["__metadata__"]["superpose"] = json.dumps(description | {"schema": 4})
    (tmp_path / "model").write_bytes(joined(header, tensors))
    model = load(tmp_path / "model")
    assert_same_model(model, good_model())
    assert model.uncertainty is None


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"rows": 7}, "uncertainty.residuals"),
        ({"rows": 0}, "number of rows"),
        ({"points": -1}, "number of points"),
        ({"log": 1}, "logarithms"),
        ({"freedom": None}, "freedom"),
        ({"freedom": -1.0}, "negative"),
        ({"limit": None}, "uncertainty.support.precision"),
        ({"grid_size": None}, "uncertainty.scale"),
        ({"grid_size": 10**9}, "grid size"),
        ({"source": "hearsay"}, "'hearsay'"),
        ({"note": "x"}, "'note'"),
    ],
)
def test_intervals_that_do_not_fit_their_description_are_refused(tmp_path: Path, entry: Any, words: str) -> None:
    save(uncertain_model(), tmp_path / "model")
    header, description, tensors = parts_of((tmp_path / "model").read_bytes())
    description["uncertainty"] |= entry
    header["__metadata__"]["superpose"] = json.dumps(description)
    (tmp_path / "model").write_bytes(joined(header, tensors))
    with pytest.raises(FileError, match="is damaged") as caught:
        load(tmp_path / "model")
    assert is_one_sentence(str(caught.value)) and words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("residuals", 1e9), ("support.low", 50.0), ("scale.knots", 50.0), ("scale.high", -50.0), ("scale.growth", -1.0)],
)
def test_numbers_of_intervals_that_cannot_be_are_refused(tmp_path: Path, name: str, value: float) -> None:
    save(uncertain_model(), tmp_path / "model")
    header, _, tensors = parts_of((tmp_path / "model").read_bytes())
    start = header[f"uncertainty.{name}"]["data_offsets"][0]
    (tmp_path / "model").write_bytes(joined(header, tensors[:start] + struct.pack("<d", value) + tensors[start + 8 :]))
    with pytest.raises(FileError) as caught:
        load(tmp_path / "model")
    assert is_one_sentence(str(caught.value))
