"""The installed package: compiled kernels wherever they can be built, and pins that agree."""

from __future__ import annotations

import importlib
import json
import os
import platform
import re
import shutil
import sysconfig
import tomllib
from pathlib import Path

import pytest

from helpers import ROOT, run_python
from superpose.spline import backend

# A name in CXX that cannot be found means that kernels are not wanted here.
COMPILER = shutil.which(os.environ["CXX"]) if os.environ.get("CXX") else shutil.which("g++") or shutil.which("clang++")
HEADERS = Path(sysconfig.get_path("include"), "Python.h").exists()


@pytest.fixture
def native():
    try:
        return importlib.import_module(backend._MODULE)
    except ImportError:
        if COMPILER is not None and HEADERS:
            raise
        pytest.skip("there is no C++ compiler, or no header files of Python")


@pytest.mark.skipif(COMPILER is None or not HEADERS, reason="there is no C++ compiler, or no header files of Python")
def test_kernels_are_built_where_there_is_a_compiler() -> None:
    """Without this a broken build would pass unseen: everything else works without kernels too."""
    try:
        importlib.import_module(backend._MODULE)
    except ImportError as error:
        pytest.fail(f"{error}; {COMPILER} is here, so see what stops it: python -m pip install --verbose --editable .")


def test_the_baseline_of_every_processor_is_there(native) -> None:
    names = native.instruction_sets()
    assert names[-1] == ("neon" if platform.machine().lower() in ("aarch64", "arm64") else "baseline")
    assert set(names) <= set(backend.INSTRUCTION_SETS) and len(set(names)) == len(names)
    for name in names:
        assert native.Kernels(name).name == name
    with pytest.raises(ValueError, match="fortran"):
        native.Kernels("fortran")


def test_a_fresh_process_computes_with_the_kernels(native, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(backend.VARIABLE, raising=False)
    script = (
        "import json, superpose, torch\n"
        "model = superpose.KAN([2, 3, 1])\n"
        "model(torch.zeros(5, 2)).sum().backward()\n"
        "told = superpose.backends()\n"
        "print(json.dumps([told.in_use, told.available]))\n"
    )
    finished = run_python("-W", "error", "-c", script)
    assert finished.returncode == 0, finished.stderr
    names = native.instruction_sets()
    assert json.loads(finished.stdout) == [names[0], [*names, "reference"]]


def test_the_kernels_are_not_linked_to_torch(native) -> None:
    """A wheel must serve every version of torch."""
    assert b"libtorch" not in Path(native.__file__).read_bytes()


def test_what_builds_is_pinned_as_in_the_constraints() -> None:
    def pins(lines: list[str]) -> dict[str, str]:
        split = (line.partition("==") for line in lines)
        return {re.sub(r"[-_.]+", "-", name).lower(): version for name, _, version in split}

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    builds = pins(project["build-system"]["requires"])
    assert builds.items() <= pins((ROOT / "constraints.txt").read_text().splitlines()).items()
    assert "torch" not in builds


def test_the_benchmarks_are_not_installed() -> None:
    """They run from a checkout: the wheel holds one package, and no module of it imports them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["scikit-build"]["wheel"]["packages"] == ["src/superpose"]
    for path in (ROOT / "src").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) benchmarks\b", path.read_text(encoding="utf-8"), re.MULTILINE), path
