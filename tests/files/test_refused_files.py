"""Model files that are refused, and models that cannot be saved: one plain sentence."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import superpose
from broken_models import BROKEN_MODELS, a_pickle, good_model, joined, parts_of
from helpers import is_one_sentence
from model_cases import assert_same_model
from superpose import FileError, OptionError
from superpose.files import load, save


@pytest.mark.parametrize("name", BROKEN_MODELS)
def test_a_broken_file_gives_one_sentence_and_nothing_is_built(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **options: Any) -> None:
        raise AssertionError("a model was built")

    make, words = BROKEN_MODELS[name]
    path = tmp_path / "model.safetensors"
    make(path)
    monkeypatch.setattr("superpose.files.KANLayer", never)
    monkeypatch.setattr("superpose.files._build", never)
    with pytest.raises(FileError) as caught:
        load(path)
    message = str(caught.value)
    assert is_one_sentence(message)
    assert message.startswith(repr(str(path)))
    assert words in message


def test_the_file_that_the_broken_ones_are_made_of_is_good(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save(good_model(), path)
    header, _, body = parts_of(path.read_bytes())
    path.write_bytes(joined(header, body))
    assert_same_model(load(path), good_model())


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    a_pickle(tmp_path / "model.safetensors")
    with pytest.raises(FileError):
        load(tmp_path / "model.safetensors")
    assert not (tmp_path / "canary").exists()


def test_a_file_that_is_missing_is_looked_for(tmp_path: Path) -> None:
    save(good_model(), tmp_path / "model.safetensors")
    with pytest.raises(FileError, match=r"did you mean 'model\.safetensors'\?"):
        load(tmp_path / "modle.safetensors")
    with pytest.raises(FileError, match="its folder does not exist either"):
        load(tmp_path / "no" / "model.safetensors")


def test_a_directory_names_the_model_inside_it(tmp_path: Path) -> None:
    save(good_model(), tmp_path / "model.safetensors")
    with pytest.raises(FileError, match=r"such as 'model\.safetensors'"):
        load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="not a file"):
        load(tmp_path / "pipe")


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, 7, None])
def test_a_path_that_cannot_be_is_one_sentence(path: Any) -> None:
    with pytest.raises(FileError) as caught:
        load(path)
    assert is_one_sentence(str(caught.value))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_damaged_anywhere_is_refused_or_is_a_sound_model(tmp_path: Path, data: st.DataObject) -> None:
    """A flipped bit in a coefficient cannot be noticed; anything else must be."""
    path = tmp_path / "model.safetensors"
    save(good_model(), path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        model = load(path)
    except FileError as error:
        assert is_one_sentence(str(error))
    else:
        assert all(bool(torch.isfinite(t).all()) for t in model.state_dict().values())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "model.safetensors"
    save(good_model(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FileError):
        load(path)


def test_a_header_of_more_than_16_mib_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", (16 << 20) + 1) + b"{")
        file.truncate(64 << 20)
    with pytest.raises(FileError, match="not a safetensors file"):
        load(path)


def _with_nan(model: superpose.KAN) -> None:
    with torch.no_grad():
        model.layer(0).coefficients[0, 0, 0] = float("nan")


def _with_zero_scale(model: superpose.KAN) -> None:
    model.input_scale[1] = 0


def _with_two_dtypes(model: superpose.KAN) -> None:
    model.layer(1).to(torch.float32)


def _with_a_stranger(model: superpose.KAN) -> None:
    model.head = torch.nn.Linear(1, 1, dtype=torch.float64)


def _in_half(model: superpose.KAN) -> None:
    model.half()


def _unnamed(model: superpose.KAN) -> None:
    model.feature_names = ("x", "")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_with_nan, "layers.0.coefficients"),
        (_with_zero_scale, "input_scale"),
        (_with_two_dtypes, "float32 instead of float64"),
        (_with_a_stranger, "head.bias"),
        (_in_half, "float16"),
        (_unnamed, "no name of a feature"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path, spoil: Any, words: str) -> None:
    model = good_model()
    spoil(model)
    with pytest.raises(OptionError) as caught:
        save(model, tmp_path / "model.safetensors")
    assert is_one_sentence(str(caught.value))
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_only_models_are_saved(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"not a Linear"):
        save(torch.nn.Linear(1, 1), tmp_path / "model.safetensors")  # type: ignore[arg-type]
