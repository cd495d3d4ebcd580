"""The standalone module: run as a file of its own, it says what the network says."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from expressions import TAME, coincident, networks, samples
from hypothesis import HealthCheck, given, settings
from test_formula import HOSTILE, hello
from torch import Tensor

from superpose.formulas import Formula
from superpose.nn import KAN
from superpose.nn.symbolic_functions import library

DOUBLE = torch.float64
_numbers = itertools.count()


def imported(text: str, folder: Path) -> ModuleType:
    """A module from a file with this text; it may import NumPy and nothing else."""
    found = {
        alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert found == {"numpy"}
    name = f"formula_{next(_numbers)}"
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def predictions(module: ModuleType, x: Tensor) -> Tensor:
    with np.errstate(all="ignore"):
        found = module.predict(**dict(zip(module.COLUMNS, x.T.numpy(), strict=True)))
    columns = found if isinstance(found, tuple) else (found,)
    return torch.stack([torch.as_tensor(column) for column in columns], -1)


def close(found: Tensor, wanted: Tensor) -> None:
    usable = torch.isfinite(wanted) & (wanted.abs() < 1e12)
    size = wanted[usable].abs().max().clamp(min=1) if bool(usable.any()) else 1.0
    assert float(((found - wanted)[usable].abs() / size).max() if bool(usable.any()) else 0.0) < 1e-10


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(networks(TAME, splines=True))
def test_the_module_says_what_the_network_says(tmp_path: Path, model: KAN) -> None:
    module = imported(Formula.of(model).python(), tmp_path)
    assert model.feature_names == module.COLUMNS and model.target_names == module.TARGETS
    x = samples(model, spread=1.8)
    with torch.no_grad():
        close(predictions(module, x), model(x))


@pytest.mark.parametrize("base", ["silu", "identity", "none"])
@pytest.mark.parametrize("degree", range(6))
@pytest.mark.parametrize("twice", [False, True])
def test_splines_of_every_kind_inside_the_grid_and_outside(tmp_path: Path, degree: int, base: str, twice: bool) -> None:
    model = KAN([2, 1], grid_size=6, degree=degree, base=base, seed=1)
    model.layer(0).coefficients.data += torch.randn(
        model.layer(0).coefficients.shape, generator=torch.Generator().manual_seed(2), dtype=DOUBLE
    )
    if twice:
        model = coincident(model)
    module = imported(Formula.of(model).python(), tmp_path)
    # The knots themselves too, and both sides far out.
    line = torch.cat([torch.linspace(-3, 3, 240, dtype=DOUBLE), model.layer(0).knots[0]])
    x = torch.stack([line, line.flip(0)], -1)
    with torch.no_grad():
        close(predictions(module, x), model(x))


@pytest.mark.parametrize("name", sorted(name for name in library() if name != "sinc-like"))
def test_every_function_of_the_library_has_its_code(tmp_path: Path, name: str) -> None:
    model = KAN([1, 1], seed=0)
    model.layer(0).set_symbolic({(0, 0): (name, (0.4, 0.55, 1.5, -0.2))})
    module = imported(Formula.of(model).python(), tmp_path)
    x = torch.linspace(-1, 1, 41, dtype=DOUBLE)[:, None]
    with torch.no_grad():
        wanted = model(x)
    assert bool(torch.isfinite(wanted).all())
    close(predictions(module, x), wanted)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stand_in_the_module_as_text_only(tmp_path: Path, name: str) -> None:
    text = Formula.of(hello((name, "plain"), name + "!")).python()
    assert text.isascii()
    module = imported(text, tmp_path)
    assert (name, "plain") == module.COLUMNS and (name + "!",) == module.TARGETS
    assert float(module.predict(**{name: 0.0, "plain": 1.0})) == pytest.approx(np.e)
    # No call in the module but those that the same formula has under harmless names.
    assert calls(text) == calls(Formula.of(hello()).python())


def calls(text: str) -> list[str]:
    return [ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]


def test_columns_are_broadcast_and_numbers_will_do(tmp_path: Path) -> None:
    module = imported(Formula.of(hello()).python(), tmp_path)
    assert module.predict(x=np.zeros((3, 1)), y=np.ones(4)).shape == (3, 4)
    assert module.predict(y=[0.0, 1.0], x=0, unused="yes").tolist() == pytest.approx([1.0, np.e])
    with pytest.raises(TypeError, match="needs the columns 'y'"):
        module.predict(x=1.0)


def test_a_constant_formula_has_the_shape_of_its_columns(tmp_path: Path) -> None:
    model = KAN([1, 1], seed=0, feature_names=["x"])
    model.layer(0).set_symbolic({(0, 0): ("0", (1.0, 0.0, 0.0, 2.5))})
    module = imported(Formula.of(model).python(), tmp_path)
    assert module.predict(x=np.zeros(4)).tolist() == [2.5] * 4


def test_it_runs_alone(tmp_path: Path) -> None:
    (tmp_path / "formula.py").write_text(Formula.of(hello()).python(), encoding="utf-8")
    script = (
        "import json, sys, formula; assert 'torch' not in sys.modules and 'superpose' not in sys.modules;"
        "print(json.dumps(formula.predict(x=[0.5, 0.0], y=[0.5, 0.0]).tolist()))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {script}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert json.loads(done.stdout) == pytest.approx([np.exp(1.25), 1.0])
