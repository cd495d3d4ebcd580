"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

import superpose
from broken_models import good_model
from helpers import is_one_sentence
from superpose import FileError
from superpose.files import save, write_atomically


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, step: str
) -> None:
    path = tmp_path / "model.safetensors"
    save(good_model(), path)
    before = path.read_bytes()

    def fail(*args: Any) -> None:
        raise failure

    monkeypatch.setattr(os, step, fail)
    with pytest.raises((FileError, KeyboardInterrupt)) as caught:
        save(superpose.KAN([1, 1]), path)
    if isinstance(failure, OSError):
        assert is_one_sentence(str(caught.value))
        assert "No space left" in str(caught.value)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    seen: list[bool] = []
    real = os.replace

    def watched(source: Any, target: Any) -> None:
        seen.append(path.exists())
        assert Path(source).parent == path.parent
        assert Path(source).read_bytes() == b"all of it"
        real(source, target)

    monkeypatch.setattr(os, "replace", watched)
    write_atomically(path, b"all of it")
    assert seen == [False]
    assert path.read_bytes() == b"all of it"


def test_a_file_gets_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_atomically(tmp_path / "ours", b"")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")]
    assert modes[0] == modes[1]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("", "is a directory"),
        ("no/model", "create it first"),
        ("x" * 300, "too long"),
        ("a\0b", "null"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, place: str, words: str) -> None:
    with pytest.raises(FileError) as caught:
        save(good_model(), tmp_path / place)
    assert is_one_sentence(str(caught.value).replace(str(tmp_path), ""))
    assert words in str(caught.value)
